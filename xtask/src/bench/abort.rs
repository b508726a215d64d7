//! From the sample that breaches a stop condition to the end of the last undo.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Size,
    process::{Running, built},
    sheet::{Sheet, note, quantile},
};

const FAULTS: u32 = 20;
const AT_MOST_MS: f64 = 50.0;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let rounds = size.pick(40, 3);
    let mut command = Command::new(built("examples/abort")?);
    let report = Running::start(command.args([FAULTS, rounds].map(|number| number.to_string())))?.json()?;
    let times: Vec<f64> =
        report["abortMillis"].as_array().context("no times")?.iter().filter_map(Value::as_f64).collect();
    for why in report["repeated"].as_array().into_iter().flatten() {
        note(&format!("a round was repeated: {why}"));
    }
    note(&format!("network:latency in each of {FAULTS} instances, {} aborts", times.len()));
    sheet.figure("sample to last undo, median", quantile(&times, 0.5)?, "ms", None)?;
    sheet.figure("sample to last undo, p99", quantile(&times, 0.99)?, "ms", Some(AT_MOST_MS))
}
