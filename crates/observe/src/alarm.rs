//! Alarms with the semantics of CloudWatch.
//!
//! Three steps, of which only the last has a memory: [`datapoints`] makes one value of each period, [`evaluate`] says what state
//! these values amount to, and a [`Watch`] remembers the state it was in and reports transitions.
//!
//! Periods here are windows that slide: the newest one ends now, not at the last full minute, so that an alarm with a
//! period of 60 s fires within milliseconds of the sample that makes it breach. Each period but the very first ones of a run is
//! whole. A period that reaches back before the start of the run is used only where the missing part cannot make a wrong
//! alarm: a [`Sum`](Statistic::Sum), [`SampleCount`](Statistic::SampleCount) or [`Maximum`](Statistic::Maximum) can
//! only grow, so what breaches `>` or `>=` now would have breached at the period's end as well; a
//! [`Minimum`](Statistic::Minimum) can only fall, so the same is true of `<` and `<=`. All others wait for a whole period.
//!
//! A period without samples is missing. So is one with too few samples for a percentile ([`samples_needed`]), unless
//! whether it breaches is certain with fewer.
//!
//! [`samples_needed`]: crate::reading::samples_needed

use model::{
    Moment,
    alarm::{Alarm, AlarmState, Statistic, TreatMissingData},
    metric::{Comparison, Condition, MetricKind, Quantity, Unit},
};

use crate::{
    measurements::Measurements,
    reading::{Judgement, Reading, as_f64},
};

/// How many periods beyond N are fetched, so that a gap can be bridged with older values. CloudWatch's own number is
/// unspecified in general; its published tables look at 5 periods for N = 3.
const BEYOND: u32 = 2;

/// The state that the values of the newest periods amount to, and why.
///
/// `points` are the periods of the evaluation range, oldest first; `None` is a period without data. The rules are those that
/// give every cell of CloudWatch's published tables:
///
/// 1. With at least N values, the newest N decide, whatever is missing between them: M breaching ones are an alarm.
/// 2. With fewer, missing ones up to N count as breaching or as not breaching if the alarm says so.
/// 3. Otherwise nothing at all is insufficient data (or keeps the state, for `ignore`), and M breaching ones are an alarm.
/// 4. A breaching value that is at least M periods old, with no value within the threshold beside it, is an alarm too
///    (or keeps the state, for `ignore`).
/// 5. Everything else is OK.
#[must_use]
pub fn evaluate(alarm: &Alarm, points: &[Option<f64>], previous: AlarmState) -> (AlarmState, String) {
    let n = alarm.evaluation_periods.max(1) as usize;
    let m = (alarm.datapoints_to_alarm as usize).clamp(1, n);
    let breaches = |value: f64| alarm.comparison.holds(value, alarm.threshold);
    let real: Vec<f64> = points.iter().rev().filter_map(|&point| point).collect();
    let decisive = &real[..real.len().min(n)];
    let breaching = decisive.iter().filter(|&&value| breaches(value)).count();
    // A run younger than N periods has nothing missing: those periods have not been.
    let missing = n.min(points.len()).saturating_sub(real.len());
    let alarm_if = |yes: bool| if yes { AlarmState::Alarm } else { AlarmState::Ok };

    let state = if real.len() >= n {
        alarm_if(breaching >= m)
    } else {
        match alarm.treat_missing_data {
            // With no period at all there is nothing to treat.
            _ if points.is_empty() => previous,
            TreatMissingData::Breaching => alarm_if(breaching + missing >= m),
            TreatMissingData::NotBreaching => alarm_if(breaching >= m),
            TreatMissingData::Missing if real.is_empty() => AlarmState::InsufficientData,
            TreatMissingData::Ignore if real.is_empty() => previous,
            _ if breaching >= m => AlarmState::Alarm,
            treatment => {
                let oldest = points.iter().position(|point| point.is_some_and(breaches));
                let old_enough = oldest.is_some_and(|place| points.len() - place >= m);
                if !old_enough || breaching < real.len() {
                    AlarmState::Ok
                } else if treatment == TreatMissingData::Ignore {
                    previous
                } else {
                    AlarmState::Alarm
                }
            }
        }
    };
    (state, reason(alarm, decisive, breaching, missing))
}

/// `2 of 3 periods breach > 5: 7, 0, 9 (newest first); 1 has no data and counts as breaching`
fn reason(alarm: &Alarm, newest_first: &[f64], breaching: usize, missing: usize) -> String {
    let unit = alarm.metric.entry().map_or(Unit::Count, |entry| entry.unit);
    let say = |value: f64| Quantity { value, unit }.to_string();
    let what = format!("{} {} over {}", alarm.metric, alarm.statistic, alarm.period);
    let bound = format!("{} {}", alarm.comparison.sign(), say(alarm.threshold));
    let treatment = match alarm.treat_missing_data {
        TreatMissingData::Missing => "stays missing",
        TreatMissingData::Ignore => "is ignored",
        TreatMissingData::Breaching => "counts as breaching",
        TreatMissingData::NotBreaching => "counts as not breaching",
    };
    if newest_first.is_empty() {
        return format!("{what}: no data yet, which {treatment}");
    }
    let values: Vec<String> = newest_first.iter().map(|&value| say(value)).collect();
    let gap = match missing {
        0 => String::new(),
        missing => format!("; {missing} without data {treatment}"),
    };
    match values.as_slice() {
        [one] => format!("{what} is {one}, which {} {bound}{gap}", if breaching == 1 { "is" } else { "is not" }),
        several => {
            let listed = several.join(", ");
            format!("{what}: {breaching} of {} periods are {bound}: {listed} (newest first){gap}", several.len())
        }
    }
}

/// One value for each period of the evaluation range that ends now, oldest first; `None` where there is no data.
///
/// Periods from before the start of the run are not in it (see the [module](self) about the one that is cut).
#[must_use]
pub fn datapoints(alarm: &Alarm, measurements: &Measurements, now: Moment) -> Vec<Option<f64>> {
    datapoints_since(alarm, measurements, Moment::ZERO, now)
}

/// As [`datapoints`], of a run that began at a moment.
fn datapoints_since(alarm: &Alarm, measurements: &Measurements, begin: Moment, now: Moment) -> Vec<Option<f64>> {
    let period = alarm.period.get().max(crate::measurements::SLOT);
    let mut points = Vec::new();
    let mut end = now;
    for _ in 0..alarm.evaluation_periods.max(1) + BEYOND {
        if end <= begin {
            break;
        }
        let start = end.before(period).max(begin);
        let whole = end - start == period;
        let point = datapoint(alarm, measurements, start, end);
        if whole || (can_only_grow_worse(alarm) && point.is_some()) {
            points.push(point);
        }
        end = start;
    }
    points.reverse();
    points
}

/// Whether more samples can only make the statistic breach more.
const fn can_only_grow_worse(alarm: &Alarm) -> bool {
    match alarm.comparison {
        Comparison::Greater | Comparison::GreaterOrEqual => {
            matches!(alarm.statistic, Statistic::Sum | Statistic::SampleCount | Statistic::Maximum)
        }
        Comparison::Less | Comparison::LessOrEqual => matches!(alarm.statistic, Statistic::Minimum),
        Comparison::Equal | Comparison::NotEqual => false,
    }
}

/// The statistic of one period; `None` without data.
///
/// Of a count, `Sum` is how many events there were, `SampleCount` how many requests they were counted among (or the events themselves, where
/// they are the requests), and the others are 1
/// when there was an event at all (each event is a sample of value 1, as CloudWatch publishes them). Of a share, a rate or a named
/// quantile such as `http.latency.p99` the period has one value, which every statistic but `SampleCount` and percentiles is.
fn datapoint(alarm: &Alarm, measurements: &Measurements, from: Moment, to: Moment) -> Option<f64> {
    let metric = &alarm.metric;
    let kind = measurements.kind(metric)?;
    if let (Statistic::Percentile(percent), MetricKind::Quantile(_) | MetricKind::Mean) = (alarm.statistic, kind) {
        return percentile(alarm, percent, measurements, from, to);
    }
    let reading = measurements.read(metric, from, to);
    if reading.samples() == 0 {
        return None;
    }
    let samples = as_f64(reading.samples());
    match (&reading, alarm.statistic) {
        (Reading::Nothing, _) => None,
        (Reading::Value { value, .. }, Statistic::SampleCount) if kind == MetricKind::Count => {
            Some(measurements.asked(metric, from, to).map_or(*value, as_f64))
        }
        (_, Statistic::SampleCount) => Some(samples),
        (Reading::Level { min, .. }, Statistic::Minimum) => Some(*min),
        (Reading::Level { max, .. }, Statistic::Maximum) => Some(*max),
        (Reading::Level { mean, .. }, Statistic::Average) => Some(*mean),
        // A sum of levels is a matter of how often they are sampled; the level itself is what stays meaningful.
        (Reading::Level { last, .. }, Statistic::Sum) => Some(*last),
        (Reading::Level { .. }, Statistic::Percentile(percent)) => {
            measurements.level_quantile(metric, from, to, ppm(percent))
        }
        (Reading::Value { value, .. }, statistic) if kind == MetricKind::Count => Some(match statistic {
            Statistic::Sum => *value,
            _ => value.min(1.0),
        }),
        (Reading::Value { value, .. }, statistic) if kind == MetricKind::Mean => {
            let spread = measurements.spread(metric, from, to);
            match statistic {
                Statistic::Minimum => spread.min(),
                Statistic::Maximum => spread.max(),
                Statistic::Sum => Some(spread.sum()),
                _ => Some(*value),
            }
        }
        (Reading::Value { value, .. }, _) => Some(*value),
        (Reading::Quantile { .. }, _) => certain(alarm, &reading),
    }
}

fn percentile(alarm: &Alarm, percent: f64, measurements: &Measurements, from: Moment, to: Moment) -> Option<f64> {
    let ppm = ppm(percent);
    let spread = measurements.spread(&alarm.metric, from, to);
    let value = spread.quantile(ppm)?;
    certain(alarm, &Reading::Quantile { value, ppm, spread })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=1,000,000 first")]
fn ppm(percent: f64) -> u32 {
    (percent * 10_000.0).round().clamp(0.0, 1_000_000.0) as u32
}

/// A quantile's value, unless it has too few samples to tell on which side of the threshold it lies.
fn certain(alarm: &Alarm, reading: &Reading) -> Option<f64> {
    let within = match alarm.comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
    };
    let quantity = Quantity { value: alarm.threshold, unit: Unit::Seconds };
    match reading.judge(&Condition { comparison: within, quantity }) {
        Judgement::Holds | Judgement::Broken => reading.value(),
        Judgement::NotEnough { .. } => None,
    }
}

/// An alarm being watched: it remembers the state it was in.
#[derive(Debug, Clone)]
pub struct Watch {
    name: String,
    alarm: Alarm,
    state: AlarmState,
    begin: Moment,
}

/// An alarm changed its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The alarm's name.
    pub alarm: String,
    /// The state it was in.
    pub from: AlarmState,
    /// The state it is in.
    pub to: AlarmState,
    /// Why, with the figures.
    pub reason: String,
    /// When.
    pub at: Moment,
}

impl Watch {
    /// Starts to watch; an alarm begins with insufficient data.
    #[must_use]
    pub fn new(name: impl Into<String>, alarm: Alarm) -> Self {
        Self { name: name.into(), alarm, state: AlarmState::InsufficientData, begin: Moment::ZERO }
    }

    /// Looks at nothing that happened before a moment, such as errors while the system was started.
    #[must_use]
    pub const fn beginning(mut self, begin: Moment) -> Self {
        self.begin = begin;
        self
    }

    /// The alarm's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The alarm.
    #[must_use]
    pub const fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// The state it is in.
    #[must_use]
    pub const fn state(&self) -> AlarmState {
        self.state
    }

    /// Looks at what is measured now; says so if that changes the state.
    pub fn step(&mut self, measurements: &Measurements, now: Moment) -> Option<Transition> {
        let points = datapoints_since(&self.alarm, measurements, self.begin, now);
        let (to, reason) = evaluate(&self.alarm, &points, self.state);
        let from = std::mem::replace(&mut self.state, to);
        (from != to).then(|| Transition { alarm: self.name.clone(), from, to, reason, at: now })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{Period, metric::Metric};

    use super::*;

    fn alarm(metric: Metric, statistic: Statistic, m: u32, n: u32, comparison: Comparison, threshold: f64) -> Alarm {
        Alarm {
            metric,
            statistic,
            period: Period::from_secs(10),
            evaluation_periods: n,
            datapoints_to_alarm: m,
            threshold,
            comparison,
            treat_missing_data: TreatMissingData::Missing,
            cloudwatch: None,
        }
    }

    fn at(seconds: f64) -> Moment {
        Moment::from(seconds)
    }

    #[test]
    fn a_sum_fires_as_soon_as_it_is_too_large_even_in_the_first_period() {
        let measurements = Measurements::new();
        let metric = Metric::new("http.errors.5xx");
        let mut watch =
            Watch::new("too-many-5xx", alarm(metric.clone(), Statistic::Sum, 1, 1, Comparison::Greater, 5.0));
        assert_eq!(watch.step(&measurements, at(0.5)), None, "nothing asked, nothing known");
        measurements.count(&Metric::new("http.success"), at(0.6), 10);
        let transition = watch.step(&measurements, at(0.7)).unwrap();
        assert_eq!((transition.from, transition.to), (AlarmState::InsufficientData, AlarmState::Ok));
        measurements.count(&metric, at(1.0), 6);
        let transition = watch.step(&measurements, at(1.0)).unwrap();
        assert_eq!(transition.to, AlarmState::Alarm);
        assert_eq!(transition.reason, "http.errors.5xx Sum over PT10S is 6, which is > 5");
        assert_eq!(watch.step(&measurements, at(11.0)), None, "an empty newest period is bridged by the older one");
        measurements.count(&Metric::new("http.success"), at(11.5), 1);
        assert_eq!(watch.step(&measurements, at(11.5)).unwrap().to, AlarmState::Ok);
    }

    #[test]
    fn what_was_before_the_watch_began_is_not_looked_at() {
        let measurements = Measurements::new();
        let metric = Metric::new("http.errors.5xx");
        measurements.count(&metric, at(2.0), 9);
        let alarm = alarm(metric.clone(), Statistic::Sum, 1, 1, Comparison::Greater, 5.0);
        let mut watch = Watch::new("too-many-5xx", alarm.clone()).beginning(at(3.0));
        assert_eq!(Watch::new("all", alarm).step(&measurements, at(4.0)).unwrap().to, AlarmState::Alarm);
        assert_eq!(watch.step(&measurements, at(4.0)), None);
        measurements.count(&metric, at(5.0), 6);
        assert_eq!(watch.step(&measurements, at(5.0)).unwrap().to, AlarmState::Alarm);
    }

    #[test]
    fn a_mean_or_a_lower_bound_waits_for_a_whole_period() {
        let measurements = Measurements::new();
        measurements.count(&Metric::new("http.success"), at(0.1), 3);
        measurements.latency("http.latency", None, at(0.1), Duration::from_secs(5));
        let slow = alarm(Metric::new("http.latency.mean"), Statistic::Average, 1, 1, Comparison::Greater, 1.0);
        let few = alarm(Metric::new("http.success"), Statistic::Sum, 1, 1, Comparison::Less, 100.0);
        assert!(datapoints(&slow, &measurements, at(9.9)).is_empty());
        assert!(datapoints(&few, &measurements, at(9.9)).is_empty());
        assert_eq!(datapoints(&slow, &measurements, at(10.0)), [Some(5.0)]);
        assert_eq!(datapoints(&few, &measurements, at(10.0)), [Some(3.0)]);
        assert_eq!(evaluate(&slow, &[], AlarmState::Ok).0, AlarmState::Ok);
    }

    #[test]
    fn a_gauge_that_falls_fires_at_once_and_m_of_n_needs_m() {
        let measurements = Measurements::new();
        let metric = Metric::of("group.healthy", "web");
        measurements.gauge(&metric, at(0.0), 2.0);
        let one = alarm(metric.clone(), Statistic::Minimum, 1, 1, Comparison::Less, 2.0);
        let two = alarm(metric.clone(), Statistic::Minimum, 2, 3, Comparison::Less, 2.0);
        let state = |alarm: &Alarm, now| evaluate(alarm, &datapoints(alarm, &measurements, now), AlarmState::Ok).0;
        assert_eq!(state(&one, at(3.0)), AlarmState::Ok);
        measurements.gauge(&metric, at(25.0), 1.0);
        assert_eq!(state(&one, at(25.0)), AlarmState::Alarm);
        assert_eq!(state(&two, at(34.0)), AlarmState::Ok);
        assert_eq!(state(&two, at(36.0)), AlarmState::Alarm, "{:?}", datapoints(&two, &measurements, at(36.0)));
    }

    #[test]
    fn a_percentile_with_too_few_samples_is_missing_unless_certain() {
        let measurements = Measurements::new();
        let slow = alarm(Metric::new("http.latency.mean"), Statistic::Percentile(99.0), 1, 1, Comparison::Greater, 0.5);
        for n in 0..100 {
            let latency = Duration::from_millis(if n < 5 { 900 } else { 100 });
            measurements.latency("http.latency", None, at(5.0), latency);
        }
        assert_eq!(datapoints(&slow, &measurements, at(10.0)), [None], "5 of 100 are too slow, 10 of 1,000 may be");
        for _ in 0..6 {
            measurements.latency("http.latency", None, at(6.0), Duration::from_millis(900));
        }
        let points = datapoints(&slow, &measurements, at(10.0));
        assert!(points[0].is_some_and(|p99| (p99 - 0.9).abs() < 0.001), "{points:?}");
    }
}
