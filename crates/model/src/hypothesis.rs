//! What an experiment claims: clauses that can be shown false.

use serde::Serialize;

use crate::{
    metric::{Condition, Metric},
    period::Period,
};

/// The claim of an experiment, clause by clause.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hypothesis {
    /// The claim in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// What holds before anything is injected; if it does not, the experiment is invalid and nothing is injected.
    pub steady_state: Vec<Clause>,
    /// What holds from the first injection until the system has recovered.
    pub during: Vec<Clause>,
    /// What holds again after the last undo, each within its own time.
    pub recovery: Vec<Clause>,
}

impl Hypothesis {
    /// Whether nothing is claimed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steady_state.is_empty() && self.during.is_empty() && self.recovery.is_empty()
    }
}

/// One measurable line of a hypothesis.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Clause {
    /// What is measured.
    pub metric: Metric,
    /// What it must be.
    pub is: Condition,
    /// Judge each stretch of this length by itself instead of the window as a whole, so that a short peak is not
    /// diluted by a long calm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
    /// For recovery: how long after the first injection it may take until the condition holds (and goes on holding).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Period>,
}

impl std::fmt::Display for Clause {
    /// `group.healthy of web == 2 within PT5M`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.metric, self.is)?;
        if let Some(every) = self.every {
            write!(f, " every {every}")?;
        }
        if let Some(within) = self.within {
            write!(f, " within {within}")?;
        }
        Ok(())
    }
}
