//! What is different from the earlier run of the same document.

use std::collections::BTreeMap;

use model::verdict::Verdict;
use serde::Deserialize;

use crate::record::{Change, Changes, FORMAT, Record, Times, Took};

/// What is read of an earlier `report.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviousRun {
    format: u32,
    document: PreviousDocument,
    started: String,
    seed: u64,
    verdict: Verdict,
    clauses: Vec<PreviousClause>,
    #[serde(default)]
    times: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousDocument {
    hash: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreviousClause {
    claim: String,
    clause: String,
    held: Option<String>,
    fault: Option<PreviousValue>,
    recovery: Option<PreviousValue>,
}

#[derive(Debug, Clone, Deserialize)]
struct PreviousValue {
    text: String,
    value: Option<f64>,
}

/// Two runs of one system never give the same figures: a difference of less than a tenth is noise, not news.
const NOISE: f64 = 0.1;

fn is_noise(before: Option<f64>, now: Option<f64>) -> bool {
    matches!((before, now), (Some(before), Some(now)) if (before - now).abs() < NOISE * before.abs().max(now.abs()))
}

/// Why an earlier report cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// It is no report of ours.
    #[error("it is not a report: {0}")]
    NotAReport(#[from] serde_json::Error),
    /// It has another format.
    #[error("it has format {found}; this program reads format {FORMAT}")]
    Format {
        /// The one it has.
        found: u32,
    },
    /// It is about another document.
    #[error("it is about another document (SHA-256 {found})")]
    OtherDocument {
        /// The hash of that document.
        found: String,
    },
}

/// Says what is different, by more than a tenth, in a run from an earlier one of the same document; `report` is where that one's report lies.
///
/// # Errors
///
/// When `previous` is not the `report.json` of an earlier run of the same document.
pub fn compare(previous: &serde_json::Value, now: &Record, report: Option<String>) -> Result<Changes, CompareError> {
    let previous = PreviousRun::deserialize(previous)?;
    if previous.format != FORMAT {
        return Err(CompareError::Format { found: previous.format });
    }
    if previous.document.hash != now.document.hash {
        return Err(CompareError::OtherDocument { found: previous.document.hash });
    }
    let mut lines = Vec::new();
    let mut line = |what: &str, before: String, after: String| {
        if before != after {
            lines.push(Change { what: what.to_owned(), before, now: after });
        }
    };
    line("verdict", previous.verdict.to_string(), now.verdict.to_string());
    let unknown = || "-".to_owned();
    for clause in &now.clauses {
        let same = |one: &&PreviousClause| one.clause == clause.clause && one.claim == plain(&clause.claim);
        let Some(before) = previous.clauses.iter().find(same) else { continue };
        let name = format!("{}: {}", clause.claim, clause.clause);
        line(
            &format!("{name}: held"),
            before.held.clone().unwrap_or_else(unknown),
            clause.held.as_ref().map_or_else(unknown, plain),
        );
        for (window, before, after) in
            [("fault", &before.fault, &clause.fault), ("recovery", &before.recovery, &clause.recovery)]
        {
            if is_noise(before.as_ref().and_then(|one| one.value), after.as_ref().and_then(|one| one.value)) {
                continue;
            }
            let before = before.as_ref().map_or_else(unknown, |value| value.text.clone());
            let after = after.as_ref().map_or_else(unknown, |value| value.text.clone());
            line(&format!("{name}: {window}"), before, after);
        }
    }
    for (key, name, took) in named(&now.times) {
        let before = previous.times.get(key).and_then(|took| took.get("seconds")).and_then(serde_json::Value::as_f64);
        let after = took.map(|took| took.seconds);
        if is_noise(before, after) {
            continue;
        }
        let text = |seconds: Option<f64>| seconds.map_or_else(unknown, |seconds| format!("{seconds:.1} s"));
        line(name, text(before), text(after));
    }
    Ok(Changes { started: previous.started, verdict: previous.verdict, seed: previous.seed, report, lines })
}

/// The times with the keys they have in JSON and the names they have for people.
fn named(times: &Times) -> [(&'static str, &'static str, Option<&Took>); 5] {
    [
        ("detectByBalancer", "time until a balancer noticed", times.detect_by_balancer.as_ref()),
        ("detectByAlarm", "time until an alarm fired", times.detect_by_alarm.as_ref()),
        ("replace", "time to replace", times.replace.as_ref()),
        ("recover", "time to recover", times.recover.as_ref()),
        ("abort", "time to abort", times.abort.as_ref()),
    ]
}

/// How a unit variant is written in JSON.
fn plain(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use model::{event::What, experiment::Experiment, hypothesis::Hypothesis};

    use super::*;
    use crate::{
        record::{Claim, ClauseResult, Document, Held, WindowValue},
        testing,
    };

    fn record(verdict: Verdict, p99: f64) -> Record {
        let value = WindowValue { text: format!("{p99} ms"), value: Some(p99), samples: 2000, held: Held::Yes };
        let held = if p99 <= 500.0 { Held::Yes } else { Held::No };
        Record {
            format: FORMAT,
            document: Document::new("a.yaml", b"a"),
            experiment: Experiment { hypothesis: Hypothesis::default(), ..Experiment::default() },
            seed: 1,
            started: "2026-01-01T00:00:00Z".to_owned(),
            ended: model::Moment::from_secs(30),
            status: model::status::ExperimentStatus::Completed,
            status_reason: String::new(),
            interrupted: false,
            verdict,
            reason: String::new(),
            windows: vec![],
            clauses: vec![ClauseResult {
                claim: Claim::During,
                clause: "http.latency.p99 <= 500 ms".to_owned(),
                metric: model::metric::Metric::new("http.latency.p99"),
                wanted: "<= 500ms".parse().unwrap(),
                concern: model::metric::Concern::Performance,
                baseline: None,
                fault: Some(value),
                recovery: None,
                held: Some(held),
                why: String::new(),
                doubtful: false,
                held_after_seconds: None,
            }],
            times: Times {
                recover: Some(Took::between(model::Moment::ZERO, model::Moment::from(p99 / 100.0), "recovery")),
                ..Times::default()
            },
            plan: testing::plan(vec![]),
            actions: vec![],
            injections: vec![],
            residue: vec![],
            suggestions: vec![],
            previous: None,
            series: vec![],
            events: vec![model::event::Event {
                at: model::Moment::ZERO,
                what: What::Verdict { verdict, reason: String::new() },
            }],
        }
    }

    #[test]
    fn figures_within_a_tenth_of_each_other_are_no_news() {
        let earlier = serde_json::to_value(record(Verdict::Green, 400.0)).unwrap();
        let lines = |p99: f64| compare(&earlier, &record(Verdict::Green, p99), None).unwrap().lines;
        assert_eq!(lines(430.0), []);
        assert!(!lines(450.0).is_empty());
    }

    #[test]
    fn what_changed_since_the_earlier_run_is_said_line_by_line() {
        let earlier = serde_json::to_value(record(Verdict::Yellow, 1500.0)).unwrap();
        let changes = compare(&earlier, &record(Verdict::Green, 400.0), Some("runs/1/report.html".to_owned())).unwrap();
        assert_eq!((changes.verdict, changes.report.as_deref()), (Verdict::Yellow, Some("runs/1/report.html")));
        let lines: Vec<String> =
            changes.lines.iter().map(|line| format!("{}: {} -> {}", line.what, line.before, line.now)).collect();
        assert_eq!(
            lines,
            [
                "verdict: yellow -> green",
                "during: http.latency.p99 <= 500 ms: held: no -> yes",
                "during: http.latency.p99 <= 500 ms: fault: 1500 ms -> 400 ms",
                "time to recover: 15.0 s -> 4.0 s",
            ]
        );
    }

    #[test]
    fn an_equal_run_has_no_changes() {
        let earlier = serde_json::to_value(record(Verdict::Green, 400.0)).unwrap();
        assert_eq!(compare(&earlier, &record(Verdict::Green, 400.0), None).unwrap().lines, []);
    }

    #[test]
    fn what_is_no_earlier_run_of_the_document_is_not_compared_with() {
        let now = record(Verdict::Green, 400.0);
        let mut other = serde_json::to_value(&now).unwrap();
        other["document"]["hash"] = "0".into();
        assert!(matches!(compare(&other, &now, None), Err(CompareError::OtherDocument { .. })));
        let mut newer = serde_json::to_value(&now).unwrap();
        newer["format"] = 2.into();
        assert!(matches!(compare(&newer, &now, None), Err(CompareError::Format { found: 2 })));
        assert!(matches!(compare(&"x".into(), &now, None), Err(CompareError::NotAReport(_))));
    }
}
