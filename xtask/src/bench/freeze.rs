//! What load generators report of a server that stood still for a second, beside the truth.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::{
    Size,
    peer::{self, PEERS},
    process::{Running, Server, built, number},
    sheet::{Sheet, note, quantile},
};

const CONNECTIONS: u32 = 100;
const RATE: u32 = 2000;
const SECONDS: u32 = 10;
/// When the server stops, from the start of the load, and for how long.
const FREEZE_AT: Duration = Duration::from_secs(4);
const FREEZE: Duration = Duration::from_secs(1);
/// How far the report may be from the truth, in percent of it.
const AT_MOST: f64 = 2.0;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let mut errors = Vec::new();
    for _ in 0..size.pick(3, 1) {
        let (connections, seconds, rate) = (CONNECTIONS.to_string(), SECONDS.to_string(), RATE.to_string());
        let server = Server::start()?;
        let mut command = Command::new(built("examples/load")?);
        command.args([&server.url, &connections, &seconds, &rate]);
        let (report, frozen) = load_and_freeze(&server, &mut command)?;
        let report = serde_json::from_str(&report).context("the load generator printed no JSON")?;
        let truth = truth_millis(frozen, number(&report, "succeeded")? + number(&report, "failed")?);
        let reported = number(&report, "p99Millis")?;
        sheet.figure("ours, p99", reported, "ms", None)?;
        sheet.figure("truth, from the freeze as it was", truth, "ms", None)?;
        errors.push((reported / truth - 1.0).abs() * 100.0);
    }
    sheet.figure("ours, error, worst of all", quantile(&errors, 1.0)?, "%", Some(AT_MOST))?;
    for peer in PEERS {
        let Some(paced) = peer.paced else { continue };
        let Some(program) = peer.find() else {
            note(&format!("{} is not installed and skipped; to get it: {}", peer.name, peer.get));
            continue;
        };
        let server = Server::start()?;
        let mut command = Command::new(program);
        command.args(paced(CONNECTIONS, SECONDS, RATE)).arg(&server.url);
        let (report, frozen) = load_and_freeze(&server, &mut command)?;
        let reported = peer::p99_millis(&report).with_context(|| format!("{} printed {report}", peer.name))?;
        let truth = truth_millis(frozen, f64::from(RATE * SECONDS));
        sheet.figure(&format!("{}, p99", peer.name), reported, "ms", None)?;
        sheet.figure(&format!("{} / truth", peer.name), reported / truth, "", None)?;
    }
    Ok(())
}

/// Runs a load and lets the server stand still in the middle of it: what the load reported, and how long the server stood.
fn load_and_freeze(server: &Server, load: &mut Command) -> Result<(String, Duration)> {
    let running = Running::start(load)?;
    thread::sleep(FREEZE_AT);
    server.process.signal(Signal::STOP)?;
    let begun = Instant::now();
    thread::sleep(FREEZE);
    let frozen = begun.elapsed();
    server.process.signal(Signal::CONT)?;
    Ok((running.finish()?, frozen))
}

/// The 99th percentile that a schedule without gaps must see: of so many requests one in a hundred waited longer, and they were
/// due in the first part of the freeze, one after the other, each with the rest of it before it.
fn truth_millis(frozen: Duration, requests: f64) -> f64 {
    (frozen.as_secs_f64() - requests / 100.0 / f64::from(RATE)) * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_in_ten_is_a_p99_of_900_ms() {
        assert!((truth_millis(FREEZE, f64::from(RATE * SECONDS)) - 900.0).abs() < 1e-9);
    }
}
