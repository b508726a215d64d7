//! What is wrong with a document: all of it at once, each with its path, its place and what would be right.

use std::{error, fmt};

use super::node::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The option, as in `pipelines.users.retry.max_attempts`; empty for the document as a whole.
    pub path: String,
    /// Where it stands, if the reader knew.
    pub place: Option<Place>,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Everything that is wrong with a document, in its order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// As many are collected as anybody reads.
const MOST: usize = 50;

impl Problems {
    /// These, if there are any.
    pub(crate) fn from_list(mut problems: Vec<Problem>) -> Option<Self> {
        problems.truncate(MOST);
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Just one, with the document as a whole.
    #[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
    pub(crate) fn one(place: Option<Place>, what: impl Into<String>) -> Self {
        Self(vec![Problem { path: String::new(), place, what: what.into() }])
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.place {
            write!(out, "{place}: ")?;
        }
        if !self.path.is_empty() {
            write!(out, "{} ", self.path)?;
        }
        out.write_str(&self.what)
    }
}

/// One per line.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str("\n")?;
            }
            problem.fmt(out)?;
        }
        Ok(())
    }
}

impl error::Error for Problems {}
