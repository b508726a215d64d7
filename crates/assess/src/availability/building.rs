//! Builds the fault tree of a workload: of independent events, or of all the parts that there are.

use std::collections::{BTreeMap, HashMap};

use model::workload::{Component, Figures, Need, Place, Workload};

use super::{
    markov::Group,
    structure::{Apart, Cause, Queue, Structure, Takeover, Unsound},
    takeover::{Hit, Interruptions},
    tree::{EventId, FaultTree, GateId, Input},
};

/// A fault tree under construction.
pub(super) struct Building<'w> {
    /// Whether what depends on each other becomes events of their own, which are then not independent.
    apart: bool,
    queues: Vec<Queue>,
    takeovers: Vec<Takeover>,
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
    /// Of independent events.
    pub(super) fn new(workload: &'w Workload) -> Self {
        Self {
            apart: false,
            queues: Vec::new(),
            takeovers: Vec::new(),
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

    /// Of events that depend on each other.
    pub(super) fn apart(workload: &'w Workload) -> Self {
        Self { apart: true, ..Self::new(workload) }
    }

    pub(super) fn build(mut self, workload: &'w Workload) -> Result<Apart, Unsound> {
        let top = self.need(&workload.needs, &workload.name, false)?;
        let soft = workload.components.iter().any(|component| !component.uses.is_empty());
        let full = if soft { Some(self.need(&workload.needs, &workload.name, true)?) } else { None };
        let Self { tree, causes, frequencies, unknown, queues, takeovers, .. } = self;
        Ok(Apart { structure: Structure { tree, top, full, causes, frequencies, unknown }, queues, takeovers })
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
        let waiting = component.crews.is_some_and(|crews| crews < component.count);
        // Which units fail together is for the zones to say, and how long they wait for each other is not told then: it is
        // taken for no time at all, which makes the result an upper bound.
        let spread = component.places.len() > 1;
        if waiting && spread && !self.apart {
            self.unknown.push(format!("waiting for repair crews of {name}"));
        }
        if waiting && !spread && !self.apart {
            causes.extend(self.waiting_for_repair(component, down, frequency)?);
            causes.extend(self.together(component, down, frequency, Vec::new()));
        } else if component.count == 1 {
            let own = self.event(Cause::Component(name.clone()), down, frequency);
            causes.push(own.into());
            causes.extend(self.placed(component, 0)?);
        } else {
            let units = self.units(component, down, frequency)?;
            causes.push(self.tree.at_least(fails_at(units.len(), component.enough), inputs(&units)).into());
            causes.extend(self.together(component, down, frequency, units));
        }
        if let Some(planned) = component.planned {
            let every = planned.every.as_secs_f64();
            let often = (every > 0.0).then(|| 1.0 / every);
            causes.push(self.event(Cause::Planned(name.clone()), planned.share(), often).into());
        }
        self.of_itself.insert(name, causes.clone());
        Ok(causes)
    }

    /// Each unit with its places.
    fn units(&mut self, component: &'w Component, down: f64, frequency: Option<f64>) -> Result<Vec<GateId>, Unsound> {
        let alone = 1.0 - component.beta;
        let (mut own, mut often) = (down * alone, frequency.map(|often| often * alone));
        let crews = component.crews.filter(|crews| *crews < component.count);
        if let (Some(_), Some(group)) = (crews, group(component, down, frequency)) {
            // As if each had a crew to itself; that they wait for each other is for the queue to say.
            own = group.failure_rate / (group.failure_rate + group.repair_rate);
            often = Some(own * group.repair_rate);
        }
        let mut units = Vec::new();
        let mut events = Vec::new();
        for unit in 0..component.count {
            let event = self.event(Cause::Unit(component.name.clone(), unit + 1), own, often);
            let mut fails = vec![event.into()];
            fails.extend(self.placed(component, unit as usize)?);
            units.push(self.tree.any(fails));
            events.push(event);
        }
        if let Some(crews) = crews {
            self.queues.push(Queue { units: events, crews });
        }
        Ok(units)
    }

    /// What hits all units of a group: shared causes, and the takeover by a spare.
    fn together(&mut self, component: &Component, down: f64, frequency: Option<f64>, units: Vec<GateId>) -> Vec<Input> {
        let name = &component.name;
        let mut causes = Vec::new();
        if component.beta > 0.0 {
            let often = frequency.map(|often| often * component.beta);
            causes.push(self.event(Cause::AllUnits(name.clone()), down * component.beta, often).into());
        }
        if let Some(failover) = component.failover {
            let cause = Cause::Failover(name.clone());
            let (coverage, delay) = (failover.coverage, failover.delay.as_secs_f64());
            if self.apart {
                let event = self.event(cause, 0.0, None);
                self.takeovers.push(Takeover { event, units, enough: component.enough, coverage, delay });
                causes.push(event.into());
                return causes;
            }
            let (hits, known) = self.hits(component, down, frequency);
            if !known && component.figures.is_some() {
                self.unknown.push(cause.to_string());
            }
            let sum = Interruptions::of(failover, component.count, component.enough, hits);
            causes.push(self.event(cause, sum.down, known.then_some(sum.often)).into());
        }
        causes
    }

    /// What makes spares take over: each unit's own failures, and those of places without which there are still enough units; and
    /// whether it is known how often all of them fail.
    fn hits(&self, component: &Component, down: f64, frequency: Option<f64>) -> (Vec<Hit>, bool) {
        let alone = 1.0 - component.beta;
        let own = frequency.filter(|often| *often > 0.0).map(|often| Hit {
            units: 1,
            often: often * alone,
            lasts: down / often,
        });
        let mut known = frequency.is_some();
        let mut hits = vec![own; component.count as usize];
        let mut units_in: BTreeMap<&str, u32> = BTreeMap::new();
        for place in (0..component.count as usize).flat_map(|unit| self.chain(component, unit)) {
            *units_in.entry(place.name.as_str()).or_default() += 1;
        }
        for (name, units) in units_in {
            let figures = self.places[name].figures.filter(|figures| figures.availability.down() > 0.0);
            if let Some(figures) = figures.filter(|_| component.count - units >= component.enough) {
                let often = figures.frequency();
                known &= often.is_some();
                hits.push(often.map(|often| Hit { units, often, lasts: figures.availability.down() / often }));
            }
        }
        (hits.into_iter().flatten().collect(), known)
    }

    /// A group whose units wait for each other's repair: one event, whose probability is that of a Markov chain.
    fn waiting_for_repair(
        &mut self,
        component: &'w Component,
        down: f64,
        frequency: Option<f64>,
    ) -> Result<Vec<Input>, Unsound> {
        let name = &component.name;
        let mut causes = self.placed(component, 0)?;
        if let Some(group) = group(component, down, frequency) {
            let steady = group.steady();
            causes.push(self.event(Cause::Component(name.clone()), steady.down, Some(steady.frequency)).into());
        } else {
            if component.figures.is_some() {
                self.unknown.push(format!("repair of {name}"));
            }
            let alone = 1.0 - component.beta;
            let units = (1..=component.count).map(|unit| Cause::Unit(name.clone(), unit));
            let units: Vec<Input> = units.map(|unit| self.event(unit, down * alone, None).into()).collect();
            causes.push(self.tree.at_least(fails_at(units.len(), component.enough), units).into());
        }
        Ok(causes)
    }

    /// The places that a unit lies in.
    fn placed(&mut self, component: &'w Component, unit: usize) -> Result<Vec<Input>, Unsound> {
        let known: Vec<&'w Place> = self.chain(component, unit).collect();
        let mut names =
            component.places.iter().map(String::as_str).chain(known.iter().filter_map(|p| p.region.as_deref()));
        if let Some(name) = names.find(|name| !self.places.contains_key(name)) {
            return Err(Unsound::Unknown { name: name.to_owned(), by: component.name.clone() });
        }
        Ok(known.into_iter().map(|place| self.place(place).into()).collect())
    }

    /// The place of a unit, and the one that this lies in, as far as they are defined. A zone lies in a region and a region in
    /// nothing, so that these are all.
    fn chain(&self, component: &Component, unit: usize) -> impl Iterator<Item = &'w Place> + use<'w> {
        let turn = unit.checked_rem(component.places.len()).map(|at| component.places[at].as_str());
        let place = turn.and_then(|name| self.places.get(name).copied());
        let region = place.and_then(|place| self.places.get(place.region.as_deref()?).copied());
        place.into_iter().chain(region)
    }

    fn place(&mut self, place: &'w Place) -> EventId {
        if let Some(known) = self.of_place.get(place.name.as_str()) {
            return *known;
        }
        let (down, frequency) = self.figures(&place.name, place.figures);
        let event = self.event(Cause::Place(place.name.clone()), down, frequency);
        self.of_place.insert(&place.name, event);
        event
    }
}

/// The units of a component as a group that shares crews; none where their times are not known.
fn group(component: &Component, down: f64, frequency: Option<f64>) -> Option<Group> {
    let restore = component.figures?.mttr?.as_secs_f64();
    let failure_rate = frequency.filter(|_| down < 1.0)? * (1.0 - component.beta) / (1.0 - down);
    Some(Group {
        units: component.count,
        enough: component.enough,
        failure_rate,
        repair_rate: 1.0 / restore,
        crews: component.crews.unwrap_or(component.count),
    })
}

fn inputs(gates: &[GateId]) -> impl Iterator<Item = Input> {
    gates.iter().map(|gate| Input::Gate(*gate))
}

/// How many failures are too many for `enough` of `count`.
fn fails_at(count: usize, enough: u32) -> u32 {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    count.saturating_sub(enough).saturating_add(1)
}
