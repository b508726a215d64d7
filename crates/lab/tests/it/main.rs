//! Integration tests of the lab: real sockets, real processes, on this machine only.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod balancer;
mod client;
mod cost;
mod demo_app;
mod demo_process;
