//! Diagrams of Mermaid: labels that are not drawn, and what liveness depends on.

use std::collections::{HashMap, HashSet};

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    source::{Source, Span},
};

/// A node's label, and where it stands.
struct Label<'t> {
    text: &'t str,
    span: Span,
}

/// Looks at a flow chart; other diagrams have a grammar of their own.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, span: Span) {
    let text = source.slice(span);
    let kind = text.split_whitespace().next().unwrap_or_default();
    if !matches!(kind, "graph" | "flowchart") {
        return;
    }
    let mut labels: HashMap<&str, Label<'_>> = HashMap::new();
    let mut edges: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut at = span.start;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim();
        if trimmed.starts_with("%%") || trimmed.starts_with("subgraph") || trimmed.starts_with("style") {
            continue;
        }
        for (id, label, offset) in nodes(line) {
            let place = Span::new(start + offset, start + offset + label.len());
            brackets(reader, label, place);
            labels.insert(id, Label { text: label, span: place });
        }
        if let Some((from, to)) = edge(trimmed) {
            edges.entry(from).or_default().push(to);
        }
    }
    liveness(reader, &labels, &edges);
}

/// Every `ID[label]` of a line: id, label, and where in the line the label begins.
fn nodes(line: &str) -> Vec<(&str, &str, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = line[at..].find('[').map(|open| at + open) {
        let Some(close) = line[open..].find(']').map(|close| open + close) else { break };
        let start =
            line[..open].rfind(|c| !is_id(c)).map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
        let (id, label) = (&line[start..open], &line[open + 1..close]);
        // `[(x)]`, `[[x]]`, `[/x/]` are shapes.
        if !id.is_empty() && !label.starts_with(['(', '[', '/', '\\']) {
            found.push((id, label, open + 1));
        }
        at = close + 1;
    }
    found
}

const fn is_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn brackets(reader: &mut Reader<'_>, label: &str, place: Span) {
    if !label.starts_with('"') && label.contains(['(', ')', '{', '}']) {
        let message = "a label with brackets in it needs quotes; the diagram is not drawn";
        reader.report(Finding::new(&codes::MERMAID_LABEL, place, message).help(format!("write [\"{label}\"]")));
    }
}

/// `A --> B`, `A -.-> B`, `A -->|x| B`
fn edge(line: &str) -> Option<(&str, &str)> {
    let arrow = ["-->", "-.->", "==>", "---"].iter().find_map(|arrow| Some((line.find(arrow)?, arrow.len())))?;
    let before = line[..arrow.0].trim_end();
    // The label of the node before the arrow is no part of its id.
    let before = if before.ends_with(']') { before.split('[').next().unwrap_or_default().trim_end() } else { before };
    let from = &before
        [before.rfind(|c| !is_id(c)).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8))..];
    let after = line[arrow.0 + arrow.1..].trim_start();
    let after =
        after.strip_prefix('|').and_then(|rest| rest.split_once('|')).map_or(after, |(_, after)| after.trim_start());
    let to = &after[..after.find(|c| !is_id(c)).unwrap_or(after.len())];
    (!from.is_empty() && !to.is_empty()).then_some((from, to))
}

/// Most nodes that are followed, and most of them followed from one: a diagram for people has dozens.
const MOST: usize = 1_000;

/// What liveness reaches along the arrows.
fn liveness(reader: &mut Reader<'_>, labels: &HashMap<&str, Label<'_>>, edges: &HashMap<&str, Vec<&str>>) {
    /// What many instances share.
    const SHARED: &[&str] = &["database", "redis", "kafka", "cache", "queue", "aurora", "postgres", "mysql"];
    // Each is asked for by many.
    let mut known: HashMap<&str, bool> = HashMap::new();
    let mut shared = |id| {
        *known.entry(id).or_insert_with(|| {
            let text = labels.get(id).map_or(id, |label| label.text).to_lowercase();
            SHARED.iter().any(|word| text.contains(word))
        })
    };
    let mut starts: Vec<&&str> =
        labels.iter().filter(|(_, label)| label.text.to_lowercase().contains("liveness")).map(|(id, _)| id).collect();
    starts.sort_unstable();
    for start in starts.into_iter().take(MOST) {
        let mut seen = HashSet::from([*start]);
        let mut next = vec![*start];
        let mut found = None;
        while let Some(id) = next.pop().filter(|_| seen.len() < MOST) {
            if shared(id) {
                found = Some(id);
                break;
            }
            next.extend(edges.get(id).into_iter().flatten().copied().take(MOST).filter(|to| seen.insert(*to)));
        }
        if let (Some(found), Some(label)) = (found, labels.get(start)) {
            let what = labels.get(found).map_or(found, |label| label.text).split("<br").next().unwrap_or_default();
            let message = format!("liveness depends on {what}, which all instances share");
            reader.report(Finding::new(&codes::DEEP_LIVENESS, label.span, message).help("let liveness say only whether the process works; dependencies belong into readiness, shared ones into neither"));
        }
    }
}
