//! What a document may hold, as tables: checking, defaults of reading, and the JSON Schema all come from them.

use std::time::Duration;

use super::{
    node::{Entry, Node, Value},
    problem::Problem,
};
use crate::duration::parse_duration;

/// A key that a table of a document may have.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What it is, for the schema.
    pub(crate) about: &'static str,
}

/// What a value may be. Whether the numbers go together is checked where they are used.
#[cfg_attr(not(feature = "simulate"), expect(dead_code, reason = "some values are only in the files of simulations"))]
#[derive(Debug)]
pub(crate) enum Shape {
    /// `250ms`, `2s`, `PT2S`.
    Duration,
    /// A whole number.
    Whole { min: u64, max: u64 },
    /// Any finite number that is not negative.
    Number,
    /// `0.5` or `50%`.
    Part,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// Two numbers, the lower first.
    Range,
    /// A table with these keys.
    Table(&'static [Field]),
    /// A table with any keys; what is under each.
    Map(&'static Self),
    /// A list; what each item is.
    List(&'static Self),
    /// A table with one key, or a text: `from 1s to 2s: hang`, which YAML reads as the one and JSON writes as the other.
    Sentence,
    /// One of these, told apart by what the value looks like.
    Either(&'static [Self]),
}

impl Shape {
    /// Checks a value and everything in it.
    pub(crate) fn check(&self, node: &Node, path: &str, problems: &mut Vec<Problem>) {
        let wrong = |problems: &mut Vec<Problem>, what: String| {
            problems.push(Problem { path: path.to_owned(), place: node.place, what });
        };
        match (self, &node.value) {
            (Self::Table(fields), Value::Map(entries)) => check_table(fields, entries, path, problems),
            (Self::Map(shape), Value::Map(entries)) => {
                for entry in entries {
                    shape.check(&entry.value, &join(path, &entry.key), problems);
                }
            }
            (Self::List(shape), Value::List(items)) => {
                for (number, item) in items.iter().enumerate() {
                    shape.check(item, &format!("{path}[{number}]"), problems);
                }
            }
            (Self::Either(shapes), _) => match shapes.iter().find(|shape| shape.looks_like(node)) {
                Some(shape) => shape.check(node, path, problems),
                None => wrong(problems, format!("cannot be {node}: it must be {}", self.describe())),
            },
            (Self::Duration, Value::Text(text)) => {
                if let Err(why) = parse_duration(text) {
                    wrong(problems, format!("cannot be {node}: {why}"));
                }
            }
            _ => {
                if !self.takes(node) {
                    wrong(problems, format!("cannot be {node}: it must be {}", self.describe()));
                }
            }
        }
    }

    /// Whether a value without parts of its own is right.
    fn takes(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (Self::Whole { min, max }, _) => whole(node).is_some_and(|number| (*min..=*max).contains(&number)),
            (Self::Number, Value::Number(number)) => number.is_finite() && *number >= 0.0,
            (Self::Part, _) => part(node).is_some(),
            (Self::Bool, Value::Bool(_)) | (Self::Text | Self::Sentence, Value::Text(_)) => true,
            (Self::Word(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Self::Range, _) => range(node).is_some(),
            (Self::Sentence, Value::Map(entries)) => {
                matches!(entries.as_slice(), [Entry { value: Node { value: Value::Text(_), .. }, .. }])
            }
            // A table left empty in YAML is nothing: all defaults.
            (Self::Table(_) | Self::Map(_), Value::Null) => true,
            _ => false,
        }
    }

    /// Whether somebody who wrote this value meant this shape.
    fn looks_like(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (Self::Duration, Value::Text(text)) => {
                text.starts_with(|first: char| first.is_ascii_digit() || first == 'P')
            }
            (Self::Table(_) | Self::Map(_), Value::Map(_))
            | (Self::Range | Self::List(_), Value::List(_))
            | (Self::Whole { .. } | Self::Number, Value::Number(_)) => true,
            _ => self.takes(node),
        }
    }

    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Duration => "a duration such as 250ms, 2s, 1m30s or PT2S".to_owned(),
            Self::Whole { min, max: u64::MAX } => format!("a whole number from {min}"),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number => "a number that is not negative".to_owned(),
            Self::Part => "a part such as 0.5 or 50%".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Word(words) => words.join(" or "),
            Self::Text => "a text".to_owned(),
            Self::Range => "two numbers such as [0.5, 1.5]".to_owned(),
            Self::Table(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("a table with some of {}", names.join(", "))
            }
            Self::Map(_) => "a table of names".to_owned(),
            Self::List(shape) => format!("a list, each {}", shape.describe()),
            Self::Sentence => "a line such as `from 10s to 30s: error 50%`".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
        }
    }
}

fn check_table(fields: &[Field], entries: &[Entry], path: &str, problems: &mut Vec<Problem>) {
    for entry in entries {
        let inner = join(path, &entry.key);
        match fields.iter().find(|field| field.name == entry.key) {
            Some(field) => field.shape.check(&entry.value, &inner, problems),
            None => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                let what = match nearest(&entry.key, &names) {
                    Some(name) => format!("is not an option: did you mean `{name}`?"),
                    None => format!("is not an option: there are {}", names.join(", ")),
                };
                problems.push(Problem { path: inner, place: entry.place, what });
            }
        }
    }
}

/// The path of a key; keys that would be misread in a path are quoted.
pub(crate) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let key = if plain { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The known name that was probably meant: at most a third of its letters are different.
pub(crate) fn nearest<'n>(wrong: &str, names: &[&'n str]) -> Option<&'n str> {
    // Nobody's slip of the pen is longer; and the comparison takes the product of both lengths.
    let wrong: String = wrong.chars().take(64).collect::<String>().to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
    let (distance, name) = names.iter().map(|name| (distance(name), *name)).min()?;
    (distance * 3 <= name.chars().count().max(3)).then_some(name)
}

/// A whole number, if the node is one.
pub(crate) fn whole(node: &Node) -> Option<u64> {
    let Value::Number(number) = node.value else { return None };
    // 2⁵³: past it a number of a document is not exact any more.
    let exact = number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within 0..=2⁵³")]
    exact.then_some(number as u64)
}

/// A part of one, if the node is that.
pub(crate) fn part(node: &Node) -> Option<f64> {
    match &node.value {
        Value::Number(number) => Some(*number),
        Value::Text(text) => parse_part(text),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
    .filter(|part| (0.0..=1.0).contains(part))
}

/// `50%` as 0.5; `0.5` as itself.
pub(crate) fn parse_part(text: &str) -> Option<f64> {
    let part = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse().ok()?,
    };
    (0.0..=1.0).contains(&part).then_some(part)
}

/// Two numbers, if the node is that.
pub(crate) fn range(node: &Node) -> Option<(f64, f64)> {
    let Value::List(items) = &node.value else { return None };
    let [Node { value: Value::Number(low), .. }, Node { value: Value::Number(high), .. }] = items.as_slice() else {
        return None;
    };
    Some((*low, *high))
}

/// Reads the values of a table that was found right. What is not there is `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'n>(pub(crate) &'n Node);

impl<'n> Table<'n> {
    pub(crate) fn get(self, name: &str) -> Option<&'n Node> {
        self.0.get(name).filter(|node| node.value != Value::Null)
    }

    /// A table that is there, also when it is empty.
    pub(crate) fn table(self, name: &str) -> Option<Self> {
        self.0.get(name).map(Self)
    }

    pub(crate) fn duration(self, name: &str) -> Option<Duration> {
        parse_duration(self.get(name)?.text()?).ok()
    }

    pub(crate) fn whole(self, name: &str) -> Option<u64> {
        self.get(name).and_then(whole)
    }

    /// A whole number whose shape says that it fits.
    pub(crate) fn small(self, name: &str) -> Option<u32> {
        self.whole(name).and_then(|number| u32::try_from(number).ok())
    }

    pub(crate) fn number(self, name: &str) -> Option<f64> {
        match self.get(name)?.value {
            Value::Number(number) => Some(number),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn part(self, name: &str) -> Option<f64> {
        self.get(name).and_then(part)
    }

    #[cfg(feature = "simulate")]
    pub(crate) fn bool(self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Bool(value) => Some(value),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn text(self, name: &str) -> Option<&'n str> {
        self.get(name)?.text()
    }
}
