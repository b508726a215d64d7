//! Whether and when there is another attempt: one decision per failure.

use std::time::Duration;

use super::{Bank, Retry};
use crate::{
    clock::Moment,
    error::Scope,
    event::{GaveUp, Outcome},
    outcome::{Class, Transient},
    random::Random,
};

/// The attempts of one call: how many were made, and how long the last pause was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Schedule {
    attempts: u32,
    last_delay: Option<Duration>,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing: it is over, and not because of the retry strategy.
    Over,
    /// Make another attempt after this pause.
    Again(Duration),
    /// Make no other, for this reason.
    GiveUp(GaveUp),
}

/// What one decision is made from.
#[derive(Debug)]
pub struct After<'a> {
    /// What came of the attempt.
    pub outcome: Outcome,
    /// Whether the call may be made twice.
    pub idempotent: bool,
    /// The present moment.
    pub now: Moment,
    /// When the call must be over.
    pub deadline: Option<Moment>,
    /// The tokens of [`Retry::budget`]; without them the budget does not limit.
    pub bank: Option<&'a Bank>,
}

impl Schedule {
    /// Begins the next attempt and says which it is, from 1.
    pub fn begin(&mut self) -> u32 {
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// How many attempts were begun.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Decides what follows the attempt that was begun last. A token of the budget is taken only for a retry that will
    /// really be made.
    pub fn decide(&mut self, retry: &Retry, after: &After<'_>, random: &mut impl Random) -> Decision {
        let transient = match transient(after.outcome) {
            Ok(transient) => transient,
            Err(decision) => return decision,
        };
        if self.attempts >= retry.max_attempts {
            return Decision::GiveUp(GaveUp::Attempts);
        }
        if !after.idempotent && !transient.not_executed {
            return Decision::GiveUp(GaveUp::NotIdempotent);
        }
        let asked_for = transient.retry_after.unwrap_or(Duration::ZERO);
        if asked_for > retry.max_retry_after {
            return Decision::GiveUp(GaveUp::RetryAfter);
        }
        let delay = retry.delay(self.attempts, self.last_delay, random);
        // On top of what the dependency asked for, so that all who were told the same do not come back together.
        let pause = asked_for.saturating_add(delay);
        if after.deadline.is_some_and(|deadline| after.now + pause >= deadline) {
            return Decision::GiveUp(GaveUp::Deadline);
        }
        if let (Some(budget), Some(bank)) = (&retry.budget, after.bank)
            && !bank.withdraw(budget, after.now)
        {
            return Decision::GiveUp(GaveUp::Budget);
        }
        self.last_delay = Some(delay);
        Decision::Again(pause)
    }
}

/// What is known about a failure that another attempt may cure; otherwise what to do instead of another attempt.
const fn transient(outcome: Outcome) -> Result<Transient, Decision> {
    match outcome {
        Outcome::Done(Class::Transient(transient)) => Ok(transient),
        Outcome::Done(Class::Success | Class::Invalid) | Outcome::Cancelled => Err(Decision::Over),
        Outcome::Done(Class::Permanent) => Err(Decision::GiveUp(GaveUp::NotTransient)),
        // The dependency may still be working on it.
        Outcome::TimedOut(Scope::Attempt) => Ok(Transient { retry_after: None, not_executed: false }),
        Outcome::TimedOut(Scope::Overall) => Err(Decision::GiveUp(GaveUp::Deadline)),
        Outcome::Injected => Ok(Transient { retry_after: None, not_executed: true }),
        Outcome::Rejected(_) => Err(Decision::GiveUp(GaveUp::Rejected)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        error::Rejected,
        random::SplitMix64,
        retry::{Budget, Jitter},
    };

    const SECOND: Duration = Duration::from_secs(1);

    fn retry() -> Retry {
        Retry::exponential(SECOND).jitter(Jitter::None).without_budget()
    }

    const fn after(outcome: Outcome) -> After<'static> {
        After { outcome, idempotent: true, now: Moment::ZERO, deadline: None, bank: None }
    }

    fn decide(retry: &Retry, attempts: u32, after: &After<'_>) -> Decision {
        Schedule { attempts, last_delay: None }.decide(retry, after, &mut SplitMix64::seeded(1))
    }

    const ALL: [Outcome; 13] = [
        Outcome::Done(Class::Success),
        Outcome::Done(Class::transient()),
        Outcome::Done(Class::retry_after(Duration::from_secs(5))),
        Outcome::Done(Class::not_executed()),
        Outcome::Done(Class::Permanent),
        Outcome::Done(Class::Invalid),
        Outcome::TimedOut(Scope::Attempt),
        Outcome::TimedOut(Scope::Overall),
        Outcome::Rejected(Rejected::BulkheadFull),
        Outcome::Rejected(Rejected::Shed),
        Outcome::Rejected(Rejected::BreakerOpen { retry_after: None }),
        Outcome::Injected,
        Outcome::Cancelled,
    ];

    #[test]
    fn every_outcome_in_every_state_has_its_decision() {
        use Decision::{Again, GiveUp, Over};
        // First attempt of an idempotent call; of one that is not; last attempt of an idempotent call.
        let expected = [
            (Over, Over, Over),
            (Again(SECOND), GiveUp(GaveUp::NotIdempotent), GiveUp(GaveUp::Attempts)),
            (Again(6 * SECOND), GiveUp(GaveUp::NotIdempotent), GiveUp(GaveUp::Attempts)),
            (Again(SECOND), Again(SECOND), GiveUp(GaveUp::Attempts)),
            (GiveUp(GaveUp::NotTransient), GiveUp(GaveUp::NotTransient), GiveUp(GaveUp::NotTransient)),
            (Over, Over, Over),
            (Again(SECOND), GiveUp(GaveUp::NotIdempotent), GiveUp(GaveUp::Attempts)),
            (GiveUp(GaveUp::Deadline), GiveUp(GaveUp::Deadline), GiveUp(GaveUp::Deadline)),
            (GiveUp(GaveUp::Rejected), GiveUp(GaveUp::Rejected), GiveUp(GaveUp::Rejected)),
            (GiveUp(GaveUp::Rejected), GiveUp(GaveUp::Rejected), GiveUp(GaveUp::Rejected)),
            (GiveUp(GaveUp::Rejected), GiveUp(GaveUp::Rejected), GiveUp(GaveUp::Rejected)),
            (Again(SECOND), Again(SECOND), GiveUp(GaveUp::Attempts)),
            (Over, Over, Over),
        ];
        for (outcome, expected) in ALL.into_iter().zip(expected) {
            let found = (
                decide(&retry(), 1, &after(outcome)),
                decide(&retry(), 1, &After { idempotent: false, ..after(outcome) }),
                decide(&retry(), 3, &after(outcome)),
            );
            assert_eq!(found, expected, "{outcome:?}");
        }
    }

    #[test]
    fn one_attempt_means_no_retry() {
        let once = retry().max_attempts(1);
        assert_eq!(decide(&once, 1, &after(ALL[1])), Decision::GiveUp(GaveUp::Attempts));
        assert!(retry().max_attempts(0).validate().is_err());
    }

    #[test]
    fn nobody_waits_for_an_attempt_that_would_begin_after_the_deadline() {
        let mut failed = after(ALL[1]);
        failed.deadline = Some(Moment::ZERO + SECOND);
        assert_eq!(decide(&retry(), 1, &failed), Decision::GiveUp(GaveUp::Deadline));
        failed.deadline = Some(Moment::ZERO + SECOND + Duration::from_nanos(1));
        assert_eq!(decide(&retry(), 1, &failed), Decision::Again(SECOND));
    }

    #[test]
    fn a_pause_the_dependency_asked_for_is_kept_unless_it_is_too_long() {
        let asks = |seconds| after(Outcome::Done(Class::retry_after(Duration::from_secs(seconds))));
        // Longer than our own longest pause, which limits only ours.
        let patient = retry().max_delay(2 * SECOND);
        assert_eq!(decide(&patient, 1, &asks(30)), Decision::Again(31 * SECOND));
        assert_eq!(decide(&retry(), 1, &asks(61)), Decision::GiveUp(GaveUp::RetryAfter));
    }

    #[test]
    fn the_budget_is_spent_by_retries_that_are_made_and_by_no_others() {
        let budget = Budget { ratio_permille: 0, min_per_second: 0, burst: 1 };
        let retry = retry().budget(budget);
        let bank = Bank::full(&budget, Moment::ZERO);
        let mut failed = After { bank: Some(&bank), ..after(ALL[1]) };
        failed.deadline = Some(Moment::ZERO);
        assert_eq!(decide(&retry, 1, &failed), Decision::GiveUp(GaveUp::Deadline));
        assert_eq!(bank.tokens(&budget, Moment::ZERO), 1);
        failed.deadline = None;
        assert_eq!(decide(&retry, 1, &failed), Decision::Again(SECOND));
        assert_eq!(decide(&retry, 1, &failed), Decision::GiveUp(GaveUp::Budget));
    }

    proptest! {
        #[test]
        fn attempts_and_pauses_stay_within_their_limits(
            max_attempts in 1_u32..8,
            deadline in 1_u64..100_000,
            outcomes in prop::collection::vec(0..ALL.len(), 1..20),
            seed: u64,
        ) {
            let retry = Retry::exponential(SECOND).max_attempts(max_attempts);
            let deadline = Moment::from_millis(deadline);
            let (mut schedule, mut now, mut random) = (Schedule::default(), Moment::ZERO, SplitMix64::seeded(seed));
            for outcome in outcomes {
                schedule.begin();
                let after = After { outcome: ALL[outcome], idempotent: true, now, deadline: Some(deadline), bank: None };
                let Decision::Again(pause) = schedule.decide(&retry, &after, &mut random) else { break };
                now = now + pause;
                prop_assert!(now < deadline);
            }
            prop_assert!(schedule.attempts() <= max_attempts);
        }
    }
}
