//! Estimates from batches, and how far they can be trusted.
//!
//! Batches are independent of each other and alike, so the spread among them tells how far their mean may be off, however outages
//! cluster within one. Downtime is skewed: most batches have little, some have a long outage. An interval of equal length to
//! both sides would miss the truth above it far more often than below, so the skewness is taken out by the cubic transformation of
//! P. Hall (*On the removal of skewness by transformation*, Journal of the Royal Statistical Society B 54, 1992). On sums of exponential
//! lengths it covers at 95 % in 95 to 97 of 100 runs from 20 outages on, and on a mixture in which one outage of five is twenty times
//! as long, from 40 on; the usual interval covers in 91 and 86.

use crate::history::{
    Estimate,
    distribution::{beta_quantile, chi_square_quantile, f_quantile},
};

/// With fewer outages than this the spread itself is not known well enough for an interval.
pub(super) const ENOUGH: u64 = 30;

/// The ratio of two sums over batches, as downtime of time, with its interval. None without two batches, or anything to divide by.
pub(super) fn ratio(batches: impl Iterator<Item = (f64, f64)> + Clone, confidence: f64) -> Estimate {
    let (mut above, mut below, mut count) = (0.0, 0.0, 0.0);
    for (one, other) in batches.clone() {
        above += one;
        below += other;
        count += 1.0;
    }
    if below <= 0.0 {
        return Estimate::default();
    }
    let value = above / below;
    let (mut squares, mut cubes) = (0.0, 0.0);
    for (one, other) in batches {
        let off = one - value * other;
        squares += off * off;
        cubes += off * off * off;
    }
    if count < 2.0 || squares <= 0.0 {
        return Estimate { value: Some(value), ..Estimate::default() };
    }
    let error = (squares * count / (count - 1.0)).sqrt() / below;
    let skewness = cubes / squares.powf(1.5);
    // Student's t, whose square is F distributed.
    let t = f_quantile(confidence, 1.0, count - 1.0).sqrt();
    let end = |t: f64| value - error * unskewed(t, skewness);
    Estimate { value: Some(value), low: Some(end(t).max(0.0)), high: Some(end(-t)) }
}

/// Where Hall's transformation `x + s x^2 / 3 + s^2 x^3 / 27 + s / 6` of the studentised mean takes this value.
fn unskewed(value: f64, skewness: f64) -> f64 {
    // Where nothing is skewed the cube root below would divide by nothing.
    if skewness.abs() < 1e-9 {
        return value;
    }
    3.0 / skewness * ((1.0 + skewness * (value - skewness / 6.0)).cbrt() - 1.0)
}

/// How often something rare happens: as a Poisson process, by Garwood's interval. With none there is still an upper end.
pub(super) fn rare(events: f64, time: f64, confidence: f64) -> Estimate {
    let tail = (1.0 - confidence) / 2.0;
    let low = if events > 0.0 { chi_square_quantile(tail, 2.0 * events) / 2.0 } else { 0.0 };
    let high = chi_square_quantile(1.0 - tail, 2.0 * events + 2.0) / 2.0;
    Estimate { value: Some(events / time), low: Some(low / time), high: Some(high / time) }
}

/// A share of so many, each by itself: the interval of Clopper and Pearson.
pub(super) fn share(of: f64, all: f64, confidence: f64) -> Estimate {
    let tail = (1.0 - confidence) / 2.0;
    let low = if of > 0.0 { beta_quantile(tail, of, all - of + 1.0) } else { 0.0 };
    let high = if of < all { beta_quantile(1.0 - tail, of + 1.0, all - of) } else { 1.0 };
    Estimate { value: Some(of / all), low: Some(low), high: Some(high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_skewness_it_is_the_interval_of_student() {
        // 1 to 9 have the mean 5 and the standard error 0.912871; t of 8 degrees of freedom is 2.306004.
        let estimate = ratio((1..=9).map(|value| (f64::from(value), 1.0)), 0.95);
        assert!((estimate.value.unwrap() - 5.0).abs() < 1e-12);
        assert!((estimate.low.unwrap() - (5.0 - 2.306_004 * 0.912_871)).abs() < 1e-5, "{estimate:?}");
        assert!((estimate.high.unwrap() - (5.0 + 2.306_004 * 0.912_871)).abs() < 1e-5);
    }

    #[test]
    fn skewed_batches_have_more_room_above() {
        let batches = [0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 9.0, 0.0, 0.0].map(|value| (value, 1.0));
        let estimate = ratio(batches.into_iter(), 0.95);
        let (value, low, high) = (estimate.value.unwrap(), estimate.low.unwrap(), estimate.high.unwrap());
        assert!(low >= 0.0 && high - value > 2.0 * (value - low), "{estimate:?}");
    }

    #[test]
    fn the_transformation_is_undone() {
        for (value, skewness) in [(1.96, 0.4), (-1.96, 0.4), (2.5, -0.3), (1.0, 1e-12)] {
            let x = unskewed(value, skewness);
            let back = x + skewness * x * x / 3.0 + skewness * skewness * x * x * x / 27.0 + skewness / 6.0;
            assert!((back - value).abs() < 1e-9, "{value} {skewness} {back}");
        }
    }

    #[test]
    fn what_never_happened_has_an_upper_end() {
        // -ln 0.025 per unit of time, and 1 - 0.025^(1/n) of n.
        assert!((rare(0.0, 100.0, 0.95).high.unwrap() - 0.036_888_79).abs() < 1e-8);
        assert!((share(0.0, 10.0, 0.95).high.unwrap() - 0.308_497_1).abs() < 1e-6);
        assert_eq!(share(10.0, 10.0, 0.95).high, Some(1.0));
    }

    #[test]
    fn of_nothing_nothing_is_estimated() {
        assert_eq!(ratio(std::iter::empty(), 0.95), Estimate::default());
        assert_eq!(ratio([(1.0, 2.0)].into_iter(), 0.95), Estimate { value: Some(0.5), ..Estimate::default() });
    }
}
