//! Drives load from a terminal, to compare the generator with others.
//!
//! `load URL CONNECTIONS SECONDS RATE`; a rate of `max` saturates. Prints what became of the requests, and the CPU time each
//! took, as one line of JSON.

use std::{
    collections::BTreeMap,
    error::Error,
    io::Write as _,
    time::{Duration, Instant},
};

use model::{
    Period,
    load::{HttpLoad, HttpRequest},
};
use observe::{
    Clock, Measurements,
    load::http::{RunningLoad, Surroundings},
    url::Hosts,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, connections, seconds, rate] = arguments.as_slice() else {
        return Err("usage: load URL CONNECTIONS SECONDS RATE|max".into());
    };
    let request =
        HttpRequest { url: url.clone(), method: "GET".to_owned(), headers: BTreeMap::new(), body: None, weight: 1 };
    let load = HttpLoad {
        requests: vec![request],
        rate: if rate == "max" { 0.0 } else { rate.parse()? },
        ramp: Vec::new(),
        keep_alive: true,
        timeout: Period::from_secs(10),
        connections: connections.parse()?,
    };
    let surroundings = Surroundings {
        clock: Clock::start(),
        measurements: Measurements::new(),
        hosts: Hosts::new(),
        enter: None,
        seed: 1,
        place: 1,
    };
    let (before, start) = (cpu_seconds(), Instant::now());
    let running = if rate == "max" {
        RunningLoad::saturate(&load, surroundings)?
    } else {
        RunningLoad::start(&load, surroundings)?
    };
    std::thread::sleep(Duration::from_secs(seconds.parse()?));
    running.drain();
    let summary = running.wait()?;
    let answered = f64::from(u32::try_from(summary.succeeded.max(1))?);
    let millis = |q: f64| Duration::from_micros(summary.latency.value_at_quantile(q)).as_secs_f64() * 1e3;
    let errors: BTreeMap<_, _> = summary.examples.values().zip(summary.errors.values()).collect();
    let line = json!({
        "succeeded": summary.succeeded,
        "failed": summary.failed(),
        "perSecond": (answered / start.elapsed().as_secs_f64()).round(),
        "cpuMicrosPerRequest": (cpu_seconds() - before) * 1e6 / answered,
        "p50Millis": millis(0.5),
        "p99Millis": millis(0.99),
        "maxMillis": millis(1.0),
        "generatorLateMillis": summary.late.as_secs_f64() * 1e3,
        "errors": errors,
    });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)).as_secs_f64()
}
