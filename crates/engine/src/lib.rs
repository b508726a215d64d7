//! The runner: plans an experiment, runs it, judges it, reports it. Pure decisions, one thin driver.

pub mod plan;
pub mod provider;
pub mod record;
pub mod recorder;
pub mod report;
pub mod vocabulary;

pub use record::Record;
pub use recorder::Recorder;
