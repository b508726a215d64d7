//! Load driven through the system.
//!
//! [`http`] is our own generator: an open loop in one thread, so that a system that stalls is charged for every request
//! that was due meanwhile. [`command`] runs somebody else's generator beside the experiment.
//!
//! ```text
//!   schedule ──due──▶ waiting ──a connection is free──▶ in flight ──answer──▶ tally ──100 ms──▶ Measurements
//!      │                 └── too long: not sent in time      └── too long: timeout    │
//!      └── fixed beforehand; latency counts from here ─────────────────────────────────┘
//! ```

use std::{io, sync::Arc};

use model::metric::Metric;

pub mod command;
mod connection;
mod generator;
pub mod http;
mod request;
mod schedule;
mod signal;
mod tally;
mod worker;

pub use request::RequestError;
pub use schedule::Schedule;
pub use tally::{ErrorKind, Summary};

/// What a thread does before anything else, for example enter a network namespace.
pub type Enter = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A gauge of each HTTP load, by its place in the document counted from 1: every request that was due before this moment,
/// in seconds on the clock of the record, has come to an end (answered, failed, given up) and has been counted. It lags
/// behind by 100 ms at most, and never runs ahead; infinity says that nothing is left that could be due.
#[must_use]
pub fn answered_until(place: usize) -> Metric {
    Metric::of("load.answered_until", format!("load {place}"))
}

/// A gauge of each load, by its place in the document counted from 1: it is set, to 0, only when the load ended although
/// nobody told it to.
#[must_use]
pub fn running(place: usize) -> Metric {
    Metric::of("load.running", format!("load {place}"))
}
