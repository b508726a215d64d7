//! A workload made ready to be followed through time.

use model::workload::Workload;

use super::{alias::Alias, notes::Note};
use crate::availability::{
    flat::flattened,
    structure::{Cause, Queue, Structure, Takeover, Unsound, apart},
    tree::{FaultTree, GateId, Input},
};

/// Stands for no number where most places have none.
pub(super) const NONE: u32 = u32::MAX;

/// Why a workload cannot be followed through time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSimulated {
    /// It is not described soundly.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// How often something fails, and for how long, is not known.
    #[error(
        "how long {} fails for is not known, only the share of time; give `mttr` beside `availability`, or `mtbf` and `mttr`",
        .0.join(", ")
    )]
    NoTimes(Vec<String>),
    /// There is nothing to follow.
    #[error("there are no components that could fail")]
    Nothing,
}

/// What never changes while it runs; threads share it.
#[derive(Debug)]
pub(super) struct Machine {
    /// What each event is.
    pub(super) causes: Vec<Cause>,
    /// How many failures there would be per second if everything that failed were restored at once.
    pub(super) rate: f64,
    /// Which event a failure is.
    pub(super) which: Alias,
    /// Events that happen at random.
    pub(super) random: Vec<Random>,
    /// Of every event, how long it lasts, and the queue that it waits in.
    pub(super) parts: Vec<Part>,
    pub(super) planned: Vec<Planned>,
    /// Events that have happened once and for all.
    pub(super) always: Vec<u32>,
    /// Of every queue, how many are repaired at a time.
    pub(super) crews: Vec<u32>,
    pub(super) takeovers: Vec<Takeover>,
    pub(super) gates: Gates,
    /// Seconds to run before what is seen counts.
    pub(super) warm_up: f64,
    /// Of what nothing is known, and what is taken for perfect.
    pub(super) unknown: Vec<String>,
}

/// An event that happens at random.
#[derive(Debug, Clone, Copy)]
pub(super) struct Random {
    pub(super) event: u32,
    /// The share of time it lasts, if nothing waits.
    pub(super) share: f64,
}

/// How an event passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// How long it lasts on average, in seconds, without waiting.
    pub(super) restore: f64,
    /// The queue that it waits in, or [`NONE`].
    pub(super) queue: u32,
    /// The gate that may note it, or [`NONE`].
    pub(super) held_by: u32,
}

/// Downtime that comes at its times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) event: u32,
    /// From start to start, in seconds.
    pub(super) every: f64,
    /// In seconds; less than `every`.
    pub(super) takes: f64,
}

/// The fault tree upside down: which gates each event and each gate goes into.
#[derive(Debug)]
pub(super) struct Gates {
    /// How many events there are; a gate has the number of its place in the tree behind them.
    events: u32,
    /// Of every event and gate, where its gates begin in `above`; one more, where the last one's end.
    starts: Vec<u32>,
    above: Vec<u32>,
    /// Of every gate, what it is like when no event has happened.
    pub(super) initially: Vec<Count>,
    /// Of every gate, which unit it is the failure of: its place in `units`, or [`NONE`].
    pub(super) unit: Vec<u32>,
    /// A takeover, and its unit.
    pub(super) units: Vec<(u32, u32)>,
    pub(super) top: u32,
    pub(super) full: Option<u32>,
}

/// How many inputs of a gate have failed, and how many are too many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) failed: u32,
    pub(super) fails_at: u32,
    /// A failure that is not among those.
    pub(super) note: Note,
}

impl Count {
    pub(super) const fn fails(self) -> bool {
        self.failed >= self.fails_at
    }
}

impl Machine {
    /// Of a workload.
    pub(super) fn of(workload: &Workload) -> Result<Self, NotSimulated> {
        let mut apart = apart(workload)?;
        let Structure { tree, top, full, causes, frequencies, unknown } = apart.structure;
        let (tree, top, full) = flat(&tree, top, full, &mut apart.takeovers);
        let used = used(&tree, std::iter::once(top).chain(full).collect());
        let mut machine = Self {
            rate: 0.0,
            which: Alias::new(&[]),
            random: Vec::new(),
            parts: vec![Part { restore: 0.0, queue: NONE, held_by: NONE }; tree.len()],
            planned: Vec::new(),
            always: Vec::new(),
            crews: Vec::new(),
            gates: Gates::of(&tree, top, full, &apart.takeovers),
            takeovers: apart.takeovers,
            warm_up: 0.0,
            unknown,
            causes,
        };
        let mut rates = Vec::new();
        let mut without_times: Vec<String> = Vec::new();
        for (event, share) in (0..).zip(&tree.events).filter(|(event, share)| **share > 0.0 && used[*event as usize]) {
            let at = event as usize;
            match frequencies[at] {
                _ if *share >= 1.0 => machine.always.push(event),
                None => {
                    let name = machine.causes[at].name();
                    if !without_times.iter().any(|known| known == name) {
                        without_times.push(name.to_owned());
                    }
                }
                Some(often) if matches!(machine.causes[at], Cause::Planned(_)) => {
                    machine.planned.push(Planned { event, every: 1.0 / often, takes: share / often });
                }
                Some(often) => {
                    machine.parts[at].restore = share / often;
                    machine.random.push(Random { event, share: *share });
                    rates.push((event, often / (1.0 - share)));
                }
            }
        }
        if !without_times.is_empty() {
            return Err(NotSimulated::NoTimes(without_times));
        }
        if tree.is_empty() {
            return Err(NotSimulated::Nothing);
        }
        machine.rate = rates.iter().map(|(_, rate)| rate).sum();
        machine.which = Alias::new(&rates);
        for queue in &apart.queues {
            machine.queue(queue);
        }
        machine.hold();
        machine.warm_up = machine.warm_up.max(machine.longest_takeover());
        Ok(machine)
    }

    fn queue(&mut self, queue: &Queue) {
        let number = u32::try_from(self.crews.len()).unwrap_or(NONE);
        self.crews.push(queue.crews);
        let mut work = 0.0;
        for unit in &queue.units {
            self.parts[unit.index()].queue = number;
            work += self.parts[unit.index()].restore;
        }
        // Batches begin with as many failures as if nobody waited. Ten times what it takes one crew to repair all units, that
        // is forgotten.
        self.warm_up = self.warm_up.max(10.0 * work);
    }

    /// Which gates may note which events.
    fn hold(&mut self) {
        for (event, part) in (0..).zip(&mut self.parts) {
            // What waits for a crew is restored at no time that is known when it fails.
            if part.queue == NONE {
                part.held_by = self.gates.holding(event).unwrap_or(NONE);
            }
        }
    }

    /// Batches begin without a takeover under way; after ten times the longest that is forgotten.
    fn longest_takeover(&self) -> f64 {
        let longest = self.parts.iter().map(|part| part.restore).fold(0.0, f64::max);
        let of =
            |takeover: &Takeover| if takeover.coverage < 1.0 { longest.max(takeover.delay) } else { takeover.delay };
        10.0 * self.takeovers.iter().map(of).fold(0.0, f64::max)
    }
}

/// The tree with as few gates as will do: what a failure has to climb. Units that are taken over from keep their gates.
fn flat(
    tree: &FaultTree,
    top: GateId,
    full: Option<GateId>,
    takeovers: &mut [Takeover],
) -> (FaultTree, GateId, Option<GateId>) {
    let units = || takeovers.iter().flat_map(|takeover| takeover.units.iter().copied());
    let kept: Vec<GateId> = std::iter::once(top).chain(full).chain(units()).collect();
    let (tree, kept) = flattened(tree, &kept);
    let mut places = kept.into_iter();
    let top = places.next().unwrap_or(top);
    let full = full.and_then(|_| places.next());
    for (unit, place) in takeovers.iter_mut().flat_map(|takeover| &mut takeover.units).zip(places) {
        *unit = place;
    }
    (tree, top, full)
}

/// Which events these gates are made of.
fn used(tree: &FaultTree, mut open: Vec<GateId>) -> Vec<bool> {
    let mut used = vec![false; tree.len()];
    let mut seen = vec![false; tree.gates.len()];
    while let Some(gate) = open.pop() {
        if std::mem::replace(&mut seen[gate.0 as usize], true) {
            continue;
        }
        for input in &tree.gates[gate.0 as usize].inputs {
            match input {
                Input::Event(event) => used[event.index()] = true,
                Input::Gate(gate) => open.push(*gate),
            }
        }
    }
    used
}

impl Gates {
    fn of(tree: &FaultTree, top: GateId, full: Option<GateId>, takeovers: &[Takeover]) -> Self {
        let events = u32::try_from(tree.len()).unwrap_or(NONE);
        let place = |input: &Input| match input {
            Input::Event(event) => event.index(),
            Input::Gate(gate) => tree.len() + gate.0 as usize,
        };
        let mut starts = vec![0_u32; tree.len() + tree.gates.len() + 1];
        for input in tree.gates.iter().flat_map(|gate| &gate.inputs) {
            starts[place(input) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut above = vec![0; starts.last().map_or(0, |end| *end as usize)];
        let mut next = starts.clone();
        let mut initially: Vec<Count> = Vec::with_capacity(tree.gates.len());
        for (number, gate) in (0..).zip(&tree.gates) {
            let mut failed = 0;
            for input in &gate.inputs {
                let slot = &mut next[place(input)];
                above[*slot as usize] = number;
                *slot += 1;
                failed += u32::from(matches!(input, Input::Gate(gate) if initially[gate.0 as usize].fails()));
            }
            initially.push(Count { failed, fails_at: gate.fails_at, note: Note::NONE });
        }
        let (mut unit, mut units) = (vec![NONE; tree.gates.len()], Vec::new());
        for (takeover, of) in (0..).zip(takeovers) {
            for (number, gate) in (0..).zip(&of.units) {
                unit[gate.0 as usize] = u32::try_from(units.len()).unwrap_or(NONE);
                units.push((takeover, number));
            }
        }
        Self { events, starts, above, initially, unit, units, top: top.0, full: full.map(|full| full.0) }
    }

    /// The gates that an event goes into.
    pub(super) fn above_event(&self, event: u32) -> &[u32] {
        self.above_place(event as usize)
    }

    /// The gates that a gate goes into.
    pub(super) fn above_gate(&self, gate: u32) -> &[u32] {
        self.above_place((self.events + gate) as usize)
    }

    /// The first gate above an event that takes more than one failure, if nothing else can tell of the event on the way there.
    fn holding(&self, event: u32) -> Option<u32> {
        let mut place = event;
        loop {
            let [gate] = *self.above_place(place as usize) else { return None };
            if self.initially[gate as usize].fails_at > 1 {
                return Some(gate);
            }
            if gate == self.top || Some(gate) == self.full || self.unit[gate as usize] != NONE {
                return None;
            }
            place = self.events + gate;
        }
    }

    fn above_place(&self, place: usize) -> &[u32] {
        &self.above[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}
