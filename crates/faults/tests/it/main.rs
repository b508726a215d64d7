//! Faults on real processes in real network namespaces, each made by the test that uses it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what is shared between tests is test code too, though clippy only knows the tests themselves"
)]

mod apart;
mod clocks;
mod containers;
mod crash;
mod disks;
mod doctor;
mod guest;
mod harness;
mod host;
mod http;
mod limits;
mod loads;
mod measure;
mod names;
mod network;
mod ordinary;
mod processes;
mod services;
mod sites;
mod torture;
mod victim;
