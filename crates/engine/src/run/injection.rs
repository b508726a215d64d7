//! One injection: in effect, being undone, gone.

use std::time::Duration;

use model::{event::InjectionId, moment::Moment, period::Period, resource::ResourceId, term::Term};

/// How long an injection may take until it counts as failed. Injecting includes measuring the effect, which takes some
/// seconds for a share of CPU time or a rate of lost packets.
pub const INJECT_PATIENCE: Duration = Duration::from_secs(60);

/// How long an injection that is under way may go on once everything is to be undone. It is undone as soon as it reports,
/// which is the safest moment; after this time it is undone although it has not reported.
pub const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long an undo may take until it counts as failed.
pub const UNDO_PATIENCE: Duration = Duration::from_secs(10);

/// How often an undo is tried; then the run ends dirty. What fails five times within seconds is not passing trouble.
pub const UNDO_TRIES: u32 = 5;

/// The pause before an undo is tried again, times the number of failures so far.
pub const UNDO_PAUSE: Duration = Duration::from_millis(200);

/// Where one injection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not begun.
    Waiting,
    /// Begun; whether the fault is in effect is not known until it reports.
    Injecting { give_up: Moment },
    /// In effect, until a moment or until it is told to end.
    Active { until: Option<Moment> },
    /// Being undone for the n-th time. `again`: it reported success meanwhile, so once more.
    Undoing { attempt: u32, give_up: Moment, again: bool },
    /// An undo failed; the next one is due.
    Retrying { attempt: u32, at: Moment },
    /// Undone.
    Undone,
    /// Never in effect.
    Failed,
    /// It could not be undone.
    Stuck,
}

/// One injection of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InjectionRun {
    pub(super) id: InjectionId,
    /// The index of its action.
    pub(super) action: usize,
    pub(super) resource: ResourceId,
    pub(super) since: Since,
    pub(super) state: State,
}

/// Since when an injection is part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// It was planned.
    Plan,
    /// Its resource came while others of its action were hit. It ends with them: at a moment, or when it is told to.
    Appearance { ends: Option<Moment> },
}

impl InjectionRun {
    /// How long it may live, from now on: for whoever looks after it beside the run, when the run does not.
    pub(super) fn term(&self, lease: Duration, length: Option<Period>, deadline: Moment, now: Moment) -> Term {
        let (length, last) = match self.since {
            Since::Plan => (length.map(Period::get), deadline),
            Since::Appearance { ends } => (None, ends.map_or(deadline, |ends| ends.min(deadline))),
        };
        Term { lease, length, limit: Some(last.since(now)) }
    }

    /// Whether the fault may be in effect, or is being undone.
    pub(super) const fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Injecting { .. } | State::Active { .. } | State::Undoing { .. } | State::Retrying { .. }
        )
    }

    /// Whether nothing more will happen to it.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.state, State::Undone | State::Failed | State::Stuck)
    }

    /// When it wants to be looked at again.
    pub(super) const fn due(&self) -> Option<Moment> {
        match self.state {
            State::Injecting { give_up } | State::Undoing { give_up, .. } => Some(give_up),
            State::Active { until } => until,
            State::Retrying { at, .. } => Some(at),
            State::Waiting | State::Undone | State::Failed | State::Stuck => None,
        }
    }

    /// Begins an undo, or the next try of one.
    pub(super) fn undo(&mut self, now: Moment) {
        let attempt = match self.state {
            State::Retrying { attempt, .. } => attempt,
            _ => 1,
        };
        self.state = State::Undoing { attempt, give_up: now + UNDO_PATIENCE, again: false };
    }
}
