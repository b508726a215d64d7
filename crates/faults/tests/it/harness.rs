//! A world for one test: an instance in a network namespace of its own, a router at the other end of its link, and a host that
//! injects into it.

use std::{
    collections::BTreeMap,
    ffi::CString,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use faults::{
    Host, Object, Parameters, Peer, Program,
    process::Process,
    sys::{
        link::{Links, Route},
        namespace::{NetworkNamespace, new_mount_namespace, new_pid_namespace_for_children},
        nfqueue, nft,
        qdisc::Disciplines,
    },
};
use model::event::{Cleanliness, InjectionId, Proof};
use rustix::{
    fs::statvfs,
    mount::{MountFlags, mount},
};

pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// Where the instance has a disk of its own, in its sight alone.
pub(crate) const DISK: &str = "/mnt";
/// How big that is: of memory, so small.
pub(crate) const DISK_SIZE: u64 = 96 << 20;
pub(crate) const INSTANCE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Whether tests that need the privilege can run; says so when they cannot. In CI they must.
pub(crate) fn privileged() -> bool {
    let may = NetworkNamespace::create().is_ok();
    if !may {
        assert!(std::env::var_os("CI").is_none(), "CI must be able to make network namespaces");
        println!("skipped: network namespaces cannot be made by this user");
    }
    may
}

/// Whether the kernel has sch_netem; says so when it has not. In the guest it must.
pub(crate) fn has_netem() -> bool {
    let diagnosis = faults::doctor::doctor_with(program()).unwrap();
    let has = diagnosis.facts.iter().any(|fact| fact.name == "netem" && fact.available);
    if !has {
        assert!(std::env::var_os("SHAKETABLE_GUEST").is_none(), "the guest's kernel has sch_netem: {diagnosis:?}");
        println!("skipped: this kernel has no sch_netem; `cargo xtask guest` runs one that has");
    }
    has
}

/// The kernel's view of what faults touch, in words.
pub(crate) type View = BTreeMap<String, String>;

pub(crate) struct World {
    pub(crate) instance: Arc<NetworkNamespace>,
    pub(crate) router: Arc<NetworkNamespace>,
    pub(crate) object: Object,
    pub(crate) child: Child,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::running(Command::new("sleep").arg("1000"))
    }

    /// A world whose instance runs this command.
    pub(crate) fn running(command: &mut Command) -> Self {
        let router = Arc::new(NetworkNamespace::create().unwrap());
        let instance = Arc::new(NetworkNamespace::create().unwrap());
        router
            .run(|| {
                let mut links = Links::open()?;
                links.add_pair("v0", "eth0", &instance)?;
                links.up("lo")?;
                links.up("v0")?;
                links.add_address("v0", ROUTER)?;
                links.add_route(Route { to: (INSTANCE, 32), interface: "v0", via: None, source: None })?;
                Ok(())
            })
            .unwrap();
        let child = instance
            .run(|| {
                let mut links = Links::open()?;
                links.up("lo")?;
                links.up("eth0")?;
                links.add_address("eth0", INSTANCE)?;
                links.add_route(Route { to: (ROUTER, 32), interface: "eth0", via: None, source: None })?;
                // As in a lab: with its first process everything in it ends.
                new_pid_namespace_for_children()?;
                new_mount_namespace()?;
                let size = CString::new(format!("size={DISK_SIZE}"))?;
                mount("none", DISK, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, size.as_c_str())?;
                command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
            })
            .unwrap();
        let object = Object {
            name: "i-1".to_owned(),
            pid: Some(i32::try_from(child.id()).unwrap()),
            network: Some(Arc::clone(&instance)),
            peer: Some(Peer { network: Arc::clone(&router), interface: "v0".to_owned() }),
            addresses: vec![IpAddr::V4(INSTANCE)],
            memory_bytes: 256 << 20,
            ..Object::default()
        };
        Self { instance, router, object, child, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Where processes that are tortured write what they have to say.
    pub(crate) fn errors(&self) -> PathBuf {
        self.folder.path().join("errors")
    }

    /// The instance's disk, as we see it.
    pub(crate) fn disk(&self) -> PathBuf {
        format!("/proc/{}/root{DISK}", self.child.id()).into()
    }

    /// What everybody may still write to it, in bytes.
    pub(crate) fn free(&self) -> u64 {
        statvfs(self.disk()).map_or(0, |stat| stat.f_bavail * stat.f_frsize)
    }

    pub(crate) fn host(&self) -> Host {
        host(&self.journal())
    }

    /// The kernel's view of everything that faults touch.
    pub(crate) fn view(&self) -> View {
        let mut view = BTreeMap::new();
        for (name, network) in [("instance", &self.instance), ("router", &self.router)] {
            let look = || Ok((nft::tables()?, nfqueue::queues()?, Disciplines::open()?.all()?));
            view.insert(format!("{name} tables, queues and disciplines"), format!("{:?}", network.run(look).unwrap()));
            // Two lines of heading, then an interface each, with numbers that change.
            let devices = network.run(|| std::fs::read_to_string("/proc/thread-self/net/dev")).unwrap();
            let names: Vec<_> =
                devices.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
            view.insert(format!("{name} interfaces"), format!("{names:?}"));
        }
        let pid = self.child.id();
        let process = faults::process::stat(i32::try_from(pid).unwrap()).ok().map(|stat| "tTZX".contains(stat.state));
        view.insert("process stopped or dead".to_owned(), format!("{process:?}"));
        let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
        view.insert("score".to_owned(), format!("{:?}", score.ok()));
        let skewed = faults::time::skew::is_skewed(i32::try_from(pid).unwrap());
        // A process that is about to run another program has no clock for a moment.
        view.insert("clock is wrong".to_owned(), skewed.unwrap_or(false).to_string());
        for file in ["limits", "cgroup"] {
            let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"));
            view.insert(file.to_owned(), format!("{:?}", text.ok()));
        }
        view.insert("disk".to_owned(), self.free().to_string());
        view.insert("children".to_owned(), format!("{:?}", children()));
        view
    }

    /// How long a datagram takes from the router to the instance and back.
    pub(crate) fn round_trip(&self) -> Duration {
        let near = self.instance.run(|| UdpSocket::bind((INSTANCE, 0))).unwrap();
        let far = self.router.run(|| UdpSocket::bind((ROUTER, 0))).unwrap();
        far.connect(near.local_addr().unwrap()).unwrap();
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        let start = Instant::now();
        far.send(b"ping").unwrap();
        let mut buffer = [0; 8];
        let (length, from) = near.recv_from(&mut buffer).unwrap();
        near.send_to(&buffer[..length], from).unwrap();
        far.recv(&mut buffer).unwrap();
        start.elapsed()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A host whose helper and guardian are this test binary: see `the_helper` and `the_guardian`.
pub(crate) fn host(journal: &Path) -> Host {
    Host::with_program(journal, "a test", program()).unwrap()
}

pub(crate) fn program() -> Program {
    let path = std::env::current_exe().unwrap();
    Program { path, helper: only("harness::the_helper"), guardian: only("harness::the_guardian") }
}

/// Arguments by which this binary runs one of its tests that are no tests.
pub(crate) fn only(name: &str) -> Vec<String> {
    ["--exact", "--nocapture", "--ignored", "--test-threads=1", name].map(str::to_owned).to_vec()
}

/// Not a test: what this binary does when it is started as the helper.
#[test]
#[ignore = "the helper, started by faults that need one"]
fn the_helper() {
    let _ended = faults::helper::main();
}

/// Not a test: what this binary does when it is started as a guardian.
#[test]
#[ignore = "the guardian, started by hosts that inject"]
fn the_guardian() {
    let _ended = faults::guardian::main();
}

/// The guardian of a process that injects.
pub(crate) fn guardian_of(runner: Process) -> Process {
    find_guardian(runner).expect("a process that injects has one")
}

/// The guardian of a process, which has one from its first injection on.
pub(crate) fn find_guardian(runner: Process) -> Option<Process> {
    runner.members().into_iter().find(|process| is_guardian(*process))
}

fn is_guardian(process: Process) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", process.pid)).is_ok_and(|line| line.ends_with(b"harness::the_guardian\0"))
}

/// Waits for something that must come; far longer than a busy machine delays it.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// The descendants of this process, but for its guardian, which is there as long as its host.
fn children() -> Vec<i32> {
    let members = Process::own().unwrap().members();
    let mut members: Vec<i32> =
        members.into_iter().filter(|process| !is_guardian(*process)).map(|process| process.pid).collect();
    members.sort_unstable();
    members
}

pub(crate) fn parameters<const N: usize>(given: [(&str, &str); N]) -> Parameters {
    given.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

/// The parameters that a fault cannot do without, in these worlds.
pub(crate) fn needed(fault: &str) -> Parameters {
    match fault {
        // As much as other work leaves of a processor.
        "cpu:stress" => parameters([("percent", "5")]),
        "dns:fail" | "dns:lie" => parameters([("names", "*.lab")]),
        "time:skew" => parameters([("offset", "PT1H")]),
        "cpu:throttle" => parameters([("percent", "20")]),
        "memory:limit" => parameters([("size", "50%")]),
        "http:abort" | "http:delay" => parameters([("port", "8080")]),
        "http:body" => parameters([("port", "8080"), ("message", "response"), ("replace", "")]),
        "http:header" => parameters([("port", "8080"), ("message", "request"), ("setHeaders", r#"{"x": "y"}"#)]),
        _ if fault.starts_with("disk:") => parameters([("path", DISK)]),
        _ => Parameters::new(),
    }
}

pub(crate) const FIRST: InjectionId = InjectionId(1);

/// Injects, checks the proof, undoes twice, and checks that the kernel's view is what it was.
pub(crate) fn inject_and_undo<const N: usize>(
    world: &World,
    fault: &str,
    given: [(&str, &str); N],
    during: impl FnOnce(&Proof),
) -> Option<Proof> {
    let before = world.view();
    let host = world.host();
    let proof = host.inject(FIRST, fault, &parameters(given), &world.object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    assert!(proof.holds);
    during(&proof);
    let undone = host.undo(FIRST).unwrap();
    println!("{undone:?}");
    assert_eq!(undone.cleanliness, Cleanliness::Clean);
    assert_eq!(host.undo(FIRST).unwrap(), undone);
    assert_eq!(world.view(), before);
    drop(host);
    assert!(!world.journal().exists());
    undone.proof
}
