//! A lab of 40 instances: how fast it starts, what it weighs, and whether an experiment on it runs.

use std::{process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{
    Size,
    process::{Running, built, descendants, memory_of},
    sheet::{Sheet, quantile},
};
use crate::root;

const LAB: &str = "xtask/src/bench/forty.yaml";
const EXPERIMENT: &str = "xtask/src/bench/forty-terminated.yaml";
const AT_MOST_SECONDS: f64 = 5.0;
const AT_MOST_MIB: f64 = 1024.0;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let (mut starts, mut resident, mut proportional) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.pick(3, 1) {
        let begun = Instant::now();
        let mut lab = Running::start(Command::new(built("shaketable")?).args(["lab", "up", LAB]).current_dir(root()))?;
        while !lab.line()?.contains(" is up") {}
        starts.push(begun.elapsed().as_secs_f64());
        let mut processes = descendants(lab.pid())?;
        if processes.len() < 40 {
            bail!("the lab has {} processes", processes.len());
        }
        processes.push(lab.pid());
        let memory: Vec<_> = processes.into_iter().filter_map(memory_of).collect();
        resident.push(mebibytes(memory.iter().map(|(resident, _)| resident).sum()));
        proportional.push(mebibytes(memory.iter().map(|(_, share)| share).sum()));
        lab.signal(Signal::TERM)?;
        lab.finish()?;
    }
    sheet.figure("40 instances up and healthy, slowest", quantile(&starts, 1.0)?, "s", Some(AT_MOST_SECONDS))?;
    sheet.figure("all processes, resident (RSS)", quantile(&resident, 1.0)?, "MiB", Some(AT_MOST_MIB))?;
    sheet.figure("all processes, their share of shared pages (PSS)", quantile(&proportional, 1.0)?, "MiB", None)?;
    let begun = Instant::now();
    let mut command = Command::new(built("shaketable")?);
    Running::start(command.args(["run", "--quiet", EXPERIMENT]).current_dir(root()))?
        .finish()
        .context("the experiment on it was not green")?;
    sheet.figure("an experiment on it, green, from start to end", begun.elapsed().as_secs_f64(), "s", None)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
