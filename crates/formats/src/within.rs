//! JSON that stands as a text in another document: the body of a dashboard in a stack, the spec of a fault in an
//! experiment.

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
    body.findings = findings;
    if let Some(root) = root {
        rules(&mut body, &root);
    }
    for mut finding in body.findings {
        finding.span = outer(reader.source, node, &inner, finding.span);
        reader.report(finding);
    }
}

/// Where a place of a text stands in the document that holds it: lines of a block, and a text in one line without
/// escapes, stand there as they are. In others nothing is sure but the text as a whole.
fn outer(source: &Source, node: &Node, inner: &Source, place: Span) -> Span {
    let (first, _) = source.position(node.span.start);
    let (line, _) = inner.position(place.start);
    let (here, there) = (inner.line(line), source.line(first + line - 1));
    let Some(at) = source.slice(there).find(inner.slice(here)) else { return node.span };
    let moved = |to: usize| there.start + at + to.min(here.end) - here.start;
    Span::new(moved(place.start), moved(place.end))
}
