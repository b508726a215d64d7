//! Faults in processes, and beside them.

use std::{
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::mpsc,
};

use faults::{
    InjectError,
    process::{self, Process},
};
use model::event::Cleanliness;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::harness::{FIRST, LEASE, World, inject_and_undo, only, parameters, privileged, until};

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

/// As a helper is while it does not run its program yet. Stopped there, it would keep the thread that starts it waiting, and
/// with it the whole run: torture found that.
#[test]
fn what_another_fault_starts_among_the_targets_processes_is_not_paused() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let target = world.object.pid.unwrap();
    let (tell, started) = mpsc::channel();
    let (over, wait) = mpsc::channel::<()>();
    // A thread that has moved its children cannot come back, and a helper ends with the thread that started it.
    let keeper = std::thread::spawn(move || {
        let namespace = std::fs::File::open(format!("/proc/{target}/ns/pid")).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ProcessID)).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(only("harness::the_helper")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut unmarked = command.spawn().unwrap();
        tell.send(i32::try_from(unmarked.id()).unwrap()).unwrap();
        // It ends when the test does, however that ends.
        wait.recv().ok();
        unmarked.kill().unwrap();
        unmarked.wait().unwrap();
    });
    let pid = started.recv().unwrap();
    let first = Process::find(target).unwrap();
    assert!(first.members().iter().any(|member| member.pid == pid));
    inject_and_undo(&world, "process:pause", [], |proof| {
        assert!(proof.achieved.contains("of 1 processes"), "{}", proof.achieved);
        assert_ne!(process::stat(pid).unwrap().state, 't');
    });
    drop(over);
    keeper.join().unwrap();
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

/// A world whose first process is a shell, and the processes that this has started.
fn shell(script: &str, children: usize) -> (World, Vec<Process>) {
    let world = World::running(Command::new("sh").args(["-c", script]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    let started = || first.members().into_iter().skip(1).filter(|child| child.names().contains(&"sleep".to_owned()));
    until("the shell has started them", || started().count() == children);
    let children = started().collect();
    (world, children)
}

#[test]
fn a_signal_ends_what_has_no_handler_for_it() {
    if !privileged() {
        return;
    }
    let (world, children) = shell("sleep 1000 & sleep 1001 & wait; wait", 2);
    let host = world.host();
    let given = parameters([("signal", "SIGUSR1"), ("process", "sleep")]);
    let proof = host.inject(FIRST, "process:signal", &given, &world.object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds && proof.achieved.starts_with("2 ended"), "{}", proof.achieved);
    assert!(children.iter().all(|child| !child.is_alive()));
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
}

#[test]
fn a_signal_that_is_handled_is_taken() {
    if !privileged() {
        return;
    }
    let world = World::running(Command::new("sh").args(["-c", "trap : USR1; while :; do sleep 0.1; done"]));
    let pid = world.object.pid.unwrap();
    let catches = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 1 << (10 - 1) != 0
    };
    until("the shell has a handler for SIGUSR1", catches);
    let host = world.host();
    let proof = host.inject(FIRST, "process:signal", &parameters([("signal", "SIGUSR1")]), &world.object, LEASE);
    assert_eq!(proof.unwrap().achieved, "1 took it into a handler");
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
}

#[test]
fn a_signal_that_does_nothing_is_a_fault_that_was_not_achieved() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let host = world.host();
    for (signal, why) in [("SIGWINCH", "by default it does nothing"), ("SIGTERM", "the first process of a pid")] {
        let error =
            host.inject(FIRST, "process:signal", &parameters([("signal", signal)]), &world.object, LEASE).unwrap_err();
        assert!(matches!(&error, InjectError::Failed(text) if text.0.contains(why)), "{error}");
    }
    let stop = host.inject(FIRST, "process:signal", &parameters([("signal", "SIGSTOP")]), &world.object, LEASE);
    assert!(matches!(&stop, Err(InjectError::Refused(why)) if why.0.contains("process:pause")), "{stop:?}");
}

#[test]
fn what_is_restarted_is_another_process_in_the_same_place() {
    if !privileged() {
        return;
    }
    let (world, children) = shell("while :; do sleep 1000; done", 1);
    let host = world.host();
    let given = parameters([("process", "sleep")]);
    let proof = host.inject(FIRST, "process:restart", &given, &world.object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds && !children[0].is_alive());
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    let successor = first.members().into_iter().nth(1).unwrap();
    assert!(proof.achieved.contains(&format!("process {} in their place", successor.pid)), "{}", proof.achieved);
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    successor.signal(rustix::process::Signal::KILL).unwrap();
}

#[test]
fn what_does_not_end_by_itself_is_killed_after_a_time() {
    if !privileged() {
        return;
    }
    let (world, children) = shell("while :; do (trap '' TERM; exec sleep 1000); done", 1);
    let host = world.host();
    let given = parameters([("process", "sleep"), ("grace", "PT0.2S")]);
    let proof = host.inject(FIRST, "process:restart", &given, &world.object, LEASE).unwrap();
    assert!(proof.holds && !children[0].is_alive(), "{}", proof.achieved);
}

#[test]
fn a_restart_after_which_nobody_takes_the_place_was_not_achieved() {
    if !privileged() {
        return;
    }
    let (world, _) = shell("sleep 1000; while :; do sleep 0.5; done", 1);
    let host = world.host();
    let given = parameters([("process", "sleep"), ("within", "PT0.5S")]);
    let error = host.inject(FIRST, "process:restart", &given, &world.object, LEASE).unwrap_err();
    assert!(matches!(&error, InjectError::Failed(why) if why.0.contains("0 of 1 places")), "{error}");
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
}

#[test]
fn the_first_process_of_an_instance_is_not_restarted_but_rebooted() {
    if !privileged() {
        return;
    }
    let world = World::new();
    let error = world.host().inject(FIRST, "process:restart", &parameters([]), &world.object, LEASE).unwrap_err();
    assert!(matches!(&error, InjectError::Refused(why) if why.0.contains("instance:reboot")), "{error}");
}
