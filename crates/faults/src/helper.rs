//! The helper: a process of ours that does what must die with us, or must not be done by a process with children.

use std::process::ExitCode;

/// The hidden argument by which a program is told to be the helper.
pub const SUBCOMMAND: &str = "__stress";

/// The helper's whole life: reads its job from standard input, does it until standard input ends, and ends.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
