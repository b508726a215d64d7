//! `cargo xtask bench`: comparisons with peers and with the truth, as ratios from one run.
//!
//! Figures, not tests: what a machine can do depends on what else it does, so every benchmark says how idle the machine was,
//! and compares with something measured in the same run wherever there is such a thing.

mod abort;
mod availability;
mod cpu;
mod freeze;
mod guardian;
mod lab;
mod latency;
mod load;
mod machine;
mod network;
mod peer;
mod process;
mod proxy;
mod sheet;

use anyhow::{Context, Result, bail};

use crate::run;
use sheet::Sheet;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// Enough for figures that can be relied on.
    Full,
    /// Enough to see that the benchmark works.
    Quick,
}

impl Size {
    /// One of two counts.
    const fn pick(self, full: u32, quick: u32) -> u32 {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

struct Benchmark {
    name: &'static str,
    about: &'static str,
    run: fn(Size, &mut Sheet) -> Result<()>,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "load",
        about: "CPU time per request of the load generator, beside wrk and others",
        run: load::run,
    },
    Benchmark {
        name: "freeze",
        about: "what it reports of a server that stood still, beside the truth",
        run: freeze::run,
    },
    Benchmark { name: "abort", about: "from the breaching sample to the last undo of 20 faults", run: abort::run },
    Benchmark { name: "cpu", about: "accuracy of CPU stress, measured from outside", run: cpu::run },
    Benchmark { name: "latency", about: "accuracy of 100 ms of latency", run: latency::run },
    Benchmark {
        name: "proxy",
        about: "cost and speed of the proxy, beside HAProxy and bare relays, and how exact its toxics are",
        run: proxy::run,
    },
    Benchmark {
        name: "network",
        about: "accuracy of loss and bandwidth, and a hundred instances hit at once",
        run: network::run,
    },
    Benchmark {
        name: "guardian",
        about: "memory of the guardian, and what it costs with a fault in effect and with none",
        run: guardian::run,
    },
    Benchmark {
        name: "lab",
        about: "start and memory of a lab of 40 instances, and an experiment on it",
        run: lab::run,
    },
    Benchmark {
        name: "availability",
        about: "probability, importance and cut sets of large architectures, beside SCRAM; simulated years per second",
        run: availability::run,
    },
];

/// Runs the benchmarks named, or all. A missed aim fails only a strict run.
pub(crate) fn bench(words: &[&str]) -> Result<()> {
    let (mut strict, mut built, mut size, mut chosen) = (false, false, Size::Full, Vec::new());
    for word in words {
        match *word {
            "--strict" => strict = true,
            "--quick" => size = Size::Quick,
            "--no-build" => built = true,
            name => chosen.push(
                BENCHMARKS
                    .iter()
                    .find(|one| one.name == name)
                    .with_context(|| format!("no benchmark `{name}`\n{}", usage()))?,
            ),
        }
    }
    if chosen.is_empty() {
        chosen = BENCHMARKS.iter().collect();
    }
    if !built {
        build()?;
    }
    let mut sheet = Sheet::open()?;
    let mut failed = Vec::new();
    for one in chosen {
        sheet.begin(one.name, one.about);
        if let Err(why) = (one.run)(size, &mut sheet) {
            println!("  failed: {why:#}");
            failed.push(one.name);
        }
    }
    let missed = sheet.close();
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    if strict && missed > 0 {
        bail!("{missed} aims missed");
    }
    Ok(())
}

fn usage() -> String {
    let lines: Vec<_> = BENCHMARKS.iter().map(|one| format!("  {:<12} {}", one.name, one.about)).collect();
    format!(
        "usage: cargo xtask bench [NAME...] [OPTION...]\n{}\n  --quick      only enough to see that it works
  --no-build   measure what is built already
  --strict     a missed aim is a failure",
        lines.join("\n")
    )
}

/// Everything that is measured, in one go: the binary, and the drivers among the crates' examples.
fn build() -> Result<()> {
    let packages = ["observe", "faults", "proxy", "lab", "assess", "cli"]
        .map(|name| ["--package".to_owned(), format!("shaketable-{name}")]);
    let mut arguments = vec!["build", "--release", "--quiet", "--bins", "--examples"];
    arguments.extend(packages.iter().flatten().map(String::as_str));
    run::run("cargo", &arguments, &[])
}
