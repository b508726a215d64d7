//! What tests share whose targets others have made: their managers live apart from the machine's own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use faults::{Object, process::Process};
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, Signal, kill_process},
};

use crate::harness::{FIRST, LEASE, guardian_of, host, only, parameters, until};

/// Whether a program is not there; says so when it is not. In CI it must be.
pub(crate) fn lacks(program: &str, package: &str) -> bool {
    let lacks = !Path::new(program).exists();
    if lacks {
        assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
        println!("skipped: there is no {program} here (on Debian: `apt-get install {package}`)");
    }
    lacks
}

/// Mounts an empty file system on a folder. In a mount namespace of the thread's own nobody else sees it.
pub(crate) fn cover(folder: &str) {
    mount("none", folder, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, None).unwrap();
}

/// Ends everybody in a group and removes it.
pub(crate) fn empty_group(group: &Path) {
    let inner = |group: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
    };
    inner(group).iter().for_each(|inner| empty_group(inner));
    until("its control group is empty", || {
        for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
        fs::remove_dir(group).is_ok() || !group.exists()
    });
}

/// Another process that injects, to be killed.
pub(crate) struct Runner(Child);

const FAULT: &str = "SHAKETABLE_TEST_INJECTS";
const TARGET: &str = "SHAKETABLE_TEST_INTO";
const JOURNAL: &str = "SHAKETABLE_TEST_JOURNAL";

impl Runner {
    /// Starts it, and returns when its fault is in effect.
    pub(crate) fn injects(fault: &str, object: &Object, journal: &Path) -> Self {
        let mut runner = Command::new(std::env::current_exe().unwrap())
            .args(only("apart::the_runner_apart"))
            .env(FAULT, fault)
            .env(TARGET, serde_json::to_string(object).unwrap())
            .env(JOURNAL, journal)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(runner.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "injected"), "{fault}");
        Self(runner)
    }

    /// Kills it, and returns when its guardian has ended, too.
    pub(crate) fn kill(mut self) {
        let guardian = guardian_of(Process::find(i32::try_from(self.0.id()).unwrap()).unwrap());
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        until("the guardian has ended", || !guardian.is_alive());
    }
}

/// Not a test: a process that injects and waits to be killed.
#[test]
#[ignore = "the process that is killed, started by tests that say so"]
fn the_runner_apart() {
    let of = |name| std::env::var(name).expect("told by who started it");
    let host = host(of(JOURNAL).as_ref());
    let object: Object = serde_json::from_str(&of(TARGET)).unwrap();
    host.inject(FIRST, &of(FAULT), &parameters([]), &object, LEASE).unwrap();
    println!("\ninjected");
    std::thread::park();
}
