//! From CloudFormation's PascalCase keys to the camelCase keys of the FIS API, level by level: names of the author's
//! choice, tags and parameters stay as they are.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node, Value},
};

/// What the keys of a mapping are.
enum Shape {
    /// A value, or keys that mean nothing to FIS.
    Leaf,
    /// Keys of the API, with what is below those that have something below.
    Keys(&'static [(&'static str, Self)]),
    /// Names, and what is below each.
    Names(&'static Self),
    /// A list of these.
    List(&'static Self),
}

const FLAT: Shape = Shape::Keys(&[]);
const TARGET: Shape =
    Shape::Keys(&[("resourceTags", Shape::Leaf), ("parameters", Shape::Leaf), ("filters", Shape::List(&FLAT))]);
/// The targets of an action are names by key; one that is defined on the spot is a target, to be reported as such.
const ACTION: Shape = Shape::Keys(&[("parameters", Shape::Leaf), ("targets", Shape::Names(&TARGET))]);
const ROOT: Shape = Shape::Keys(&[
    ("tags", Shape::Leaf),
    ("targets", Shape::Names(&TARGET)),
    ("actions", Shape::Names(&ACTION)),
    ("stopConditions", Shape::List(&FLAT)),
    ("experimentOptions", FLAT),
    ("logConfiguration", Shape::Keys(&[("cloudWatchLogsConfiguration", FLAT), ("s3Configuration", FLAT)])),
    (
        "experimentReportConfiguration",
        Shape::Keys(&[
            ("outputs", Shape::Keys(&[("s3Configuration", FLAT)])),
            ("dataSources", Shape::Keys(&[("cloudWatchDashboards", Shape::List(&FLAT))])),
        ]),
    ),
]);

/// The properties of an experiment template with the keys of the API.
pub(super) fn to_camel(reader: &mut Reader<'_>, properties: &Node) -> Node {
    convert(reader, properties, &ROOT)
}

fn convert(reader: &mut Reader<'_>, node: &Node, shape: &Shape) -> Node {
    let value = match (&node.value, shape) {
        (Value::Sequence(items), Shape::List(shape)) => {
            Value::Sequence(items.iter().map(|item| convert(reader, item, shape)).collect())
        }
        (Value::Mapping(entries), Shape::Names(shape)) => Value::Mapping(
            entries
                .iter()
                .map(|entry| Entry { value: convert(reader, &entry.value, shape), ..entry.clone() })
                .collect(),
        ),
        (Value::Mapping(entries), Shape::Keys(below)) => Value::Mapping(
            entries
                .iter()
                .map(|entry| {
                    let key = key(reader, entry);
                    let shape = below.iter().find(|(name, _)| *name == key).map_or(&Shape::Leaf, |(_, shape)| shape);
                    Entry { key, key_span: entry.key_span, value: convert(reader, &entry.value, shape) }
                })
                .collect(),
        ),
        (value, _) => value.clone(),
    };
    Node { value, span: node.span, head: node.head, tag: node.tag.clone() }
}

fn key(reader: &mut Reader<'_>, entry: &Entry) -> String {
    if entry.key == "ExperimentReportS3Configuration" {
        return "s3Configuration".to_owned();
    }
    if entry.key.starts_with(|c: char| c.is_ascii_lowercase()) {
        let message = format!("CloudFormation does not know the key `{}`", entry.key);
        let help = format!("its keys start with a capital letter: `{}`", pascal(&entry.key));
        reader.report(Finding::new(&codes::UNKNOWN_KEY, entry.key_span, message).help(help));
    }
    let mut chars = entry.key.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

/// Keys of the API that are no words of a sentence.
const KEYS: &[&str] = &[
    "actionId",
    "disjointFrom",
    "resourceArns",
    "resourceTags",
    "resourceType",
    "roleArn",
    "selectionMode",
    "startAfter",
    "stopConditions",
];

/// Keys that are words, too, and keys only where a colon follows.
const WORDS: &[&str] = &["actions", "filters", "parameters", "source", "tags", "targets", "value"];

/// A sentence about the API's keys in the words of a template: "add resourceTags: ..." as "add ResourceTags: ...".
pub(crate) fn spoken(text: &str) -> String {
    let mut spoken = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let joined = rest[..start].ends_with(['_', '-', '.', ':', '/', '$']);
        spoken.push_str(&rest[..start]);
        rest = &rest[start..];
        let (word, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()));
        let key = KEYS.contains(&word) || (WORDS.contains(&word) && after.starts_with(": "));
        spoken.push_str(&if key && !joined { pascal(word) } else { word.to_owned() });
        rest = after;
    }
    spoken + rest
}

/// `selectionMode` as `SelectionMode`.
pub(crate) fn pascal(key: &str) -> String {
    let mut chars = key.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn sentences_name_keys_as_a_template_writes_them() {
        for (sentence, wanted) in [
            (
                "add resourceTags: { KEY: VALUE }, filters or parameters",
                "add ResourceTags: { KEY: VALUE }, filters or parameters",
            ),
            ("there is no `roleArn`; targets: { a: 日本 }", "there is no `RoleArn`; Targets: { a: 日本 }"),
            ("its value is my-source: x of documentArn", "its value is my-source: x of documentArn"),
            ("", ""),
        ] {
            assert_eq!(spoken(sentence), wanted);
        }
    }
}
