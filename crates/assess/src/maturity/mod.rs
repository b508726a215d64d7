//! How far a team has come with experiments: check-ups, phases of adoption and their measures.
//!
//! Two ladders that guides mix up, and one that is for people alone:
//!
//! - the *check-up*: experiments by system, dared in stages (crawl, walk, run). A check has passed when the last run of its
//!   experiment was green and is not older than a year.
//! - the *phases* of adoption with their measures: three experiments; ten a month, five weaknesses found and repaired, MTTR less by
//!   30 %; fifty that run by themselves, availability more by 0.1 percentage points. What records of runs and a history of
//!   incidents show is computed from them; the rest somebody must declare, with evidence.
//!
//! A measure without records is unknown, never reached.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use model::{
    suite::{Check, Milestone, RunRecord, Stage, Suite, file_name},
    verdict::Verdict,
};
use serde::Serialize;

use crate::history::{Comparison, Direction};

/// A check-up is yearly: what is older says nothing any more.
const FRESH: SignedDuration = SignedDuration::from_hours(365 * 24);
/// The month of "ten a month", and how recently something that runs by itself has run.
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far a team has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The suite.
    pub name: String,
    /// Its systems with their checks.
    pub systems: Vec<SystemState>,
    /// The stages of the check-up.
    pub stages: Vec<StageState>,
    /// The phases of adoption.
    pub phases: Vec<Phase>,
}

/// One system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemState {
    /// Its name.
    pub name: String,
    /// The question that is asked of it.
    pub question: String,
    /// Its checks.
    pub checks: Vec<CheckState>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckState {
    /// Its name.
    pub name: String,
    /// When one dares it.
    pub stage: Stage,
    /// Where it stands.
    pub state: State,
    /// When its experiment ran last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// What the experiment has to do, where it is still to be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yours: Option<String>,
}

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The last run was green.
    Passed,
    /// It was, more than a year ago.
    Stale,
    /// The last run was yellow or red.
    Failed,
    /// The last run decided nothing.
    Undecided,
    /// It was never run.
    NeverRun,
    /// Nobody has written the experiment.
    NotWritten,
}

/// A stage of the check-up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageState {
    /// Which.
    pub stage: Stage,
    /// How many of its checks have passed.
    pub passed: usize,
    /// How many it has.
    pub checks: usize,
}

/// A phase of adoption.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Its measures.
    pub measures: Vec<Measure>,
}

impl Phase {
    /// Whether all of its measures are reached.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.measures.iter().all(|measure| measure.reached == Reached::Yes)
    }
}

/// A measure of success.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// What is wanted.
    pub wanted: &'static str,
    /// Whether it is so.
    pub reached: Reached,
    /// What there is, in words.
    pub found: String,
}

/// Whether a measure is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// It is.
    Yes,
    /// Not yet.
    No,
    /// Nobody can say: there are no records, or nobody declared it.
    Unknown,
    /// It cannot be: nothing is more available than always.
    Impossible,
}

/// How far a team has come at the instant `now`, by the records of its runs and what incidents were like before and after it began.
#[must_use]
pub fn assess(suite: &Suite, records: &[RunRecord], incidents: Option<&Comparison>, now: Timestamp) -> Report {
    let runs = Runs::of(records, now);
    let systems: Vec<SystemState> = suite
        .systems
        .iter()
        .map(|system| SystemState {
            name: system.name.clone(),
            question: system.question.clone(),
            checks: system.checks.iter().map(|check| runs.state(check)).collect(),
        })
        .collect();
    Report { name: suite.name.clone(), stages: stages(&systems), systems, phases: phases(suite, &runs, incidents) }
}

fn stages(systems: &[SystemState]) -> Vec<StageState> {
    let of_stage = |stage| {
        let checks = || systems.iter().flat_map(|system| &system.checks).filter(move |check| check.stage == stage);
        let passed = checks().filter(|check| check.state == State::Passed).count();
        StageState { stage, passed, checks: checks().count() }
    };
    Stage::ALL.map(of_stage).into_iter().filter(|stage| stage.checks > 0).collect()
}

/// The runs by document, each in the order of time; what lies in the future does not count.
struct Runs<'r> {
    now: Timestamp,
    of: BTreeMap<&'r str, Vec<&'r RunRecord>>,
}

impl<'r> Runs<'r> {
    fn of(records: &'r [RunRecord], now: Timestamp) -> Self {
        let mut of: BTreeMap<&str, Vec<&RunRecord>> = BTreeMap::new();
        for record in records.iter().filter(|record| record.started <= now) {
            of.entry(file_name(&record.document)).or_default().push(record);
        }
        for runs in of.values_mut() {
            runs.sort_by_key(|run| run.started);
            // The last run lies in the folder of reports twice: by itself and in its history.
            runs.dedup_by(|one, other| one.started == other.started && one.hash == other.hash);
        }
        Self { now, of }
    }

    fn last(&self, check: &Check) -> Option<&'r RunRecord> {
        self.of.get(check.file_name()?)?.last().copied()
    }

    fn is_within(&self, run: &RunRecord, age: SignedDuration) -> bool {
        self.now.duration_since(run.started) <= age
    }

    fn state(&self, check: &Check) -> CheckState {
        let last = self.last(check);
        let state = match last {
            None if check.experiment.is_none() => State::NotWritten,
            None => State::NeverRun,
            Some(run) => match run.verdict {
                Verdict::Green if self.is_within(run, FRESH) => State::Passed,
                Verdict::Green => State::Stale,
                Verdict::Yellow | Verdict::Red => State::Failed,
                Verdict::Invalid | Verdict::Inconclusive => State::Undecided,
            },
        };
        let yours = check.yours.clone();
        CheckState { name: check.name.clone(), stage: check.stage, state, last: last.map(|run| run.started), yours }
    }

    fn conclusive(&self) -> impl Iterator<Item = &'r RunRecord> {
        self.of.values().flatten().copied().filter(|run| is_conclusive(run.verdict))
    }

    /// Documents that were yellow or red and later, unchanged, green.
    fn weaknesses_repaired(&self) -> usize {
        let repaired = |runs: &Vec<&RunRecord>| {
            let mut found = BTreeSet::new();
            runs.iter().any(|run| match run.verdict {
                Verdict::Yellow | Verdict::Red => {
                    found.insert(&run.hash);
                    false
                }
                Verdict::Green => found.contains(&run.hash),
                Verdict::Invalid | Verdict::Inconclusive => false,
            })
        };
        self.of.values().filter(|runs| repaired(runs)).count()
    }
}

const fn is_conclusive(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Green | Verdict::Yellow | Verdict::Red)
}

fn phases(suite: &Suite, runs: &Runs<'_>, incidents: Option<&Comparison>) -> Vec<Phase> {
    let declared = |wanted, what| declared(suite, wanted, what);
    let documents: BTreeSet<&str> = runs.conclusive().map(|run| file_name(&run.document)).collect();
    let lately = runs.conclusive().filter(|run| runs.is_within(run, MONTH)).count();
    let by_itself =
        |check: &&Check| check.automated.is_some() && runs.last(check).is_some_and(|run| runs.is_within(run, MONTH));
    let automated = suite.systems.iter().flat_map(|system| &system.checks).filter(by_itself).count();
    let measured = |wanted, count, least, what| counted(wanted, count, least, what, runs);
    vec![
        Phase {
            name: "foundation",
            measures: vec![
                measured("3 experiments completed", documents.len(), 3, "experiments with a verdict"),
                declared("a standard process", Milestone::StandardProcess),
                declared("no security incident", Milestone::NoSecurityIncident),
            ],
        },
        Phase {
            name: "capability",
            measures: vec![
                measured("10 experiments a month", lately, 10, "runs with a verdict in the last 30 days"),
                measured(
                    "5 weaknesses found and repaired",
                    runs.weaknesses_repaired(),
                    5,
                    "experiments that were yellow or red and then, unchanged, green",
                ),
                repair_time(incidents),
            ],
        },
        Phase {
            name: "expansion",
            measures: vec![
                measured(
                    "50 experiments that run by themselves",
                    automated,
                    50,
                    "automated, and run in the last 30 days",
                ),
                availability(incidents),
                declared("the whole organisation", Milestone::WholeOrganisation),
            ],
        },
        Phase {
            name: "continuous improvement",
            measures: vec![
                declared("systems that heal themselves", Milestone::SelfHealing),
                declared("recognised by others", Milestone::Recognition),
                declared("new practices", Milestone::NewPractices),
            ],
        },
    ]
}

fn counted(wanted: &'static str, count: usize, least: usize, what: &str, runs: &Runs<'_>) -> Measure {
    let reached = match (runs.of.is_empty(), count >= least) {
        (true, _) => Reached::Unknown,
        (false, true) => Reached::Yes,
        (false, false) => Reached::No,
    };
    let found = if runs.of.is_empty() { "no records of runs".to_owned() } else { format!("{count}: {what}") };
    Measure { wanted, reached, found }
}

fn declared(suite: &Suite, wanted: &'static str, what: Milestone) -> Measure {
    match suite.declared.iter().find(|declared| declared.what == what) {
        Some(declared) => Measure { wanted, reached: Reached::Yes, found: format!("declared: {}", declared.evidence) },
        None => Measure { wanted, reached: Reached::Unknown, found: "not declared".to_owned() },
    }
}

/// Without a history there is nothing to compare.
fn no_incidents(wanted: &'static str) -> Measure {
    Measure { wanted, reached: Reached::Unknown, found: "no history of incidents with a `change`".to_owned() }
}

/// The largest ratio of repair times, now to before, that is 30 % less.
const MTTR_LESS_BY_30_PERCENT: f64 = 0.7;
/// What availability must have gained.
const TENTH_OF_A_POINT: f64 = 0.001;

fn repair_time(incidents: Option<&Comparison>) -> Measure {
    let wanted = "MTTR less by 30 %";
    let Some(ratio) = incidents.and_then(|incidents| incidents.repairs) else { return no_incidents(wanted) };
    let Some(value) = ratio.ratio.value else { return no_incidents(wanted) };
    let luck = if ratio.direction == Direction::Unclear { ", which luck would explain" } else { "" };
    let reached = if value <= MTTR_LESS_BY_30_PERCENT { Reached::Yes } else { Reached::No };
    let change = (value - 1.0) * 100.0;
    Measure { wanted, reached, found: format!("{change:+.0} %{luck}") }
}

fn availability(incidents: Option<&Comparison>) -> Measure {
    let wanted = "availability more by 0.1 percentage points";
    let Some([before, after]) = incidents.map(|incidents| incidents.availability) else { return no_incidents(wanted) };
    let gained = after - before;
    let mut found = format!("{:+.3} percentage points", gained * 100.0);
    // The same rounding error must not make the last step impossible.
    let reached = match (gained + f64::EPSILON >= TENTH_OF_A_POINT, before + TENTH_OF_A_POINT > 1.0 + f64::EPSILON) {
        (true, _) => Reached::Yes,
        (false, false) => Reached::No,
        (false, true) => {
            found = format!("{found}: above 99.9 % before, so downtime tells: {:+.0} %", less_downtime(before, after));
            Reached::Impossible
        }
    };
    Measure { wanted, reached, found }
}

/// The change of downtime in percent; none before leaves none to reduce.
fn less_downtime(before: f64, after: f64) -> f64 {
    if before < 1.0 { (before - after) / (1.0 - before) * 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
