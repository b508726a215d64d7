//! The nouns of Shaketable.
//!
//! Everything the other crates talk *about* is defined here: an [`Experiment`](experiment::Experiment) and its
//! [`Target`](target::Target)s, the [catalogue] of actions, [`Alarm`](alarm::Alarm)s, the
//! [`Lab`](lab::Lab), what happened ([`Event`](event::Event)) and what it amounts to ([`Verdict`](verdict::Verdict)).
//!
//! ```text
//!   formats ──reads──▶ Experiment ──plan──▶ engine ──writes──▶ Event … ──judge──▶ Verdict
//!                         │                                     ▲
//!                         └── targets ─▶ Resource ◀─ lab ───────┘
//! ```
//!
//! There is no I/O, no clock and no async in this crate: a value of it can be built, compared and printed in any test.
//! A type moves here only when a second crate needs it.

pub mod alarm;
pub mod catalogue;
pub mod claim;
pub mod cost;
pub mod event;
pub mod experiment;
pub mod figures;
pub mod hypothesis;
pub mod incident;
pub mod lab;
pub mod lens;
pub mod limits;
pub mod load;
pub mod metric;
pub mod moment;
pub mod nearest;
pub mod parameter;
pub mod period;
pub mod resource;
pub mod review;
pub mod stated;
pub mod status;
pub mod suite;
pub mod target;
pub mod term;
pub mod verdict;
pub mod workload;

pub use moment::Moment;
pub use period::Period;
