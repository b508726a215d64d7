//! Reviews: what a lens says about the answers that were given, what has changed, and what to do.
//!
//! ```text
//!   Lens ──┬── rules::analyse ──▶ flaws of the lens
//!          │
//!   Review ┴── Standing::of ──▶ risks, counts ──┬── change::compare ──▶ what has changed since a milestone
//!          (at a time: evidence expires)        └── plan::items ──▶ matrix ──▶ schedule::schedule ──▶ 90 days
//! ```

pub mod change;
pub mod month;
pub mod plan;
pub mod rules;
pub mod schedule;
pub mod standing;
#[cfg(test)]
mod tests;
mod truth;
pub mod upgrade;

pub use standing::Standing;
