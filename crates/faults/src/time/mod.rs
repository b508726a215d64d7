//! Faults of clocks.

pub mod skew;
pub(crate) mod skew_stub;
