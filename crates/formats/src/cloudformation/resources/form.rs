//! The form of a template: its sections, its resources, and what the types of resources take.

use crate::{
    cloudformation::{
        alarm,
        stack::{FOR_EACH, Stack, type_of},
        types::{self, Type},
    },
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node, Value},
    shape::{self, Notation, Shape},
};

/// Holds a template to its form.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, stack: &Stack<'_>) {
    hold(reader, root, Shape::Keys(&types::TEMPLATE), "the template");
    // Where there are experiments their alarms are read to be watched, and the reader says what is wrong with them.
    let watched = stack.of_type("AWS::FIS::ExperimentTemplate").next().is_some();
    for entry in stack.section("Resources") {
        if entry.key.starts_with(FOR_EACH) || entry.key.starts_with("Fn::") {
            continue;
        }
        let kind = type_of(&entry.value);
        // Transforms give resources of their own more keys.
        if kind.is_none_or(|kind| kind.starts_with("AWS::") && !kind.starts_with("AWS::Serverless::")) {
            hold(reader, &pointing_at(&entry.value, entry), Shape::Keys(&types::RESOURCE), "a resource");
        }
        match kind {
            Some(kind) if kind == alarm::TYPE && watched => {}
            Some(kind) => properties(reader, entry, kind),
            None => {}
        }
    }
}

fn hold(reader: &mut Reader<'_>, node: &Node, shape: Shape, what: &str) {
    shape::check(reader, Notation::CloudFormation, node, shape, what);
}

/// The same value, about which messages point at the name of its resource.
fn pointing_at(node: &Node, entry: &Entry) -> Node {
    Node { head: entry.key_span, ..node.clone() }
}

fn properties(reader: &mut Reader<'_>, entry: &Entry, name: &str) {
    let Some(kind) = types::find(name) else {
        unknown(reader, entry, name);
        return;
    };
    let empty = Node { value: Value::Mapping(Vec::new()), ..entry.value.clone() };
    let written = entry.value.get("Properties").filter(|node| !node.is_null()).unwrap_or(&empty);
    let mut properties = pointing_at(written, entry);
    if let Value::Mapping(entries) = &mut properties.value {
        entries.retain(|property| !reported(reader, kind, property));
    }
    hold(reader, &properties, Shape::Keys(kind.properties), "`Properties`");
}

/// What functions report of themselves and the schema does not list.
const OF_FUNCTIONS: &[&str] = &["State", "StateReason", "LastModified", "CodeSha256", "Version", "LastUpdateStatus"];

/// Reports a property that the service only answers with; whether it is one.
fn reported(reader: &mut Reader<'_>, kind: &Type, property: &Entry) -> bool {
    let key = property.key.as_str();
    let function = kind.name == "AWS::Lambda::Function";
    let only_read = kind.attributes.contains(&key) || function && OF_FUNCTIONS.contains(&key);
    if kind.properties.find(key).is_some() || !only_read {
        return false;
    }
    let finding = Finding::new(
        &codes::READ_ONLY_PROPERTY,
        property.key_span,
        format!("{key} is reported by the service and cannot be set"),
    );
    reader.report(finding.help(if function {
        "remove it; to hold a function back set ReservedConcurrentExecutions: 0"
    } else {
        "remove it; other resources get it with GetAtt"
    }));
    true
}

/// A name that no type has, and that is near one.
fn unknown(reader: &mut Reader<'_>, entry: &Entry, name: &str) {
    let Some(node) = entry.value.get("Type") else { return };
    if let Some(meant) = types::meant(reader, name) {
        let finding = Finding::new(&codes::NO_SUCH_TYPE, node.span, format!("CloudFormation has no type `{name}`"));
        reader.report(finding.help(format!("did you mean `{meant}`?")));
    }
}
