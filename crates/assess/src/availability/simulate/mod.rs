//! Follows a workload through time: every failure, repair, takeover and maintenance as it happens.
//!
//! ```text
//!   Workload ──building──▶ Machine ──batch──▶ Batch, Tally ──outcome──▶ Simulated
//!                (events that depend       (a stretch of years,    (estimates with intervals,
//!                 on each other)            its own randomness)     lengths, origins)
//! ```
//!
//! What the exact engine takes for independent, or solves as a Markov chain, is done here as the workload's document says it:
//! failed units queue for their crews, wherever they lie; a spare takes over from a unit in use that fails, by itself or with its
//! zone, and what that interrupts is interrupted then; maintenance comes at its times. And while the exact engine knows means, this
//! one sees every outage, and so how long they are, what begins them, and how much one year differs from another.
//!
//! What it costs is failures, not time. Times to fail are exponential, so all parts together fail as *one* Poisson process of
//! constant rate: the next failure is one random number, which part it hits another (an alias table), and a failure
//! that hits what is down already is none. No queue holds the thousands of parts that work, only repairs that are due, which are
//! few. A failure climbs the tree by counters of failed inputs, and stops at the first gate that holds; where nobody can tell, it
//! does not climb at all (`notes`).
//!
//! The years are divided into batches that know nothing of each other: threads take them as they come, and the outcome
//! is the same whatever their number.

mod alias;
mod batch;
mod estimate;
mod lengths;
mod machine;
mod notes;
mod outcome;
mod random;
mod ziggurat;

pub use self::{
    lengths::{Bin, Lengths},
    machine::NotSimulated,
    outcome::{Origin, Plan, Simulated, simulate},
};
