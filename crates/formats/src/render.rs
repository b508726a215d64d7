//! Findings for people and for programs.

use std::collections::HashMap;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    codes::CODES,
    explain,
    finding::{Code, Finding, Severity},
    source::{Source, Span},
};

/// A line longer than this is shown in part, so that a document on one line of a megabyte can be reported on.
const LONG_LINE: usize = 500;

/// Columns of the narrowest terminal that is common; no line of a finding's own words is longer.
const COLUMNS: usize = 80;

/// For a terminal: each finding with the line it is about, the offending text underlined, and what is right.
#[must_use]
pub fn terminal(findings: &[Finding], source: &Source, colour: bool) -> String {
    let renderer =
        if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii).term_width(COLUMNS);
    let mut text = String::new();
    for finding in findings {
        let (excerpt, within) = excerpt(finding.span, finding.line, source);
        let words = Words::of(finding);
        let shown = renderer.render(&[group(finding, &words, excerpt, within)]);
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

/// The words of a finding, broken into lines.
struct Words {
    message: String,
    help: Option<String>,
    notes: Vec<String>,
}

impl Words {
    fn of(finding: &Finding) -> Self {
        // What the renderer puts before: `warning[F015]: `, and `    = help: ` behind the line numbers' margin.
        let title = finding.severity.to_string().len() + "[F000]: ".len();
        let margin = finding.line.to_string().len() + " = help: ".len() + 1;
        Self {
            message: wrap(&finding.message, COLUMNS - title),
            help: finding.help.as_deref().map(|help| wrap(help, COLUMNS - margin)),
            notes: finding.notes.iter().map(|note| wrap(note, COLUMNS - margin)).collect(),
        }
    }
}

/// Breaks a text at spaces into lines of at most so many characters; a longer word has a line of its own, and closing
/// brackets stay with what they close.
fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let closes = |at: &usize| rest[at + 1..].starts_with(['}', ']']);
        let end = rest.match_indices(' ').map(|(at, _)| at).find(|at| !closes(at)).unwrap_or(rest.len());
        let word = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            wrapped.push('\n');
            column = 0;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

fn group<'a>(finding: &'a Finding, words: &'a Words, excerpt: &'a str, within: Span) -> Group<'a> {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let annotation = AnnotationKind::Primary.span(within.range()).label(finding.label.as_deref());
    let snippet = Snippet::source(excerpt).path(finding.file.as_str()).line_start(finding.line).fold(false);
    let mut group =
        level.primary_title(words.message.as_str()).id(finding.code.id).element(snippet.annotation(annotation));
    if let Some(help) = &words.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    for note in &words.notes {
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
        let (end_line, end_column) = end(finding, source);
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

/// Line and column of the end of a finding, counted on from its beginning where it ends on the same line: the line of a file of
/// one line is not walked anew for every finding.
fn end(finding: &Finding, source: &Source) -> (usize, usize) {
    let Span { start, end } = finding.span;
    if end <= source.line(finding.line).end {
        (finding.line, finding.column + source.slice(Span::new(start, end)).chars().count())
    } else {
        source.position(end)
    }
}

/// SARIF 2.1.0 for the findings of any number of files: what code-scanning services and editors read. Paths below `base`, an
/// absolute path, are given relative to it.
#[must_use]
pub fn sarif<'a>(files: impl IntoIterator<Item = (&'a [Finding], &'a Source)>, base: &str) -> Value {
    let results: Vec<Value> =
        files.into_iter().flat_map(|(findings, source)| sarif_results(findings, source, base)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "shaketable",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": CODES.iter().map(sarif_rule).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A code with its page: code scanning shows the short text in lists, the full one and the help beside a result.
fn sarif_rule(code: &&Code) -> Value {
    let page = explain::page(code);
    json!({
        "id": code.id,
        "name": code.name,
        "shortDescription": { "text": code.about },
        "fullDescription": { "text": format!("{} {}", code.about, code.consequence).trim_end() },
        "help": { "text": code.cure, "markdown": page },
        "helpUri": format!("{}/blob/main/docs/findings/{}.md", env!("CARGO_PKG_REPOSITORY"), code.id),
        "defaultConfiguration": { "level": code.severity },
    })
}

/// The results of a file. Each is known again, when lines before it come and go, by its code, the text of its line, and the
/// how many-th it is of these.
fn sarif_results(findings: &[Finding], source: &Source, base: &str) -> Vec<Value> {
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let result = |finding: &Finding| {
        let line = source.slice(source.line(finding.line)).trim();
        let hash = fnv(&[finding.code.id, "\n", line]);
        let count = seen.entry(hash).and_modify(|count| *count += 1).or_insert(1);
        sarif_result(finding, source, base, &format!("{hash:016x}:{count}"))
    };
    findings.iter().map(result).collect()
}

/// The hash of Fowler, Noll and Vo (FNV-1a, 64 bits): the same in every version of this program, as a fingerprint must be.
fn fnv(texts: &[&str]) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    texts.iter().flat_map(|text| text.bytes()).fold(0xcbf2_9ce4_8422_2325, step)
}

fn sarif_result(finding: &Finding, source: &Source, base: &str, fingerprint: &str) -> Value {
    let (end_line, end_column) = end(finding, source);
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
                "artifactLocation": { "uri": uri(&finding.file, base) },
                "region": {
                    "startLine": finding.line,
                    "startColumn": finding.column,
                    "endLine": end_line,
                    "endColumn": end_column,
                },
            },
        }],
        "partialFingerprints": { "primaryLocationLineHash": fingerprint },
    })
}

/// A path as the reference that SARIF wants: what is no part of RFC 3986 is written by its bytes. An absolute path is one of
/// the scheme `file`, unless it lies below `base`.
fn uri(path: &str, base: &str) -> String {
    let below = path.strip_prefix(base.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
    let path = below.unwrap_or(path);
    let path = path.strip_prefix("./").unwrap_or(path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~');
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    scheme.to_owned() + &path.bytes().map(escape).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::{fnv, uri, wrap};

    #[test]
    fn paths_are_references_in_sarif() {
        assert_eq!(uri("a b/c#1.yaml", "/work"), "a%20b/c%231.yaml");
        assert_eq!(uri("日.md", "/work"), "%E6%97%A5.md");
        assert_eq!(uri("./x/y.yaml", "/work"), "x/y.yaml");
        assert_eq!(uri("/work/x.yaml", "/work"), "x.yaml");
        assert_eq!(uri("/workshop/x.yaml", "/work"), "file:///workshop/x.yaml");
        assert_eq!(uri("/x.yaml", "/"), "x.yaml");
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv(&[""]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(&["foo", "bar"]), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_stay_whole() {
        assert_eq!(wrap("a bc def", 4), "a bc\ndef");
        assert_eq!(wrap("aaaaaa b c", 3), "aaaaaa\nb c");
        assert_eq!(wrap("日本 日本", 5), "日本 日本");
        assert_eq!(wrap("", 5), "");
        assert_eq!(wrap("add [{ a: b }] to it", 10), "add [{ a:\nb }] to it");
    }
}
