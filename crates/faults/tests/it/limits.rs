//! Limits: on descriptors, and on all that a target may have, by its control group.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Barrier,
    thread,
};

use faults::{
    InjectError, Kind, Object, Parameters,
    journal::is_held,
    process::{Process, stat},
};
use model::event::{Cleanliness, InjectionId};
use rustix::process::Signal;

use crate::{
    harness::{FIRST, LEASE, World, host, inject_and_undo, needed, only, parameters, privileged, until},
    victim::Victim,
};

/// Where the target tells how it fares.
const LOG: &str = "TARGET_LOG";

/// Not a test: a target that opens a file and starts a thread, again and again, and says whether it could.
#[test]
#[ignore = "a target, started by the tests here"]
fn the_target() {
    let mut log = OpenOptions::new().append(true).open(std::env::var_os(LOG).unwrap()).unwrap();
    // Killed long before that, and should its killer die, it ends by itself.
    for _ in 0..100_000 {
        let opened = File::open("/").err().and_then(|why| why.raw_os_error()).unwrap_or(0);
        let started = thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap());
        let started = started.err().and_then(|why| why.raw_os_error()).unwrap_or(0);
        log.write_all(format!("{opened} {started}\n").as_bytes()).unwrap();
        // Longer than a round takes on a slow machine: mostly, no thread is there that comes and goes.
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

struct Target {
    world: World,
    log: tempfile::NamedTempFile,
}

impl Target {
    fn start() -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(only("limits::the_target")).env(LOG, log.path());
        let target = Self { world: World::running(&mut command), log };
        target.says("0 0");
        target
    }

    /// Waits until it says this of a round that it begins from now on.
    fn says(&self, what: &str) {
        let read = || fs::read_to_string(self.log.path()).unwrap();
        let before = read().lines().count() + 1;
        while !read().lines().skip(before).any(|line| line == what) {
            assert!(Process::find(self.world.object.pid.unwrap()).is_ok(), "the target has ended");
            thread::yield_now();
        }
    }
}

/// Whether control groups can be made here; says so when they cannot. In CI they must.
fn groups() -> bool {
    let may = privileged() && fs::metadata("/sys/fs/cgroup").is_ok() && rustix::process::geteuid().is_root();
    if !may {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to make control groups");
        println!("skipped: control groups cannot be made by this user");
    }
    may
}

#[test]
fn a_target_without_descriptors_opens_nothing_until_it_has_them_back() {
    if !privileged() {
        return;
    }
    let target = Target::start();
    let emfile = rustix::io::Errno::MFILE.raw_os_error();
    inject_and_undo(&target.world, "process:exhaust-descriptors", [], |proof| {
        assert_eq!(proof.achieved, "1 of 1 processes limited, 0 descriptors free in all");
        target.says(&format!("{emfile} 0"));
    });
    target.says("0 0");
    inject_and_undo(&target.world, "process:exhaust-descriptors", [("leave", "1")], |_| target.says("0 0"));
}

#[test]
fn who_is_started_meanwhile_gets_the_limit_back_too_and_a_limit_set_by_others_stays() {
    if !privileged() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "while :; do sleep 1000 & wait $!; done"]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    let child = || loop {
        if let Some(child) = first.members().into_iter().find(|one| one.names().contains(&"sleep".to_owned())) {
            return child;
        }
        thread::yield_now();
    };
    let limits = |process: Process| fs::read_to_string(format!("/proc/{}/limits", process.pid)).unwrap();
    let (old, before) = (child(), limits(first));
    let host = world.host();
    // Enough for a shell to start another.
    host.inject(FIRST, "process:exhaust-descriptors", &parameters([("leave", "20")]), &world.object, LEASE).unwrap();
    assert_ne!(limits(old), before);
    old.signal(Signal::KILL).unwrap();
    while old.is_alive() {
        thread::yield_now();
    }
    let new = child();
    assert_ne!(limits(new), before);
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    assert_eq!((limits(first), limits(new)), (before.clone(), before));
}

#[test]
fn a_target_is_throttled_and_goes_back_where_it_was() {
    if !groups() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "while :; do :; done"]));
    inject_and_undo(&world, "cpu:throttle", [("percent", "20")], |proof| {
        assert_eq!(proof.configured, "at most 20 % of a CPU");
        let path = fs::read_to_string(format!("/proc/{}/cgroup", world.child.id())).unwrap();
        assert!(path.contains("shaketable-"), "{path}");
    });
    // It runs.
    let ticks = || stat(world.object.pid.unwrap()).unwrap().cpu_ticks;
    let before = ticks();
    while ticks() == before {
        thread::yield_now();
    }
}

#[test]
fn a_target_without_pids_starts_nothing() {
    if !groups() {
        return;
    }
    let target = Target::start();
    let again = rustix::io::Errno::AGAIN.raw_os_error();
    let most = format!("0 {again}");
    // Those that are always there: the one that comes and goes is missed sooner or later.
    let threads = || Process::find(target.world.object.pid.unwrap()).unwrap().threads().len();
    let always = (0..1000).map(|_| threads()).min().unwrap();
    let mut hit = false;
    for _ in 0..20 {
        inject_and_undo(&target.world, "process:exhaust-pids", [], |proof| {
            // A thread that was there when it was counted, and is not any more, has made room for another.
            hit = proof.achieved.ends_with(&format!(" of at most {always}"));
            if hit {
                target.says(&most);
            }
        });
        if hit {
            break;
        }
    }
    assert!(hit);
    target.says("0 0");
}

#[test]
fn memory_beyond_the_limit_is_not_to_be_had() {
    if !groups() {
        return;
    }
    // A shell whose children take 64 MiB each, and die of it.
    let log = tempfile::NamedTempFile::new().unwrap();
    let script = format!(
        "while :; do dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo $? >> {}; sleep 0.05; done",
        log.path().display()
    );
    let world = World::running(Command::new("sh").args(["-c", &script]));
    let said = |what: &str| fs::read_to_string(log.path()).unwrap().lines().any(|line| line == what);
    let wait = |what: &str| {
        while !said(what) {
            thread::yield_now();
        }
    };
    wait("0");
    let host = world.host();
    let proof = host.inject(FIRST, "memory:limit", &parameters([("size", "16MiB")]), &world.object, LEASE).unwrap();
    assert!(proof.holds, "{proof:?}");
    log.as_file().set_len(0).unwrap();
    wait("137");
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    log.as_file().set_len(0).unwrap();
    wait("0");
}

#[test]
fn a_group_of_its_own_gets_its_limits_back_and_keeps_what_others_set() {
    if !groups() {
        return;
    }
    let world = World::new();
    // One like a service has.
    let home = fs::read_to_string(format!("/proc/{}/cgroup", world.child.id())).unwrap();
    let Some(line) = home.lines().find(|line| line.split(':').nth(1) == Some("pids")) else {
        println!("skipped: the controller `pids` is not one of version 1 here");
        return;
    };
    let path = line.rsplit(':').next().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup ") && line.ends_with("pids")).unwrap();
    let group = Path::new(mount.split(' ').nth(4).unwrap())
        .join(path.trim_start_matches('/'))
        .join(format!("shaketable-test-{}", world.child.id()));
    fs::create_dir(&group).unwrap();
    let limit = || fs::read_to_string(group.join("pids.max")).unwrap().trim().to_owned();
    fs::write(group.join("pids.max"), "77").unwrap();
    fs::write(group.join("cgroup.procs"), world.child.id().to_string()).unwrap();
    inject_and_undo(&world, "process:exhaust-pids", [("leave", "2")], |_| assert_eq!(limit(), "3"));
    assert_eq!(limit(), "77");
    let host = world.host();
    host.inject(FIRST, "process:exhaust-pids", &needed("process:exhaust-pids"), &world.object, LEASE).unwrap();
    fs::write(group.join("pids.max"), "50").unwrap();
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    assert_eq!(limit(), "50");
    drop(world);
    while fs::remove_dir(&group).is_err() {
        thread::yield_now();
    }
}

#[test]
fn limits_on_ourselves_are_refused() {
    if !groups() {
        return;
    }
    let world = World::new();
    let own = Object { pid: i32::try_from(std::process::id()).ok(), network: None, ..world.object.clone() };
    for fault in ["cpu:throttle", "memory:limit", "process:exhaust-descriptors", "process:exhaust-pids"] {
        let error = world.host().inject(FIRST, fault, &needed(fault), &own, LEASE).unwrap_err();
        assert!(matches!(&error, InjectError::Refused(why) if why.0.contains("this very process")), "{fault}: {error}");
    }
}

#[test]
fn a_part_of_a_target_that_is_limited_is_not_taken_out_of_its_limit() {
    if !groups() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "sleep 1000 & wait"]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    until("there are two", || first.members().len() == 2);
    let part = first.members().into_iter().find(|one| *one != first).unwrap();
    inject_and_undo(&world, "cpu:throttle", [("percent", "20")], |_| {
        let object = Object { kind: Kind::Process, name: "part".to_owned(), pid: Some(part.pid), ..Object::default() };
        let own = tempfile::tempdir().unwrap();
        let host = host(&own.path().join("journal"));
        let error = host.inject(FIRST, "cpu:throttle", &needed("cpu:throttle"), &object, LEASE).unwrap_err();
        assert!(matches!(&error, InjectError::Refused(why) if why.0.contains("end that first")), "{error}");
    });
}

/// Whether the controllers are all those of version 2, so that limits of one target are in one group; says so when they are
/// not. In the guest they must be.
fn in_one_group() -> bool {
    let is = groups() && fs::read_to_string("/proc/self/cgroup").unwrap().lines().all(|line| line.starts_with("0::"));
    if !is {
        assert!(std::env::var_os("SHAKETABLE_GUEST").is_none(), "the guest has control groups of version 2");
        println!("skipped: control groups are of version 1 here; `cargo xtask guest` has the other");
    }
    is
}

/// A limit, and the file and the value that say that it is in force.
struct InForce {
    fault: &'static str,
    given: (&'static str, &'static str),
    file: &'static str,
    value: &'static str,
}

const LIMITS: [InForce; 3] = [
    InForce { fault: "cpu:throttle", given: ("percent", "40"), file: "cpu.max", value: "40000 100000" },
    InForce { fault: "memory:limit", given: ("size", "128MiB"), file: "memory.max", value: "134217728" },
    InForce { fault: "process:exhaust-pids", given: ("leave", "99"), file: "pids.max", value: "100" },
];

impl InForce {
    fn parameters(&self) -> Parameters {
        parameters([self.given])
    }

    fn is_in(&self, group: &Path) -> bool {
        fs::read_to_string(group.join(self.file)).is_ok_and(|text| text.trim() == self.value)
    }
}

/// The folder of the group that a world's first process is in.
fn group_of(world: &World) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", world.child.id())).unwrap();
    Path::new("/sys/fs/cgroup").join(text.trim().trim_start_matches("0::/"))
}

/// Checks that of the limits these are in force, and no others, and that the target is in their group as long as there are any.
fn are_in_force(limits: &[usize], group: &Path, world: &World) {
    for (at, limit) in LIMITS.iter().enumerate() {
        assert_eq!(limit.is_in(group), limits.contains(&at), "{} of {limits:?}", limit.fault);
    }
    assert_eq!(group_of(world) == group, !limits.is_empty(), "{limits:?}");
    assert_eq!(group.exists(), !limits.is_empty(), "{limits:?}");
}

#[test]
fn limits_of_one_target_share_a_group_that_goes_with_the_last_of_them() {
    if !in_one_group() {
        return;
    }
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let world = World::new();
        let before = world.view();
        let host = world.host();
        let id = |at: usize| InjectionId(u32::try_from(at).unwrap());
        for at in order {
            let limit = &LIMITS[at];
            let proof = host.inject(id(at), limit.fault, &limit.parameters(), &world.object, LEASE).unwrap();
            assert!(proof.holds, "{proof:?}");
        }
        let group = group_of(&world);
        are_in_force(&order, &group, &world);
        // The first goes first: what it has made stays for the others.
        for (ended, at) in order.into_iter().enumerate() {
            let undone = host.undo(id(at)).unwrap();
            assert_eq!(undone.cleanliness, Cleanliness::Clean);
            assert!(undone.proof.as_ref().is_some_and(|whole| whole.holds), "{undone:?}");
            assert_eq!(host.undo(id(at)).unwrap(), undone);
            are_in_force(&order[ended + 1..], &group, &world);
        }
        assert_eq!(world.view(), before);
    }
}

#[test]
fn limits_that_begin_at_once_are_all_in_force() {
    if !in_one_group() {
        return;
    }
    let world = World::new();
    let before = world.view();
    let (host, barrier) = (world.host(), Barrier::new(LIMITS.len()));
    thread::scope(|scope| {
        for (id, limit) in (1..).zip(&LIMITS) {
            let (host, barrier, world) = (&host, &barrier, &world);
            scope.spawn(move || {
                barrier.wait();
                let id = InjectionId(id);
                let proof = host.inject(id, limit.fault, &limit.parameters(), &world.object, LEASE).unwrap();
                assert!(proof.holds, "{proof:?}");
            });
        }
    });
    let group = group_of(&world);
    for limit in LIMITS.iter().filter(|limit| limit.file != "pids.max") {
        assert!(limit.is_in(&group), "{}", limit.fault);
    }
    for id in 1..=3 {
        let undone = host.undo(InjectionId(id)).unwrap();
        assert!(undone.proof.as_ref().is_some_and(|whole| whole.holds), "{undone:?}");
    }
    assert_eq!(world.view(), before);
    assert!(!group.exists());
}

#[test]
fn limits_of_processes_that_died_are_undone_from_their_records_in_any_order() {
    if !in_one_group() {
        return;
    }
    for order in [[0, 1], [1, 0]] {
        let world = World::new();
        let before = world.view();
        let folder = tempfile::tempdir().unwrap();
        let journal = |limit: usize| folder.path().join(limit.to_string());
        let start = |at: usize| {
            let limit = &LIMITS[at];
            Victim::start_with(&world, &journal(at), limit.fault, &limit.parameters()).injected()
        };
        for victim in [0, 1].map(start) {
            victim.kill_with_guardian(|| ());
        }
        let group = group_of(&world);
        are_in_force(&[0, 1], &group, &world);
        for (ended, limit) in order.into_iter().enumerate() {
            until("nobody holds it", || !is_held(&journal(limit)).is_ok_and(|held| held));
            let next = host(&journal(limit));
            let leftovers = next.leftovers();
            assert!(!leftovers.is_empty());
            for leftover in leftovers {
                assert!(matches!(leftover.outcome, Ok(Cleanliness::Clean)), "{leftover:?}");
            }
            are_in_force(&order[ended + 1..], &group, &world);
        }
        assert_eq!(world.view(), before);
    }
}
