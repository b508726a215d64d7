//! Findings for people and for programs.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    codes::CODES,
    finding::{Finding, Severity},
    source::{Source, Span},
};

/// A line longer than this is shown in part, so that a document on one line of a megabyte can be reported on.
const LONG_LINE: usize = 500;

/// For a terminal: each finding with the line it is about, the offending text underlined, and what is right.
#[must_use]
pub fn terminal(findings: &[Finding], source: &Source, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for finding in findings {
        let (excerpt, within) = excerpt(finding.span, finding.line, source);
        let shown = renderer.render(&[group(finding, excerpt, within)]);
        // The renderer counts columns in what it is shown, which is a part of the line where the line is long.
        let column = excerpt[..within.start].chars().count() + 1;
        if column == finding.column {
            text.push_str(&shown);
        } else {
            let place = |column| format!("{}:{}:{column}", finding.file, finding.line);
            text.push_str(&shown.replacen(&place(column), &place(finding.column), 1));
        }
        text.push_str("\n\n");
    }
    text
}

fn group<'a>(finding: &'a Finding, excerpt: &'a str, within: Span) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let annotation = AnnotationKind::Primary.span(within.range()).label(finding.label.as_deref());
    let snippet = Snippet::source(excerpt).path(finding.file.as_str()).line_start(finding.line).fold(false);
    let mut group =
        level.primary_title(finding.message.as_str()).id(finding.code.id).element(snippet.annotation(annotation));
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    for note in &finding.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    group
}

/// The line of the span's start, or the part of it around the span, and the span within it.
fn excerpt(span: Span, line: usize, source: &Source) -> (&str, Span) {
    let whole = source.line(line);
    let end = span.end.clamp(span.start, whole.end.max(span.start));
    if whole.end - whole.start <= LONG_LINE {
        let start = span.start.min(whole.end) - whole.start;
        return (source.slice(whole), Span::new(start, end.min(whole.end).max(whole.start + start) - whole.start));
    }
    let from = source.boundary(span.start.saturating_sub(LONG_LINE / 4).max(whole.start));
    let to = source.boundary((span.start + LONG_LINE / 2).min(whole.end)).max(from);
    let end = end.min(to).max(span.start);
    (source.slice(Span::new(from, to)), Span::new(span.start - from, end - from))
}

/// One finding in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonFinding<'a> {
    code: &'static str,
    name: &'static str,
    severity: Severity,
    message: &'a str,
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

/// For programs: a JSON list of the findings of one file.
#[must_use]
pub fn json(findings: &[Finding], source: &Source) -> Value {
    let rows = findings.iter().map(|finding| {
        let (end_line, end_column) = source.position(finding.span.end);
        let row = JsonFinding {
            code: finding.code.id,
            name: finding.code.name,
            severity: finding.severity,
            message: &finding.message,
            file: &finding.file,
            line: finding.line,
            column: finding.column,
            end_line,
            end_column,
            label: finding.label.as_deref(),
            help: finding.help.as_deref(),
            notes: &finding.notes,
        };
        serde_json::to_value(row).unwrap_or(Value::Null)
    });
    Value::Array(rows.collect())
}

/// SARIF 2.1.0 for the findings of any number of files: what code-scanning services and editors read.
#[must_use]
pub fn sarif<'a>(files: impl IntoIterator<Item = (&'a [Finding], &'a Source)>) -> Value {
    let results: Vec<Value> = files
        .into_iter()
        .flat_map(|(findings, source)| findings.iter().map(move |finding| sarif_result(finding, source)))
        .collect();
    let rules: Vec<Value> = CODES
        .iter()
        .map(|code| {
            json!({
                "id": code.id,
                "name": code.name,
                "shortDescription": { "text": code.about },
                "help": { "text": code.cure },
                "defaultConfiguration": { "level": code.severity },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "shaketable", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn sarif_result(finding: &Finding, source: &Source) -> Value {
    let (end_line, end_column) = source.position(finding.span.end);
    let mut text = finding.message.clone();
    for more in finding.help.iter().chain(&finding.notes) {
        text.push_str(". ");
        text.push_str(more);
    }
    json!({
        "ruleId": finding.code.id,
        "ruleIndex": CODES.iter().position(|code| code.id == finding.code.id),
        "level": finding.severity,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": finding.file },
                "region": {
                    "startLine": finding.line,
                    "startColumn": finding.column,
                    "endLine": end_line,
                    "endColumn": end_column,
                },
            },
        }],
    })
}
