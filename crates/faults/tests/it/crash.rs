//! The injecting process is killed, at every step; then nothing is left, and the next start knows it.

use std::fs;

use faults::journal::is_held;
use model::event::Cleanliness;

use crate::{
    harness::{View, World, has_netem, host, needed, privileged, program, until},
    http::serving,
    victim::Victim,
};

/// Kills the process, and checks that its guardian makes good what it left; where there was none yet, that the next start does.
fn kill_and_check(world: &World, victim: Victim, before: &View, guarded: bool, what: &str) {
    victim.kill();
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
        let victim = Victim::start(&world, fault).injected();
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
        Victim::start(&world, fault).injected().kill_with_guardian(|| ());
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
    let fault = "network:latency";
    let mut given = needed(fault);
    given.insert("engine".to_owned(), "netem".to_owned());
    for guarded in [true, false] {
        let world = World::new();
        let before = world.view();
        let victim = Victim::start_with(&world, &world.journal(), fault, &given).injected();
        let during = world.view();
        assert_ne!(during, before);
        if guarded {
            kill_and_check(&world, victim, &before, true, fault);
            continue;
        }
        victim.kill_with_guardian(|| ());
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
            let mut victim = Victim::start(&world, fault);
            let written = || fs::read(world.journal()).is_ok_and(|bytes| count_records(&bytes) >= records);
            while !written() {
                assert!(!victim.has_ended(), "{fault}");
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
