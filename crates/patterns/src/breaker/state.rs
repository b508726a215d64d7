//! The state machine of the breaker: a value of 64 bits, and pure functions from one to the next.
//!
//! ```text
//!                    too many failures
//!        Closed ───────────────────────────▶ Open ◀──────────┐
//!          ▲                                  │ time is up,  │ trials
//!          │ trials succeed                   ▼ next call    │ fail
//!          └────────────────────────────── HalfOpen ─────────┘
//!
//!        any ── force ──▶ ForcedOpen, ForcedClosed ── reset ──▶ Closed
//! ```

use std::time::Duration;

use super::{Breaker, Tally, Trip};
use crate::clock::Moment;

/// Everything a breaker remembers besides the calls in its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Goes up with every change of phase, and begins anew after 65,535.
    pub generation: u16,
    /// How many times it opened since it was last closed, up to 31.
    pub openings: u8,
    /// What it does with calls.
    pub phase: Phase,
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It lets them through.
    Closed,
    /// It refuses them until this moment, in milliseconds of the clock.
    Open {
        /// The first millisecond in which a call half-opens it; 35 years fit.
        until_millis: u64,
    },
    /// It lets a few through, as trials.
    HalfOpen {
        /// Trials under way.
        out: u32,
        /// Trials that succeeded.
        succeeded: u32,
        /// Trials that failed.
        failed: u32,
        /// Trials, succeeded or failed, that were slow.
        slow: u32,
    },
    /// It refuses them until told otherwise.
    ForcedOpen,
    /// It lets them through, uncounted, until told otherwise.
    ForcedClosed,
}

/// The phases by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Calls go through and are counted.
    Closed,
    /// Calls are refused for a time.
    Open,
    /// A few calls go through, as trials.
    HalfOpen,
    /// Calls are refused until told otherwise.
    ForcedOpen,
    /// Calls go through, uncounted, until told otherwise.
    ForcedClosed,
}

/// Leave to make one call, to be given back with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    pub(super) generation: u16,
    pub(super) trial: bool,
}

/// What came of a call, as a breaker counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The dependency works.
    Success,
    /// It does not.
    Failure,
}

/// Bits of a packed state, from the top: 3 for the mode, 5 for openings, 16 for the generation, 40 for the phase's own.
const BODY: u32 = 40;
/// A trial counter.
const COUNTER: u32 = 10;

impl State {
    /// Trials are counted in ten bits.
    pub const MOST_TRIALS: u32 = (1 << COUNTER) - 1;
    const MOST_OPENINGS: u8 = 31;
    const MOST_MILLIS: u64 = (1 << BODY) - 1;

    /// A breaker that has seen nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { generation: 0, openings: 0, phase: Phase::Closed }
    }

    /// The name of its phase.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self.phase {
            Phase::Closed => Mode::Closed,
            Phase::Open { .. } => Mode::Open,
            Phase::HalfOpen { .. } => Mode::HalfOpen,
            Phase::ForcedOpen => Mode::ForcedOpen,
            Phase::ForcedClosed => Mode::ForcedClosed,
        }
    }

    /// A call asks to be let through.
    ///
    /// # Errors
    ///
    /// Not now: when to ask again, where that is known.
    pub fn admit(self, now: Moment, breaker: &Breaker) -> Result<(Self, Permit), Option<Duration>> {
        let permit = |state: Self, trial| (state, Permit { generation: state.generation, trial });
        match self.phase {
            Phase::Closed | Phase::ForcedClosed => Ok(permit(self, false)),
            Phase::Open { until_millis } => {
                let until = Moment::from_millis(until_millis);
                if now < until {
                    return Err(Some(until.since(now)));
                }
                Ok(permit(self.next(Phase::HalfOpen { out: 1, succeeded: 0, failed: 0, slow: 0 }), true))
            }
            Phase::HalfOpen { out, succeeded, failed, slow } => {
                if out + succeeded + failed >= breaker.trials {
                    return Err(None);
                }
                let phase = Phase::HalfOpen { out: out + 1, succeeded, failed, slow };
                Ok(permit(Self { phase, ..self }, true))
            }
            Phase::ForcedOpen => Err(None),
        }
    }

    /// A trial is over. In any other phase or generation than that of its permit nothing happens.
    #[must_use]
    pub fn trial_over(self, permit: Permit, verdict: Verdict, slow_call: bool, now: Moment, breaker: &Breaker) -> Self {
        let Phase::HalfOpen { out, succeeded, failed, slow } = self.phase else { return self };
        if permit.generation != self.generation || !permit.trial {
            return self;
        }
        let failure = u32::from(verdict == Verdict::Failure);
        let (succeeded, failed) = (succeeded + 1 - failure, failed + failure);
        let slow = slow + u32::from(slow_call);
        if trials_failed(breaker, failed, slow) {
            self.open(now, breaker)
        } else if succeeded + failed >= breaker.trials {
            Self { openings: 0, ..self.next(Phase::Closed) }
        } else {
            Self { phase: Phase::HalfOpen { out: out.saturating_sub(1), succeeded, failed, slow }, ..self }
        }
    }

    /// A call was dropped before anything came of it: if it was a trial, another may be made in its place.
    #[must_use]
    pub const fn cancelled(self, permit: Permit) -> Self {
        match self.phase {
            Phase::HalfOpen { out, succeeded, failed, slow }
                if permit.trial && permit.generation == self.generation =>
            {
                Self { phase: Phase::HalfOpen { out: out.saturating_sub(1), succeeded, failed, slow }, ..self }
            }
            _ => self,
        }
    }

    /// The window of the permit's generation says that it is too much.
    #[must_use]
    pub fn tripped(self, permit: Permit, now: Moment, breaker: &Breaker) -> Self {
        if self.phase == Phase::Closed && permit.generation == self.generation { self.open(now, breaker) } else { self }
    }

    /// Somebody decides by hand. It stays so until [`State::reset`].
    #[must_use]
    pub fn forced(self, open: bool) -> Self {
        let phase = if open { Phase::ForcedOpen } else { Phase::ForcedClosed };
        if self.phase == phase { self } else { self.next(phase) }
    }

    /// Begins anew, closed, with nothing counted.
    #[must_use]
    pub const fn reset(self) -> Self {
        Self { openings: 0, ..self.next(Phase::Closed) }
    }

    const fn next(self, phase: Phase) -> Self {
        Self { generation: self.generation.wrapping_add(1), openings: self.openings, phase }
    }

    fn open(self, now: Moment, breaker: &Breaker) -> Self {
        let openings = (self.openings + 1).min(Self::MOST_OPENINGS);
        let until = now + breaker.open_time(openings);
        // Rounded up: never shorter than was asked for.
        let until_millis = until.as_nanos().div_ceil(1_000_000).min(Self::MOST_MILLIS);
        Self { openings, ..self.next(Phase::Open { until_millis }) }
    }

    /// The state in 64 bits, so that threads can share it without a lock.
    #[must_use]
    pub const fn pack(self) -> u64 {
        let (mode, body) = match self.phase {
            Phase::Closed => (0, 0),
            Phase::Open { until_millis } => (1, until_millis),
            Phase::HalfOpen { out, succeeded, failed, slow } => {
                let counters = (out as u64) << (3 * COUNTER) | (succeeded as u64) << (2 * COUNTER);
                (2, counters | (failed as u64) << COUNTER | slow as u64)
            }
            Phase::ForcedOpen => (3, 0),
            Phase::ForcedClosed => (4, 0),
        };
        mode << 61 | (self.openings as u64) << 56 | (self.generation as u64) << BODY | body
    }

    /// The state of 64 bits.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "takes the fields apart")]
    pub fn unpack(word: u64) -> Self {
        let body = word & Self::MOST_MILLIS;
        let counter = |at: u32| (body >> (at * COUNTER)) as u32 & Self::MOST_TRIALS;
        let phase = match word >> 61 {
            0 => Phase::Closed,
            1 => Phase::Open { until_millis: body },
            2 => Phase::HalfOpen { out: counter(3), succeeded: counter(2), failed: counter(1), slow: counter(0) },
            3 => Phase::ForcedOpen,
            _ => Phase::ForcedClosed,
        };
        Self { generation: (word >> BODY) as u16, openings: (word >> 56) as u8 & Self::MOST_OPENINGS, phase }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the trials so far open the breaker again, whatever the others will bring.
fn trials_failed(breaker: &Breaker, failed: u32, slow: u32) -> bool {
    match &breaker.trip {
        Trip::Consecutive(_) => failed > 0,
        Trip::Rate(rate) => rate.exceeded(Tally { calls: breaker.trials, failures: failed, slow }),
    }
}

impl Mode {
    /// A word for logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::from_millis(1000);

    /// Opens for a second; two trials.
    fn breaker() -> Breaker {
        Breaker::consecutive_failures(3).open_for(Duration::from_secs(1)).trials(2)
    }

    fn state(generation: u16, openings: u8, phase: Phase) -> State {
        State { generation, openings, phase }
    }

    const fn half_open(out: u32, succeeded: u32) -> Phase {
        Phase::HalfOpen { out, succeeded, failed: 0, slow: 0 }
    }

    /// Every phase a breaker can be in, as far as its transitions tell them apart.
    fn phases() -> [Phase; 8] {
        [
            Phase::Closed,
            Phase::Open { until_millis: 1001 },
            Phase::Open { until_millis: 1000 },
            half_open(1, 0),
            half_open(2, 0),
            half_open(1, 1),
            Phase::ForcedOpen,
            Phase::ForcedClosed,
        ]
    }

    #[test]
    fn every_phase_answers_a_call() {
        let admitted = |generation, openings, phase, trial| Ok((state(generation, openings, phase), trial));
        let expected = [
            admitted(7, 1, Phase::Closed, false),
            Err(Some(Duration::from_millis(1))),
            admitted(8, 1, half_open(1, 0), true),
            admitted(7, 1, half_open(2, 0), true),
            Err(None),
            Err(None),
            Err(None),
            admitted(7, 1, Phase::ForcedClosed, false),
        ];
        for (phase, expected) in phases().into_iter().zip(expected) {
            let found = state(7, 1, phase).admit(NOW, &breaker());
            let found = found.map(|(state, permit)| {
                assert_eq!(permit.generation, state.generation);
                (state, permit.trial)
            });
            assert_eq!(found, expected, "{phase:?}");
        }
    }

    #[test]
    fn every_phase_takes_what_came_of_a_call() {
        type Event = fn(State) -> State;
        const TRIAL: Permit = Permit { generation: 7, trial: true };
        const CALL: Permit = Permit { generation: 7, trial: false };
        const STALE: Permit = Permit { generation: 6, trial: true };
        let events: [(&str, Event); 9] = [
            ("trial succeeds", |state| state.trial_over(TRIAL, Verdict::Success, false, NOW, &breaker())),
            ("trial fails", |state| state.trial_over(TRIAL, Verdict::Failure, false, NOW, &breaker())),
            ("trial is cancelled", |state| state.cancelled(TRIAL)),
            ("stale trial succeeds", |state| state.trial_over(STALE, Verdict::Success, false, NOW, &breaker())),
            ("stale trial is cancelled", |state| state.cancelled(STALE)),
            ("window trips", |state| state.tripped(CALL, NOW, &breaker())),
            ("force open", |state| state.forced(true)),
            ("force closed", |state| state.forced(false)),
            ("reset", State::reset),
        ];
        let same = |phase| state(7, 1, phase);
        let opened = state(8, 2, Phase::Open { until_millis: 2000 });
        let closed = state(8, 0, Phase::Closed);
        for (name, event) in events {
            for phase in phases() {
                let expected = match (name, phase) {
                    ("trial succeeds", Phase::HalfOpen { succeeded: 1, .. }) => closed,
                    ("trial succeeds", Phase::HalfOpen { out, .. }) => same(half_open(out - 1, 1)),
                    ("trial fails", Phase::HalfOpen { .. }) | ("window trips", Phase::Closed) => opened,
                    ("trial is cancelled", Phase::HalfOpen { out, succeeded, .. }) => {
                        same(half_open(out - 1, succeeded))
                    }
                    ("force open", Phase::ForcedOpen) | ("force closed", Phase::ForcedClosed) => same(phase),
                    ("force open", _) => state(8, 1, Phase::ForcedOpen),
                    ("force closed", _) => state(8, 1, Phase::ForcedClosed),
                    ("reset", _) => closed,
                    _ => same(phase),
                };
                assert_eq!(event(same(phase)), expected, "{name} in {phase:?}");
            }
        }
    }

    #[test]
    fn rates_judge_trials_when_no_later_trial_could_change_the_answer() {
        let breaker = Breaker::failure_rate(0.5).trials(4).slow_calls(Duration::from_secs(1), 1.0);
        let mut half = state(1, 1, Phase::Open { until_millis: 0 });
        let mut permit = Permit { generation: 0, trial: false };
        for _ in 0..4 {
            (half, permit) = half.admit(NOW, &breaker).unwrap();
        }
        let over = |state: State, verdict, slow| state.trial_over(permit, verdict, slow, NOW, &breaker);
        let one = over(half, Verdict::Failure, true);
        assert_eq!(one.mode(), Mode::HalfOpen);
        assert_eq!(over(one, Verdict::Failure, true).mode(), Mode::Open);
        let three = over(over(one, Verdict::Success, true), Verdict::Success, true);
        assert_eq!(three.mode(), Mode::HalfOpen);
        assert_eq!(over(three, Verdict::Success, false).mode(), Mode::Closed);
        assert_eq!(over(three, Verdict::Success, true).mode(), Mode::Open, "all four were slow");
    }

    fn any_state() -> impl Strategy<Value = State> {
        let counter = 0..=State::MOST_TRIALS;
        let phase = prop_oneof![
            Just(Phase::Closed),
            (0..=State::MOST_MILLIS).prop_map(|until_millis| Phase::Open { until_millis }),
            (counter.clone(), counter.clone(), counter.clone(), counter)
                .prop_map(|(out, succeeded, failed, slow)| Phase::HalfOpen { out, succeeded, failed, slow }),
            Just(Phase::ForcedOpen),
            Just(Phase::ForcedClosed),
        ];
        (any::<u16>(), 0..=State::MOST_OPENINGS, phase).prop_map(|(generation, openings, phase)| State {
            generation,
            openings,
            phase,
        })
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(state in any_state()) {
            prop_assert_eq!(State::unpack(state.pack()), state);
        }

        #[test]
        fn an_open_breaker_lets_nothing_through(openings in 0_u8..31, at in 0_u64..1_000_000, ahead in 1_u64..60_000) {
            let open = state(3, openings, Phase::Open { until_millis: at + ahead });
            let refused = open.admit(Moment::from_millis(at), &breaker());
            prop_assert_eq!(refused, Err(Some(Duration::from_millis(ahead))));
        }
    }
}
