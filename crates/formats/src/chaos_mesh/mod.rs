//! Manifests of Chaos Mesh (`chaos-mesh.org/v1alpha1`): keys in their places, and what a fault selects.

mod schema;

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
};
use schema::{COMMON, KINDS, Kind, MODES, SELECTOR};

/// Looks at a manifest.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let (Some(kind), Some(spec)) = (root.get("kind"), root.entry("spec")) else {
        if let Some(kind) = root.get("kind") {
            reader
                .report(Finding::new(&codes::MISSING_KEY, kind.span, "the manifest has no `spec`").help("add `spec`"));
        }
        return;
    };
    let name = kind.as_text().unwrap_or_default();
    match name {
        "Schedule" => schedule(reader, &spec.value),
        "Workflow" => workflow(reader, &spec.value),
        "PhysicalMachine" | "RemoteCluster" | "StatusCheck" | "WorkflowNode" | "PodHttpChaos" | "PodIOChaos"
        | "PodNetworkChaos" => {}
        name => match find(name) {
            Some(known) => fault(reader, known, &spec.value),
            None => {
                let finding = Finding::new(&codes::WRONG_VALUE, kind.span, format!("Chaos Mesh has no kind `{name}`"));
                let known = KINDS.iter().map(|kind| kind.name).chain(["Schedule", "Workflow", "StatusCheck"]);
                reader.report(match reader.near(name, known) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("look at the kinds of chaos-mesh.org/v1alpha1"),
                });
            }
        },
    }
}

fn find(name: &str) -> Option<&'static Kind> {
    // `IoChaos` is how files from before version 2 spell it.
    KINDS.iter().find(|kind| kind.name == name || kind.name == "IOChaos" && name == "IoChaos")
}

/// The spec of a kind under its key in a schedule or a workflow: `networkChaos`.
fn inner(reader: &mut Reader<'_>, node: &Node) {
    for entry in node.as_mapping().unwrap_or_default() {
        let known = KINDS.iter().find(|kind| kind.key == entry.key);
        if let Some(kind) = known {
            fault(reader, kind, &entry.value);
        }
    }
}

fn schedule(reader: &mut Reader<'_>, spec: &Node) {
    inner(reader, spec);
    let Some(kind) = spec.get("type") else { return };
    let key = kind.as_text().and_then(find).map(|kind| kind.key);
    if let Some(key) = key.filter(|key| spec.entry(key).is_none()) {
        let message = format!("the schedule is of type `{}` and has no `{key}`", kind.as_text().unwrap_or_default());
        reader.report(
            Finding::new(&codes::MISSING_KEY, kind.span, message)
                .help(format!("add `{key}` with the spec of the fault")),
        );
    }
}

fn workflow(reader: &mut Reader<'_>, spec: &Node) {
    let templates = spec.get("templates").and_then(Node::as_sequence).unwrap_or_default();
    let names: Vec<&str> = templates.iter().filter_map(|template| template.get("name")?.as_text()).collect();
    let children = templates.iter().filter_map(|template| template.get("children")?.as_sequence()).flatten();
    for node in children.chain(spec.get("entry")) {
        if let Some(name) = node.as_text()
            && !names.contains(&name)
        {
            reader.report(
                Finding::new(&codes::WRONG_VALUE, node.span, format!("no template has the name `{name}`"))
                    .help("define it under `templates`, or correct the name"),
            );
        }
    }
    for template in templates {
        inner(reader, template);
        if let Some(schedule) = template.get("schedule") {
            inner(reader, schedule);
        }
    }
}

/// The spec of a fault.
fn fault(reader: &mut Reader<'_>, kind: &Kind, spec: &Node) {
    let Some(entries) = spec.as_mapping() else {
        reader.wrong_type(spec, "`spec`", "a mapping of keys and values");
        return;
    };
    let mut stray = false;
    for entry in entries {
        stray |= key(reader, kind, entry, spec);
    }
    if let Some(action) = spec.get("action") {
        one_of(reader, action, "action", kind.actions);
    } else if kind.needs_action {
        missing(reader, kind, spec, "action");
    }
    if kind.selects {
        selection(reader, kind, spec, stray);
    }
    for (needs, of) in kind.needs {
        let wanted = of.is_empty() || spec.get("action").and_then(Node::as_text) == Some(of);
        if wanted && spec.entry(needs).is_none() {
            missing(reader, kind, spec, needs);
        }
    }
}

fn missing(reader: &mut Reader<'_>, kind: &Kind, spec: &Node, key: &str) {
    let message = format!("the {} has no `{key}`", kind.name);
    reader.report(Finding::new(&codes::MISSING_KEY, spec.head, message).help(format!("add `{key}`")));
}

fn one_of(reader: &mut Reader<'_>, node: &Node, what: &str, known: &[&str]) {
    let Some(text) = node.as_text().filter(|text| !known.is_empty() && !known.contains(text)) else { return };
    let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{text}` is not a value of `{what}`"));
    reader.report(match reader.near(text, known.iter().copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding.help(format!("write one of {}", known.join(", "))),
    });
}

/// A key of a spec; whether it is a selector's in the wrong place.
fn key(reader: &mut Reader<'_>, kind: &Kind, entry: &Entry, spec: &Node) -> bool {
    let name = entry.key.as_str();
    if kind.keys.contains(&name) || COMMON.contains(&name) {
        return false;
    }
    if SELECTOR.contains(&name) {
        let beside = spec.get("selector").is_some();
        let message = format!("`{name}` stands beside `selector`, where it selects nothing");
        let message = if beside { message } else { format!("`{name}` stands where no selector is") };
        reader.report(
            Finding::new(&codes::MISPLACED_SELECTOR, entry.key_span, message)
                .help(format!("move it: selector: {{ {name}: … }}"))
                .note("where the stray key is dropped, the fault hits any pod of the namespace"),
        );
        return true;
    }
    let finding = Finding::new(&codes::UNKNOWN_KEY, entry.key_span, format!("a {} has no key `{name}`", kind.name));
    reader.report(match reader.near(name, kind.keys.iter().chain(COMMON).copied()) {
        Some(near) => finding.help(format!("did you mean `{near}`?")),
        None => finding
            .help(format!("known here: {}", kind.keys.iter().chain(COMMON).copied().collect::<Vec<_>>().join(", "))),
    });
    false
}

/// `mode`, `value` and `selector`.
fn selection(reader: &mut Reader<'_>, kind: &Kind, spec: &Node, stray: bool) {
    match spec.get("mode") {
        Some(mode) => {
            one_of(reader, mode, "mode", MODES);
            let counts = matches!(mode.as_text(), Some("fixed" | "fixed-percent" | "random-max-percent"));
            if counts && spec.entry("value").is_none() {
                let message = format!("the mode `{}` needs a `value`", mode.as_text().unwrap_or_default());
                reader.report(
                    Finding::new(&codes::MISSING_KEY, mode.span, message).help("add value: \"1\", or the percentage"),
                );
            }
        }
        None => missing(reader, kind, spec, "mode"),
    }
    let Some(selector) = spec.entry("selector") else {
        if !stray && !kind.keys.contains(&"address") {
            missing(reader, kind, spec, "selector");
        }
        return;
    };
    let entries = selector.value.as_mapping().unwrap_or_default();
    if entries.is_empty() && !stray {
        let message = "the selector is empty: the fault hits any pod of its namespace";
        reader.report(
            Finding::new(&codes::EVERYTHING_SELECTED, selector.key_span, message)
                .help("name labels: labelSelectors: { app: NAME }"),
        );
    }
    for entry in entries.iter().filter(|entry| !SELECTOR.contains(&entry.key.as_str())) {
        let finding =
            Finding::new(&codes::UNKNOWN_KEY, entry.key_span, format!("a selector has no key `{}`", entry.key));
        reader.report(match reader.near(&entry.key, SELECTOR.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("known here: {}", SELECTOR.join(", "))),
        });
    }
}
