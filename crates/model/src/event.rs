//! What happened: the record of a run.

use serde::{Deserialize, Serialize};

use crate::{
    alarm::AlarmState,
    moment::Moment,
    resource::ResourceId,
    status::{ActionStatus, ExperimentStatus},
    verdict::{Verdict, Window},
};

/// The number of one injection within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InjectionId(pub u32);

impl std::fmt::Display for InjectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Something that happened, and when. Events are appended before they are acted on; reports, timelines and times to
/// detect, replace and recover are read from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, on the record's clock.
    pub at: Moment,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum What {
    /// A window begins.
    WindowBegan {
        /// Which.
        window: Window,
    },
    /// A target was resolved.
    TargetResolved {
        /// Its name.
        target: String,
        /// How many resources matched.
        matching: usize,
        /// Those that were taken.
        resources: Vec<ResourceId>,
        /// The arithmetic, for people: `PERCENT(50) of 2 is 1`.
        how: String,
    },
    /// The experiment's status changed.
    Experiment {
        /// To what.
        status: ExperimentStatus,
        /// Why.
        reason: String,
    },
    /// An action's status changed.
    Action {
        /// Its name.
        action: String,
        /// To what.
        status: ActionStatus,
        /// Why.
        reason: String,
    },
    /// A fault is about to be injected.
    Injecting {
        /// Which injection.
        injection: InjectionId,
        /// By which action.
        action: String,
        /// Into what.
        resource: ResourceId,
        /// The fault in words: `latency 300 ms ± 20 ms on traffic to 10.0.0.2`.
        fault: String,
    },
    /// A fault is in effect, and measured.
    Injected {
        /// Which injection.
        injection: InjectionId,
        /// Configured and achieved.
        proof: Proof,
    },
    /// A fault could not be injected.
    InjectFailed {
        /// Which injection.
        injection: InjectionId,
        /// Why.
        why: String,
    },
    /// A fault is undone.
    Undone {
        /// Which injection.
        injection: InjectionId,
        /// What the fingerprints say.
        cleanliness: Cleanliness,
        /// Measured over the fault's whole life, where the mechanism can (packets delayed, CPU time used).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Proof>,
    },
    /// A fault could not be undone.
    UndoFailed {
        /// Which injection.
        injection: InjectionId,
        /// Why, and what to do by hand.
        why: String,
    },
    /// An alarm changed its state.
    Alarm {
        /// Its name.
        alarm: String,
        /// From what.
        from: AlarmState,
        /// To what.
        to: AlarmState,
        /// Why, with the figures.
        reason: String,
    },
    /// A stop condition fired.
    GuardFired {
        /// The alarm's name.
        alarm: String,
        /// Why, with the figures.
        reason: String,
    },
    /// Somebody or something asked to stop.
    StopRequested {
        /// Who: `Ctrl-C`, `deadline`.
        by: String,
    },
    /// Something happened to an instance of the lab.
    Instance {
        /// Which.
        instance: ResourceId,
        /// Its group.
        group: String,
        /// Its zone.
        zone: String,
        /// What.
        change: InstanceChange,
        /// Why or how, for people.
        reason: String,
    },
    /// A balancer changed its mind about a target.
    Target {
        /// The balancer.
        balancer: String,
        /// The target.
        instance: ResourceId,
        /// Whether requests are sent to it now.
        healthy: bool,
        /// Why.
        reason: String,
    },
    /// The baseline says nothing of the system, because the machine of the measurement was too busy; it begins again.
    BaselineDisturbed {
        /// What was measured, and what disturbed it.
        reason: String,
    },
    /// The steady state was judged.
    SteadyState {
        /// Whether it was there.
        held: bool,
        /// In words.
        reason: String,
    },
    /// The system is back in the state its recovery clauses describe.
    Recovered {
        /// In words.
        reason: String,
    },
    /// The verdict.
    Verdict {
        /// Which.
        verdict: Verdict,
        /// Why, in one sentence.
        reason: String,
    },
    /// Something worth knowing that changes nothing.
    Note {
        /// In words.
        text: String,
    },
}

/// What happened to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceChange {
    /// Its process was started.
    Launched,
    /// It answered for the first time.
    Ready,
    /// Its process ended.
    Exited,
    /// It was stopped and can be started again.
    Stopped,
    /// It was started again.
    Started,
    /// It is gone for good.
    Terminated,
    /// A replacement was ordered.
    Replacing,
}

/// Configured beside achieved: the measurement that a fault took hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// What was asked for: `latency 100 ms`.
    pub configured: String,
    /// What was measured on the target: `median round trip +100.2 ms over 20 probes`.
    pub achieved: String,
    /// Whether the measurement lies within the fault's tolerance.
    pub holds: bool,
}

/// What the fingerprints before and after say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Cleanliness {
    /// Nothing that the fault touched differs from before.
    Clean,
    /// The object is gone (terminated, replaced), so that there is nothing to be dirty.
    Gone,
    /// Something is left.
    Dirty {
        /// Exactly what.
        residue: String,
        /// The command that repairs it.
        repair: String,
    },
}
