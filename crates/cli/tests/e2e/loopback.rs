//! Faults in HTTP for people whose kernel gives them no networks of their own: the lab's links carry them.

use crate::{
    calm::ends_with,
    harness::{User, is_root},
};

/// A fault that took hold, hit requests, and left nothing.
#[track_caller]
fn hits_requests(file: &str, code: i32, verdict: &str) {
    let user = if is_root() { User::nobody() } else { User::me() };
    let document = user.example(&format!("experiments/{file}"));
    let finished = ends_with(code, verdict, || user.run(&document, &["--network", "loopback"]));
    let injected = finished.events("injected");
    assert!(!injected.is_empty() && injected.iter().all(|event| event["proof"]["holds"] == true), "{injected:?}");
    for undone in finished.events("undone") {
        assert_eq!(undone["cleanliness"]["state"], "clean", "{undone}");
        assert_eq!(undone["proof"]["holds"], true, "requests were hit: {undone}");
    }
}

#[test]
fn without_namespaces_answers_are_slow() {
    hits_requests("http-slow-answers.yaml", 3, "yellow");
}

#[test]
fn without_namespaces_requests_are_answered_with_errors() {
    hits_requests("http-errors.yaml", 1, "red");
}

#[test]
fn without_namespaces_calls_of_others_are_reset() {
    hits_requests("http-downstream-fails.yaml", 0, "green");
}

#[test]
fn without_namespaces_headers_are_lost() {
    hits_requests("http-header-lost.yaml", 0, "green");
}

#[test]
fn without_namespaces_answers_have_other_bodies() {
    hits_requests("http-body-changed.yaml", 0, "green");
}
