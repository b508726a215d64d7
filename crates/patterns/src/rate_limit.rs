//! Rate limit: so many calls in a time, evenly, with room for bursts.
//!
//! The *generic cell rate algorithm* of ATM networks (ITU-T I.371; see [GCRA][gcra]): a leaky bucket whose whole state is
//! one moment, the *theoretical arrival time* of the next call. So it is one atomic word, without a lock and without
//! anything that refills it.
//!
//! [gcra]: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm

use std::time::Duration;

use crate::{
    clock::{Moment, nanos},
    error::{InvalidOption, Rejected},
    sync::{AtomicU64, Ordering},
};

/// How many calls in which time.
///
/// ```
/// use std::time::Duration;
/// use patterns::RateLimit;
///
/// // 100 calls a second, up to 20 of them at once; a call that is early waits up to 50 ms.
/// let limit = RateLimit::per_second(100).burst(20).max_wait(Duration::from_millis(50));
/// assert!(limit.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// So many calls, at least 1 ...
    pub calls: u32,
    /// ... in this time, at least a nanosecond for each.
    pub per: Duration,
    /// How many of them may come at once: at least 1.
    pub burst: u32,
    /// How long a call that comes too early waits for its turn; if that is too short, it is refused.
    pub max_wait: Duration,
}

impl RateLimit {
    /// So many calls a second, evenly spaced; others are refused.
    #[must_use]
    pub const fn per_second(calls: u32) -> Self {
        Self { calls, per: Duration::from_secs(1), burst: 1, max_wait: Duration::ZERO }
    }

    /// So many calls in this time, evenly spaced; others are refused.
    #[must_use]
    pub const fn of(calls: u32, per: Duration) -> Self {
        Self { calls, per, burst: 1, max_wait: Duration::ZERO }
    }

    /// Lets so many calls come at once.
    #[must_use]
    pub const fn burst(mut self, calls: u32) -> Self {
        self.burst = calls;
        self
    }

    /// Lets a call that comes too early wait this long for its turn.
    #[must_use]
    pub const fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        if self.calls == 0 {
            return Err(InvalidOption::new("rate_limit.calls", 0, "at least 1"));
        }
        if self.interval() == 0 {
            return Err(InvalidOption::new("rate_limit.per", self.per, "at least a nanosecond for each call"));
        }
        if self.burst == 0 {
            return Err(InvalidOption::new("rate_limit.burst", 0, "at least 1"));
        }
        Ok(())
    }

    /// Nanoseconds from one call to the next.
    fn interval(&self) -> u64 {
        nanos(self.per) / u64::from(self.calls.max(1))
    }
}

/// What has been used of a [`RateLimit`]: the theoretical arrival time of the next call.
#[derive(Debug, Default)]
pub struct Meter(AtomicU64);

/// A turn to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a turn that is not used is given back with `cancel`"]
pub struct Turn {
    /// When the call may be made: now, or later, if it may wait.
    pub at: Moment,
    before: u64,
    after: u64,
}

impl Meter {
    /// A meter that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a turn.
    ///
    /// # Errors
    ///
    /// [`Rejected::RateLimited`], when the turn would be later than the call may wait.
    pub fn turn(&self, limit: &RateLimit, now: Moment) -> Result<Turn, Rejected> {
        let interval = limit.interval();
        let tolerance = interval.saturating_mul(u64::from(limit.burst));
        let latest = now + limit.max_wait;
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let after = before.max(now.as_nanos()).saturating_add(interval);
            let at = Moment::from_nanos(after.saturating_sub(tolerance)).max(now);
            if at > latest {
                return Err(Rejected::RateLimited { retry_after: (at - limit.max_wait).since(now) });
            }
            match self.0.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(Turn { at, before, after }),
                Err(other) => before = other,
            }
        }
    }

    /// Gives back a turn that will not be used. If others have come since, theirs stay where they are and the turn is
    /// lost: never too many calls, at most one too few.
    pub fn cancel(&self, turn: Turn) {
        _ = self.0.compare_exchange(turn.after, turn.before, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn calls_are_spaced_evenly_after_the_burst() {
        let (limit, meter) = (RateLimit::per_second(10).burst(3), Meter::new());
        let now = at(1000);
        assert!((0..3).all(|_| meter.turn(&limit, now).is_ok()));
        let refused = meter.turn(&limit, now).unwrap_err();
        assert_eq!(refused, Rejected::RateLimited { retry_after: Duration::from_millis(100) });
        assert!(meter.turn(&limit, at(1099)).is_err());
        assert!(meter.turn(&limit, at(1100)).is_ok() && meter.turn(&limit, at(1100)).is_err());
    }

    #[test]
    fn a_call_that_is_early_waits_for_its_turn_or_is_told_when_to_come() {
        let (limit, meter) = (RateLimit::per_second(10).max_wait(Duration::from_millis(150)), Meter::new());
        let turns: Vec<u64> = (0..2).map(|_| meter.turn(&limit, at(0)).unwrap().at.as_millis()).collect();
        assert_eq!(turns, [0, 100]);
        // Its turn is at 200; at 50 it could wait for it.
        let refused = meter.turn(&limit, at(0)).unwrap_err();
        assert_eq!(refused, Rejected::RateLimited { retry_after: Duration::from_millis(50) });
        assert_eq!(meter.turn(&limit, at(50)).unwrap().at, at(200));
    }

    #[test]
    fn a_turn_that_is_not_used_comes_back_unless_others_came_since() {
        let (limit, meter) = (RateLimit::per_second(1), Meter::new());
        let turn = meter.turn(&limit, at(5000)).unwrap();
        meter.cancel(turn);
        let limit = limit.max_wait(Duration::from_secs(9));
        let (first, second) = (meter.turn(&limit, at(5000)).unwrap(), meter.turn(&limit, at(5000)).unwrap());
        meter.cancel(first);
        assert_eq!(meter.turn(&limit, at(5000)).unwrap().at, at(7000));
        assert_eq!(second.at, at(6000));
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(RateLimit::per_second(0).validate().unwrap_err().option, "rate_limit.calls");
        assert_eq!(RateLimit::of(2, Duration::from_nanos(1)).validate().unwrap_err().option, "rate_limit.per");
        assert_eq!(RateLimit::per_second(1).burst(0).validate().unwrap_err().option, "rate_limit.burst");
    }

    proptest! {
        /// In any stretch of time there are at most `burst` calls more than the rate.
        #[test]
        fn no_stretch_of_time_has_more_calls_than_it_may(
            (calls, burst, max_wait) in (1_u32..50, 1_u32..10, 0_u64..500),
            steps in prop::collection::vec((0_u64..200, prop::bool::weighted(0.2)), 1..200),
        ) {
            let limit = RateLimit::per_second(calls).burst(burst).max_wait(Duration::from_millis(max_wait));
            let (meter, mut now, mut made) = (Meter::new(), at(10_000), Vec::new());
            for (pause, cancelled) in steps {
                now = now + Duration::from_millis(pause);
                match meter.turn(&limit, now) {
                    Ok(turn) if cancelled => meter.cancel(turn),
                    Ok(turn) => {
                        prop_assert!(turn.at <= now + limit.max_wait);
                        made.push(turn.at);
                    }
                    Err(Rejected::RateLimited { retry_after }) => {
                        prop_assert!(!retry_after.is_zero());
                        now = now + retry_after;
                        made.push(meter.turn(&limit, now).unwrap().at);
                    }
                    Err(other) => prop_assert!(false, "{other:?}"),
                }
            }
            for (first, start) in made.iter().enumerate() {
                for (last, end) in made.iter().enumerate().skip(first) {
                    let beyond_the_burst = u64::try_from(last - first + 1).unwrap().saturating_sub(u64::from(burst));
                    prop_assert!(beyond_the_burst * limit.interval() <= nanos(end.since(*start)));
                }
            }
        }
    }
}
