//! One run as a pure state machine: (state, event, now) to effects. No clock, no socket, no sleep.
//!
//! The driver hands in what happened and performs what comes out, in order; [`Run::next_due`] says when the machine wants a
//! [`Event::Tick`] at the latest. A tick at any other time does no harm.
//!
//! An injection goes `injecting → active → undoing → undone`; an undo that fails is tried again [`UNDO_TRIES`] times. An
//! action has ended when all its injections have. The phases of the run (this drawing is generated from the table that the
//! tests hold the machine to):
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> Pending
//!     Pending --> Baseline: start
//!     Pending --> Ended: guard fired
//!     Pending --> Ended: guards lost
//!     Pending --> Ended: stop requested
//!     Baseline --> Judging: time passes
//!     Baseline --> Ended: guard fired
//!     Baseline --> Ended: guards lost
//!     Baseline --> Ended: stop requested
//!     Judging --> Baseline: baseline disturbed
//!     Judging --> Running: steady state held
//!     Judging --> Ended: guard fired
//!     Judging --> Ended: guards lost
//!     Judging --> Ended: steady state broken
//!     Judging --> Ended: stop requested
//!     Running --> Stopping: fault not achieved
//!     Running --> Stopping: guard fired
//!     Running --> Stopping: guards lost
//!     Running --> Stopping: inject lost
//!     Running --> Stopping: stop requested
//!     Running --> Recovering: undone
//!     Running --> Ended: inject failed
//!     Running --> Ended: undo failed for good
//!     Stopping --> Recovering: inject failed
//!     Stopping --> Recovering: undo failed for good
//!     Stopping --> Recovering: undone
//!     Stopping --> Ended: undo failed for good
//!     Stopping --> Ended: undone
//!     Recovering --> Ended: guards lost
//!     Recovering --> Ended: recovered
//!     Recovering --> Ended: stop requested
//!     Recovering --> Ended: time passes
//!     Ended --> [*]
//! ```

use std::{collections::BTreeSet, sync::Arc};

use model::{
    alarm::AlarmState,
    catalogue::Reversibility,
    event::{Cleanliness, InjectionId, Proof, What},
    moment::Moment,
    resource::ResourceId,
    status::{ActionStatus, ExperimentStatus},
    verdict::Window,
};

use crate::{
    plan::{Fault, Plan, Work},
    provider::{Order, UndoError, Undone},
    radius::Hits,
};

mod follow;
mod injection;
#[cfg(test)]
mod tests;

pub use injection::{INJECT_PATIENCE, STOP_PATIENCE, UNDO_PATIENCE, UNDO_PAUSE, UNDO_TRIES};
use injection::{InjectionRun, Since, State};

/// The phases of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Not started.
    Pending,
    /// The baseline window fills.
    Baseline,
    /// The steady state is being judged.
    Judging,
    /// Actions run, or the fault window is held open.
    Running,
    /// Everything is being undone, early.
    Stopping,
    /// Everything is undone; the system is watched until it has recovered.
    Recovering,
    /// Nothing will happen any more.
    Ended,
}

/// What a baseline says of the steady state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Steady {
    /// It is there.
    Held,
    /// It may be there: this machine was too busy to measure it.
    Disturbed,
    /// It is not there.
    Broken,
}

/// How many baselines there are at most. One that this machine itself disturbed says nothing of the system, and is measured
/// again; a machine that is too busy six times over is no place for a measurement, and somebody should be told.
pub const MOST_BASELINES: u32 = 6;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run may begin.
    Start,
    /// The steady state was judged.
    SteadyState {
        /// What the baseline says.
        found: Steady,
        /// In words.
        reason: String,
    },
    /// A fault is in effect.
    Injected {
        /// Which.
        injection: InjectionId,
        /// Configured and achieved.
        proof: Proof,
    },
    /// A fault could not be injected, and is not in effect.
    InjectFailed {
        /// Which.
        injection: InjectionId,
        /// Why.
        why: String,
    },
    /// Nobody knows whether a fault is in effect, because who was to inject it is gone; it is undone as if it were.
    InjectLost {
        /// Which.
        injection: InjectionId,
        /// Why.
        why: String,
    },
    /// A fault is undone.
    Undone {
        /// Which.
        injection: InjectionId,
        /// What the undo found.
        undone: Undone,
    },
    /// An undo failed.
    UndoFailed {
        /// Which.
        injection: InjectionId,
        /// Why, and what to do by hand.
        error: UndoError,
    },
    /// What there is now, of a target that follows.
    Seen {
        /// The target's name.
        target: String,
        /// What fits it and does its work.
        fit: Vec<ResourceId>,
        /// Everything that is there, whether it fits or not.
        present: BTreeSet<ResourceId>,
    },
    /// Alarms were compared with what an action demands.
    AlarmsChecked {
        /// The action's name.
        action: String,
        /// Whether they are as demanded, and in words.
        result: Result<String, String>,
    },
    /// A stop condition fired.
    GuardFired {
        /// The alarm.
        alarm: String,
        /// Why, with the figures.
        reason: String,
    },
    /// Nobody watches the stop conditions any more.
    GuardsLost {
        /// Why.
        why: String,
    },
    /// Somebody asks to stop.
    Stop {
        /// Who.
        by: String,
    },
    /// The recovery clauses hold again and have settled.
    Recovered {
        /// In words.
        reason: String,
    },
    /// Time has passed.
    Tick,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Append to the record.
    Record(What),
    /// Judge the steady state and answer with [`Event::SteadyState`].
    JudgeSteadyState,
    /// Compare alarms and answer with [`Event::AlarmsChecked`].
    CheckAlarms {
        /// The action's name.
        action: String,
        /// The alarms' names.
        alarms: Vec<String>,
        /// The states that are right.
        states: Vec<AlarmState>,
    },
    /// Inject and answer with [`Event::Injected`] or [`Event::InjectFailed`].
    Inject(Order),
    /// Undo and answer with [`Event::Undone`] or [`Event::UndoFailed`].
    Undo(InjectionId),
    /// Extend these leases.
    Renew(Vec<InjectionId>),
    /// Judge the recovery clauses until they hold, and answer with [`Event::Recovered`].
    WatchRecovery,
}

/// Why a run ends early. The first cause counts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    Guard(String),
    Asked(String),
    Failed(String),
}

/// One action of a run.
#[derive(Debug, Clone)]
struct ActionRun {
    status: ActionStatus,
    /// When a wait is over.
    until: Option<Moment>,
    /// Why it could not be carried out.
    failure: Option<String>,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Run {
    plan: Arc<Plan>,
    phase: Phase,
    status: ExperimentStatus,
    actions: Vec<ActionRun>,
    injections: Vec<InjectionRun>,
    cause: Option<Cause>,
    /// Whether to watch the system after everything is undone; not after somebody asked to stop.
    watch_recovery: bool,
    /// When the present window ends: the baseline, the shortest fault window, the longest recovery.
    window_ends: Option<Moment>,
    /// How many baselines have begun.
    baselines: u32,
    fault_began: bool,
    deadline: Moment,
    next_renewal: Moment,
}

impl Run {
    /// A run that has not started.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        let actions = plan
            .actions
            .iter()
            .map(|_| ActionRun { status: ActionStatus::Pending, until: None, failure: None })
            .collect();
        let injections = plan
            .actions
            .iter()
            .enumerate()
            .flat_map(|(action, planned)| match &planned.work {
                Work::Fault(fault) => fault
                    .injections
                    .iter()
                    .map(|one| InjectionRun {
                        id: one.id,
                        action,
                        resource: one.resource.id.clone(),
                        since: Since::Plan,
                        state: State::Waiting,
                    })
                    .collect(),
                Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => Vec::new(),
            })
            .collect();
        Self {
            plan,
            phase: Phase::Pending,
            status: ExperimentStatus::Pending,
            actions,
            injections,
            cause: None,
            watch_recovery: true,
            window_ends: None,
            baselines: 0,
            fault_began: false,
            deadline: Moment::ZERO,
            next_renewal: Moment::ZERO,
        }
    }

    /// The present phase.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The experiment's status.
    #[must_use]
    pub const fn status(&self) -> ExperimentStatus {
        self.status
    }

    /// When the present window ends at the earliest (baseline, fault) or at the latest (recovery), if that is known.
    #[must_use]
    pub const fn window_ends(&self) -> Option<Moment> {
        self.window_ends
    }

    /// The injections that may be in effect.
    pub fn open(&self) -> impl Iterator<Item = InjectionId> {
        self.injections.iter().filter(|one| one.is_open()).map(|one| one.id)
    }

    /// What is hit: while a fault is in effect, and for good where it cannot be taken back.
    pub(crate) fn hits(&self) -> Hits {
        let mut hits = Hits::default();
        for one in self.injections.iter().filter(|one| !matches!(one.state, State::Waiting | State::Failed)) {
            let for_good =
                self.fault_of(one.id).is_some_and(|fault| fault.reversibility == Reversibility::Irreversible);
            if one.is_open() || for_good {
                hits.together.insert(one.resource.clone());
            }
            hits.ever.insert(one.resource.clone());
        }
        hits
    }

    /// When the machine wants a [`Event::Tick`] at the latest.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        match self.phase {
            Phase::Pending | Phase::Judging | Phase::Ended => None,
            Phase::Baseline | Phase::Recovering => self.window_ends,
            Phase::Running | Phase::Stopping => {
                let injections = self.injections.iter().filter_map(InjectionRun::due);
                let waits = self.actions.iter().filter_map(|action| action.until);
                let timers = injections.chain(waits);
                if self.phase == Phase::Stopping {
                    return timers.min();
                }
                // The fault window is only of interest once nothing else is: until then it may lie in the past.
                let window = self.window_ends.filter(|_| self.all_actions_ended());
                let renewal = self.injections.iter().any(InjectionRun::is_open).then_some(self.next_renewal);
                timers.chain(window).chain(renewal).chain([self.deadline]).min()
            }
        }
    }

    /// Takes what happened, and says what to do.
    pub fn step(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let mut out = Vec::new();
        self.take(event, now, &mut out);
        self.advance(now, &mut out);
        out
    }

    fn take(&mut self, event: Event, now: Moment, out: &mut Vec<Effect>) {
        if self.phase == Phase::Ended {
            return;
        }
        match event {
            Event::Start if self.phase == Phase::Pending => self.start(now, out),
            Event::SteadyState { found, reason } if self.phase == Phase::Judging => {
                self.judged(found, &reason, now, out);
            }
            Event::Injected { injection, proof } => self.injected(injection, proof, now, out),
            Event::InjectFailed { injection, why } => self.inject_failed(injection, &why, now, out),
            Event::InjectLost { injection, why } => self.inject_lost(injection, &why, now, out),
            Event::Undone { injection, undone } => self.undone(injection, undone, now, out),
            Event::UndoFailed { injection, error } => self.undo_failed(injection, &error, now, out),
            Event::Seen { target, fit, present } => self.seen(&target, &fit, &present, now, out),
            Event::AlarmsChecked { action, result } => self.alarms_checked(&action, &result, now, out),
            Event::GuardFired { alarm, reason } => {
                out.push(Effect::Record(What::GuardFired { alarm: alarm.clone(), reason }));
                self.stop(Cause::Guard(alarm), now, out);
            }
            // Nothing goes on unwatched, the recovery no more than the fault.
            Event::GuardsLost { why } => self.asked_to_stop(format!("the end of the guard task: {why}"), now, out),
            Event::Stop { by } => self.asked_to_stop(by, now, out),
            Event::Recovered { reason } if self.phase == Phase::Recovering => {
                out.push(Effect::Record(What::Recovered { reason }));
                self.phase = Phase::Ended;
            }
            Event::Start | Event::SteadyState { .. } | Event::Recovered { .. } | Event::Tick => {}
        }
    }

    fn start(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for target in &self.plan.targets {
            out.push(Effect::Record(What::TargetResolved {
                target: target.name.clone(),
                matching: target.matching,
                resources: target.chosen.iter().map(|one| one.id.clone()).collect(),
                how: target.how.clone(),
            }));
        }
        self.set_status(ExperimentStatus::Initiating, "the baseline fills", out);
        self.begin_baseline(now, out);
    }

    fn begin_baseline(&mut self, now: Moment, out: &mut Vec<Effect>) {
        out.push(Effect::Record(What::WindowBegan { window: Window::Baseline }));
        self.phase = Phase::Baseline;
        self.baselines += 1;
        self.window_ends = Some(now + self.plan.windows.baseline.get());
        self.deadline = now + self.plan.deadline.get();
    }

    fn judged(&mut self, found: Steady, reason: &str, now: Moment, out: &mut Vec<Effect>) {
        if found == Steady::Disturbed && self.baselines < MOST_BASELINES {
            out.push(Effect::Record(What::BaselineDisturbed { reason: reason.to_owned() }));
            self.begin_baseline(now, out);
            return;
        }
        let held = found == Steady::Held;
        out.push(Effect::Record(What::SteadyState { held, reason: reason.to_owned() }));
        if held {
            self.set_status(ExperimentStatus::Running, "the steady state is there", out);
            self.phase = Phase::Running;
            self.window_ends = None;
            self.next_renewal = now + self.plan.lease() / 3;
        } else {
            self.cancel(&format!("the steady state is not there: {reason}"), out);
        }
    }

    /// Ends a run in which nothing has been injected.
    fn cancel(&mut self, reason: &str, out: &mut Vec<Effect>) {
        for action in 0..self.actions.len() {
            self.set_action(action, ActionStatus::Cancelled, reason, out);
        }
        self.set_status(ExperimentStatus::Cancelled, reason, out);
        self.phase = Phase::Ended;
    }

    /// Stops without watching what follows.
    fn asked_to_stop(&mut self, by: String, now: Moment, out: &mut Vec<Effect>) {
        out.push(Effect::Record(What::StopRequested { by: by.clone() }));
        self.watch_recovery = false;
        if self.phase == Phase::Recovering {
            self.phase = Phase::Ended;
        } else {
            self.stop(Cause::Asked(by), now, out);
        }
    }

    /// Begins to undo everything; the first cause counts.
    fn stop(&mut self, cause: Cause, now: Moment, out: &mut Vec<Effect>) {
        let reason = cause.reason();
        match self.phase {
            Phase::Pending | Phase::Baseline | Phase::Judging => return self.cancel(&reason, out),
            Phase::Stopping | Phase::Recovering | Phase::Ended => return,
            Phase::Running => {}
        }
        self.phase = Phase::Stopping;
        self.set_status(ExperimentStatus::Stopping, &reason, out);
        for action in 0..self.actions.len() {
            match self.actions.get(action).map(|one| one.status) {
                Some(ActionStatus::Pending) => self.set_action(action, ActionStatus::Cancelled, &reason, out),
                Some(ActionStatus::Initiating | ActionStatus::Running) => {
                    self.set_action(action, ActionStatus::Stopping, &reason, out);
                }
                _ => {}
            }
        }
        self.watch_recovery &= matches!(cause, Cause::Guard(_));
        self.cause = Some(cause);
        for one in &mut self.injections {
            match &mut one.state {
                State::Injecting { give_up } => *give_up = (*give_up).min(now + STOP_PATIENCE),
                State::Active { .. } | State::Retrying { .. } => {
                    one.undo(now);
                    out.push(Effect::Undo(one.id));
                }
                State::Waiting | State::Undoing { .. } | State::Undone | State::Failed | State::Stuck => {}
            }
        }
    }

    fn injected(&mut self, id: InjectionId, proof: Proof, now: Moment, out: &mut Vec<Effect>) {
        let stopping = self.phase == Phase::Stopping;
        let Some(fault) = self.fault_of(id) else { return };
        let length = fault.duration;
        // What is over at once is undone at once: the undo finds out what is left of it.
        let once = length.is_none() && !fault.is_lasting();
        let Some(one) = self.injections.iter_mut().find(|one| one.id == id) else { return };
        let action = one.action;
        match &mut one.state {
            State::Injecting { .. } => {
                let achieved = proof.holds;
                // What was wanted and measured is in the event itself.
                let failure = format!("the fault of {id} was not achieved");
                let until = match one.since {
                    Since::Plan => length.map(|length| now + length.get()),
                    Since::Appearance { ends } => ends,
                };
                one.state = State::Active { until };
                if stopping || once || !achieved {
                    one.undo(now);
                }
                let undo = matches!(one.state, State::Undoing { .. });
                out.push(Effect::Record(What::Injected { injection: id, proof }));
                if undo {
                    out.push(Effect::Undo(id));
                }
                if !achieved {
                    self.fail(action, &failure, now, out);
                }
            }
            // It reports after it was given up: what is being undone now may not have been there yet.
            State::Undoing { again, .. } => *again = true,
            State::Undone | State::Failed | State::Stuck => {
                one.undo(now);
                out.push(Effect::Record(What::Note { text: format!("{id} was injected late; it is undone again") }));
                out.push(Effect::Undo(id));
            }
            State::Waiting | State::Active { .. } | State::Retrying { .. } => {}
        }
    }

    fn inject_failed(&mut self, id: InjectionId, why: &str, now: Moment, out: &mut Vec<Effect>) {
        let Some(one) = self.injections.iter_mut().find(|one| one.id == id) else { return };
        if !matches!(one.state, State::Injecting { .. }) {
            return;
        }
        one.state = State::Failed;
        let action = one.action;
        if one.since != Since::Plan {
            // It is left out, as it would have been a moment earlier; what the plan says is done all the same.
            let text = format!("{} was left out: {why}", one.resource);
            out.push(Effect::Record(What::Note { text }));
            let cleanliness = Cleanliness::Clean;
            out.push(Effect::Record(What::Undone { injection: id, cleanliness, proof: None }));
            return;
        }
        out.push(Effect::Record(What::InjectFailed { injection: id, why: why.to_owned() }));
        // Why, is said once, by the event above.
        self.fail(action, &format!("{id} was not injected"), now, out);
    }

    fn inject_lost(&mut self, id: InjectionId, why: &str, now: Moment, out: &mut Vec<Effect>) {
        let Some(one) = self.injections.iter_mut().find(|one| one.id == id) else { return };
        if !matches!(one.state, State::Injecting { .. }) {
            return;
        }
        one.undo(now);
        let action = one.action;
        let why = format!("{why}; it is undone as if it were in effect");
        out.push(Effect::Record(What::InjectFailed { injection: id, why }));
        out.push(Effect::Undo(id));
        self.fail(action, &format!("{id} was not injected"), now, out);
    }

    fn undone(&mut self, id: InjectionId, undone: Undone, now: Moment, out: &mut Vec<Effect>) {
        let Some(one) = self.injections.iter_mut().find(|one| one.id == id) else { return };
        match one.state {
            State::Undoing { again: true, .. } => {
                one.undo(now);
                out.push(Effect::Undo(id));
            }
            // Also when it was given up: a late success is a success.
            State::Undoing { .. } | State::Retrying { .. } | State::Stuck => {
                one.state = State::Undone;
                let Undone { cleanliness, proof } = undone;
                out.push(Effect::Record(What::Undone { injection: id, cleanliness, proof }));
            }
            State::Waiting | State::Injecting { .. } | State::Active { .. } | State::Undone | State::Failed => {}
        }
    }

    fn undo_failed(&mut self, id: InjectionId, error: &UndoError, now: Moment, out: &mut Vec<Effect>) {
        let Some(one) = self.injections.iter_mut().find(|one| one.id == id) else { return };
        let State::Undoing { attempt, .. } = one.state else { return };
        if attempt < UNDO_TRIES {
            let pause = UNDO_PAUSE * attempt;
            one.state = State::Retrying { attempt: attempt + 1, at: now + pause };
            let text = format!("undoing {id} failed ({attempt} of {UNDO_TRIES}): {}; tried again", error.why);
            out.push(Effect::Record(What::Note { text }));
            return;
        }
        one.state = State::Stuck;
        let action = one.action;
        out.push(Effect::Record(What::UndoFailed { injection: id, why: error.to_string() }));
        self.fail(action, &format!("{id} could not be undone"), now, out);
    }

    fn alarms_checked(&mut self, name: &str, result: &Result<String, String>, now: Moment, out: &mut Vec<Effect>) {
        let Some(action) = self.plan.actions.iter().position(|one| one.name == name) else { return };
        if self.actions.get(action).map(|one| one.status) != Some(ActionStatus::Running) {
            return;
        }
        match result {
            Ok(reason) => self.set_action(action, ActionStatus::Completed, reason, out),
            Err(why) => self.fail(action, why, now, out),
        }
    }

    /// An action could not be carried out, and with it the experiment.
    fn fail(&mut self, action: usize, why: &str, now: Moment, out: &mut Vec<Effect>) {
        let name = self.plan.actions.get(action).map(|one| one.name.clone()).unwrap_or_default();
        if let Some(one) = self.actions.get_mut(action) {
            one.failure.get_or_insert_with(|| why.to_owned());
        }
        self.stop(Cause::Failed(format!("{name}: {why}")), now, out);
    }

    /// Does everything that time and state allow.
    fn advance(&mut self, now: Moment, out: &mut Vec<Effect>) {
        match self.phase {
            Phase::Baseline if self.window_ends.is_some_and(|end| now >= end) => {
                self.phase = Phase::Judging;
                out.push(Effect::JudgeSteadyState);
            }
            Phase::Running => {
                if now >= self.deadline {
                    let by = format!("deadline of {}", self.plan.deadline);
                    out.push(Effect::Record(What::StopRequested { by: by.clone() }));
                    self.watch_recovery = false;
                    self.stop(Cause::Failed(format!("not finished by its {by}")), now, out);
                }
                self.advance_injections(now, out);
                self.advance_actions(now, out);
                self.renew(now, out);
                self.end_fault_window(now, out);
            }
            Phase::Stopping => {
                self.advance_injections(now, out);
                self.settle_actions(out);
                self.end_fault_window(now, out);
            }
            Phase::Recovering if self.window_ends.is_some_and(|end| now >= end) => self.phase = Phase::Ended,
            Phase::Pending | Phase::Baseline | Phase::Judging | Phase::Recovering | Phase::Ended => {}
        }
    }

    fn advance_injections(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for at in 0..self.injections.len() {
            let Some(one) = self.injections.get_mut(at) else { continue };
            if one.due().is_none_or(|due| now < due) {
                continue;
            }
            let id = one.id;
            match one.state {
                State::Injecting { .. } => self.inject_lost(id, "it has not reported in time", now, out),
                State::Active { .. } | State::Retrying { .. } => {
                    one.undo(now);
                    out.push(Effect::Undo(id));
                }
                State::Undoing { .. } => {
                    let error = UndoError {
                        why: format!("no answer within {} s", UNDO_PATIENCE.as_secs()),
                        repair: "shaketable doctor".to_owned(),
                    };
                    self.undo_failed(id, &error, now, out);
                }
                State::Waiting | State::Undone | State::Failed | State::Stuck => {}
            }
        }
    }

    /// Ends what has ended and starts what may start, until nothing changes: the end of one is the start of another.
    fn advance_actions(&mut self, now: Moment, out: &mut Vec<Effect>) {
        loop {
            let before = out.len();
            self.end_waits(now, out);
            self.settle_actions(out);
            self.start_actions(now, out);
            if out.len() == before || self.phase != Phase::Running {
                return;
            }
        }
    }

    fn end_waits(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for action in 0..self.actions.len() {
            let Some(one) = self.actions.get_mut(action) else { continue };
            if one.until.is_some_and(|until| now >= until) {
                one.until = None;
                self.set_action(action, ActionStatus::Completed, "the wait is over", out);
            }
        }
    }

    fn start_actions(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        for (action, planned) in plan.actions.iter().enumerate() {
            let pending = self.actions.get(action).is_some_and(|one| one.status == ActionStatus::Pending);
            let ready = planned.start_after.iter().all(|before| self.has_ended(before));
            if !(pending && ready) {
                continue;
            }
            let after = if planned.start_after.is_empty() {
                "at the start".to_owned()
            } else {
                format!("after {}", planned.start_after.join(" and "))
            };
            match &planned.work {
                Work::Skip { reason } => self.set_action(action, ActionStatus::Skipped, reason, out),
                Work::Wait { duration } => {
                    self.set_action(action, ActionStatus::Initiating, &after, out);
                    self.set_action(action, ActionStatus::Running, &format!("it waits {duration}"), out);
                    if let Some(one) = self.actions.get_mut(action) {
                        one.until = Some(now + duration.get());
                    }
                }
                Work::AssertAlarms { alarms, states } => {
                    self.set_action(action, ActionStatus::Initiating, &after, out);
                    self.set_action(action, ActionStatus::Running, "alarms are compared", out);
                    let (alarms, states) = (alarms.clone(), states.clone());
                    out.push(Effect::CheckAlarms { action: planned.name.clone(), alarms, states });
                }
                Work::Fault(fault) => {
                    self.set_action(action, ActionStatus::Initiating, &after, out);
                    self.inject(&planned.name, fault, now, out);
                }
            }
        }
    }

    fn inject(&mut self, action: &str, fault: &Fault, now: Moment, out: &mut Vec<Effect>) {
        if !self.fault_began {
            self.fault_began = true;
            self.window_ends = Some(now + self.plan.windows.fault.get());
            out.push(Effect::Record(What::WindowBegan { window: Window::Fault }));
        }
        for one in &fault.injections {
            self.begin(one.id, action, fault, now, out);
        }
    }

    /// Begins one injection.
    fn begin(&mut self, id: InjectionId, action: &str, fault: &Fault, now: Moment, out: &mut Vec<Effect>) {
        let (lease, deadline) = (self.plan.lease(), self.deadline);
        let Some(run) = self.injections.iter_mut().find(|run| run.id == id) else { return };
        run.state = State::Injecting { give_up: now + INJECT_PATIENCE };
        out.push(Effect::Record(What::Injecting {
            injection: id,
            action: action.to_owned(),
            resource: run.resource.clone(),
            fault: fault.in_words(),
        }));
        out.push(Effect::Inject(Order {
            injection: id,
            fault: fault.fault.clone(),
            parameters: fault.parameters.clone(),
            resource: run.resource.clone(),
            term: run.term(lease, fault.duration, deadline, now),
        }));
    }

    /// Moves actions on as their injections have moved.
    fn settle_actions(&mut self, out: &mut Vec<Effect>) {
        for action in 0..self.actions.len() {
            let Some(status) = self.actions.get(action).map(|one| one.status) else { continue };
            let mine = || self.injections.iter().filter(|one| one.action == action);
            let reported = mine().all(|one| !matches!(one.state, State::Waiting | State::Injecting { .. }));
            let settled = mine().all(InjectionRun::is_settled);
            match status {
                ActionStatus::Initiating if reported => {
                    self.set_action(action, ActionStatus::Running, "in effect", out);
                }
                ActionStatus::Running => {
                    let Some(Work::Fault(fault)) = self.plan.actions.get(action).map(|one| &one.work) else { continue };
                    let lasting = fault.is_lasting();
                    if settled {
                        self.set_action(action, ActionStatus::Completed, "ended and undone", out);
                    } else if lasting {
                        let reason = "in effect until the fault window ends";
                        self.set_action(action, ActionStatus::Completed, reason, out);
                    }
                }
                ActionStatus::Stopping if settled => {
                    let failure = self.actions.get(action).and_then(|one| one.failure.clone());
                    match failure {
                        Some(why) => self.set_action(action, ActionStatus::Failed, &why, out),
                        None => self.set_action(action, ActionStatus::Stopped, "ended early and undone", out),
                    }
                }
                _ => {}
            }
        }
    }

    fn renew(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.phase != Phase::Running || now < self.next_renewal {
            return;
        }
        self.next_renewal = now + self.plan.lease() / 3;
        let alive: Vec<InjectionId> = self
            .injections
            .iter()
            .filter(|one| matches!(one.state, State::Injecting { .. } | State::Active { .. }))
            .map(|one| one.id)
            .collect();
        if !alive.is_empty() {
            out.push(Effect::Renew(alive));
        }
    }

    /// Ends the fault window when all actions have ended and it is long enough: undoes what lasts until then, and moves on
    /// when everything is undone.
    fn end_fault_window(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let running = self.phase == Phase::Running;
        if !running && self.phase != Phase::Stopping || !self.all_actions_ended() {
            return;
        }
        if running && self.window_ends.is_some_and(|end| now < end) {
            return;
        }
        // It is over: nobody needs to be woken for it again.
        self.window_ends = None;
        for one in &mut self.injections {
            if matches!(one.state, State::Active { .. }) {
                one.undo(now);
                out.push(Effect::Undo(one.id));
            }
        }
        if self.injections.iter().any(InjectionRun::is_open) {
            return;
        }
        let (status, reason) = match &self.cause {
            None => (ExperimentStatus::Completed, "all actions ended as planned".to_owned()),
            Some(cause @ Cause::Failed(_)) => (ExperimentStatus::Failed, cause.reason()),
            Some(cause @ (Cause::Guard(_) | Cause::Asked(_))) => (ExperimentStatus::Stopped, cause.reason()),
        };
        self.set_status(status, &reason, out);
        if self.watch_recovery {
            self.phase = Phase::Recovering;
            self.window_ends = Some(now + self.plan.windows.recovery.get());
            out.push(Effect::Record(What::WindowBegan { window: Window::Recovery }));
            out.push(Effect::WatchRecovery);
        } else {
            self.phase = Phase::Ended;
        }
    }

    fn all_actions_ended(&self) -> bool {
        self.actions.iter().all(|one| one.status.is_final())
    }

    fn has_ended(&self, name: &str) -> bool {
        let status = self.plan.actions.iter().zip(&self.actions).find(|(planned, _)| planned.name == name);
        // FIS: what is skipped holds up nobody.
        status.is_some_and(|(_, run)| matches!(run.status, ActionStatus::Completed | ActionStatus::Skipped))
    }

    fn fault_of(&self, id: InjectionId) -> Option<&Fault> {
        let action = self.injections.iter().find(|one| one.id == id)?.action;
        match &self.plan.actions.get(action)?.work {
            Work::Fault(fault) => Some(fault),
            Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => None,
        }
    }

    fn set_action(&mut self, action: usize, status: ActionStatus, reason: &str, out: &mut Vec<Effect>) {
        let Some(one) = self.actions.get_mut(action) else { return };
        one.status = status;
        if status.is_final() || status == ActionStatus::Stopping {
            one.until = None;
        }
        let name = self.plan.actions.get(action).map(|one| one.name.clone()).unwrap_or_default();
        out.push(Effect::Record(What::Action { action: name, status, reason: reason.to_owned() }));
    }

    fn set_status(&mut self, status: ExperimentStatus, reason: &str, out: &mut Vec<Effect>) {
        self.status = status;
        out.push(Effect::Record(What::Experiment { status, reason: reason.to_owned() }));
    }
}

impl Cause {
    fn reason(&self) -> String {
        match self {
            Self::Guard(alarm) => format!("stop condition {alarm} was met"),
            Self::Asked(by) => format!("stopped by {by}"),
            Self::Failed(why) => why.clone(),
        }
    }
}
