//! All samples of a run, by metric.
//!
//! ```text
//!   load ──┐  count, latencies (batches of 100 ms)         ┌── read(window) ──▶ Reading ──judge──▶ Judgement
//!   probes ┼─────────────▶ Measurements ───────────────────┼── series ──▶ plots
//!   lab  ──┘  gauge            │ changed()                 └── alarm::datapoints
//! ```
//!
//! **What is kept.** A gauge is the list of its changes. Counts and latencies are kept in slots of [`SLOT`], each stamped
//! with the moment of its first sample, so that any window can be cut to 10 ms (to 100 ms for latencies that arrive in
//! batches of that length, as those of the load do). A slot of latencies holds only the buckets in use (8 bytes each,
//! HDR buckets of at most 0.1 % of the value): ten minutes at 2,000 requests per second take about 10 MB, at 50,000 per
//! second about 40 MB.
//!
//! **Windows** are open at the beginning and closed at the end, `(from, to]`: a sample at `now` belongs to the window that
//! ends now, and of two windows in a row each sample belongs to exactly one. A window from the start of the clock includes
//! the start.
//!
//! **Events are counted once, under their most specific name**: an error 503 of the load is counted as `http.errors.5xx`, and
//! `http.errors`, `http.errors.share` and `http.success.share` are computed here. What is computed from what:
//!
//! | metric | from |
//! |---|---|
//! | `http.errors` | `http.errors.*` |
//! | `http.success.share`, `http.errors.share` | `http.success` and `http.errors.*` |
//! | `http.rate` | `http.success` |
//! | `balancer.errors.5xx` | `balancer.errors.own_5xx` and `balancer.errors.target_5xx` |
//! | `http.latency.*` | latencies of the family `http.latency` |
//! | `balancer.target_response_time.*` | latencies of that family, of the balancer |

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use model::{
    Moment,
    metric::{Condition, Metric, MetricKind},
};
use tokio::sync::watch;

use crate::{
    reading::{Reading, Spread, as_f64},
    shelf::{Shelf, lock},
};

/// Latencies in microseconds with three significant digits.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// Samples closer together than this share a slot.
pub const SLOT: Duration = Duration::from_millis(10);

/// The longest latency a [`histogram`] tells apart, in microseconds: an hour. Longer ones count as an hour.
pub const LONGEST: u64 = 3_600_000_000;

/// The family of the load's latencies.
pub const HTTP_LATENCY: &str = "http.latency";
/// The family of the time a balancer's targets took to answer.
pub const TARGET_RESPONSE_TIME: &str = "balancer.target_response_time";
/// Responses of the load that are not errors. What `http.rate` and `http.success.share` are computed from.
pub const HTTP_SUCCESS: &str = "http.success";

/// Up to so many buckets are sorted one by one; more go through a histogram, whose 17,000 buckets then cost less.
const FEW: usize = 2_000;
/// Length of the stretches in which [`Measurements::held_since`] looks at events.
const HELD_STRETCH: Duration = Duration::from_secs(1);
/// So many stretches without any event do not interrupt: ten seconds, longer than the pauses of any sensible load.
const HELD_SILENCE: u32 = 10;

/// An empty histogram of the shape that [`Measurements::latencies`] takes without loss.
#[must_use]
pub fn histogram() -> Histogram {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("1 us to 1 h with 3 digits are bounds that hdrhistogram accepts")
}

/// All samples of a run. Cheap to clone; all clones share the same samples.
///
/// Writers of many samples collect them and hand them over in batches: each call takes a lock for a moment.
#[derive(Debug, Clone)]
pub struct Measurements {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gauges: Shelf<(Moment, f64)>,
    counts: Shelf<(Moment, u64)>,
    latencies: Shelf<LatencySlot>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct LatencySlot {
    at: Moment,
    /// (upper end of the bucket in microseconds, how many), ascending by bucket. An hour fits 32 bits.
    buckets: Vec<(u32, u32)>,
}

impl Default for Measurements {
    fn default() -> Self {
        Self::new()
    }
}

impl Measurements {
    /// No samples yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                gauges: Shelf::default(),
                counts: Shelf::default(),
                latencies: Shelf::default(),
                changes: watch::Sender::new(0),
            }),
        }
    }

    /// A gauge has this level from now on. NaN says that its level is not known from now on.
    pub fn gauge(&self, metric: &Metric, at: Moment, level: f64) {
        let series = self.shared.gauges.or_new(metric);
        let mut levels = lock(&series);
        let place = levels.partition_point(|&(set, _)| set <= at);
        let same = place.checked_sub(1).is_some_and(|before| levels[before].1.to_bits() == level.to_bits());
        if !same {
            levels.insert(place, (at, level));
        }
        drop(levels);
        // Also when the level is the old one: that it was confirmed just now may be news to whoever waits for a sample.
        self.tell();
    }

    /// So many events happened. Zero is worth recording: it says that somebody counts.
    pub fn count(&self, metric: &Metric, at: Moment, events: u64) {
        let series = self.shared.counts.or_new(metric);
        let mut slots = lock(&series);
        match slot_at(&slots, at, |&(at, _)| at) {
            Ok(place) => slots[place].1 += events,
            Err(place) => slots.insert(place, (at, events)),
        }
        drop(slots);
        self.tell();
    }

    /// One latency of a family ([`HTTP_LATENCY`], [`TARGET_RESPONSE_TIME`]).
    pub fn latency(&self, family: &str, of: Option<&str>, at: Moment, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).min(LONGEST);
        self.merge(family, of, at, &[(narrow(micros), 1)]);
    }

    /// A batch of latencies of a family, in microseconds (see [`histogram`]), all of which ended by `at`.
    pub fn latencies(&self, family: &str, of: Option<&str>, at: Moment, batch: &Histogram) {
        let buckets: Vec<(u32, u32)> = batch
            .iter_recorded()
            .map(|bucket| (narrow(bucket.value_iterated_to()), narrow(bucket.count_at_value())))
            .collect();
        if !buckets.is_empty() {
            self.merge(family, of, at, &buckets);
        }
    }

    /// What a metric was in `(from, to]`.
    #[must_use]
    pub fn read(&self, metric: &Metric, from: Moment, to: Moment) -> Reading {
        match self.kind(metric) {
            None => Reading::Nothing,
            Some(MetricKind::Gauge) => self.levels(metric, from, to),
            Some(MetricKind::Count) => {
                self.events(metric, from, to).map_or(Reading::Nothing, |events| Reading::Value {
                    value: as_f64(events),
                    // That nothing at all was counted is a fact where somebody counts; of our own requests it proves nothing.
                    samples: self
                        .asked(metric, from, to)
                        .unwrap_or_else(|| if metric.name.starts_with("http.") { events } else { events.max(1) }),
                })
            }
            Some(MetricKind::Rate) => {
                self.ratio(metric, from, to, |part, _| part / (to - from).as_secs_f64().max(f64::MIN_POSITIVE))
            }
            Some(MetricKind::Share) => self.ratio(metric, from, to, |part, all| 100.0 * part / all),
            Some(MetricKind::Quantile(ppm)) => {
                let spread = self.spread(metric, from, to);
                match spread.quantile(ppm) {
                    Some(value) => Reading::Quantile { value, ppm, spread },
                    None => Reading::Nothing,
                }
            }
            Some(MetricKind::Mean) => {
                let spread = self.spread(metric, from, to);
                spread.mean().map_or(Reading::Nothing, |value| Reading::Value { value, samples: spread.count() })
            }
        }
    }

    /// The readings of consecutive stretches of `every` from `from`; the last one ends at `to` and may be shorter.
    #[must_use]
    pub fn stretches(&self, metric: &Metric, from: Moment, to: Moment, every: Duration) -> Vec<(Moment, Reading)> {
        // A millisecond keeps a length of zero from never coming to an end.
        let every = every.max(Duration::from_millis(1));
        let mut starts = Vec::new();
        let mut start = from;
        while start < to {
            starts.push(start);
            start = start + every;
        }
        starts.into_iter().map(|start| (start, self.read(metric, start, (start + every).min(to)))).collect()
    }

    /// Since when a condition has held without interruption until `until`; `None` when it does not hold then.
    ///
    /// For a gauge that is the moment of a change. What is computed from events is looked at in whole seconds of the clock: each
    /// second with events must satisfy the condition by itself, however few they are; up to ten seconds without any are
    /// passed over.
    #[must_use]
    pub fn held_since(&self, metric: &Metric, condition: &Condition, until: Moment) -> Option<Moment> {
        if self.kind(metric)? == MetricKind::Gauge {
            return self.level_held_since(metric, condition, until);
        }
        let mut since = None;
        let mut silent = 0;
        let mut end = until;
        while end > Moment::ZERO && silent <= HELD_SILENCE {
            // The newest stretch may be a part of a second; one that ends on a whole second begins a second earlier.
            let nanos = end.since_start().as_nanos() - 1;
            let seconds = u64::try_from(nanos / HELD_STRETCH.as_nanos()).unwrap_or(u64::MAX);
            let start = Moment::after(HELD_STRETCH.saturating_mul(u32::try_from(seconds).unwrap_or(u32::MAX)));
            let reading = self.read(metric, start, end);
            match reading.value() {
                Some(value) if reading.samples() > 0 => {
                    if !condition.holds(value) {
                        return since;
                    }
                    silent = 0;
                    since = Some(start);
                }
                _ => silent += 1,
            }
            end = start;
        }
        since
    }

    /// A metric over time, for plots: a gauge's changes; otherwise the value of each stretch of `step` (stamped with its
    /// beginning) in which there was something to measure. A last stretch of less than half of that is left out.
    #[must_use]
    pub fn series(&self, metric: &Metric, step: Duration) -> Vec<(Moment, f64)> {
        if self.kind(metric) == Some(MetricKind::Gauge) {
            let Some(series) = self.shared.gauges.get(metric) else { return Vec::new() };
            return lock(&series).iter().copied().filter(|(_, level)| !level.is_nan()).collect();
        }
        let Some(end) = self.last_sample(metric) else { return Vec::new() };
        // What arrives in batches makes a monster of the rate of a short rest.
        let is_whole = |start: &Moment| end.since(*start) * 2 >= step;
        self.stretches(metric, Moment::ZERO, end, step)
            .into_iter()
            .filter(|(start, reading)| reading.samples() > 0 && is_whole(start))
            .filter_map(|(at, reading)| Some((at, reading.value()?)))
            .collect()
    }

    /// Every metric that can be read now: those recorded and those computed from them.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.shared.gauges.names();
        metrics.extend(self.shared.counts.names().into_iter().filter(|metric| metric.name != HTTP_SUCCESS));
        let recorded: Vec<Metric> =
            [self.shared.counts.names(), self.shared.latencies.names()].into_iter().flatten().collect();
        for entry in model::metric::METRICS {
            for one in &recorded {
                let metric = Metric { name: entry.name.to_owned(), of: one.of.clone() };
                let made_of = sources(&metric).iter().any(|source| source.matches(&one.name));
                if made_of || family(entry.name) == Some(one.name.as_str()) {
                    metrics.push(metric);
                }
            }
        }
        metrics.sort();
        metrics.dedup();
        metrics
    }

    /// Wakes its owner when there are new samples; any number of them since the last look are one change.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// All latencies of a metric's family in `(from, to]`.
    #[must_use]
    pub fn spread(&self, metric: &Metric, from: Moment, to: Moment) -> Spread {
        let name = family(&metric.name).unwrap_or(&metric.name);
        let Some(series) = self.shared.latencies.get(&Metric { name: name.to_owned(), of: metric.of.clone() }) else {
            return Spread::default();
        };
        let slots = lock(&series);
        let slots = between(&slots, from, to, |slot| slot.at);
        let buckets = slots.iter().flat_map(|slot| &slot.buckets).map(|&(micros, n)| (u64::from(micros), u64::from(n)));
        if slots.iter().map(|slot| slot.buckets.len()).sum::<usize>() <= FEW {
            return Spread { buckets: sorted(buckets.collect()) };
        }
        let mut all = histogram();
        let mut largest = 0;
        for (micros, n) in buckets {
            all.saturating_record_n(micros, n);
            largest = largest.max(micros);
        }
        // The histogram tells the upper ends of its buckets, which for the last one lies beyond the largest sample.
        let buckets =
            all.iter_recorded().map(|bucket| (bucket.value_iterated_to().min(largest), bucket.count_at_value()));
        Spread { buckets: buckets.collect() }
    }

    /// How many events were counted in `(from, to]`; `None` when nobody counts them.
    ///
    /// Errors are counted by whoever asks: that there were none is known once something was asked.
    #[must_use]
    pub fn events(&self, metric: &Metric, from: Moment, to: Moment) -> Option<u64> {
        let mut counted = self.sum(&sources(metric), metric.of.as_deref(), from, to);
        if counted.is_none() && !asks(&metric.name).is_empty() {
            counted = self.sum(asks(&metric.name), metric.of.as_deref(), Moment::ZERO, to).map(|_| 0);
        }
        counted
    }

    /// How many requests a count rests on in `(from, to]`; `None` for counts that do not rest on requests.
    pub(crate) fn asked(&self, metric: &Metric, from: Moment, to: Moment) -> Option<u64> {
        let asks = asks(&metric.name);
        (!asks.is_empty()).then(|| self.sum(asks, metric.of.as_deref(), from, to).unwrap_or(0))
    }

    /// How its values become one; `None` when nothing of it was ever recorded and it is no metric of ours.
    pub(crate) fn kind(&self, metric: &Metric) -> Option<MetricKind> {
        match metric.entry() {
            Some(entry) => Some(entry.kind),
            None if self.shared.gauges.get(metric).is_some() => Some(MetricKind::Gauge),
            None if self.shared.counts.get(metric).is_some() => Some(MetricKind::Count),
            None => None,
        }
    }

    fn ratio(&self, metric: &Metric, from: Moment, to: Moment, of: impl Fn(f64, f64) -> f64) -> Reading {
        let all = self.asked(metric, from, to).unwrap_or(0);
        if all == 0 {
            return Reading::Nothing;
        }
        let part = self.sum(&sources(metric), metric.of.as_deref(), from, to).unwrap_or(0);
        Reading::Value { value: of(as_f64(part), as_f64(all)), samples: all }
    }

    fn sum(&self, sources: &[Source], of: Option<&str>, from: Moment, to: Moment) -> Option<u64> {
        let series: Vec<_> = self
            .shared
            .counts
            .all()
            .into_iter()
            .filter(|(name, _)| name.of.as_deref() == of && sources.iter().any(|source| source.matches(&name.name)))
            .collect();
        (!series.is_empty()).then(|| {
            let sum = |series: &Arc<Mutex<Vec<(Moment, u64)>>>| -> u64 {
                between(&lock(series), from, to, |&(at, _)| at).iter().map(|&(_, events)| events).sum()
            };
            series.iter().map(|(_, series)| sum(series)).sum()
        })
    }

    /// The level that a gauge does not exceed for this share (in ppm) of `(from, to]`, as far as it is known.
    #[must_use]
    pub fn level_quantile(&self, metric: &Metric, from: Moment, to: Moment, ppm: u32) -> Option<f64> {
        let mut steps = self.steps(metric, from, to);
        steps.retain(|(level, _)| !level.is_nan());
        steps.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let all: Duration = steps.iter().map(|&(_, lasted)| lasted).sum();
        let rank = all.as_nanos() * u128::from(ppm.min(1_000_000)) / 1_000_000;
        let mut passed = 0;
        steps
            .iter()
            .find(|(_, lasted)| {
                passed += lasted.as_nanos();
                passed >= rank
            })
            .map(|&(level, _)| level)
    }

    /// Each level of a gauge in `(from, to]` with how long it lasted there, beginning with the one that was valid at `from`.
    fn steps(&self, metric: &Metric, from: Moment, to: Moment) -> Vec<(f64, Duration)> {
        let Some(series) = self.shared.gauges.get(metric) else { return Vec::new() };
        let series = lock(&series);
        let start = series.partition_point(|&(at, _)| at <= from);
        let end = series.partition_point(|&(at, _)| at <= to);
        (start.saturating_sub(1)..end)
            .map(|place| {
                let (at, level) = series[place];
                let until = if place + 1 < end { series[place + 1].0 } else { to };
                (level, until - at.max(from))
            })
            .collect()
    }

    fn levels(&self, metric: &Metric, from: Moment, to: Moment) -> Reading {
        let steps = self.steps(metric, from, to);
        let known: Vec<(f64, Duration)> = steps.iter().copied().filter(|(level, _)| !level.is_nan()).collect();
        let unknown = steps.iter().filter(|(level, _)| level.is_nan()).map(|&(_, length)| length).sum();
        let (Some(&(first, _)), Some(&(last, _))) = (known.first(), known.last()) else { return Reading::Nothing };
        let length: Duration = known.iter().map(|&(_, length)| length).sum();
        let mean = if length.is_zero() {
            last
        } else {
            known.iter().map(|&(level, lasted)| level * lasted.as_secs_f64()).sum::<f64>() / length.as_secs_f64()
        };
        let mut levels: Vec<f64> = known.iter().map(|&(level, _)| level).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let (min, max) = (levels[0], levels[levels.len() - 1]);
        Reading::Level { first, last, min, max, mean, samples: known.len() as u64, levels, unknown }
    }

    fn level_held_since(&self, metric: &Metric, condition: &Condition, until: Moment) -> Option<Moment> {
        let series = self.shared.gauges.get(metric)?;
        let series = lock(&series);
        let end = series.partition_point(|&(at, _)| at <= until);
        // NaN satisfies `!=` in IEEE arithmetic, but a level that is not known holds nothing.
        let holding = series[..end].iter().rev().take_while(|&&(_, level)| !level.is_nan() && condition.holds(level));
        holding.last().map(|&(at, _)| at)
    }

    fn last_sample(&self, metric: &Metric) -> Option<Moment> {
        if let Some(family) = family(&metric.name) {
            let series = self.shared.latencies.get(&Metric { name: family.to_owned(), of: metric.of.clone() })?;
            return lock(&series).last().map(|slot| slot.at);
        }
        let made_of = sources(metric);
        self.shared
            .counts
            .all()
            .into_iter()
            .filter(|(name, _)| {
                name.of == metric.of
                    && made_of.iter().chain(asks(&metric.name)).any(|source| source.matches(&name.name))
            })
            .filter_map(|(_, series)| lock(&series).last().map(|&(at, _)| at))
            .max()
    }

    fn merge(&self, family: &str, of: Option<&str>, at: Moment, buckets: &[(u32, u32)]) {
        let series = self.shared.latencies.or_new(&Metric { name: family.to_owned(), of: of.map(str::to_owned) });
        let mut slots = lock(&series);
        match slot_at(&slots, at, |slot| slot.at) {
            Ok(place) => {
                let into = &mut slots[place].buckets;
                for &(micros, count) in buckets {
                    match into.binary_search_by_key(&micros, |&(micros, _)| micros) {
                        Ok(bucket) => into[bucket].1 = into[bucket].1.saturating_add(count),
                        Err(bucket) => into.insert(bucket, (micros, count)),
                    }
                }
            }
            Err(place) => slots.insert(place, LatencySlot { at, buckets: buckets.to_vec() }),
        }
        drop(slots);
        self.tell();
    }

    fn tell(&self) {
        self.shared.changes.send_modify(|changes| *changes += 1);
    }
}

/// Names of counted events that a metric is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// Exactly this name.
    Is(&'static str),
    /// This name and all names beneath it: `http.errors`, `http.errors.5xx`.
    Within(&'static str),
    /// The metric's own name.
    Own(String),
}

impl Source {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Is(own) => name == *own,
            Self::Own(own) => name == own,
            Self::Within(above) => {
                name.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        }
    }
}

/// What a count, or the numerator of a rate or share, is the sum of.
fn sources(metric: &Metric) -> Vec<Source> {
    match metric.name.as_str() {
        "http.errors" | "http.errors.share" => vec![Source::Within("http.errors")],
        "http.rate" | "http.success.share" => vec![Source::Is(HTTP_SUCCESS)],
        "balancer.errors.5xx" => vec![
            Source::Is("balancer.errors.5xx"),
            Source::Is("balancer.errors.own_5xx"),
            Source::Is("balancer.errors.target_5xx"),
        ],
        name => vec![Source::Own(name.to_owned())],
    }
}

/// The events that must have happened before a metric says anything: requests that came to an end.
fn asks(name: &str) -> &'static [Source] {
    const OUTCOMES: &[Source] = &[Source::Is(HTTP_SUCCESS), Source::Within("http.errors")];
    const RECEIVED: &[Source] = &[Source::Is("balancer.requests")];
    if name.starts_with("http.errors") || matches!(name, "http.rate" | "http.success.share") {
        OUTCOMES
    } else if name.starts_with("balancer.errors.") {
        RECEIVED
    } else {
        &[]
    }
}

/// The family whose latencies a metric is computed from.
pub(crate) fn family(name: &str) -> Option<&str> {
    let (family, _) = name.rsplit_once('.')?;
    matches!(family, HTTP_LATENCY | TARGET_RESPONSE_TIME).then_some(family)
}

/// Where a sample belongs: in an existing slot, or in a new one at a place.
fn slot_at<T>(slots: &[T], at: Moment, moment: impl Fn(&T) -> Moment) -> Result<usize, usize> {
    let place = slots.partition_point(|slot| moment(slot) <= at);
    match place.checked_sub(1) {
        Some(before) if at - moment(&slots[before]) < SLOT => Ok(before),
        _ => Err(place),
    }
}

/// The part of a series in `(from, to]`, which from the start of the clock includes the start.
fn between<T>(series: &[T], from: Moment, to: Moment, at: impl Fn(&T) -> Moment) -> &[T] {
    let start = if from == Moment::ZERO { 0 } else { series.partition_point(|sample| at(sample) <= from) };
    let end = series.partition_point(|sample| at(sample) <= to);
    &series[start.min(end)..end]
}

/// Buckets in ascending order, each once.
fn sorted(mut buckets: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    buckets.sort_unstable_by_key(|&(micros, _)| micros);
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    buckets
}

/// Microseconds up to an hour and counts of one slot fit 32 bits; what does not saturates.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::from(seconds)
    }

    fn is(condition: &str) -> Condition {
        condition.parse().unwrap()
    }

    fn web() -> Metric {
        Metric::of("group.healthy", "web")
    }

    fn judge(measurements: &Measurements, metric: &str, condition: &str, from: f64, to: f64) -> Judgement {
        measurements.read(&Metric::new(metric), at(from), at(to)).judge(&is(condition))
    }

    use crate::reading::Judgement;

    #[test]
    fn a_gauge_is_a_step_function_and_the_level_at_the_beginning_counts() {
        let measurements = Measurements::new();
        measurements.gauge(&web(), at(0.0), 2.0);
        measurements.gauge(&web(), at(10.0), 1.0);
        measurements.gauge(&web(), at(14.0), 2.0);
        measurements.gauge(&web(), at(15.0), 2.0);
        let reading = measurements.read(&web(), at(8.0), at(18.0));
        let Reading::Level { first, last, min, max, mean, samples, levels, unknown } = reading else {
            panic!("{reading:?}")
        };
        assert_eq!((first, last, min, max, samples), (2.0, 2.0, 1.0, 2.0, 3));
        assert_eq!((levels, unknown), (vec![1.0, 2.0], Duration::ZERO));
        assert!((mean - 1.6).abs() < 1e-9, "4 of 10 seconds at 1: {mean}");
        let quantile = |ppm| measurements.level_quantile(&web(), at(8.0), at(18.0), ppm);
        assert_eq!((quantile(390_000), quantile(410_000)), (Some(1.0), Some(2.0)));
        assert_eq!(measurements.read(&web(), at(15.0), at(16.0)).judge(&is("== 2")), Judgement::Holds);
        assert_eq!(measurements.read(&web(), at(13.0), at(16.0)).judge(&is("== 2")), Judgement::Broken);
        assert_eq!(measurements.read(&Metric::of("group.healthy", "db"), at(0.0), at(9.0)), Reading::Nothing);
    }

    #[test]
    fn a_level_that_is_not_known_proves_nothing() {
        let measurements = Measurements::new();
        measurements.gauge(&web(), at(1.0), 2.0);
        measurements.gauge(&web(), at(5.0), f64::NAN);
        measurements.gauge(&web(), at(7.0), 2.0);
        let judge = |from, to| measurements.read(&web(), at(from), at(to)).judge(&is("== 2"));
        assert_eq!(judge(1.0, 4.0), Judgement::Holds);
        assert!(matches!(judge(1.0, 9.0), Judgement::NotEnough { .. }));
        assert!(matches!(judge(5.5, 6.5), Judgement::NotEnough { .. }));
        assert_eq!(measurements.held_since(&web(), &is("!= 3"), at(6.0)), None);
        assert_eq!(measurements.held_since(&web(), &is("== 2"), at(9.0)), Some(at(7.0)));
        assert_eq!(measurements.series(&web(), Duration::from_secs(1)), [(at(1.0), 2.0), (at(7.0), 2.0)]);
    }

    #[test]
    fn errors_of_every_kind_add_up_and_shares_follow() {
        let measurements = Measurements::new();
        measurements.count(&Metric::new("http.success"), at(1.0), 996);
        measurements.count(&Metric::new("http.errors.5xx"), at(1.0), 3);
        measurements.count(&Metric::new("http.errors.timeout"), at(2.0), 1);
        let value = |name: &str| measurements.read(&Metric::new(name), at(0.0), at(2.0)).value();
        assert_eq!(value("http.errors"), Some(4.0));
        assert_eq!(value("http.errors.5xx"), Some(3.0));
        assert_eq!(value("http.errors.connect"), Some(0.0), "nobody was refused, and that is known");
        assert_eq!(value("http.errors.share"), Some(0.4));
        assert_eq!(value("http.success.share"), Some(99.6));
        assert_eq!(value("http.rate"), Some(498.0));
        assert_eq!(judge(&measurements, "http.errors.connect", "== 0", 0.0, 2.0), Judgement::Holds);
        assert_eq!(judge(&measurements, "http.errors.5xx", "== 0", 0.0, 2.0), Judgement::Broken);
        let names: Vec<String> = measurements.metrics().iter().map(ToString::to_string).collect();
        assert!(
            names.contains(&"http.errors.share".to_owned()) && names.contains(&"http.rate".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn no_errors_among_no_requests_proves_nothing() {
        let measurements = Measurements::new();
        assert!(matches!(judge(&measurements, "http.errors", "== 0", 0.0, 5.0), Judgement::NotEnough { .. }));
        measurements.count(&Metric::new("http.success"), at(1.0), 1);
        assert_eq!(judge(&measurements, "http.errors", "== 0", 0.0, 5.0), Judgement::Holds);
        for metric in ["http.errors", "http.errors.share", "http.rate", "http.success.share"] {
            let judgement = judge(&measurements, metric, ">= 0", 2.0, 5.0);
            assert!(matches!(judgement, Judgement::NotEnough { .. }), "{metric}: {judgement:?}");
        }
    }

    #[test]
    fn a_balancers_errors_are_its_own_and_its_targets() {
        let measurements = Measurements::new();
        let of = |name: &str| Metric::of(name, "front");
        measurements.count(&of("balancer.requests"), at(1.0), 50);
        measurements.count(&of("balancer.errors.own_5xx"), at(1.0), 2);
        measurements.count(&of("balancer.errors.target_5xx"), at(1.0), 1);
        measurements.count(&Metric::of("balancer.errors.own_5xx", "other"), at(1.0), 7);
        assert_eq!(measurements.read(&of("balancer.errors.5xx"), at(0.0), at(2.0)).value(), Some(3.0));
        let quiet = measurements.read(&of("balancer.requests"), at(2.0), at(3.0));
        assert_eq!(quiet.judge(&is("== 0")), Judgement::Holds, "where somebody counts, none is a fact");
    }

    #[test]
    fn held_since_finds_the_change_of_a_gauge() {
        let measurements = Measurements::new();
        for (when, level) in [(0.0, 2.0), (5.0, 1.0), (9.5, 2.0), (12.0, 3.0)] {
            measurements.gauge(&web(), at(when), level);
        }
        assert_eq!(measurements.held_since(&web(), &is(">= 2"), at(20.0)), Some(at(9.5)));
        assert_eq!(measurements.held_since(&web(), &is(">= 2"), at(6.0)), None);
        assert_eq!(measurements.held_since(&web(), &is(">= 1"), at(6.0)), Some(at(0.0)));
    }

    #[test]
    fn held_since_looks_at_events_second_by_second_and_bridges_short_silence() {
        let measurements = Measurements::new();
        let success = Metric::new("http.success");
        for second in 0..30_u32 {
            measurements.count(&success, at(f64::from(second) + 0.5), 10);
        }
        measurements.count(&Metric::new("http.errors.5xx"), at(7.3), 1);
        let none = is("== 0");
        let errors = Metric::new("http.errors");
        assert_eq!(measurements.held_since(&errors, &none, at(30.0)), Some(at(8.0)));
        assert_eq!(measurements.held_since(&errors, &none, at(29.9)), Some(at(8.0)));
        assert_eq!(measurements.held_since(&errors, &none, at(35.0)), Some(at(8.0)));
        assert_eq!(measurements.held_since(&errors, &none, at(45.0)), None, "silent for longer than ten seconds");
        assert_eq!(measurements.held_since(&errors, &none, at(7.5)), None);
    }

    #[test]
    fn quantiles_are_those_of_all_samples_of_the_window() {
        let measurements = Measurements::new();
        let mut batch = histogram();
        for millis in 1..=1_000_u64 {
            batch.record(millis * 1_000).unwrap();
        }
        measurements.latencies("http.latency", None, at(1.0), &batch);
        measurements.latency("http.latency", None, at(3.0), Duration::from_secs(5));
        let read = |name: &str, to| measurements.read(&Metric::new(name), at(0.0), at(to));
        for (name, seconds) in [
            ("http.latency.p50", 0.5),
            ("http.latency.p99", 0.99),
            ("http.latency.max", 1.0),
            ("http.latency.mean", 0.5005),
        ] {
            let value = read(name, 2.0).value().unwrap();
            assert!((value / seconds - 1.0).abs() < 0.001, "{name} is {value}, not {seconds}");
        }
        assert_eq!(read("http.latency.max", 3.0).value(), Some(5.0));
        assert_eq!(read("http.latency.p99", 2.0).samples(), 1_000);
    }

    #[test]
    fn many_samples_are_read_like_few() {
        let measurements = Measurements::new();
        for n in 1..=10_000_u64 {
            measurements.latency(HTTP_LATENCY, None, at(1.0), Duration::from_micros(n * 17));
        }
        let spread = measurements.spread(&Metric::new("http.latency.p50"), at(0.0), at(1.0));
        assert_eq!((spread.count(), spread.max()), (10_000, Some(0.17)));
        for (ppm, truth) in [(1, 0.000_017), (500_000, 0.085), (990_000, 0.1683), (999_000, 0.16983)] {
            let found = spread.quantile(ppm).unwrap();
            assert!((found / truth - 1.0).abs() < 0.001, "{ppm} ppm: {found} is not {truth}");
        }
    }

    #[tokio::test]
    async fn watchers_are_woken_by_new_samples() {
        let measurements = Measurements::new();
        let mut changed = measurements.changed();
        assert!(!changed.has_changed().unwrap());
        measurements.clone().gauge(&web(), at(0.0), 2.0);
        measurements.gauge(&web(), at(1.0), 2.0);
        changed.changed().await.unwrap();
        assert!(!changed.has_changed().unwrap(), "two samples, one wake-up");
    }

    proptest! {
        #[test]
        fn of_windows_in_a_row_each_event_belongs_to_exactly_one(
            mut events in prop::collection::vec((0_u64..5_000, 1_u64..4), 0..60),
            mut cuts in prop::collection::vec(0_u64..5_000, 0..6),
        ) {
            let measurements = Measurements::new();
            let metric = Metric::new("balancer.requests");
            let total: u64 = events.iter().map(|&(_, n)| n).sum();
            for (millis, n) in events.drain(..) {
                measurements.count(&metric, Moment::from_millis(millis), n);
            }
            cuts.extend([0, 5_000]);
            cuts.sort_unstable();
            cuts.dedup();
            let parts: u64 = cuts
                .windows(2)
                .filter_map(|cut| measurements.events(&metric, Moment::from_millis(cut[0]), Moment::from_millis(cut[1])))
                .sum();
            prop_assert_eq!(parts, total);
        }

        #[test]
        fn a_quantile_is_within_a_thousandth_of_the_true_one(
            mut micros in prop::collection::vec(1_u64..10_000_000, 1..400),
            ppm in 1_u32..=1_000_000,
        ) {
            let measurements = Measurements::new();
            for &one in &micros {
                measurements.latency(HTTP_LATENCY, None, at(1.0), Duration::from_micros(one));
            }
            micros.sort_unstable();
            let rank = (micros.len() as u64 * u64::from(ppm)).div_ceil(1_000_000).max(1);
            let truth = crate::reading::seconds(micros[usize::try_from(rank - 1).unwrap()]);
            let found = measurements.spread(&Metric::new("http.latency.p50"), at(0.0), at(2.0)).quantile(ppm).unwrap();
            prop_assert!((found - truth).abs() <= truth * 0.001, "{} is not {}", found, truth);
        }
    }
}
