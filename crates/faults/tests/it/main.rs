//! Faults on real processes in real network namespaces, each made by the test that uses it.

mod crash;
mod doctor;
mod harness;
mod host;
mod network;
mod processes;
