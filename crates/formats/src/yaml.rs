//! YAML text to a [`Node`] tree.
//!
//! granit-parser yields events with places; this module builds the tree, resolves plain scalars by YAML 1.2's core
//! schema (so `NO` and `2012-10-17` are texts) and expands aliases within a budget.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::{
    codes,
    finding::{self, Finding},
    json::duplicate_key,
    node::{Entry, MAX_DEPTH, Node, Scalar, ScalarKind, Value},
    source::{MAX_BYTES, Span},
};

/// Most nodes that aliases and anchors may copy. Real documents repeat a few dozen; "billion laughs" repeat 10^9.
const MAX_COPIED: usize = 100_000;

/// Most bytes of text that they may copy: as much as the largest file has.
const MAX_COPIED_TEXT: usize = MAX_BYTES;

/// Most mappings under a key that is there already whose keys are taken over; a document that repeats more is generated.
const MAX_MERGED: usize = 100;

/// Most values of one document. Ten times more than the largest template of CloudFormation has, and a tree of them takes
/// less than 300 MB.
pub(crate) const MAX_NODES: usize = 1_000_000;

/// Reads the one document of a YAML text. Duplicate keys are reported and the first one kept; a syntax error is
/// reported and ends the reading.
pub fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    read(text, findings, false).into_iter().next()
}

/// Reads all documents of a YAML text, such as the manifests of one file of Kubernetes; none where one has a syntax
/// error.
pub(crate) fn parse_all(text: &str, findings: &mut Vec<Finding>) -> Vec<Node> {
    read(text, findings, true)
}

fn read(text: &str, findings: &mut Vec<Finding>, several: bool) -> Vec<Node> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(text, findings, several);
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, place(&span)),
            Err(error) => Err(Box::new(syntax(text, &error))),
        };
        match step {
            Ok(true) => {}
            Ok(false) => break,
            Err(finding) => {
                builder.findings.push(unrendered(text).unwrap_or(*finding));
                return Vec::new();
            }
        }
    }
    let roots = builder.roots;
    if roots.is_empty() {
        findings.push(Finding::new(&codes::UNKNOWN_DOCUMENT, Span::default(), "the file is empty"));
    }
    roots
}

/// The finding for a text that is a template of YAML, whose syntax nobody can blame.
fn unrendered(text: &str) -> Option<Finding> {
    /// What templates of Go and of Jinja have, and YAML that is right does not.
    const MARKS: &[&str] =
        &["{{-", "-}}", "{{ .", "{{.", "{{ include ", "{{ if ", "{{ range ", "{{ template ", "{{ toYaml ", "{%"];
    let at = MARKS.iter().filter_map(|mark| text.find(mark)).min()?;
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    let finding = Finding::new(
        &codes::UNRENDERED,
        Span::new(at, end),
        "this is a template, which is no YAML before it is rendered",
    );
    Some(finding.help("render it, and check what comes out: helm template CHART > rendered.yaml"))
}

struct Builder<'t, 'f> {
    text: &'t str,
    findings: &'f mut Vec<Finding>,
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    copied: Size,
    merged: usize,
    nodes: usize,
    documents: usize,
    /// Whether more than one document is read.
    several: bool,
    roots: Vec<Node>,
}

/// A collection that is not closed yet.
struct Frame {
    value: Value,
    /// Keys so far, for mappings.
    seen: HashSet<String>,
    /// The key whose value comes next.
    key: Option<(String, Span)>,
    start: Span,
    tag: Option<String>,
    anchor: usize,
}

/// A node with a name, and how large it is.
struct Anchored {
    node: Node,
    size: Size,
}

/// How large a tree is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    depth: usize,
    /// Bytes of its texts and keys.
    text: usize,
}

type Step = Result<bool, Box<Finding>>;

impl<'t, 'f> Builder<'t, 'f> {
    fn new(text: &'t str, findings: &'f mut Vec<Finding>, several: bool) -> Self {
        let (open, anchors, roots) = (Vec::new(), HashMap::new(), Vec::new());
        Self {
            text,
            findings,
            open,
            anchors,
            copied: Size::default(),
            merged: 0,
            nodes: 0,
            documents: 0,
            several,
            roots,
        }
    }

    /// Takes one event; false when nothing more is to be read.
    fn take(&mut self, event: Event<'_>, span: Span) -> Step {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                self.anchors.clear();
                if self.documents > 1 && !self.several {
                    self.findings.push(
                        Finding::new(&codes::SEVERAL_DOCUMENTS, span, "a second YAML document starts here")
                            .help("put each document into a file of its own; only the first one was checked"),
                    );
                    return Ok(false);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(text.into_owned(), style, tag.as_deref(), self.with_tag(span, tag.as_deref()));
                self.add(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(Value::Sequence(Vec::new()), span, anchor, tag.as_deref())?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(Value::Mapping(Vec::new()), span, anchor, tag.as_deref())?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
            Event::Alias(id) => self.alias(id, span)?,
            Event::UnresolvedAlias(name) => {
                let message = format!("no anchor `&{name}` stands before this alias");
                return Err(Box::new(
                    Finding::new(&codes::YAML_SYNTAX, span, message)
                        .help(format!("put quotes around it if you mean a text: \"*{name}\"")),
                ));
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => {}
            _ => {}
        }
        Ok(true)
    }

    /// The span of a value together with the tag before it.
    fn with_tag(&self, span: Span, tag: Option<&Tag>) -> Span {
        let Some(tag) = tag.and_then(custom_tag) else { return span };
        let before = self.text.get(..span.start).unwrap_or_default().trim_end();
        // An anchor between the two is rare, and the tag then stays outside.
        if before.ends_with(&tag) { Span::new(before.len() - tag.len(), span.end) } else { span }
    }

    fn begin(&mut self, value: Value, start: Span, anchor: usize, tag: Option<&Tag>) -> Result<(), Box<Finding>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(start));
        }
        let start = self.with_tag(start, tag);
        let tag = tag.and_then(custom_tag);
        self.open.push(Frame { value, seen: HashSet::new(), key: None, start, tag, anchor });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Box<Finding>> {
        let Some(Frame { value, start, tag, anchor, .. }) = self.open.pop() else { return Ok(()) };
        let last = match &value {
            Value::Mapping(entries) => entries.last().map(|entry| &entry.value),
            Value::Sequence(items) => items.last(),
            Value::Scalar(_) => None,
        };
        // The end of a block collection is only seen at the next token; its last child says where it really ends. In
        // flow style the closing bracket counts.
        let children = last.map_or(start.end, |node| node.span.end);
        let opening = start.start + tag.as_ref().map_or(0, String::len);
        let opening = self.text.get(opening..).and_then(|text| text.trim_start().chars().next());
        let closed_by_bracket = matches!(opening, Some('{' | '['));
        let end = if closed_by_bracket { span.end.max(children) } else { children.max(start.end) };
        let head = match &value {
            Value::Mapping(entries) if !closed_by_bracket => entries.first().map_or(start, |entry| entry.key_span),
            _ => Span::new(start.start, (start.start + 1).min(end)),
        };
        self.add(Node { value, span: Span::new(start.start, end), head, tag }, anchor)
    }

    /// Puts a finished node where it belongs: the root, the next item, a key, or a key's value.
    fn add(&mut self, mut node: Node, anchor: usize) -> Result<(), Box<Finding>> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Box::new(too_many(node.head)));
        }
        if anchor != 0 {
            let size = size(&node);
            self.spend(size, node.span)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        let Some(frame) = self.open.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        match &mut frame.value {
            Value::Sequence(items) => items.push(node),
            Value::Mapping(entries) => match frame.key.take() {
                None => {
                    let Value::Scalar(scalar) = node.value else {
                        return Err(Box::new(
                            Finding::new(&codes::YAML_SYNTAX, node.head, "a key must be a text, not a collection")
                                .help("put quotes around a value that starts with `{` or `[`"),
                        ));
                    };
                    frame.key = Some((scalar.text, node.span));
                }
                Some((key, key_span)) => {
                    if node.as_scalar().is_none() {
                        node.head = key_span;
                    }
                    if frame.seen.insert(key.clone()) {
                        entries.push(Entry { key, key_span, value: node });
                    } else {
                        finding::keep(self.findings, duplicate_key(&key, key_span));
                        self.merged += 1;
                        if self.merged <= MAX_MERGED {
                            merge(entries, &key, node);
                        }
                    }
                }
            },
            Value::Scalar(_) => {}
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Box<Finding>> {
        let Some(anchored) = self.anchors.get(&id) else {
            let finding = Finding::new(&codes::YAML_SYNTAX, span, "this alias stands inside the value it refers to");
            return Err(Box::new(finding));
        };
        if self.open.len() + anchored.size.depth > MAX_DEPTH {
            return Err(too_deep(span));
        }
        let size = anchored.size;
        self.spend(size, span)?;
        let Some(anchored) = self.anchors.get(&id) else { return Ok(()) };
        let mut node = anchored.node.clone();
        // Messages about an alias point at the alias; its insides stand where they were written.
        node.head = span;
        self.add(node, 0)
    }

    /// Counts what a copy takes.
    fn spend(&mut self, size: Size, span: Span) -> Result<(), Box<Finding>> {
        self.copied.nodes += size.nodes;
        self.copied.text += size.text;
        if self.copied.nodes > MAX_COPIED || self.copied.text > MAX_COPIED_TEXT {
            let message = format!("aliases repeat more than {MAX_COPIED} values, or {MAX_COPIED_TEXT} bytes of them");
            return Err(Box::new(Finding::new(&codes::TOO_DEEP, span, message).help("write fewer aliases of aliases")));
        }
        Ok(())
    }
}

/// Takes what a second mapping under the same key has besides the first, so that more can be said about a document that
/// is in error already.
fn merge(entries: &mut [Entry], key: &str, second: Node) {
    let first = entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value.value);
    if let (Some(Value::Mapping(first)), Value::Mapping(second)) = (first, second.value) {
        let new: Vec<Entry> =
            second.into_iter().filter(|entry| first.iter().all(|known| known.key != entry.key)).collect();
        first.extend(new);
    }
}

/// A document of more values than are read.
pub(crate) fn too_many(span: Span) -> Finding {
    Finding::new(&codes::TOO_LARGE, span, format!("the document has more than {MAX_NODES} values"))
        .help("check the documents it was made from, or split it")
}

fn too_deep(span: Span) -> Box<Finding> {
    Box::new(Finding::new(&codes::TOO_DEEP, span, format!("values are nested more than {MAX_DEPTH} deep")))
}

/// How large a tree is (recursion is bounded by [`MAX_DEPTH`]).
fn size(node: &Node) -> Size {
    let within = |children: &mut dyn Iterator<Item = &Node>| {
        children.map(size).fold(Size { nodes: 1, depth: 1, text: 0 }, |all, one| Size {
            nodes: all.nodes + one.nodes,
            depth: all.depth.max(one.depth + 1),
            text: all.text + one.text,
        })
    };
    match &node.value {
        Value::Scalar(scalar) => Size { nodes: 1, depth: 0, text: scalar.text.len() },
        Value::Sequence(items) => within(&mut items.iter()),
        Value::Mapping(entries) => {
            let keys: usize = entries.iter().map(|entry| entry.key.len()).sum();
            let all = within(&mut entries.iter().map(|entry| &entry.value));
            Size { text: all.text + keys, ..all }
        }
    }
}

fn place(span: &granit_parser::Span) -> Span {
    let start = span.start.byte_offset().unwrap_or_default();
    Span::new(start, span.end.byte_offset().unwrap_or(start).max(start))
}

/// A tag that is not one of YAML's own: `!Ref`.
fn custom_tag(tag: &Tag) -> Option<String> {
    tag.core_suffix().is_none().then(|| format!("{}{}", tag.original_handle(), tag.suffix())).filter(|tag| tag != "!")
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
    let plain = style == ScalarStyle::Plain;
    let kind = match tag {
        None if plain => core_schema(&text),
        Some(tag) if plain && matches!(tag.core_suffix(), Some("int" | "float" | "bool" | "null")) => {
            core_schema(&text)
        }
        _ => ScalarKind::Text,
    };
    let value = Value::Scalar(Scalar { text, kind, plain });
    Node { value, span, head: span, tag: tag.and_then(custom_tag) }
}

/// What a plain scalar is by YAML 1.2.2, section 10.3.2.
fn core_schema(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "True" | "TRUE" => return ScalarKind::Bool(true),
        "false" | "False" | "FALSE" => return ScalarKind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return ScalarKind::Number(f64::NAN),
        _ => {}
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return ScalarKind::Number(sign * f64::INFINITY);
    }
    let radix = |prefix: &str, radix| {
        // Up to 2^53 a number is exact; longer ones are texts to every reader of this crate.
        text.strip_prefix(prefix).and_then(|digits| u32::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return ScalarKind::Number(f64::from(number));
    }
    let starts = unsigned.strip_prefix('.').unwrap_or(unsigned).starts_with(|c: char| c.is_ascii_digit());
    let only = unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    match unsigned.parse::<f64>() {
        Ok(number) if starts && only => ScalarKind::Number(sign * number),
        _ => ScalarKind::Text,
    }
}

/// The parser's error as a finding, with the commonest causes explained.
fn syntax(text: &str, error: &granit_parser::ScanError) -> Finding {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    // Without its place, which the finding has anyway.
    let whole = error.to_string();
    let message = whole.split(" at byte").next().and_then(|m| m.split(" at char").next()).unwrap_or(&whole).to_owned();
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let previous = text[..line_start].lines().next_back().unwrap_or_default();
    let finding = Finding::new(&codes::YAML_SYNTAX, Span::new(start, end), format!("this is not YAML: {message}"));
    if let Some(colon) = full_width_colon(line).or_else(|| full_width_colon(previous)) {
        return full_width(Span::new(start, end)).note(format!("the parser said: {message}; it met {colon:?}"));
    }
    if line.trim_start_matches(' ').starts_with('\t') {
        return finding.help("YAML is indented with spaces; replace the tab");
    }
    if line.contains(": >") || line.contains(": <") || line.contains(": |") || previous.contains(": >") {
        return finding.help("put quotes around a condition: is: \">= 2\"; a bare `>` starts a folded text");
    }
    if line.contains(": %") || line.contains(": @") || line.contains(": `") || line.contains(": *") {
        return finding.help("put quotes around a text that starts with one of % @ ` * & ! |");
    }
    finding.help("look for a missing space after `:`, an unclosed quote or bracket, or a wrong indentation on this line or the one before")
}

fn full_width_colon(text: &str) -> Option<char> {
    text.chars().find(|c| *c == '：')
}

/// The finding for a full-width colon that was meant as YAML's own.
pub(crate) fn full_width(span: Span) -> Finding {
    Finding::new(&codes::FULL_WIDTH, span, "`：` (U+FF1A) is a full-width colon, which YAML takes for a letter")
        .help("write `: ` (an ASCII colon and a space) between key and value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<Finding>) {
        let mut findings = Vec::new();
        (parse(text, &mut findings), findings)
    }

    #[test]
    fn plain_scalars_follow_the_core_schema_and_keep_their_text() {
        let (node, findings) = read("[NO, 2012-10-17, 0x1F, 1e3, .5, ~, True, -7, '5', 1.2.3, +, .]");
        assert!(findings.is_empty(), "{findings:?}");
        let node = node.unwrap();
        let kinds: Vec<_> = node.as_sequence().unwrap().iter().map(|n| n.as_scalar().unwrap().kind).collect();
        use ScalarKind::{Bool, Null, Number, Text};
        assert_eq!(
            kinds,
            [
                Text,
                Text,
                Number(31.0),
                Number(1000.0),
                Number(0.5),
                Null,
                Bool(true),
                Number(-7.0),
                Text,
                Text,
                Text,
                Text
            ]
        );
        assert_eq!(node.as_sequence().unwrap()[1].as_text(), Some("2012-10-17"));
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "targets:\n  web:\n    resourceTags: { app: web }\n";
        let node = read(text).0.unwrap();
        let web = node.get("targets").unwrap().entry("web").unwrap();
        assert_eq!(&text[web.key_span.range()], "web");
        let tags = web.value.get("resourceTags").unwrap();
        assert_eq!(&text[tags.span.range()], "{ app: web }");
        assert_eq!(&text[tags.head.range()], "resourceTags");
        assert_eq!(&text[tags.get("app").unwrap().span.range()], "web");
        assert_eq!(&text[web.value.span.range()], "resourceTags: { app: web }");
    }

    #[test]
    fn tags_of_others_are_kept_and_aliases_are_expanded() {
        let (node, findings) = read("a: &x !Ref Name\nb: *x\nc: !!str 5\nd: !GetAtt [A, Arn]\n");
        assert!(findings.is_empty(), "{findings:?}");
        let node = node.unwrap();
        assert_eq!(node.get("b").unwrap().tag.as_deref(), Some("!Ref"));
        assert_eq!(node.get("c").unwrap().as_scalar().unwrap().kind, ScalarKind::Text);
        assert_eq!(node.get("c").unwrap().tag, None);
        assert_eq!(node.get("d").unwrap().tag.as_deref(), Some("!GetAtt"));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let last = n - 1;
            text.extend([format!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 9].join(", "))]);
        }
        let (node, findings) = read(&text);
        assert!(node.is_none());
        assert_eq!(findings[0].code.id, codes::TOO_DEEP.id);
    }

    #[test]
    fn a_ladder_of_aliases_is_refused_before_the_stack_ends() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for n in 1..2000 {
            text.extend([format!("a{n}: &a{n} [*a{}]\n", n - 1)]);
        }
        assert_eq!(read(&text).1[0].code.id, codes::TOO_DEEP.id);
    }

    #[test]
    fn explains_what_goes_wrong() {
        for (text, code) in [
            ("a: 1\na: 2\n", &codes::DUPLICATE_KEY),
            ("a: 1\n---\nb: 2\n", &codes::SEVERAL_DOCUMENTS),
            ("a: *nowhere\n", &codes::YAML_SYNTAX),
            ("a: [1, 2\n", &codes::YAML_SYNTAX),
            ("? [a, b]\n: c\n", &codes::YAML_SYNTAX),
            ("&a [*a]", &codes::YAML_SYNTAX),
            ("", &codes::UNKNOWN_DOCUMENT),
            ("# nothing\n", &codes::UNKNOWN_DOCUMENT),
        ] {
            assert_eq!(read(text).1.first().map(|f| f.code.id), Some(code.id), "{text}");
        }
    }
}
