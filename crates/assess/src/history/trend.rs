//! Whether failures become rarer, and repairs shorter.
//!
//! *Failures*: the test of MIL-HDBK-189 (Crow's power law, also Duane's). It is exact for any number of failures, while the
//! better known test of Laplace is an approximation that needs some; and where there is a trend it gives its shape, which has a
//! meaning: with shape 0.5, four times the time brings twice the failures. Laplace's is computed beside it, since it is the more
//! powerful one against changes that are no power law.
//!
//! *Repairs*: the test of Mann and Kendall, which asks nothing about how lengths are distributed; exact up to
//! 40 repairs of different lengths, and the normal approximation with its corrections beyond.

use model::incident::Stretch;
use serde::Serialize;

use super::{
    Downtime,
    distribution::{chi_square, chi_square_quantile, normal},
    figures::{count, tails},
};

/// Fewest failures (or repairs) for which a trend is computed at all: below, no order of them would be one in twenty.
const FEWEST: usize = 4;
/// Most repairs for which the exact distribution is counted out. At so many the approximation is good to three digits.
const MOST_EXACT: usize = 40;
/// Below this chance that it is luck, a trend is called one.
const SIGNIFICANT: f64 = 0.05;

/// Where something is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Fewer failures, or shorter repairs.
    Better,
    /// More, or longer ones.
    Worse,
    /// Nothing that chance does not explain.
    Unclear,
}

impl Direction {
    pub(crate) const fn new(better: bool, p: f64) -> Self {
        match (p < SIGNIFICANT, better) {
            (false, _) => Self::Unclear,
            (true, true) => Self::Better,
            (true, false) => Self::Worse,
        }
    }
}

/// The trend of failures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureTrend {
    /// How many failures.
    pub failures: usize,
    /// The shape of the power law: below 1 they become rarer, above 1 more frequent.
    pub shape: f64,
    /// Its interval.
    pub shape_low: f64,
    /// Its interval.
    pub shape_high: f64,
    /// The chance of a trend as strong, either way, where there is none (MIL-HDBK-189, exact).
    pub p: f64,
    /// The same by Laplace's test.
    pub p_laplace: f64,
    /// What it amounts to.
    pub direction: Direction,
}

/// The trend of the failures within a stretch, by the time that the service was up; none with fewer than four.
#[must_use]
pub fn failure_trend(down: &Downtime, observed: Stretch, confidence: f64) -> Option<FailureTrend> {
    let up = |to| {
        let until = Stretch { from: observed.from, to };
        until.length().as_secs_f64() - down.down_within(until)
    };
    let total = up(observed.to);
    // What was down already when the observation began is no failure of it.
    let times: Vec<f64> =
        down.begun_within(observed).filter(|one| one.from > observed.from).map(|one| up(one.from)).collect();
    if times.len() < FEWEST {
        return None;
    }
    let n = count(times.len());
    let logs: f64 = times.iter().map(|at| (total / at).ln()).sum();
    let cumulative = chi_square(2.0 * logs, 2.0 * n);
    let p = (2.0 * cumulative.min(1.0 - cumulative)).min(1.0);
    let shape = n / logs;
    let (below, above) = tails(confidence);
    let scale = |chance: f64| shape * chi_square_quantile(chance, 2.0 * n) / (2.0 * n);
    let mean = times.iter().sum::<f64>() / n;
    let z = (mean - total / 2.0) / (total / (12.0 * n).sqrt());
    Some(FailureTrend {
        failures: times.len(),
        shape,
        shape_low: scale(below),
        shape_high: scale(above),
        p,
        p_laplace: 2.0 * normal(-z.abs()),
        direction: Direction::new(shape < 1.0, p),
    })
}

/// The trend of repairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepairTrend {
    /// How many repairs.
    pub repairs: usize,
    /// Kendall's tau, from -1 (each shorter than the one before) to 1.
    pub tau: f64,
    /// The chance of a trend as strong, either way, where there is none.
    pub p: f64,
    /// What it amounts to.
    pub direction: Direction,
}

/// The trend of the lengths of interruptions within a stretch; none with fewer than four.
#[must_use]
pub fn repair_trend(down: &Downtime, observed: Stretch) -> Option<RepairTrend> {
    let lengths: Vec<f64> = down.begun_within(observed).map(|one| one.length().as_secs_f64()).collect();
    if lengths.len() < FEWEST {
        return None;
    }
    let (score, p) = mann_kendall(&lengths);
    let pairs = lengths.len() * (lengths.len() - 1) / 2;
    Some(RepairTrend {
        repairs: lengths.len(),
        #[expect(clippy::cast_precision_loss, reason = "pairs of repairs are far below 2^53")]
        tau: score as f64 / count(pairs),
        p,
        direction: Direction::new(score < 0, p),
    })
}

/// Kendall's score (pairs that grow minus pairs that shrink), and the chance of one as far from zero.
fn mann_kendall(values: &[f64]) -> (i64, f64) {
    let sign = |(at, later): (usize, &f64)| -> i64 {
        values[..at].iter().map(|earlier| i64::from(later > earlier) - i64::from(later < earlier)).sum()
    };
    let score: i64 = values.iter().enumerate().map(sign).sum();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: Vec<f64> = sorted.chunk_by(|a, b| a == b).map(|group| count(group.len())).collect();
    let n = values.len();
    if n <= MOST_EXACT && ties.len() == n {
        return (score, exact(n, score.unsigned_abs()));
    }
    (score, approximate(n, &ties, score.unsigned_abs()))
}

/// The chance of a score at least as far from zero, by the normal distribution with corrections for continuity and for groups of
/// equal values.
fn approximate(n: usize, ties: &[f64], score: u64) -> f64 {
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let variance = (term(count(n)) - ties.iter().map(|size| term(*size)).sum::<f64>()) / 18.0;
    if variance <= 0.0 {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "pairs of repairs are far below 2^53")]
    let z = (score as f64 - 1.0).max(0.0) / variance.sqrt();
    (2.0 * normal(-z)).min(1.0)
}

/// The chance that `n` different values in random order have a score at least as far from zero.
///
/// A score is the number of pairs minus twice that of inversions; the number of orders with so many inversions follows from that
/// of one value less (Mahonian numbers).
fn exact(n: usize, score: u64) -> f64 {
    let mut chances = vec![1.0];
    for size in 2..=n {
        let mut next = vec![0.0; chances.len() + size - 1];
        for (inversions, chance) in chances.iter().enumerate() {
            for place in &mut next[inversions..inversions + size] {
                *place += chance / count(size);
            }
        }
        chances = next;
    }
    let pairs = chances.len() as u64 - 1;
    let far = |inversions: u64| pairs.abs_diff(2 * inversions) >= score;
    let sum: f64 = (0..).zip(&chances).filter(|(inversions, _)| far(*inversions)).map(|(_, chance)| chance).sum();
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::{
        super::downtime::tests::{incident, stretch},
        *,
    };

    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
    }

    fn failures(at: &[i64], total: i64) -> Option<FailureTrend> {
        let incidents: Vec<_> = at.iter().map(|at| incident(at * 1000, at * 1000 + 1, 1.0)).collect();
        failure_trend(&Downtime::of(&incidents), stretch(0, total * 1000), 0.9)
    }

    #[test]
    fn failures_that_become_rarer_and_more_frequent_are_told_apart_from_none() {
        let rarer = failures(&[1, 2, 4, 7, 12, 21, 40, 80], 200).unwrap();
        assert_eq!(rarer.direction, Direction::Better);
        assert!(rarer.shape < 1.0 && rarer.shape_high < 1.0 && rarer.p_laplace < 0.05, "{rarer:?}");
        let wear = failures(&[100, 150, 175, 185, 190, 194, 197, 199], 200).unwrap();
        assert_eq!(wear.direction, Direction::Worse);
        assert!(wear.shape_low > 1.0, "{wear:?}");
        assert_eq!(failures(&[20, 60, 90, 130, 170], 200).unwrap().direction, Direction::Unclear);
        assert_eq!(failures(&[20, 60, 90], 200), None, "three failures have no trend");
    }

    /// n / Σ ln(T / t), the estimate for an observation that ends at a time.
    #[test]
    fn the_shape_is_that_of_the_power_law() {
        let trend = failures(&[10, 30, 100, 250], 300).unwrap();
        let logs: f64 = [10.0_f64, 30.0, 100.0, 250.0].iter().map(|at| (300.0 / at).ln()).sum();
        assert!((trend.shape - 4.0 / logs).abs() < 1e-4, "{}", trend.shape);
    }

    #[test]
    fn without_a_trend_one_is_seen_in_one_of_twenty() {
        let mut random = StdRng::seed_from_u64(11);
        let seen = (0..1000)
            .filter(|_| {
                let at: Vec<i64> = (0..6).map(|_| random.random_range(1..100_000)).collect();
                failures(&at, 100_000).is_some_and(|trend| trend.p < 0.05)
            })
            .count();
        assert!((30..=70).contains(&seen), "{seen} of 1000");
    }

    #[test]
    fn shorter_and_shorter_repairs_are_a_trend_from_five_on() {
        // Of 5! orders one falls throughout and one rises throughout: 2/120.
        let (score, p) = mann_kendall(&[50.0, 40.0, 30.0, 20.0, 10.0]);
        assert_eq!(score, -10);
        near(p, 2.0 / 120.0);
        let (_, four) = mann_kendall(&[40.0, 30.0, 20.0, 10.0]);
        near(four, 2.0 / 24.0);
    }

    /// Tables of Kendall's S: of 8 values in random order, a score of at least 16 has the chance 0.031.
    #[test]
    fn the_exact_distribution_is_that_of_the_tables() {
        assert!((exact(8, 16) / 2.0 - 0.0305).abs() < 6e-4, "{}", exact(8, 16) / 2.0);
        near(exact(7, 0), 1.0);
    }

    #[test]
    fn ties_widen_nothing_and_equal_values_have_no_trend() {
        near(mann_kendall(&[5.0; 10]).1, 1.0);
        let (score, p) = mann_kendall(&[9.0, 9.0, 8.0, 7.0, 7.0, 6.0, 5.0, 5.0]);
        assert!(score < 0 && p < 0.01, "{score} {p}");
    }

    #[test]
    fn the_approximation_continues_where_the_exact_distribution_ends() {
        for score in [0, 50, 100, 150, 200, 250] {
            let (exact, approximate) = (exact(MOST_EXACT, score), approximate(MOST_EXACT, &[1.0; MOST_EXACT], score));
            assert!((exact - approximate).abs() < 5e-3, "{score}: {exact} and {approximate}");
        }
    }
}
