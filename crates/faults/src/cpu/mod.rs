//! Faults of the CPU.

pub mod stress;
pub mod throttle;
