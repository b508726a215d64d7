//! Loads that rise, that are put on the whole machine, and memory that runs out.

use std::{fs, path::PathBuf, process::Command};

use faults::{InjectError, Kind, Object, process::Process};
use model::event::{Cleanliness, Proof};

use crate::{
    crash::count_records,
    harness::{DISK, FIRST, LEASE, World, inject_and_undo, parameters, privileged, until},
    victim::Victim,
};

/// This host itself, as a target.
fn machine() -> Object {
    Object { name: "this-host".to_owned(), kind: Kind::Machine, memory_bytes: 1 << 30, ..Object::default() }
}

fn refused(object: &Object, fault: &str, given: &[(&str, &str)]) -> String {
    let given = given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    match World::new().host().inject(FIRST, fault, &given, object, LEASE) {
        Err(InjectError::Refused(why)) => why.0,
        other => panic!("{other:?}"),
    }
}

/// A ramp, seen until its load has done so much: used clock ticks of CPU time, or has kibibytes.
fn rises(fault: &str, given: &[(&str, &str)], until_it_has: impl Fn(Process) -> bool) -> Proof {
    let world = World::new();
    let before = world.view();
    let host = world.host();
    let given = given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let proof = host.inject(FIRST, fault, &given, &world.object, LEASE).unwrap();
    assert!(proof.holds && proof.achieved.contains("at its beginning"), "{proof:?}");
    let load = Process::find(world.object.pid.unwrap()).unwrap().members()[1];
    until("the load is all there", || until_it_has(load));
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert_eq!(world.view(), before);
    let whole = undone.proof.unwrap();
    println!("{}: {}", whole.configured, whole.achieved);
    assert!(whole.holds, "{whole:?}");
    whole
}

/// The numbers after this word.
fn numbers_after(text: &str, word: &str) -> Vec<f64> {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no `{word}` in {text}")).1;
    let number = |part: &str| part.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    rest.split([' ', ',']).filter(|part| !part.is_empty()).map_while(number).collect()
}

#[test]
fn cpu_stress_rises_in_steps_and_is_held() {
    if !privileged() {
        return;
    }
    let given = [("workers", "1"), ("percent", "20"), ("ramp", "PT1.5S"), ("steps", "3")];
    // A fifth of a second while it rises, and a little more than that afterwards; 100 ticks are a second.
    let once = || rises("cpu:stress", &given, |load| load.stat().is_some_and(|stat| stat.cpu_ticks > 45));
    // What a machine has no more of cannot rise: others may have it for a while, but not for all of so many rounds.
    let given_all = |whole: &Proof| !whole.achieved.contains("no more to give");
    let whole = (0..10).map(|_| once()).find(given_all).expect("the machine never had a fifth of a CPU to give");
    assert_eq!(whole.configured, "20 % of 1 CPU after a rise of 1.5 s in 3 steps");
    let steps = numbers_after(&whole.achieved, "rose by ");
    assert_eq!(steps.len(), 3, "{whole:?}");
    assert!(steps.is_sorted() && steps[0] < 14.0, "{whole:?}");
    assert!(numbers_after(&whole.achieved, "held ")[0] > 10.0, "{whole:?}");
}

#[test]
fn memory_grows_evenly_and_is_held() {
    if !privileged() {
        return;
    }
    let resident = |load: Process| {
        let status = fs::read_to_string(format!("/proc/{}/status", load.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    let begun = std::time::Instant::now();
    // More than the program itself has besides, or as long as it takes.
    let all = |load| resident(load) >= 60 << 10 && begun.elapsed() > std::time::Duration::from_secs(2);
    let whole = rises("memory:stress", &[("size", "60MiB"), ("ramp", "PT1.5S")], all);
    assert_eq!(whole.configured, "60 MiB held after a rise of 1.5 s");
    let parts = numbers_after(&whole.achieved, "rose to ");
    assert_eq!(parts.len(), 5, "{whole:?}");
    assert!(parts.is_sorted() && parts[0] < 50.0 && parts[4] > parts[0], "{whole:?}");
}

#[test]
fn a_machine_is_stressed_and_keeps_its_reserve() {
    if !privileged() {
        return;
    }
    let mut on_machine = World::new();
    on_machine.object = machine();
    inject_and_undo(&on_machine, "cpu:stress", [("workers", "1"), ("percent", "10")], |_| {});
    inject_and_undo(&on_machine, "memory:stress", [("size", "2%")], |proof| {
        assert!(proof.configured.starts_with("20 MiB"), "{proof:?}");
    });
    let why = refused(&machine(), "memory:stress", &[("size", "16MiB"), ("reserve", "100%")]);
    assert!(why.contains("stay free"), "{why}");
    // Processes of nobody.
    for fault in ["cpu:throttle", "memory:limit", "memory:oom", "disk:latency"] {
        let mut given = vec![("path", DISK), ("percent", "10"), ("size", "1GiB")];
        given.retain(|(name, _)| {
            let entry = faults::catalogue().iter().find(|entry| entry.id == fault).unwrap();
            entry.parameters.iter().any(|parameter| parameter.name == *name)
        });
        let why = refused(&machine(), fault, &given);
        assert!(why.contains("no process"), "{fault}: {why}");
    }
}

#[test]
fn a_disk_of_the_machine_is_filled_only_as_far_as_its_reserve() {
    if !privileged() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut on_machine = World::new();
    on_machine.object = machine();
    inject_and_undo(&on_machine, "disk:fill", [("path", path), ("size", "1MiB")], |_| {});
    let why = refused(&machine(), "disk:fill", &[("size", "100%")]);
    assert!(why.contains("the reserve leaves") && why.contains("the disk of /"), "{why}");
}

#[test]
fn a_fault_that_names_no_folder_acts_on_the_targets_own_disk() {
    if !privileged() {
        return;
    }
    let mut world = World::new();
    let why = refused(&world.object, "disk:fill", &[("size", "1MiB")]);
    assert!(why.contains("no disk of its own"), "{why}");
    world.object.disk = Some(DISK.into());
    let before = world.free();
    inject_and_undo(&world, "disk:fill", [("size", "16MiB")], |_| assert_eq!(world.free(), before - (16 << 20)));
    inject_and_undo(&world, "disk:stress", [("size", "1MiB"), ("bytesPerSecond", "1MiB")], |_| {});
}

/// The folder of a process's control group for memory. `None`, said so: there can be none here.
fn memory_group(pid: u32) -> Option<PathBuf> {
    let doctor = faults::doctor::doctor_with(crate::harness::program()).unwrap();
    let can = doctor.faults.iter().any(|one| one.fault.id == "memory:oom" && one.missing.is_empty());
    if !privileged() || !can {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to make control groups");
        println!("skipped: control groups cannot be made by this user");
        return None;
    }
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let of = |controller: &str| groups.lines().find_map(|line| line.split_once(&format!(":{controller}:")));
    let (root, path) = match of("memory") {
        Some((_, path)) => ("/sys/fs/cgroup/memory", path),
        None => ("/sys/fs/cgroup", of("")?.1),
    };
    Some(PathBuf::from(root).join(path.trim_start_matches('/')))
}

/// Whether a group of ours is in, or beside, this one.
fn is_residue_at(group: &PathBuf) -> bool {
    let beside = group.parent().unwrap().to_owned();
    [group, &beside].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap()).any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with("shaketable-") && !name.to_string_lossy().starts_with("shaketable-test-")
    })
}

fn score(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().to_owned()
}

#[test]
fn the_kernel_ends_one_process_for_want_of_memory_and_nobody_else() {
    let Some(group) = memory_group(std::process::id()) else { return };
    let log = tempfile::NamedTempFile::new().unwrap();
    let script = format!("sleep 1000 & sleep 1001; echo $? > {}; exec tail -f /dev/null", log.path().display());
    let world = World::running(Command::new("sh").args(["-c", &script]));
    let first = Process::find(world.object.pid.unwrap()).unwrap();
    until("two are started", || first.members().len() == 3);
    let host = world.host();
    let sleepers = || {
        let members = first.members().into_iter();
        members.filter(|one| one.names().contains(&"sleep".to_owned())).map(|one| one.pid).collect::<Vec<_>>()
    };
    // One of the two; the shell that waits for the second tells how that ended.
    let mut ended = Vec::new();
    while !ended.contains(&"137".to_owned()) && !sleepers().is_empty() {
        let proof =
            host.inject(FIRST, "memory:oom", &parameters([("process", "sleep")]), &world.object, LEASE).unwrap();
        println!("{}: {}", proof.configured, proof.achieved);
        assert!(proof.holds, "{proof:?}");
        assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
        assert!(first.is_alive(), "nobody else");
        assert!(!is_residue_at(&group));
        let said = || fs::read_to_string(log.path()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        until("the shell has seen it", || !said().is_empty() || sleepers().len() == 1);
        ended = said();
    }
    assert_eq!(ended, ["137"], "by signal 9");
    assert_eq!(score(first.pid), "0");
}

#[test]
fn an_instance_whose_memory_runs_out_is_gone() {
    let Some(group) = memory_group(std::process::id()) else { return };
    let world = World::new();
    let host = world.host();
    let proof = host.inject(FIRST, "memory:oom", &parameters([]), &world.object, LEASE).unwrap();
    assert!(proof.holds, "{proof:?}");
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
    assert!(!is_residue_at(&group));
    let own = Object { pid: i32::try_from(std::process::id()).ok(), network: None, ..world.object.clone() };
    let why = host.inject(FIRST, "memory:oom", &parameters([]), &own, LEASE).unwrap_err().to_string();
    assert!(why.contains("this very process"), "{why}");
}

#[test]
fn killed_while_memory_runs_out_it_leaves_no_group_and_no_score() {
    let Some(group) = memory_group(std::process::id()) else { return };
    for records in 1..=3 {
        let world = World::new();
        let mut runner = Victim::start(&world, "memory:oom");
        let written = || fs::read(world.journal()).is_ok_and(|bytes| count_records(&bytes) >= records);
        while !written() && !runner.has_ended() {
            std::thread::yield_now();
        }
        runner.kill();
        until("what it left is undone", || {
            // Without a guardian yet, the next start does it; one that finds nothing does no harm.
            if records == 1 {
                drop(faults::Host::with_program(&world.journal(), "next", crate::harness::program()));
            }
            !world.journal().exists()
        });
        assert!(!is_residue_at(&group), "{records}");
        let pid = world.object.pid.unwrap();
        if Process::find(pid).is_ok() {
            assert_eq!(score(pid), "0", "{records}");
        }
    }
}
