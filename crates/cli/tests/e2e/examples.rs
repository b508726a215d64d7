//! Every example gets the verdict that its first comment promises.

use std::fs;

use crate::{
    calm::ends_with,
    harness::{User, example, root},
};

/// The verdict an example promises: the word after `# Verdict: `.
fn promised(file: &str) -> String {
    let text = fs::read_to_string(example(&format!("experiments/{file}"))).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("# Verdict: ")).expect("an example says its verdict");
    line.split(['.', ' ']).next().unwrap().to_owned()
}

/// Runs an example, and checks that its verdict is the one it promises.
#[track_caller]
pub(crate) fn keeps_its_promise(file: &str) -> crate::harness::Finished {
    let verdict = promised(file);
    let code = match verdict.as_str() {
        "green" => 0,
        "red" => 1,
        "yellow" => 3,
        "invalid" | "inconclusive" => 4,
        other => panic!("`{other}` is not a verdict"),
    };
    ends_with(code, &verdict, || User::me().run(&example(&format!("experiments/{file}")), &[]))
}

#[test]
fn instance_termination() {
    let finished = keeps_its_promise("instance-termination.yaml");
    assert_eq!(finished.events("injecting").len(), 1);
    let proof = &finished.events("injected")[0]["proof"];
    assert_eq!(proof["holds"], true, "{proof}");
}

#[test]
fn no_replacement() {
    keeps_its_promise("no-replacement.yaml");
}

#[test]
fn latency_on_one_instance() {
    let finished = keeps_its_promise("latency-on-one-instance.yaml");
    assert_eq!(finished.events("undone")[0]["cleanliness"]["state"], "clean");
}

#[test]
fn four_faults_on_one_link_at_once_all_take_hold() {
    let finished = keeps_its_promise("bad-link.yaml");
    let proofs = finished.events("injected");
    assert_eq!(proofs.len(), 4);
    assert!(proofs.iter().all(|event| event["proof"]["holds"] == true), "{proofs:?}");
    assert!(finished.events("undone").iter().all(|event| event["cleanliness"]["state"] == "clean"));
}

#[test]
fn refused_connections_are_tried_elsewhere() {
    keeps_its_promise("connections-refused.yaml");
}

#[test]
fn stop_condition() {
    let finished = keeps_its_promise("stop-condition.yaml");
    assert_eq!(finished.events("guard-fired").len(), 1);
    assert_eq!(finished.events("injecting").len(), 2, "the second action is never started");
    assert_eq!(finished.events("undone").len(), 2);
}

#[test]
fn stress_then_terminate() {
    let finished = keeps_its_promise("stress-then-terminate.yaml");
    let hit: Vec<_> = finished.events("injecting").iter().map(|event| event["resource"].clone()).collect();
    assert_eq!(hit.len(), 3, "two of four are stressed, another one is terminated");
    assert!(hit[..2].iter().all(|stressed| *stressed != hit[2]), "{hit:?}");
}

#[test]
fn zone_stopped() {
    let finished = keeps_its_promise("zone-stopped.yaml");
    assert_eq!(finished.events("injecting").len(), 2);
}

#[test]
fn clock_of_tomorrow() {
    let finished = keeps_its_promise("clock-of-tomorrow.yaml");
    assert_eq!(finished.events("injected")[0]["proof"]["holds"], true);
    assert_eq!(finished.events("undone")[0]["cleanliness"]["state"], "clean");
}

#[test]
fn names_do_not_resolve() {
    let finished = keeps_its_promise("names-do-not-resolve.yaml");
    assert_eq!(finished.events("injected")[0]["proof"]["holds"], true);
    assert_eq!(finished.events("undone")[0]["cleanliness"]["state"], "clean");
}

/// A fault in HTTP that took hold, hit requests, and left nothing.
#[track_caller]
fn hits_requests(file: &str) {
    let finished = keeps_its_promise(file);
    assert!(finished.events("injected").iter().all(|event| event["proof"]["holds"] == true), "{file}");
    for undone in finished.events("undone") {
        assert_eq!(undone["cleanliness"]["state"], "clean", "{file}");
        assert_eq!(undone["proof"]["holds"], true, "requests were hit: {undone}");
    }
}

#[test]
fn http_slow_answers() {
    hits_requests("http-slow-answers.yaml");
}

#[test]
fn http_errors() {
    hits_requests("http-errors.yaml");
}

#[test]
fn http_downstream_fails() {
    hits_requests("http-downstream-fails.yaml");
}

#[test]
fn http_header_lost() {
    hits_requests("http-header-lost.yaml");
}

#[test]
fn http_body_changed() {
    hits_requests("http-body-changed.yaml");
}

#[test]
fn zone_power_off() {
    let finished = keeps_its_promise("zone-power-off.yaml");
    let proof = &finished.events("injected")[0]["proof"];
    assert_eq!(proof["holds"], true, "{proof}");
    let [undone] = &finished.events("undone")[..] else { panic!("a zone is one thing") };
    assert_eq!(undone["cleanliness"]["state"], "clean");
    let notes = finished.events("note");
    let denied = notes.iter().filter(|note| note["text"].as_str().unwrap().contains("insufficient capacity"));
    assert_eq!(denied.count(), 1, "{notes:?}");
}

#[test]
fn zone_isolated() {
    let finished = keeps_its_promise("zone-isolated.yaml");
    // Gone, when its group has replaced all that was cut off before that was over.
    let undone = &finished.events("undone")[0]["cleanliness"]["state"];
    assert!(undone == "clean" || undone == "gone", "{undone}");
}

#[test]
fn zone_latency() {
    let finished = keeps_its_promise("zone-latency.yaml");
    assert_eq!(finished.events("undone")[0]["cleanliness"]["state"], "clean");
}

#[test]
fn zone_without_capacity() {
    let finished = keeps_its_promise("zone-without-capacity.yaml");
    let launched: Vec<_> =
        finished.events("instance").iter().filter(|event| event["change"] == "launched").cloned().collect();
    assert_eq!(launched.last().unwrap()["zone"], "local-1b", "{launched:?}");
}

#[test]
fn an_agent_that_stops_is_noticed_only_by_an_alarm_that_minds_missing_data() {
    let noticed = keeps_its_promise("agent-stopped.yaml");
    let states: Vec<_> = noticed
        .events("alarm")
        .iter()
        .filter(|event| event["alarm"] == "agent-silent")
        .map(|event| event["to"].clone())
        .collect();
    assert_eq!(states.last().unwrap(), "OK", "{states:?}");
    assert!(states.iter().any(|state| *state == "ALARM"), "{states:?}");
    keeps_its_promise("agent-stopped-unnoticed.yaml");
}

#[test]
fn a_circuit_breaker_makes_a_blackholed_dependency_bearable() {
    let without = keeps_its_promise("downstream-blackholed.yaml");
    let with = keeps_its_promise("downstream-blackholed-with-breaker.yaml");
    let p95_in_fault = |finished: &crate::harness::Finished| {
        let report = finished.report();
        let clauses = report["clauses"].as_array().unwrap();
        let clause = clauses.iter().find(|c| c["claim"] == "during" && c["metric"]["name"] == "http.latency.p95");
        clause.unwrap()["fault"]["value"].as_f64().unwrap()
    };
    assert!(p95_in_fault(&with) * 2.0 < p95_in_fault(&without), "the breaker's run is measurably better");
}

#[test]
fn no_steady_state() {
    let finished = keeps_its_promise("no-steady-state.yaml");
    assert!(finished.events("injecting").is_empty(), "nothing is injected");
}

#[test]
fn fault_not_achieved() {
    keeps_its_promise("fault-not-achieved.yaml");
}

#[test]
fn every_experiment_has_a_test() {
    let files = fs::read_dir(root().join("crates/cli/tests/e2e")).unwrap().map(|entry| entry.unwrap().path());
    let tests: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    for entry in fs::read_dir(example("experiments")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let runs = [format!("(\"{name}\")"), format!("(\"experiments/{name}\")")];
        assert!(runs.iter().any(|run| tests.contains(run)), "no test runs {name}");
    }
}

#[test]
fn every_example_is_free_of_errors() {
    for folder in ["experiments", "labs", "fis"] {
        for entry in fs::read_dir(example(folder)).unwrap() {
            let path = entry.unwrap().path();
            let finished = User::me().call(&["check", path.to_str().unwrap()]);
            assert_eq!(finished.code(), Some(0), "{}: {}", path.display(), finished.output());
        }
    }
}

/// The template of S0 section 2.2 is read from the guide it stands in, and runs as it is: the lab carries its tags and
/// the alarm that its stop condition names.
#[test]
fn the_guide_s_own_template_runs_unchanged() {
    let guide = root().join("../shared/seeds/000_resilience_on_aws.md");
    let Ok(text) = fs::read_to_string(&guide) else {
        return crate::harness::skipped("the guide does not lie beside the project");
    };
    let template = text
        .split("```yaml\n")
        .filter_map(|block| block.split("```").next())
        .find(|block| block.contains("EC2StopExperiment:"))
        .expect("the guide has the template");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.yaml");
    fs::write(&file, template).unwrap();
    let lab = example("labs/staging.yaml");
    let finished = ends_with(0, "green", || User::me().run(&file, &["--lab", lab.to_str().unwrap()]));
    assert_eq!(finished.events("injecting").len(), 1);
}
