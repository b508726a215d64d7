//! Faults of services, on a real systemd: a manager of the test's own, with units of the test's own, in a mount namespace and
//! control groups of the test's own.

use std::{
    fs,
    os::unix::{net::UnixListener, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use faults::{
    Host, InjectError, Kind, Object,
    process::Process,
    sys::{
        dbus::{Call, Connection, Error, Value},
        namespace::new_mount_namespace,
    },
};
use model::event::Cleanliness;

use crate::{
    apart::{Runner, cover, empty_group, lacks},
    harness::{FIRST, LEASE, host, parameters, privileged, until},
};

const SYSTEMD: &str = "/lib/systemd/systemd";
const UNITS: &[(&str, &str)] = &[
    ("default.target", "[Unit]\nWants=web.service steady.service base.service top.service worker.service\n"),
    ("web.service", "[Service]\nExecStart=sleep 1001\n"),
    ("steady.service", "[Unit]\nRefuseManualStop=yes\n[Service]\nExecStart=sleep 1002\n"),
    ("base.service", "[Service]\nExecStart=sleep 1003\n"),
    ("top.service", "[Unit]\nRequires=base.service\nAfter=base.service\n[Service]\nExecStart=sleep 1004\n"),
    ("worker.service", "[Service]\nExecStart=sleep 1005\nRestart=always\nRestartSec=0\n"),
];

/// A service manager as the machine's own would be, for the thread that has made it.
struct Systemd {
    child: Child,
    groups: Vec<PathBuf>,
    folder: tempfile::TempDir,
}

impl Systemd {
    /// `None`, saying so, where it cannot be had.
    fn start() -> Option<Self> {
        if !privileged() {
            return None;
        }
        if lacks(SYSTEMD, "systemd") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in UNITS {
            let text = text.replace("[Unit]\n", "");
            let text = format!("[Unit]\nDefaultDependencies=no\n{text}");
            fs::write(folder.path().join(name), text).unwrap();
        }
        // What is mounted on /run from here on, this thread and what it starts see, and nobody else.
        new_mount_namespace().unwrap();
        cover("/run");
        // By which systemd tells that there is one.
        fs::create_dir_all("/run/systemd/system").unwrap();
        let groups = groups();
        let mut command = Command::new(SYSTEMD);
        // A manager of a user: it changes nothing of the machine's. Where it listens is where the machine's own would.
        command.args(["--user", "--unit=default.target"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).env("XDG_RUNTIME_DIR", "/run");
        // These units and no others, whatever is installed.
        command.env("SYSTEMD_UNIT_PATH", folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = in_groups(&groups, || command.spawn().unwrap());
        let systemd = Self { child, groups, folder };
        for unit in ["web.service", "steady.service", "base.service", "top.service", "worker.service"] {
            until("systemd has started its units", || !systemd.members(unit).is_empty());
        }
        until("systemd answers", || Connection::open(Path::new("/run/systemd/private"), false).is_ok());
        Some(systemd)
    }

    /// The processes of a unit.
    fn members(&self, unit: &str) -> Vec<Process> {
        let folder = self.groups[0].join("app.slice").join(unit);
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| Process::find(line.parse().ok()?).ok()).collect()
    }

    /// A unit as the agent finds it.
    fn object(&self, unit: &str) -> Object {
        // Between fork and exec it is systemd still.
        until("its process runs", || self.members(unit).first().is_some_and(|it| it.names().contains(&"sleep".into())));
        let lead = self.members(unit)[0];
        Object {
            name: unit.to_owned(),
            kind: Kind::Service,
            pid: Some(lead.pid),
            started: Some(lead.started),
            ..Object::default()
        }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn host(&self) -> Host {
        host(&self.journal())
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // In an orderly way it would stop its units first; in either way nothing may be left.
        self.child.kill().ok();
        self.child.wait().ok();
        for group in &self.groups {
            empty_group(group);
        }
    }
}

/// A control group for the manager in each hierarchy that it uses.
fn groups() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let wanted = |line: &&str| line.contains(" - cgroup2 ") || line.contains("name=systemd");
    let mut points: Vec<&str> = mounts.lines().filter(wanted).filter_map(|line| line.split(' ').nth(4)).collect();
    points.dedup();
    let name = format!("shaketable-test-{}", std::process::id());
    let groups: Vec<PathBuf> = points.into_iter().map(|point| Path::new(point).join(&name)).collect();
    assert!(!groups.is_empty(), "this machine has control groups");
    for group in &groups {
        fs::create_dir(group).unwrap();
    }
    groups
}

/// Does something with this process in these groups; what it starts stays there.
fn in_groups<T>(groups: &[PathBuf], what: impl FnOnce() -> T) -> T {
    let own = std::process::id().to_string();
    let homes: Vec<PathBuf> = groups.iter().map(|group| home(group)).collect();
    groups.iter().for_each(|group| fs::write(group.join("cgroup.procs"), &own).unwrap());
    let outcome = what();
    homes.iter().for_each(|home| fs::write(home.join("cgroup.procs"), &own).unwrap());
    outcome
}

/// Where this process is, in the hierarchy of a group.
fn home(group: &Path) -> PathBuf {
    let point = group.parent().unwrap();
    let text = fs::read_to_string("/proc/self/cgroup").unwrap();
    let is_version_one = point.ends_with("systemd") && !point.join("cgroup.controllers").exists();
    let controllers = if is_version_one { "name=systemd" } else { "" };
    let path = text.lines().find_map(|line| {
        let (of, path) = line.split_once(':')?.1.split_once(':')?;
        (of == controllers).then(|| path.trim_start_matches('/').to_owned())
    });
    point.join(path.unwrap())
}

fn start_unit(unit: &str) {
    let mut connection = Connection::open(Path::new("/run/systemd/private"), false).unwrap();
    let call = Call {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        method: "StartUnit",
        arguments: &[unit, "replace"],
    };
    connection.call(call).unwrap();
}

#[test]
fn a_stopped_service_is_down_until_it_is_started_again() {
    let Some(systemd) = Systemd::start() else { return };
    let (object, before) = (systemd.object("web.service"), systemd.members("web.service"));
    let host = systemd.host();
    let proof = host.inject(FIRST, "service:stop", &parameters([]), &object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds && systemd.members("web.service").is_empty());
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert!(undone.proof.as_ref().unwrap().holds, "{undone:?}");
    let after = systemd.members("web.service");
    assert!(after.len() == 1 && after != before, "{after:?}");
    assert_eq!(host.undo(FIRST).unwrap(), undone);
    assert_eq!(systemd.members("web.service"), after, "once is enough");
}

#[test]
fn a_service_that_somebody_starts_meanwhile_was_not_down_to_the_end() {
    let Some(systemd) = Systemd::start() else { return };
    let host = systemd.host();
    host.inject(FIRST, "service:stop", &parameters([]), &systemd.object("web.service"), LEASE).unwrap();
    start_unit("web.service");
    until("it runs", || !systemd.members("web.service").is_empty());
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert!(!undone.proof.unwrap().holds);
}

#[test]
fn a_restarted_service_is_another_invocation() {
    let Some(systemd) = Systemd::start() else { return };
    let before = systemd.members("web.service");
    let host = systemd.host();
    let proof = host.inject(FIRST, "service:restart", &parameters([]), &systemd.object("web.service"), LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds && systemd.members("web.service") != before);
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
}

#[test]
fn what_a_unit_does_not_bear_is_refused() {
    let Some(systemd) = Systemd::start() else { return };
    let host = systemd.host();
    let refused = |object: &Object, why: &str| {
        let error = host.inject(FIRST, "service:stop", &parameters([]), object, LEASE).unwrap_err();
        assert!(matches!(&error, InjectError::Refused(text) if text.0.contains(why)), "{error}");
    };
    refused(&systemd.object("steady.service"), "refuses to be stopped");
    refused(&systemd.object("base.service"), "with it would stop what needs it and nobody has named: top.service");
    refused(&Object { kind: Kind::Process, ..systemd.object("web.service") }, "not a service");
    let own = Process::own().unwrap();
    let us = Object { pid: Some(own.pid), started: None, ..systemd.object("web.service") };
    refused(&us, "in no control group of a service");
    assert!(["steady.service", "base.service", "web.service"].iter().all(|unit| !systemd.members(unit).is_empty()));
}

#[test]
fn a_process_that_its_unit_starts_again_can_be_restarted_and_others_are_refused() {
    let Some(systemd) = Systemd::start() else { return };
    let host = systemd.host();
    let before = systemd.members("worker.service");
    let proof = host.inject(FIRST, "process:restart", &parameters([]), &systemd.object("worker.service"), LEASE);
    assert!(proof.unwrap().holds && systemd.members("worker.service") != before);
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
    let error = host.inject(FIRST, "process:restart", &parameters([]), &systemd.object("web.service"), LEASE);
    assert!(matches!(&error, Err(InjectError::Refused(why)) if why.0.contains("use service:restart")), "{error:?}");
}

#[test]
fn a_service_is_started_again_when_whoever_stopped_it_is_killed() {
    let Some(systemd) = Systemd::start() else { return };
    let runner = Runner::injects("service:stop", &systemd.object("web.service"), &systemd.journal());
    assert!(systemd.members("web.service").is_empty());
    runner.kill();
    until("the guardian has started it", || !systemd.members("web.service").is_empty());
    until("the guardian has ended", || !systemd.journal().exists());
}

/// A bus, which a manager may be behind.
#[test]
fn a_bus_is_told_who_is_meant_and_says_no_to_nonsense() {
    if lacks("/usr/bin/dbus-daemon", "dbus") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let address = format!("--address=unix:path={}", socket.display());
    let mut bus = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--nopidfile", &address])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the bus listens", || Connection::open(&socket, true).is_ok());
    let mut connection = Connection::open(&socket, true).unwrap();
    let ask = |method, arguments| Call {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        method,
        arguments,
    };
    let names = connection.call(ask("ListNames", &[])).unwrap();
    let [Value::Many(names)] = &names[..] else { panic!("{names:?}") };
    assert!(names.contains(&Value::Text("org.freedesktop.DBus".to_owned())));
    let owner = connection.call(ask("GetNameOwner", &["org.example.Nobody"])).unwrap_err();
    assert!(matches!(&owner, Error::Refused { name, .. } if name.ends_with("NameHasNoOwner")), "{owner}");
    bus.kill().unwrap();
    bus.wait().unwrap();
}

#[test]
fn who_hangs_up_or_talks_nonsense_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for answer in ["", "REJECTED\r\n", "OK 1\r\nnonsense that is no message at all"] {
        let socket = folder.path().join(format!("socket{}", answer.len()));
        let listener = UnixListener::bind(&socket).unwrap();
        let peer = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            // Read what comes, or closing would be a reset.
            std::io::copy(&mut stream.try_clone().unwrap(), &mut std::io::sink()).ok();
        });
        let outcome = Connection::open(&socket, true);
        assert!(outcome.is_err(), "{answer:?}");
        drop(outcome);
        peer.join().unwrap();
    }
}
