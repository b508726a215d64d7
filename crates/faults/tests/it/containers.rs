//! Faults of containers, on a real runtime: podman, with storage, sockets and control groups of the test's own. Its API is
//! Docker's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use faults::{Host, InjectError, Kind, Object, process::Process, sys::namespace::new_mount_namespace};
use model::event::Cleanliness;

use crate::{
    apart::{Runner, cover, empty_group, lacks},
    harness::{FIRST, LEASE, host, parameters, privileged, program, until},
};

const BUSYBOX: &str = "/bin/busybox";
const SOCKET: &str = "/run/podman/podman.sock";

/// Podman and its API, for the thread that has made it.
struct Podman {
    folder: tempfile::TempDir,
    service: Option<Child>,
    parent: String,
}

impl Podman {
    /// `None`, saying so, where it cannot be had.
    fn start() -> Option<Self> {
        if !privileged()
            || lacks("/usr/bin/podman", "podman")
            || lacks("/usr/sbin/runc", "runc")
            || lacks(BUSYBOX, "busybox-static")
        {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // What it keeps beside its storage, this thread and what it starts see, and nobody else.
        new_mount_namespace().unwrap();
        for place in ["/run", "/dev/shm", "/var/lib/containers", "/etc/cni"] {
            if Path::new(place).is_dir() {
                cover(place);
            }
        }
        fs::create_dir_all("/run/podman").unwrap();
        let binaries = folder.path().join("rootfs/bin");
        fs::create_dir_all(&binaries).unwrap();
        fs::copy(BUSYBOX, binaries.join("busybox")).unwrap();
        let parent = format!("shaketable-test-{}", std::process::id());
        let mut podman = Self { folder, service: None, parent };
        let socket = format!("unix://{SOCKET}");
        let mut service = podman.command(&["system", "service", "--time", "0", &socket]);
        podman.service = Some(service.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("podman answers", || std::os::unix::net::UnixStream::connect(SOCKET).is_ok());
        Some(podman)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/podman");
        command.arg("--root").arg(self.folder.path().join("root"));
        command.args(["--runroot", "/run/containers", "--storage-driver", "vfs", "--runtime", "runc"]);
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command.args(arguments).env("HOME", self.folder.path()).stdin(Stdio::null());
        command
    }

    fn say(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "podman {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts a container that runs this script, and gives it back as the agent finds it.
    fn run(&self, name: &str, more: &[&str], script: &str) -> Object {
        // Limits that a machine without CAP_SYS_RESOURCE can set.
        let mut arguments =
            vec!["run", "--detach", "--name", name, "--network", "none", "--cgroup-parent", &self.parent];
        arguments.extend(["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"]);
        arguments.extend(more);
        let root = self.folder.path().join("rootfs");
        arguments.extend(["--rootfs", root.to_str().unwrap(), "/bin/busybox", "sh", "-c", script]);
        self.say(&arguments);
        let lead = Process::find(self.pid(name)).unwrap();
        Object {
            name: format!("container-{name}"),
            kind: Kind::Container,
            pid: Some(lead.pid),
            started: Some(lead.started),
            ..Object::default()
        }
    }

    fn pid(&self, name: &str) -> i32 {
        self.say(&["inspect", "--format", "{{.State.Pid}}", name]).parse().unwrap()
    }

    fn status(&self, name: &str) -> String {
        self.say(&["inspect", "--format", "{{.State.Status}}", name])
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn host(&self) -> Host {
        host(&self.journal())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.command(&["rm", "--force", "--all", "--time", "0"]).output().ok();
        if let Some(mut service) = self.service.take() {
            service.kill().ok();
            service.wait().ok();
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
        for group in points.map(|point| Path::new(point).join(&self.parent)).filter(|group| group.exists()) {
            empty_group(&group);
        }
    }
}

/// Ends at once when it is asked to, and does nothing until then.
const IDLE: &str = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";
const BUSY: &str = "while :; do :; done";

#[test]
fn a_stopped_container_is_down_until_it_is_started_again() {
    let Some(podman) = Podman::start() else { return };
    let object = podman.run("web", &[], IDLE);
    let host = podman.host();
    let proof = host.inject(FIRST, "container:stop", &parameters([("grace", "PT1S")]), &object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds && podman.status("web") == "exited");
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert!(undone.proof.as_ref().unwrap().holds, "{undone:?}");
    assert_eq!(podman.status("web"), "running");
    let now = podman.pid("web");
    assert_ne!(Some(now), object.pid);
    assert_eq!(host.undo(FIRST).unwrap(), undone);
    assert_eq!(podman.pid("web"), now, "once is enough");
}

#[test]
fn a_container_that_is_removed_meanwhile_is_gone() {
    let Some(podman) = Podman::start() else { return };
    let object = podman.run("web", &[], IDLE);
    let host = podman.host();
    host.inject(FIRST, "container:stop", &parameters([("grace", "PT1S")]), &object, LEASE).unwrap();
    podman.say(&["rm", "web"]);
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
}

#[test]
fn containers_are_as_they_were_when_whoever_hit_them_is_killed() {
    let Some(podman) = Podman::start() else { return };
    let (web, busy) = (podman.run("web", &[], IDLE), podman.run("busy", &[], BUSY));
    Runner::injects("container:stop", &web, &podman.journal()).kill();
    assert_eq!(podman.status("web"), "running");
    assert!(!podman.journal().exists());
    let runner = Runner::injects("container:pause", &busy, &podman.journal());
    let process = Process::find(busy.pid.unwrap()).unwrap();
    let ticks = || process.stat().unwrap().cpu_ticks;
    let frozen = ticks();
    runner.kill();
    until("it runs on", || ticks() > frozen);
    assert!(!podman.journal().exists());
}

#[test]
fn a_paused_container_does_nothing_until_it_is_thawed() {
    let Some(podman) = Podman::start() else { return };
    let object = podman.run("busy", &[], BUSY);
    let process = Process::find(object.pid.unwrap()).unwrap();
    let host = podman.host();
    let proof = host.inject(FIRST, "container:pause", &parameters([]), &object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds);
    let again = crate::harness::host(&podman.folder.path().join("another")).inject(
        FIRST,
        "container:pause",
        &parameters([]),
        &object,
        LEASE,
    );
    assert!(matches!(&again, Err(InjectError::Refused(why)) if why.0.contains("frozen already")), "{again:?}");
    let frozen = process.stat().unwrap().cpu_ticks;
    let undone = host.undo(FIRST).unwrap();
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert!(undone.proof.as_ref().unwrap().holds);
    until("it runs on", || process.stat().unwrap().cpu_ticks > frozen);
    assert_eq!(host.undo(FIRST).unwrap(), undone);
}

#[test]
fn a_killed_container_has_crashed() {
    let Some(podman) = Podman::start() else { return };
    let object = podman.run("web", &[], IDLE);
    let members = Process::find(object.pid.unwrap()).unwrap().members();
    let host = podman.host();
    let proof = host.inject(FIRST, "container:kill", &parameters([]), &object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds && members.iter().all(|member| !member.is_alive()));
    until("podman has seen it", || podman.status("web") == "exited");
    assert_eq!(podman.say(&["inspect", "--format", "{{.State.ExitCode}}", "web"]), "137");
    assert_eq!(host.undo(FIRST).unwrap().cleanliness, Cleanliness::Gone);
}

#[test]
fn what_could_not_be_started_again_is_not_stopped() {
    let Some(podman) = Podman::start() else { return };
    let host = podman.host();
    let refused = |object: &Object, why: &str| {
        let error = host.inject(FIRST, "container:stop", &parameters([]), object, LEASE).unwrap_err();
        assert!(matches!(&error, InjectError::Refused(text) if text.0.contains(why)), "{error}");
    };
    let fleeting = podman.run("fleeting", &["--rm"], IDLE);
    refused(&fleeting, "removed when it ends");
    refused(&Object { kind: Kind::Process, ..fleeting.clone() }, "not a container");
    let own = Process::own().unwrap();
    refused(&Object { pid: Some(own.pid), started: None, ..fleeting }, "this very process");
    assert_eq!(podman.status("fleeting"), "running");
}

#[test]
fn the_doctor_finds_the_runtime() {
    let Some(_podman) = Podman::start() else { return };
    let diagnosis = faults::doctor::doctor_with(program()).unwrap();
    let stop = diagnosis.faults.iter().find(|one| one.fault.id == "container:stop").unwrap();
    assert!(stop.missing.is_empty(), "{:?}", stop.missing);
}
