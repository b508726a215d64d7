//! What a run will do, decided before it does anything: who is hit by what, in which order, and how it is undone.

use std::{collections::BTreeMap, time::Duration};

use model::{
    alarm::{Alarm, AlarmState},
    catalogue::Reversibility,
    event::InjectionId,
    experiment::Windows,
    period::Period,
    resource::Resource,
};
use serde::Serialize;

use crate::radius::Bound;

mod build;
mod clash;
mod describe;
mod targets;
#[cfg(test)]
mod tests;

pub use build::{LEASE, Request, Rules, plan};
pub use describe::reversibility;
pub(crate) use targets::matches as fits;

/// What a run will do. Everything random is decided, every action is translated, every alarm is found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The seed of the random choices.
    pub seed: u64,
    /// The targets, resolved, in order of their names.
    pub targets: Vec<ResolvedTarget>,
    /// The actions, each after those of its `startAfter`.
    pub actions: Vec<PlannedAction>,
    /// The stop conditions, bound to their alarms.
    pub guards: Vec<Guard>,
    /// What the run is held to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bound>,
    /// Why there is no stop condition, where the document says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unguarded: Option<String>,
    /// How long the windows are.
    pub windows: Windows,
    /// How long an injection lives when nobody renews it.
    pub lease: Period,
    /// When everything is undone, finished or not, counted from the start of the baseline.
    pub deadline: Period,
}

/// A target with the resources it has chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedTarget {
    /// Its name.
    pub name: String,
    /// Its resource type.
    pub resource_type: String,
    /// How many resources match.
    pub matching: usize,
    /// Those that were taken.
    pub chosen: Vec<Resource>,
    /// The arithmetic: `PERCENT(50) of 2 is 1`.
    pub how: String,
}

/// An action, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedAction {
    /// Its name.
    pub name: String,
    /// Its id, as the document has it.
    pub action_id: String,
    /// Actions that must have ended before.
    pub start_after: Vec<String>,
    /// What it does.
    pub work: Work,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Work {
    /// Injects a fault into each of some resources.
    Fault(Fault),
    /// Waits.
    Wait {
        /// How long.
        duration: Period,
    },
    /// Fails unless alarms are in one of these states.
    AssertAlarms {
        /// The alarms' names.
        alarms: Vec<String>,
        /// The states, any of which is right.
        states: Vec<AlarmState>,
    },
    /// Does nothing.
    Skip {
        /// Why.
        reason: String,
    },
}

/// A fault and whom it hits.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The native action's id.
    pub fault: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The target whose resources are hit.
    pub target: String,
    /// One per resource.
    pub injections: Vec<Injection>,
    /// Whether newcomers are hit as well while it is in effect, and resources that have gone are let go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// How long it lasts; none: until the end of the fault window, or over at once when it is irreversible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Period>,
    /// Whether and how it ends.
    pub reversibility: Reversibility,
    /// How it is undone, one sentence.
    pub undone_by: String,
}

/// One fault on one resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Injection {
    /// Its number.
    pub id: InjectionId,
    /// What is hit.
    pub resource: Resource,
}

/// A stop condition bound to its alarm.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guard {
    /// The alarm's name.
    pub name: String,
    /// What it watches.
    pub alarm: Alarm,
}

/// Why a document cannot be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Where in the document: `targets.one-web-instance`.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What is right, or what to do.
    pub fix: Option<String>,
}

impl Problem {
    pub(crate) fn new(place: String, what: impl Into<String>) -> Self {
        Self { place, what: what.into(), fix: None }
    }

    pub(crate) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        self.fix.as_ref().map_or(Ok(()), |fix| write!(f, "; {fix}"))
    }
}

impl PlannedAction {
    /// How long it takes by itself, without what injecting and undoing take.
    #[must_use]
    pub fn length(&self) -> Duration {
        match &self.work {
            Work::Fault(Fault { duration: Some(length), .. }) | Work::Wait { duration: length } => length.get(),
            Work::Fault(_) | Work::AssertAlarms { .. } | Work::Skip { .. } => Duration::ZERO,
        }
    }
}

impl Fault {
    /// Whether it has no end of its own and is in effect until the fault window ends.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        self.duration.is_none() && matches!(self.reversibility, Reversibility::Undoable | Reversibility::SelfEnding)
    }

    /// How it is undone, one sentence; or where it cannot be, what is left to do about it.
    #[must_use]
    pub fn aftermath(&self) -> &str {
        self.undone_by.strip_prefix("Nothing: ").unwrap_or(&self.undone_by)
    }

    /// The fault in words, without its duration: `network:latency (delayMilliseconds 300, jitterMilliseconds 20)`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let duration = self.duration.map(|length| length.to_string());
        let parameters: Vec<String> = self
            .parameters
            .iter()
            .filter(|(_, value)| duration.as_ref() != Some(value))
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        if parameters.is_empty() { self.fault.clone() } else { format!("{} ({})", self.fault, parameters.join(", ")) }
    }
}

impl Plan {
    /// Every injection with the fault it belongs to and the name of its action, in order of their numbers.
    pub fn injections(&self) -> impl Iterator<Item = (&PlannedAction, &Fault, &Injection)> {
        self.actions.iter().flat_map(|action| match &action.work {
            Work::Fault(fault) => fault.injections.iter().map(|one| (action, fault, one)).collect(),
            Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => Vec::new(),
        })
    }

    /// How long the fault window will be at least: the actions, one after the other, and no less than the document says.
    #[must_use]
    pub fn fault_length(&self) -> Duration {
        build::longest_path(&self.actions).max(self.windows.fault.get())
    }

    /// The lease as a [`Duration`].
    #[must_use]
    pub const fn lease(&self) -> Duration {
        self.lease.get()
    }
}
