//! The states of experiments and actions, as AWS FIS names them.

use serde::{Deserialize, Serialize};

/// The status of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExperimentStatus {
    /// Not started.
    Pending,
    /// Targets are being resolved, the baseline is filling.
    Initiating,
    /// Actions run.
    Running,
    /// All actions ended as planned.
    Completed,
    /// Something ended it early; it is being undone.
    Stopping,
    /// It ended early, and everything is undone.
    Stopped,
    /// It could not be carried out.
    Failed,
    /// It ended before anything was injected.
    Cancelled,
}

impl ExperimentStatus {
    /// Whether it will change no more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Failed | Self::Cancelled)
    }
}

/// The status of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionStatus {
    /// It waits for the actions of its `startAfter`.
    Pending,
    /// It is being injected.
    Initiating,
    /// It is in effect.
    Running,
    /// It ended as planned and is undone.
    Completed,
    /// It ended before it began.
    Cancelled,
    /// It is being undone early.
    Stopping,
    /// It was ended early and is undone.
    Stopped,
    /// It could not be carried out.
    Failed,
    /// Its targets resolved to nothing and the experiment says to skip such actions.
    Skipped,
}

impl ActionStatus {
    /// Whether it will change no more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Stopped | Self::Failed | Self::Skipped)
    }
}

macro_rules! kebab_display {
    ($($type:ty { $($variant:ident => $text:literal),+ $(,)? })+) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),+ })
            }
        }
    )+};
}

kebab_display! {
    ExperimentStatus {
        Pending => "pending", Initiating => "initiating", Running => "running", Completed => "completed",
        Stopping => "stopping", Stopped => "stopped", Failed => "failed", Cancelled => "cancelled",
    }
    ActionStatus {
        Pending => "pending", Initiating => "initiating", Running => "running", Completed => "completed",
        Cancelled => "cancelled", Stopping => "stopping", Stopped => "stopped", Failed => "failed", Skipped => "skipped",
    }
}
