//! `startAfter`: names that lead nowhere, and circles.

use std::collections::HashMap;

use model::experiment::Experiment;

use super::{mapping, suggestion};
use crate::{circles::circles, codes, decode::Reader, finding::Finding, node::Node, source::Span};

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
    let after = |name: &str| {
        let names = experiment.actions.get(name).map_or(&[][..], |action| &action.start_after);
        names.iter().map(String::as_str).filter(|name| experiment.actions.contains_key(*name))
    };
    for cycle in circles(experiment.actions.keys().map(String::as_str), after) {
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
