//! One tree for JSON and YAML, in which every key and value knows where it stands.

use crate::source::Span;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// The whole value, with quotes and brackets.
    pub span: Span,
    /// What a message about the value as a whole points at: the key it stands under, or its first token. A mapping of
    /// fifty lines underlined from end to end would help nobody.
    pub head: Span,
    /// A YAML tag such as `!Ref`; none for JSON and for the tags of YAML's core schema.
    pub tag: Option<String>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the document; no key is there twice.
    Mapping(Vec<Entry>),
}

/// A single value with its text, so that a field of text can take `50` or `2012-10-17` as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text, escapes resolved.
    pub text: String,
    /// What the notation says it is.
    pub kind: ScalarKind,
    /// Whether it stands there without quotes in YAML, where only the reader's schema decides whether it is a text.
    pub plain: bool,
}

/// What the notation says a scalar is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalarKind {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A text that stands at `span`.
    #[must_use]
    pub fn text(text: impl Into<String>, span: Span) -> Self {
        let value = Value::Scalar(Scalar { text: text.into(), kind: ScalarKind::Text, plain: false });
        Self { value, span, head: span, tag: None }
    }

    /// The scalar, if it is one.
    #[must_use]
    pub const fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// The text of a scalar, whatever its kind; none for `null` and for collections.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_scalar().filter(|scalar| scalar.kind != ScalarKind::Null).map(|scalar| scalar.text.as_str())
    }

    /// The items, if it is a sequence.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            Value::Scalar(_) | Value::Mapping(_) => None,
        }
    }

    /// The entries, if it is a mapping.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Scalar(_) | Value::Sequence(_) => None,
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(|scalar| scalar.kind == ScalarKind::Null)
    }

    /// Whether it stands for a value that could not be computed, which has been reported where it happened.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.as_scalar()
            .is_some_and(|scalar| scalar.kind == ScalarKind::Null && scalar.text.is_empty() && !scalar.plain)
    }

    /// A value that could not be computed.
    #[must_use]
    pub fn unknown(span: Span) -> Self {
        let value = Value::Scalar(Scalar { text: String::new(), kind: ScalarKind::Null, plain: false });
        Self { value, span, head: span, tag: None }
    }

    /// The entry with this key, if it is a mapping that has one.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_mapping()?.iter().find(|entry| entry.key == key)
    }

    /// The value under this key, if it is a mapping that has one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// How many values it is made of, itself included.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        let within: usize = match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => items.iter().map(Self::count).sum(),
            Value::Mapping(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
        };
        1 + within
    }

    /// Moves it, with all that is in it, from the place it has in a part of a text to the one in the whole.
    pub(crate) fn shift(&mut self, by: usize) {
        self.span = self.span.moved(by);
        self.head = self.head.moved(by);
        match &mut self.value {
            Value::Scalar(_) => {}
            Value::Sequence(items) => items.iter_mut().for_each(|item| item.shift(by)),
            Value::Mapping(entries) => {
                for entry in entries {
                    entry.key_span = entry.key_span.moved(by);
                    entry.value.shift(by);
                }
            }
        }
    }

    /// What it is, for messages: "a mapping", "the number 5".
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => "nothing".to_owned(),
                ScalarKind::Bool(_) => format!("the boolean {}", scalar.text),
                ScalarKind::Number(_) => format!("the number {}", scalar.text),
                ScalarKind::Text => {
                    let mut text: String = scalar.text.chars().take(40).collect();
                    if text.len() < scalar.text.len() {
                        text.push('…');
                    }
                    format!("the text {text:?}")
                }
            },
        }
    }

    /// The same value as JSON, without places and tags. Numbers that JSON cannot hold become text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Mapping(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
            Value::Sequence(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => Json::Null,
                ScalarKind::Bool(value) => Json::Bool(value),
                ScalarKind::Number(value) => serde_json::from_str(&scalar.text)
                    .ok()
                    .filter(Json::is_number)
                    .or_else(|| serde_json::Number::from_f64(value).map(Json::Number))
                    .unwrap_or_else(|| Json::String(scalar.text.clone())),
                ScalarKind::Text => Json::String(scalar.text.clone()),
            },
        }
    }
}

/// Deepest nesting that is read. FIS templates nest 6 deep and CloudFormation rarely 20; every walk over a tree is
/// recursive, so this also bounds the stack.
pub const MAX_DEPTH: usize = 100;
