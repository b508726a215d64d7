//! Accuracy of latency across a pair of network namespaces.

use std::process::Command;

use anyhow::{Context, Result};

use super::{
    Size,
    process::{Running, built, number},
    sheet::Sheet,
};

const MILLIS: &str = "100";
const AT_MOST_ERROR_MS: f64 = 0.3;
const AT_MOST_LATE_MS: f64 = 0.2;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let datagrams = size.pick(2000, 300).to_string();
    let mut command = Command::new(built("examples/accuracy")?);
    let mut driver = Running::start(command.args(["latency", MILLIS, &datagrams]))?;
    let report = driver.json()?;
    driver.finish()?;
    sheet.figure("usual round trip, median", number(&report, "usualMicros")?, "us", None)?;
    let error = number(&report, "medianErrorMillis")?;
    sheet.figure("100 ms: median of round trips, error", error.abs(), "ms", Some(AT_MOST_ERROR_MS))?;
    sheet.figure("100 ms: p99 of round trips, error", number(&report, "p99ErrorMillis")?, "ms", None)?;
    let words = report["undone"].as_str().context("no report of the engine")?;
    let late = late_p99_micros(words).with_context(|| format!("no lateness in {words:?}"))?;
    sheet.figure("the engine's own lateness, p99", late / 1e3, "ms", Some(AT_MOST_LATE_MS))
}

/// From `handed back late by 4 us at the median, 40 us at the 99th percentile`.
fn late_p99_micros(words: &str) -> Option<f64> {
    words.split_once(" us at the 99th percentile")?.0.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_read_from_the_proof() {
        let words =
            "9 packets delayed, 0 not concerned; handed back late by 4 us at the median, 40 us at the 99th percentile";
        assert!((late_p99_micros(words).unwrap() - 40.0).abs() < 1e-9);
        assert_eq!(late_p99_micros("none was due"), None);
    }
}
