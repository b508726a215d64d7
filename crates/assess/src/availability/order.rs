//! The order in which a decision diagram asks for events. It decides whether the diagram is small or does not fit the machine.
//!
//! Events are asked for where what they affect begins. Of a zone that a hundred services share this is the top, of a unit
//! of one service it is that service; so within a service only its own events are interleaved. Put precisely: the order is
//! that of a depth-first walk over the *dominator tree* of the fault tree, in which a node hangs below the last gate that
//! all ways from the top to it go through, and what is shared comes before what is not.

use super::tree::{FaultTree, GateId, Input};

/// Events below `top` in the order in which they are to be asked for. Each comes once; others do not come.
pub(super) fn order(tree: &FaultTree, top: GateId) -> Vec<u32> {
    let below = dominated(tree, top);
    let mut order = Vec::new();
    let mut stack = vec![Input::Gate(top)];
    while let Some(next) = stack.pop() {
        match next {
            Input::Event(event) => order.push(event.0),
            Input::Gate(gate) => stack.extend(below[gate.0 as usize].iter().rev()),
        }
    }
    order
}

/// For every gate what it immediately dominates: shared events, then shared gates (those that others are made of first),
/// then its own inputs as they were written.
fn dominated(tree: &FaultTree, top: GateId) -> Vec<Vec<Input>> {
    let gates = top.0 as usize + 1;
    let mut of_gate: Vec<Option<Above>> = vec![None; gates];
    let mut of_event: Vec<Option<Above>> = vec![None; tree.len()];
    of_gate[top.0 as usize] = Some(Above { gate: top.0, depth: 0, users: 0 });
    // A gate's number is larger than those of its inputs, so everything above a gate is known when it is reached.
    for gate in (0..gates).rev() {
        let Some(own) = of_gate[gate] else { continue };
        let depth = if gate == top.0 as usize { 0 } else { own.depth + 1 };
        // Its depth in the dominator tree, for those that it dominates.
        of_gate[gate] = Some(Above { depth, ..own });
        let gate = u32::try_from(gate).expect("gates are counted in 32 bits");
        for input in &tree.gates[gate as usize].inputs {
            let known = match input {
                Input::Event(event) => of_event[event.index()],
                Input::Gate(gate) => of_gate[gate.0 as usize],
            };
            let above = known.map_or(Above { gate, depth, users: 1 }, |known| {
                let gate = common(&of_gate, known.gate, gate);
                let depth = of_gate[gate as usize].map_or(0, |above| above.depth);
                Above { gate, depth, users: known.users + 1 }
            });
            match input {
                Input::Event(event) => of_event[event.index()] = Some(above),
                Input::Gate(gate) => of_gate[gate.0 as usize] = Some(above),
            }
        }
    }
    let mut below: Vec<Vec<Input>> = vec![Vec::new(); gates];
    let shared = |above: &Above| above.users > 1;
    for (event, above) in (0..).zip(&of_event) {
        if let Some(above) = above.filter(shared) {
            below[above.gate as usize].push(Input::Event(super::tree::EventId(event)));
        }
    }
    for (gate, above) in (0..).zip(&of_gate) {
        if let Some(above) = above.filter(shared) {
            below[above.gate as usize].push(Input::Gate(GateId(gate)));
        }
    }
    for (gate, below) in tree.gates[..gates].iter().zip(&mut below) {
        let own = |input: &&Input| match input {
            Input::Event(event) => of_event[event.index()].is_some_and(|above| above.users == 1),
            Input::Gate(gate) => of_gate[gate.0 as usize].is_some_and(|above| above.users == 1),
        };
        below.extend(gate.inputs.iter().filter(own));
    }
    below
}

/// What is known of a node so far.
#[derive(Debug, Clone, Copy)]
struct Above {
    /// The last gate that all ways seen so far go through. Of the top, itself.
    gate: u32,
    /// While the ways are still being seen: how deep that gate is. Of a gate that has been reached: how deep it is itself.
    depth: u32,
    /// How many gates use it.
    users: u32,
}

/// The lowest gate of the dominator tree above both.
fn common(of_gate: &[Option<Above>], mut one: u32, mut other: u32) -> u32 {
    let above = |gate: u32| of_gate[gate as usize].map_or((0, gate), |above| (above.depth, above.gate));
    while one != other {
        let ((one_depth, one_up), (other_depth, other_up)) = (above(one), above(other));
        if one_depth >= other_depth {
            one = one_up;
        }
        if other_depth >= one_depth {
            other = other_up;
        }
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_cause_comes_before_what_it_affects_and_each_service_stays_together() {
        let mut tree = FaultTree::new();
        let zones: Vec<_> = (0..2).map(|_| tree.event(0.1)).collect();
        let mut services = Vec::new();
        for _ in 0..3 {
            let units: Vec<_> = zones
                .iter()
                .map(|zone| {
                    let unit = tree.event(0.1);
                    tree.any([unit.into(), (*zone).into()])
                })
                .collect();
            services.push(tree.all(units.into_iter().map(Input::from)));
        }
        let top = tree.any(services.into_iter().map(Input::from));
        assert_eq!(order(&tree, top), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_cause_that_one_service_alone_shares_is_asked_for_within_it() {
        let mut tree = FaultTree::new();
        let (first, cause, left, right) = (tree.event(0.1), tree.event(0.1), tree.event(0.1), tree.event(0.1));
        let left = tree.any([left.into(), cause.into()]);
        let right = tree.any([right.into(), cause.into()]);
        let pair = tree.all([left.into(), right.into()]);
        let top = tree.any([first.into(), pair.into()]);
        assert_eq!(order(&tree, top), [0, 1, 2, 3]);
        let other = tree.any([pair.into()]);
        assert_eq!(order(&tree, other), [1, 2, 3]);
    }
}
