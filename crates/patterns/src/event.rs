//! What happens in a pipeline, as one type of event for logs, metrics and tests.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    breaker, chaos,
    clock::Moment,
    context::Context,
    error::{Rejected, Scope},
    outcome::Class,
};

/// Something that happened to one call of a pipeline, or to a pipeline as such.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The call's context; `None` for what no call did (a breaker forced open, options exchanged).
    pub context: Option<&'a Context>,
    /// When it happened, on the pipeline's clock.
    pub at: Moment,
    /// What happened.
    pub kind: Kind,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// An attempt ended (also a hedge, also one that a refusal ended before it began).
    Attempt {
        /// Which attempt, from 1.
        number: u32,
        /// 0 for the attempt itself, 1 and up for its hedges.
        hedge: u32,
        /// What came of it.
        outcome: Outcome,
        /// How long it took, without waiting in a queue.
        duration: Duration,
    },
    /// Another attempt will be made.
    Retry {
        /// The attempt that failed, from 1.
        after: u32,
        /// How long until the next.
        delay: Duration,
    },
    /// An attempt failed and no other is made, although it could be, for this reason.
    GaveUp {
        /// The attempt that failed, from 1.
        after: u32,
        /// Why there is no further one.
        reason: GaveUp,
    },
    /// A further request was sent for an attempt that was slow to answer.
    Hedge {
        /// The attempt, from 1.
        number: u32,
        /// Which hedge, from 1.
        hedge: u32,
    },
    /// The breaker changed its state.
    Breaker {
        /// From this.
        from: breaker::Mode,
        /// To this.
        to: breaker::Mode,
    },
    /// The adaptive limit of the bulkhead moved.
    Limit {
        /// From so many calls at a time.
        from: u32,
        /// To so many.
        to: u32,
    },
    /// Chaos did something to an attempt.
    Chaos {
        /// Which attempt, from 1.
        number: u32,
        /// What it did.
        fault: chaos::Fault,
    },
    /// A fallback took the place of a failure.
    Fallback {
        /// Whether it had something to give.
        served: bool,
    },
    /// The options of the pipeline were exchanged.
    Reconfigured,
    /// A call ended, before any fallback.
    Call {
        /// How many attempts were made.
        attempts: u32,
        /// What came of the last.
        outcome: Outcome,
        /// How long all of it took.
        duration: Duration,
    },
}

/// What came of an attempt or a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Tags here, and in what outcomes are made of, are as wide as the fields behind them. Behind a tag of one byte there are seven
// more, which compilers copy in overlapping pieces wherever an outcome is returned; to read such pieces again at once takes
// processors long. It made a fifth of what a call through a pipeline costs.
#[repr(u64)]
pub enum Outcome {
    /// The operation ended and its result was classified.
    Done(Class),
    /// It was cut off by a time limit.
    TimedOut(Scope),
    /// A strategy refused it.
    Rejected(Rejected),
    /// Chaos failed it.
    Injected,
    /// The caller went away.
    Cancelled,
}

/// Why no further attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GaveUp {
    /// All attempts are used up.
    Attempts,
    /// The failure is not one that another attempt may cure.
    NotTransient,
    /// The call is not idempotent, and may have been executed.
    NotIdempotent,
    /// The retry budget is spent: too many calls fail for all to be retried.
    Budget,
    /// The dependency asked for a longer pause than the caller is willing to wait.
    RetryAfter,
    /// The next attempt would begin after the call's deadline.
    Deadline,
    /// A strategy refused the attempt; asking it again at once would bring the same answer.
    Rejected,
}

/// How much an event matters, by who must act: on `Info` nobody, on `Warning` whoever wonders, on `Error` somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Everyday detail.
    Debug,
    /// Something changed as it should.
    Info,
    /// Something unexpected that was handled.
    Warning,
    /// A call failed for good, or a breaker opened.
    Error,
}

impl GaveUp {
    /// A word for logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::NotTransient => "not_transient",
            Self::NotIdempotent => "not_idempotent",
            Self::Budget => "budget",
            Self::RetryAfter => "retry_after",
            Self::Deadline => "deadline",
            Self::Rejected => "rejected",
        }
    }
}

impl Severity {
    /// A word for logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Outcome {
    /// A word for logs and labels: one of a small fixed set.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done(Class::Success) => "success",
            Self::Done(Class::Transient(_)) => "transient",
            Self::Done(Class::Permanent) => "permanent",
            Self::Done(Class::Invalid) => "invalid",
            Self::TimedOut(Scope::Attempt) => "timeout",
            Self::TimedOut(Scope::Overall) => "overall_timeout",
            Self::Rejected(rejected) => rejected.as_str(),
            Self::Injected => "injected",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the dependency failed, or would have: not refusals, not the caller going away.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Done(class) => class.is_failure(),
            Self::TimedOut(_) | Self::Injected => true,
            Self::Rejected(_) | Self::Cancelled => false,
        }
    }
}

impl Kind {
    /// The strategy that speaks, for labels.
    #[must_use]
    pub const fn strategy(&self) -> &'static str {
        match self {
            Self::Attempt { outcome: Outcome::Rejected(rejected), .. } => strategy_of(rejected),
            Self::Attempt { outcome: Outcome::TimedOut(_), .. } => "timeout",
            Self::Attempt { .. } | Self::Call { .. } | Self::Reconfigured => "pipeline",
            Self::Retry { .. } | Self::GaveUp { .. } => "retry",
            Self::Hedge { .. } => "hedge",
            Self::Breaker { .. } => "breaker",
            Self::Limit { .. } => "bulkhead",
            Self::Chaos { .. } => "chaos",
            Self::Fallback { .. } => "fallback",
        }
    }

    /// A name for the kind of event, for labels.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Attempt { .. } => "attempt",
            Self::Retry { .. } => "retry",
            Self::GaveUp { .. } => "gave_up",
            Self::Hedge { .. } => "hedge",
            Self::Breaker { .. } => "breaker",
            Self::Limit { .. } => "limit",
            Self::Chaos { .. } => "chaos",
            Self::Fallback { .. } => "fallback",
            Self::Reconfigured => "reconfigured",
            Self::Call { .. } => "call",
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Attempt { outcome, .. } => match outcome {
                Outcome::Done(Class::Success | Class::Invalid) | Outcome::Cancelled => Severity::Debug,
                _ => Severity::Warning,
            },
            Self::Call { outcome, .. } => match outcome {
                Outcome::Done(Class::Success | Class::Invalid) | Outcome::Cancelled => Severity::Debug,
                _ => Severity::Error,
            },
            Self::Breaker { to: breaker::Mode::Open | breaker::Mode::ForcedOpen, .. } => Severity::Error,
            Self::Breaker { .. } | Self::Reconfigured => Severity::Info,
            Self::Limit { .. } | Self::Hedge { .. } => Severity::Debug,
            Self::Retry { .. } | Self::Chaos { .. } | Self::Fallback { .. } => Severity::Warning,
            Self::GaveUp { .. } => Severity::Warning,
        }
    }
}

const fn strategy_of(rejected: &Rejected) -> &'static str {
    match rejected {
        Rejected::BreakerOpen { .. } => "breaker",
        Rejected::BulkheadFull | Rejected::QueueTimeout { .. } => "bulkhead",
        Rejected::RateLimited { .. } => "rate_limit",
        Rejected::Shed => "shed",
        Rejected::DeadlinePassed => "timeout",
    }
}

/// Hears every event of a pipeline, on the task of the call it is about, also while that is dropped: it should be
/// quick, and must neither block nor panic.
/// Closures `Fn(&Event<'_>)` do.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);

    /// The listener in place of this one for the events of one pipeline, asked for once, when this one is added to it: who
    /// keeps something for each pipeline finds it here, and not again at each event. `None`, as long as it is not
    /// implemented: this one.
    fn of_pipeline(&self, _name: &str) -> Option<Arc<dyn Listener>> {
        None
    }
}

impl<F: Fn(&Event<'_>) + Send + Sync> Listener for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// Those who listen to a pipeline.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Vec<Arc<dyn Listener>>);

impl Listeners {
    /// Adds one to those of the pipeline with this name.
    pub(crate) fn add(&mut self, name: &str, listener: Arc<dyn Listener>) {
        self.0.push(listener.of_pipeline(name).unwrap_or(listener));
    }

    /// Whether anybody listens: what only listeners need to know is not found out for nobody.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        for listener in &self.0 {
            listener.event(event);
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} listeners", self.0.len())
    }
}
