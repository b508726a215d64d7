//! The missing-data tables that CloudWatch's user guide publishes: ten rows of datapoints, four treatments each.

use std::path::Path;

use model::{
    Period,
    alarm::{Alarm, AlarmState, Statistic, TreatMissingData},
    metric::{Comparison, Metric},
};
use observe::alarm::evaluate;
use serde_json::Value;

/// The published tables, which lie beside the project; not on every machine, but in CI.
fn corpus() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/alarms/alarm_vectors.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{}: {error}", path.display());
            eprintln!("skipped: the published tables do not lie beside the project");
            None
        }
    }
}

fn alarm(m: u32, n: u32, treat_missing_data: TreatMissingData) -> Alarm {
    Alarm {
        metric: Metric::new("http.errors"),
        statistic: Statistic::Sum,
        period: Period::from_secs(60),
        evaluation_periods: n,
        datapoints_to_alarm: m,
        threshold: 5.0,
        comparison: Comparison::Greater,
        treat_missing_data,
        cloudwatch: None,
    }
}

/// `0-X` is a value within the threshold, nothing, and a breaching value.
fn points(row: &str) -> Vec<Option<f64>> {
    row.chars()
        .map(|sign| match sign {
            '0' => Some(0.0),
            'X' => Some(6.0),
            '-' => None,
            other => panic!("{other} in {row}"),
        })
        .collect()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

#[test]
fn every_cell_of_the_published_tables_holds() {
    const TREATMENTS: [TreatMissingData; 4] = [
        TreatMissingData::Missing,
        TreatMissingData::Ignore,
        TreatMissingData::Breaching,
        TreatMissingData::NotBreaching,
    ];
    let Some(corpus) = corpus() else { return };
    let mut cells = 0;
    for row in corpus["vectors"].as_array().unwrap() {
        let datapoints = points(row[0].as_str().unwrap());
        let (m, n) = (number(&row[1]), number(&row[2]));
        for (column, treatment) in TREATMENTS.into_iter().enumerate() {
            let expected = row[3 + column].as_str().unwrap();
            for previous in [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData] {
                let wanted = if expected == "RETAIN" { previous.to_string() } else { expected.to_owned() };
                let (state, reason) = evaluate(&alarm(m, n, treatment), &datapoints, previous);
                assert_eq!(state.to_string(), wanted, "{row} {treatment:?} after {previous}: {reason}");
            }
            cells += 1;
        }
    }
    assert_eq!(cells, 40);
}

#[test]
fn one_late_breaching_value_among_missing_ones_is_no_alarm_yet() {
    let Some(corpus) = corpus() else { return };
    for row in corpus["not_alarm_when_missing_M3"].as_array().unwrap() {
        let datapoints = points(row.as_str().unwrap());
        let (state, reason) = evaluate(&alarm(3, 3, TreatMissingData::Missing), &datapoints, AlarmState::Ok);
        assert_ne!(state, AlarmState::Alarm, "{row}: {reason}");
    }
}
