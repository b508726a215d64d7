//! Fault trees: which failures, together, make the whole fail.
//!
//! A tree is about *failure*: a series of parts is an [`any`](FaultTree::any) gate (one failure is enough), parts that
//! stand in for each other are an [`all`](FaultTree::all) gate. Despite the name it is a graph without circles: an event or a
//! gate may be used many times, which is how shared causes are said.

/// Something that can fail, independently of all other events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub(super) u32);

impl EventId {
    /// Its number: events are counted from 0 in the order in which they were added.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a gate is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// An event.
    Event(EventId),
    /// A gate that was added before.
    Gate(GateId),
}

impl From<EventId> for Input {
    fn from(event: EventId) -> Self {
        Self::Event(event)
    }
}

/// A gate of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GateId(pub(super) u32);

impl GateId {
    /// Its number: gates are counted from 0 in the order in which they were added.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<GateId> for Input {
    fn from(gate: GateId) -> Self {
        Self::Gate(gate)
    }
}

/// A gate: fails when so many of its inputs fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gate {
    /// From 0 (fails always) to one more than there are inputs (fails never).
    pub(super) fails_at: u32,
    pub(super) inputs: Vec<Input>,
}

/// A coherent fault tree: no event can be cured by another failure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultTree {
    /// Probability of each event.
    pub(super) events: Vec<f64>,
    pub(super) gates: Vec<Gate>,
}

impl FaultTree {
    /// A tree without events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event that has happened with this probability; what lies outside 0 to 1 is brought inside.
    ///
    /// # Panics
    /// When there are more than four billion events.
    pub fn event(&mut self, probability: f64) -> EventId {
        let id = EventId(u32::try_from(self.events.len()).expect("events are counted in 32 bits"));
        self.events.push(probability.clamp(0.0, 1.0));
        id
    }

    /// Adds a gate that fails when any of its inputs fails: a series. Without inputs it never fails.
    pub fn any(&mut self, inputs: impl IntoIterator<Item = Input>) -> GateId {
        self.at_least(1, inputs)
    }

    /// Adds a gate that fails when all of its inputs fail: redundancy. Without inputs it always fails.
    pub fn all(&mut self, inputs: impl IntoIterator<Item = Input>) -> GateId {
        let inputs: Vec<Input> = inputs.into_iter().collect();
        self.add(inputs.len(), inputs)
    }

    /// Adds a gate that fails when at least `fails_at` of its inputs fail. Something that needs k of n fails at n - k + 1.
    pub fn at_least(&mut self, fails_at: u32, inputs: impl IntoIterator<Item = Input>) -> GateId {
        self.add(fails_at as usize, inputs.into_iter().collect())
    }

    fn add(&mut self, fails_at: usize, inputs: Vec<Input>) -> GateId {
        let id = u32::try_from(self.gates.len()).expect("gates are counted in 32 bits");
        let most = u32::try_from(inputs.len()).expect("inputs are counted in 32 bits").saturating_add(1);
        let known = |input: &Input| match input {
            Input::Event(event) => event.index() < self.events.len(),
            Input::Gate(gate) => gate.0 < id,
        };
        assert!(inputs.iter().all(known), "an input belongs to another tree");
        self.gates.push(Gate { fails_at: u32::try_from(fails_at).map_or(most, |at| at.min(most)), inputs });
        GateId(id)
    }

    /// How many events there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// All events.
    pub fn events(&self) -> impl Iterator<Item = EventId> + use<> {
        // Events are counted in 32 bits.
        (0..u32::try_from(self.events.len()).unwrap_or(u32::MAX)).map(EventId)
    }

    /// The probability of an event.
    #[must_use]
    pub fn probability(&self, event: EventId) -> f64 {
        self.events[event.index()]
    }

    /// With how many failures of its inputs a gate fails, and the inputs.
    ///
    /// # Panics
    /// When the gate belongs to another tree, which has more.
    #[must_use]
    pub fn gate(&self, gate: GateId) -> (u32, &[Input]) {
        let gate = &self.gates[gate.index()];
        (gate.fails_at, &gate.inputs)
    }

    /// The same tree with another probability of one event.
    #[must_use]
    pub fn with(mut self, event: EventId, probability: f64) -> Self {
        self.events[event.index()] = probability.clamp(0.0, 1.0);
        self
    }

    /// Whether `top` fails when exactly these events have happened; `happened` answers for each event's index.
    pub fn fails(&self, top: GateId, happened: impl Fn(usize) -> bool) -> bool {
        let mut failed: Vec<bool> = Vec::with_capacity(top.0 as usize + 1);
        for gate in &self.gates[..=top.0 as usize] {
            let count = gate.inputs.iter().filter(|input| match input {
                Input::Event(event) => happened(event.index()),
                Input::Gate(gate) => failed[gate.0 as usize],
            });
            failed.push(count.count() >= gate.fails_at as usize);
        }
        failed.last().copied().unwrap_or_default()
    }
}
