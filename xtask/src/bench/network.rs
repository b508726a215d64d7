//! Accuracy of loss and bandwidth, and how long it takes to hit a hundred instances at once.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Size,
    process::{Running, built, number},
    sheet::{Sheet, quantile},
};

const LOSS_PERCENT: u32 = 10;
const AT_MOST_LOSS_POINTS: f64 = 0.5;
const MEGABITS: u32 = 10;
const AT_MOST_RATE_PERCENT: f64 = 2.0;
const INSTANCES: u32 = 100;
const AT_MOST_MS: f64 = 200.0;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let datagrams = size.pick(100_000, 10_000);
    let report = drive(&["loss", &LOSS_PERCENT.to_string(), &datagrams.to_string()])?;
    let lost = number(&report, "lostPercent")?;
    sheet.figure("10 % loss: share of datagrams lost", lost, "%", None)?;
    sheet.figure("10 % loss: error", (lost - f64::from(LOSS_PERCENT)).abs(), "points", Some(AT_MOST_LOSS_POINTS))?;
    let seconds = size.pick(5, 1);
    let report = drive(&["bandwidth", &MEGABITS.to_string(), &seconds.to_string()])?;
    let rate = number(&report, "megabits")?;
    let error = (rate / f64::from(MEGABITS) - 1.0).abs() * 100.0;
    sheet.figure("10 Mbit/s: what passes", rate, "Mbit/s", None)?;
    sheet.figure("10 Mbit/s: error", error, "%", Some(AT_MOST_RATE_PERCENT))?;
    let report = drive(&["many", &INSTANCES.to_string()])?;
    for (what, name, aim) in [
        ("in effect", "effectMillis", Some(AT_MOST_MS)),
        ("proven to be", "proofMillis", None),
        ("undone", "undoMillis", Some(AT_MOST_MS)),
    ] {
        let times = report[name].as_array().context("no times")?;
        let times: Vec<f64> = times.iter().filter_map(Value::as_f64).collect();
        sheet.figure(&format!("100 instances at once, {what}, median"), quantile(&times, 0.5)?, "ms", None)?;
        sheet.figure(&format!("100 instances at once, {what}, last"), quantile(&times, 1.0)?, "ms", aim)?;
    }
    for (what, name) in [("inject and prove", "injectCpuMillis"), ("undo", "undoCpuMillis")] {
        sheet.figure(&format!("CPU time to {what}, per instance"), number(&report, name)?, "ms", None)?;
    }
    Ok(())
}

fn drive(arguments: &[&str]) -> Result<Value> {
    let mut driver = Running::start(Command::new(built("examples/accuracy")?).args(arguments))?;
    let report = driver.json()?;
    driver.finish()?;
    Ok(report)
}
