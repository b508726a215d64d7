//! YAML text to a [`Node`] tree, and JSON too, which is YAML: so values of both know where they stand.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{
    node::{Entry, Node, Place, Value},
    problem::Problems,
};

/// Deeper than any document of this crate, which has seven levels.
const MAX_DEPTH: usize = 32;
/// Most nodes that aliases may copy. Real documents repeat a few dozen; "billion laughs" repeat 10⁹.
const MAX_COPIED: usize = 10_000;

/// Reads the one document of a text.
pub(super) fn parse(text: &str) -> Result<Node, Problems> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, place(&span))?,
            Err(error) => {
                let marker = error.marker();
                let at = Place { line: marker.line(), column: marker.col() + 1 };
                let whole = error.to_string();
                // Without its place, which the problem has anyway.
                let what = whole.split(" at byte").next().and_then(|what| what.split(" at char").next());
                return Err(Problems::one(Some(at), format!("this is not YAML: {}", what.unwrap_or(&whole))));
            }
        }
    }
    // A file of comments only says nothing, which is what an empty table says.
    Ok(builder.root.unwrap_or(Node::new(Value::Null)))
}

#[derive(Default)]
struct Builder {
    open: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    copied: usize,
    documents: usize,
    root: Option<Node>,
}

/// A collection that is not closed yet.
struct Frame {
    value: Value,
    seen: HashSet<String>,
    /// The key whose value comes next.
    key: Option<(String, Place)>,
    place: Place,
    anchor: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Problems> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problems::one(Some(place), "a second YAML document starts here: one file holds one"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !tag.as_deref().is_some_and(is_text_tag);
                let value = if plain { core_schema(text.into_owned()) } else { Value::Text(text.into_owned()) };
                self.add(Node { value, place: Some(place) }, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Value::List(Vec::new()), place, anchor),
            Event::MappingStart(_, anchor, _) => self.begin(Value::Map(Vec::new()), place, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Frame { value, place, anchor, .. }) = self.open.pop() {
                    self.add(Node { value, place: Some(place) }, anchor)?;
                }
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err(Problems::one(Some(place), "this alias stands inside the value it refers to"));
                };
                self.copied += size;
                if self.copied > MAX_COPIED {
                    let what = format!("aliases repeat more than {MAX_COPIED} values: write fewer aliases of aliases");
                    return Err(Problems::one(Some(place), what));
                }
                self.add(node, 0)?;
            }
            Event::UnresolvedAlias(name) => {
                let what = format!("no anchor `&{name}` stands before this alias");
                return Err(Problems::one(Some(place), what));
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, value: Value, place: Place, anchor: usize) {
        self.open.push(Frame { value, seen: HashSet::new(), key: None, place, anchor });
    }

    /// Puts a finished node where it belongs: the root, the next item, a key, or a key's value.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Problems> {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match frame.key.take() {
                None => frame.key = Some(key(node)?),
                Some((key, place)) => {
                    if !frame.seen.insert(key.clone()) {
                        return Err(Problems::one(Some(place), format!("the key `{key}` is there twice")));
                    }
                    entries.push(Entry { key, place: Some(place), value: node });
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
        Ok(())
    }
}

fn key(node: Node) -> Result<(String, Place), Problems> {
    let place = node.place.unwrap_or(Place { line: 1, column: 1 });
    match node.value {
        Value::Text(text) => Ok((text, place)),
        Value::Number(number) => Ok((number.to_string(), place)),
        Value::Bool(value) => Ok((value.to_string(), place)),
        Value::Null | Value::List(_) | Value::Map(_) => Err(Problems::one(Some(place), "a key must be a text")),
    }
}

/// Number of nodes of a tree; recursion is bounded by the parser's limits.
fn size(node: &Node) -> usize {
    let items: usize = node.items().iter().map(size).sum();
    let values: usize = node.entries().iter().map(|entry| size(&entry.value)).sum();
    1 + items + values
}

fn place(span: &Span) -> Place {
    Place { line: span.start.line(), column: span.start.col() + 1 }
}

fn is_text_tag(tag: &Tag) -> bool {
    tag.core_suffix() == Some("str")
}

/// What a plain scalar is by YAML 1.2.2, section 10.3.2. Hexadecimal and octal numbers are left as texts: no option is one.
fn core_schema(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let numeric = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    match text.parse() {
        Ok(number) if numeric => Value::Number(number),
        _ => Value::Text(text),
    }
}
