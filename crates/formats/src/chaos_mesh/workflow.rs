//! Schedules and workflows: the faults in them, and what refers to what.

use std::collections::HashSet;

use super::{
    fault,
    schema::{KINDS, Kind, WORKFLOW},
};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    shape::{self, Notation, Shape},
};

/// The specs of faults under their keys: `networkChaos`.
fn faults(reader: &mut Reader<'_>, node: &Node) {
    for entry in node.as_mapping().unwrap_or_default() {
        if let Some(kind) = KINDS.iter().find(|kind| kind.key == entry.key) {
            fault::check(reader, kind, &entry.value);
        }
    }
}

/// The rules of a schedule, whose keys have been looked at.
pub(super) fn schedule(reader: &mut Reader<'_>, spec: &Node) {
    faults(reader, spec);
    if let Some(workflow) = spec.get("workflow") {
        check(reader, workflow);
    }
    if let Some(kind) = spec.get("type") {
        named_after(reader, spec, kind, "schedule");
    }
}

/// What is of a type has the key of that type.
fn named_after(reader: &mut Reader<'_>, node: &Node, kind: &Node, what: &str) {
    let Some(name) = kind.as_text() else { return };
    let key = match name {
        "Workflow" => "workflow",
        "Task" => "task",
        "StatusCheck" => "statusCheck",
        "Schedule" => "schedule",
        "Serial" | "Parallel" => "children",
        name => match Kind::find(name) {
            Some(kind) => kind.key,
            None => return,
        },
    };
    if node.entry(key).is_none() {
        let message = format!("the {what} is of type `{name}` and has no `{key}`");
        let help = if key == "children" {
            "add `children` with the names of the templates that it runs".to_owned()
        } else {
            format!("add `{key}`, with what a {name} takes")
        };
        reader.report(Finding::new(&codes::MISSING_KEY, kind.span, message).help(help));
    }
}

/// Looks at the spec of a workflow.
pub(super) fn check(reader: &mut Reader<'_>, spec: &Node) {
    shape::check(reader, Notation::Strict, spec, Shape::Keys(&WORKFLOW), "`spec`");
    let templates = spec.get("templates").and_then(Node::as_sequence).unwrap_or_default();
    names(reader, templates);
    references(reader, spec, templates);
    for template in templates {
        if let Some(kind) = template.get("templateType") {
            named_after(reader, template, kind, "template");
            endless(reader, template, kind);
        }
        faults(reader, template);
        if let Some(node) = template.get("schedule") {
            schedule(reader, node);
        }
    }
}

/// Two templates of one name.
fn names(reader: &mut Reader<'_>, templates: &[Node]) {
    let mut seen = HashSet::new();
    for name in templates.iter().filter_map(|template| template.get("name")) {
        if let Some(text) = name.as_text().filter(|text| !seen.insert(*text)) {
            let message = format!("a second template has the name `{text}`");
            let finding = Finding::new(&codes::WRONG_VALUE, name.span, message);
            reader.report(finding.help("give each a name of its own; whoever refers to it means one"));
        }
    }
}

/// Names of templates that are not there.
fn references(reader: &mut Reader<'_>, spec: &Node, templates: &[Node]) {
    let written: Vec<&str> = templates.iter().filter_map(|template| template.get("name")?.as_text()).collect();
    let known: HashSet<&str> = written.iter().copied().collect();
    let list =
        |key: &'static str| templates.iter().filter_map(move |template| template.get(key)?.as_sequence()).flatten();
    let targets = list("conditionalBranches").filter_map(|branch| branch.get("target"));
    for node in list("children").chain(targets).chain(spec.get("entry")) {
        let Some(name) = node.as_text().filter(|name| !known.contains(*name)) else { continue };
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("no template has the name `{name}`"));
        reader.report(match reader.near(name, written.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("define it under `templates`, or correct the name"),
        });
    }
}

/// A suspension without an end.
fn endless(reader: &mut Reader<'_>, template: &Node, kind: &Node) {
    if kind.as_text() == Some("Suspend") && template.entry("deadline").is_none() {
        let message = "the workflow waits here and nothing says for how long";
        reader.report(
            Finding::new(&codes::MISSING_KEY, kind.span, message).help("add deadline: 30s, or how long it is to wait"),
        );
    }
}
