use jiff::Timestamp;
use model::{
    incident::Change,
    suite::{Declared, System},
};

use super::*;
use crate::history::{Estimate, Ratio, rate_ratio};

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(number * 86_400).unwrap()
}

fn run(document: &str, hash: &str, at: i64, verdict: Verdict) -> RunRecord {
    RunRecord { document: document.to_owned(), hash: hash.to_owned(), started: day(at), verdict }
}

fn check(name: &str, stage: Stage, experiment: Option<&str>) -> Check {
    Check { name: name.to_owned(), stage, experiment: experiment.map(ToOwned::to_owned), yours: None, automated: None }
}

fn suite(checks: Vec<Check>) -> Suite {
    let system = System { name: "muscles".to_owned(), question: "Do they grow?".to_owned(), checks };
    Suite { name: "check-up".to_owned(), systems: vec![system], declared: Vec::new() }
}

fn measure<'r>(report: &'r Report, wanted: &str) -> &'r Measure {
    let mut measures = report.phases.iter().flat_map(|phase| &phase.measures);
    measures.find(|measure| measure.wanted.contains(wanted)).unwrap()
}

fn comparison(availability: [f64; 2], repairs: f64) -> Comparison {
    let ratio = Estimate { value: Some(repairs), low: None, high: None };
    Comparison {
        change: Change { at: day(0), what: "experiments".to_owned() },
        interruptions: [9, 9],
        up_seconds: [1.0, 1.0],
        availability,
        failures: rate_ratio([9, 9], [1.0, 1.0], 0.95),
        repairs: Some(Ratio { ratio, p: 0.3, direction: Direction::Unclear }),
    }
}

#[test]
fn a_check_stands_where_the_last_run_of_its_experiment_put_it() {
    let checks = ["passed", "stale", "failed", "undecided", "never"]
        .map(|name| check(name, Stage::Crawl, Some(&format!("folder/{name}.yaml"))));
    let mut checks = checks.to_vec();
    checks.push(check("unwritten", Stage::Run, None));
    let records = [
        run("passed.yaml", "a", 900, Verdict::Green),
        run("passed.yaml", "a", 800, Verdict::Red),
        run("stale.yaml", "b", 600, Verdict::Green),
        run("failed.yaml", "c", 900, Verdict::Green),
        run("elsewhere/failed.yaml", "c", 950, Verdict::Yellow),
        run("undecided.yaml", "d", 990, Verdict::Inconclusive),
        run("never.yaml", "e", 1001, Verdict::Green),
    ];
    let report = assess(&suite(checks), &records, None, day(1000));
    let states: Vec<_> = report.systems[0].checks.iter().map(|check| check.state).collect();
    let wanted = [State::Passed, State::Stale, State::Failed, State::Undecided, State::NeverRun, State::NotWritten];
    assert_eq!(states, wanted, "what lies in the future has not happened");
    let stages: Vec<_> = report.stages.iter().map(|stage| (stage.stage, stage.passed, stage.checks)).collect();
    assert_eq!(stages, [(Stage::Crawl, 1, 5), (Stage::Run, 0, 1)]);
}

#[test]
fn a_weakness_is_repaired_when_the_unchanged_experiment_is_green() {
    let records = [
        run("a", "1", 1, Verdict::Red),
        run("a", "1", 2, Verdict::Green),
        run("b", "2", 1, Verdict::Yellow),
        run("b", "3", 2, Verdict::Green),
        run("c", "4", 1, Verdict::Green),
        run("c", "4", 2, Verdict::Red),
    ];
    let report = assess(&suite(Vec::new()), &records, None, day(3));
    let repaired = measure(&report, "weaknesses");
    assert!(repaired.found.starts_with("1:") && repaired.reached == Reached::No, "{repaired:?}");
    assert_eq!(measure(&report, "3 experiments").reached, Reached::Yes);
}

#[test]
fn ten_a_month_are_those_of_the_last_thirty_days_each_counted_once() {
    let mut records: Vec<_> = (0..10).map(|at| run("a", "1", 90 + at, Verdict::Green)).collect();
    let of = |records: &[RunRecord]| {
        let report = assess(&suite(Vec::new()), records, None, day(100));
        let measure = measure(&report, "a month");
        (measure.reached, measure.found.clone())
    };
    assert_eq!(of(&records).0, Reached::Yes);
    records[0] = records[1].clone();
    assert!(of(&records).1.starts_with("9:"), "the same run twice is one");
    records[0] = run("a", "1", 50, Verdict::Green);
    assert_eq!(of(&records).0, Reached::No);
}

#[test]
fn without_records_nothing_is_reached_and_nothing_missed() {
    let report = assess(&suite(Vec::new()), &[], None, day(1));
    assert!(report.phases.iter().all(|phase| !phase.is_reached()));
    assert!(report.phases.iter().flat_map(|phase| &phase.measures).all(|one| one.reached == Reached::Unknown));
}

#[test]
fn what_somebody_declares_is_reached_with_the_evidence() {
    let mut suite = suite(Vec::new());
    suite.declared = vec![Declared { what: Milestone::StandardProcess, evidence: "docs/experiments.md".to_owned() }];
    let report = assess(&suite, &[], None, day(1));
    let process = measure(&report, "standard process");
    assert_eq!((process.reached, process.found.as_str()), (Reached::Yes, "declared: docs/experiments.md"));
}

#[test]
fn what_runs_by_itself_has_run_lately() {
    let mut checks = vec![check("a", Stage::Run, Some("a")), check("b", Stage::Run, Some("b"))];
    for check in &mut checks {
        check.automated = Some("the nightly pipeline".to_owned());
    }
    let records = [run("a", "1", 99, Verdict::Green), run("b", "2", 10, Verdict::Green)];
    let report = assess(&suite(checks), &records, None, day(100));
    assert!(measure(&report, "by themselves").found.starts_with("1:"));
}

#[test]
fn a_tenth_of_a_point_cannot_be_gained_above_three_nines() {
    let of = |before: f64, after: f64| {
        let report = assess(&suite(Vec::new()), &[], Some(&comparison([before, after], 0.5)), day(1));
        measure(&report, "availability").clone()
    };
    assert_eq!(of(0.998, 0.999).reached, Reached::Yes);
    assert_eq!(of(0.998, 0.9985).reached, Reached::No);
    let high = of(0.9995, 0.99975);
    assert!(high.reached == Reached::Impossible && high.found.ends_with("-50 %"), "{high:?}");
}

#[test]
fn shorter_repairs_count_and_luck_is_named() {
    let of = |ratio: f64| {
        let report = assess(&suite(Vec::new()), &[], Some(&comparison([0.99, 0.99], ratio)), day(1));
        measure(&report, "MTTR").clone()
    };
    assert_eq!(of(0.8).reached, Reached::No);
    let less = of(0.6);
    assert!(less.reached == Reached::Yes && less.found == "-40 %, which luck would explain", "{less:?}");
}
