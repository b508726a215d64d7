//! Retry: how often, how soon, and when not.
//!
//! A retry adds load to something that already fails. So there are four brakes, and all are on by default or one call
//! away: a number of attempts, a growing and jittered pause, a [`Budget`] shared by all calls, and the call's deadline.
//! What may be retried at all is said by the [classification](crate::Class) and by whether the call is idempotent.
//!
//! Jitter is that of Marc Brooker, [*Exponential Backoff And Jitter*][jitter], AWS Architecture Blog, 2015.
//!
//! [jitter]: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

mod backoff;
mod budget;
mod schedule;

use std::time::Duration;

pub use self::{
    backoff::{Backoff, Jitter},
    budget::{Bank, Budget},
    schedule::{After, Decision, Schedule},
};
use crate::error::InvalidOption;

/// How to retry.
///
/// ```
/// use std::time::Duration;
/// use patterns::{Jitter, Retry};
///
/// let retry = Retry::exponential(Duration::from_millis(100)).max_attempts(4).max_delay(Duration::from_secs(2)).jitter(Jitter::Full);
/// assert!(retry.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1. Not "retries": both readings of such a number are in use, and
    /// differ by one call.
    pub max_attempts: u32,
    /// How pauses grow.
    pub backoff: Backoff,
    /// The first pause.
    pub base_delay: Duration,
    /// No pause of ours is longer, jitter included.
    pub max_delay: Duration,
    /// How pauses are scattered.
    pub jitter: Jitter,
    /// The longest `Retry-After` of the dependency that is waited for; past it the call gives up instead.
    pub max_retry_after: Duration,
    /// What all calls together may retry; `None` is without limit.
    pub budget: Option<Budget>,
}

impl Retry {
    /// Pauses of `base`, `2 × base`, `4 × base` ..., with full jitter: three attempts, no pause over 20 s (as in the AWS
    /// SDKs' standard mode), the default [`Budget`].
    #[must_use]
    pub const fn exponential(base: Duration) -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential { factor: 2.0 },
            base_delay: base,
            max_delay: Duration::from_secs(20),
            jitter: Jitter::Full,
            max_retry_after: Duration::from_secs(60),
            budget: Some(Budget::standard()),
        }
    }

    /// Pauses of `base`, `2 × base`, `3 × base` ...; otherwise as [`Retry::exponential`].
    #[must_use]
    pub const fn linear(base: Duration) -> Self {
        Self { backoff: Backoff::Linear, ..Self::exponential(base) }
    }

    /// Pauses of `delay`, without jitter; otherwise as [`Retry::exponential`].
    #[must_use]
    pub const fn constant(delay: Duration) -> Self {
        Self { backoff: Backoff::Constant, jitter: Jitter::None, ..Self::exponential(delay) }
    }

    /// The policy of the decorator found in most introductions to the pattern (`max_retries=3, base_delay=1,
    /// max_delay=32, exponential_base=2, jitter=True`), as it is meant: three attempts, pauses of 1 s and 2 s, each times
    /// 0.5 to 1.5, never over 32 s.
    ///
    /// As it is usually coded it differs, see [`Retry::textbook_as_coded`].
    #[must_use]
    pub const fn textbook() -> Self {
        Self {
            max_delay: Duration::from_secs(32),
            jitter: Jitter::Proportional { low: 0.5, high: 1.5 },
            ..Self::exponential(Duration::from_secs(1))
        }
    }

    /// The policy of [`Retry::textbook`] with the pauses of the usual code, for those who must keep them: it counts the
    /// failure before it computes the power, so pauses are 2, 4, 8, 16, 32, 32 ... seconds and never 1.
    ///
    /// Two faults of that code are not reproduced: jitter is applied before the cap, so no pause is over 32 s (the code
    /// reaches 48 s), and no number of attempts makes the call without calling (the code does, for 0).
    #[must_use]
    pub const fn textbook_as_coded() -> Self {
        Self { base_delay: Duration::from_secs(2), ..Self::textbook() }
    }

    /// Sets how many attempts are made in all, the first included; at least 1.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the longest pause.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets how pauses are scattered.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the longest `Retry-After` that is waited for.
    #[must_use]
    pub const fn max_retry_after(mut self, duration: Duration) -> Self {
        self.max_retry_after = duration;
        self
    }

    /// Sets what all calls together may retry.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets every call retry whatever the others do. In an outage that multiplies load by the number of attempts.
    #[must_use]
    pub const fn without_budget(mut self) -> Self {
        self.budget = None;
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        if self.max_attempts == 0 {
            return Err(InvalidOption::new("retry.max_attempts", 0, "at least 1: it counts the first call too"));
        }
        self.backoff.validate()?;
        self.jitter.validate()?;
        if self.base_delay > self.max_delay {
            return Err(InvalidOption::new("retry.base_delay", self.base_delay, "at most retry.max_delay"));
        }
        self.budget.as_ref().map_or(Ok(()), Budget::validate)
    }
}
