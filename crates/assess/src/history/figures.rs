//! Availability, MTBF, MTTR and MTTD of a stretch, with intervals.
//!
//! | figure | is | interval |
//! |---|---|---|
//! | availability | 1 − lost / observed | F distribution, from those of MTBF and MTTR |
//! | MTBF | time up / interruptions that began | chi-square (Garwood 1936), failures as a Poisson process |
//! | MTTR | mean length of these interruptions | chi-square, lengths as exponential |
//! | MTTD | mean time until an incident was noticed | chi-square, as exponential |
//!
//! With n failures in the time up U, 2·U/MTBF lies between chi-square variables of 2n and 2n + 2 degrees of freedom, because
//! the observation ended at a time and not at a failure; the intervals are exact for the mean, and on the safe side of the
//! confidence. Repair times have a longer tail than an exponential one more often than a shorter one; then the interval of MTTR
//! is too narrow, and a handful of incidents says less still than it seems to.

use model::incident::{Incident, Stretch};
use serde::Serialize;

use super::{
    Downtime,
    distribution::{chi_square_quantile, f_quantile},
};

/// A value, and the interval in which the true one lies with the confidence of the report.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Estimate {
    /// The value; none where nothing happened of which it is the mean.
    pub value: Option<f64>,
    /// The lower end; none where nothing can be said.
    pub low: Option<f64>,
    /// The upper end; none where there is none, as for the time between failures when there were none.
    pub high: Option<f64>,
}

impl Estimate {
    /// Of something that grows with it: the value and both ends.
    pub(crate) fn map(self, of: impl Fn(f64) -> f64) -> Self {
        Self { value: self.value.map(&of), low: self.low.map(&of), high: self.high.map(&of) }
    }
}

/// What incidents make of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Its length in seconds.
    pub observed_seconds: f64,
    /// Incidents that began in it.
    pub incidents: usize,
    /// Interruptions that began in it: incidents that overlap are one.
    pub interruptions: usize,
    /// Seconds in which anything was lost.
    pub down_seconds: f64,
    /// The same, each weighted by the share that was lost.
    pub lost_seconds: f64,
    /// From 0 to 1.
    pub availability: Estimate,
    /// Mean time up between failures, in seconds.
    pub mtbf: Estimate,
    /// Mean time from an interruption's beginning until the service was restored, in seconds.
    pub mttr: Estimate,
    /// Mean time from an incident's beginning until it was noticed, in seconds; of the incidents of which that is known.
    pub mttd: Estimate,
}

impl Figures {
    /// The figures of a stretch.
    pub(crate) fn of(down: &Downtime, incidents: &[Incident], stretch: Stretch, confidence: f64) -> Self {
        let observed_seconds = stretch.length().as_secs_f64();
        let (down_seconds, lost_seconds) = (down.down_within(stretch), down.lost_within(stretch));
        let begun = || incidents.iter().filter(|one| stretch.from <= one.began && one.began < stretch.to);
        let repairs: Vec<f64> = down.begun_within(stretch).map(|one| one.length().as_secs_f64()).collect();
        let noticed: Vec<f64> = begun()
            .filter_map(|one| Some(Stretch { from: one.began, to: one.detected? }.length().as_secs_f64()))
            .collect();
        let up = observed_seconds - down_seconds;
        Self {
            observed_seconds,
            incidents: begun().count(),
            interruptions: repairs.len(),
            down_seconds,
            lost_seconds,
            availability: availability(
                lost_seconds,
                observed_seconds,
                count(down.interruptions_within(stretch).count()),
                confidence,
            ),
            mtbf: between_failures(up, count(repairs.len()), confidence),
            mttr: mean(&repairs, confidence),
            mttd: mean(&noticed, confidence),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of incidents are far below 2^53")]
pub(crate) const fn count(n: usize) -> f64 {
    n as f64
}

/// The chances below and above an interval's ends.
pub(crate) fn tails(confidence: f64) -> (f64, f64) {
    let half = (1.0 - confidence) / 2.0;
    (half, 1.0 - half)
}

/// Mean time between `n` failures that happened while `up` seconds passed. Without any there is still a lower end: the longer
/// nothing fails, the longer it will take.
pub(crate) fn between_failures(up: f64, n: f64, confidence: f64) -> Estimate {
    if up <= 0.0 {
        return Estimate::default();
    }
    let (below, above) = tails(confidence);
    let some = n > 0.0;
    Estimate {
        value: some.then(|| up / n),
        low: Some(2.0 * up / chi_square_quantile(above, 2.0 * n + 2.0)),
        high: some.then(|| 2.0 * up / chi_square_quantile(below, 2.0 * n)),
    }
}

/// The mean of lengths that are distributed exponentially.
pub(crate) fn mean(lengths: &[f64], confidence: f64) -> Estimate {
    let n = count(lengths.len());
    let sum: f64 = lengths.iter().sum();
    if lengths.is_empty() {
        return Estimate::default();
    }
    let (below, above) = tails(confidence);
    Estimate {
        value: Some(sum / n),
        low: Some(2.0 * sum / chi_square_quantile(above, 2.0 * n)),
        high: Some(2.0 * sum / chi_square_quantile(below, 2.0 * n)),
    }
}

/// Availability where `lost` of `observed` seconds were lost in `n` interruptions.
///
/// The ratio of MTTR to MTBF, of which availability is a function, is the observed one times an F variable; with 2n + 2 degrees
/// above for the upper end, for the same reason as above. (Lie, Hwang & Tillman, "Availability of maintained systems", AIIE
/// Transactions 9, 1977.)
fn availability(lost: f64, observed: f64, n: f64, confidence: f64) -> Estimate {
    if observed <= 0.0 {
        return Estimate::default();
    }
    let value = Some(1.0 - lost / observed);
    if lost <= 0.0 || lost >= observed {
        return Estimate { value, low: None, high: None };
    }
    let (below, above) = tails(confidence);
    let ratio = lost / (observed - lost);
    let most = ratio * (n + 1.0) / n * f_quantile(above, 2.0 * n + 2.0, 2.0 * n);
    let least = ratio * f_quantile(below, 2.0 * n, 2.0 * n);
    Estimate { value, low: Some(1.0 / (1.0 + most)), high: Some(1.0 / (1.0 + least)) }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::{
        super::downtime::tests::{incident, stretch},
        *,
    };

    fn near(value: Option<f64>, wanted: f64) {
        let value = value.unwrap();
        assert!((value - wanted).abs() < 1e-4 * wanted, "{value} is not {wanted}");
    }

    #[test]
    fn three_failures_in_a_thousand_hours_are_told_with_the_intervals_of_the_tables() {
        // Chi-square, 6 and 8 degrees: 1.2373 and 17.5345.
        let mtbf = between_failures(1000.0, 3.0, 0.95);
        near(mtbf.value, 333.333);
        near(mtbf.low, 2000.0 / 17.5345);
        near(mtbf.high, 2000.0 / 1.237_34);
    }

    #[test]
    fn without_failures_there_is_a_lower_end_and_nothing_else() {
        // 3.689 is half of 7.3778: the "rule of three" of one-sided intervals, two-sided.
        let mtbf = between_failures(1000.0, 0.0, 0.95);
        near(mtbf.low, 1000.0 / 3.688_88);
        assert_eq!((mtbf.value, mtbf.high), (None, None));
        assert_eq!(mean(&[], 0.95), Estimate::default());
        let figures = Figures::of(&Downtime::default(), &[], stretch(0, 100), 0.95);
        assert_eq!(figures.availability, Estimate { value: Some(1.0), low: None, high: None });
    }

    #[test]
    fn availability_is_that_of_its_mtbf_and_mttr_where_nothing_is_weighted() {
        let incidents = [incident(100, 145, 1.0), incident(140, 150, 1.0), incident(700, 760, 1.0)];
        let figures = Figures::of(&Downtime::of(&incidents), &incidents, stretch(0, 1000), 0.95);
        let (mtbf, mttr) = (figures.mtbf.value.unwrap(), figures.mttr.value.unwrap());
        near(figures.availability.value, mtbf / (mtbf + mttr));
        assert_eq!((figures.incidents, figures.interruptions), (3, 2));
        near(Some(figures.down_seconds), 110.0);
    }

    #[test]
    fn time_to_detect_is_of_the_incidents_of_which_it_is_known() {
        let mut incidents = [incident(0, 60, 1.0), incident(100, 160, 1.0), incident(200, 260, 1.0)];
        incidents[0].detected = Some(stretch(0, 20).to);
        incidents[2].detected = Some(stretch(0, 210).to);
        let figures = Figures::of(&Downtime::of(&incidents), &incidents, stretch(0, 1000), 0.95);
        near(figures.mttd.value, 15.0);
    }

    /// A thousand services whose true figures are known, each observed for a year.
    #[test]
    fn intervals_hold_the_true_value_as_often_as_they_say() {
        let mut random = StdRng::seed_from_u64(5);
        let (mtbf, mttr, year) = (700.0, 9.0, 8760.0);
        let mut exponential = |mean: f64| -mean * (1.0 - random.random::<f64>()).ln();
        let (mut times, mut repairs, mut availabilities) = (0, 0, 0);
        for _ in 0..1000 {
            let (mut at, mut lengths, mut lost) = (exponential(mtbf), Vec::new(), 0.0);
            while at < year {
                let repair = exponential(mttr);
                lengths.push(repair);
                lost += repair.min(year - at);
                at += repair + exponential(mtbf);
            }
            let n = count(lengths.len());
            let holds = |estimate: Estimate, truth: f64| {
                u32::from(estimate.low.unwrap() <= truth && estimate.high.unwrap() >= truth)
            };
            times += holds(between_failures(year - lost, n, 0.95), mtbf);
            repairs += holds(mean(&lengths, 0.95), mttr);
            availabilities += holds(availability(lost, year, n, 0.95), mtbf / (mtbf + mttr));
        }
        // Those of failures are on the safe side: the observation ends at a time.
        for (what, held) in [("MTBF", times), ("MTTR", repairs), ("availability", availabilities)] {
            assert!((930..=990).contains(&held), "{what}: {held} of 1000");
        }
    }
}
