//! Pipelines: what each pattern does to a blackholed dependency, in labs and in the simulator.

use std::thread;

use serde_json::Value;

use crate::{
    calm::undisturbed,
    harness::{Finished, User, example},
};

/// What a run shows of the time in which the dependency was blackholed.
#[derive(Debug)]
struct InFault {
    /// Percent of requests.
    errors: f64,
    /// Seconds.
    median: f64,
    /// Requests per second to the dependency.
    load: f64,
}

fn run(pipeline: &str) -> Finished {
    let lab = example(&format!("labs/pipeline-{pipeline}.yaml"));
    let experiment = example("experiments/downstream-blackholed-pipeline.yaml");
    User::me().run(&experiment, &["--lab", lab.to_str().unwrap()])
}

fn in_fault(finished: &Finished) -> InFault {
    let report = finished.report();
    let during = |metric: &str| {
        let clauses = report["clauses"].as_array().unwrap();
        let clause = clauses.iter().find(|c| c["claim"] == "during" && c["metric"]["name"] == metric);
        clause.unwrap()["fault"]["value"].as_f64().unwrap()
    };
    InFault {
        errors: during("http.errors.share"),
        median: during("http.latency.p50"),
        load: mean_in_fault(&report, "scrape.dependency_load"),
    }
}

fn mean_in_fault(report: &Value, metric: &str) -> f64 {
    let list = |key: &str| report[key].as_array().unwrap().clone();
    let window = list("windows").into_iter().find(|window| window["window"] == "fault").unwrap();
    let series = list("series").into_iter().find(|series| series["metric"]["name"] == metric).unwrap();
    let (from, to) = (window["from"].as_f64().unwrap(), window["to"].as_f64().unwrap());
    let points = series["points"].as_array().unwrap().iter();
    // A rate is that of the second before it.
    let inside = points.filter(|point| (from + 1.2..=to).contains(&point["at"].as_f64().unwrap()));
    let values: Vec<f64> = inside.map(|point| point["value"].as_f64().unwrap()).collect();
    assert!(values.len() >= 3, "{metric} was scraped {} times in the fault", values.len());
    values.iter().sum::<f64>() / values.len() as f64
}

/// The table of `docs/patterns.md`, as ratios: figures of one machine are no promise.
#[test]
fn each_pattern_does_to_a_blackholed_dependency_what_the_documentation_says() {
    undisturbed(|| {
        // Two at a time: a lab is a handful of processes, and the machine may have two cores.
        let pair = |a: &'static str, b: &'static str| {
            let other = thread::spawn(move || run(b));
            (run(a), other.join().unwrap())
        };
        let ((none, timeout), (retry, breaker)) = (pair("none", "timeout"), pair("retry", "breaker"));
        for red in [&none, &timeout, &retry, &breaker] {
            red.ended_with(1, "red")?;
        }
        let fallback = crate::examples::keeps_its_promise("downstream-blackholed-pipeline.yaml");
        let [none, timeout, retry, breaker, fallback] = [&none, &timeout, &retry, &breaker, &fallback].map(in_fault);
        let all = [&none, &timeout, &retry, &breaker, &fallback];
        let promises = [
            ("without a fallback most fail", all[..4].iter().all(|without| without.errors > 50.0)),
            ("with one hardly any does", fallback.errors <= 1.0),
            ("a time limit ends the waiting", none.median > 2.0 * timeout.median),
            ("retries wait longer", retry.median > 1.5 * timeout.median),
            ("and multiply load", retry.load > 2.0 * timeout.load),
            ("a breaker answers at once", all[3..].iter().all(|with| with.median < timeout.median / 2.0)),
            ("and leaves the dependency alone", all[3..].iter().all(|with| with.load < timeout.load / 5.0)),
        ];
        match promises.iter().find(|(_, kept)| !kept) {
            None => Ok(()),
            Some((promise, _)) => Err(format!("{promise}: not so in {all:?}")),
        }
    });
}

#[test]
fn a_simulation_prints_the_same_picture_each_time_and_writes_it_as_svg() {
    let folder = tempfile::tempdir().unwrap();
    let svg = folder.path().join("storm.svg");
    let file = example("patterns/retry-storm.yaml");
    let file = file.to_str().unwrap();
    let simulate = |more: &[&str]| {
        let arguments = [&["patterns", "simulate", file], more].concat();
        let finished = User::me().call(&arguments);
        assert_eq!(finished.code(), Some(0), "{}", finished.output());
        finished.stdout
    };
    let picture = simulate(&["--svg", svg.to_str().unwrap()]);
    assert!(picture.contains("retry-with-budget") && picture.contains('█'), "{picture}");
    assert_eq!(simulate(&[]), picture);
    assert!(std::fs::read_to_string(svg).unwrap().starts_with("<svg "));
    let figures = |seed: &str| -> Value { serde_json::from_str(&simulate(&["--json", "--seed", seed])).unwrap() };
    assert_eq!(figures("2"), figures("2"));
    assert_ne!(figures("2"), figures("3"));
    assert!(figures("2")["runs"][1]["totals"]["amplification"].as_f64().unwrap() > 1.5);
}

#[test]
fn a_simulation_that_makes_no_sense_is_refused_with_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    std::fs::write(&file, "pipelines:\n  a: { retry: { max_atempts: 3 } }\nscenario: { rate: 1e12 }\n").unwrap();
    let finished = User::me().call(&["patterns", "simulate", file.to_str().unwrap()]);
    assert_eq!(finished.code(), Some(2));
    let expected =
        "wrong.yaml: line 2, column 17: pipelines.a.retry.max_atempts is not an option: did you mean `max_attempts`?";
    assert!(finished.stderr.contains(expected), "{}", finished.output());
    let schema = User::me().call(&["patterns", "schema"]);
    let schema: Value = serde_json::from_str(&schema.stdout).unwrap();
    assert_eq!(schema["title"], "Pipelines");
}
