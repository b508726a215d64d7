//! JSON that stands as a text in another document: the body of a dashboard in a stack, the spec of a fault in an
//! experiment.

use std::collections::HashMap;

use crate::{
    decode::Reader,
    json,
    node::Node,
    source::{Source, Span},
};

/// Looks at the JSON in a text by the rules of what it is. What is found points at its place in the whole.
pub(crate) fn check(reader: &mut Reader<'_>, node: &Node, text: &str, rules: impl FnOnce(&mut Reader<'_>, &Node)) {
    let inner = Source::new(reader.source.path(), text);
    let mut findings = Vec::new();
    let root = json::parse(text, &mut findings);
    let mut body = Reader::new(&inner, &[]);
    (body.findings, body.guesses) = (findings, reader.guesses.clone());
    if let Some(root) = root {
        rules(&mut body, &root);
    }
    // Many findings may stand on a line, which is looked for once.
    let mut lines: HashMap<usize, Option<usize>> = HashMap::new();
    for mut finding in body.findings {
        let line = inner.line_of(finding.span.start);
        let here = inner.line(line);
        let start = *lines.entry(line).or_insert_with(|| outer(reader.source, node, &inner, line));
        finding.span = start.map_or(node.span, |start| {
            let moved = |to: usize| start + to.min(here.end) - here.start;
            Span::new(moved(finding.span.start), moved(finding.span.end))
        });
        reader.report(finding);
    }
}

/// Where a line of a text begins in the document that holds it: lines of a block, and a text in one line without
/// escapes, stand there as they are. In others nothing is sure but the text as a whole.
fn outer(source: &Source, node: &Node, inner: &Source, line: usize) -> Option<usize> {
    let there = source.line(source.line_of(node.span.start) + line - 1);
    let at = source.slice(there).find(inner.slice(inner.line(line)))?;
    Some(there.start + at)
}
