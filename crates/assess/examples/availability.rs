//! How fast availability is computed, for `cargo xtask bench availability`: prints a line of JSON.
//!
//! - `availability exact REGIONS SERVICES`: probability, importance and cut sets of an architecture.
//! - `availability open-psa REGIONS SERVICES FILE`: the same tree, for SCRAM.
//! - `availability simulate REGIONS SERVICES YEARS`: follows it through time on all processors.

#[path = "../tests/it/architecture.rs"]
mod architecture;
#[path = "../tests/it/open_psa.rs"]
mod open_psa;

use std::{error::Error, fs, num::NonZeroUsize, thread, time::Instant};

use architecture::architecture;
use assess::availability::{
    Limits, analyse,
    simulate::{Plan, simulate},
    structure,
};
use serde_json::json;

/// Any would do; the same always.
const SEED: u64 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["exact", regions, services] => {
            let workload = architecture(regions.parse()?, services.parse()?, SEED);
            let begun = Instant::now();
            let built = structure(&workload)?;
            let analysis = analyse(&built.tree, built.top, &Limits::default())?;
            json!({
                "milliseconds": begun.elapsed().as_secs_f64() * 1e3, "events": built.tree.len(), "nodes": analysis.nodes,
                "probability": analysis.probability, "cutSets": analysis.cut_sets.by_order,
            })
        }
        ["open-psa", regions, services, file] => {
            let built = structure(&architecture(regions.parse()?, services.parse()?, SEED))?;
            fs::write(file, open_psa::open_psa(&built.tree, built.top))?;
            json!({ "events": built.tree.len() })
        }
        ["simulate", regions, services, years] => {
            let workload = architecture(regions.parse()?, services.parse()?, SEED);
            let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let plan = Plan { years: years.parse()?, seed: SEED, confidence: 0.95, threads };
            let begun = Instant::now();
            let seen = simulate(&workload, &plan)?;
            json!({
                "seconds": begun.elapsed().as_secs_f64(), "componentYears": seen.component_years,
                "failures": seen.failures, "outages": seen.outages, "threads": threads,
            })
        }
        _ => return Err("usage: availability exact|open-psa|simulate REGIONS SERVICES [FILE|YEARS]".into()),
    };
    #[expect(clippy::print_stdout, reason = "a program for benchmarks")]
    {
        println!("{answer}");
    }
    Ok(())
}
