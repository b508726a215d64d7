//! What a metric was over one stretch of time, and whether that satisfies a condition.

use std::time::Duration;

use model::metric::{Comparison, Condition};

/// What a metric was over one stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// Nothing was measured.
    Nothing,
    /// A gauge, which is a step function: the level that was valid when the stretch began counts.
    Level {
        /// At the beginning of the stretch, or the first one set in it.
        first: f64,
        /// At its end.
        last: f64,
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
        /// The mean, weighted by how long each level lasted.
        mean: f64,
        /// How many levels there were: the one at the beginning and each change.
        samples: u64,
        /// Every different level, ascending.
        levels: Vec<f64>,
        /// For how long the level was not known, after it had been known once (a scrape that failed).
        unknown: Duration,
    },
    /// A count, rate, share or mean: one number.
    Value {
        /// The number, in the metric's unit.
        value: f64,
        /// How many events it rests on: requests for shares, rates and counts of errors, responses for means.
        samples: u64,
    },
    /// A quantile of latencies.
    Quantile {
        /// The quantile, in seconds.
        value: f64,
        /// Which one, in ppm: `990_000` is p99, `1_000_000` the maximum.
        ppm: u32,
        /// All latencies of the stretch.
        spread: Spread,
    },
}

/// Whether a reading satisfies a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It does.
    Holds,
    /// It does not.
    Broken,
    /// There are too few samples to tell.
    NotEnough {
        /// How many there are.
        have: u64,
        /// How many would do.
        need: u64,
    },
}

impl Reading {
    /// The reading as one number: a gauge's level at the end of the stretch, otherwise the value.
    #[must_use]
    pub const fn value(&self) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Level { last, .. } => Some(*last),
            Self::Value { value, .. } | Self::Quantile { value, .. } => Some(*value),
        }
    }

    /// How many samples it rests on.
    #[must_use]
    pub fn samples(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Level { samples, .. } | Self::Value { samples, .. } => *samples,
            Self::Quantile { spread, .. } => spread.count(),
        }
    }

    /// The number to show beside a condition: of a gauge the level that is hardest on the condition, otherwise the value.
    #[must_use]
    pub fn worst_for(&self, condition: &Condition) -> Option<f64> {
        match self {
            Self::Level { min, max, levels, last, .. } => Some(match condition.comparison {
                Comparison::Less | Comparison::LessOrEqual => *max,
                Comparison::Greater | Comparison::GreaterOrEqual => *min,
                Comparison::Equal | Comparison::NotEqual => {
                    levels.iter().copied().find(|&level| !condition.holds(level)).unwrap_or(*last)
                }
            }),
            other => other.value(),
        }
    }

    /// Whether it is broken whatever so many of its samples would have been: when that many of those that disagree are
    /// excused, because they are not to be trusted, the others still break the condition. Only a quantile knows its samples
    /// one by one; anything else is broken for certain only where nothing is to be excused.
    #[must_use]
    pub fn is_broken_without(&self, excused: u64, condition: &Condition) -> bool {
        match self {
            Self::Quantile { ppm, spread, .. } => {
                let wrong = spread.count_where(|sample| !condition.holds(sample)).saturating_sub(excused);
                self.judge(condition) == Judgement::Broken && wrong > allowed(*ppm, spread.count(), condition)
            }
            Self::Nothing | Self::Level { .. } | Self::Value { .. } => {
                excused == 0 && self.judge(condition) == Judgement::Broken
            }
        }
    }

    /// Whether it satisfies a condition.
    ///
    /// A gauge does when every level of the stretch does. Everything that is computed from requests needs at least one
    /// request: where nothing was asked, nothing is proven. A quantile needs `10 / (1 - p)` samples (`10 / p` below the
    /// median; the low-sample rule of CloudWatch's percentile alarms), unless the answer is certain with fewer.
    #[must_use]
    pub fn judge(&self, condition: &Condition) -> Judgement {
        match self {
            Self::Nothing | Self::Value { samples: 0, .. } => Judgement::NotEnough { have: 0, need: 1 },
            Self::Level { levels, samples, unknown, .. } => {
                if levels.iter().any(|&level| !condition.holds(level)) {
                    Judgement::Broken
                } else if unknown.is_zero() {
                    Judgement::Holds
                } else {
                    Judgement::NotEnough { have: *samples, need: samples + 1 }
                }
            }
            Self::Value { value, .. } => Judgement::of(condition.holds(*value)),
            Self::Quantile { value, ppm, spread } => judge_quantile(*value, *ppm, spread, condition),
        }
    }
}

impl Judgement {
    const fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Broken }
    }
}

/// How many samples a quantile needs before it says something: ten on its thinner side.
#[must_use]
pub fn samples_needed(ppm: u32) -> u64 {
    let thinner = u64::from(if ppm >= 500_000 { 1_000_000 - ppm.min(1_000_000) } else { ppm });
    // The maximum (and the minimum) is a fact about the samples there are, however few.
    if thinner == 0 { 1 } else { 10_000_000_u64.div_ceil(thinner) }
}

/// How many of so many samples a quantile allows to disagree with a condition, when it takes as many as it needs.
fn allowed(ppm: u32, samples: u64, condition: &Condition) -> u64 {
    let samples = samples.max(samples_needed(ppm));
    let ppm = u64::from(ppm.min(1_000_000));
    let beyond = match condition.comparison {
        Comparison::Greater | Comparison::GreaterOrEqual => ppm,
        Comparison::Less | Comparison::LessOrEqual | Comparison::Equal | Comparison::NotEqual => 1_000_000 - ppm,
    };
    beyond * samples / 1_000_000
}

fn judge_quantile(value: f64, ppm: u32, spread: &Spread, condition: &Condition) -> Judgement {
    let (have, need) = (spread.count(), samples_needed(ppm));
    if have >= need {
        return Judgement::of(condition.holds(value));
    }
    // Too few. It is certain all the same when every sample there is agrees, or when those that disagree are more than
    // the quantile would allow among `need` samples, whatever the missing ones had been.
    let wrong = spread.count_where(|sample| !condition.holds(sample));
    let allowed_ppm = match condition.comparison {
        Comparison::Less | Comparison::LessOrEqual => 1_000_000 - u64::from(ppm.min(1_000_000)),
        Comparison::Greater | Comparison::GreaterOrEqual => u64::from(ppm),
        // Equality of a quantile is about one sample, which the missing ones may still become.
        Comparison::Equal | Comparison::NotEqual => return Judgement::NotEnough { have, need },
    };
    if have > 0 && wrong == 0 {
        Judgement::Holds
    } else if wrong * 1_000_000 > allowed_ppm * need {
        Judgement::Broken
    } else {
        Judgement::NotEnough { have, need }
    }
}

/// How latencies are spread: ascending buckets whose width is at most 0.1 % of their value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// (upper end of the bucket in microseconds, how many), ascending.
    pub(crate) buckets: Vec<(u64, u64)>,
}

impl Spread {
    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, count)| count).sum()
    }

    /// How many samples, in seconds, satisfy a test.
    pub fn count_where(&self, test: impl Fn(f64) -> bool) -> u64 {
        self.buckets.iter().filter(|&&(micros, _)| test(seconds(micros))).map(|&(_, count)| count).sum()
    }

    /// The smallest sample for which at least this share (in ppm) of all is not larger, in seconds.
    #[must_use]
    pub fn quantile(&self, ppm: u32) -> Option<f64> {
        let count = u128::from(self.count());
        let rank = (count * u128::from(ppm.min(1_000_000))).div_ceil(1_000_000).max(1);
        let mut seen = 0_u128;
        self.buckets.iter().find_map(|&(micros, count)| {
            seen += u128::from(count);
            (seen >= rank).then(|| seconds(micros))
        })
    }

    /// The smallest sample, in seconds.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        self.buckets.first().map(|&(micros, _)| seconds(micros))
    }

    /// The largest sample, in seconds.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.buckets.last().map(|&(micros, _)| seconds(micros))
    }

    /// The sum of all samples, in seconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.buckets.iter().map(|&(micros, count)| seconds(micros) * as_f64(count)).sum()
    }

    /// The mean, in seconds.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum() / as_f64(count))
    }
}

pub(crate) fn seconds(micros: u64) -> f64 {
    as_f64(micros) / 1e6
}

/// A count as a float: exact below 2^53, which no run reaches.
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(condition: &str) -> Condition {
        condition.parse().unwrap()
    }

    fn quantile(ppm: u32, buckets: &[(u64, u64)]) -> Reading {
        let spread = Spread { buckets: buckets.to_vec() };
        Reading::Quantile { value: spread.quantile(ppm).unwrap(), ppm, spread }
    }

    #[test]
    fn a_quantile_needs_ten_samples_on_its_thinner_side() {
        assert_eq!(samples_needed(990_000), 1_000);
        assert_eq!(samples_needed(999_000), 10_000);
        assert_eq!(samples_needed(500_000), 20);
        assert_eq!(samples_needed(100_000), 100);
        assert_eq!(samples_needed(1_000_000), 1);
    }

    #[test]
    fn a_quantile_of_too_few_samples_is_judged_only_when_certain() {
        let condition = is("<= 500ms");
        // 1,000 samples, 10 above: p99 is exactly the last one below.
        assert_eq!(quantile(990_000, &[(400_000, 990), (900_000, 10)]).judge(&condition), Judgement::Holds);
        assert_eq!(quantile(990_000, &[(400_000, 989), (900_000, 11)]).judge(&condition), Judgement::Broken);
        // 100 samples: none above is certain, 11 above is certain (10 are allowed among 1,000), 1 is not.
        assert_eq!(quantile(990_000, &[(400_000, 100)]).judge(&condition), Judgement::Holds);
        assert_eq!(quantile(990_000, &[(400_000, 89), (900_000, 11)]).judge(&condition), Judgement::Broken);
        assert_eq!(
            quantile(990_000, &[(400_000, 90), (900_000, 10)]).judge(&condition),
            Judgement::NotEnough { have: 100, need: 1_000 }
        );
        // The other direction: at most 50 % may lie below for a median to be above.
        assert_eq!(quantile(500_000, &[(1_000, 11)]).judge(&is("> 2ms")), Judgement::Broken);
        assert_eq!(quantile(500_000, &[(1_000, 10)]).judge(&is("> 2ms")), Judgement::NotEnough { have: 10, need: 20 });
        assert_eq!(quantile(500_000, &[(3_000, 10)]).judge(&is("> 2ms")), Judgement::Holds);
        assert_eq!(
            quantile(990_000, &[(1_000, 10)]).judge(&is("== 1ms")),
            Judgement::NotEnough { have: 10, need: 1_000 }
        );
    }

    #[test]
    fn a_quantile_is_broken_without_what_is_excused_only_when_the_others_break_it() {
        let condition = is("<= 500ms");
        let slow = |count| quantile(990_000, &[(400_000, 2_000 - count), (900_000, count)]);
        // 20 of 2,000 may be slow.
        for (slow_ones, excused, broken) in
            [(20, 0, false), (21, 0, true), (21, 1, false), (120, 99, true), (120, 100, false), (120, 5_000, false)]
        {
            assert_eq!(slow(slow_ones).is_broken_without(excused, &condition), broken, "{slow_ones}, {excused}");
        }
        // Of a hundred, ten may: as many as of the thousand that it takes.
        let few = quantile(990_000, &[(400_000, 80), (900_000, 20)]);
        assert!(few.is_broken_without(9, &condition) && !few.is_broken_without(10, &condition));
        let longest = quantile(1_000_000, &[(400_000, 99), (900_000, 1)]);
        assert!(longest.is_broken_without(0, &condition) && !longest.is_broken_without(1, &condition));
        let mean = Reading::Value { value: 0.9, samples: 100 };
        assert!(mean.is_broken_without(0, &condition) && !mean.is_broken_without(1, &condition));
    }

    #[test]
    fn a_gauge_holds_when_every_level_does() {
        let level = |levels: &[f64], unknown| Reading::Level {
            first: levels[0],
            last: levels[0],
            min: levels[0],
            max: *levels.last().unwrap(),
            mean: levels[0],
            samples: levels.len() as u64,
            levels: levels.to_vec(),
            unknown,
        };
        assert_eq!(level(&[2.0], Duration::ZERO).judge(&is("== 2")), Judgement::Holds);
        assert_eq!(level(&[1.0, 2.0], Duration::ZERO).judge(&is("== 2")), Judgement::Broken);
        assert_eq!(level(&[1.0, 3.0], Duration::ZERO).judge(&is("!= 2")), Judgement::Holds);
        assert_eq!(level(&[2.0], Duration::from_secs(1)).judge(&is("== 2")), Judgement::NotEnough { have: 1, need: 2 });
        assert_eq!(level(&[1.0, 2.0], Duration::from_secs(1)).judge(&is("== 2")), Judgement::Broken);
        assert_eq!(level(&[1.0, 2.0], Duration::ZERO).worst_for(&is("== 2")), Some(1.0));
    }

    #[test]
    fn nothing_asked_proves_nothing() {
        assert_eq!(Reading::Nothing.judge(&is("== 0")), Judgement::NotEnough { have: 0, need: 1 });
        let reading = Reading::Value { value: 0.0, samples: 0 };
        assert_eq!(reading.judge(&is("== 0")), Judgement::NotEnough { have: 0, need: 1 });
    }
}
