//! The record of a finished run: everything a report needs, in one serialisable value.

use model::{
    event::{Cleanliness, Event, InjectionId, Proof},
    experiment::Experiment,
    metric::{Concern, Condition, Metric, MetricKind, Unit},
    moment::Moment,
    resource::ResourceId,
    status::{ActionStatus, ExperimentStatus},
    verdict::{Verdict, Window},
};
use std::{collections::BTreeSet, time::Duration};

use observe::Measurements;
use serde::Serialize;

use crate::plan::Plan;

/// The version of `report.json`; raised when a reader of older ones would misunderstand a newer one.
pub const FORMAT: u32 = 1;

/// A finished run. Serialised, it is `report.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// Which document was run.
    pub document: Document,
    /// What the document says.
    pub experiment: Experiment,
    /// The seed of every random choice; `--seed` repeats it.
    pub seed: u64,
    /// Wall time at which the record's clock started, as given by the caller (RFC 3339).
    pub started: String,
    /// When the record was closed.
    pub ended: Moment,
    /// How the experiment ended, in FIS's words.
    pub status: ExperimentStatus,
    /// Why it has that status.
    pub status_reason: String,
    /// Whether somebody interrupted it (the exit code is then 130, whatever the verdict).
    pub interrupted: bool,
    /// What it amounts to.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// The windows that were reached, in order.
    pub windows: Vec<WindowSpan>,
    /// Every clause of the hypothesis, judged: steady state, during, recovery, each in the document's order.
    pub clauses: Vec<ClauseResult>,
    /// Times computed from the events.
    pub times: Times,
    /// What was planned.
    pub plan: Plan,
    /// What became of each action, in the order of the plan.
    pub actions: Vec<ActionRecord>,
    /// What became of each injection that was begun.
    pub injections: Vec<InjectionRecord>,
    /// What is left on the system; empty: it is clean.
    pub residue: Vec<Residue>,
    /// What to do next, chosen by what happened.
    pub suggestions: Vec<Suggestion>,
    /// The run of the same document before this one, and what is different now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Changes>,
    /// Metrics over time, for plots: those of the clauses and guards, and the usual ones that have samples.
    pub series: Vec<Series>,
    /// All events in order.
    pub events: Vec<Event>,
}

impl Record {
    /// The exit code of `shaketable run`: 130 when interrupted, else the verdict's.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        // 128 + SIGINT, as shells report it.
        if self.interrupted { 130 } else { self.verdict.exit_code() }
    }

    /// The span of a window, if it was reached.
    #[must_use]
    pub fn window(&self, window: Window) -> Option<WindowSpan> {
        self.windows.iter().find(|span| span.window == window).copied()
    }
}

/// The document that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// Its file name, as the caller gave it.
    pub name: String,
    /// SHA-256 of its canonical bytes, in hex: two runs with the same hash ran the same experiment.
    pub hash: String,
}

impl Document {
    /// A document with this name and these canonical bytes.
    #[must_use]
    pub fn new(name: impl Into<String>, canonical: &[u8]) -> Self {
        use sha2::Digest as _;
        let hash = format!("{:x}", sha2::Sha256::digest(canonical));
        Self { name: name.into(), hash }
    }
}

/// One window of the run: `from` inclusive, `to` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowSpan {
    /// Which.
    pub window: Window,
    /// Its start.
    pub from: Moment,
    /// Its end.
    pub to: Moment,
}

/// Which list of the hypothesis a clause stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
    /// `steadyState`
    SteadyState,
    /// `during`
    During,
    /// `recovery`
    Recovery,
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SteadyState => "steady state",
            Self::During => "during",
            Self::Recovery => "recovery",
        })
    }
}

/// Whether a clause held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// It held.
    Yes,
    /// It held, but later than its deadline.
    Late,
    /// It did not hold.
    No,
    /// Too few samples to say.
    NotEnough,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::Late => "late",
            Self::No => "no",
            Self::NotEnough => "too few samples",
        })
    }
}

/// One clause of the hypothesis, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClauseResult {
    /// Which list it stands in.
    pub claim: Claim,
    /// The clause in words: `group.healthy of web == 2 within PT5M`.
    pub clause: String,
    /// What is measured.
    pub metric: Metric,
    /// What it must be.
    pub wanted: Condition,
    /// Whether its violation is an outage or a degradation.
    pub concern: Concern,
    /// What the metric was in the baseline; none where the window was not reached.
    pub baseline: Option<WindowValue>,
    /// What it was in the fault window.
    pub fault: Option<WindowValue>,
    /// What it was in the recovery window.
    pub recovery: Option<WindowValue>,
    /// Whether it held where it applies; none where the run never got that far.
    pub held: Option<Held>,
    /// Why, in words.
    pub why: String,
    /// Whether it did not hold, but might have if the load's own generator had kept its schedule: then it decides nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
    /// For recovery clauses: seconds from the first injection until it held again and went on holding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_after_seconds: Option<f64>,
}

/// What a metric was over one window.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowValue {
    /// As a person reads it: `187 ms`, `1 to 2`, `0`.
    pub text: String,
    /// The number (the worst one, where there are several), in the metric's unit.
    pub value: Option<f64>,
    /// How many samples it rests on.
    pub samples: u64,
    /// Whether the clause's condition holds over this window; whether that matters depends on the claim.
    pub held: Held,
}

/// Times computed from events, in seconds from the first injection.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// When the first fault was injected.
    pub first_injection: Option<Moment>,
    /// When the last fault was undone.
    pub last_undo: Option<Moment>,
    /// Until a balancer first stopped sending to a target.
    pub detect_by_balancer: Option<Took>,
    /// Until an alarm first went into ALARM.
    pub detect_by_alarm: Option<Took>,
    /// From the loss of the first instance until its replacement was ready.
    pub replace: Option<Took>,
    /// Until the recovery clauses held again (and went on holding).
    pub recover: Option<Took>,
    /// From a guard's firing until the last undo.
    pub abort: Option<Took>,
}

/// A time computed from two events.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Took {
    /// How long, in seconds.
    pub seconds: f64,
    /// From when.
    pub from: Moment,
    /// Until when.
    pub to: Moment,
    /// Between what, in words.
    pub what: String,
}

impl Took {
    /// The time between two moments.
    #[must_use]
    pub fn between(from: Moment, to: Moment, what: impl Into<String>) -> Self {
        Self { seconds: to.since(from).as_secs_f64(), from, to, what: what.into() }
    }
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionRecord {
    /// Its name.
    pub name: String,
    /// Its last status.
    pub status: ActionStatus,
    /// Why.
    pub reason: String,
    /// When it began, if it did.
    pub began: Option<Moment>,
    /// When it reached its last status.
    pub ended: Option<Moment>,
}

/// What became of an injection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InjectionRecord {
    /// Its number.
    pub id: InjectionId,
    /// By which action.
    pub action: String,
    /// Into what.
    pub resource: ResourceId,
    /// The fault in words.
    pub fault: String,
    /// When it was begun.
    pub begun: Moment,
    /// When it was in effect and measured.
    pub injected: Option<Moment>,
    /// When it was undone.
    pub undone: Option<Moment>,
    /// Configured beside achieved, measured at injection.
    pub proof: Option<Proof>,
    /// The same over the fault's whole life, where the mechanism can.
    pub life_proof: Option<Proof>,
    /// Why it could not be injected or undone.
    pub failure: Option<String>,
    /// What the fingerprints say; none while unknown (never injected, or the undo failed).
    pub cleanliness: Option<Cleanliness>,
}

/// Something that is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Residue {
    /// Of which injection.
    pub injection: InjectionId,
    /// On what.
    pub resource: ResourceId,
    /// Exactly what.
    pub what: String,
    /// The command that repairs it.
    pub repair: String,
}

/// Something worth doing next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    /// What to do, an imperative sentence.
    pub what: String,
    /// Why: what was measured.
    pub why: String,
    /// What to change in the document or the lab, if it can be said in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

/// A metric over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// What.
    pub metric: Metric,
    /// What its values are.
    pub kind: MetricKind,
    /// Their unit.
    pub unit: Unit,
    /// Width of one bucket in seconds; 0 for a gauge, whose points are its changes.
    pub bucket_seconds: f64,
    /// One point per bucket that has samples, or per change of a gauge, in order of time.
    pub points: Vec<Point>,
}

/// A point of a series: the value of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Start of the bucket.
    pub at: Moment,
    /// Its value in the series' unit.
    pub value: f64,
}

/// What is different from the run of the same document before this one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// When the earlier run started.
    pub started: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its seed.
    pub seed: u64,
    /// Where its report lies, as the caller knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What is different, one line each; empty: nothing.
    pub lines: Vec<Change>,
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What: `verdict`, a clause, a time.
    pub what: String,
    /// As it was.
    pub before: String,
    /// As it is.
    pub now: String,
}

/// The usual metrics of a plot, shown when they have samples, whatever the document says.
const USUAL: &[&str] =
    &["http.latency.p50", "http.latency.p99", "http.rate", "http.errors", "group.healthy", "balancer.healthy"];

/// Most points of a plot: what a screen can show.
const POINTS: u32 = 600;

/// The metrics over time that a report shows: those of clauses and guards, and the usual ones.
pub(crate) fn series(experiment: &Experiment, plan: &Plan, measurements: &Measurements, ended: Moment) -> Vec<Series> {
    let hypothesis = &experiment.hypothesis;
    let mut metrics: BTreeSet<Metric> = [&hypothesis.steady_state, &hypothesis.during, &hypothesis.recovery]
        .into_iter()
        .flatten()
        .map(|clause| clause.metric.clone())
        .chain(plan.guards.iter().map(|guard| guard.alarm.metric.clone()))
        .collect();
    metrics.extend(measurements.metrics().into_iter().filter(|metric| USUAL.contains(&metric.name.as_str())));
    // A second holds enough samples for a percentile at the usual rates; longer runs are shown coarser.
    let step = (ended.since_start() / POINTS).max(Duration::from_secs(1));
    metrics.into_iter().filter_map(|metric| one_series(metric, experiment, measurements, step)).collect()
}

fn one_series(metric: Metric, experiment: &Experiment, measurements: &Measurements, step: Duration) -> Option<Series> {
    let points: Vec<Point> =
        measurements.series(&metric, step).into_iter().map(|(at, value)| Point { at, value }).collect();
    if points.is_empty() {
        return None;
    }
    let kind = metric.entry().map_or(MetricKind::Gauge, |entry| entry.kind);
    let hypothesis = &experiment.hypothesis;
    // A scraped series has the unit that clauses give it.
    let written = [&hypothesis.steady_state, &hypothesis.during, &hypothesis.recovery]
        .into_iter()
        .flatten()
        .find(|clause| clause.metric == metric)
        .map(|clause| clause.is.quantity.unit);
    let unit = metric.entry().map(|entry| entry.unit).or(written).unwrap_or(Unit::Count);
    let bucket_seconds = if kind == MetricKind::Gauge { 0.0 } else { step.as_secs_f64() };
    Some(Series { metric, kind, unit, bucket_seconds, points })
}
