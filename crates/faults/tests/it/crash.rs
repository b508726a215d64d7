//! The injecting process is killed, at every step; then nothing is left, and the next start knows it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use faults::{Object, Peer, journal::is_held, process::Process, sys::namespace::NetworkNamespace};
use model::event::Cleanliness;
use rustix::process::Signal;

use crate::{
    harness::{FIRST, LEASE, View, World, guardian_of, has_netem, host, needed, only, privileged, program, until},
    http::serving,
};

/// What the process that will be killed is told, in its environment: which fault, and where the world is.
const FAULT: &str = "CRASH_FAULT";
const JOURNAL: &str = "CRASH_JOURNAL";
const NETWORKS: &str = "CRASH_NETWORKS";
const PID: &str = "CRASH_PID";

/// Not a test: the process that injects, says so, and waits to be killed.
#[test]
#[ignore = "the process that is killed, started by the tests here"]
fn the_victim() {
    let (object, journal) = object_of_environment();
    let host = host(&journal);
    let order = std::env::var(FAULT).expect("told by the test that started it");
    // The fault, and perhaps the engine that it shall have.
    let (fault, engine) = order.split_once(" by ").unzip();
    let fault = fault.unwrap_or(&order);
    let mut given = needed(fault);
    given.extend(engine.map(|engine| ("engine".to_owned(), engine.to_owned())));
    host.inject(FIRST, fault, &given, &object, LEASE).unwrap();
    println!("\ninjected");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// The world that the environment describes, and where its journal is: see [`with_world`].
pub(crate) fn object_of_environment() -> (Object, PathBuf) {
    let told = |name| std::env::var(name).expect("told by the test that started it");
    let (instance, router) =
        told(NETWORKS).split_once(' ').map(|(one, other)| (one.to_owned(), other.to_owned())).unwrap();
    let object = Object {
        name: "i-1".to_owned(),
        pid: Some(told(PID).parse().unwrap()),
        network: Some(open(&instance).into()),
        peer: Some(Peer { network: open(&router).into(), interface: "v0".to_owned() }),
        addresses: vec![crate::harness::INSTANCE.into()],
        memory_bytes: 64 << 20,
        ..Object::default()
    };
    (object, told(JOURNAL).into())
}

/// Tells a process that is about to be started where the world is.
pub(crate) fn with_world<'a>(command: &'a mut Command, world: &World) -> &'a mut Command {
    let own = std::process::id();
    let descriptor = |network: &NetworkNamespace| format!("/proc/{own}/fd/{}", network.as_fd().as_raw_fd());
    command
        .env(JOURNAL, world.journal())
        .env(NETWORKS, format!("{} {}", descriptor(&world.instance), descriptor(&world.router)))
        .env(PID, world.object.pid.unwrap().to_string())
}

fn open(path: &str) -> NetworkNamespace {
    let file = fs::File::open(path).unwrap();
    let look = || {
        rustix::thread::move_into_link_name_space(file.as_fd(), None).unwrap();
        NetworkNamespace::current().unwrap()
    };
    std::thread::scope(|scope| scope.spawn(look).join().unwrap())
}

pub(crate) fn start(world: &World, fault: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    with_world(&mut command, world)
        .args(only("crash::the_victim"))
        .env(FAULT, fault)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the process, and checks that its guardian makes good what it left; where there was none yet, that the next start does.
fn kill_and_check(world: &World, mut victim: Child, before: &View, guarded: bool, what: &str) {
    victim.kill().unwrap();
    victim.wait().unwrap();
    let journal = world.journal();
    if guarded {
        until(what, || !journal.exists());
    } else {
        until(what, || !is_held(&journal).is_ok_and(|held| held));
        recover(world, what);
    }
    // The kernel ends the helper and the tables in its own time.
    until(what, || world.view() == *before);
}

/// The next start: undoes what is on record.
fn recover(world: &World, what: &str) {
    let next = host(&world.journal());
    for leftover in next.leftovers() {
        assert!(matches!(leftover.outcome, Ok(Cleanliness::Clean)), "{what}: {leftover:?}");
    }
    drop(next);
    assert!(!world.journal().exists(), "{what}");
}

/// A world in which a fault can be injected.
fn world_for(fault: &str) -> World {
    if fault.starts_with("http:") { serving() } else { World::new() }
}

const FAULTS: &[&str] = &[
    "cpu:stress",
    "disk:error",
    "disk:fill",
    "disk:latency",
    "disk:read-only",
    "disk:stress",
    "dns:fail",
    "dns:lie",
    "http:abort",
    "http:body",
    "http:delay",
    "http:header",
    "memory:stress",
    "network:bandwidth",
    "network:blackhole",
    "network:corrupt",
    "network:duplicate",
    "network:latency",
    "network:loss",
    "network:refuse",
    "network:reorder",
    "process:pause",
    "time:skew",
];

/// Those that end by their record alone.
const UNDOABLE: &[&str] = &["cpu:throttle", "memory:limit", "process:exhaust-descriptors", "process:exhaust-pids"];

/// Of all of them, those that this user may inject: control groups belong to root.
fn doable() -> Vec<&'static str> {
    let diagnosis = faults::doctor::doctor_with(program()).unwrap();
    let can = |fault: &&str| diagnosis.faults.iter().any(|one| one.fault.id == *fault && one.missing.is_empty());
    let (can, cannot): (Vec<&str>, Vec<&str>) = FAULTS.iter().chain(UNDOABLE).copied().partition(can);
    if !cannot.is_empty() {
        println!("skipped: not for this user: {}", cannot.join(", "));
    }
    can
}

#[test]
fn killed_with_a_fault_in_effect_it_leaves_nothing() {
    if !privileged() {
        return;
    }
    for fault in doable() {
        let world = world_for(fault);
        let before = world.view();
        let mut victim = start(&world, fault);
        let output = BufReader::new(victim.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap() == "injected"), "{fault}");
        assert_ne!(world.view(), before, "{fault}");
        kill_and_check(&world, victim, &before, true, fault);
    }
}

#[test]
fn killed_with_its_guardian_the_next_start_finds_nothing_or_makes_it_good() {
    if !privileged() {
        return;
    }
    for fault in FAULTS.iter().chain(UNDOABLE) {
        let world = world_for(fault);
        let before = world.view();
        let mut victim = start(&world, fault);
        let output = BufReader::new(victim.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap() == "injected"), "{fault}");
        // Stopped first: otherwise one of the two might notice that the other has died.
        let runner = Process::find(i32::try_from(victim.id()).unwrap()).unwrap();
        let guardian = guardian_of(runner);
        for process in [runner, guardian] {
            process.signal(Signal::STOP).unwrap();
        }
        guardian.signal(Signal::KILL).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        until(fault, || !guardian.is_alive());
        // Most end by themselves, without anybody.
        if FAULTS.contains(fault) {
            until(fault, || world.view() == before);
        }
        assert!(world.journal().exists(), "{fault}");
        until(fault, || !is_held(&world.journal()).is_ok_and(|held| held));
        recover(&world, fault);
        until(fault, || world.view() == before);
    }
}

#[test]
fn the_kernels_own_engine_is_taken_away_by_the_guardian_or_the_next_start() {
    if !privileged() || !has_netem() {
        return;
    }
    let fault = "network:latency by netem";
    for guarded in [true, false] {
        let world = World::new();
        let before = world.view();
        let mut victim = start(&world, fault);
        let output = BufReader::new(victim.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap() == "injected"));
        let during = world.view();
        assert_ne!(during, before);
        if guarded {
            kill_and_check(&world, victim, &before, true, fault);
            continue;
        }
        let runner = Process::find(i32::try_from(victim.id()).unwrap()).unwrap();
        let guardian = guardian_of(runner);
        for process in [runner, guardian] {
            process.signal(Signal::STOP).unwrap();
        }
        guardian.signal(Signal::KILL).unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        until(fault, || !guardian.is_alive());
        // It does not end by itself.
        let disciplines = "instance tables, queues and disciplines";
        assert_eq!(world.view()[disciplines], during[disciplines]);
        assert_ne!(during[disciplines], before[disciplines]);
        recover(&world, fault);
        until(fault, || world.view() == before);
    }
}

#[test]
fn killed_after_any_record_of_its_journal_it_leaves_nothing() {
    if !privileged() {
        return;
    }
    for fault in FAULTS.iter().chain(UNDOABLE) {
        // Killed as soon as the journal exists, says who injects, what is planned, what is injected.
        for records in 0..=3 {
            let world = world_for(fault);
            let before = world.view();
            let mut victim = start(&world, fault);
            let written = || fs::read(world.journal()).is_ok_and(|bytes| count_records(&bytes) >= records);
            while !written() {
                assert!(victim.try_wait().unwrap().is_none(), "{fault}");
                std::thread::yield_now();
            }
            kill_and_check(&world, victim, &before, records >= 2, &format!("{fault}, {records}"));
        }
    }
}

/// Each record begins with the same four bytes, which nothing else contains.
pub(crate) fn count_records(journal: &[u8]) -> usize {
    journal.windows(4).filter(|bytes| *bytes == [0xfe, 0xed, 0xfa, 0x17]).count()
}
