//! What keys and values of other people's formats may be, as tables, and the one walk that holds a document to them.
//!
//! A table says what the owner of a format says: which keys there are, what they take, which must be there. What a
//! document *means* is the matter of the rules beside it.

pub(crate) mod forms;

use crate::{
    cloudformation::call,
    codes,
    decode::Reader,
    finding::{Code, Finding},
    node::{Entry, Node, ScalarKind, Value},
    semantics::placeholder,
};

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Anything: it is free, or looked at elsewhere.
    Any,
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text of a form.
    Form(&'static Form),
    /// A whole number within bounds (inclusive).
    Whole(i64, i64),
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of these.
    List(&'static Self),
    /// One of these, or a list of them.
    OneOrMore(&'static Self),
    /// Names of the author's choice, and what stands under each.
    Names(&'static Self),
    /// A mapping with keys of the format.
    Keys(&'static Keys),
}

/// The form of a text.
#[derive(Debug)]
pub(crate) struct Form {
    /// What it is, with an example: "a duration such as 30s".
    pub(crate) what: &'static str,
    /// Texts of the form that people mean most, for a slip.
    pub(crate) near: &'static [&'static str],
    /// Whether a text is one.
    pub(crate) holds: fn(&str) -> bool,
}

/// The keys of a mapping.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The subject of messages: "a selector".
    pub(crate) what: &'static str,
    /// What may stand there.
    pub(crate) keys: &'static [Key],
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether it must be there.
    pub(crate) needed: bool,
}

/// A key that must be there.
pub(crate) const fn need(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, needed: true }
}

/// A key that may be there.
pub(crate) const fn may(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, needed: false }
}

impl Keys {
    /// The key of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of all keys.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

/// In what a document is written, as far as its values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// Types count: manifests of Kubernetes, and JSON for the command line of AWS.
    Strict,
    /// Texts, numbers and booleans stand for each other, and functions compute values.
    CloudFormation,
    /// The same in documents of Systems Manager, where `{{ … }}` stands for a value.
    Automation,
}

impl Notation {
    const fn coerces(self) -> bool {
        !matches!(self, Self::Strict)
    }

    /// Whether a value is known only when the document is used.
    fn computes(self, node: &Node) -> bool {
        match self {
            Self::Strict => false,
            Self::CloudFormation => call(node).is_some(),
            // A document may stand in a stack.
            Self::Automation => node.as_text().is_some_and(|text| text.contains("{{")) || call(node).is_some(),
        }
    }

    const fn missing(self) -> &'static Code {
        match self {
            Self::CloudFormation => &codes::MISSING_PROPERTY,
            Self::Strict | Self::Automation => &codes::MISSING_KEY,
        }
    }
}

/// Holds a node to a shape.
pub(crate) fn check(reader: &mut Reader<'_>, notation: Notation, node: &Node, shape: Shape, what: &str) {
    Walk { reader, notation, around: Vec::new() }.value(node, shape, what);
}

struct Walk<'w, 's> {
    reader: &'w mut Reader<'s>,
    notation: Notation,
    /// The keys of the mappings around the place, the outermost first.
    around: Vec<&'static Keys>,
}

impl Walk<'_, '_> {
    fn value(&mut self, node: &Node, shape: Shape, what: &str) {
        // What is still to be filled in is nobody's mistake here.
        let open = |text: &str| matches!(text, "..." | "…") || text.to_ascii_lowercase().starts_with("your-");
        if node.is_unknown() || self.notation.computes(node) || node.as_text().is_some_and(open) {
            return;
        }
        match shape {
            Shape::Any => {}
            Shape::Text => {
                self.text(node, what, "a text");
            }
            Shape::Word(words) => self.word(node, what, words),
            Shape::Form(form) => self.form(node, what, form),
            Shape::Whole(least, most) => self.whole(node, what, least, most),
            Shape::Number => self.number(node, what),
            Shape::Flag => self.flag(node, what),
            Shape::List(of) => match node.as_sequence() {
                Some(items) => items.iter().for_each(|item| self.value(item, *of, what)),
                None => self.reader.wrong_type(node, what, "a list"),
            },
            Shape::OneOrMore(of) => {
                for item in node.as_sequence().unwrap_or_else(|| std::slice::from_ref(node)) {
                    self.value(item, *of, what);
                }
            }
            Shape::Names(of) => {
                let loops = self.notation == Notation::CloudFormation;
                for entry in self.entries(node, what) {
                    // A loop stands among the names that it makes.
                    if loops && entry.key.starts_with("Fn::") {
                        continue;
                    }
                    self.value(&entry.value, *of, &format!("`{}`", entry.key));
                }
            }
            Shape::Keys(keys) => self.keys(node, what, keys),
        }
    }

    fn entries<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        let entries = node.as_mapping();
        if entries.is_none() {
            self.reader.wrong_type(node, what, "a mapping of keys and values");
        }
        entries.unwrap_or_default()
    }

    fn keys(&mut self, node: &Node, what: &str, keys: &'static Keys) {
        if node.as_mapping().is_none() {
            self.reader.wrong_type(node, what, "a mapping of keys and values");
            return;
        }
        let entries = self.entries(node, what);
        let mut meant = Vec::new();
        let mut open = false;
        self.around.push(keys);
        for entry in entries {
            if self.notation == Notation::CloudFormation && entry.key.starts_with("Fn::") {
                // A macro or a loop beside other keys brings more of them.
                open = true;
            } else if let Some(key) = keys.find(&entry.key) {
                // What is written without a value is not there.
                if !entry.value.is_null() {
                    self.value(&entry.value, key.shape, &format!("`{}`", key.name));
                }
            } else {
                meant.extend(self.unknown(entry, keys));
            }
        }
        self.around.pop();
        if open {
            return;
        }
        for key in keys.keys.iter().filter(|key| key.needed && !meant.contains(&key.name)) {
            let there = entries
                .iter()
                .any(|entry| entry.key == key.name && (!entry.value.is_null() || entry.value.is_unknown()));
            if !there {
                let message = format!("{} has no `{}`", keys.what, key.name);
                let finding = Finding::new(self.notation.missing(), node.head, message);
                self.reader.report(finding.help(format!("add `{}`{}", key.name, example(key.shape))));
            }
        }
    }

    /// Reports a key that is not known; gives back the one that was probably meant.
    fn unknown(&mut self, entry: &Entry, keys: &'static Keys) -> Option<&'static str> {
        let name = entry.key.as_str();
        let elsewhere = place_below(keys, name, 0).or_else(|| {
            let outer = self.around.iter().rev().skip(1).find(|outer| outer.find(name).is_some())?;
            Some(format!("into {}", outer.what))
        });
        if let Some(place) = elsewhere {
            let message = format!("`{name}` does not belong into {}", keys.what);
            let finding = Finding::new(&codes::MISPLACED_KEY, entry.key_span, message);
            self.reader.report(finding.help(format!("move it: it belongs {place}")));
            return None;
        }
        let finding = Finding::new(&codes::UNKNOWN_KEY, entry.key_span, format!("{} has no key `{name}`", keys.what));
        let near = self.reader.near(name, keys.names());
        self.reader.report(finding.help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", some(keys.names())),
        }));
        near
    }

    /// The text of a scalar; a finding where it is something else.
    fn text<'n>(&mut self, node: &'n Node, what: &str, wanted: &str) -> Option<&'n str> {
        let Value::Scalar(scalar) = &node.value else {
            self.reader.wrong_type(node, what, wanted);
            return None;
        };
        match scalar.kind {
            ScalarKind::Text => Some(&scalar.text),
            ScalarKind::Bool(_) | ScalarKind::Number(_) if self.notation.coerces() => Some(&scalar.text),
            ScalarKind::Bool(_) | ScalarKind::Number(_) => {
                let message = format!("{what} must be {wanted}, not {}", node.describe());
                let finding = Finding::new(&codes::WRONG_TYPE, node.span, message);
                self.reader.report(finding.help(format!("put it in quotes: \"{}\"", scalar.text)));
                None
            }
            ScalarKind::Null => {
                self.reader.wrong_type(node, what, wanted);
                None
            }
        }
    }

    fn word(&mut self, node: &Node, what: &str, words: &[&str]) {
        let Some(text) = self.text(node, what, "a text").filter(|text| !words.contains(text) && !placeholder(text))
        else {
            return;
        };
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{text}` is not a value of {what}"));
        let near = self.reader.near(text, words.iter().copied());
        self.reader.report(finding.help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write one of {}", some(words.iter().copied())),
        }));
    }

    fn form(&mut self, node: &Node, what: &str, form: &Form) {
        if let Some(text) = self.text(node, what, form.what).filter(|text| !(form.holds)(text) && !placeholder(text)) {
            let finding =
                Finding::new(&codes::WRONG_VALUE, node.span, format!("{what} must be {}, not `{text}`", form.what));
            self.reader.report(match self.reader.near(text, form.near.iter().copied()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding,
            });
        }
    }

    fn whole(&mut self, node: &Node, what: &str, least: i64, most: i64) {
        let wanted = match (least, most) {
            (i64::MIN, i64::MAX) => "a whole number".to_owned(),
            // The bounds of a number's width are nobody's concern.
            (least, most) if least <= i64::from(i32::MIN) && most >= i64::from(i32::MAX) => "a whole number".to_owned(),
            (least, most) if most >= i64::from(i32::MAX) => format!("a whole number of at least {least}"),
            (least, most) if least == most => least.to_string(),
            _ => format!("a whole number from {least} to {most}"),
        };
        let Some(text) = self.bare(node, what, &wanted) else { return };
        if text.parse::<i64>().is_ok_and(|number| (least..=most).contains(&number)) {
            return;
        }
        let message = format!("{what} must be {wanted}, not `{text}`");
        self.reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message));
    }

    fn number(&mut self, node: &Node, what: &str) {
        let Some(text) = self.bare(node, what, "a number") else { return };
        if text.parse::<f64>().is_err() {
            self.reader.wrong_type(node, what, "a number");
        }
    }

    fn flag(&mut self, node: &Node, what: &str) {
        let Some(text) = self.bare(node, what, "true or false") else { return };
        if !matches!(text.to_ascii_lowercase().as_str(), "true" | "false") {
            self.reader.wrong_type(node, what, "true or false");
        }
    }

    /// The text of a scalar that is written without quotes, where the notation tells them apart.
    fn bare<'n>(&mut self, node: &'n Node, what: &str, wanted: &str) -> Option<&'n str> {
        let Some(scalar) = node.as_scalar().filter(|scalar| scalar.kind != ScalarKind::Null) else {
            self.reader.wrong_type(node, what, wanted);
            return None;
        };
        if placeholder(&scalar.text) {
            return None;
        }
        if scalar.kind == ScalarKind::Text && !self.notation.coerces() {
            let message = format!("{what} must be {wanted}, not {}", node.describe());
            let finding = Finding::new(&codes::WRONG_TYPE, node.span, message);
            let bare = scalar.text.parse::<f64>().is_ok() || matches!(scalar.text.as_str(), "true" | "false");
            self.reader.report(finding.help(if bare {
                format!("write it without quotes: {}", scalar.text)
            } else {
                format!("write {wanted}")
            }));
            return None;
        }
        Some(&scalar.text)
    }
}

/// Where a key belongs that is known deeper down: "under `delay`".
fn place_below(keys: &'static Keys, name: &str, depth: usize) -> Option<String> {
    /// Beyond two levels a key of the same name is a coincidence.
    const DEEPEST: usize = 2;
    if depth == DEEPEST {
        return None;
    }
    keys.keys.iter().find_map(|key| {
        let below = match key.shape {
            Shape::Keys(below) => below,
            Shape::List(Shape::Keys(below)) => below,
            _ => return None,
        };
        if below.find(name).is_some() {
            return Some(format!("under `{}`", key.name));
        }
        place_below(below, name, depth + 1).map(|place| format!("{place} of `{}`", key.name))
    })
}

/// Names for a message; more than fit on two lines help nobody.
pub(crate) fn some<'k, I: IntoIterator<Item = &'k str>>(names: I) -> String {
    const MOST: usize = 16;
    let mut names = names.into_iter();
    let shown: Vec<&str> = names.by_ref().take(MOST).collect();
    let shown = shown.join(", ");
    if names.next().is_some() { format!("{shown}, …") } else { shown }
}

/// What a value may look like, for the help of a missing key.
fn example(shape: Shape) -> String {
    match shape {
        Shape::Word([only]) => format!(": {only}"),
        Shape::Word(words) => format!(": one of {}", some(words.iter().copied())),
        Shape::Form(form) => format!(": {}", form.what),
        Shape::Flag => ": true or false".to_owned(),
        Shape::List(_) => ", a list".to_owned(),
        Shape::Keys(keys) => {
            let needed: Vec<&str> = keys.keys.iter().filter(|key| key.needed).map(|key| key.name).collect();
            if needed.is_empty() { String::new() } else { format!(" with {}", needed.join(", ")) }
        }
        Shape::Any | Shape::Text | Shape::Whole(..) | Shape::Number | Shape::OneOrMore(_) | Shape::Names(_) => {
            String::new()
        }
    }
}
