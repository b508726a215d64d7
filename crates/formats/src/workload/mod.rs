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
    finding::{self, Finding},
    incidents::words,
    node::Node,
    read::{Opened, has_errors, open},
    source::Source,
};

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
    let Opened { source, root, mut findings } = open(path, bytes);
    let mut workloads = Vec::new();
    if let Some(root) = &root {
        let mut reader = Reader::new(&source, own::MISPLACED);
        reader.native_scalars = true;
        workloads = match Document::of(root) {
            Some(Document::Own) => own::read(&mut reader, root).into_iter().collect(),
            Some(Document::Inventory) => inventory::inventory(&mut reader, root).into_iter().collect(),
            Some(Document::Services) => inventory::services(&mut reader, root),
            None => {
                let message = format!("this describes no workload, but is {}", root.describe());
                let help = "a workload has `components` and `objectives`; docs/availability.md has an example";
                reader.report(Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, message).help(help));
                Vec::new()
            }
        };
        findings.append(&mut reader.findings);
    }
    let findings = finding::locate(findings, &source);
    if has_errors(&findings) {
        workloads.clear();
    }
    ReadWorkloads { workloads, findings, source }
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
    words::length(reader, node, what).map(Period::new)
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
