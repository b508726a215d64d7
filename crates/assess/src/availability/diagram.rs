//! Failure as a reduced ordered binary decision diagram: exact probabilities, whatever is shared.
//!
//! R. E. Bryant, "Graph-based algorithms for Boolean function manipulation", IEEE Transactions on Computers C-35 (1986);
//! for fault trees A. Rauzy, "New algorithms for fault trees analysis", Reliability Engineering and System Safety 40 (1993).

use super::{
    flat::flattened,
    nodes::{Nodes, Ref, TooLarge},
    order::order,
    tree::{FaultTree, GateId, Input},
};

/// The failure of a gate as a diagram.
#[derive(Debug)]
pub(super) struct Diagram {
    pub(super) nodes: Nodes,
    pub(super) top: Ref,
    /// The event at each level.
    pub(super) order: Vec<u32>,
}

impl Diagram {
    /// The diagram of `top`.
    ///
    /// # Errors
    /// When it takes more than `most` nodes, those of intermediate results included.
    pub(super) fn of(tree: &FaultTree, top: GateId, most: usize) -> Result<Self, TooLarge> {
        let (tree, tops) = flattened(tree, &[top]);
        let top = tops[0];
        let order = order(&tree, top);
        let mut level_of = vec![None; tree.len()];
        for (level, event) in (0..).zip(&order) {
            level_of[*event as usize] = Some(level);
        }
        let mut making = Making { nodes: Nodes::new(most), cache: Cache::new() };
        // A gate comes after its inputs.
        let mut of_gate: Vec<Part> = Vec::with_capacity(tree.gates.len());
        for gate in &tree.gates {
            let mut inputs = Vec::with_capacity(gate.inputs.len());
            for input in &gate.inputs {
                inputs.push(match input {
                    Input::Event(event) => match level_of[event.index()] {
                        Some(level) => Part { deepest: level, at: making.node(level, Ref::ZERO, Ref::ONE)? },
                        None => Part { deepest: 0, at: Ref::ZERO },
                    },
                    Input::Gate(gate) => of_gate[gate.index()],
                });
            }
            let deepest = inputs.iter().map(|part| part.deepest).max().unwrap_or(0);
            of_gate.push(Part { deepest, at: making.at_least(gate.fails_at, inputs)? });
        }
        let top = of_gate[top.index()].at;
        Ok(Self { nodes: making.nodes, top, order })
    }

    /// The probability of failure from each node on.
    pub(super) fn failing(&self, probability: &[f64]) -> Vec<f64> {
        let mut failing = vec![0.0; self.nodes.len()];
        failing[Ref::ONE.index()] = 1.0;
        for (at, node) in self.nodes.iter() {
            let happens = self.at_level(probability, node.level);
            failing[at.index()] = happens * failing[node.high.index()] + (1.0 - happens) * failing[node.low.index()];
        }
        failing
    }

    /// For each event, how much more probable failure is when it has happened than when it has not: Birnbaum's measure.
    pub(super) fn birnbaum(&self, probability: &[f64], failing: &[f64]) -> Vec<f64> {
        let mut reached = vec![0.0; self.nodes.len()];
        let mut birnbaum = vec![0.0; probability.len()];
        reached[self.top.index()] = 1.0;
        for (at, node) in self.nodes.iter().rev().skip_while(|(at, _)| *at > self.top) {
            let here = reached[at.index()];
            if here <= 0.0 {
                continue;
            }
            let happens = self.at_level(probability, node.level);
            reached[node.high.index()] += here * happens;
            reached[node.low.index()] += here * (1.0 - happens);
            let event = self.order[node.level as usize] as usize;
            birnbaum[event] += here * (failing[node.high.index()] - failing[node.low.index()]);
        }
        birnbaum
    }

    fn at_level(&self, of_event: &[f64], level: u32) -> f64 {
        of_event[self.order[level as usize] as usize]
    }
}

/// What a gate or an event is made into.
#[derive(Debug, Clone, Copy)]
struct Part {
    at: Ref,
    /// The last level at which it asks for anything.
    deepest: u32,
}

struct Making {
    nodes: Nodes,
    cache: Cache,
}

impl Making {
    fn node(&mut self, level: u32, low: Ref, high: Ref) -> Result<Ref, TooLarge> {
        if low == high { Ok(low) } else { self.nodes.find_or_make(level, low, high) }
    }

    /// True when at least so many of the inputs are.
    fn at_least(&mut self, count: u32, mut inputs: Vec<Part>) -> Result<Ref, TooLarge> {
        let count = count as usize;
        if count > inputs.len() {
            return Ok(Ref::ZERO);
        }
        // From the bottom of the order upwards each step only puts something on top of what there is. Where something ends
        // counts, not where it begins: groups in the same zones all begin with these, and each ends with its own units.
        inputs.sort_by_key(|input| (input.deepest, input.at));
        // `enough[j]`: at least j of the inputs after the current one.
        let mut enough = vec![Ref::ZERO; count + 1];
        enough[0] = Ref::ONE;
        for (left, input) in inputs.iter().enumerate().rev() {
            // With `left` inputs to come, fewer than `count - left` cannot become enough any more.
            for j in (count.saturating_sub(left).max(1)..=count).rev() {
                enough[j] = self.choose(input.at, enough[j - 1], enough[j])?;
            }
        }
        Ok(enough[count])
    }

    /// If `f` then `g`, else `h`.
    fn choose(&mut self, f: Ref, g: Ref, h: Ref) -> Result<Ref, TooLarge> {
        // Equal arguments and constants, and of pairs that are the same the one with the smaller number first.
        let (f, g, h) = match (f, if g == f { Ref::ONE } else { g }, if h == f { Ref::ZERO } else { h }) {
            (Ref::ONE, g, _) => return Ok(g),
            (Ref::ZERO, _, h) => return Ok(h),
            (f, Ref::ONE, Ref::ZERO) => return Ok(f),
            (_, g, h) if g == h => return Ok(g),
            (f, Ref::ONE, h) if h < f => (h, Ref::ONE, f),
            (f, g, Ref::ZERO) if g < f => (g, f, Ref::ZERO),
            triple => triple,
        };
        if let Some(known) = self.cache.get(f, g, h) {
            return Ok(known);
        }
        let level = self.nodes.level(f).min(self.nodes.level(g)).min(self.nodes.level(h));
        let parts = |at: Ref| {
            let node = self.nodes.get(at);
            if node.level == level { (node.low, node.high) } else { (at, at) }
        };
        let ((f0, f1), (g0, g1), (h0, h1)) = (parts(f), parts(g), parts(h));
        let low = self.choose(f0, g0, h0)?;
        let high = self.choose(f1, g1, h1)?;
        let made = self.node(level, low, high)?;
        self.cache.put(f, g, h, made, self.nodes.len());
        Ok(made)
    }
}

/// What was computed before, as far as it has not been overwritten: forgetting costs time, never exactness.
struct Cache {
    entries: Vec<(Ref, Ref, Ref, Ref)>,
}

/// No result is computed for a terminal as condition, so this entry is never asked for.
const EMPTY: (Ref, Ref, Ref, Ref) = (Ref::ZERO, Ref::ZERO, Ref::ZERO, Ref::ZERO);

impl Cache {
    fn new() -> Self {
        // Small, since most diagrams are; it grows with the diagram.
        Self { entries: vec![EMPTY; 1 << 10] }
    }

    fn slot(&self, f: Ref, g: Ref, h: Ref) -> usize {
        let mix = |a: usize, b: usize| (a.rotate_left(5) ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15_usize);
        let hash = mix(mix(mix(0, f.index()), g.index()), h.index());
        (hash >> 20) & (self.entries.len() - 1)
    }

    fn get(&self, f: Ref, g: Ref, h: Ref) -> Option<Ref> {
        let entry = self.entries[self.slot(f, g, h)];
        (entry.0 == f && entry.1 == g && entry.2 == h).then_some(entry.3)
    }

    fn put(&mut self, f: Ref, g: Ref, h: Ref, made: Ref, nodes: usize) {
        if nodes > self.entries.len() {
            let old = std::mem::take(&mut self.entries);
            self.entries = vec![EMPTY; old.len() * 4];
            for (f, g, h, made) in old.into_iter().filter(|entry| *entry != EMPTY) {
                let slot = self.slot(f, g, h);
                self.entries[slot] = (f, g, h, made);
            }
        }
        let slot = self.slot(f, g, h);
        self.entries[slot] = (f, g, h, made);
    }
}
