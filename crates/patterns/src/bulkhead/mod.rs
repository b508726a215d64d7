//! Bulkhead: so many calls at a time, and the others wait or go.
//!
//! The name is from Michael Nygard, *Release It!*: what sinks one compartment leaves the ship afloat. A dependency that
//! hangs takes the places of its own bulkhead, and no more.
//!
//! How many is a number you choose, or one found by watching latency: [`Adaptive`].

pub(crate) mod gate;
mod limit;
mod patience;

use std::time::Duration;

pub use self::patience::Patience;
pub use self::{
    gate::{Entry, Gate, Ticket},
    limit::{Adaptive, Aimd, Algorithm, Estimate, Gradient, Sample},
};
use crate::error::InvalidOption;

/// How many calls may be under way, and who waits.
///
/// ```
/// use std::time::Duration;
/// use patterns::Bulkhead;
///
/// let bulkhead = Bulkhead::of(20).queue(10, Duration::from_millis(100));
/// assert!(bulkhead.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Bulkhead {
    /// How many calls may be under way.
    pub limit: Limit,
    /// How many more may wait for a place, first come first served.
    pub queue: u32,
    /// How long each may wait.
    pub queue_timeout: Duration,
    /// How long each may wait while the queue has not been empty for `queue_timeout`.
    pub controlled_delay: Option<Duration>,
}

/// How many calls may be under way.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// So many: at least 1.
    Fixed(u32),
    /// As many as the dependency bears without slowing down.
    Adaptive(Adaptive),
}

impl Bulkhead {
    /// So many calls at a time; others are refused at once.
    #[must_use]
    pub const fn of(places: u32) -> Self {
        Self { limit: Limit::Fixed(places), queue: 0, queue_timeout: Duration::ZERO, controlled_delay: None }
    }

    /// As many calls at a time as the algorithm finds good; others are refused at once.
    #[must_use]
    pub const fn adaptive(adaptive: Adaptive) -> Self {
        Self { limit: Limit::Adaptive(adaptive), queue: 0, queue_timeout: Duration::ZERO, controlled_delay: None }
    }

    /// Lets so many calls wait for a place, each so long.
    #[must_use]
    pub const fn queue(mut self, calls: u32, timeout: Duration) -> Self {
        self.queue = calls;
        self.queue_timeout = timeout;
        self
    }

    /// Lets calls wait only this short time while the queue has not been empty for as long as a call may wait otherwise:
    /// a queue that only ever stands there serves nobody sooner, and every call late. The *controlled delay* of Ben
    /// Maurer, [*Fail at Scale*][fail], ACM Queue 2015, after CoDel (RFC 8289); 5 ms, with a queue of 100 ms, is its choice.
    ///
    /// [fail]: https://queue.acm.org/detail.cfm?id=2839461
    #[must_use]
    pub const fn controlled_delay(mut self, delay: Duration) -> Self {
        self.controlled_delay = Some(delay);
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        match &self.limit {
            Limit::Fixed(0) => return Err(InvalidOption::new("bulkhead.limit", 0, "at least 1")),
            Limit::Fixed(_) => {}
            Limit::Adaptive(adaptive) => adaptive.validate()?,
        }
        if self.queue > 0 && self.queue_timeout.is_zero() {
            return Err(InvalidOption::new("bulkhead.queue_timeout", self.queue_timeout, "above zero with a queue"));
        }
        match self.controlled_delay {
            Some(delay) if delay.is_zero() || delay > self.queue_timeout => {
                let expected = "above zero and at most bulkhead.queue_timeout";
                Err(InvalidOption::new("bulkhead.controlled_delay", delay, expected))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The limit to begin with.
    pub(crate) const fn initial(&self) -> u32 {
        match &self.limit {
            Limit::Fixed(places) => *places,
            Limit::Adaptive(adaptive) => adaptive.initial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(Bulkhead::of(0).validate().unwrap_err().option, "bulkhead.limit");
        assert_eq!(Bulkhead::of(1).queue(1, Duration::ZERO).validate().unwrap_err().option, "bulkhead.queue_timeout");
        let impatient = Bulkhead::of(1).queue(1, Duration::from_secs(1)).controlled_delay(Duration::from_secs(2));
        assert_eq!(impatient.validate().unwrap_err().option, "bulkhead.controlled_delay");
        let adaptive = Adaptive { min: 9, ..Adaptive::gradient(2, 1, 5) };
        assert_eq!(Bulkhead::adaptive(adaptive).validate().unwrap_err().option, "bulkhead.adaptive");
    }
}
