//! Whether a target is healthy: a pure state machine over the answers to its health checks.
//!
//! It is that of an Application Load Balancer's target group: a new target is *initial* and becomes healthy with its first
//! good answer; afterwards it takes `healthyThreshold` good or `unhealthyThreshold` bad answers in a row to change.
//! Requests that fail do not count: only health checks do.

use model::lab::HealthCheck;

/// What a balancer thinks of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Registered; no health check has decided yet.
    Initial,
    /// Requests are sent to it.
    Healthy,
    /// Requests are sent to it only when no target is healthy.
    Unhealthy,
    /// It is leaving: no new requests, those in flight may finish.
    Draining,
}

impl State {
    /// The word AWS uses (`TargetHealth.State`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
        }
    }
}

/// A target's state and how many answers in a row speak against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Health {
    state: State,
    against: u32,
}

impl Health {
    /// A target that has just been registered.
    pub(super) const NEW: Self = Self { state: State::Initial, against: 0 };

    /// A target that has been deregistered.
    pub(super) const DRAINING: Self = Self { state: State::Draining, against: 0 };

    /// Its state.
    pub(super) const fn state(self) -> State {
        self.state
    }

    /// After one more answer.
    pub(super) fn judge(self, good: bool, rule: &HealthCheck) -> Self {
        let (speaks_against, needed, other) = match self.state {
            State::Initial if good => return Self { state: State::Healthy, against: 0 },
            State::Initial | State::Healthy => (!good, rule.unhealthy_threshold, State::Unhealthy),
            State::Unhealthy => (good, rule.healthy_threshold, State::Healthy),
            // It has left; nothing brings it back.
            State::Draining => return self,
        };
        match (speaks_against, self.against + 1) {
            (false, _) => Self { state: self.state, against: 0 },
            (true, answers) if answers >= needed => Self { state: other, against: 0 },
            (true, answers) => Self { state: self.state, against: answers },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(healthy: u32, unhealthy: u32) -> HealthCheck {
        HealthCheck { healthy_threshold: healthy, unhealthy_threshold: unhealthy, ..HealthCheck::default() }
    }

    fn after(answers: &str, rule: &HealthCheck) -> State {
        answers.chars().fold(Health::NEW, |health, answer| health.judge(answer == '+', rule)).state()
    }

    #[test]
    fn every_state_changes_exactly_at_its_threshold() {
        let rule = rule(3, 2);
        let table = [
            ("", State::Initial),
            ("+", State::Healthy),
            ("-", State::Initial),
            ("-+", State::Healthy),
            ("--", State::Unhealthy),
            ("+-", State::Healthy),
            ("+-+-", State::Healthy),
            ("+--", State::Unhealthy),
            ("+--+", State::Unhealthy),
            ("+--++", State::Unhealthy),
            ("+--++-+", State::Unhealthy),
            ("+--+++", State::Healthy),
            ("--+++-", State::Healthy),
        ];
        for (answers, expected) in table {
            assert_eq!(after(answers, &rule), expected, "after {answers:?}");
        }
    }

    #[test]
    fn a_draining_target_stays_draining_whatever_it_answers() {
        assert_eq!(Health::DRAINING.judge(true, &rule(1, 1)), Health::DRAINING);
        assert_eq!(Health::DRAINING.judge(false, &rule(1, 1)), Health::DRAINING);
    }

    proptest! {
        #[test]
        fn as_many_equal_answers_as_the_threshold_decide_from_anywhere(
            before in proptest::collection::vec(any::<bool>(), 0..20), healthy in 1_u32..6, unhealthy in 1_u32..6, last in any::<bool>(),
        ) {
            let rule = rule(healthy, unhealthy);
            let health = before.iter().fold(Health::NEW, |health, good| health.judge(*good, &rule));
            let enough = if last { healthy } else { unhealthy };
            let health = (0..enough).fold(health, |health, _| health.judge(last, &rule));
            prop_assert_eq!(health.state(), if last { State::Healthy } else { State::Unhealthy });
        }
    }
}
