//! What the events say: windows, actions, injections, residue. Everything a verdict or a report needs is read from here.

use model::{
    event::{Cleanliness, Event, InjectionId, What},
    moment::Moment,
    status::{ActionStatus, ExperimentStatus},
    verdict::Window,
};

use crate::{
    plan::Plan,
    record::{ActionRecord, InjectionRecord, Residue, WindowSpan},
};

/// The events of a run, put in order by what they are about.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) ended: Moment,
    pub(crate) windows: Vec<WindowSpan>,
    pub(crate) status: Option<(ExperimentStatus, String)>,
    pub(crate) actions: Vec<ActionRecord>,
    pub(crate) injections: Vec<InjectionRecord>,
    pub(crate) residue: Vec<Residue>,
    pub(crate) steady_state: Option<(bool, String)>,
    pub(crate) guards_fired: Vec<(Moment, String, String)>,
    pub(crate) stops: Vec<String>,
    pub(crate) recovered: Option<Moment>,
}

impl Timeline {
    /// Reads the events of a run that ended (or is looked at) at a moment.
    pub(crate) fn read(plan: &Plan, events: &[Event], ended: Moment) -> Self {
        let mut this = Self {
            ended,
            actions: plan
                .actions
                .iter()
                .map(|action| ActionRecord {
                    name: action.name.clone(),
                    status: ActionStatus::Pending,
                    reason: "not started".to_owned(),
                    began: None,
                    ended: None,
                })
                .collect(),
            ..Self::default()
        };
        for event in events {
            this.take(event);
        }
        this.close(events);
        this
    }

    fn take(&mut self, Event { at, what }: &Event) {
        let at = *at;
        match what {
            What::WindowBegan { window } => self.begin(*window, at),
            What::Experiment { status, reason } => self.status = Some((*status, reason.clone())),
            What::Action { action, status, reason } => self.action(action, *status, reason, at),
            What::Injecting { injection, action, resource, fault } => self.injections.push(InjectionRecord {
                id: *injection,
                action: action.clone(),
                resource: resource.clone(),
                fault: fault.clone(),
                begun: at,
                injected: None,
                undone: None,
                proof: None,
                life_proof: None,
                failure: None,
                cleanliness: None,
            }),
            What::Injected { injection, proof } => self.injection(*injection, |one| {
                one.injected = Some(at);
                one.proof = Some(proof.clone());
            }),
            What::InjectFailed { injection, why } | What::UndoFailed { injection, why } => {
                self.injection(*injection, |one| one.failure = Some(why.clone()));
            }
            What::Undone { injection, cleanliness, proof } => self.injection(*injection, |one| {
                one.undone = Some(at);
                one.cleanliness = Some(cleanliness.clone());
                one.life_proof.clone_from(proof);
            }),
            What::SteadyState { held, reason } => self.steady_state = Some((*held, reason.clone())),
            What::GuardFired { alarm, reason } => self.guards_fired.push((at, alarm.clone(), reason.clone())),
            What::StopRequested { by } => self.stops.push(by.clone()),
            What::Recovered { .. } => self.recovered = Some(at),
            What::TargetResolved { .. }
            | What::Alarm { .. }
            | What::Instance { .. }
            | What::Target { .. }
            | What::BaselineDisturbed { .. }
            | What::Verdict { .. }
            | What::Note { .. } => {}
        }
    }

    fn begin(&mut self, window: Window, at: Moment) {
        // A baseline that was disturbed is none: the last one counts.
        self.windows.retain(|before| before.window != window);
        if let Some(last) = self.windows.last_mut() {
            last.to = at;
        }
        self.windows.push(WindowSpan { window, from: at, to: at });
    }

    fn action(&mut self, name: &str, status: ActionStatus, reason: &str, at: Moment) {
        let Some(one) = self.actions.iter_mut().find(|one| one.name == name) else { return };
        one.status = status;
        reason.clone_into(&mut one.reason);
        if status == ActionStatus::Initiating {
            one.began = Some(at);
        }
        if status.is_final() {
            one.ended = Some(at);
        }
    }

    fn injection(&mut self, id: InjectionId, change: impl FnOnce(&mut InjectionRecord)) {
        if let Some(one) = self.injections.iter_mut().find(|one| one.id == id) {
            change(one);
        }
    }

    /// Ends the last window, and collects what is left of every injection.
    fn close(&mut self, events: &[Event]) {
        let steady = events.iter().find(|event| matches!(event.what, What::SteadyState { .. })).map(|event| event.at);
        let end = self.recovered.unwrap_or(self.ended);
        if let Some(last) = self.windows.last_mut() {
            last.to = end;
        }
        // The baseline ends where the steady state was judged; what follows until the first injection is no window.
        if let (Some(baseline), Some(steady)) = (self.windows.first_mut(), steady) {
            baseline.to = baseline.to.min(steady);
        }
        for one in &self.injections {
            let (what, repair) = match (&one.cleanliness, &one.failure) {
                (Some(Cleanliness::Dirty { residue, repair }), _) => (residue.clone(), repair.clone()),
                (Some(Cleanliness::Clean | Cleanliness::Gone), _) => continue,
                // Failed before it was in effect: nothing to be left.
                (None, Some(_)) if one.injected.is_none() && !undo_failed(one.id, events) => continue,
                (None, Some(why)) => (why.clone(), "shaketable doctor".to_owned()),
                (None, None) => ("the run ended before it was undone".to_owned(), "shaketable doctor".to_owned()),
            };
            self.residue.push(Residue { injection: one.id, resource: one.resource.clone(), what, repair });
        }
    }

    /// The span of a window, if it was reached.
    pub(crate) fn window(&self, window: Window) -> Option<WindowSpan> {
        self.windows.iter().find(|span| span.window == window).copied()
    }

    /// When the first fault was injected.
    pub(crate) fn first_injection(&self) -> Option<Moment> {
        self.injections.iter().map(|one| one.begun).min()
    }

    /// When the last fault was undone.
    pub(crate) fn last_undo(&self) -> Option<Moment> {
        self.injections.iter().filter_map(|one| one.undone).max()
    }
}

/// Whether the undo of an injection failed for good: then it may be in effect although it never reported.
fn undo_failed(id: InjectionId, events: &[Event]) -> bool {
    events.iter().any(|event| matches!(&event.what, What::UndoFailed { injection, .. } if *injection == id))
}
