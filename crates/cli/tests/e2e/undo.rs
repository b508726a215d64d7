//! `status` and `undo`, beside a run that lives, hangs, or has died.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Running, User};

/// A run with a fault in effect, and the folder of its journal.
struct Scene {
    user: User,
    state: tempfile::TempDir,
    running: Running,
}

impl Scene {
    fn new() -> Self {
        let (user, state) = (User::me(), tempfile::tempdir().unwrap());
        let file = user.example("experiments/latency-on-one-instance.yaml");
        let mut command = user.command(&["run", file.to_str().unwrap(), "--plain"]);
        let running = Running::from_command(command.env("SHAKETABLE_STATE", state.path().join("state")));
        println!("{}", running.wait_for("injected"));
        Self { user, state, running }
    }

    /// Another call, to its end.
    fn call(&self, arguments: &[&str]) -> crate::harness::Finished {
        let mut command = self.user.command(arguments);
        Running::from_command(command.env("SHAKETABLE_STATE", self.folder())).finish()
    }

    /// One that `shaketable` makes, for its user alone.
    fn folder(&self) -> PathBuf {
        self.state.path().join("state")
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.call(&["status", "--format", "json"]).stdout).unwrap()
    }

    fn journals(&self) -> usize {
        journals(&self.folder())
    }
}

fn journals(state: &Path) -> usize {
    fs::read_dir(state).unwrap().count()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn status_says_who_injects_what_and_undo_stops_it_in_order() {
    let scene = Scene::new();
    let status = scene.status();
    let journal = &status["journals"][0];
    assert_eq!(journal["pid"], scene.running.pid(), "{status}");
    assert_eq!(
        (&journal["held"], &journal["alive"], &journal["leftBehind"]),
        (&true.into(), &true.into(), &false.into())
    );
    let states = ["runner", "guardian"].map(|who| &journal[who]["state"]);
    assert_eq!(states, ["alive", "alive"], "{status}");
    let fault = &journal["faults"][0];
    assert_eq!(fault["fault"], "network:latency", "{status}");
    let within = |what: &str, most: f64| fault[what].as_f64().is_some_and(|seconds| seconds <= most);
    assert!(within("leaseSecondsLeft", 15.0) && within("endsInSeconds", 10.0), "{status}");
    let said = scene.call(&["status"]);
    assert!(said.stdout.contains("network:latency  i-") && said.code() == Some(0), "{}", said.output());
    let undone = scene.call(&["undo", "--all"]);
    assert_eq!(undone.code(), Some(0), "{}", undone.output());
    assert!(undone.stdout.contains("has stopped"), "{}", undone.output());
    assert_eq!(scene.journals(), 0);
    let finished = scene.running.finish();
    assert_eq!(finished.code(), Some(130), "{}", finished.output());
}

#[test]
fn undo_ends_a_run_that_hangs() {
    let scene = Scene::new();
    scene.running.signal(Signal::STOP);
    let undone = scene.call(&["undo", "--all", "--patience", "PT0.2S"]);
    assert_eq!(undone.code(), Some(0), "{}", undone.output());
    assert!(undone.stdout.contains("does not stop; ended it"), "{}", undone.output());
    assert_eq!(scene.journals(), 0);
    assert_eq!(scene.running.finish().code(), None);
}

#[test]
fn a_run_that_hangs_and_has_lost_its_guardian_is_ended_by_the_next_start() {
    let scene = Scene::new();
    scene.running.signal(Signal::STOP);
    let status = scene.status();
    let guardian = status["journals"][0]["guardian"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    let guardian = rustix::process::Pid::from_raw(guardian.expect("it has one")).unwrap();
    rustix::process::kill_process(guardian, Signal::KILL).unwrap();
    let file = scene.user.example("experiments/latency-on-one-instance.yaml");
    let start = ["run", file.to_str().unwrap(), "--dry-run"];
    // Until its lease is over, and a grace after that, it is nobody else's business.
    until("a start that undoes", || {
        let started = scene.call(&start);
        assert_eq!(started.code(), Some(0), "{}", started.output());
        scene.journals() == 0
    });
    assert_eq!(scene.running.finish().code(), None);
}

#[test]
fn a_run_that_is_killed_leaves_nothing_and_nobody_has_to_do_anything() {
    let scene = Scene::new();
    scene.running.signal(Signal::KILL);
    until("the guardian's work", || scene.journals() == 0);
    let said = scene.call(&["status"]);
    assert_eq!((said.code(), said.stdout.as_str()), (Some(0), "Nothing is injected, and nothing is left behind.\n"));
    assert_eq!(scene.running.finish().code(), None);
}

#[test]
fn a_journal_that_is_not_there_is_an_error_and_one_that_is_none_is_said() {
    let user = User::me();
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let call =
        |arguments: &[&str]| Running::from_command(user.command(arguments).env("SHAKETABLE_STATE", &state)).finish();
    let unknown = call(&["undo", "4711-0"]);
    assert_eq!(unknown.code(), Some(2), "{}", unknown.output());
    assert!(unknown.stderr.contains("no journal is called `4711-0`"), "{}", unknown.output());
    assert_eq!(call(&["undo", "--all"]).code(), Some(0));
    fs::write(state.join("1-0.journal"), "my diary").unwrap();
    let status = call(&["status"]);
    assert_eq!(status.code(), Some(1), "{}", status.output());
    assert!(status.stdout.contains("is not a journal"), "{}", status.output());
    assert_eq!(call(&["undo", "1-0"]).code(), Some(1));
    assert!(state.join("1-0.journal").exists());
}

#[test]
fn the_boot_unit_is_shown_installed_and_removed() {
    let user = User::me();
    let units = tempfile::tempdir().unwrap();
    let shown = user.call(&["install-recovery", "--print"]);
    assert!(shown.stdout.contains("undo --all") && shown.code() == Some(0), "{}", shown.output());
    let into = ["install-recovery", "--into", units.path().to_str().unwrap()];
    let installed = user.call(&into);
    // A program that was just built is mostly where others than root can write, or its user is not root.
    let (unit, link) = (
        units.path().join("shaketable-recovery.service"),
        units.path().join("basic.target.wants/shaketable-recovery.service"),
    );
    if installed.code() == Some(0) {
        assert_eq!(fs::read(&link).unwrap(), fs::read(&unit).unwrap());
        assert_eq!(user.call(&[&into[..], &["--uninstall"]].concat()).code(), Some(0));
    } else {
        assert!(
            installed.stderr.contains("only root") || installed.stderr.contains("others than root"),
            "{}",
            installed.output()
        );
    }
    assert!(!unit.exists() && !link.exists());
}
