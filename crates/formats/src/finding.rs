//! Findings: what is wrong with a document, where, and what is right.

use std::cmp::Reverse;

use serde::Serialize;

use crate::{
    codes,
    source::{Source, Span},
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant; the document can still be used.
    Warning,
    /// The document cannot be used.
    Error,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One kind of finding: a row of [`CODES`](crate::codes::CODES).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// Stable; for scripts, searches and links: `F010`.
    pub id: &'static str,
    /// A name in a few words: `unknown-key`.
    pub name: &'static str,
    /// How bad it usually is.
    pub severity: Severity,
    /// What it means.
    pub about: &'static str,
    /// What to do.
    pub cure: &'static str,
    /// What happens to whoever leaves it as it is; empty where `about` says it.
    pub consequence: &'static str,
}

/// Something wrong, or worth knowing, in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub code: &'static Code,
    /// How bad it is here.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The file.
    pub file: String,
    /// Where in the file.
    pub span: Span,
    /// Line of the start of the span, counted from 1.
    pub line: usize,
    /// Column of the start of the span in characters, counted from 1.
    pub column: usize,
    /// A few words at the underlined text.
    pub label: Option<String>,
    /// What is right, and what to do.
    pub help: Option<String>,
    /// More that is worth knowing.
    pub notes: Vec<String>,
}

impl Finding {
    /// A finding at a place of the file that is being read; the reader fills in file, line and column at the end.
    pub(crate) fn new(code: &'static Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity,
            message: message.into(),
            file: String::new(),
            span,
            line: 0,
            column: 0,
            label: None,
            help: None,
            notes: Vec::new(),
        }
    }

    pub(crate) const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Most findings of a file that are reported one by one. Nobody reads as many before correcting the first; beyond it a
/// generated file of megabytes would be answered by a report of a hundred.
const MOST: usize = 500;

/// Most findings of a file that are kept at all, so that a file that is wrong throughout is no matter of memory. An error beyond
/// them is kept if it is the first one there: whether a file is right does not depend on their number.
const MOST_KEPT: usize = 20_000;

/// Most bytes of a sentence of a finding, some thirty lines. Sentences quote what stands in the document, and a name of a megabyte
/// may be quoted by every finding about those that use it.
const LONGEST: usize = 2_000;

/// Adds a finding, while there are not too many.
pub(crate) fn keep(findings: &mut Vec<Finding>, mut finding: Finding) {
    if findings.len() < MOST_KEPT || findings.len() == MOST_KEPT && finding.severity == Severity::Error {
        let Finding { message, label, help, notes, .. } = &mut finding;
        std::iter::once(message).chain(label).chain(help).chain(notes).for_each(shorten);
        findings.push(finding);
    }
}

/// Cuts a sentence that is too long.
fn shorten(text: &mut String) {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
        text.shrink_to_fit();
    }
}

/// Fills in file, line and column, orders by place (at one place the worst first), drops repetitions (the same finding
/// by way of two aliases), and says how many there are beyond [`MOST`].
pub(crate) fn locate(mut findings: Vec<Finding>, source: &Source) -> Vec<Finding> {
    for finding in &mut findings {
        let start = source.boundary(finding.span.start);
        let end = source.boundary(finding.span.end).max(start);
        finding.span = Span::new(start, end);
    }
    findings.sort_by_key(|finding| (finding.span.start, Reverse(finding.severity), finding.code.id, finding.span.end));
    findings.dedup();
    if findings.len() > MOST {
        let rest = findings.split_off(MOST);
        findings.extend(more(&rest));
    }
    let mut positions = source.positions();
    for finding in &mut findings {
        source.path().clone_into(&mut finding.file);
        (finding.line, finding.column) = positions.of(finding.span.start);
        if finding.label.is_none() {
            finding.label = label(finding.code).map(ToOwned::to_owned);
        }
    }
    findings
}

/// The finding that stands for the rest, at the place of the first of them and as bad as the worst.
fn more(rest: &[Finding]) -> Option<Finding> {
    let first = rest.first()?;
    let worst = rest.iter().map(|finding| finding.severity).max()?;
    let errors = rest.iter().filter(|finding| finding.severity == Severity::Error).count();
    let least = if rest.len() + MOST < MOST_KEPT { "" } else { "at least " };
    let message = format!("from here on there are {least}{} findings more, {errors} of them errors", rest.len());
    let help = "correct the ones before; many findings often have one cause";
    Some(Finding::new(&codes::MORE, first.span, message).severity(worst).help(help))
}

/// A few words at the underlined text, for the findings whose reader has none of its own.
fn label(code: &Code) -> Option<&'static str> {
    Some(match code.name {
        "unknown-key" | "unknown-parameter" | "unknown-target-key" => "not known here",
        "unknown-action" => "no such action",
        "unknown-resource-type" => "no such resource type",
        "unknown-metric" => "no such metric",
        "undefined-target" | "unknown-disjoint" | "unknown-start-after" | "unresolved-reference" => "not defined",
        "unused-target" => "not used",
        "no-selector" => "which ones?",
        "stop-source-none" => "no alarm",
        "several-experiment-templates" => "the second one",
        "unmeasured-metric" => "not measured here",
        _ => return None,
    })
}
