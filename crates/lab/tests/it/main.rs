//! Integration tests of the lab: real sockets, real processes, on this machine only.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod balancer;
mod client;
mod demo_process;
