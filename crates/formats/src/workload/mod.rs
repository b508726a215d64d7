//! Workloads: what they are made of, and what is promised of them.
//!
//! Three documents say so: our own (`docs/availability.md`), an *inventory* of a workload with its tiers and external
//! dependencies, and a *classification* of services with nothing but their objectives. The latter two are read as people have
//! them, with times in words and keys that nobody here defined.

mod inventory;
mod own;
#[cfg(test)]
mod tests;

use model::{
    Period,
    workload::{Availability, AvailabilityError, Workload},
};

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    incidents::words,
    node::{Entry, Node},
    read::{Done, open},
    source::Source,
};
pub(crate) use own::MISPLACED;

/// Workloads that were read, or why not.
#[derive(Debug, Clone)]
pub struct ReadWorkloads {
    /// What the file describes, in its order; nothing where a finding is an error.
    pub workloads: Vec<Workload>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// Reads a file that describes workloads; which of the documents it is, is told from its keys. `path` is used in messages, and
/// its stem is the workload's name unless the file gives one.
#[must_use]
pub fn read_workloads(path: &str, bytes: &[u8]) -> ReadWorkloads {
    let Done { value, findings, source } = open(path, bytes).read(MISPLACED, read);
    ReadWorkloads { workloads: value.unwrap_or_default(), findings, source }
}

/// Reads whichever of the documents it is.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Vec<Workload>> {
    reader.native_scalars = true;
    match Document::of(root) {
        Some(Document::Own) => own::read(reader, root).map(|workload| vec![workload]),
        Some(Document::Inventory) => inventory::inventory(reader, root).map(|workload| vec![workload]),
        Some(Document::Services) => Some(inventory::services(reader, root)),
        None => {
            let message = format!("this describes no workload, but is {}", root.describe());
            let help = "a workload has `components` and `objectives`; docs/availability.md has an example";
            reader.report(Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, message).help(help));
            None
        }
    }
}

/// Whether a document is a workload as ours describes it: components with what is known of them, or with objectives.
pub(crate) fn is_workload(root: &Node) -> bool {
    let Some(components) = root.get("components").and_then(Node::as_mapping) else { return false };
    let known = |entry: &Entry| own::FIGURES.iter().chain(own::TELLING).any(|key| entry.value.entry(key).is_some());
    let objectives =
        root.get("objectives").is_some_and(|node| own::OBJECTIVES.iter().any(|key| node.entry(key).is_some()));
    Document::of(root) == Some(Document::Own) && (objectives || components.iter().any(known))
}

/// Whether a document is an inventory of a workload, or a classification of services, by what only those have.
pub(crate) fn is_inventory(root: &Node) -> bool {
    matches!(Document::of(root), Some(Document::Inventory))
        || Document::of(root) == Some(Document::Services) && inventory::is_classification(root)
}

/// Which of the documents it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    Own,
    Inventory,
    Services,
}

impl Document {
    fn of(root: &Node) -> Option<Self> {
        let has = |key: &str| root.entry(key).is_some();
        if inventory::KEYS.iter().any(|key| has(key)) {
            Some(Self::Inventory)
        } else if has("services") && !has("components") {
            Some(Self::Services)
        } else if own::KEYS.iter().any(|key| has(key)) {
            Some(Self::Own)
        } else {
            None
        }
    }
}

/// `99.95%`.
fn availability(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Availability> {
    let text = reader.text(node, what)?;
    match text.parse() {
        Ok(availability) => Some(availability),
        Err(error) => {
            let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("{what}: {error}"));
            reader.report(match error {
                AvailabilityError::Syntax { .. } => finding.help("a share of time has its sign: 99.95%"),
                AvailabilityError::Above { .. } => finding,
            });
            None
        }
    }
}

/// `PT1H`, or `1 hour`.
fn time(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Period> {
    words::long_length(reader, node, what).map(Period::new)
}

/// A time longer than nothing.
fn some_time(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Period> {
    let time = time(reader, node, what)?;
    if time == Period::ZERO {
        reader.wrong_value(node.span, format!("{what} must be longer than nothing"));
        return None;
    }
    Some(time)
}
