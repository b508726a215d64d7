//! Failures that a gate holds: one replica of three, one disk of a mirror.
//!
//! Nearly all failures are restored before anything else fails that they matter for. Such a one need not climb the tree,
//! nor wait in the queue of what is due, only to be taken back: its gate *notes* until when it lasts, and a note whose time has passed
//! is none. Only when a second failure comes to the gate while it lasts, the note is *counted*: from then on it is a failure like
//! every other.
//!
//! That is exact. A gate takes a note only if it holds with one more failure; as long as no other comes, nobody above it
//! can tell the difference. And the way from the event to the gate has no branches, so nobody beside it can tell either.

use super::{
    batch::{Due, Running, What},
    machine::{Count, NONE},
};

/// A failure that is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    /// When it will be restored, in seconds from the beginning of the years.
    pub(super) until: f64,
    pub(super) event: u32,
}

impl Note {
    /// Of no failure.
    pub(super) const NONE: Self = Self { until: f64::NEG_INFINITY, event: NONE };
}

impl Count {
    /// Whether it holds with one failure more, and has noted none.
    pub(super) fn takes_note(self, now: f64) -> bool {
        self.note.until <= now && self.failed + 1 < self.fails_at
    }
}

impl Running<'_> {
    /// Whether an event has happened and is not over, counted or noted.
    pub(super) fn is_down(&self, event: u32) -> bool {
        let held_by = self.machine.parts[event as usize].held_by;
        let noted = held_by != NONE && {
            let note = self.gates[held_by as usize].note;
            note.event == event && note.until > self.now
        };
        noted || self.happened[event as usize]
    }

    /// Counts what a gate has noted and what lasts still: the gates between the event and this one are told, and it itself.
    pub(super) fn count_noted(&mut self, gate: u32) {
        let Note { until, event } = std::mem::replace(&mut self.gates[gate as usize].note, Note::NONE);
        self.happened[event as usize] = true;
        self.due.push(Due { at: until, what: What::Restored(event) });
        let gates = &self.machine.gates;
        let mut above = gates.above_event(event);
        while let [between] = *above {
            let count = &mut self.gates[between as usize];
            count.failed += 1;
            if between == gate || count.failed != count.fails_at {
                return;
            }
            above = gates.above_gate(between);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{
        Period,
        workload::{Availability, Component, Failover, Figures, Need, Objectives, Place, Planned, Workload},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::availability::simulate::{
        batch::{self, Batch, Tally},
        machine::Machine,
        random::Random,
    };

    /// It fails so often that failures meet: some hours between them, and some to restore.
    fn figures() -> impl Strategy<Value = Option<Figures>> {
        (2..40_u64, 1..8_u64).prop_map(|(mtbf, mttr)| {
            let (mtbf, mttr) = (Period::from_secs(3600 * mtbf), Period::from_secs(3600 * mttr));
            Some(Figures { availability: Availability::from_times(mtbf, mttr), mttr: Some(mttr), detect: None })
        })
    }

    fn component() -> impl Strategy<Value = Component> {
        let group = (1..5_u32).prop_flat_map(|count| (Just(count), 1..=count));
        let beta = prop_oneof![Just(0.0), Just(0.2)];
        let failover = (any::<bool>(), 0..3_u32, 0..600_u64).prop_map(|(has, tenths, delay)| {
            let coverage = 1.0 - f64::from(tenths) / 10.0;
            has.then_some(Failover { coverage, delay: Period::from_secs(delay) })
        });
        let planned = any::<bool>().prop_map(|has| {
            has.then_some(Planned { every: Period::from_secs(30 * 3600), takes: Period::from_secs(3600) })
        });
        let (placed, crew) = (any::<bool>(), any::<bool>());
        (group, figures(), beta, failover, planned, placed, crew).prop_map(
            |((count, enough), figures, beta, failover, planned, placed, crew)| {
                let failover = failover.filter(|_| enough < count);
                let beta = if enough < count { beta } else { 0.0 };
                let places = if placed { vec!["a".to_owned(), "b".to_owned()] } else { Vec::new() };
                let crews = (crew && !placed && failover.is_none() && beta == 0.0).then_some(1);
                Component { count, enough, figures, beta, failover, planned, places, crews, ..Component::named("") }
            },
        )
    }

    /// Several groups in two zones; some need others, and some votes of them are needed.
    fn workload() -> impl Strategy<Value = Workload> {
        let place = |name: &'static str| {
            figures().prop_map(move |figures| Place { name: name.to_owned(), region: None, figures })
        };
        let components = prop::collection::vec((component(), any::<Option<prop::sample::Index>>()), 1..6);
        (components, place("a"), place("b"), any::<prop::sample::Index>()).prop_map(|(made, one, other, enough)| {
            let name = |number: usize| format!("c{number}");
            let components: Vec<Component> = (0..)
                .zip(made)
                .map(|(number, (component, needs))| {
                    let needs = needs.filter(|_| number > 0).map(|needs| Need::Component(name(needs.index(number))));
                    Component { name: name(number), needs, ..component }
                })
                .collect();
            let all = components.iter().map(|component| Need::Component(component.name.clone())).collect();
            Workload {
                name: "shop".to_owned(),
                criticality: None,
                objectives: Objectives::default(),
                places: vec![one, other],
                needs: Need::AtLeast(1 + u32::try_from(enough.index(components.len())).unwrap(), all),
                components,
                improvements: Vec::new(),
            }
        })
    }

    fn a_year(machine: &Machine) -> (Batch, Tally) {
        let mut tally = Tally::new(machine);
        let batch = batch::run(machine, Random::of(1, 0), 1, 0.0, &mut tally);
        (batch, tally)
    }

    proptest! {
        #[test]
        fn what_is_noted_changes_nothing_of_what_is_seen(workload in workload()) {
            let mut machine = Machine::of(&workload).unwrap();
            let seen = a_year(&machine);
            for part in &mut machine.parts {
                part.held_by = NONE;
            }
            prop_assert_eq!(seen, a_year(&machine));
        }
    }

    #[test]
    fn replicas_in_zones_are_held_by_their_group_and_single_ones_by_nothing() {
        let times = |mtbf, mttr| {
            let (mtbf, mttr) = (Period::from_secs(mtbf), Period::from_secs(mttr));
            Some(Figures { availability: Availability::from_times(mtbf, mttr), mttr: Some(mttr), detect: None })
        };
        let group = Component {
            count: 2,
            places: vec!["a".to_owned(), "b".to_owned()],
            figures: times(9000, 1000),
            ..Component::named("group")
        };
        let one = Component { figures: times(9000, 1000), ..Component::named("one") };
        let place = |name: &str| Place { name: name.to_owned(), region: None, figures: times(99_000, 1000) };
        let needs = ["group", "one"].map(|name| Need::Component(name.to_owned()));
        let shop = Workload {
            name: "shop".to_owned(),
            criticality: None,
            objectives: Objectives::default(),
            places: vec![place("a"), place("b")],
            components: vec![group, one],
            needs: Need::All(needs.to_vec()),
            improvements: Vec::new(),
        };
        let machine = Machine::of(&shop).unwrap();
        let held = |part: &&crate::availability::simulate::machine::Part| part.held_by != NONE;
        // Two units and two zones, of which each has one unit; not the single one.
        assert_eq!(machine.parts.iter().filter(held).count(), 4);
    }
}
