//! Pipelines from outside, on a virtual clock: no test waits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod cancellation;
mod limits;
mod order;
mod script;
mod strategies;
mod threads;
