//! Faults of disks: space, speed, errors.

pub(crate) mod calls;
pub mod error;
pub(crate) mod file_call;
pub mod fill;
pub(crate) mod folder;
pub mod latency;
pub(crate) mod probe;
pub mod read_only;
pub mod stress;
