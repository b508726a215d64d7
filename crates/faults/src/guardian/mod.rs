//! The guardian: a small process that outlives the one that injects, and undoes what that one no longer can.
//!
//! ```text
//!   runner ── leases, over a socket ──▶ guardian        one program, two processes, one journal, one lock on it
//!      │  ◀── heard ───────────────────    │
//!      └── writes ──▶ journal ◀── reads ───┘  when the runner has died, or was ended because it hung
//! ```
//!
//! It is started before the first injection, and a runner without one injects nothing. Who watches whom:
//!
//! | what happens | who notices, and how | what is done |
//! |---|---|---|
//! | the runner dies | the guardian: the socket closes, the process ends | it undoes what the journal says |
//! | the runner hangs | the guardian: a lease runs out, and nothing is heard of it | it ends the runner, then the same |
//! | the runner renews and does not undo | the guardian: the configured end is past | it ends the runner, then the same |
//! | the guardian dies | the runner: the socket closes | it starts another and tells it the leases, or undoes everything |
//! | the guardian hangs | the runner: no answer | it ends the guardian, then the same |
//! | the guardian dies and the runner hangs | the next start of any process that injects: see [`vigil`](crate::vigil) | it ends the runner, then the same |
//! | both die | the next start of any process that injects, and the boot unit: the journal's lock is free | they undo what it says |
//!
//! Ending the runner first is what makes undoing beside it safe: nobody injects while the guardian undoes, and the mechanisms
//! that end with the runner do so. The guardian holds the journal's lock through the runner's own descriptor, so that there is
//! no moment between the two in which a third could take it for abandoned.
//!
//! What is decided is in [`watch`] and in [`Recovery`](crate::recovery::Recovery), which are pure; a test drives both through every
//! interleaving of deaths and hangs.

mod channel;
pub(crate) mod link;
mod message;
mod serve;
#[cfg(test)]
mod tests;
pub mod watch;

pub use serve::main;

/// The hidden argument by which a program is told to be a guardian.
pub const SUBCOMMAND: &str = "__guardian";
