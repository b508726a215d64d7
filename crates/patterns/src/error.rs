//! Why a call brought nothing.

use std::{error, fmt, time::Duration};

/// Why a call through a pipeline failed: the operation's own error, or the strategy that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
// Why: see `Outcome`.
#[repr(u64)]
pub enum Error<E> {
    /// The operation failed, and no further attempt was made or left. Its error, from the last attempt.
    Failed(E),
    /// The operation was cut off.
    TimedOut(TimedOut),
    /// A strategy refused to make the call. The dependency has seen nothing of it.
    Rejected(Rejected),
    /// Chaos was told to fail this call. The dependency has seen nothing of it.
    Injected,
}

/// What was cut off, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimedOut {
    /// The limit that was reached.
    pub scope: Scope,
    /// How long what was cut off had lasted.
    pub after: Duration,
}

/// What a time limit is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Why: see `Outcome`.
#[repr(u64)]
pub enum Scope {
    /// One attempt.
    Attempt,
    /// The call with all its attempts and waits: the pipeline's overall limit, or the deadline of the context.
    Overall,
}

impl Scope {
    /// A word for logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Overall => "overall",
        }
    }
}

/// Which strategy refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Why: see `Outcome`.
#[repr(u64)]
pub enum Rejected {
    /// The breaker is open, or half-open with all its trials under way.
    BreakerOpen {
        /// When to ask again; `None` when it was opened by hand and nobody knows, or trials are under way.
        retry_after: Option<Duration>,
    },
    /// All places of the bulkhead are taken, and so is its queue.
    BulkheadFull,
    /// No place of the bulkhead became free in time.
    QueueTimeout {
        /// How long the call waited.
        waited: Duration,
    },
    /// More calls than the rate limit lets through.
    RateLimited {
        /// When the next call will be let through.
        retry_after: Duration,
    },
    /// Load is shed: too much is under way for a call of this priority.
    Shed,
    /// The deadline of the context had passed before anything was tried.
    DeadlinePassed,
}

impl Rejected {
    /// A word for logs and labels.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BreakerOpen { .. } => "breaker_open",
            Self::BulkheadFull => "bulkhead_full",
            Self::QueueTimeout { .. } => "queue_timeout",
            Self::RateLimited { .. } => "rate_limited",
            Self::Shed => "shed",
            Self::DeadlinePassed => "deadline_passed",
        }
    }

    /// When it makes sense to call again, where that is known: what a server would answer as `Retry-After`.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::BreakerOpen { retry_after } => *retry_after,
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::BulkheadFull | Self::QueueTimeout { .. } | Self::Shed | Self::DeadlinePassed => None,
        }
    }
}

impl<E> Error<E> {
    /// The operation's own error, if it was that.
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TimedOut(_) | Self::Rejected(_) | Self::Injected => None,
        }
    }

    /// The refusal, if it was one.
    #[must_use]
    pub const fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(rejected) => Some(rejected),
            Self::Failed(_) | Self::TimedOut(_) | Self::Injected => None,
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BreakerOpen { retry_after: Some(after) } => write!(out, "the breaker is open for another {after:?}"),
            Self::BreakerOpen { retry_after: None } => write!(out, "the breaker is open"),
            Self::BulkheadFull => write!(out, "the bulkhead and its queue are full"),
            Self::QueueTimeout { waited } => write!(out, "no place in the bulkhead became free within {waited:?}"),
            Self::RateLimited { retry_after } => write!(out, "over the rate limit: the next call in {retry_after:?}"),
            Self::Shed => write!(out, "too much is under way for a call of this priority"),
            Self::DeadlinePassed => write!(out, "the call's deadline had already passed"),
        }
    }
}

impl error::Error for Rejected {}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(out),
            Self::TimedOut(TimedOut { scope: Scope::Attempt, after }) => {
                write!(out, "no answer within the {after:?} of an attempt")
            }
            Self::TimedOut(TimedOut { scope: Scope::Overall, after }) => {
                write!(out, "no answer within the {after:?} of the call")
            }
            Self::Rejected(rejected) => rejected.fmt(out),
            Self::Injected => write!(out, "failed on purpose: chaos is on for this call"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // Display shows the operation's error itself, so its source is ours.
        match self {
            Self::Failed(error) => error.source(),
            Self::TimedOut(_) | Self::Rejected(_) | Self::Injected => None,
        }
    }
}

/// An option of a strategy that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOption {
    /// The option, as in `retry.max_attempts`.
    pub option: &'static str,
    /// What it was set to.
    pub given: String,
    /// What it may be.
    pub expected: &'static str,
}

impl InvalidOption {
    pub(crate) fn new(option: &'static str, given: impl fmt::Debug, expected: &'static str) -> Self {
        Self { option, given: format!("{given:?}"), expected }
    }
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} cannot be {}: it must be {}", self.option, self.given, self.expected)
    }
}

impl error::Error for InvalidOption {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_the_operations_own_error() {
        let error: Error<&str> = Error::Failed("no route to host");
        assert_eq!(error.to_string(), "no route to host");
        assert_eq!(error.into_failed(), Some("no route to host"));
    }

    #[test]
    fn refusals_say_who_refused_and_when_to_come_back() {
        let rejected = Rejected::BreakerOpen { retry_after: Some(Duration::from_secs(3)) };
        assert_eq!(Error::<&str>::Rejected(rejected).to_string(), "the breaker is open for another 3s");
        assert_eq!(rejected.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(Rejected::Shed.retry_after(), None);
    }

    #[test]
    fn a_wrong_option_says_what_is_right() {
        let invalid = InvalidOption::new("retry.max_attempts", 0, "at least 1");
        assert_eq!(invalid.to_string(), "retry.max_attempts cannot be 0: it must be at least 1");
    }
}
