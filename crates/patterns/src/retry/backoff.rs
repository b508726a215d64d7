//! How long to pause before the next attempt.

use std::time::Duration;

use super::Retry;
use crate::{error::InvalidOption, random::Random};

/// How pauses grow from one to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backoff {
    /// Always the base delay.
    Constant,
    /// The base delay times 1, 2, 3 ...
    Linear,
    /// The base delay times the factor to the power of 0, 1, 2 ...
    Exponential {
        /// At least 1.
        factor: f64,
    },
}

/// How pauses are scattered, so that those who failed together do not come back together.
///
/// `Full`, `Equal` and `Decorrelated` are those of [*Exponential Backoff And Jitter*][jitter], where `Full` needs the
/// fewest calls in all.
///
/// [jitter]: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Between zero and the pause.
    Full,
    /// Between half the pause and the pause.
    Equal,
    /// Between the base delay and three times the last pause; how pauses grow is not looked at.
    Decorrelated,
    /// The pause times something between the two.
    Proportional {
        /// At least 0.
        low: f64,
        /// At least `low`.
        high: f64,
    },
}

impl Backoff {
    pub(super) fn validate(self) -> Result<(), InvalidOption> {
        match self {
            Self::Exponential { factor } if !(factor.is_finite() && factor >= 1.0) => {
                Err(InvalidOption::new("retry.backoff.factor", factor, "at least 1"))
            }
            Self::Constant | Self::Linear | Self::Exponential { .. } => Ok(()),
        }
    }

    /// The pause after so many failed attempts (from 1), before jitter.
    fn pause(self, retry: &Retry, failed: u32) -> Duration {
        let times = match self {
            Self::Constant => 1.0,
            Self::Linear => f64::from(failed),
            Self::Exponential { factor } => factor.powi(i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX)),
        };
        scale(retry.base_delay, times).min(retry.max_delay)
    }
}

impl Jitter {
    pub(super) fn validate(self) -> Result<(), InvalidOption> {
        match self {
            Self::Proportional { low, high } if !(low >= 0.0 && high >= low && high.is_finite()) => {
                Err(InvalidOption::new("retry.jitter", (low, high), "two numbers, 0 <= low <= high"))
            }
            Self::None | Self::Full | Self::Equal | Self::Decorrelated | Self::Proportional { .. } => Ok(()),
        }
    }
}

impl Retry {
    /// The pause after so many failed attempts (from 1); `last` is the one before. Never over `max_delay`.
    pub(super) fn delay(&self, failed: u32, last: Option<Duration>, random: &mut impl Random) -> Duration {
        let pause = self.backoff.pause(self, failed);
        let delay = match self.jitter {
            Jitter::None => pause,
            Jitter::Full => scale(pause, random.unit()),
            Jitter::Equal => scale(pause, f64::midpoint(1.0, random.unit())),
            Jitter::Decorrelated => {
                let most = last.unwrap_or(self.base_delay).saturating_mul(3).max(self.base_delay);
                self.base_delay + scale(most - self.base_delay, random.unit())
            }
            Jitter::Proportional { low, high } => scale(pause, low + (high - low) * random.unit()),
        };
        delay.min(self.max_delay)
    }
}

/// A duration times a number that is not negative; what does not fit is the longest duration.
fn scale(duration: Duration, times: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * times).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SplitMix64;

    /// Always the same number.
    struct Fixed(u64);

    impl Random for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    const LOWEST: u64 = 0;
    const HIGHEST: u64 = u64::MAX;

    fn delays(retry: &Retry, attempts: u32, bits: u64) -> Vec<f64> {
        let mut last = None;
        (1..attempts)
            .map(|failed| {
                let delay = retry.delay(failed, last, &mut Fixed(bits));
                last = Some(delay);
                (delay.as_secs_f64() * 1e6).round() / 1e6
            })
            .collect()
    }

    #[test]
    fn the_textbook_pauses_begin_with_the_base_delay() {
        let retry = Retry::textbook().jitter(Jitter::None);
        assert_eq!(delays(&retry, 3, LOWEST), [1.0, 2.0]);
        assert_eq!(delays(&retry, 5, LOWEST), [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(delays(&retry, 8, LOWEST), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0]);
    }

    /// The sums are 6, 30 and 126 seconds.
    #[test]
    fn the_textbook_as_coded_pauses_as_its_code_does() {
        let retry = Retry::textbook_as_coded().jitter(Jitter::None);
        assert_eq!(delays(&retry, 3, LOWEST), [2.0, 4.0]);
        assert_eq!(delays(&retry, 5, LOWEST), [2.0, 4.0, 8.0, 16.0]);
        assert_eq!(delays(&retry, 8, LOWEST), [2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0]);
    }

    #[test]
    fn the_textbook_jitter_is_between_half_and_one_and_a_half_and_capped_last() {
        assert_eq!(delays(&Retry::textbook(), 8, LOWEST), [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0]);
        assert_eq!(delays(&Retry::textbook(), 8, HIGHEST), [1.5, 3.0, 6.0, 12.0, 24.0, 32.0, 32.0]);
        assert_eq!(delays(&Retry::textbook_as_coded(), 6, HIGHEST), [3.0, 6.0, 12.0, 24.0, 32.0]);
    }

    #[test]
    fn each_jitter_has_the_bounds_of_the_article() {
        let second = Duration::from_secs(1);
        let with = |jitter| Retry::exponential(second).jitter(jitter);
        assert_eq!(delays(&with(Jitter::Full), 4, LOWEST), [0.0, 0.0, 0.0]);
        assert_eq!(delays(&with(Jitter::Full), 4, HIGHEST), [1.0, 2.0, 4.0]);
        assert_eq!(delays(&with(Jitter::Equal), 4, LOWEST), [0.5, 1.0, 2.0]);
        assert_eq!(delays(&with(Jitter::Equal), 4, HIGHEST), [1.0, 2.0, 4.0]);
        assert_eq!(delays(&with(Jitter::Decorrelated), 4, LOWEST), [1.0, 1.0, 1.0]);
        assert_eq!(delays(&with(Jitter::Decorrelated), 5, HIGHEST), [3.0, 9.0, 20.0, 20.0]);
    }

    #[test]
    fn constant_and_linear_pauses() {
        let second = Duration::from_secs(1);
        assert_eq!(delays(&Retry::constant(second), 4, LOWEST), [1.0, 1.0, 1.0]);
        assert_eq!(delays(&Retry::linear(second).jitter(Jitter::None), 4, LOWEST), [1.0, 2.0, 3.0]);
    }

    fn any_retry() -> impl Strategy<Value = Retry> {
        let backoff = prop_oneof![
            Just(Backoff::Constant),
            Just(Backoff::Linear),
            (1.0..10.0_f64).prop_map(|factor| Backoff::Exponential { factor })
        ];
        let jitter = prop_oneof![
            Just(Jitter::None),
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated),
            (0.0..2.0_f64, 0.0..2.0_f64).prop_map(|(low, more)| Jitter::Proportional { low, high: low + more })
        ];
        (backoff, jitter, 0_u64..5_000, 0_u64..100_000).prop_map(|(backoff, jitter, base, more)| Retry {
            backoff,
            jitter,
            max_delay: Duration::from_millis(base + more),
            ..Retry::exponential(Duration::from_millis(base))
        })
    }

    proptest! {
        #[test]
        fn no_pause_is_over_the_longest(retry in any_retry(), seed: u64, failed in 1_u32..=u32::MAX, last: Option<u32>) {
            prop_assert!(retry.validate().is_ok());
            let last = last.map(|millis| Duration::from_millis(u64::from(millis)));
            let delay = retry.delay(failed, last, &mut SplitMix64::seeded(seed));
            prop_assert!(delay <= retry.max_delay);
        }
    }
}
