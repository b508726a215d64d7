//! The configuration document: named pipelines and their options, from TOML, YAML or JSON.
//!
//! ```yaml
//! pipelines:
//!   users:
//!     overall_timeout: 2s
//!     attempt_timeout: 500ms
//!     retry: { max_attempts: 3, base_delay: 50ms }
//!     breaker: { failure_rate: 50%, window: 10s, minimum_calls: 20, open_for: 5s }
//!     bulkhead: { limit: 20, queue: 10, queue_timeout: 100ms }
//! ```
//!
//! Everything that is wrong is reported at once, with its path, its line and column where the format's reader gives
//! them, and what would be right. An option that does not exist is an error: a misspelt `retry` must not mean "none".

mod node;
mod options;
mod problem;
mod schema;
pub(crate) mod shape;
#[cfg(feature = "toml")]
mod toml;
#[cfg(feature = "yaml")]
mod yaml;

use std::collections::BTreeMap;

use serde::{
    Deserializer,
    de::{Deserialize, Error as _},
};

use self::shape::{Field, Shape};
pub use self::{
    node::{Entry, Node, Place, Value},
    problem::{Problem, Problems},
};
pub(crate) use self::{
    options::{PIPELINE, pipeline},
    schema::of as schema_of,
};
pub use crate::duration::{NoDuration, parse_duration, write_duration};
use crate::pipeline::Options;

/// Pipelines by name, as a document says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The options of each pipeline.
    pub pipelines: BTreeMap<String, Options>,
}

/// Everything a document may hold.
const DOCUMENT: &[Field] =
    &[Field { name: "pipelines", shape: Shape::Map(&Shape::Table(PIPELINE)), about: "Pipelines by name." }];

/// A document larger than this is none: a thousand pipelines take a tenth of it.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
const MAX_BYTES: usize = 4 << 20;

impl Document {
    /// Reads YAML. JSON is YAML too, and read by this its problems have lines.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: &str) -> Result<Self, Problems> {
        Self::from_node(&read_yaml(text)?)
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        limited(text)?;
        Self::from_node(&toml::parse(text)?)
    }

    /// Reads JSON. Problems of syntax have a place, others only a path; [`Document::from_yaml`] knows more.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    #[cfg(feature = "json")]
    pub fn from_json(text: &str) -> Result<Self, Problems> {
        limited(text)?;
        let node: Node = serde_json::from_str(text).map_err(|error| {
            let place = Place { line: error.line(), column: error.column() };
            let whole = error.to_string();
            // Without its place, which the problem has anyway.
            let what = whole.rsplit_once(" at line").map_or(whole.as_str(), |(what, _)| what);
            Problems::one(Some(place), format!("this is not JSON: {what}"))
        })?;
        Self::from_node(&node)
    }

    /// Takes a tree that was read before.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_node(node: &Node) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        Shape::Table(DOCUMENT).check(node, "", &mut problems);
        match Problems::from_list(problems) {
            Some(problems) => Err(problems),
            None => Ok(Self { pipelines: pipelines(node)? }),
        }
    }

    /// The JSON Schema (draft 2020-12) of documents, for editors: `schema/pipelines.schema.json` of this crate.
    #[must_use]
    pub fn json_schema() -> String {
        schema_of("Pipelines", "Named pipelines and their options.", DOCUMENT)
    }
}

/// Part of any other configuration: problems then have a path but no place.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_node(&Node::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The pipelines of a document that was found right in its parts.
pub(crate) fn pipelines(document: &Node) -> Result<BTreeMap<String, Options>, Problems> {
    let mut problems = Vec::new();
    let entries = document.get("pipelines").map(Node::entries).unwrap_or_default();
    let path = |name| shape::join("pipelines", name);
    let pipelines = entries
        .iter()
        .map(|entry| (entry.key.clone(), pipeline(&entry.value, &path(&entry.key), &mut problems)))
        .collect();
    Problems::from_list(problems).map_or(Ok(pipelines), Err)
}

/// Reads YAML or JSON of whatever meaning.
#[cfg(feature = "yaml")]
pub(crate) fn read_yaml(text: &str) -> Result<Node, Problems> {
    limited(text)?;
    yaml::parse(text)
}

#[cfg(any(feature = "yaml", feature = "toml", feature = "json"))]
fn limited(text: &str) -> Result<(), Problems> {
    if text.len() > MAX_BYTES {
        return Err(Problems::one(None, format!("the document is longer than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(())
}
