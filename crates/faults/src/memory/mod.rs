//! Faults of memory.

pub mod limit;
pub mod stress;
