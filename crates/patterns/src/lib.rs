#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod breaker;
pub mod bulkhead;
pub mod chaos;
pub mod clock;
mod context;
pub mod duration;
mod error;
pub mod event;
pub mod fallback;
pub mod hedge;
pub mod metrics;
mod outcome;
pub mod pipeline;
pub mod random;
pub mod rate_limit;
#[cfg(feature = "registry")]
pub mod registry;
pub mod retry;
pub mod shed;
#[cfg(feature = "simulate")]
pub mod simulate;
mod sync;
pub mod testing;
mod timeout;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "tracing")]
pub mod trace;

pub use self::{
    breaker::Breaker,
    bulkhead::Bulkhead,
    chaos::Chaos,
    clock::{Clock, DefaultClock, Moment, VirtualClock},
    context::{Attempt, Context, Priority},
    error::{Error, InvalidOption, Rejected, Scope, TimedOut},
    event::{Event, Listener},
    hedge::Hedge,
    outcome::{Class, Classify, ErrorsAreTransient, Transient},
    pipeline::{Pipeline, Policy},
    rate_limit::RateLimit,
    retry::{Jitter, Retry},
    shed::Shed,
};
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
