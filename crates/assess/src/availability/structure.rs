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

use std::collections::HashMap;

use model::workload::{Component, Figures, Need, Place, Workload};
use serde::Serialize;

use super::{
    markov::Group,
    nodes::with_deep_stack,
    tree::{EventId, FaultTree, GateId, Input},
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
    /// Units that wait for each other's repair fail together, and zones tell them apart.
    #[error("`{name}` has repair crews and lies in several zones; describe it as one component for each zone")]
    CrewsInSeveralPlaces {
        /// The component.
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
    with_deep_stack(workload.components.len(), || {
        let mut building = Building::new(workload);
        let top = building.need(&workload.needs, &workload.name, false)?;
        let soft = workload.components.iter().any(|component| !component.uses.is_empty());
        let full = if soft { Some(building.need(&workload.needs, &workload.name, true)?) } else { None };
        let Building { tree, causes, frequencies, unknown, .. } = building;
        Ok(Structure { tree, top, full, causes, frequencies, unknown })
    })
}

struct Building<'w> {
    components: HashMap<&'w str, &'w Component>,
    places: HashMap<&'w str, &'w Place>,
    tree: FaultTree,
    causes: Vec<Cause>,
    frequencies: Vec<Option<f64>>,
    unknown: Vec<String>,
    of_place: HashMap<&'w str, EventId>,
    /// What fails with the component itself, without what it needs.
    of_itself: HashMap<&'w str, Vec<Input>>,
    /// Gates of components, working and working in full; none while it is being built.
    of_component: HashMap<(&'w str, bool), Option<GateId>>,
}

impl<'w> Building<'w> {
    fn new(workload: &'w Workload) -> Self {
        Self {
            components: workload.components.iter().map(|component| (component.name.as_str(), component)).collect(),
            places: workload.places.iter().map(|place| (place.name.as_str(), place)).collect(),
            tree: FaultTree::new(),
            causes: Vec::new(),
            frequencies: Vec::new(),
            unknown: Vec::new(),
            of_place: HashMap::new(),
            of_itself: HashMap::new(),
            of_component: HashMap::new(),
        }
    }

    fn event(&mut self, cause: Cause, probability: f64, frequency: Option<f64>) -> EventId {
        self.causes.push(cause);
        self.frequencies.push(frequency);
        self.tree.event(probability)
    }

    /// What is known of something; what is not is taken for perfect, and said.
    fn figures(&mut self, name: &str, figures: Option<Figures>) -> (f64, Option<f64>) {
        if let Some(figures) = figures {
            return (figures.availability.down(), figures.frequency());
        }
        if !self.unknown.iter().any(|known| known == name) {
            self.unknown.push(name.to_owned());
        }
        (0.0, None)
    }

    fn need(&mut self, need: &'w Need, by: &str, full: bool) -> Result<GateId, Unsound> {
        let parts = |building: &mut Self, parts: &'w [Need]| {
            parts.iter().map(|part| building.need(part, by, full).map(Input::from)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match need {
            Need::Component(name) => self.component(name, by, full)?,
            Need::All(needs) => {
                let parts = parts(self, needs)?;
                self.tree.any(parts)
            }
            Need::Any(needs) => {
                let parts = parts(self, needs)?;
                self.tree.all(parts)
            }
            Need::AtLeast(count, needs) => {
                let parts = parts(self, needs)?;
                self.tree.at_least(fails_at(parts.len(), *count), parts)
            }
        })
    }

    fn component(&mut self, name: &'w str, by: &str, full: bool) -> Result<GateId, Unsound> {
        match self.of_component.get(&(name, full)) {
            Some(Some(gate)) => return Ok(*gate),
            Some(None) => return Err(Unsound::Circle { name: name.to_owned() }),
            None => {}
        }
        let unknown = || Unsound::Unknown { name: name.to_owned(), by: by.to_owned() };
        let component = self.components.get(name).copied().ok_or_else(unknown)?;
        self.of_component.insert((name, full), None);
        let mut causes = self.itself(component)?;
        if let Some(need) = &component.needs {
            causes.push(self.need(need, name, full)?.into());
        }
        if full {
            for used in &component.uses {
                causes.push(self.component(used, name, full)?.into());
            }
        }
        let gate = self.tree.any(causes);
        self.of_component.insert((name, full), Some(gate));
        Ok(gate)
    }

    /// What makes the component fail, what it needs aside. The same events however often it is asked for.
    fn itself(&mut self, component: &'w Component) -> Result<Vec<Input>, Unsound> {
        if let Some(known) = self.of_itself.get(component.name.as_str()) {
            return Ok(known.clone());
        }
        let name = &component.name;
        let (down, frequency) = self.figures(name, component.figures);
        let mut causes = Vec::new();
        if component.crews.is_some_and(|crews| crews < component.count) {
            causes.extend(self.waiting_for_repair(component, down, frequency)?);
        } else if component.count == 1 {
            let own = self.event(Cause::Component(name.clone()), down, frequency);
            causes.push(own.into());
            causes.extend(self.placed(component, 0)?);
        } else {
            let apart = 1.0 - component.beta;
            let mut units = Vec::new();
            for unit in 0..component.count {
                let cause = Cause::Unit(name.clone(), unit + 1);
                let own = self.event(cause, down * apart, frequency.map(|often| often * apart));
                let mut fails = vec![own.into()];
                fails.extend(self.placed(component, unit as usize)?);
                units.push(self.tree.any(fails).into());
            }
            causes.push(self.tree.at_least(fails_at(units.len(), component.enough), units).into());
        }
        if component.count > 1 {
            causes.extend(self.together(component, down, frequency));
        }
        if let Some(planned) = component.planned {
            let every = planned.every.as_secs_f64();
            let often = (every > 0.0).then(|| 1.0 / every);
            causes.push(self.event(Cause::Planned(name.clone()), planned.share(), often).into());
        }
        self.of_itself.insert(name, causes.clone());
        Ok(causes)
    }

    /// What hits all units of a group: shared causes, and the takeover by a spare.
    fn together(&mut self, component: &Component, down: f64, frequency: Option<f64>) -> Vec<Input> {
        let name = &component.name;
        let mut causes = Vec::new();
        if component.beta > 0.0 {
            let often = frequency.map(|often| often * component.beta);
            causes.push(self.event(Cause::AllUnits(name.clone()), down * component.beta, often).into());
        }
        if let Some(failover) = component.failover {
            // Each failure of a unit in use interrupts, for the delay if the takeover works, else until it is restored.
            let restore = component.figures.and_then(|figures| figures.mttr).map(model::Period::as_secs_f64);
            let often = frequency.map(|often| often * f64::from(component.enough));
            let cause = Cause::Failover(name.clone());
            let lasts = failover.coverage * failover.delay.as_secs_f64()
                + (1.0 - failover.coverage) * restore.unwrap_or_default();
            if often.is_none() && component.figures.is_some() {
                self.unknown.push(cause.to_string());
            }
            causes.push(self.event(cause, often.unwrap_or_default() * lasts, often).into());
        }
        causes
    }

    /// A group whose units wait for each other's repair: one event, whose probability is that of a Markov chain.
    fn waiting_for_repair(
        &mut self,
        component: &'w Component,
        down: f64,
        frequency: Option<f64>,
    ) -> Result<Vec<Input>, Unsound> {
        let name = &component.name;
        if component.places.len() > 1 {
            return Err(Unsound::CrewsInSeveralPlaces { name: name.clone() });
        }
        let mut causes = self.placed(component, 0)?;
        let apart = 1.0 - component.beta;
        let restore = component.figures.and_then(|figures| figures.mttr).map(model::Period::as_secs_f64);
        let cause = Cause::Component(name.clone());
        if let (Some(often), Some(restore)) = (frequency, restore)
            && down < 1.0
        {
            let group = Group {
                units: component.count,
                enough: component.enough,
                failure_rate: often * apart / (1.0 - down),
                repair_rate: 1.0 / restore,
                crews: component.crews.unwrap_or(component.count),
            };
            let steady = group.steady();
            causes.push(self.event(cause, steady.down, Some(steady.frequency)).into());
        } else {
            if component.figures.is_some() {
                self.unknown.push(format!("repair of {name}"));
            }
            let units = (1..=component.count).map(|unit| Cause::Unit(name.clone(), unit));
            let units: Vec<Input> = units.map(|unit| self.event(unit, down * apart, None).into()).collect();
            causes.push(self.tree.at_least(fails_at(units.len(), component.enough), units).into());
        }
        Ok(causes)
    }

    /// The places that a unit lies in.
    fn placed(&mut self, component: &'w Component, unit: usize) -> Result<Vec<Input>, Unsound> {
        let mut causes = Vec::new();
        if component.places.is_empty() {
            return Ok(causes);
        }
        let mut next = Some(component.places[unit % component.places.len()].as_str());
        // A zone lies in a region and a region in nothing, so two steps are enough for everything that is sound.
        for _ in 0..2 {
            let Some(name) = next else { break };
            let unknown = || Unsound::Unknown { name: name.to_owned(), by: component.name.clone() };
            let place = self.places.get(name).copied().ok_or_else(unknown)?;
            let event = match self.of_place.get(name) {
                Some(known) => *known,
                None => {
                    let (down, frequency) = self.figures(name, place.figures);
                    let event = self.event(Cause::Place(name.to_owned()), down, frequency);
                    self.of_place.insert(&place.name, event);
                    event
                }
            };
            causes.push(event.into());
            next = place.region.as_deref();
        }
        Ok(causes)
    }
}

/// How many failures are too many for `enough` of `count`.
fn fails_at(count: usize, enough: u32) -> u32 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    count.saturating_sub(enough).saturating_add(1)
}
