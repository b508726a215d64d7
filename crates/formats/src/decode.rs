//! From a [`Node`] to values of the model, collecting findings instead of stopping at the first.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashSet},
    rc::Rc,
    str::FromStr,
};

use model::{
    Period,
    nearest::{LONGEST, nearest},
};

use crate::{
    cloudformation::case::{pascal, spoken},
    codes,
    finding::{self, Finding, Severity},
    node::{Entry, Node, ScalarKind, Value},
    source::{Source, Span},
    yaml,
};

/// Most steps of the search for names that were meant, for a whole document. Fifty mistakes among seven hundred names of twenty letters
/// are within it; a generated file with tens of thousands of each would take minutes without it.
const MOST_STEPS: usize = 20_000_000;

/// Steps that a comparison takes beside one for each pair of letters: what it needs is made anew for each.
const TO_BEGIN: usize = 100;

/// What has been spent of [`MOST_STEPS`]. A clone spends of the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guesses(Rc<Cell<usize>>);

impl Guesses {
    /// The known name that was probably meant, while there is something left.
    pub(crate) fn near<'k>(&self, wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
        let affordable = |name: &&str| {
            let is_name = wrong.len().max(name.len()) <= LONGEST;
            // To see that there is nothing to compare is a step as well.
            let steps = if is_name { wrong.len() * name.len() + TO_BEGIN } else { 1 };
            self.0.set(self.0.get() + steps);
            self.0.get() <= MOST_STEPS
        };
        nearest(wrong, known.into_iter().take_while(affordable))
    }
}

/// Reads one document: the source, and what was found so far.
pub(crate) struct Reader<'s> {
    pub(crate) source: &'s Source,
    pub(crate) findings: Vec<Finding>,
    /// Whether numbers and booleans are taken where a text should stand (our own documents), or refused as AWS does.
    pub(crate) native_scalars: bool,
    /// Whether the document's keys are in PascalCase, so that messages name them as they are written there.
    pub(crate) pascal_case: bool,
    /// Whether the document is read to be run, so that nothing may stay open.
    pub(crate) to_run: bool,
    /// What the search for names that were meant has taken so far.
    pub(crate) guesses: Guesses,
    /// Keys that were misspelt: where their mapping starts, and which key was meant. That one is not missing as well.
    meant: HashSet<(usize, String)>,
    /// Keys that belong elsewhere than where people put them: key, and where it belongs.
    misplaced: &'static [(&'static str, &'static str)],
}

/// A mapping whose keys have been checked.
pub(crate) struct Fields<'n> {
    node: &'n Node,
    entries: &'n [Entry],
    what: &'static str,
}

impl<'n> Fields<'n> {
    /// The value of a key, if it is there and not `null`.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// The value of a key that must be there; a finding otherwise.
    pub(crate) fn required(&self, key: &str, reader: &mut Reader<'_>) -> Option<&'n Node> {
        let found = self.get(key);
        let unknown = self.entries.iter().any(|entry| entry.key == key && entry.value.is_unknown());
        if found.is_none() && !unknown && !reader.is_meant(self.node, key) {
            let key = reader.shown(key);
            let message = format!("{} has no `{key}`", self.what);
            let finding = Finding::new(&codes::MISSING_KEY, self.node.head, message).help(format!("add `{key}`"));
            reader.report(finding.label(format!("`{key}` is missing")));
        }
        found
    }

    /// The mapping itself.
    pub(crate) const fn node(&self) -> &'n Node {
        self.node
    }
}

/// `key` and `value` of a mapping that has these two and nothing else.
fn pair(node: &Node) -> Option<(&str, &str)> {
    let [first, second] = node.as_mapping()? else { return None };
    let named = |entry: &Entry, name: &str| entry.key.eq_ignore_ascii_case(name);
    let (key, value) = if named(first, "key") { (first, second) } else { (second, first) };
    let texts = (key.value.as_text()?, value.value.as_text()?);
    (named(key, "key") && named(value, "value")).then_some(texts)
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s Source, misplaced: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            source,
            findings: Vec::new(),
            native_scalars: false,
            pascal_case: false,
            to_run: true,
            guesses: Guesses::default(),
            meant: HashSet::new(),
            misplaced,
        }
    }

    /// Adds a finding; in a document of CloudFormation keys are named as they are written there.
    pub(crate) fn report(&mut self, mut finding: Finding) {
        if self.pascal_case {
            // The message about an unknown key quotes it as it stands there.
            if finding.code.id != codes::UNKNOWN_KEY.id {
                finding.message = spoken(&finding.message);
            }
            finding.help = finding.help.as_deref().map(spoken);
        }
        finding::keep(&mut self.findings, finding);
    }

    /// How bad it is that a value is not known: nothing can be run with it, but a template may be right all the same.
    pub(crate) const fn open_value(&self) -> Severity {
        if self.to_run { Severity::Error } else { Severity::Warning }
    }

    /// Opens a mapping and reports every key that is not known. `what` is the subject of messages: "a target".
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &'static str, known: &[&str]) -> Option<Fields<'n>> {
        let entries = self.entries(node, what)?;
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            if let Some(meant) = self.unknown_key(entry, what, known) {
                self.meant.insert((node.span.start, meant));
            }
        }
        Some(Fields { node, entries, what })
    }

    /// The known name that was probably meant; nothing when a document had too many that might be.
    pub(crate) fn near<'k>(&self, wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
        self.guesses.near(wrong, known)
    }

    /// Whether a key of this mapping is there, but misspelt, which has been reported.
    pub(crate) fn is_meant(&self, node: &Node, key: &str) -> bool {
        self.meant.contains(&(node.span.start, key.to_owned()))
    }

    /// A key as the document would write it.
    pub(crate) fn shown(&self, key: &str) -> String {
        if self.pascal_case { pascal(key) } else { key.to_owned() }
    }

    /// Reports an unknown key; returns the one that was probably meant.
    fn unknown_key(&mut self, entry: &Entry, what: &str, known: &[&str]) -> Option<String> {
        let key = self.shown(&entry.key);
        let place = self.misplaced.iter().find(|(name, _)| *name == entry.key);
        let near = self.near(&entry.key, known.iter().copied());
        let finding = if let Some((_, place)) = place {
            Finding::new(&codes::MISPLACED_KEY, entry.key_span, format!("`{key}` does not belong into {what}"))
                .help(format!("move it: it belongs into {place}"))
        } else {
            let finding = Finding::new(&codes::UNKNOWN_KEY, entry.key_span, format!("{what} has no key `{key}`"));
            match near {
                Some(near) => finding.help(format!("did you mean `{}`?", self.shown(near))),
                None => {
                    let known: Vec<String> = known.iter().map(|key| self.shown(key)).collect();
                    finding.help(format!("known here: {}", known.join(", ")))
                }
            }
        };
        self.report(finding);
        near.filter(|_| place.is_none()).map(ToOwned::to_owned)
    }

    /// The entries of a mapping with names of the author's choice.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        let entries = node.as_mapping();
        if entries.is_none() {
            self.wrong_type(node, what, "a mapping of keys and values");
        }
        entries
    }

    /// The items of a sequence.
    pub(crate) fn items<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        let items = node.as_sequence();
        if items.is_none() {
            self.wrong_type(node, what, "a list");
        }
        items
    }

    /// Reports a value of the wrong type. One that could not be computed has been reported where it was tried.
    pub(crate) fn wrong_type(&mut self, node: &Node, what: &str, wanted: &str) {
        if node.is_unknown() {
            return;
        }
        if node.as_text().is_some_and(|text| text.contains('：')) {
            self.report(yaml::full_width(node.span));
            return;
        }
        let span = if node.as_scalar().is_some() { node.span } else { node.head };
        let message = format!("{what} must be {wanted}, not {}", node.describe());
        self.report(Finding::new(&codes::WRONG_TYPE, span, message).label(format!("should be {wanted}")));
    }

    pub(crate) fn wrong_value(&mut self, span: Span, message: impl Into<String>) {
        self.report(Finding::new(&codes::WRONG_VALUE, span, message));
    }

    /// A text. In YAML a plain `50` counts as one; in JSON only where native scalars do.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if scalar.kind == ScalarKind::Text => Some(scalar.text.clone()),
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null && (scalar.plain || self.native_scalars) => {
                Some(scalar.text.clone())
            }
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => {
                let message = format!("{what} must be a text, not {}", node.describe());
                let help = format!("put it in quotes: \"{}\"", scalar.text);
                self.report(Finding::new(&codes::WRONG_TYPE, node.span, message).help(help));
                None
            }
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                self.wrong_type(node, what, "a text");
                None
            }
        }
    }

    /// A text that some type of the model reads.
    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, node: &Node, what: &str) -> Option<T> {
        let text = self.text(node, what)?;
        text.parse().map_err(|error: T::Err| self.wrong_value(node.span, format!("{what}: {error}"))).ok()
    }

    /// An ISO 8601 duration.
    pub(crate) fn period(&mut self, node: &Node, what: &str) -> Option<Period> {
        self.parsed(node, what)
    }

    /// A duration longer than nothing.
    pub(crate) fn some_time(&mut self, node: &Node, what: &str) -> Option<Period> {
        let period = self.period(node, what)?;
        if period == Period::ZERO {
            self.wrong_value(node.span, format!("{what} must be longer than nothing"));
            return None;
        }
        Some(period)
    }

    /// A number, in text or not.
    pub(crate) fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        let number = node.as_text().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
        if number.is_none() {
            self.wrong_type(node, what, "a number");
        }
        number
    }

    /// A whole number within a range (inclusive).
    pub(crate) fn whole<T>(&mut self, node: &Node, what: &str, range: std::ops::RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let number = node.as_text().and_then(|text| text.parse::<T>().ok()).filter(|number| range.contains(number));
        if number.is_none() {
            let wanted = format!("a whole number from {} to {}", range.start(), range.end());
            match node.as_text() {
                Some(text) => self.wrong_value(node.span, format!("{what} must be {wanted}, not `{text}`")),
                None => self.wrong_type(node, what, &wanted),
            }
        }
        number
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.as_text() {
            Some("true" | "True" | "TRUE") => Some(true),
            Some("false" | "False" | "FALSE") => Some(false),
            _ => {
                self.wrong_type(node, what, "true or false");
                None
            }
        }
    }

    /// One of a few words, each standing for a value.
    pub(crate) fn one_of<T: Copy>(&mut self, node: &Node, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let message = format!("`{text}` is not a value of {what}");
            let help = match nearest(&text, words.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", words.join(", ")),
            };
            self.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help(help));
        }
        found
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        let items = self.items(node, what).unwrap_or_default();
        items.iter().filter_map(|item| self.text(item, what)).collect()
    }

    /// A list of texts, or one text alone.
    pub(crate) fn one_or_more(&mut self, node: &Node, what: &str) -> Vec<String> {
        if node.as_scalar().is_some() { self.text(node, what).into_iter().collect() } else { self.texts(node, what) }
    }

    /// Tags: a map of texts, which other services of AWS write as a list of pairs, or as one pair.
    pub(crate) fn tags(&mut self, node: &Node, what: &str) -> BTreeMap<String, String> {
        if let Some(pairs) = node.as_sequence().and_then(|items| items.iter().map(pair).collect::<Option<Vec<_>>>())
            && !pairs.is_empty()
        {
            let what = self.shown(what);
            let message = format!("{what} must be a mapping of names and values, not a list");
            let right: Vec<String> = pairs.iter().map(|(key, value)| self.tag(key, value)).collect();
            let help = format!("write {what}: {{ {} }}", right.join(", "));
            self.report(Finding::new(&codes::WRONG_TYPE, node.head, message).help(help));
            return BTreeMap::new();
        }
        if let Some((key, value)) = pair(node) {
            let message = format!("these are two tags, named `key` and `value`, and none that is named `{key}`");
            let help = format!("if one tag is meant, write {}: {{ {} }}", self.shown(what), self.tag(key, value));
            self.report(Finding::new(&codes::TAG_PAIR, node.head, message).help(help));
        }
        self.text_map(node, what)
    }

    /// A tag as the document would write it.
    fn tag(&self, key: &str, value: &str) -> String {
        if self.source.text().trim_start().starts_with('{') {
            format!("{key:?}: {value:?}")
        } else {
            format!("{key}: {value}")
        }
    }

    /// A map of texts.
    pub(crate) fn text_map(&mut self, node: &Node, what: &str) -> BTreeMap<String, String> {
        let entries = self.entries(node, what).unwrap_or_default();
        let text = |entry: &Entry| {
            let what = format!("`{}` in {what}", entry.key);
            Some((entry.key.clone(), self.text(&entry.value, &what)?))
        };
        entries.iter().filter_map(text).collect()
    }
}
