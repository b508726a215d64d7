//! Does on this host what it is asked, and undoes it: processes, services, containers and the machine itself as resources.
//!
//! ```text
//!   /proc ──▶ Census ──▶ Resource: host:process, host:service, host:container, host:machine
//!                │
//!   Order ───────┴────▶ faults::Object ──▶ faults::Host: journal, inject, prove
//! ```
//!
//! What is offered is never everything: not process 1, not this process, not those it descends from, not its own children, and
//! no service or container that any of them lives in. Whoever is named is looked up again when the fault is injected, by
//! process id *and* start time, so that a number that has been given to another process meanwhile hits nobody.

mod census;
mod claim;
mod provider;
mod resources;

pub use provider::HostProvider;

/// The resource types of a host, each the native name of what can be hit.
pub const RESOURCE_TYPES: &[&str] = &["host:container", "host:machine", "host:process", "host:service"];
