//! Accuracy of CPU stress, measured from outside: what the kernel counts for the processes that make it.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    Size,
    process::{Running, built, cpu_of, descendants},
    sheet::Sheet,
};

const PERCENT: f64 = 50.0;
/// How far the share may be from the configured one, in points.
const AT_MOST: f64 = 2.0;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let time = Duration::from_secs(size.pick(10, 2).into());
    for workers in [1_u32, 2] {
        let mut command = Command::new(built("examples/accuracy")?);
        let mut driver = Running::start(command.args(["cpu", &workers.to_string(), &PERCENT.to_string()]))?;
        driver.json().context("CPU stress was not injected")?;
        let makers = descendants(driver.pid())?;
        let used = || makers.iter().filter_map(|pid| cpu_of(*pid)).sum::<Duration>();
        let (begun, before) = (Instant::now(), used());
        thread::sleep(time);
        let share = (used().saturating_sub(before)).as_secs_f64() / begun.elapsed().as_secs_f64() / f64::from(workers);
        driver.finish()?;
        sheet.figure(&format!("{workers} worker(s) at {PERCENT} %, used"), share * 100.0, "%", None)?;
        sheet.figure(
            &format!("{workers} worker(s), error"),
            (share * 100.0 - PERCENT).abs(),
            "points",
            Some(AT_MOST),
        )?;
    }
    Ok(())
}
