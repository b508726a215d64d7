//! A review: a workload, the answers to a lens, and what is made of them.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use crate::{Period, lens::Level};

/// A review, as its file holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// What is reviewed.
    pub workload: Subject,
    /// With which lens.
    pub lens: LensChoice,
    /// What was answered.
    pub answers: Answers,
    /// Answers to questions and choices that the lens no longer has.
    pub retired: Answers,
    /// What is to be done about practices, by the ids of choices.
    pub improvements: BTreeMap<String, Improvement>,
    /// How improvements are planned.
    pub plan: Planning,
    /// A file of incidents, relative to the review's, from which the figures of months are computed.
    pub history: Option<String>,
    /// What months measured, in their order.
    pub months: Vec<Month>,
    /// Earlier states, in their order.
    pub milestones: Vec<Milestone>,
}

/// Answers by the ids of questions.
pub type Answers = BTreeMap<String, Answer>;

/// The workload that is reviewed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Such as production.
    pub environment: Option<String>,
    /// The branch of business.
    pub industry: Option<String>,
    /// Where it runs; the primary one first.
    pub regions: Vec<String>,
    /// In which accounts.
    pub accounts: Vec<String>,
    /// How much the business depends on it.
    pub criticality: Option<Level>,
    /// Availability that is promised, in percent (0 to 100).
    pub availability: Option<f64>,
    /// How long a recovery may take.
    pub rto: Option<Period>,
    /// How much data, as a length of time, may be lost.
    pub rpo: Option<Period>,
    /// Whom to reach, by their part: `on-call`, `manager`, `status page`.
    pub contacts: BTreeMap<String, String>,
    /// Its parts, by their names.
    pub components: Vec<String>,
}

/// Which lens is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LensChoice {
    /// A file, relative to the review's; none: the built-in reliability lens.
    pub file: Option<String>,
    /// The edition that was answered, where the lens says which it is.
    pub edition: Option<String>,
}

/// The answer to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Why the question does not concern this workload; none: it does.
    pub not_applicable: Option<NotApplicable>,
    /// What was said about each choice.
    pub choices: BTreeMap<String, ChoiceAnswer>,
    /// Anything worth knowing.
    pub notes: Option<String>,
}

/// Why something does not concern a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotApplicable {
    /// The kind of reason.
    pub reason: Reason,
    /// In words.
    pub notes: Option<String>,
}

/// Kinds of reasons, as the Well-Architected Tool has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The workload has no such thing.
    OutOfScope,
    /// The business has decided otherwise.
    BusinessPriorities,
    /// The architecture does not allow it.
    ArchitectureConstraints,
    /// Another reason, which the notes say.
    Other,
}

impl Reason {
    /// All, with the words of a file.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("out-of-scope", Self::OutOfScope),
        ("business-priorities", Self::BusinessPriorities),
        ("architecture-constraints", Self::ArchitectureConstraints),
        ("other", Self::Other),
    ];

    /// The word of a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutOfScope => "out-of-scope",
            Self::BusinessPriorities => "business-priorities",
            Self::ArchitectureConstraints => "architecture-constraints",
            Self::Other => "other",
        }
    }
}

/// What was said about a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChoiceAnswer {
    /// Whether it is followed.
    pub status: Status,
    /// Anything worth knowing.
    pub notes: Option<String>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
}

/// Whether a practice is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "reason")]
pub enum Status {
    /// It is.
    Selected,
    /// It is not.
    Unselected,
    /// It does not concern this workload.
    NotApplicable(Reason),
}

impl From<Status> for ChoiceAnswer {
    fn from(status: Status) -> Self {
        Self { status, notes: None, evidence: Vec::new() }
    }
}

/// Something that shows whether a practice is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Where it comes from: a report, a ticket, a measurement.
    pub source: String,
    /// When it was seen.
    pub at: Timestamp,
    /// From when on it shows nothing any more; none: never.
    pub expires: Option<Timestamp>,
    /// Whether it shows that the practice is *not* followed.
    pub contradicts: bool,
    /// What was seen.
    pub says: Option<String>,
}

impl Evidence {
    /// Whether it counts at a time: seen by then and not expired.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        self.at <= now && self.expires.is_none_or(|expires| now < expires)
    }
}

/// What is to be done about a practice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Improvement {
    /// Who does it.
    pub owner: Option<String>,
    /// How much work it is; none: as the lens says.
    pub effort: Option<Level>,
    /// What it is worth to the business; none: as the lens says.
    pub impact: Option<Level>,
    /// How far it is.
    pub progress: Progress,
    /// What must be done before, by the ids of choices; added to what the lens says.
    pub after: Vec<String>,
    /// How long it takes; none: by its effort.
    pub takes: Option<Period>,
    /// When it was or must be done.
    pub due: Option<Date>,
    /// Anything worth knowing.
    pub notes: Option<String>,
}

/// How far an improvement is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Nothing has been done.
    #[default]
    NotStarted,
    /// It is being done.
    InProgress,
    /// It is done; the answer should say so soon.
    Complete,
    /// It will not be done; the risk is known and taken.
    RiskAccepted,
}

impl Progress {
    /// All, with the words of a file.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("not-started", Self::NotStarted),
        ("in-progress", Self::InProgress),
        ("complete", Self::Complete),
        ("risk-accepted", Self::RiskAccepted),
    ];

    /// The word of a file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::InProgress => "in-progress",
            Self::Complete => "complete",
            Self::RiskAccepted => "risk-accepted",
        }
    }
}

/// How improvements are planned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planning {
    /// The first day; none: the day on which the plan is made.
    pub start: Option<Date>,
    /// How many improvements without an owner are worked on at once; none: two.
    pub parallel: Option<u32>,
}

/// What a month measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Month {
    /// Its first day.
    pub first: Date,
    /// Measured availability in percent (0 to 100).
    pub availability: Option<f64>,
    /// How many incidents there were.
    pub incidents: Option<u32>,
    /// How long the workload was down in total.
    pub downtime: Option<Period>,
    /// Backups that were made.
    pub backups_made: Option<u32>,
    /// Backups that failed.
    pub backups_failed: Option<u32>,
    /// Anything worth knowing.
    pub notes: Option<String>,
}

/// The state of a review at an earlier time. It is never changed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Milestone {
    /// Its name; once in a review.
    pub name: String,
    /// When it was made.
    pub at: Timestamp,
    /// The edition of the lens.
    pub edition: Option<String>,
    /// What was answered then.
    pub answers: Answers,
}
