//! Pipelines from outside, on a virtual clock: no test waits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod cancellation;
mod examples;
mod limits;
mod metrics;
mod order;
mod promises;
mod registry;
mod script;
mod simulate;
mod strategies;
mod threads;
mod tower_layer;
mod tracing_events;
