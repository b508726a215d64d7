//! `cargo xtask bench`: comparisons with peers and with the truth, as ratios from one run.

use anyhow::Result;

/// Runs the benchmarks named, or all.
pub(crate) fn bench(_which: &[&str]) -> Result<()> {
    Ok(())
}
