//! The spec of a fault: its keys, what its action needs, and what it selects.

use super::schema::{Kind, SELECTOR};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Node, Value},
    shape::{self, Notation, Shape},
};

/// Looks at the spec of a fault.
pub(super) fn check(reader: &mut Reader<'_>, kind: &Kind, spec: &Node) {
    let stray = kind.selects && stray(reader, spec);
    let rest = without(spec, |key| stray && SELECTOR.find(key).is_some());
    shape::check(reader, Notation::Strict, &rest, Shape::Keys(kind.spec), "`spec`");
    if spec.as_mapping().is_none() {
        return;
    }
    needs(reader, kind, spec);
    if kind.selects {
        count(reader, spec);
        selector(reader, kind, spec, stray);
    }
    if kind.name == "NetworkChaos" {
        direction(reader, spec);
    }
    scheduler(reader, spec);
}

/// A mapping without some of its keys.
fn without(spec: &Node, dropped: impl Fn(&str) -> bool) -> Node {
    let mut rest = spec.clone();
    if let Value::Mapping(entries) = &mut rest.value {
        entries.retain(|entry| !dropped(&entry.key));
    }
    rest
}

/// Keys of a selector that stand beside it, or where none is.
fn stray(reader: &mut Reader<'_>, spec: &Node) -> bool {
    let mut stray = false;
    for entry in spec.as_mapping().unwrap_or_default() {
        let name = entry.key.as_str();
        if SELECTOR.find(name).is_none() {
            continue;
        }
        stray = true;
        let message = if spec.get("selector").is_some() {
            format!("`{name}` stands beside `selector`, where it selects nothing")
        } else {
            format!("`{name}` stands where no selector is")
        };
        reader.report(
            Finding::new(&codes::MISPLACED_SELECTOR, entry.key_span, message)
                .help(format!("move it: selector: {{ {name}: … }}"))
                .note("where the stray key is dropped, the fault hits any pod of the namespace"),
        );
    }
    stray
}

/// What the action needs.
fn needs(reader: &mut Reader<'_>, kind: &Kind, spec: &Node) {
    let action = spec.get("action").and_then(Node::as_text);
    for (of, keys) in kind.needs {
        let wanted = of.is_empty() || action == Some(of);
        let there = keys.iter().any(|key| spec.get(key).is_some_and(|node| !node.is_null()));
        let misspelt = || {
            let near = |name: &str| keys.contains(&name);
            let entries = spec.as_mapping().unwrap_or_default().iter();
            let unknown = entries.filter(|entry| kind.spec.find(&entry.key).is_none());
            unknown.filter_map(|entry| reader.near(&entry.key, kind.spec.names())).any(near)
        };
        if !wanted || there || misspelt() {
            continue;
        }
        let span = spec.get("action").map_or(spec.head, |node| node.span);
        let (message, help) = match (keys, of.is_empty()) {
            ([key], false) => (format!("the action `{of}` needs `{key}`"), format!("add `{key}`")),
            (keys, false) => {
                (format!("the action `{of}` needs one of `{}`", keys.join("`, `")), "add one of them".to_owned())
            }
            (keys, true) => (
                format!("{} does nothing without `{}`", kind.spec.what, keys.join("` or `")),
                "add one of them".to_owned(),
            ),
        };
        reader.report(Finding::new(&codes::MISSING_KEY, span, message).help(help));
    }
}

/// `mode` with its `value`.
fn count(reader: &mut Reader<'_>, spec: &Node) {
    for choice in [Some(spec), spec.get("target")].into_iter().flatten() {
        let Some((mode, text)) = choice.get("mode").and_then(|mode| Some((mode, mode.as_text()?))) else { continue };
        let most = match text {
            "fixed" => i64::MAX,
            "fixed-percent" | "random-max-percent" => 100,
            _ => continue,
        };
        let Some(value) = choice.get("value").filter(|value| !value.is_null()) else {
            let finding = Finding::new(&codes::MISSING_KEY, mode.span, format!("the mode `{text}` needs a `value`"));
            reader.report(finding.help("add value: \"1\", or the percentage"));
            continue;
        };
        let Some(number) = value.as_text().filter(|text| !crate::semantics::placeholder(text)) else { continue };
        if !number.parse::<i64>().is_ok_and(|number| (0..=most).contains(&number)) {
            let wanted = if most == 100 { "a whole number from 0 to 100, without the sign" } else { "a whole number" };
            let message = format!("with the mode `{text}` the `value` is {wanted}, not `{number}`");
            reader.report(
                Finding::new(&codes::WRONG_VALUE, value.span, message).help("write value: \"50\", or what is meant"),
            );
        }
    }
}

fn selector(reader: &mut Reader<'_>, kind: &Kind, spec: &Node, stray: bool) {
    let Some(selector) = spec.as_mapping().unwrap_or_default().iter().find(|entry| entry.key == "selector") else {
        let machine = spec.entry("address").is_some();
        let misspelt = spec.as_mapping().unwrap_or_default().iter().any(|entry| {
            kind.spec.find(&entry.key).is_none() && reader.near(&entry.key, kind.spec.names()) == Some("selector")
        });
        if !stray && !machine && !misspelt {
            let finding = Finding::new(&codes::MISSING_KEY, spec.head, format!("{} has no `selector`", kind.spec.what));
            reader.report(finding.help("add selector: { namespaces: [NAME], labelSelectors: { app: NAME } }"));
        }
        return;
    };
    let empty = selector.value.is_null() || selector.value.as_mapping().is_some_and(<[_]>::is_empty);
    if empty && !stray {
        let message = "the selector is empty: the fault hits any pod of its namespace";
        let finding = Finding::new(&codes::EVERYTHING_SELECTED, selector.key_span, message);
        reader.report(finding.help("name labels: labelSelectors: { app: NAME }"));
    }
}

/// Traffic from somewhere needs to know from where; outside of the cluster only the way there can be disturbed.
fn direction(reader: &mut Reader<'_>, spec: &Node) {
    let Some((node, text)) = spec.get("direction").and_then(|node| Some((node, node.as_text()?))) else { return };
    if !matches!(text, "from" | "both") {
        return;
    }
    let partition = spec.get("action").and_then(Node::as_text) == Some("partition");
    if spec.entry("externalTargets").is_some() && !partition {
        let message = format!(
            "with `externalTargets` the direction `{text}` is refused: what comes from outside passes no queue here"
        );
        reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help("write direction: to"));
    } else if spec.entry("target").is_none() && spec.entry("externalTargets").is_none() {
        let message = format!("the direction `{text}` needs a `target` that the traffic comes from");
        reader.report(
            Finding::new(&codes::MISSING_KEY, node.span, message).help("add target: { mode: all, selector: { … } }"),
        );
    }
}

/// What version 1 had, and version 2 drops without a word.
fn scheduler(reader: &mut Reader<'_>, spec: &Node) {
    if let Some(entry) = spec.entry("scheduler") {
        let message =
            "`scheduler` is of version 1 of Chaos Mesh; since version 2 nobody reads it, and the fault runs once";
        reader.report(
            Finding::new(&codes::OLD_SCHEDULER, entry.key_span, message)
                .help("write a manifest of kind Schedule, with this fault in it"),
        );
    }
}
