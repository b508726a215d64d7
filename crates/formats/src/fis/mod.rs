//! AWS FIS experiment templates: reading, printing, the catalogue of actions, and what they are here.

pub mod catalogue;
mod print;
mod read;
mod translate;

use std::collections::BTreeMap;

use model::experiment::Experiment;

pub(crate) use read::{FIS_KEYS, fis_part};
pub(crate) use translate::{Fate, fate};
pub use translate::{Native, Untranslatable, translate};

/// An experiment template as a file holds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    /// What it means.
    pub experiment: Experiment,
    /// The `clientToken` of a `CreateExperimentTemplate` request.
    pub client_token: Option<String>,
    /// Where the file says the same thing in other words than [`Template::to_json`] would choose: by JSON pointer, what
    /// it says. Empty collections that could have been left out, `PERCENT(50.0)`, `PT60S`. With them a template prints
    /// back equal.
    pub spelling: BTreeMap<String, serde_json::Value>,
}

impl From<Experiment> for Template {
    fn from(experiment: Experiment) -> Self {
        Self { experiment, ..Self::default() }
    }
}
