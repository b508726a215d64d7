//! Faults in processes, and beside them.

use std::process::Command;

use faults::{
    InjectError,
    process::{self, Process},
};
use model::event::Cleanliness;

use crate::harness::{FIRST, LEASE, World, inject_and_undo, parameters, privileged};

#[test]
fn cpu_stress_uses_the_share_that_was_asked_for() {
    if !privileged() {
        return;
    }
    inject_and_undo(&World::new(), "cpu:stress", [("workers", "1"), ("percent", "50")], |_| {});
}

#[test]
fn memory_stress_holds_the_share_that_was_asked_for() {
    if !privileged() {
        return;
    }
    let whole = inject_and_undo(&World::new(), "memory:stress", [("size", "25%"), ("workers", "2")], |proof| {
        assert!(proof.configured.starts_with("64 MiB"), "{}", proof.configured);
    });
    assert!(whole.unwrap().holds);
}

#[test]
fn memory_that_the_machine_has_not_is_refused() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    let error =
        host.inject(FIRST, "memory:stress", &parameters([("size", "900000GiB")]), &world.object, LEASE).unwrap_err();
    assert!(matches!(&error, InjectError::Refused(why) if why.0.contains("available")), "{error}");
}

#[test]
fn a_paused_process_does_nothing_until_it_is_let_go() {
    if !privileged() {
        return;
    }
    // A process that works, so that standing still can be told from having nothing to do.
    let world = World::running(Command::new("sh").args(["-c", "while :; do :; done"]));
    inject_and_undo(&world, "process:pause", [], |proof| {
        assert!(proof.achieved.contains("1 threads of 1 processes"), "{}", proof.achieved);
    });
    let pid = world.object.pid.unwrap();
    let worked = process::stat(pid).unwrap().cpu_ticks;
    while process::stat(pid).unwrap().cpu_ticks == worked {
        std::thread::yield_now();
    }
}

#[test]
fn pausing_takes_the_whole_tree() {
    if !privileged() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "sleep 1000 & sleep 1001 & wait"]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    while first.members().len() < 3 {
        std::thread::yield_now();
    }
    let children: Vec<Process> = first.members().into_iter().skip(1).collect();
    inject_and_undo(&world, "process:pause", [], |proof| {
        assert!(proof.achieved.contains("of 3 processes"), "{}", proof.achieved);
    });
    inject_and_undo(&world, "process:pause", [("process", "sleep")], |proof| {
        assert!(proof.achieved.contains("of 2 processes"), "{}", proof.achieved);
    });
    for child in children {
        child.signal(rustix::process::Signal::KILL).unwrap();
    }
}

#[test]
fn the_parent_of_a_paused_process_hears_of_its_end_and_of_nothing_else() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    let host = world.host();
    host.inject(FIRST, "process:pause", &parameters([]), &world.object, LEASE).unwrap();
    assert!(world.child.try_wait().unwrap().is_none());
    world.child.kill().unwrap();
    assert!(!world.child.wait().unwrap().success());
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
}

#[test]
fn a_load_lives_inside_the_instance_and_ends_with_it() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    let host = world.host();
    host.inject(FIRST, "cpu:stress", &parameters([("percent", "5"), ("workers", "1")]), &world.object, LEASE).unwrap();
    let members = Process::find(world.object.pid.unwrap()).unwrap().members();
    assert_eq!(members.len(), 2, "{members:?}");
    world.child.kill().unwrap();
    world.child.wait().unwrap();
    while members.iter().any(|member| member.is_alive()) {
        std::thread::yield_now();
    }
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
}

#[test]
fn a_killed_process_is_gone() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    let proof = host.inject(FIRST, "process:kill", &parameters([("signal", "SIGKILL")]), &world.object, LEASE).unwrap();
    assert!(proof.holds && Process::find(world.object.pid.unwrap()).is_err());
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
    let again = host.inject(FIRST, "process:kill", &parameters([]), &world.object, LEASE);
    assert!(matches!(&again, Err(InjectError::Refused(why)) if why.0.contains("not running")), "{again:?}");
}

#[test]
fn a_name_that_no_process_has_is_refused_with_those_that_there_are() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let error = world
        .host()
        .inject(FIRST, "process:kill", &parameters([("process", "nginx")]), &world.object, LEASE)
        .unwrap_err();
    assert!(error.to_string().contains("`nginx`; there are sleep"), "{error}");
}

#[test]
fn a_signal_that_is_ignored_is_a_fault_that_was_not_achieved() {
    if !privileged() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "trap '' HUP; while :; do sleep 1000; done"]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    while first.members().len() < 2 {
        std::thread::yield_now();
    }
    let sleep = first.members()[1];
    let error = world
        .host()
        .inject(FIRST, "process:kill", &parameters([("signal", "SIGHUP")]), &world.object, LEASE)
        .unwrap_err();
    assert!(matches!(&error, InjectError::Failed(why) if why.0.contains("did not end")), "{error}");
    sleep.signal(rustix::process::Signal::KILL).unwrap();
    assert!(first.is_alive());
}
