//! A lens: what a review asks, and which answers are which risk.
//!
//! The nouns are those of the custom lens format of the AWS Well-Architected Tool, schema 2021-11-01
//! (<https://docs.aws.amazon.com/wellarchitected/latest/userguide/lenses-format-specification.html>): pillars have
//! questions, a question has choices (best practices) and rules. The first rule whose condition is true says the risk.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod condition;
pub use condition::{Condition, ConditionError, Expr};

/// The one version of the format.
pub const SCHEMA_VERSION: &str = "2021-11-01";

/// Keys that the format does not know, with their values. Authors keep versions and names of authors there; they are
/// given back as they came.
pub type Extra = Map<String, Value>;

/// What a review asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Lens {
    /// Version of the format, normally [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// Up to 128 characters.
    pub name: String,
    /// Up to 2048 characters.
    pub description: Option<String>,
    /// Up to 10.
    pub pillars: Vec<Pillar>,
    /// See [`Extra`].
    pub extra: Extra,
}

/// Questions about one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Pillar {
    /// 3 to 128 letters, digits and underscores; once in a lens.
    pub id: String,
    /// Up to 128 characters.
    pub name: String,
    /// Up to 20.
    pub questions: Vec<Question>,
    /// See [`Extra`].
    pub extra: Extra,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// 3 to 128 letters, digits and underscores; once in a lens.
    pub id: String,
    /// Up to 128 characters.
    pub title: String,
    /// Up to 2048 characters; may be missing.
    pub description: Option<String>,
    /// What helps to answer.
    pub help: Option<Resource>,
    /// Up to 15.
    pub choices: Vec<Choice>,
    /// Up to 3, tried in order.
    pub rules: Vec<Rule>,
    /// See [`Extra`].
    pub extra: Extra,
}

/// A possible answer: mostly a best practice that is followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// 3 to 128 letters, digits and underscores; once in a question. One that ends in `_no` means "none of these".
    pub id: String,
    /// Up to 128 characters.
    pub title: String,
    /// What helps to decide.
    pub help: Option<Resource>,
    /// What to do where it is not chosen.
    pub plan: Option<Resource>,
    /// More to read.
    pub more: Vec<MoreResources>,
    /// See [`Extra`].
    pub extra: Extra,
}

/// A text with an address.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Up to 2048 characters; must be there where there is an address.
    pub text: Option<String>,
    /// `http` or `https`.
    pub url: Option<String>,
    /// See [`Extra`].
    pub extra: Extra,
}

/// More to read about a choice.
#[derive(Debug, Clone, PartialEq)]
pub struct MoreResources {
    /// `HELPFUL_RESOURCE` or `IMPROVEMENT_PLAN`.
    pub kind: String,
    /// Up to 5.
    pub content: Vec<Resource>,
    /// See [`Extra`].
    pub extra: Extra,
}

/// A risk, and the answers that mean it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// When.
    pub condition: Condition,
    /// What then.
    pub risk: Risk,
    /// See [`Extra`].
    pub extra: Extra,
}

/// How bad an answer is; ordered from harmless to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Risk {
    /// Nothing to improve.
    #[serde(rename = "NO_RISK")]
    None,
    /// To be improved.
    #[serde(rename = "MEDIUM_RISK")]
    Medium,
    /// To be improved soon.
    #[serde(rename = "HIGH_RISK")]
    High,
}

impl Risk {
    /// All, with their names in the format.
    pub const NAMES: [(&'static str, Self); 3] =
        [("HIGH_RISK", Self::High), ("MEDIUM_RISK", Self::Medium), ("NO_RISK", Self::None)];

    /// Its name in the format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH_RISK",
            Self::Medium => "MEDIUM_RISK",
            Self::None => "NO_RISK",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::None => "none",
        })
    }
}

/// High, medium or low: how bad it is to go without a practice, how much a change is worth, or how much work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Little.
    Low,
    /// In between.
    Medium,
    /// Much.
    High,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// Not one of high, medium and low.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level; write low, medium or high")]
pub struct LevelError(pub String);

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        match text.to_ascii_lowercase().as_str() {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(LevelError(text.to_owned())),
        }
    }
}

impl Lens {
    /// All questions with their pillars, in order.
    pub fn questions(&self) -> impl Iterator<Item = (&Pillar, &Question)> {
        self.pillars.iter().flat_map(|pillar| pillar.questions.iter().map(move |question| (pillar, question)))
    }

    /// The question with an id.
    #[must_use]
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.questions().map(|(_, question)| question).find(|question| question.id == id)
    }

    /// Which edition it is, where its author says so: `_edition` in our own lenses, `_version` in many others.
    #[must_use]
    pub fn edition(&self) -> Option<&str> {
        ["_edition", "_version"].iter().find_map(|key| note(&self.extra, key))
    }

    /// From when it is, where its author says so.
    #[must_use]
    pub fn date(&self) -> Option<&str> {
        ["_date", "_release_date"].iter().find_map(|key| note(&self.extra, key))
    }
}

impl Question {
    /// The choice with an id.
    #[must_use]
    pub fn choice(&self, id: &str) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.id == id)
    }
}

impl Choice {
    /// Whether it means "none of these", which goes with no other choice: by the format, an id that ends in `_no`; by
    /// the custom of many authors, a title that says so.
    #[must_use]
    pub fn is_none_of_these(&self) -> bool {
        let title = self.title.trim_start().to_lowercase();
        self.id.ends_with("_no") || title.starts_with("none of these") || title.starts_with("none of the above")
    }

    /// What the lens says about it under a key of its own: `_practice` (the published number), `_level` (the risk of
    /// going without), `_impact`, `_effort` ([`Level`]s).
    #[must_use]
    pub fn note(&self, key: &str) -> Option<&str> {
        note(&self.extra, key)
    }

    /// A [`note`](Self::note) that is a level.
    #[must_use]
    pub fn level(&self, key: &str) -> Option<Level> {
        self.note(key)?.parse().ok()
    }

    /// The choices, of any question, that should be there before this one is worth beginning: `_after`.
    pub fn after(&self) -> impl Iterator<Item = &str> {
        self.extra.get("_after").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

fn note<'a>(extra: &'a Extra, key: &str) -> Option<&'a str> {
    extra.get(key).and_then(Value::as_str)
}

/// Something that is wrong with the rules of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The question's id.
    pub question: String,
    /// What.
    pub kind: FlawKind,
}

/// What is wrong with rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlawKind {
    /// No rule says what the risk is for some answers; here is one of them (ids of what is chosen).
    NoRisk {
        /// An answer without a risk.
        example: Vec<String>,
    },
    /// A condition that no answer fulfils.
    NeverTrue {
        /// Which rule, counted from 0.
        rule: usize,
        /// Whether it could be true if "none of these" could be chosen together with others.
        but_for_none: bool,
    },
    /// A condition that is only true where one before it is.
    Unreachable {
        /// Which rule, counted from 0.
        rule: usize,
        /// This one and those before it take all its answers; counted from 0.
        covered_by: usize,
        /// The risk that it would give, and the one that is given instead, where they differ.
        instead_of: Option<(Risk, Risk)>,
    },
    /// A choice that changes the risk of no answer.
    NeverMatters {
        /// Its id.
        choice: String,
    },
    /// Whichever practices are followed, the risk is the same: the question is for information.
    NothingMatters {
        /// The risk.
        risk: Risk,
    },
    /// Whoever follows every practice still has a risk.
    AllIsNotEnough {
        /// The risk then.
        risk: Risk,
    },
    /// There are more choices than are tried out one by one.
    TooMany {
        /// How many there are.
        choices: usize,
    },
}
