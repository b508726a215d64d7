//! Minimal cut sets: the smallest sets of events that make the whole fail.
//!
//! They are taken from the decision diagram by Rauzy's recursion, as a zero-suppressed diagram (S. Minato, 1993), in which a
//! family of millions of sets that share their parts is small. What is listed are the most probable.

use std::{cmp::Ordering, collections::BinaryHeap};

use serde::Serialize;

use super::{
    diagram::Diagram,
    nodes::{FastMap, Nodes, Ref, TERMINAL, TooLarge},
    tree::EventId,
};

/// Minimal cut sets of a tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CutSets {
    /// The most probable, most probable first.
    pub sets: Vec<CutSet>,
    /// How many there are of each size, from the empty set on, up to the largest size that was looked for. Rounded above 2^53.
    pub by_order: Vec<f64>,
    /// Sets with more events than this were not looked for, and there may be some; none: there are no others.
    pub beyond: Option<usize>,
}

impl CutSets {
    /// How many there are altogether, of the sizes that were looked for. Rounded above 2^53.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.by_order.iter().sum()
    }

    /// Events that are enough by themselves.
    pub fn single_points(&self) -> impl Iterator<Item = EventId> {
        self.sets.iter().filter_map(|set| match set.events.as_slice() {
            [event] => Some(EventId(*event)),
            _ => None,
        })
    }
}

/// Events that together make the whole fail, and do not if one of them is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CutSet {
    /// Indices of the events, ascending.
    pub events: Vec<u32>,
    /// The probability that all of them have happened.
    pub probability: f64,
}

/// Cut sets of at most `largest` events; `list` of them are written out, and all that have one event.
pub(super) fn cut_sets(
    diagram: &Diagram,
    probability: &[f64],
    largest: usize,
    list: usize,
    most: usize,
) -> Result<CutSets, TooLarge> {
    let mut families = Families::new(most);
    let mut minimal = vec![Ref::ZERO; diagram.nodes.len()];
    minimal[Ref::ONE.index()] = Ref::ONE;
    let reachable = reachable(diagram);
    for (at, node) in diagram.nodes.iter().filter(|(at, _)| reachable[at.index()]) {
        // What fails anyway needs no event; what needs it must fail by it alone.
        let without = minimal[node.low.index()];
        let with = families.without(minimal[node.high.index()], without)?;
        let with = families.shortened(with, largest.saturating_sub(1))?;
        minimal[at.index()] = families.node(node.level, without, with)?;
    }
    let top = minimal[diagram.top.index()];
    let at_level: Vec<f64> = diagram.order.iter().map(|event| probability[*event as usize]).collect();
    let singles = families.singles(top)?;
    let mut sets = families.most_probable(top, &at_level, list);
    let missing = families.most_probable(singles, &at_level, usize::MAX);
    let missing: Vec<_> = missing.into_iter().filter(|single| !sets.contains(single)).collect();
    sets.extend(missing);
    for set in &mut sets {
        for event in &mut set.events {
            *event = diagram.order[*event as usize];
        }
        set.events.sort_unstable();
    }
    let by_order = families.sizes(top, largest);
    Ok(CutSets { sets, by_order, beyond: families.shortened_any.then_some(largest) })
}

fn reachable(diagram: &Diagram) -> Vec<bool> {
    let mut reachable = vec![false; diagram.nodes.len()];
    reachable[diagram.top.index()] = true;
    for (at, node) in diagram.nodes.iter().rev() {
        if reachable[at.index()] {
            reachable[node.low.index()] = true;
            reachable[node.high.index()] = true;
        }
    }
    reachable
}

/// Families of sets.
struct Families {
    nodes: Nodes,
    /// Size of the smallest and of the largest set of each family.
    span: Vec<(usize, usize)>,
    differences: FastMap<(Ref, Ref), Ref>,
    shortened: FastMap<(Ref, usize), Ref>,
    /// Whether a set was ever left out for its size.
    shortened_any: bool,
}

impl Families {
    fn new(most: usize) -> Self {
        Self {
            nodes: Nodes::new(most),
            // Of no set the smallest is larger than any.
            span: vec![(usize::MAX, 0), (0, 0)],
            differences: FastMap::default(),
            shortened: FastMap::default(),
            shortened_any: false,
        }
    }

    fn node(&mut self, level: u32, low: Ref, high: Ref) -> Result<Ref, TooLarge> {
        if high == Ref::ZERO {
            return Ok(low);
        }
        let made = self.nodes.find_or_make(level, low, high)?;
        if made.index() == self.span.len() {
            let ((low_least, low_most), (high_least, high_most)) = (self.span[low.index()], self.span[high.index()]);
            self.span.push((low_least.min(high_least.saturating_add(1)), low_most.max(high_most + 1)));
        }
        Ok(made)
    }

    /// The sets of `a` that include no set of `b`.
    fn without(&mut self, a: Ref, b: Ref) -> Result<Ref, TooLarge> {
        // A set cannot include a larger one, and all include the empty one.
        if a == Ref::ZERO || b == Ref::ZERO || self.span[b.index()].0 > self.span[a.index()].1 {
            return Ok(a);
        }
        if b == Ref::ONE || a == b {
            return Ok(Ref::ZERO);
        }
        if let Some(known) = self.differences.get(&(a, b)) {
            return Ok(*known);
        }
        let (one, other) = (self.nodes.get(a), self.nodes.get(b));
        let made = match one.level.cmp(&other.level) {
            Ordering::Less => {
                let low = self.without(one.low, b)?;
                let high = self.without(one.high, b)?;
                self.node(one.level, low, high)?
            }
            // No set of `a` has that event.
            Ordering::Greater => self.without(a, other.low)?,
            Ordering::Equal => {
                let low = self.without(one.low, other.low)?;
                let high = self.without(one.high, other.high)?;
                let high = self.without(high, other.low)?;
                self.node(one.level, low, high)?
            }
        };
        self.differences.insert((a, b), made);
        Ok(made)
    }

    /// The sets of `a` that have at most `largest` events.
    fn shortened(&mut self, a: Ref, largest: usize) -> Result<Ref, TooLarge> {
        let (least, most) = self.span[a.index()];
        if most <= largest {
            return Ok(a);
        }
        self.shortened_any = true;
        if least > largest {
            return Ok(Ref::ZERO);
        }
        if let Some(known) = self.shortened.get(&(a, largest)) {
            return Ok(*known);
        }
        let node = self.nodes.get(a);
        let low = self.shortened(node.low, largest)?;
        let high = if largest == 0 { Ref::ZERO } else { self.shortened(node.high, largest - 1)? };
        let made = self.node(node.level, low, high)?;
        self.shortened.insert((a, largest), made);
        Ok(made)
    }

    /// The sets that have one event. Levels are walked from the top, along the sets that have none of those before.
    fn singles(&mut self, top: Ref) -> Result<Ref, TooLarge> {
        let mut levels = Vec::new();
        let mut at = top;
        while !at.is_terminal() {
            let node = self.nodes.get(at);
            // The empty set within `high`, which is the last one without any event.
            let mut last = node.high;
            while !last.is_terminal() {
                last = self.nodes.get(last).low;
            }
            if last == Ref::ONE {
                levels.push(node.level);
            }
            at = node.low;
        }
        let mut family = Ref::ZERO;
        for level in levels.into_iter().rev() {
            family = self.node(level, family, Ref::ONE)?;
        }
        Ok(family)
    }

    /// How many sets there are of each size up to `largest`.
    fn sizes(&self, top: Ref, largest: usize) -> Vec<f64> {
        let mut sizes: Vec<Vec<f64>> = vec![Vec::new(), vec![1.0]];
        sizes.reserve(self.nodes.len());
        for (_, node) in self.nodes.iter() {
            let (low, high) = (&sizes[node.low.index()], &sizes[node.high.index()]);
            let mut own = vec![0.0; low.len().max(high.len() + 1)];
            for (size, count) in low.iter().enumerate() {
                own[size] += count;
            }
            for (size, count) in high.iter().enumerate() {
                own[size + 1] += count;
            }
            own.truncate(largest + 1);
            sizes.push(own);
        }
        sizes.swap_remove(top.index())
    }

    /// The `list` most probable sets, as levels, most probable first: a best-first search, for which the most probable
    /// completion from each node on is known.
    fn most_probable(&self, top: Ref, probability: &[f64], list: usize) -> Vec<CutSet> {
        let mut best = vec![0.0_f64; self.nodes.len()];
        best[Ref::ONE.index()] = 1.0;
        for (at, node) in self.nodes.iter() {
            let with = probability[node.level as usize] * best[node.high.index()];
            best[at.index()] = with.max(best[node.low.index()]);
        }
        // Sets under construction share their beginnings: a chain of (level, rest of the chain).
        let mut chains: Vec<(u32, usize)> = vec![(TERMINAL, 0)];
        let mut heap = BinaryHeap::new();
        let mut sets = Vec::new();
        if top != Ref::ZERO {
            heap.push(Partial { bound: best[top.index()], so_far: 1.0, at: top, chain: 0 });
        }
        while sets.len() < list
            && let Some(next) = heap.pop()
        {
            if next.at == Ref::ONE {
                sets.push(CutSet { events: chain(&chains, next.chain), probability: next.so_far });
                continue;
            }
            let node = self.nodes.get(next.at);
            if node.low != Ref::ZERO {
                heap.push(Partial { bound: next.so_far * best[node.low.index()], at: node.low, ..next });
            }
            let so_far = next.so_far * probability[node.level as usize];
            chains.push((node.level, next.chain));
            let bound = so_far * best[node.high.index()];
            heap.push(Partial { bound, so_far, at: node.high, chain: chains.len() - 1 });
        }
        sets
    }
}

fn chain(chains: &[(u32, usize)], mut at: usize) -> Vec<u32> {
    let mut levels = Vec::new();
    while at != 0 {
        let (level, rest) = chains[at];
        levels.push(level);
        at = rest;
    }
    levels
}

/// A set under construction.
#[derive(Clone, Copy)]
struct Partial {
    /// The probability of the most probable set that it can become.
    bound: f64,
    so_far: f64,
    at: Ref,
    chain: usize,
}

impl Ord for Partial {
    fn cmp(&self, other: &Self) -> Ordering {
        // Finished ones first among equals, so that sets with equal probabilities do not pile up.
        self.bound
            .total_cmp(&other.bound)
            .then_with(|| other.at.cmp(&self.at))
            .then_with(|| other.chain.cmp(&self.chain))
    }
}

impl PartialOrd for Partial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Partial {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Partial {}
