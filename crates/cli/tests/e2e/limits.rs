//! What a run is held to, seen from the command line.

use std::fs;

use crate::harness::{User, example};

#[test]
fn a_policy_refuses_what_goes_too_far_before_anything_happens() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    fs::write(&policy, "limits: { maxPercentOfZone: 50% }\n").unwrap();
    let arguments = ["--policy", policy.to_str().unwrap()];
    let finished = User::me().run(&example("experiments/zone-stopped.yaml"), &arguments);
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    assert!(finished.stderr.contains("would be affected at once (100 %)"), "{}", finished.output());
    assert!(!finished.stderr.contains("inject"), "{}", finished.output());
}

#[test]
fn a_dry_run_says_what_a_run_is_held_to_and_a_wrong_policy_is_no_policy() {
    let careful = example("policies/careful.yaml");
    let termination = example("experiments/instance-termination.yaml");
    let finished = User::me().run(&termination, &["--policy", careful.to_str().unwrap(), "--dry-run"]);
    assert_eq!(finished.code(), Some(0), "{}", finished.output());
    assert!(
        finished.stdout.contains("careful.yaml  at most 10 resources, at most 50 % of a group"),
        "{}",
        finished.output()
    );

    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("policy.yaml");
    fs::write(&wrong, "limit: { minHealthy: 1 }\nprotectedTags: [a]\n").unwrap();
    let finished = User::me().run(&termination, &["--policy", wrong.to_str().unwrap(), "--dry-run"]);
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    assert!(finished.stderr.contains("did you mean `limits`?"), "{}", finished.output());
}
