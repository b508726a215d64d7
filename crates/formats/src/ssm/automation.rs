//! Automation documents, schema 0.3: what refers to what, and what a run is good for.

use std::collections::{HashMap, HashSet};

use super::form;
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node, Value},
    script,
    source::Span,
};

/// Prefixes of what the service itself gives.
const GIVEN: &[&str] = &["global:", "automation:", "ssm:", "variable:", "loop.", "execution."];

/// Looks at a document.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    // Documents of commands and sessions have steps as well, and schemas of their own.
    let version = root.get("schemaVersion").and_then(Node::as_text);
    if version.is_some_and(|version| version.starts_with(['1', '2'])) {
        return;
    }
    form::check(reader, root);
    let parameters: HashSet<&str> = keys(root, "parameters").chain(keys(root, "variables")).collect();
    let mut steps = Vec::new();
    collect(root.get("mainSteps"), &mut steps);
    let names: HashMap<&str, &Node> =
        steps.iter().filter_map(|step| Some((step.get("name")?.as_text()?, *step))).collect();
    let mut uses = Vec::new();
    references(root, &mut uses);
    let mut told = HashSet::new();
    for (text, span) in &uses {
        let known = Known { parameters: &parameters, steps: &names };
        reference(reader, text, *span, &known, &mut told);
    }
    let outputs = root.get("outputs").and_then(Node::as_sequence).unwrap_or_default().iter().filter_map(Node::as_text);
    let used = uses.iter().map(|(text, _)| *text).chain(outputs);
    let used: HashSet<&str> = used.filter_map(|text| Some(text.split_once('.')?.0)).collect();
    twice(reader, &steps);
    for step in &steps {
        form::step(reader, step);
        order(reader, step, &names);
        selectors(reader, step);
        result(reader, step, &used);
        growth(reader, step);
        control_plane(reader, root, step);
    }
}

fn keys<'n>(root: &'n Node, section: &str) -> impl Iterator<Item = &'n str> {
    root.get(section).and_then(Node::as_mapping).unwrap_or_default().iter().map(|entry| entry.key.as_str())
}

/// All steps, those of loops as well.
fn collect<'n>(list: Option<&'n Node>, steps: &mut Vec<&'n Node>) {
    for step in list.and_then(Node::as_sequence).unwrap_or_default() {
        steps.push(step);
        collect(step.get("inputs").and_then(|inputs| inputs.get("Steps")), steps);
    }
}

/// Every `{{ … }}` with its place.
fn references<'n>(node: &'n Node, found: &mut Vec<(&'n str, Span)>) {
    match &node.value {
        Value::Mapping(entries) => {
            for Entry { key, value, .. } in entries {
                // A script has its own language.
                if key != "Script" && key != "description" {
                    references(value, found);
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| references(item, found)),
        Value::Scalar(scalar) => {
            found.extend(
                scalar
                    .text
                    .split("{{")
                    .skip(1)
                    .filter_map(|rest| rest.split_once("}}"))
                    .map(|(text, _)| (text.trim(), node.span)),
            );
        }
    }
}

struct Known<'k> {
    parameters: &'k HashSet<&'k str>,
    steps: &'k HashMap<&'k str, &'k Node>,
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

fn reference<'n>(reader: &mut Reader<'_>, text: &'n str, span: Span, known: &Known<'_>, told: &mut HashSet<&'n str>) {
    if GIVEN.iter().any(|prefix| text.starts_with(prefix)) {
        return;
    }
    let computes =
        text.contains(['+', '*', '/', '(', ')', '|', '?']) || text.contains(" - ") || text.ends_with(".length");
    if computes {
        let message = format!("`{{{{ {text} }}}}` computes; between the braces stands one reference and nothing else");
        reader.report(
            Finding::new(&codes::NO_EXPRESSIONS, span, message)
                .help("compute in an aws:executeScript step, and refer to its output"),
        );
    }
    // What is referred to within an expression must be there, too.
    let name = text.split([' ', '+', '*', '/', '(', '|']).next().unwrap_or_default();
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    if !is_name(first) || !told.insert(name) {
        return;
    }
    let fine = match (rest, known.steps.get(first)) {
        (None, _) => known.parameters.contains(first),
        (Some(output), Some(step)) => declares(step, output),
        // A parameter that is a map is reached into by a dot as well.
        (Some(_), None) => known.parameters.contains(first),
    };
    if fine {
        return;
    }
    let message = match rest {
        None => format!("the document declares no parameter `{first}`"),
        Some(output) if known.steps.contains_key(first) => format!("the step `{first}` declares no output `{output}`"),
        Some(_) => format!("there is no step `{first}`"),
    };
    let near = reader.near(first, known.parameters.iter().copied().chain(known.steps.keys().copied()));
    let finding = Finding::new(&codes::UNDECLARED, span, message);
    reader.report(match near.filter(|near| *near != first) {
        Some(near) => finding.help(format!("did you mean `{near}`? otherwise declare it")),
        None => finding.help("declare it under `parameters`, or as an output of a step before"),
    });
}

/// Whether a step has an output; actions other than calls of an API have outputs of their own.
fn declares(step: &Node, output: &str) -> bool {
    let output = output.split('.').next().unwrap_or_default();
    let declared = step.get("outputs").and_then(Node::as_sequence).unwrap_or_default();
    let action = step.get("action").and_then(Node::as_text).unwrap_or_default();
    declared.iter().any(|entry| entry.get("Name").and_then(Node::as_text) == Some(output))
        || action != "aws:executeAwsApi"
}

/// Two steps of one name.
fn twice(reader: &mut Reader<'_>, steps: &[&Node]) {
    let mut seen = HashSet::new();
    for name in steps.iter().filter_map(|step| step.get("name")) {
        if let Some(text) = name.as_text().filter(|text| !seen.insert(*text)) {
            let message = format!("a second step has the name `{text}`");
            reader.report(Finding::new(&codes::WRONG_VALUE, name.span, message).help("give each a name of its own"));
        }
    }
}

/// Where a branch leads.
fn choices(step: &Node) -> impl Iterator<Item = &Node> {
    let inputs = step.get("inputs").filter(|_| step.get("action").and_then(Node::as_text) == Some("aws:branch"));
    let list = inputs.and_then(|inputs| inputs.get("Choices")?.as_sequence()).unwrap_or_default();
    list.iter().filter_map(|choice| choice.get("NextStep")).chain(inputs.and_then(|inputs| inputs.get("Default")))
}

/// `nextStep`, choices of a branch and `onFailure: step:NAME` of steps that are not there.
fn order(reader: &mut Reader<'_>, step: &Node, names: &HashMap<&str, &Node>) {
    let targets = ["nextStep", "onFailure", "onCancel"].iter().filter_map(|key| step.get(key));
    for node in targets.chain(choices(step)) {
        let Some(text) = node.as_text() else { continue };
        let name = match text.strip_prefix("step:") {
            Some(name) => name,
            None if matches!(text, "Abort" | "Continue") || text.contains("{{") => continue,
            None => text,
        };
        if !names.contains_key(name) {
            let finding = Finding::new(&codes::UNDECLARED, node.span, format!("there is no step `{name}`"));
            let known = names.keys().copied().chain(["Abort", "Continue"]);
            reader.report(match reader.near(name, known) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("correct the name; steps are named under `mainSteps`"),
            });
        }
    }
}

/// Selectors that are not JSONPath.
fn selectors(reader: &mut Reader<'_>, step: &Node) {
    for output in step.get("outputs").and_then(Node::as_sequence).unwrap_or_default() {
        let Some(selector) = output.get("Selector") else { continue };
        let Some(text) = selector.as_text().filter(|text| !text.contains("{{")) else { continue };
        let bare_filter = text.match_indices("[?").any(|(at, _)| !text[at + 2..].starts_with('('));
        let why = if text.contains('`') {
            "backticks are JMESPath's"
        } else if bare_filter {
            "a filter stands in round brackets and begins with @"
        } else if !text.starts_with('$') {
            "a path begins with $"
        } else {
            continue;
        };
        let message = format!("this selector is not JSONPath: {why}");
        reader.report(
            Finding::new(&codes::SELECTOR, selector.span, message)
                .help("write $.TargetHealthDescriptions[?(@.TargetHealth.State=='unhealthy')].Target.Id, or the like"),
        );
    }
}

fn input<'n>(step: &'n Node, key: &str) -> Option<&'n Node> {
    step.get("inputs")?.get(key)
}

/// A question whose answer nobody looks at.
fn result(reader: &mut Reader<'_>, step: &Node, used: &HashSet<&str>) {
    let asks = input(step, "Api").and_then(Node::as_text).is_some_and(|api| {
        ["Describe", "Get", "List", "describe", "get_", "list"].iter().any(|verb| api.starts_with(verb))
    });
    let (Some(name), true) =
        (step.get("name"), asks && step.get("action").and_then(Node::as_text) == Some("aws:executeAwsApi"))
    else {
        return;
    };
    let Some(text) = name.as_text() else { return };
    let decides = step.get("onFailure").and_then(Node::as_text).is_some_and(|text| text.starts_with("step:"));
    if !used.contains(text) && !decides {
        let message = format!("`{text}` asks, and no step looks at the answer");
        reader.report(
            Finding::new(&codes::UNUSED_RESULT, name.span, message)
                .help("declare an output and branch on it (aws:branch), or assert it (aws:assertAwsResourceProperty)"),
        );
    }
}

/// A failover that edits records.
fn control_plane(reader: &mut Reader<'_>, root: &Node, step: &Node) {
    let Some(api) = input(step, "Api") else { return };
    let edits = api.as_text().is_some_and(|api| {
        api.replace('_', "").eq_ignore_ascii_case("ChangeResourceRecordSets")
            && input(step, "Service").and_then(Node::as_text) == Some("route53")
    });
    let said = [root.get("description"), step.get("name"), step.get("description")];
    if edits && said.into_iter().flatten().filter_map(Node::as_text).any(script::about_failover) {
        let message = "the failover edits records: it needs Route 53's control plane, which may be what is impaired";
        reader.report(
            Finding::new(&codes::CONTROL_PLANE_FAILOVER, api.span, message).help(
                "keep both records there with health checks, or flip a routing control, which the data plane does",
            ),
        );
    }
}

/// A capacity that every run makes larger.
fn growth(reader: &mut Reader<'_>, step: &Node) {
    let sets = input(step, "Api")
        .and_then(Node::as_text)
        .is_some_and(|api| matches!(api, "SetDesiredCapacity" | "UpdateAutoScalingGroup" | "UpdateService"));
    let Some(node) = ["DesiredCapacity", "desiredCount"].iter().find_map(|key| input(step, key)).filter(|_| sets)
    else {
        return;
    };
    if node.as_text().is_some_and(|text| text.contains('+')) {
        let message = "every run makes the group larger; nothing bounds it, and nothing replaces what is unhealthy";
        reader.report(
            Finding::new(&codes::NO_BOUND, node.span, message).help(
                "set a size computed from what is needed, at most MaxSize, and terminate the unhealthy instances",
            ),
        );
    }
}
