//! What a run amounts to.

use serde::{Deserialize, Serialize};

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every clause held.
    Green,
    /// No outage and it recovered, but a latency, capacity or deadline clause did not hold.
    Yellow,
    /// A guard fired, an error or availability clause broke, or it did not recover.
    Red,
    /// The steady state was not there, or the fault was not achieved.
    Invalid,
    /// Too few samples to tell, or nothing was claimed.
    Inconclusive,
}

impl Verdict {
    /// The exit code of `shaketable run`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Green => 0,
            Self::Red => 1,
            Self::Yellow => 3,
            Self::Invalid | Self::Inconclusive => 4,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
            Self::Invalid => "invalid",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// A stretch of a run over which clauses are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// Before anything is injected.
    Baseline,
    /// From the first injection until everything injected has ended.
    Fault,
    /// From there until the system has recovered.
    Recovery,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Fault => "fault",
            Self::Recovery => "recovery",
        })
    }
}
