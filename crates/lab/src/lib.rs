//! A data centre in a box: regions, zones, groups, load balancers on one machine.
//!
//! ```text
//!   load ──▶ web.lab (balancer) ──▶ i-0a… i-1b… (group web) ──▶ api.lab (balancer) ──▶ i-2c… (group api)
//!            └────────── fabric ──────────┘└─ a network each ─┘
//! ```
//!
//! [`prepare()`] says, while the process has one thread, what this machine and user allow; [`Lab::up`] brings a lab up;
//! [`Lab::provider`] offers its resources to an experiment and hits them. Each instance is a real process with an address of
//! its own: in a network namespace that hangs on the *fabric*, a namespace which routes between all of them and in which
//! balancers, load and probes live; or, where namespaces are refused, on a loopback address.
//!
//! Everything of a lab is held by descriptors and parents of the lab's process, so that nothing is left when it dies, by
//! whatever death: namespaces are anonymous, logs are files without a name, and each instance has a [shim] that ends it.

pub mod balancer;
pub mod control;
pub mod demo_app;
pub mod prepare;
pub mod shim;
pub mod status;

mod addresses;
mod builder;
mod fabric;
mod group;
mod identity;
mod instance;
mod lab;
mod loopback;
mod newcomers;
mod place;
mod plane;
mod provider;
mod spawner;
mod upstream;

pub use addresses::AddressError;
pub use lab::{Lab, LabOptions, UpError};
pub use prepare::{Prepared, Unavailable, prepare};
pub use provider::catalogue;
