//! Circuit breaker: not calling what does not answer anyway.
//!
//! After Michael Nygard, *Release It!* (2007), and Martin Fowler, [*CircuitBreaker*][fowler], 2014; windows, rates and
//! trials as in [resilience4j][r4j].
//!
//! - **Closed**: calls go through and are counted. Too many failures open it.
//! - **Open**: calls are refused. When its time is up, the next call half-opens it.
//! - **Half-open**: a few *trials* go through, all other calls are refused. The trials decide: closed or open again.
//! - **Forced open** and **forced closed**: somebody decided by hand. Nothing changes until somebody does again.
//!
//! Every change of state begins a new *generation*. What a call reports counts only in the generation in which it was
//! let through, so that a slow call from before an outage can neither close nor open what has moved on since.
//!
//! [fowler]: https://martinfowler.com/bliki/CircuitBreaker.html
//! [r4j]: https://resilience4j.readme.io/docs/circuitbreaker

mod circuit;
mod state;
pub(crate) mod window;

use std::time::Duration;

pub use self::{
    circuit::{Admitted, Change, Circuit, Status},
    state::{Mode, Permit, Phase, State, Verdict},
    window::Tally,
};
use crate::error::InvalidOption;

/// When to open, for how long, and how to close again.
///
/// ```
/// use std::time::Duration;
/// use patterns::Breaker;
///
/// // Half of at least 20 calls failed, of the last 100; or half took longer than 2 s.
/// let breaker = Breaker::failure_rate(0.5)
///     .last_calls(100)
///     .minimum_calls(20)
///     .slow_calls(Duration::from_secs(2), 0.5)
///     .open_for(Duration::from_secs(30))
///     .trials(3);
/// assert!(breaker.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    /// When it opens.
    pub trip: Trip,
    /// How long it stays open the first time: 1 ms to 30 days.
    pub open_for: Duration,
    /// What that time is multiplied with each time trials fail; at least 1.
    pub open_growth: f64,
    /// The longest it stays open, at least `open_for` and at most 30 days.
    pub max_open_for: Duration,
    /// How many calls decide, when it is half-open, whether it closes: 1 to 1023.
    pub trials: u32,
}

/// When a breaker opens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    /// On so many failures with no success between them. At least 1. When it is half-open, one failed trial opens it.
    Consecutive(u32),
    /// When too large a part of the calls in a window fail or are slow.
    Rate(Rate),
}

/// A part of the calls in a window. When the breaker is half-open, the trials are the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// The calls that are looked at.
    pub window: Window,
    /// Fewer calls than this say nothing. At least 1; in a window of calls no more than the window is needed.
    pub minimum_calls: u32,
    /// The part of failures at which it opens: above 0, at most 1.
    pub failures: f64,
    /// Calls that are slow, and the part of them at which it opens.
    pub slow: Option<Slow>,
}

/// Slow calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// A call is slow that takes at least this.
    pub from: Duration,
    /// The part of slow calls at which it opens: above 0, at most 1.
    pub rate: f64,
}

/// The calls a rate is computed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last so many: 1 to 32,767.
    Calls(u32),
    /// Those of this last time, to a tenth of it: 10 ms to 1 day.
    Time(Duration),
}

/// The longest time a breaker may be open and still be expected back.
const LONGEST_OPEN: Duration = Duration::from_secs(30 * 24 * 3600);

impl Breaker {
    /// Opens on so many failures in a row, for a minute; then one success closes it.
    ///
    /// `Breaker::consecutive_failures(5)` is the breaker of most introductions (`failure_threshold=5,
    /// recovery_timeout=60`), except that a success between two failures counts, which their code forgets.
    #[must_use]
    pub const fn consecutive_failures(failures: u32) -> Self {
        Self {
            trip: Trip::Consecutive(failures),
            open_for: Duration::from_secs(60),
            open_growth: 1.0,
            max_open_for: LONGEST_OPEN,
            trials: 1,
        }
    }

    /// Opens for a minute when this part of the last 100 calls failed; then ten trials decide. The defaults of
    /// resilience4j, whose rate is 0.5.
    #[must_use]
    pub const fn failure_rate(failures: f64) -> Self {
        let rate = Rate { window: Window::Calls(100), minimum_calls: 100, failures, slow: None };
        Self { trip: Trip::Rate(rate), trials: 10, ..Self::consecutive_failures(1) }
    }

    /// Looks at the last so many calls. Only for rates.
    #[must_use]
    pub const fn last_calls(mut self, calls: u32) -> Self {
        if let Trip::Rate(rate) = &mut self.trip {
            rate.window = Window::Calls(calls);
        }
        self
    }

    /// Looks at the calls of this last time. Only for rates.
    #[must_use]
    pub const fn last_time(mut self, time: Duration) -> Self {
        if let Trip::Rate(rate) = &mut self.trip {
            rate.window = Window::Time(time);
        }
        self
    }

    /// Draws no conclusion from fewer calls. Only for rates.
    #[must_use]
    pub const fn minimum_calls(mut self, calls: u32) -> Self {
        if let Trip::Rate(rate) = &mut self.trip {
            rate.minimum_calls = calls;
        }
        self
    }

    /// Opens also when this part of the calls takes at least so long. Only for rates.
    #[must_use]
    pub const fn slow_calls(mut self, from: Duration, part: f64) -> Self {
        if let Trip::Rate(rate) = &mut self.trip {
            rate.slow = Some(Slow { from, rate: part });
        }
        self
    }

    /// Stays open so long.
    #[must_use]
    pub const fn open_for(mut self, duration: Duration) -> Self {
        self.open_for = duration;
        self
    }

    /// Stays open longer each time trials fail: by this factor, up to the longest.
    #[must_use]
    pub const fn open_longer(mut self, factor: f64, longest: Duration) -> Self {
        self.open_growth = factor;
        self.max_open_for = longest;
        self
    }

    /// Lets so many calls decide when it is half-open.
    #[must_use]
    pub const fn trials(mut self, trials: u32) -> Self {
        self.trials = trials;
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        match &self.trip {
            Trip::Consecutive(0) => Err(InvalidOption::new("breaker.consecutive_failures", 0, "at least 1")),
            Trip::Consecutive(_) => Ok(()),
            Trip::Rate(rate) => rate.validate(),
        }?;
        if self.open_for < Duration::from_millis(1) || self.open_for > LONGEST_OPEN {
            return Err(InvalidOption::new("breaker.open_for", self.open_for, "between 1 ms and 30 days"));
        }
        if !(self.open_growth.is_finite() && self.open_growth >= 1.0) {
            return Err(InvalidOption::new("breaker.open_growth", self.open_growth, "at least 1"));
        }
        if self.max_open_for < self.open_for || self.max_open_for > LONGEST_OPEN {
            let expected = "at least breaker.open_for and at most 30 days";
            return Err(InvalidOption::new("breaker.max_open_for", self.max_open_for, expected));
        }
        if self.trials == 0 || self.trials > State::MOST_TRIALS {
            return Err(InvalidOption::new("breaker.trials", self.trials, "between 1 and 1023"));
        }
        Ok(())
    }

    /// How long it stays open for the n-th time in a row, from 1.
    fn open_time(&self, openings: u8) -> Duration {
        let factor = self.open_growth.powi(i32::from(openings) - 1);
        Duration::try_from_secs_f64(self.open_for.as_secs_f64() * factor)
            .map_or(self.max_open_for, |time| time.min(self.max_open_for))
    }

    /// Whether the counts of a window open it.
    fn trips(&self, tally: Tally) -> bool {
        match &self.trip {
            Trip::Consecutive(most) => tally.failures >= *most,
            Trip::Rate(rate) => tally.calls >= rate.needed_calls() && rate.exceeded(tally),
        }
    }

    /// Whether it makes a difference when a call that succeeded ended: for windows of time, and to slow calls.
    pub(crate) fn wants_durations(&self) -> bool {
        match &self.trip {
            Trip::Consecutive(_) => false,
            Trip::Rate(rate) => rate.slow.is_some() || matches!(rate.window, Window::Time(_)),
        }
    }

    fn is_slow(&self, duration: Duration) -> bool {
        match &self.trip {
            Trip::Rate(Rate { slow: Some(slow), .. }) => duration >= slow.from,
            Trip::Rate(_) | Trip::Consecutive(_) => false,
        }
    }
}

impl Rate {
    fn validate(&self) -> Result<(), InvalidOption> {
        let is_part = |part: f64| part > 0.0 && part <= 1.0;
        match self.window {
            Window::Calls(calls) if calls == 0 || calls > 32_767 => {
                return Err(InvalidOption::new("breaker.window.calls", calls, "between 1 and 32767"));
            }
            Window::Time(time) if time < Duration::from_millis(10) || time > Duration::from_secs(24 * 3600) => {
                return Err(InvalidOption::new("breaker.window.time", time, "between 10 ms and 1 day"));
            }
            Window::Calls(_) | Window::Time(_) => {}
        }
        if self.minimum_calls == 0 {
            return Err(InvalidOption::new("breaker.minimum_calls", 0, "at least 1"));
        }
        if !is_part(self.failures) {
            return Err(InvalidOption::new("breaker.failure_rate", self.failures, "above 0 and at most 1"));
        }
        match &self.slow {
            Some(slow) if !is_part(slow.rate) => {
                Err(InvalidOption::new("breaker.slow_rate", slow.rate, "above 0 and at most 1"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// As in resilience4j, a window of calls never waits for more calls than it holds.
    fn needed_calls(&self) -> u32 {
        match self.window {
            Window::Calls(calls) => self.minimum_calls.min(calls),
            Window::Time(_) => self.minimum_calls,
        }
    }

    fn exceeded(&self, tally: Tally) -> bool {
        let part = |of: u32| f64::from(of) / f64::from(tally.calls.max(1));
        part(tally.failures) >= self.failures || self.slow.is_some_and(|slow| part(tally.slow) >= slow.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_it_is_open_grows_to_its_limit() {
        let second = Duration::from_secs(1);
        let breaker = Breaker::consecutive_failures(1).open_for(second).open_longer(2.0, 5 * second);
        let times: Vec<Duration> = (1..=5).map(|openings| breaker.open_time(openings)).collect();
        assert_eq!(times, [second, 2 * second, 4 * second, 5 * second, 5 * second]);
        assert_eq!(breaker.open_longer(1e300, LONGEST_OPEN).open_time(31), LONGEST_OPEN);
    }

    #[test]
    fn wrong_options_are_named() {
        let wrong = [
            (Breaker::consecutive_failures(0), "breaker.consecutive_failures"),
            (Breaker::failure_rate(0.0), "breaker.failure_rate"),
            (Breaker::failure_rate(f64::NAN), "breaker.failure_rate"),
            (Breaker::failure_rate(0.5).last_calls(0), "breaker.window.calls"),
            (Breaker::failure_rate(0.5).last_time(Duration::ZERO), "breaker.window.time"),
            (Breaker::failure_rate(0.5).minimum_calls(0), "breaker.minimum_calls"),
            (Breaker::failure_rate(0.5).slow_calls(Duration::ZERO, 1.1), "breaker.slow_rate"),
            (Breaker::consecutive_failures(1).open_for(Duration::ZERO), "breaker.open_for"),
            (Breaker::consecutive_failures(1).open_longer(0.5, LONGEST_OPEN), "breaker.open_growth"),
            (Breaker::consecutive_failures(1).open_longer(2.0, Duration::ZERO), "breaker.max_open_for"),
            (Breaker::consecutive_failures(1).trials(1024), "breaker.trials"),
        ];
        for (breaker, option) in wrong {
            assert_eq!(breaker.validate().unwrap_err().option, option);
        }
    }
}
