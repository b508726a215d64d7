//! Services and containers of this host, without a lab: on a service manager and a container runtime of the test's own, in a
//! mount namespace and control groups of the test's own.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use faults::sys::namespace::new_mount_namespace;
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, Signal, kill_process},
};

use crate::{
    calm::ends_with,
    harness::{Finished, User, example, is_root, skipped},
};

/// Waits for something that must come.
fn until(what: &str, condition: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < limit, "waited in vain: {what}");
        thread::yield_now();
    }
}

/// Folders, control groups and a process that are the test's own, and nobody's afterwards.
struct Apart {
    folder: tempfile::TempDir,
    group: String,
    port: String,
    manager: Option<Child>,
}

impl Apart {
    /// `None`, saying so, where it cannot be had. What is mounted over `places`, this thread and what it starts see.
    fn new(programs: &[&str], places: &[&str]) -> Option<Self> {
        if !is_root() {
            skipped("only root can have a mount namespace and control groups of its own");
            return None;
        }
        if let Some(missing) = programs.iter().find(|program| !Path::new(program).exists()) {
            skipped(&format!("there is no {missing}"));
            return None;
        }
        new_mount_namespace().unwrap();
        for place in places.iter().filter(|place| Path::new(place).is_dir()) {
            mount("none", *place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, None).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let group = format!("shaketable-test-{}-{port}", std::process::id());
        Some(Self { folder: tempfile::tempdir().unwrap(), group, port, manager: None })
    }

    /// Runs an example about what is here.
    fn run(&self, file: &Path, more: &[&str]) -> Finished {
        let port = self.port.as_str();
        until("it answers", || TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
        let text = fs::read_to_string(file).unwrap().replace("18081", port).replace("18082", port);
        let document = self.folder.path().join("document.yaml");
        // Of two tests at once each sees what the other has started: on this host names are for all.
        let text = text.replace("shop.service", &self.unit()).replace("app: shop }", &format!("app: shop-{port} }}"));
        fs::write(&document, text).unwrap();
        User::me().run(&document, more)
    }

    /// The name of its service.
    fn unit(&self) -> String {
        format!("shop-{}.service", self.port)
    }

    fn groups(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let points = mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
        points.map(|point| Path::new(point).join(&self.group)).collect()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            manager.kill().ok();
            manager.wait().ok();
        }
        self.groups().iter().filter(|group| group.exists()).for_each(|group| empty(group));
    }
}

/// Ends everybody in a control group and removes it, however often somebody brings something back.
fn empty(group: &Path) {
    until("its control group is empty", || end_in(group));
}

/// Kills who is in a group or in one in it, and removes those that are empty; whether all are.
fn end_in(group: &Path) -> bool {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for entry in inner {
        end_in(&entry.path());
    }
    for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).ok();
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

/// A systemd with one service: the shop.
fn service_manager() -> Option<Apart> {
    let mut apart = Apart::new(&["/lib/systemd/systemd"], &["/run"])?;
    fs::create_dir_all("/run/systemd/system").unwrap();
    let units = apart.folder.path().join("units");
    fs::create_dir(&units).unwrap();
    let shop = format!(
        "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart={} demo-app --port {}\n",
        env!("CARGO_BIN_EXE_shaketable"),
        apart.port
    );
    fs::write(units.join(apart.unit()), shop).unwrap();
    // A manager of a user changes nothing of the machine's; where it listens is where the machine's own would.
    let mut command = Command::new("sh");
    let into: Vec<String> = apart
        .groups()
        .iter()
        .filter(|group| {
            let point = group.parent().unwrap();
            point.ends_with("systemd") || point.join("cgroup.controllers").exists()
        })
        .map(|group| {
            fs::create_dir(group).unwrap();
            format!("echo $$ > {}/cgroup.procs", group.display())
        })
        .collect();
    let manager = format!("exec /lib/systemd/systemd --user --unit={}", apart.unit());
    command.args(["-c", &format!("{} && {manager}", into.join(" && "))]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", apart.folder.path());
    command.env("XDG_RUNTIME_DIR", "/run").env("SYSTEMD_UNIT_PATH", &units);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    apart.manager = Some(command.spawn().unwrap());
    until("systemd answers", || UnixStream::connect("/run/systemd/private").is_ok());
    Some(apart)
}

/// A podman with one container: the shop.
fn runtime(restart: &str) -> Option<Apart> {
    let programs = ["/usr/bin/podman", "/usr/sbin/runc", "/bin/busybox"];
    let mut apart = Apart::new(&programs, &["/run", "/dev/shm", "/var/lib/containers", "/etc/cni"])?;
    fs::create_dir_all("/run/podman").unwrap();
    let root = apart.folder.path().join("rootfs");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("www")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    fs::write(root.join("www/hostname"), "shop\n").unwrap();
    let podman = |arguments: &[&str]| {
        let mut command = Command::new("/usr/bin/podman");
        command.arg("--root").arg(apart.folder.path().join("root"));
        command.args(["--runroot", "/run/containers", "--storage-driver", "vfs", "--runtime", "runc"]);
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command.args(arguments).env("HOME", apart.folder.path()).stdin(Stdio::null());
        command
    };
    let mut service = podman(&["system", "service", "--time", "0", "unix:///run/podman/podman.sock"]);
    let service = service.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("podman answers", || UnixStream::connect("/run/podman/podman.sock").is_ok());
    let (tags, address) = (format!("SHAKETABLE_TAGS=app=shop-{}", apart.port), format!("127.0.0.1:{}", apart.port));
    let (restart, rootfs) = (format!("--restart={restart}"), root.display().to_string());
    let mut arguments = vec!["run", "--detach", "--name", "shop", "--network", "host", "--env", &tags, &restart];
    // Limits that a machine without CAP_SYS_RESOURCE can set.
    arguments.extend(["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000", "--cgroup-parent", &apart.group]);
    arguments.extend(["--rootfs", &rootfs, "/bin/busybox", "httpd", "-f", "-p", &address, "-h", "/www"]);
    let output = podman(&arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    apart.manager = Some(service);
    Some(apart)
}

fn clean(finished: &Finished) {
    assert_eq!(finished.events("injecting").len(), 1, "{}", finished.output());
    let injected = &finished.events("injected")[0]["proof"];
    assert_eq!(injected["holds"], true, "{injected}");
    let undone = &finished.events("undone")[0];
    assert_eq!(undone["cleanliness"]["state"], "clean", "{undone}");
}

#[test]
fn a_service_of_this_host_is_down_for_a_time() {
    let Some(apart) = service_manager() else { return };
    let finished = ends_with(0, "green", || apart.run(&example("experiments/service-stopped.yaml"), &[]));
    clean(&finished);
    assert_eq!(finished.events("injecting")[0]["resource"], apart.unit());
}

#[test]
fn a_service_of_this_host_is_restarted_when_somebody_says_that_it_may_lose_what_it_has() {
    let Some(apart) = service_manager() else { return };
    let refused = apart.run(&example("experiments/service-restarted.yaml"), &[]);
    assert_eq!(refused.code(), Some(2), "{}", refused.output());
    let finished =
        ends_with(0, "green", || apart.run(&example("experiments/service-restarted.yaml"), &["--allow-irreversible"]));
    clean(&finished);
}

#[test]
fn a_container_of_this_host_stands_still_and_runs_on() {
    let Some(apart) = runtime("no") else { return };
    let finished = ends_with(3, "yellow", || apart.run(&example("experiments/container-paused.yaml"), &[]));
    clean(&finished);
}

#[test]
fn a_container_of_this_host_is_down_for_a_time() {
    let Some(apart) = runtime("no") else { return };
    let finished = ends_with(0, "green", || apart.run(&example("experiments/container-stopped.yaml"), &[]));
    clean(&finished);
}

#[test]
fn a_container_of_this_host_crashes_and_its_restart_policy_brings_it_back() {
    let Some(apart) = runtime("always") else { return };
    let finished =
        ends_with(0, "green", || apart.run(&example("experiments/container-killed.yaml"), &["--allow-irreversible"]));
    assert_eq!(finished.events("injected")[0]["proof"]["holds"], true, "{}", finished.output());
}
