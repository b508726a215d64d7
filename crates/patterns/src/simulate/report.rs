//! What came of a simulation, in figures.

use std::time::Duration;

use serde::Serialize;

use super::{
    file::{Scenario, Simulation},
    server::Load,
};
use crate::{clock::Moment, duration::write_duration};

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What it was about.
    pub title: String,
    /// The scenario in a sentence.
    pub scenario: String,
    /// What happened to the dependency.
    pub script: Vec<String>,
    /// When that began and ended, in seconds; what has no end ends with the simulation.
    pub disturbed: Vec<(f64, f64)>,
    /// How long a step is, in seconds.
    pub step: f64,
    /// How long it all was, in seconds.
    pub duration: f64,
    /// Each pipeline.
    pub runs: Vec<Run>,
}

/// What came of one pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its name.
    pub pipeline: String,
    /// All in all.
    pub totals: Totals,
    /// Step by step.
    pub steps: Vec<Step>,
}

/// One step. Calls are counted in the step in which they were made, whenever they ended; attempts in the step in which
/// the dependency saw them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// Calls that were made.
    pub calls: u64,
    /// Requests to the dependency.
    pub attempts: u64,
    /// Calls that got their answer.
    pub ok: u64,
    /// Calls that got something else instead.
    pub fallback: u64,
    /// Calls that failed, or were cut off.
    pub errors: u64,
    /// Calls that a strategy refused.
    pub rejected: u64,
    /// Calls that had not ended when the simulation did.
    pub unfinished: u64,
    /// Half of the calls took at most so long, in milliseconds. A call that had not ended counts with its time until then,
    /// here and below.
    pub p50_ms: f64,
    /// 99 of 100 calls took at most so long, in milliseconds.
    pub p99_ms: f64,
    /// Clients whose breaker was open or half-open at the end of the step.
    pub breakers_open: u32,
    /// Requests that the dependency worked on or had in its queue at the end of the step.
    pub under_way: u64,
    /// How long each call took, or had taken at the end.
    #[serde(skip)]
    pub(super) took: Vec<Duration>,
}

/// All in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Calls that were made.
    pub calls: u64,
    /// Requests to the dependency.
    pub attempts: u64,
    /// Requests per call.
    pub amplification: f64,
    /// The most requests per second in a step.
    pub peak_load: f64,
    /// Calls that got their answer.
    pub ok: u64,
    /// Calls that got something else instead.
    pub fallback: u64,
    /// Calls that failed, or were cut off.
    pub errors: u64,
    /// Calls that a strategy refused.
    pub rejected: u64,
    /// Calls that had not ended when the simulation did.
    pub unfinished: u64,
    /// Requests that the dependency worked on for callers who had gone.
    pub wasted: u64,
    /// 99 of 100 calls took at most so long, in milliseconds.
    pub p99_ms: f64,
    /// How long after the last disturbance, in seconds, at least 95 of 100 calls of every step got their answer; nothing
    /// when that never came, or there was no disturbance, or it did not end.
    pub recovered_after: Option<f64>,
}

/// The part of calls that must get their answer in every step from which on a dependency counts as recovered.
const RECOVERED: f64 = 0.95;

impl Report {
    pub(super) fn new(simulation: &Simulation, runs: Vec<Run>) -> Self {
        let scenario = &simulation.scenario;
        let end = scenario.duration.as_secs_f64();
        let seconds = |moment: Moment| moment.since(Moment::ZERO).as_secs_f64().min(end);
        Self {
            title: simulation.title.clone(),
            scenario: sentence(scenario),
            script: scenario.script.iter().map(ToString::to_string).collect(),
            disturbed: scenario.script.iter().map(|window| (seconds(window.from), seconds(window.to))).collect(),
            step: scenario.step.as_secs_f64(),
            duration: end,
            runs,
        }
    }
}

fn sentence(scenario: &Scenario) -> String {
    let Scenario { rate, clients, dependency, seed, .. } = scenario;
    format!(
        "{rate} calls/s from {clients} client{} for {}; the dependency works on {} at a time, {} each; seed {seed}",
        if *clients == 1 { "" } else { "s" },
        write_duration(scenario.duration),
        dependency.capacity,
        write_duration(dependency.latency),
    )
}

impl Run {
    pub(super) fn new(name: &str, mut steps: Vec<Step>, load: &Load, scenario: &Scenario) -> Self {
        let mut totals = Totals { attempts: load.total, wasted: load.wasted, ..Totals::default() };
        let mut all = Vec::new();
        for (step, attempts) in steps.iter_mut().zip(&load.attempts) {
            step.attempts = *attempts;
            step.unfinished = step.calls - step.ok - step.fallback - step.errors - step.rejected;
            step.took.sort_unstable();
            (step.p50_ms, step.p99_ms) = (quantile(&step.took, 0.5), quantile(&step.took, 0.99));
            all.append(&mut step.took);
            totals.calls += step.calls;
            totals.ok += step.ok;
            totals.fallback += step.fallback;
            totals.errors += step.errors;
            totals.rejected += step.rejected;
            totals.unfinished += step.unfinished;
            totals.peak_load = totals.peak_load.max(per_second(*attempts, scenario.step));
        }
        all.sort_unstable();
        totals.p99_ms = quantile(&all, 0.99);
        totals.amplification = ratio(totals.attempts, totals.calls);
        totals.recovered_after = recovered(&steps, scenario);
        Self { pipeline: name.to_owned(), totals, steps }
    }
}

/// How long after the last disturbance all is well for good.
fn recovered(steps: &[Step], scenario: &Scenario) -> Option<f64> {
    let end = scenario.script.iter().map(|window| window.to).max()?.since(Moment::ZERO);
    if end >= scenario.duration {
        return None;
    }
    let well = |step: &Step| {
        let ended = step.calls - step.unfinished;
        // Of the calls of the last steps some have not ended yet, and nobody knows what comes of them; when none has, it
        // is not well.
        step.calls == 0 || (ended > 0 && ratio(step.ok, ended) >= RECOVERED)
    };
    let bad = steps.iter().rposition(|step| !well(step)).map_or(0, |last| last + 1);
    if bad == steps.len() {
        return None;
    }
    let since = scenario.step.as_secs_f64() * bad as f64;
    Some((since - end.as_secs_f64()).max(0.0))
}

/// The value of sorted durations below which this part of them lies (nearest rank), in milliseconds.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is between 0 and the length")]
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
}

fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// So many in so long, per second.
pub(super) fn per_second(number: u64, time: Duration) -> f64 {
    number as f64 / time.as_secs_f64()
}
