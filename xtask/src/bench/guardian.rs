//! The guardian: what it weighs, what it costs while a fault is in effect, and that it does nothing while there is none.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Size,
    process::{Running, built, memory_of},
    sheet::Sheet,
};
use crate::root;

const EXPERIMENT: &str = "examples/experiments/latency-on-one-instance.yaml";
const AT_MOST_MIB: f64 = 8.0;
/// How long a fault is looked at: of the ten seconds that it lasts.
const IN_EFFECT: Duration = Duration::from_secs(5);
/// How long nothing is looked at: the run settles for three.
const IDLE: Duration = Duration::from_secs(2);
/// How long a lab and a baseline may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(_: Size, sheet: &mut Sheet) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(built("shaketable")?);
    command.args(["run", "--quiet", EXPERIMENT]).env("SHAKETABLE_STATE", folder.path().join("state"));
    // Ended when it is dropped; its guardian then finds nothing to undo.
    let _running = Running::start(command.current_dir(root()))?;
    let guardian = wait_for("a fault in effect", folder.path(), |journal| {
        let injected = journal["faults"][0]["injected"].as_bool() == Some(true);
        journal["guardian"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|_| injected)
    })?;
    let (resident, proportional) = memory_of(guardian).context("the guardian has ended")?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    sheet.figure("resident (RSS)", mebibytes(resident), "MiB", Some(AT_MOST_MIB))?;
    sheet.figure("its share of shared pages (PSS)", mebibytes(proportional), "MiB", None)?;
    let before = on_processor(guardian)?;
    thread::sleep(IN_EFFECT);
    let used = on_processor(guardian)?.saturating_sub(before);
    let share = used.as_secs_f64() / IN_EFFECT.as_secs_f64() * 100.0;
    sheet.figure("CPU while a fault is in effect, of one processor", share, "%", None)?;
    wait_for("its end", folder.path(), |journal| journal["faults"].as_array()?.is_empty().then_some(()))?;
    // The last that it hears of the fault.
    thread::sleep(Duration::from_millis(100));
    let before = switches(guardian)?;
    thread::sleep(IDLE);
    sheet.figure("how often it wakes while there is none", (switches(guardian)? - before) as f64, "", Some(0.0))
}

/// Asks for the status until the only journal in it has what is looked for.
fn wait_for<T>(what: &str, folder: &Path, look: impl Fn(&Value) -> Option<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let mut command = Command::new(built("shaketable")?);
        command.args(["status", "--format", "json"]).env("SHAKETABLE_STATE", folder.join("state"));
        let status: Value = serde_json::from_slice(&command.output()?.stdout)?;
        if let Some(found) = look(&status["journals"][0]) {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("waited in vain for {what}");
}

/// How long a process has been on a processor: the first number of `/proc/PID/schedstat`, in nanoseconds.
fn on_processor(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let first = text.split_whitespace().next().context("an empty schedstat")?;
    Ok(Duration::from_nanos(first.parse()?))
}

/// How often it was given a processor.
fn switches(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let number = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok();
    Ok(status.lines().filter_map(number).sum())
}
