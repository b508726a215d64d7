//! How available a design is, from its components and how they depend on each other.
//!
//! ```text
//!   Workload ──structure──▶ FaultTree ──flat, order──▶ Diagram ──▶ probability, importance ──▶ Assessment
//!      │                      ▲                     └──────▶ CutSets ──▶ single points ───────▲
//!      │                      └── markov: groups that wait for repair                        │
//!      └── promises: what contradicts itself ────────────────────────────────────────────────┘
//! ```
//!
//! Probabilities are exact: nothing is assumed to be rare, and what several parts share is counted once.

mod assessment;
mod building;
mod cut_sets;
mod diagram;
pub mod downtime;
mod flat;
mod levers;
pub mod markov;
mod nodes;
mod order;
pub mod promises;
pub mod simulate;
mod structure;
mod takeover;
mod tree;

use serde::Serialize;

pub use self::{
    assessment::{Assessment, CausesOfFailure, Contribution, Expected, Outages, Unable, Verdict, assess, availability},
    cut_sets::{CutSet, CutSets},
    levers::{Change, Gain, Lever, changed},
    nodes::TooLarge,
    promises::Doubt,
    structure::{Cause, Structure, Unsound, structure},
    tree::{EventId, FaultTree, GateId, Input},
};
use self::{diagram::Diagram, nodes::with_deep_stack};

/// How far an analysis goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most nodes of a diagram, and of the diagram of its cut sets; a node takes about 50 bytes.
    pub nodes: usize,
    /// Most events of a cut set; at least 1.
    pub order: usize,
    /// Most cut sets that are listed; single points of failure are always listed.
    pub list: usize,
}

impl Default for Limits {
    /// Half a gigabyte at worst; three failures at a time, beyond which the probabilities that a design rests on are guesses;
    /// as many sets as somebody reads.
    fn default() -> Self {
        Self { nodes: 10_000_000, order: 3, list: 100 }
    }
}

/// What a fault tree amounts to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// The probability of failure.
    pub probability: f64,
    /// How important each event is, by its index.
    pub importance: Vec<Importance>,
    /// The smallest sets of events that are enough.
    pub cut_sets: CutSets,
    /// Nodes of the decision diagram, those of intermediate results included.
    pub nodes: usize,
}

/// How important an event is. With `P` the probability of failure, `p` that of the event, and `P(1)`, `P(0)` that of failure
/// when the event has happened and when it has not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Importance {
    /// Birnbaum: `P(1) - P(0)`. How much failure depends on it.
    pub birnbaum: f64,
    /// Criticality: `(P - P(0)) / P`. The share of the failures that would go if it never happened.
    pub criticality: f64,
    /// Fussell-Vesely, as SCRAM and the Open-PSA format define it: `p P(1) / P`. The share of the failures in which it has
    /// happened.
    pub fussell_vesely: f64,
    /// Risk achievement worth: `P(1) / P`. How many times more probable failure is while it lasts.
    pub achievement_worth: f64,
    /// Risk reduction worth: `P / P(0)`. How many times less probable failure would be without it; infinite where it is in
    /// every cut set.
    pub reduction_worth: f64,
}

impl Importance {
    /// Of an event of probability `p` in a tree that fails with probability `whole`.
    fn new(birnbaum: f64, p: f64, whole: f64) -> Self {
        let share = |of: f64| if whole > 0.0 { of / whole } else { 0.0 };
        let happened = whole + (1.0 - p) * birnbaum;
        // P - p (P(1) - P(0)), below which rounding may not take it.
        let without = (whole - p * birnbaum).max(0.0);
        Self {
            birnbaum,
            criticality: share(p * birnbaum),
            fussell_vesely: share(p * happened),
            achievement_worth: if whole > 0.0 { happened / whole } else { 1.0 },
            reduction_worth: if whole > 0.0 { whole / without } else { 1.0 },
        }
    }
}

/// The probability that `top` fails, and nothing else.
///
/// # Errors
/// When the events are so entangled that the diagram outgrows `limits`.
pub fn probability(tree: &FaultTree, top: GateId, limits: &Limits) -> Result<f64, TooLarge> {
    with_deep_stack(tree.len(), || {
        let diagram = Diagram::of(tree, top, limits.nodes)?;
        Ok(diagram.failing(&tree.events)[diagram.top.index()])
    })
}

/// Everything that can be told of the failure of `top`.
///
/// # Errors
/// When the events are so entangled that a diagram outgrows `limits`.
pub fn analyse(tree: &FaultTree, top: GateId, limits: &Limits) -> Result<Analysis, TooLarge> {
    with_deep_stack(tree.len(), || {
        let diagram = Diagram::of(tree, top, limits.nodes)?;
        let failing = diagram.failing(&tree.events);
        let probability = failing[diagram.top.index()];
        let birnbaum = diagram.birnbaum(&tree.events, &failing);
        let importance = birnbaum.iter().zip(&tree.events);
        Ok(Analysis {
            probability,
            importance: importance.map(|(birnbaum, p)| Importance::new(*birnbaum, *p, probability)).collect(),
            cut_sets: cut_sets::cut_sets(&diagram, &tree.events, limits.order.max(1), limits.list, limits.nodes)?,
            nodes: diagram.nodes.len(),
        })
    })
}

#[cfg(test)]
mod tests;
