//! Integration tests of the lab: real processes, sockets, addresses and packets, on this machine only. Labs really come up;
//! where the tests may not make namespaces, those that need them say so and pass.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod balancer;
mod balancing;
mod client;
mod control;
mod cost;
mod demo_app;
mod demo_process;
mod faults;
mod life;
mod stage;
mod states;
mod undo;
mod zones;
