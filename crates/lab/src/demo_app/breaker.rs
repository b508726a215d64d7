//! A circuit breaker: a pure state machine over the outcomes of calls.
//!
//! *Closed* it lets every call through and counts failures in a row; at the configured number it *opens* and refuses all.
//! After a while it is *half-open*: one trial call goes through, whose outcome closes or re-opens it.

use model::{Moment, lab::Breaker};

/// A circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CircuitBreaker {
    rule: Breaker,
    state: State,
}

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// All go through.
    Closed {
        /// Failures in a row so far.
        failures: u32,
    },
    /// All are refused.
    Open {
        /// Until then.
        until: Moment,
    },
    /// A trial is under way; others are refused.
    HalfOpen {
        /// If it has not been heard of by then (its caller went away), the next call is the trial.
        until: Moment,
    },
}

/// What a breaker says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Go on.
    Pass,
    /// Go on: everything depends on how it ends.
    Trial,
    /// Do not even try.
    Refused,
}

impl CircuitBreaker {
    pub(super) const fn new(rule: Breaker) -> Self {
        Self { rule, state: State::Closed { failures: 0 } }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Asks whether a call may be made now; to be told its outcome by [`CircuitBreaker::report`].
    pub(super) fn admit(&mut self, now: Moment) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass,
            State::Open { until } | State::HalfOpen { until } if now < until => Admission::Refused,
            State::Open { .. } | State::HalfOpen { .. } => {
                self.state = State::HalfOpen { until: now + self.rule.open_for.get() };
                Admission::Trial
            }
        }
    }

    /// Learns how an admitted call ended. A call that began before the breaker opened changes nothing any more.
    pub(super) fn report(&mut self, admission: Admission, succeeded: bool, now: Moment) {
        let opened = State::Open { until: now + self.rule.open_for.get() };
        self.state = match (self.state, admission, succeeded) {
            (State::Closed { .. }, Admission::Pass, true) | (State::HalfOpen { .. }, Admission::Trial, true) => {
                State::Closed { failures: 0 }
            }
            (State::Closed { failures }, Admission::Pass, false) if failures + 1 < self.rule.failures => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, Admission::Pass, false) | (State::HalfOpen { .. }, Admission::Trial, false) => {
                opened
            }
            (state, _, _) => state,
        };
    }
}

#[cfg(test)]
mod tests {
    use model::Period;
    use proptest::prelude::*;

    use super::*;

    const RULE: Breaker = Breaker { failures: 2, open_for: Period::from_secs(5) };
    const CLOSED: State = State::Closed { failures: 0 };

    fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    fn in_state(state: State) -> CircuitBreaker {
        CircuitBreaker { rule: RULE, state }
    }

    #[test]
    fn every_state_admits_what_it_should() {
        let table = [
            (CLOSED, 0, Admission::Pass, CLOSED),
            (State::Closed { failures: 1 }, 0, Admission::Pass, State::Closed { failures: 1 }),
            (State::Open { until: at(9) }, 8, Admission::Refused, State::Open { until: at(9) }),
            (State::Open { until: at(9) }, 9, Admission::Trial, State::HalfOpen { until: at(14) }),
            (State::HalfOpen { until: at(9) }, 8, Admission::Refused, State::HalfOpen { until: at(9) }),
            (State::HalfOpen { until: at(9) }, 9, Admission::Trial, State::HalfOpen { until: at(14) }),
        ];
        for (before, now, expected, after) in table {
            let mut breaker = in_state(before);
            assert_eq!(breaker.admit(at(now)), expected, "{before:?} at {now} s");
            assert_eq!(breaker.state(), after, "{before:?} at {now} s");
        }
    }

    #[test]
    fn every_state_takes_every_outcome_as_it_should() {
        use Admission::{Pass, Trial};
        let open = |until| State::Open { until: at(until) };
        let half_open = State::HalfOpen { until: at(9) };
        let table = [
            (CLOSED, Pass, true, CLOSED),
            (CLOSED, Pass, false, State::Closed { failures: 1 }),
            (State::Closed { failures: 1 }, Pass, true, CLOSED),
            (State::Closed { failures: 1 }, Pass, false, open(8)),
            (CLOSED, Trial, true, CLOSED),
            (CLOSED, Trial, false, CLOSED),
            (open(4), Pass, true, open(4)),
            (open(4), Pass, false, open(4)),
            (open(4), Trial, true, open(4)),
            (open(4), Trial, false, open(4)),
            (half_open, Pass, true, half_open),
            (half_open, Pass, false, half_open),
            (half_open, Trial, true, CLOSED),
            (half_open, Trial, false, open(8)),
        ];
        for (before, admission, succeeded, after) in table {
            let mut breaker = in_state(before);
            breaker.report(admission, succeeded, at(3));
            assert_eq!(breaker.state(), after, "{before:?}, {admission:?} succeeded: {succeeded}");
        }
    }

    proptest! {
        /// With a downstream that always fails, at most the failures that open it and one call per period go through.
        #[test]
        fn a_dead_downstream_is_called_once_per_period(calls in proptest::collection::vec(0_u64..2_000, 1..200)) {
            let mut breaker = CircuitBreaker::new(RULE);
            let mut now = Moment::ZERO;
            let mut admitted = 0_u64;
            for pause in calls {
                now = now + std::time::Duration::from_millis(pause);
                let admission = breaker.admit(now);
                if admission != Admission::Refused {
                    admitted += 1;
                    breaker.report(admission, false, now);
                }
            }
            let periods = now.since_start().as_secs() / 5;
            prop_assert!(admitted <= u64::from(RULE.failures) + periods, "{admitted} calls in {now}");
        }
    }
}
