//! The runner: plans an experiment, runs it, judges it, reports it. Pure decisions, one thin driver.
//!
//! ```text
//!   Experiment ─┐                       ┌── effects ──▶ driver ──▶ Provider: inject, undo, renew
//!   resources ──┼─ plan ──▶ Plan ──▶ run│                 │
//!   alarms ─────┘                       └◀── events ──────┘◀── guards, timers, Ctrl-C
//!                                                          │
//!                          Measurements ──┐            Recorder
//!                                         └── judge ◀── events ──▶ Record ──▶ report
//! ```

pub mod compare;
mod driver;
pub mod experiment;
mod follow;
mod foresee;
mod guards;
mod judge;
pub mod orders;
pub mod plan;
pub mod progress;
pub mod provider;
mod radius;
pub mod record;
pub mod recorder;
pub mod report;
pub mod run;
pub mod stop;
#[cfg(test)]
mod testing;
mod timeline;
mod vocabulary;

pub use radius::Bound;
pub use record::Record;
pub use recorder::Recorder;
pub use vocabulary::catalogue;
