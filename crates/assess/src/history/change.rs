//! Before and after a change: an improvement, or luck?
//!
//! The number of failures after, given how many there were in all, is binomial if nothing changed; so the test of the ratio of two
//! rates is exact (Przyborowski & Wilenski 1940), and so is its interval (Clopper & Pearson 1934). The ratio of two means of
//! exponential repair times is an F variable times the true one.

use model::incident::{Change, Stretch};
use serde::Serialize;

use super::{
    Downtime, Estimate,
    distribution::{beta_quantile, binomial, f, f_quantile},
    figures::{count, tails},
    trend::Direction,
};

/// Before and after a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What changed.
    pub change: Change,
    /// Interruptions that began before, and after.
    pub interruptions: [usize; 2],
    /// Seconds up before, and after.
    pub up_seconds: [f64; 2],
    /// Availability before, and after, from 0 to 1.
    pub availability: [f64; 2],
    /// How many failures there are now for each that there was in the same time.
    pub failures: Ratio,
    /// How long a repair takes now, for each second that it took. None where there were none on one side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repairs: Option<Ratio>,
}

/// What something is now, divided by what it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The ratio with its interval.
    pub ratio: Estimate,
    /// The chance of a difference as great, either way, if nothing had changed.
    pub p: f64,
    /// What it amounts to.
    pub direction: Direction,
}

impl Comparison {
    /// Compares the two sides of a change; none where it does not lie within the stretch.
    #[must_use]
    pub fn of(down: &Downtime, observed: Stretch, change: &Change, confidence: f64) -> Option<Self> {
        let sides = [
            Stretch { from: observed.from, to: change.at }.meet(observed)?,
            Stretch { from: change.at, to: observed.to }.meet(observed)?,
        ];
        let up_seconds = sides.map(|side| side.length().as_secs_f64() - down.down_within(side));
        let repairs =
            sides.map(|side| down.begun_within(side).map(|one| one.length().as_secs_f64()).collect::<Vec<_>>());
        let interruptions = [repairs[0].len(), repairs[1].len()];
        Some(Self {
            change: change.clone(),
            interruptions,
            up_seconds,
            availability: sides.map(|side| 1.0 - down.lost_within(side) / side.length().as_secs_f64()),
            failures: rate_ratio(interruptions, up_seconds, confidence),
            repairs: mean_ratio(&repairs, confidence),
        })
    }
}

/// The ratio of two rates: `events` in `times`, before and after.
#[must_use]
pub fn rate_ratio(events: [usize; 2], times: [f64; 2], confidence: f64) -> Ratio {
    let [before, after] = events.map(count);
    let share = times[1] / (times[0] + times[1]);
    let [n, k] = [events[0] + events[1], events[1]].map(|n| n as u64);
    // At most as many after, and at least as many.
    let fewer = binomial(k, n, share);
    let more = if k == 0 { 1.0 } else { 1.0 - binomial(k - 1, n, share) };
    let p = (2.0 * fewer.min(more)).min(1.0);
    let (below, above) = tails(confidence);
    let ratio_of = |share: f64| share / (1.0 - share) * times[0] / times[1];
    let low = (after > 0.0).then(|| ratio_of(beta_quantile(below, after, before + 1.0)));
    let high = (before > 0.0).then(|| ratio_of(beta_quantile(above, after + 1.0, before)));
    let value = (before > 0.0).then(|| (after / times[1]) / (before / times[0]));
    let low = low.or_else(|| (n > 0).then_some(0.0));
    Ratio { ratio: Estimate { value, low, high }, p, direction: Direction::new(fewer < more, p) }
}

/// The ratio of two means of lengths that are distributed exponentially.
fn mean_ratio(lengths: &[Vec<f64>; 2], confidence: f64) -> Option<Ratio> {
    let [before, after] = lengths.each_ref().map(|lengths| (count(lengths.len()), lengths.iter().sum::<f64>()));
    if before.0 == 0.0 || after.0 == 0.0 {
        return None;
    }
    let ratio = (after.1 / after.0) / (before.1 / before.0);
    let (degrees_after, degrees_before) = (2.0 * after.0, 2.0 * before.0);
    let chance = f(ratio, degrees_after, degrees_before);
    let p = (2.0 * chance.min(1.0 - chance)).min(1.0);
    let (below, above) = tails(confidence);
    let end = |chance: f64| Some(ratio / f_quantile(chance, degrees_after, degrees_before));
    let estimate = Estimate { value: Some(ratio), low: end(above), high: end(below) };
    Some(Ratio { ratio: estimate, p, direction: Direction::new(ratio < 1.0, p) })
}

#[cfg(test)]
mod tests {
    use super::{
        super::downtime::tests::{incident, stretch},
        *,
    };

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-4 * wanted.abs().max(1e-6), "{value} is not {wanted}");
    }

    /// Ten failures in the first year, three in the second: P(at most 3 of 13 heads) is 378/8192.
    #[test]
    fn three_after_ten_may_still_be_luck() {
        let ratio = rate_ratio([10, 3], [1.0, 1.0], 0.95);
        near(ratio.p, 2.0 * 378.0 / 8192.0);
        near(ratio.ratio.value.unwrap(), 0.3);
        assert!(ratio.ratio.high.unwrap() > 1.0, "{ratio:?}");
        assert_eq!(ratio.direction, Direction::Unclear);
        assert_eq!(rate_ratio([12, 2], [1.0, 1.0], 0.95).direction, Direction::Better);
        assert_eq!(rate_ratio([2, 12], [1.0, 1.0], 0.95).direction, Direction::Worse);
    }

    #[test]
    fn sides_of_different_length_are_compared_by_rate() {
        let ratio = rate_ratio([9, 3], [3.0, 1.0], 0.95);
        near(ratio.ratio.value.unwrap(), 1.0);
        assert!(ratio.p > 0.9);
    }

    #[test]
    fn nothing_before_or_after_leaves_an_end_open() {
        let none_after = rate_ratio([5, 0], [1.0, 1.0], 0.95);
        assert_eq!((none_after.ratio.value, none_after.ratio.low), (Some(0.0), Some(0.0)));
        near(none_after.p, 2.0 / 32.0);
        let none_before = rate_ratio([0, 5], [1.0, 1.0], 0.95);
        assert_eq!((none_before.ratio.value, none_before.ratio.high), (None, None));
        near(rate_ratio([0, 0], [1.0, 1.0], 0.95).p, 1.0);
    }

    #[test]
    fn repairs_of_half_the_length_are_no_proof_before_there_are_many() {
        let mean = |n: usize, long: f64| vec![long; n];
        let few = mean_ratio(&[mean(3, 60.0), mean(3, 30.0)], 0.95).unwrap();
        near(few.ratio.value.unwrap(), 0.5);
        assert_eq!(few.direction, Direction::Unclear);
        // F with 6 and 6 degrees: 5.8198.
        near(few.ratio.high.unwrap(), 0.5 * 5.819_756);
        near(few.ratio.low.unwrap(), 0.5 / 5.819_756);
        assert_eq!(mean_ratio(&[mean(40, 60.0), mean(40, 30.0)], 0.95).unwrap().direction, Direction::Better);
        assert_eq!(mean_ratio(&[mean(3, 60.0), Vec::new()], 0.95), None);
    }

    #[test]
    fn a_change_outside_of_what_was_observed_divides_nothing() {
        let down = Downtime::of(&[incident(10, 20, 1.0)]);
        let at = |second: i64| Change { at: stretch(0, second).to, what: "a second zone".to_owned() };
        assert_eq!(Comparison::of(&down, stretch(0, 100), &at(200), 0.95), None);
        let comparison = Comparison::of(&down, stretch(0, 100), &at(50), 0.95).unwrap();
        assert_eq!(comparison.interruptions, [1, 0]);
        near(comparison.availability[0], 0.8);
        near(comparison.up_seconds[0], 40.0);
    }
}
