//! Ctrl-C undoes, then exits 130; a second one undoes and exits without the report.

use rustix::process::Signal;

use crate::harness::User;

#[test]
fn ctrl_c_undoes_and_exits_130() {
    let user = User::me();
    let running = user.start(&user.example("experiments/latency-on-one-instance.yaml"), &["--plain"]);
    running.wait_for("injected");
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert_eq!(finished.events("undone").len(), 1, "{}", finished.output());
    assert_eq!(finished.events("undone")[0]["cleanliness"]["state"], "clean");
}

#[test]
fn ctrl_c_before_anything_is_injected_injects_nothing() {
    let user = User::me();
    let running = user.start(&user.example("experiments/latency-on-one-instance.yaml"), &["--plain"]);
    running.wait_for("baseline");
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert!(finished.events("injecting").is_empty());
}

#[test]
fn a_second_ctrl_c_undoes_and_skips_the_report() {
    let user = User::me();
    let running = user.start(&user.example("experiments/latency-on-one-instance.yaml"), &["--plain"]);
    running.wait_for("injected");
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
    assert!(finished.stderr.contains("undone"), "{}", finished.output());
}
