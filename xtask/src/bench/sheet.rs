//! The figures: as lines to read, and as lines of JSON.

use std::{fs::File, io::Write};

use anyhow::{Context, Result};
use serde_json::json;

use super::machine;
use crate::root;

/// Where the lines of JSON go, one per figure.
const FILE: &str = "target/bench.json";

/// Figures as they come.
pub(super) struct Sheet {
    file: File,
    benchmark: &'static str,
    idle: f64,
    busy: bool,
    met: u32,
    missed: u32,
}

/// What a figure should be at most.
pub(super) type Aim = Option<f64>;

impl Sheet {
    pub(super) fn open() -> Result<Self> {
        let path = root().join(FILE);
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, benchmark: "", idle: 0.0, busy: false, met: 0, missed: 0 })
    }

    /// A benchmark begins: how busy is the machine without it?
    pub(super) fn begin(&mut self, benchmark: &'static str, about: &str) {
        println!("\n{benchmark}: {about}");
        self.benchmark = benchmark;
        self.idle = machine::idle_percent();
        if self.idle < machine::QUIET {
            self.busy = true;
            println!(
                "  the machine is busy ({:.0} % idle, load {:.1}): figures may be worse than this machine can do",
                self.idle,
                machine::load()
            );
        }
    }

    /// One figure.
    pub(super) fn figure(&mut self, name: &str, value: f64, unit: &str, aim: Aim) -> Result<()> {
        let met = aim.map(|at_most| value <= at_most);
        let judged = match (aim, met) {
            (Some(at_most), Some(true)) => format!("<= {at_most:<8} met"),
            (Some(at_most), _) => format!("<= {at_most:<8} missed"),
            (None, _) => String::new(),
        };
        println!("{}", format!("  {name:<52} {:>10} {unit:<6} {judged}", digits(value)).trim_end());
        match met {
            Some(true) => self.met += 1,
            Some(false) => self.missed += 1,
            None => {}
        }
        let line = json!({
            "benchmark": self.benchmark, "figure": name, "value": value, "unit": unit, "atMost": aim, "met": met,
            "idlePercent": self.idle, "load": machine::load(),
        });
        writeln!(self.file, "{line}").context("cannot write the figures")
    }

    /// Says how it went; gives back how many aims were missed.
    pub(super) fn close(self) -> u32 {
        let busy = if self.busy { "; the machine was not idle throughout" } else { "" };
        println!("\n{} aims met, {} missed{busy}; figures in {FILE}", self.met, self.missed);
        self.missed
    }
}

/// Something worth knowing that is no figure.
pub(super) fn note(text: &str) {
    println!("  {text}");
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    let size = value.abs();
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}

/// The value in the middle, and the one that `share` of all do not exceed.
pub(super) fn quantile(values: &[f64], share: f64) -> Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let enough = |at: &usize| (at + 1) as f64 >= sorted.len() as f64 * share;
    let at = (0..sorted.len()).find(enough).context("nothing was measured")?;
    Ok(sorted[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5).unwrap().to_bits(), 50_f64.to_bits());
        assert_eq!(quantile(&values, 0.99).unwrap().to_bits(), 99_f64.to_bits());
        assert_eq!(quantile(&values[..40], 0.99).unwrap().to_bits(), 100_f64.to_bits());
        assert!(quantile(&[], 0.5).is_err());
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.0123, 8.514, 10.84, 901.7].map(digits), ["0.012", "8.51", "10.8", "902"]);
    }
}
