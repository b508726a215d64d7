//! Reports, dry runs, and what the other commands print.

use std::fs;

use crate::{
    calm::ends_with,
    harness::{User, example},
};

#[test]
fn a_dry_run_names_who_would_be_hit_and_hits_nobody() {
    let finished = User::me().call(&[
        "run",
        example("experiments/instance-termination.yaml").to_str().unwrap(),
        "--dry-run",
        "--seed",
        "7",
    ]);
    assert_eq!(finished.code(), Some(0), "{}", finished.output());
    assert!(finished.stdout.contains("Terminate-One-Instance"), "{}", finished.output());
    assert!(finished.stdout.contains("i-"), "{}", finished.output());
    assert!(!finished.stderr.contains("injected"), "{}", finished.output());
}

#[test]
fn a_seed_repeats_the_choice() {
    let choice = || {
        let finished = User::me().call(&[
            "run",
            example("experiments/instance-termination.yaml").to_str().unwrap(),
            "--dry-run",
            "--seed",
            "42",
        ]);
        finished.stdout
    };
    assert_eq!(choice(), choice());
}

#[test]
fn a_second_run_of_the_same_document_says_what_changed() {
    let user = User::me();
    let folder = tempfile::tempdir().unwrap();
    let file = user.example("experiments/no-steady-state.yaml");
    let run = || user.call(&["run", file.to_str().unwrap(), "--report", folder.path().to_str().unwrap()]);
    assert_eq!(run().code(), Some(4));
    let second = run();
    assert_eq!(second.code(), Some(4), "{}", second.output());
    for name in ["report.html", "report.json", "junit.xml"] {
        assert!(folder.path().join(name).is_file(), "no {name}");
    }
    let report = fs::read_to_string(folder.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(!report["previous"].is_null(), "the earlier run is linked");
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "the page refers to nothing outside");
}

#[test]
fn a_wrong_document_is_explained_and_exits_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    let text = fs::read_to_string(example("experiments/instance-termination.yaml")).unwrap();
    fs::write(
        &file,
        text.replace("selectionMode", "selectonMode").replace("terminate-instances", "terminate-instance"),
    )
    .unwrap();
    for command in ["check", "run"] {
        let finished = User::me().call(&[command, file.to_str().unwrap()]);
        assert_eq!(finished.code(), Some(2), "{}", finished.output());
        let all = finished.output();
        assert!(
            all.contains("wrong.yaml:") && all.contains("selectionMode") && all.contains("aws:ec2:terminate-instances"),
            "{all}"
        );
    }
}

#[test]
fn the_catalogue_and_the_doctor_speak_json() {
    for arguments in [["actions", "--format", "json"], ["doctor", "--format", "json"]] {
        let finished = User::me().call(&arguments);
        assert_eq!(finished.code(), Some(0), "{}", finished.output());
        let value: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        assert!(value.as_array().is_some_and(|list| list.len() > 5), "{value}");
    }
}

#[test]
fn a_lab_comes_up_shows_itself_and_goes_down() {
    let user = User::me();
    let lab = user.example("labs/two-zones.yaml");
    let lab = lab.to_str().unwrap();
    let running = crate::harness::Running::from_command(&mut user.command(&["lab", "up", lab]));
    running.wait_for("is up");
    let status = user.call(&["lab", "status", lab]);
    assert_eq!(status.code(), Some(0), "{}", status.output());
    assert!(status.stdout.contains("web") && status.stdout.contains("healthy"), "{}", status.output());
    assert_eq!(user.call(&["lab", "down", lab]).code(), Some(0));
    assert_eq!(running.finish().code(), Some(0));
    assert_ne!(user.call(&["lab", "status", lab]).code(), Some(0), "it is down");
}

#[test]
fn forty_instances_carry_an_experiment() {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &str| fs::read_to_string(example(path)).unwrap();
    let lab = read("labs/four-in-two-zones.yaml")
        .replace("min: 4", "min: 40")
        .replace("max: 6", "max: 60")
        .replace("desired: 4", "desired: 40");
    fs::write(folder.path().join("lab.yaml"), lab).unwrap();
    let experiment = read("experiments/instance-termination.yaml")
        .replace("== 2", "== 40")
        .replace("../labs/two-zones.yaml", "lab.yaml");
    let file = folder.path().join("experiment.yaml");
    fs::write(&file, experiment).unwrap();
    ends_with(0, "green", || User::me().run(&file, &[]));
}
