//! From a workload to its fault tree.
//!
//! ```text
//!   component fails = any of
//!     ├─ at least (count - enough + 1) units fail, each = any of: the unit itself, its zone, the zone's region
//!     ├─ all units at once, for a cause they share      (beta factor)
//!     ├─ the takeover of a spare                        (failover)
//!     ├─ planned downtime
//!     └─ what it needs fails
//! ```
//!
//! A place, a component and a unit are one event each wherever they are met, which is what makes shared causes count once.

use model::workload::Workload;
use serde::Serialize;

use super::{
    building::Building,
    nodes::with_deep_stack,
    tree::{EventId, FaultTree, GateId},
};

/// What an event of a workload's tree is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// A zone or region fails.
    Place(String),
    /// A component that is one thing, or whose units share repair crews and are looked at together.
    Component(String),
    /// One unit of a component, counted from 1.
    Unit(String, u32),
    /// All units of a component fail of one cause.
    AllUnits(String),
    /// A spare takes a while to take over, or does not.
    Failover(String),
    /// Planned downtime of a component.
    Planned(String),
}

impl Cause {
    /// The component or place it is about.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Place(name)
            | Self::Component(name)
            | Self::Unit(name, _)
            | Self::AllUnits(name)
            | Self::Failover(name)
            | Self::Planned(name) => name,
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Place(name) | Self::Component(name) => f.write_str(name),
            Self::Unit(name, unit) => write!(f, "{name} {unit}"),
            Self::AllUnits(name) => write!(f, "all of {name} at once"),
            Self::Failover(name) => write!(f, "failover of {name}"),
            Self::Planned(name) => write!(f, "planned downtime of {name}"),
        }
    }
}

/// Why a workload has no fault tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// A name stands for nothing.
    #[error("`{by}` needs `{name}`, which is not defined; add it, or correct the name")]
    Unknown {
        /// What is not defined.
        name: String,
        /// Who needs it.
        by: String,
    },
    /// Components need each other.
    #[error("`{name}` needs itself, by way of others; remove one of these dependencies, or make it a soft one")]
    Circle {
        /// One of them.
        name: String,
    },
}

/// The fault tree of a workload, and what its events are.
#[derive(Debug, Clone, PartialEq)]
pub struct Structure {
    /// The tree.
    pub tree: FaultTree,
    /// Fails when the workload does.
    pub top: GateId,
    /// Fails when the workload does not work in full, which is when a soft dependency fails as well; none: there are none.
    pub full: Option<GateId>,
    /// What each event is.
    pub causes: Vec<Cause>,
    /// How often each event begins in the long run, per second; none: not known.
    pub frequencies: Vec<Option<f64>>,
    /// Components and places of which nothing is known, and that are taken for perfect.
    pub unknown: Vec<String>,
}

/// The fault tree of a workload.
///
/// # Errors
/// When names are not defined or dependencies run in a circle. The reader of workload documents finds both with their places.
pub fn structure(workload: &Workload) -> Result<Structure, Unsound> {
    with_deep_stack(workload.components.len(), || Ok(Building::new(workload).build(workload)?.structure))
}

/// A fault tree whose events are not all independent, and what they have to do with each other.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) structure: Structure,
    pub(super) queues: Vec<Queue>,
    pub(super) takeovers: Vec<Takeover>,
}

/// Units that wait for each other's repair.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) units: Vec<EventId>,
    /// How many can be repaired at a time.
    pub(super) crews: u32,
}

/// Units of which spares take over from those in use.
#[derive(Debug)]
pub(super) struct Takeover {
    /// That a takeover interrupts; of no probability of its own.
    pub(super) event: EventId,
    /// Each fails when a unit does, by itself or with its places.
    pub(super) units: Vec<GateId>,
    /// How many are in use.
    pub(super) enough: u32,
    /// The share of failures after which a spare takes over by itself.
    pub(super) coverage: f64,
    /// How long that takes, in seconds.
    pub(super) delay: f64,
}

/// The fault tree of a workload with every unit and every takeover as an event of its own, whatever it depends on: for those who
/// follow the workload through time.
///
/// # Errors
/// As [`structure`].
pub(super) fn apart(workload: &Workload) -> Result<Apart, Unsound> {
    with_deep_stack(workload.components.len(), || Building::apart(workload).build(workload))
}
