//! `startAfter`: names that lead nowhere, and circles.

use std::collections::HashMap;

use model::experiment::Experiment;

use super::{mapping, suggestion};
use crate::{codes, decode::Reader, finding::Finding, node::Node, source::Span};

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, experiment: &Experiment) {
    let mut places: HashMap<(&str, &str), Span> = HashMap::new();
    for entry in mapping(root, "actions") {
        let Some(node) = entry.value.get("startAfter") else { continue };
        let items = node.as_sequence().unwrap_or_else(|| std::slice::from_ref(node));
        for item in items {
            let Some(name) = item.as_text() else { continue };
            places.insert((&entry.key, name), item.span);
            if !experiment.actions.contains_key(name) {
                let finding =
                    Finding::new(&codes::UNKNOWN_START_AFTER, item.span, format!("there is no action `{name}`"));
                let names = experiment.actions.keys().map(String::as_str);
                reader.report(finding.help(suggestion(reader, name, names, "actions")));
            }
        }
    }
    for cycle in cycles(experiment) {
        let span = places.get(&(cycle[0], cycle[1])).copied().unwrap_or(root.head);
        let message = if cycle.len() == 2 {
            format!("`{}` waits for itself", cycle[0])
        } else {
            format!("these actions wait for each other: {}", cycle.join(" -> "))
        };
        let help = "none of them would ever start; remove one of the startAfter entries";
        reader.report(Finding::new(&codes::CYCLE, span, message).help(help));
    }
}

/// Circles of actions, each as `a, b, ..., a`; at most one for every action that closes one.
fn cycles(experiment: &Experiment) -> Vec<Vec<&str>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        OnPath,
        Done,
    }
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    let mut found = Vec::new();
    for start in experiment.actions.keys() {
        if marks.contains_key(start.as_str()) {
            continue;
        }
        // Depth first with a stack of our own: a chain of ten thousand actions must not end ours.
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        marks.insert(start, Mark::OnPath);
        while let Some((name, next)) = path.last_mut() {
            let after = experiment.actions.get(*name).map_or(&[][..], |action| &action.start_after);
            let Some(wanted) = after.get(*next) else {
                marks.insert(name, Mark::Done);
                path.pop();
                continue;
            };
            *next += 1;
            match marks.get(wanted.as_str()) {
                Some(Mark::Done) => {}
                Some(Mark::OnPath) => {
                    let from = path.iter().position(|(name, _)| name == wanted).unwrap_or_default();
                    let mut cycle: Vec<&str> = path[from..].iter().map(|(name, _)| *name).collect();
                    cycle.push(wanted);
                    found.push(cycle);
                }
                None if experiment.actions.contains_key(wanted) => {
                    marks.insert(wanted, Mark::OnPath);
                    path.push((wanted, 0));
                }
                None => {}
            }
        }
    }
    found
}
