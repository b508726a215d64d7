//! The built binary, real processes, real packets: what a user would do, and what must be left when it is over (nothing).

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod examples;
mod harness;
mod reports;
mod residue;
mod signals;
mod users;
