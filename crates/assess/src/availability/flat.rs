//! A fault tree made flat: what any of its parts is enough for, and what all of them are needed for, said once.
//!
//! A service fails when any of its parts does, or any service that it needs, whose parts are as many again. Taken gate by gate that is
//! a diagram for every service of nearly everything below it, quadratic in all. As one gate of all those parts it is one diagram.

use super::tree::{FaultTree, Gate, GateId, Input};

/// The same tree of the same events, without the gates that only hand on what others of their kind are told, and without
/// those that none of `tops` needs; and where these are in it.
pub(super) fn flattened(tree: &FaultTree, tops: &[GateId]) -> (FaultTree, Vec<GateId>) {
    let count = tree.gates.len();
    let mut merging = Merging { tree, seen_events: vec![0; tree.len()], seen_gates: vec![0; count], stamp: 0 };
    let mut merged: Vec<Option<Gate>> = vec![None; count];
    let mut needed = vec![false; count];
    tops.iter().for_each(|top| needed[top.index()] = true);
    // A gate's number is larger than those of its inputs, so all that need it are known when it is reached.
    for gate in (0..count).rev() {
        if !needed[gate] {
            continue;
        }
        let flat = merging.merged(&tree.gates[gate]);
        for input in &flat.inputs {
            if let Input::Gate(gate) = input {
                needed[gate.index()] = true;
            }
        }
        merged[gate] = Some(flat);
    }
    let mut flat = FaultTree { events: tree.events.clone(), gates: Vec::new() };
    // Those that are left out are never asked for.
    let mut places = vec![GateId(0); count];
    for (gate, merged) in merged.into_iter().enumerate() {
        let Some(Gate { fails_at, inputs }) = merged else { continue };
        let inputs = inputs.into_iter().map(|input| match input {
            Input::Event(_) => input,
            // A gate comes after its inputs, so they have their places.
            Input::Gate(gate) => places[gate.index()].into(),
        });
        places[gate] = flat.at_least(fails_at, inputs);
    }
    let tops = tops.iter().map(|top| places[top.index()]).collect();
    (flat, tops)
}

struct Merging<'t> {
    tree: &'t FaultTree,
    /// By which gate something was met last, as a number that each gate has for itself.
    seen_events: Vec<u32>,
    seen_gates: Vec<u32>,
    stamp: u32,
}

impl Merging<'_> {
    /// A gate with the inputs of those of its kind below it in their place, each once.
    fn merged(&mut self, gate: &Gate) -> Gate {
        let is_of_kind: fn(&Gate) -> bool = if is_any(gate) {
            is_any
        } else if is_all(gate) {
            is_all
        } else {
            // In a vote, what is met twice counts twice.
            return gate.clone();
        };
        self.stamp += 1;
        let mut inputs = Vec::with_capacity(gate.inputs.len());
        let mut open: Vec<Input> = gate.inputs.iter().rev().copied().collect();
        while let Some(input) = open.pop() {
            let seen = match input {
                Input::Event(event) => &mut self.seen_events[event.index()],
                Input::Gate(gate) => &mut self.seen_gates[gate.index()],
            };
            if std::mem::replace(seen, self.stamp) == self.stamp {
                continue;
            }
            match input {
                Input::Gate(gate) if is_of_kind(&self.tree.gates[gate.index()]) => {
                    open.extend(self.tree.gates[gate.index()].inputs.iter().rev());
                }
                _ => inputs.push(input),
            }
        }
        let fails_at = if is_any(gate) { 1 } else { u32::try_from(inputs.len()).unwrap_or(u32::MAX) };
        Gate { fails_at, inputs }
    }
}

const fn is_any(gate: &Gate) -> bool {
    gate.fails_at == 1
}

const fn is_all(gate: &Gate) -> bool {
    gate.fails_at as usize == gate.inputs.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_series_are_one_and_so_is_redundancy_of_redundancy() {
        let mut tree = FaultTree::new();
        let [a, b, c, d] = [0.1; 4].map(|p| Input::from(tree.event(p)));
        let pair = Input::from(tree.all([a, b]));
        let triple = Input::from(tree.all([pair, b, c]));
        let inner = Input::from(tree.any([triple, d]));
        let top = tree.any([inner, d, triple]);
        let (flat, tops) = flattened(&tree, &[top]);
        assert_eq!(flat.gate(tops[0]), (1, [Input::Gate(GateId(0)), d].as_slice()));
        assert_eq!(flat.gate(GateId(0)), (3, [a, b, c].as_slice()));
        assert_eq!(flat.gates.len(), 2);
    }

    #[test]
    fn a_gate_that_is_asked_for_stays_though_another_has_taken_its_inputs() {
        let mut tree = FaultTree::new();
        let [a, b] = [0.1; 2].map(|p| Input::from(tree.event(p)));
        let inner = tree.any([a]);
        let top = tree.any([inner.into(), b]);
        let (flat, tops) = flattened(&tree, &[top, inner]);
        assert_eq!(flat.gate(tops[0]), (1, [a, b].as_slice()));
        assert_eq!(flat.gate(tops[1]), (1, [a].as_slice()));
    }

    #[test]
    fn a_vote_stays_as_it_is() {
        let mut tree = FaultTree::new();
        let [a, b, c] = [0.1; 3].map(|p| Input::from(tree.event(p)));
        let inner = Input::from(tree.at_least(2, [a, b, c]));
        let top = tree.at_least(2, [inner, inner, a]);
        let (flat, tops) = flattened(&tree, &[top]);
        assert_eq!(flat, tree);
        assert_eq!(tops, [top]);
    }

    #[test]
    fn what_always_or_never_fails_still_does() {
        let mut tree = FaultTree::new();
        let event = Input::from(tree.event(0.1));
        let (always, never) = (tree.all([]), tree.any([]));
        for (top, fails) in [
            (tree.all([always.into()]), true),
            (tree.all([always.into(), event]), false),
            (tree.any([never.into()]), false),
            (tree.any([always.into(), event]), true),
        ] {
            let (flat, tops) = flattened(&tree, &[top]);
            assert_eq!(flat.fails(tops[0], |_| false), fails);
        }
    }
}
