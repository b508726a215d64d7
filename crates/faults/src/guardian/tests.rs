//! Runners that die and hang, guardians that do, and both, with faults that do not end by themselves.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use model::event::{Cleanliness, InjectionId};
use rustix::process::Signal;

use super::{link::Link, watch::GRACE};
use crate::{
    Host, Object, Parameters, Program, Undo, abandoned,
    book::Book,
    boot,
    fault::{self, Tools},
    grant::{Grant, OVERTIME},
    journal::{self, Journal, Record, is_held},
    process::Process,
    state,
};

/// What the runner is told, in its environment.
const FAULT: &str = "GUARDED_FAULT";
const JOURNAL: &str = "GUARDED_JOURNAL";
const NAME: &str = "GUARDED_NAME";
const PID: &str = "GUARDED_PID";
const LEASE: &str = "GUARDED_LEASE";

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
/// Shorter than a test takes, and longer than a busy machine takes to hang a runner that has just injected.
const SHORT: Duration = Duration::from_secs(2);

fn only(name: &str) -> Vec<String> {
    ["--exact", "--nocapture", "--ignored", "--test-threads=1", name].map(str::to_owned).to_vec()
}

fn program() -> Program {
    let path = std::env::current_exe().unwrap();
    Program { path, helper: Vec::new(), guardian: only("guardian::tests::the_guardian") }
}

/// Not a test: what this binary does when it is started as a guardian.
#[test]
#[ignore = "the guardian, started by hosts that inject"]
fn the_guardian() {
    let _ended = super::main();
}

/// Not a test: a process that injects, says so, and waits; then lets go of its host.
#[test]
#[ignore = "the runner, started by the tests here"]
fn the_runner() {
    let told = |name| std::env::var(name).expect("told by the test that started it");
    let object = Object { name: told(NAME), pid: Some(told(PID).parse().unwrap()), ..Object::default() };
    let host = Host::with_program(Path::new(&told(JOURNAL)), "a test", program()).unwrap();
    let lease = Duration::from_millis(told(LEASE).parse().unwrap());
    host.inject(InjectionId(1), &told(FAULT), &Parameters::new(), &object, lease).unwrap();
    println!("\ninjected");
    let mut renewing = [0];
    // Every byte renews.
    while std::io::stdin().read(&mut renewing).unwrap() > 0 {
        host.renew(&[InjectionId(1)]);
    }
}

/// Not a test: a process that injects what should end in a moment, and renews it for ever; without a host, which would undo it.
#[test]
#[ignore = "the runner that does not undo, started by the test here"]
fn the_lingering_runner() {
    let told = |name| std::env::var(name).expect("told by the test that started it");
    let object = Object { name: told(NAME), pid: Some(told(PID).parse().unwrap()), ..Object::default() };
    let (journal, _) = Journal::open(Path::new(&told(JOURNAL))).unwrap();
    let link = Link::start(&program(), &journal).unwrap();
    let (id, token) = (InjectionId(1), 7);
    let end = (boot::now() + SHORT).checked_sub(OVERTIME).expect("this machine runs for longer");
    link.leased(&[(token, Grant { until: boot::now() + LONG, end: Some(end) })]);
    let fault = fault::find(&told(FAULT)).unwrap();
    let undo = Undo { fault: told(FAULT), token, object, plan: serde_json::Value::Null };
    let planned = Record::Planned { id, undo: Box::new(undo.clone()), lease: LONG, at: SystemTime::now() };
    journal.append(&planned).unwrap();
    let injection = fault.inject(&undo, &Tools { program: program() }).unwrap();
    println!("\ninjected");
    loop {
        link.renewed(&[(token, boot::now() + LONG)]);
        if std::io::stdin().read(&mut [0]).unwrap() == 0 {
            break;
        }
    }
    // Never of its own: whoever drops it has undone it.
    drop(injection);
}

/// A runner that has stopped a process, its guardian, and the journal.
struct Scene {
    victim: Child,
    runner: Child,
    guardian: Process,
    folder: tempfile::TempDir,
    /// Open, because the runner has more to say at its end.
    _output: BufReader<ChildStdout>,
}

impl Scene {
    fn new(fault: &str, lease: Duration) -> Self {
        Self::with("guardian::tests::the_runner", fault, lease)
    }

    fn with(runner: &str, fault: &str, lease: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let victim = Command::new("sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut runner = Command::new(std::env::current_exe().unwrap())
            .args(only(runner))
            .env(FAULT, fault)
            .env(JOURNAL, folder.path().join("journal"))
            .env(NAME, folder.path().join("obstacle"))
            .env(PID, victim.id().to_string())
            .env(LEASE, lease.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(runner.stdout.take().unwrap());
        assert!(output.by_ref().lines().any(|line| line.unwrap() == "injected"));
        let guardian = guardian_of(process(&runner)).unwrap();
        Self { victim, runner, guardian, folder, _output: output }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn obstacle(&self) -> PathBuf {
        self.folder.path().join("obstacle")
    }

    fn is_stopped(&self) -> bool {
        process(&self.victim).stat().unwrap().state == 'T'
    }

    fn kill_runner(&mut self) {
        self.runner.kill().unwrap();
        self.runner.wait().unwrap();
    }

    /// The runner hangs, and nobody watches it: stopped before it can notice that its guardian has died, and before its lease is
    /// over, which it would.
    fn leave_hanging(&self) {
        process(&self.runner).signal(Signal::STOP).unwrap();
        self.guardian.signal(Signal::KILL).unwrap();
        until("the guardian's end", || !self.guardian.is_alive());
        assert!(self.is_stopped(), "the machine is too busy for a lease of {SHORT:?}");
    }

    /// Kills both at once: stopped first, because otherwise one might notice that the other has died.
    fn kill_both(&mut self) {
        for process in [process(&self.runner), self.guardian] {
            process.signal(Signal::STOP).unwrap();
        }
        self.guardian.signal(Signal::KILL).unwrap();
        self.kill_runner();
        self.wait_for_the_last();
    }

    /// Waits until the guardian has ended, and all its threads: the first one ends before the last one lets go of the journal.
    fn wait_for_the_last(&self) {
        until("the guardian's end", || !self.guardian.is_alive());
        until("nobody has the journal", || !is_held(&self.journal()).unwrap());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for child in [&mut self.runner, &mut self.victim] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn process(child: &Child) -> Process {
    Process::find(i32::try_from(child.id()).unwrap()).unwrap()
}

fn guardian_of(runner: Process) -> Option<Process> {
    let is_guardian = |process: &Process| {
        fs::read(format!("/proc/{}/cmdline", process.pid))
            .is_ok_and(|line| line.ends_with(b"guardian::tests::the_guardian\0"))
    };
    runner.members().into_iter().find(is_guardian)
}

/// Waits for something that must come; far longer than a busy machine delays it.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn when_the_runner_dies_its_guardian_undoes_and_goes() {
    let mut scene = Scene::new("test:stop", LONG);
    assert!(scene.is_stopped());
    scene.kill_runner();
    until("the undo", || !scene.is_stopped());
    until("the journal's end", || !scene.journal().exists());
    until("the guardian's end", || !scene.guardian.is_alive());
}

#[test]
fn a_runner_that_hangs_is_ended_when_its_lease_has_passed_and_all_is_undone() {
    let mut scene = Scene::new("test:stop", SHORT);
    process(&scene.runner).signal(Signal::STOP).unwrap();
    until("the runner's end", || scene.runner.try_wait().unwrap().is_some());
    until("the undo", || !scene.is_stopped());
    until("the journal's end", || !scene.journal().exists());
}

#[test]
fn a_runner_that_renews_and_does_not_undo_is_ended_when_the_end_is_past() {
    // It has injected when it says so. Whether that is still there is the guardian's to decide, from now on at any moment.
    let mut scene = Scene::with("guardian::tests::the_lingering_runner", "test:stop", LONG);
    let mut renewing = scene.runner.stdin.take().unwrap();
    until("the runner's end", || {
        // Every byte renews; what is written to the dead is lost.
        let _lost = renewing.write_all(b".");
        scene.runner.try_wait().unwrap().is_some()
    });
    until("the undo", || !scene.is_stopped());
    until("the journal's end", || !scene.journal().exists());
}

#[test]
fn a_runner_that_hangs_unguarded_is_ended_by_who_comes_next() {
    let mut scene = Scene::new("test:stop", SHORT);
    scene.leave_hanging();
    let next = || abandoned::take_over(vec![scene.journal()]) == [scene.journal()];
    until("the end of a vigil", next);
    assert!(scene.runner.try_wait().unwrap().is_some() && scene.is_stopped());
    let leftovers = state::recover(&scene.journal()).unwrap().unwrap();
    assert!(matches!(&leftovers[..], [left] if left.outcome == Ok(Cleanliness::Clean)));
    assert!(!scene.is_stopped() && !scene.journal().exists());
}

#[test]
fn a_runner_that_was_merely_slow_is_left_alone_by_who_comes_next() {
    let mut scene = Scene::new("test:stop", SHORT);
    scene.leave_hanging();
    let runner = process(&scene.runner);
    // As slow as can be: for longer than its lease and a grace.
    let slow = SHORT + GRACE;
    until("a silence", || Book::of(&scene.journal()).is_some_and(|book| book.age() > slow));
    std::thread::scope(|scope| {
        let vigil = scope.spawn(|| abandoned::take_over(vec![scene.journal()]));
        runner.signal(Signal::CONT).unwrap();
        assert!(vigil.join().unwrap().is_empty());
    });
    assert!(runner.is_alive());
    until("the undo by the runner itself", || !scene.is_stopped());
    drop(scene.runner.stdin.take());
    assert!(scene.runner.wait().unwrap().success());
    assert!(!scene.journal().exists());
}

#[test]
fn a_runner_at_work_undoes_what_nobody_renews_and_lives() {
    let mut scene = Scene::new("test:stop", SHORT);
    until("the undo", || !scene.is_stopped());
    // In order, once told: nothing is left, not even the guardian.
    drop(scene.runner.stdin.take());
    assert!(scene.runner.wait().unwrap().success());
    assert!(!scene.guardian.is_alive() && !scene.journal().exists());
}

#[test]
fn a_runner_that_ends_in_order_takes_its_guardian_along() {
    let mut scene = Scene::new("test:stop", LONG);
    drop(scene.runner.stdin.take());
    assert!(scene.runner.wait().unwrap().success());
    assert!(!scene.is_stopped() && !scene.guardian.is_alive() && !scene.journal().exists());
}

#[test]
fn a_guardian_that_dies_is_replaced_by_one_that_knows_the_leases() {
    let mut scene = Scene::new("test:stop", Duration::from_secs(5));
    scene.guardian.signal(Signal::KILL).unwrap();
    let runner = process(&scene.runner);
    let mut next = None;
    until("another guardian", || {
        next = guardian_of(runner).filter(|guardian| *guardian != scene.guardian);
        next.is_some() && is_held(&scene.journal()).unwrap()
    });
    // Renewed by nobody, and stopped: only a guardian that was told of the lease ends it.
    until("the handing over", || next.is_some_and(has_heard));
    runner.signal(Signal::STOP).unwrap();
    until("the runner's end", || scene.runner.try_wait().unwrap().is_some());
    until("the undo", || !scene.is_stopped());
    until("the journal's end", || !scene.journal().exists());
}

/// Whether a guardian waits, having been told what there is to know: its timer is set.
fn has_heard(guardian: Process) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/fdinfo", guardian.pid)) else { return false };
    entries.flatten().any(|entry| {
        fs::read_to_string(entry.path())
            .is_ok_and(|info| info.contains("it_value:") && !info.contains("it_value: (0, 0)"))
    })
}

#[test]
fn a_guardian_that_hangs_is_ended_and_replaced() {
    let mut scene = Scene::new("test:stop", LONG);
    let runner = process(&scene.runner);
    scene.guardian.signal(Signal::STOP).unwrap();
    until("another guardian", || guardian_of(runner).is_some_and(|guardian| guardian != scene.guardian));
    assert!(!scene.guardian.is_alive() && scene.is_stopped());
    drop(scene.runner.stdin.take());
    assert!(scene.runner.wait().unwrap().success());
    assert!(!scene.is_stopped() && !scene.journal().exists());
}

#[test]
fn where_guardians_cannot_live_everything_is_undone_and_nothing_more_injected() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = program();
    let host = Host::with_program(&folder.path().join("journal"), "a test", program.clone()).unwrap();
    let mut victim = Command::new("sleep").arg("1000").spawn().unwrap();
    let object = Object { name: "i-1".to_owned(), pid: Some(process(&victim).pid), ..Object::default() };
    let inject = |host: &Host, id| host.inject(InjectionId(id), "test:stop", &Parameters::new(), &object, LONG);
    inject(&host, 1).unwrap();
    // As soon as there is one it is killed.
    let own = Process::own().unwrap();
    until("the undo", || {
        guardian_of(own).map(|guardian| guardian.signal(Signal::KILL));
        process(&victim).stat().unwrap().state != 'T'
    });
    let refused = inject(&host, 2).unwrap_err();
    assert!(refused.to_string().contains("guardian"), "{refused}");
    drop(host);
    // One that does not even start is noticed before anything is done.
    program.guardian = only("no such test");
    let host = Host::with_program(&folder.path().join("journal"), "a test", program).unwrap();
    let refused = inject(&host, 1).unwrap_err();
    assert!(refused.to_string().contains("guardian"), "{refused}");
    assert!(process(&victim).stat().unwrap().state != 'T');
    victim.kill().unwrap();
    victim.wait().unwrap();
}

#[test]
fn when_both_die_the_next_start_undoes() {
    let mut scene = Scene::new("test:stop", LONG);
    scene.kill_both();
    assert!(scene.is_stopped() && !is_held(&scene.journal()).unwrap());
    let said = journal::read(&scene.journal()).unwrap();
    assert_eq!(said.begun.map(|begun| begun.document).as_deref(), Some("a test"));
    assert!(said.open.iter().all(|one| one.injected && one.left.is_none()) && said.open.len() == 1);
    let leftovers = state::recover(&scene.journal()).unwrap().unwrap();
    assert!(matches!(&leftovers[..], [left] if left.outcome == Ok(Cleanliness::Clean)));
    assert!(!scene.is_stopped() && !scene.journal().exists());
}

#[test]
fn what_a_guardian_cannot_undo_at_once_it_tries_again() {
    let mut scene = Scene::new("test:stubborn", LONG);
    fs::write(scene.obstacle(), "").unwrap();
    scene.kill_runner();
    until("the guardian's first attempt", || scene.obstacle().with_extension("tried").exists());
    assert!(scene.is_stopped());
    fs::remove_file(scene.obstacle()).unwrap();
    until("the undo", || !scene.is_stopped());
    until("the journal's end", || !scene.journal().exists());
}

#[test]
fn what_leaves_something_behind_stays_on_record_until_it_is_clean() {
    let mut scene = Scene::new("test:leak", LONG);
    scene.kill_runner();
    scene.wait_for_the_last();
    assert!(!scene.is_stopped());
    let said = journal::read(&scene.journal()).unwrap();
    assert_eq!(said.open[0].left, Some(("a puddle".to_owned(), "mop it up".to_owned())));
    let leftovers = state::recover(&scene.journal()).unwrap().unwrap();
    assert_eq!(leftovers[0].residue(), Some(("a puddle", "mop it up")));
    assert!(scene.journal().exists());
    // Once its process has gone, nothing is left of it.
    scene.victim.kill().unwrap();
    scene.victim.wait().unwrap();
    assert!(state::recover(&scene.journal()).unwrap().unwrap()[0].residue().is_none());
    assert!(!scene.journal().exists());
}

#[test]
fn after_a_reboot_what_belonged_to_processes_is_gone_and_no_process_is_touched() {
    let mut scene = Scene::new("test:stop", LONG);
    scene.kill_both();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("journal");
    journal::tests::copy_to_another_boot(&scene.journal(), &copy);
    let leftovers = state::recover(&copy).unwrap().unwrap();
    assert!(matches!(&leftovers[..], [left] if left.outcome == Ok(Cleanliness::Gone)), "{leftovers:?}");
    assert!(!copy.exists());
    // The process that has the number now is another one, for all that anybody knows.
    assert!(scene.is_stopped());
    assert!(matches!(&state::recover(&scene.journal()).unwrap().unwrap()[..], [left] if left.is_undone()));
    assert!(!scene.is_stopped());
}

#[test]
fn a_guardian_is_small_and_does_nothing_while_there_is_nothing_to_watch() {
    let scene = Scene::new("test:stop", SHORT);
    // What it has of its own, in KiB: what it shares with its runner, the program's file, costs nothing and is larger in a test
    // binary than in what ships.
    let own = number(scene.guardian.pid, scene.guardian.pid, "RssAnon:");
    let all = number(scene.guardian.pid, scene.guardian.pid, "VmRSS:");
    println!("guardian: {own} KiB of its own, {all} KiB with what it shares");
    assert!(own < 8 << 10, "{own} KiB");
    until("the undo", || !scene.is_stopped());
    // The runner's thread that looks after leases wakes up twice a second: it is the clock of this test.
    let runner = process(&scene.runner);
    let is_leases = |thread: &i32| {
        fs::read_to_string(format!("/proc/{}/task/{thread}/comm", runner.pid)).is_ok_and(|name| name == "leases\n")
    };
    let leases = runner.threads().into_iter().find(is_leases).unwrap();
    let ticks = || number(runner.pid, leases, "voluntary_ctxt_switches:");
    let wait = |count| {
        let start = ticks();
        until("some time", || ticks() >= start + count);
    };
    // The last thing it hears is that the fault is undone.
    wait(2);
    let before = switches(scene.guardian);
    wait(5);
    assert_eq!(switches(scene.guardian), before);
}

/// How often a process has had the processor, all its threads together.
fn switches(process: Process) -> u64 {
    let of = |thread, kind| number(process.pid, thread, kind);
    let kinds = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    process.threads().into_iter().map(|thread| kinds.map(|kind| of(thread, kind)).iter().sum::<u64>()).sum()
}

/// A number in what `/proc` says of a thread.
fn number(pid: i32, thread: i32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
