#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod breaker;
pub mod bulkhead;
pub mod clock;
mod context;
mod error;
pub mod event;
pub mod fallback;
mod outcome;
pub mod pipeline;
pub mod random;
pub mod retry;
mod sync;
mod timeout;

pub use self::{
    breaker::Breaker,
    bulkhead::Bulkhead,
    clock::{Clock, DefaultClock, Moment, VirtualClock},
    context::{Attempt, Context, Priority},
    error::{Error, InvalidOption, Rejected, Scope, TimedOut},
    event::{Event, Listener},
    outcome::{Class, Classify, ErrorsAreTransient, Transient},
    pipeline::{Pipeline, Policy},
    retry::{Jitter, Retry},
};
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
