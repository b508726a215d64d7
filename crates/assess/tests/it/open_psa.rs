//! Fault trees in the format of Open-PSA, which SCRAM reads.

use std::{collections::HashSet, fmt::Write};

use assess::availability::{FaultTree, GateId, Input};

/// A document with the tree; its top is `top`, its events `e` and their numbers. Votes are written out as the ways in which they come about: SCRAM 0.16.2
/// miscounts those among gates that share events.
pub(crate) fn open_psa(tree: &FaultTree, top: GateId) -> String {
    let mut text = "<?xml version=\"1.0\"?>\n<opsa-mef>\n<define-fault-tree name=\"T\">\n".to_owned();
    let name = |input: &Input| match input {
        Input::Event(event) => format!("<basic-event name=\"e{}\"/>", event.index()),
        Input::Gate(gate) => format!("<gate name=\"g{}\"/>", gate.index()),
    };
    for gate in reachable(tree, top) {
        let (fails_at, inputs) = tree.gate(gate);
        let inputs: Vec<String> = inputs.iter().map(name).collect();
        let rule = match fails_at as usize {
            _ if inputs.len() == 1 => inputs.concat(),
            1 => format!("<or>{}</or>", inputs.concat()),
            all if all == inputs.len() => format!("<and>{}</and>", inputs.concat()),
            some => {
                let ways = ways(&inputs, some).into_iter().map(|way| format!("<and>{}</and>", way.concat()));
                format!("<or>{}</or>", ways.collect::<String>())
            }
        };
        let gate = if gate == top { "top".to_owned() } else { format!("g{}", gate.index()) };
        writeln!(text, "<define-gate name=\"{gate}\">{rule}</define-gate>").expect("a text takes everything");
    }
    text.push_str("</define-fault-tree>\n<model-data>\n");
    for event in tree.events() {
        let (number, probability) = (event.index(), tree.probability(event));
        writeln!(
            text,
            "<define-basic-event name=\"e{number}\"><float value=\"{probability:.17e}\"/></define-basic-event>"
        )
        .expect("a text takes everything");
    }
    text + "</model-data>\n</opsa-mef>\n"
}

/// What the top is made of.
fn reachable(tree: &FaultTree, top: GateId) -> Vec<GateId> {
    let (mut found, mut open) = (vec![top], vec![top]);
    let mut seen = HashSet::from([top]);
    while let Some(gate) = open.pop() {
        for input in tree.gate(gate).1 {
            if let Input::Gate(gate) = input
                && seen.insert(*gate)
            {
                found.push(*gate);
                open.push(*gate);
            }
        }
    }
    found
}

/// All choices of so many.
pub(crate) fn ways(of: &[String], some: usize) -> Vec<Vec<String>> {
    match (of, some) {
        (_, 0) => vec![Vec::new()],
        ([], _) => Vec::new(),
        ([first, rest @ ..], _) => {
            let mut with = ways(rest, some - 1);
            with.iter_mut().for_each(|way| way.push(first.clone()));
            with.extend(ways(rest, some));
            with
        }
    }
}
