//! Chaos: faults on purpose, for some calls, switched on and off while the program runs.
//!
//! What [Simmy][simmy] is to Polly: latency, errors and made-up outcomes at a rate. To the other strategies they are the
//! dependency's, so that timeouts, retries, breakers and fallbacks can be watched at work without breaking anything. The
//! rate can be decided anew for each call, by tenant, label or whatever its [`Context`] says.
//!
//! [simmy]: https://www.pollydocs.org/chaos/

use std::{fmt, sync::Arc, time::Duration};

use crate::{context::Context, error::InvalidOption, random::Random};

/// Which faults, and how often.
///
/// ```
/// use std::time::Duration;
/// use patterns::Chaos;
///
/// // A tenth of the attempts is 200 to 400 ms late, one in fifty fails.
/// let chaos = Chaos::none().latency(0.1, Duration::from_millis(200), Duration::from_millis(400)).errors(0.02);
/// assert!(chaos.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Chaos {
    /// The part of attempts that is late, 0 to 1.
    pub latency_rate: f64,
    /// They are late by at least this ...
    pub min_latency: Duration,
    /// ... and at most this; every delay between is equally likely.
    pub max_latency: Duration,
    /// The part of attempts that fails with [`Error::Injected`](crate::Error::Injected), 0 to 1.
    pub error_rate: f64,
    /// The part of attempts whose result is made up ([`Policy::made_up`](crate::Policy::made_up)), 0 to 1. Where nothing
    /// is there to make it up they fail.
    pub outcome_rate: f64,
}

/// What is done to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is late.
    Latency(Duration),
    /// It fails, and the dependency is not called.
    Error,
    /// Its result is made up, and the dependency is not called.
    Outcome,
}

impl Chaos {
    /// No faults.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            latency_rate: 0.0,
            min_latency: Duration::ZERO,
            max_latency: Duration::ZERO,
            error_rate: 0.0,
            outcome_rate: 0.0,
        }
    }

    /// Makes this part of the attempts late.
    #[must_use]
    pub const fn latency(mut self, rate: f64, min: Duration, max: Duration) -> Self {
        (self.latency_rate, self.min_latency, self.max_latency) = (rate, min, max);
        self
    }

    /// Makes this part of the attempts fail.
    #[must_use]
    pub const fn errors(mut self, rate: f64) -> Self {
        self.error_rate = rate;
        self
    }

    /// Makes up the results of this part of the attempts.
    #[must_use]
    pub const fn outcomes(mut self, rate: f64) -> Self {
        self.outcome_rate = rate;
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        let rates = [
            ("chaos.latency_rate", self.latency_rate),
            ("chaos.error_rate", self.error_rate),
            ("chaos.outcome_rate", self.outcome_rate),
        ];
        for (option, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return Err(InvalidOption::new(option, rate, "between 0 and 1"));
            }
        }
        if self.min_latency > self.max_latency {
            return Err(InvalidOption::new("chaos.min_latency", self.min_latency, "at most chaos.max_latency"));
        }
        Ok(())
    }

    /// What is done to an attempt: how late it is, and how it ends if not by the dependency. The three rates are drawn
    /// one by one, an error before a made-up outcome.
    pub fn draw(&self, random: &mut impl Random) -> (Option<Duration>, Option<Fault>) {
        let mut hit = |rate: f64| rate > 0.0 && random.unit() < rate;
        let (late, error, outcome) = (hit(self.latency_rate), hit(self.error_rate), hit(self.outcome_rate));
        let end = if error { Some(Fault::Error) } else { outcome.then_some(Fault::Outcome) };
        let late = late.then(|| {
            let span = self.max_latency.saturating_sub(self.min_latency);
            self.min_latency + span.mul_f64(random.unit())
        });
        (late, end)
    }
}

/// Decides for a call which chaos it meets; `None` is none.
pub(crate) type Decide = Arc<dyn Fn(&Context) -> Option<Chaos> + Send + Sync>;

/// How a pipeline decides on chaos, when its options do not.
#[derive(Clone, Default)]
pub(crate) struct Decider(pub(crate) Option<Decide>);

impl fmt::Debug for Decider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "decided per call" } else { "not decided per call" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn faults_come_at_their_rates() {
        let chaos = Chaos::none()
            .latency(0.5, Duration::from_millis(100), Duration::from_millis(200))
            .errors(0.2)
            .outcomes(0.1);
        let mut random = SplitMix64::seeded(3);
        let drawn: Vec<_> = (0..10_000).map(|_| chaos.draw(&mut random)).collect();
        let count = |of: fn(&(Option<Duration>, Option<Fault>)) -> bool| drawn.iter().filter(|fault| of(fault)).count();
        assert!((4800..5200).contains(&count(|fault| fault.0.is_some())));
        assert!((1850..2150).contains(&count(|fault| fault.1 == Some(Fault::Error))));
        // A tenth of the four fifths that did not fail.
        assert!((700..900).contains(&count(|fault| fault.1 == Some(Fault::Outcome))));
        assert!(drawn.iter().filter_map(|fault| fault.0).all(|late| (100..=200).contains(&late.as_millis())));
    }

    #[test]
    fn none_is_none_and_always_is_always() {
        let mut random = SplitMix64::seeded(3);
        assert_eq!(Chaos::none().draw(&mut random), (None, None));
        assert!((0..1000).all(|_| Chaos::none().errors(1.0).draw(&mut random).1 == Some(Fault::Error)));
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(Chaos::none().errors(1.5).validate().unwrap_err().option, "chaos.error_rate");
        assert_eq!(Chaos::none().outcomes(f64::NAN).validate().unwrap_err().option, "chaos.outcome_rate");
        let reversed = Chaos::none().latency(0.1, Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(reversed.validate().unwrap_err().option, "chaos.min_latency");
    }
}
