//! What a run leaves on the machine: nothing.

use std::{collections::BTreeSet, fs, path::Path};

use crate::harness::{User, skipped};

/// Everything of a machine that a run could leave behind, as far as it can be attributed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    interfaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    queues: String,
    named_namespaces: BTreeSet<String>,
    cgroups: BTreeSet<String>,
}

impl Machine {
    /// The machine as it is now.
    pub(crate) fn now() -> Self {
        Self {
            interfaces: names(Path::new("/sys/class/net")),
            mounts: fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().map(mount_point).collect(),
            queues: fs::read_to_string("/proc/net/netfilter/nfnetlink_queue").unwrap_or_default(),
            named_namespaces: names(Path::new("/run/netns")),
            cgroups: names(Path::new("/sys/fs/cgroup")),
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn mount_point(line: &str) -> String {
    line.split(' ').nth(4).unwrap_or_default().to_owned()
}

/// Processes that descend from `pid` or once did: those whose session of life carries its mark in the environment.
pub(crate) fn processes_marked(mark: &str) -> Vec<String> {
    let needle = format!("SHAKETABLE_TEST_MARK={mark}");
    fs::read_dir("/proc")
        .unwrap()
        .map_while(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|&b| b == 0).any(|variable| variable == needle.as_bytes())
        })
        .map(|entry| {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            format!("{} {}", entry.file_name().to_string_lossy(), String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

/// Waits until no process carries the mark: the kernel needs a moment to take a killed tree down.
pub(crate) fn wait_until_gone(mark: &str) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let left = processes_marked(mark);
        if left.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < limit, "still there: {left:#?}");
        std::thread::yield_now();
    }
}

#[test]
fn kill_minus_nine_leaves_nothing() {
    let before = Machine::now();
    let user = User::me();
    let mark = format!("kill-{}", std::process::id());
    let mut command =
        user.command(&["run", user.example("experiments/latency-on-one-instance.yaml").to_str().unwrap(), "--plain"]);
    let running = crate::harness::Running::from_command(command.env("SHAKETABLE_TEST_MARK", &mark));
    running.wait_for("injected");
    assert!(processes_marked(&mark).len() > 2, "the lab has processes of its own");
    running.signal(rustix::process::Signal::KILL);
    drop(running);
    wait_until_gone(&mark);
    assert_eq!(Machine::now(), before);
}

#[test]
fn an_ordinary_run_leaves_nothing() {
    if !Path::new("/proc/self/environ").exists() {
        return skipped("no /proc");
    }
    let before = Machine::now();
    let user = User::me();
    let mark = format!("ordinary-{}", std::process::id());
    let mut command =
        user.command(&["run", user.example("experiments/no-steady-state.yaml").to_str().unwrap(), "--plain"]);
    let finished = crate::harness::Running::from_command(command.env("SHAKETABLE_TEST_MARK", &mark)).finish();
    assert_eq!(finished.code(), Some(4), "{}", finished.output());
    wait_until_gone(&mark);
    assert_eq!(Machine::now(), before);
}
