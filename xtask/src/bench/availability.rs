//! The mathematics of availability: how large an architecture takes how long, beside SCRAM on those that it can do, and how many
//! years are simulated in a second.
//!
//! The architectures are of `crates/assess/tests/it/architecture.rs`: regions, zones, services of three shapes that call each other.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Size,
    process::{Running, built, number, on_path},
    sheet::{Sheet, note, quantile},
};
use crate::root;

/// Three regions with so many services each are ten thousand events.
const SERVICES: u32 = 680;
/// Nobody waits for an answer that comes within a second.
const AT_MOST_MS: f64 = 1000.0;
/// No slower than SCRAM.
const AT_MOST_OF_SCRAM: f64 = 1.0;
/// One region with so many services: SCRAM does the first two in a moment, and no more than these.
const BESIDE_SCRAM: [u32; 3] = [10, 20, 40];
/// SCRAM has so many seconds for each.
const PATIENCE: &str = "60";
/// A hundred million component-years in seconds, and not in minutes.
const AT_MOST_SIMULATION_S: f64 = 10.0;
const COMPONENT_YEARS: f64 = 1e8;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    large(size, sheet)?;
    beside_scram(size, sheet)?;
    simulated(size, sheet)
}

/// What the driver prints for these arguments.
fn driver(arguments: &[&str]) -> Result<Value> {
    let mut program = Running::start(Command::new(built("examples/availability")?).args(arguments))?;
    let answer = program.json()?;
    program.finish()?;
    Ok(answer)
}

fn exact(regions: &str, services: u32, rounds: u32) -> Result<(f64, Value)> {
    let services = services.to_string();
    let answers: Vec<Value> = (0..rounds).map(|_| driver(&["exact", regions, &services])).collect::<Result<_>>()?;
    let times: Vec<f64> = answers.iter().map(|answer| number(answer, "milliseconds")).collect::<Result<_>>()?;
    let last = answers.into_iter().next_back().context("at least one round")?;
    Ok((quantile(&times, 0.5)?, last))
}

fn large(size: Size, sheet: &mut Sheet) -> Result<()> {
    for (services, aim) in [(SERVICES, Some(AT_MOST_MS)), (10 * SERVICES, None)] {
        if aim.is_none() && size == Size::Quick {
            continue;
        }
        let (time, answer) = exact("3", services, size.pick(5, 1))?;
        let events = number(&answer, "events")?;
        let what = format!("{events} events: probability, importance, cut sets");
        sheet.figure(&what, time, "ms", aim)?;
        sheet.figure(&format!("{events} events: nodes"), number(&answer, "nodes")?, "", None)?;
    }
    Ok(())
}

/// The same trees, with the same order of cut sets. SCRAM's own clock, which neither reads nor writes, against ours, which makes
/// the tree from the workload as well.
fn beside_scram(size: Size, sheet: &mut Sheet) -> Result<()> {
    let Some(scram) = on_path("scram") else {
        note("SCRAM is not installed and skipped; to get it: apt-get install scram");
        return Ok(());
    };
    for services in BESIDE_SCRAM.into_iter().take(size.pick(3, 1) as usize) {
        let (ours, answer) = exact("1", services, size.pick(5, 1))?;
        let events = number(&answer, "events")?;
        let (model, report) = (root().join("target/bench-scram.xml"), root().join("target/bench-scram-report.xml"));
        driver(&["open-psa", "1", &services.to_string(), &model.display().to_string()])?;
        let mut command = Command::new("timeout");
        command.arg(PATIENCE).arg(&scram).args(["--bdd", "-l", "3", "--probability", "1", "--importance", "1"]);
        command.arg(&model).arg("-o").arg(&report);
        if let Err(why) = Running::start(&mut command)?.finish() {
            note(&format!("{events} events: SCRAM gave up within {PATIENCE} s: {why}"));
            continue;
        }
        let theirs = scrams_own_clock(&report)?;
        sheet.figure(&format!("{events} events, SCRAM"), theirs, "ms", None)?;
        sheet.figure(&format!("{events} events, ours"), ours, "ms", None)?;
        sheet.figure(&format!("{events} events, ours / SCRAM"), ours / theirs, "", Some(AT_MOST_OF_SCRAM))?;
    }
    Ok(())
}

/// What its report says it took for cut sets, probability and importance, in milliseconds.
fn scrams_own_clock(report: &Path) -> Result<f64> {
    let text = fs::read_to_string(report).with_context(|| format!("cannot read {}", report.display()))?;
    let of = |part: &str| {
        let (_, rest) = text.split_once(&format!("<{part}>"))?;
        rest.split_once("</")?.0.parse::<f64>().ok()
    };
    let parts = ["products", "probability", "importance"].map(of);
    let seconds = parts.into_iter().sum::<Option<f64>>().context("SCRAM's report has no times")?;
    Ok(seconds * 1e3)
}

fn simulated(size: Size, sheet: &mut Sheet) -> Result<()> {
    for (regions, services) in [("1", 20), ("3", SERVICES)] {
        let events = number(&driver(&["exact", regions, &services.to_string()])?, "events")?;
        let years = COMPONENT_YEARS / events / f64::from(size.pick(1, 20));
        let arguments = [regions, &services.to_string(), &format!("{years:.0}")];
        let seen = driver(&[&["simulate"], arguments.as_slice()].concat())?;
        let (seconds, done) = (number(&seen, "seconds")?, number(&seen, "componentYears")?);
        let aim = Some(AT_MOST_SIMULATION_S);
        sheet.figure(&format!("{events} events, 10^8 component-years"), seconds * COMPONENT_YEARS / done, "s", aim)?;
        let failures = number(&seen, "failures")?;
        sheet.figure(&format!("{events} events, failures and repairs"), failures / seconds * 1e-6, "M/s", None)?;
    }
    Ok(())
}
