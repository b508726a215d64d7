//! Examples of one action each: their verdicts, and what their faults were seen to do.

use serde_json::Value;

use crate::{
    calm::ends_with,
    examples::keeps_its_promise,
    harness::{Finished, User, example, is_root, skipped},
};

/// Runs an example, whose fault must take hold wherever it is injected, and leave nothing. How the first one ended is handed
/// back.
fn takes_hold(file: &str) -> Value {
    let finished = keeps_its_promise(file);
    let proofs = proofs(&finished);
    assert!(!proofs.is_empty() && proofs.iter().all(|proof| proof["holds"] == true), "{proofs:?}");
    let mut undone = finished.events("undone");
    assert_eq!(undone.len(), proofs.len(), "{undone:?}");
    assert!(undone.iter().all(|event| event["cleanliness"]["state"] == "clean"), "{undone:?}");
    undone.remove(0)
}

fn proofs(finished: &Finished) -> Vec<Value> {
    finished.events("injected").iter().map(|event| event["proof"].clone()).collect()
}

/// Control groups are root's.
fn may_limit() -> bool {
    if !is_root() {
        skipped("control groups cannot be made by this user");
    }
    is_root()
}

#[test]
fn cpu_stress_tells_how_it_rose() {
    let whole = &takes_hold("cpu-stress.yaml")["proof"];
    assert_eq!(whole["configured"], "20 % of 1 CPU after a rise of 2.0 s in 4 steps");
    assert!(whole["achieved"].as_str().unwrap().contains("rose by "), "{whole}");
}

#[test]
fn cpu_throttle() {
    if may_limit() {
        takes_hold("cpu-throttle.yaml");
    }
}

#[test]
fn memory_stress_tells_how_it_rose() {
    let whole = &takes_hold("memory-stress.yaml")["proof"];
    assert!(whole["achieved"].as_str().unwrap().contains("rose to "), "{whole}");
}

#[test]
fn memory_limit() {
    if may_limit() {
        takes_hold("memory-limit.yaml");
    }
}

#[test]
fn memory_oom() {
    if may_limit() {
        let finished = keeps_its_promise("memory-oom.yaml");
        let proof = &proofs(&finished)[0];
        assert!(proof["achieved"].as_str().unwrap().contains("the kernel has ended process"), "{proof}");
        let ended = finished.events("instance").into_iter().filter(|event| event["change"] == "exited").count();
        assert_eq!(ended, 1, "{}", finished.output());
    }
}

#[test]
fn disk_fill() {
    takes_hold("disk-fill.yaml");
}

#[test]
fn disk_stress() {
    takes_hold("disk-stress.yaml");
}

#[test]
fn disk_latency() {
    takes_hold("disk-latency.yaml");
}

#[test]
fn disk_error() {
    takes_hold("disk-error.yaml");
}

#[test]
fn disk_read_only() {
    takes_hold("disk-read-only.yaml");
}

#[test]
fn instance_rebooted() {
    let finished = keeps_its_promise("instance-rebooted.yaml");
    assert_eq!(finished.events("injected")[0]["proof"]["holds"], true, "{}", finished.output());
}

#[test]
fn process_exhaust_pids() {
    if may_limit() {
        takes_hold("process-exhaust-pids.yaml");
    }
}

#[test]
fn process_exhaust_descriptors() {
    let finished = keeps_its_promise("process-exhaust-descriptors.yaml");
    assert_eq!(proofs(&finished)[0]["holds"], true, "{}", finished.output());
}

#[test]
fn a_template_of_aws_with_the_documents_for_disks_runs_on_the_disks_of_a_lab() {
    let lab = example("labs/spooling.yaml");
    let run = || User::me().run(&example("fis/fill-disk.json"), &["--lab", lab.to_str().unwrap()]);
    // It claims nothing.
    let finished = ends_with(4, "inconclusive", run);
    let proofs = proofs(&finished);
    assert_eq!(proofs.len(), 2, "{}", finished.output());
    assert!(proofs.iter().all(|proof| proof["holds"] == true), "{proofs:?}");
    assert_eq!(proofs[0]["configured"], "the disk of /mnt 90 % full");
}
