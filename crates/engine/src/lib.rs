//! The runner: plans an experiment, runs it, judges it, reports it. Pure decisions, one thin driver.

pub mod provider;
pub mod recorder;

pub use recorder::Recorder;
