//! Suites of experiments: which belong together, in which order one dares them, and what became of them.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::verdict::Verdict;

/// Experiments that belong together, such as those of a yearly check-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// The systems that are looked at, in the order of the document.
    pub systems: Vec<System>,
    /// What no record can show, and somebody says.
    pub declared: Vec<Declared>,
}

/// One of the systems that a check-up looks at: compute, data, communication, defence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its name.
    pub name: String,
    /// The question that is asked of it.
    pub question: String,
    /// What is checked, in the order of the document.
    pub checks: Vec<Check>,
}

/// Something that is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// When one dares it.
    pub stage: Stage,
    /// The experiment's file; none as long as nobody has written it.
    pub experiment: Option<String>,
    /// What the experiment has to do, where it can only be written for one's own system.
    pub yours: Option<String>,
    /// What runs it by itself, such as a pipeline; none if people do.
    pub automated: Option<String>,
}

impl Check {
    /// The name of the experiment's file without its folder, by which records know it.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.experiment.as_deref().map(file_name)
    }
}

/// The last part of a path.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The order in which one dares checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// First: the most common failures of infrastructure.
    Crawl,
    /// Then: data and communication, with a very small blast radius.
    Walk,
    /// Last: defence, and failures of several systems at once, regularly and by themselves.
    Run,
}

impl Stage {
    /// All of them in order.
    pub const ALL: [Self; 3] = [Self::Crawl, Self::Walk, Self::Run];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Crawl => "crawl",
            Self::Walk => "walk",
            Self::Run => "run",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Something that somebody says has been reached, and how one can see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// What.
    pub what: Milestone,
    /// How one can see it.
    pub evidence: String,
}

/// What no record of a run can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Milestone {
    /// There is a standard process for experiments.
    StandardProcess,
    /// No experiment led to a security incident.
    NoSecurityIncident,
    /// The whole organisation experiments.
    WholeOrganisation,
    /// Systems heal themselves.
    SelfHealing,
    /// Others recognise it.
    Recognition,
    /// Practices are new.
    NewPractices,
}

impl Milestone {
    /// All of them with the keys that documents write.
    pub const ALL: [(&'static str, Self); 6] = [
        ("standardProcess", Self::StandardProcess),
        ("noSecurityIncident", Self::NoSecurityIncident),
        ("wholeOrganisation", Self::WholeOrganisation),
        ("selfHealing", Self::SelfHealing),
        ("recognition", Self::Recognition),
        ("newPractices", Self::NewPractices),
    ];
}

/// What is known of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The document's file name, as it was called.
    pub document: String,
    /// The hash of the document: the same hash is the same experiment.
    pub hash: String,
    /// When it was started.
    pub started: Timestamp,
    /// What it amounted to.
    pub verdict: Verdict,
}
