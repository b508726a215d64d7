//! Faults in the network of objects of which less is known than of a lab's instances: no other end of their link, or no
//! network of their own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use faults::{
    Host, InjectError, Kind, Object,
    sys::{
        link::{Links, Route},
        namespace::NetworkNamespace,
    },
};
use model::event::Cleanliness;

use crate::harness::{FIRST, INSTANCE, LEASE, ROUTER, World, host, inject_and_undo, parameters, privileged};

/// The world's instance as a container of which nothing is known but a process.
fn lonely() -> World {
    let mut world = World::new();
    world.object =
        Object { kind: Kind::Container, network: None, peer: None, addresses: Vec::new(), ..world.object.clone() };
    world
}

#[test]
fn a_container_of_which_only_a_process_is_known_is_hit_where_its_packets_come_in() {
    if !privileged() {
        return;
    }
    let world = lonely();
    inject_and_undo(&world, "network:latency", [("delayMilliseconds", "30")], |proof| {
        assert!(!proof.achieved.contains("probe port"), "{}", proof.achieved);
        assert!(world.round_trip() >= Duration::from_millis(30));
    });
    inject_and_undo(&world, "network:corrupt", [("corruptPercent", "10")], |_| {});
    inject_and_undo(&world, "network:bandwidth", [("megabitsPerSecond", "10")], |_| {});
}

#[test]
fn what_a_container_sends_is_lost_without_its_knowledge() {
    if !privileged() {
        return;
    }
    let world = lonely();
    inject_and_undo(&world, "network:loss", [("lossPercent", "10"), ("direction", "both")], |_| {});
    inject_and_undo(&world, "network:duplicate", [("duplicatePercent", "10"), ("direction", "egress")], |_| {});
    inject_and_undo(&world, "network:blackhole", [("direction", "egress"), ("sources", "10.77.0.0/24")], |_| {
        let socket = world.instance.run(|| UdpSocket::bind((INSTANCE, 0))).unwrap();
        socket.send_to(b"into the void", (ROUTER, 9)).unwrap();
    });
    inject_and_undo(&world, "network:refuse", [("direction", "both")], |_| {});
}

#[test]
fn a_container_with_a_network_of_its_own_has_its_loopback_to_itself_unless_that_is_named() {
    if !privileged() {
        return;
    }
    let world = lonely();
    let listener = world.instance.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let fastest = || {
        let once = || {
            let begun = Instant::now();
            world.instance.run(|| TcpStream::connect_timeout(&address, Duration::from_secs(5))).unwrap();
            begun.elapsed()
        };
        (0..10).map(|_| once()).min().unwrap()
    };
    let delay = Duration::from_millis(40);
    inject_and_undo(&world, "network:latency", [("delayMilliseconds", "40")], |_| assert!(fastest() < delay));
    for (direction, crossings) in [("ingress", 2), ("egress", 2), ("both", 2)] {
        // Each packet, request or answer, goes from it to it, and is hit once.
        let given = [("delayMilliseconds", "40"), ("sources", "127.0.0.0/8"), ("direction", direction)];
        inject_and_undo(&world, "network:latency", given, |_| {
            let took = fastest();
            assert!(took >= crossings * delay && took < 2 * crossings * delay, "{direction}: {took:?}");
        });
    }
}

#[test]
fn packets_are_not_held_where_that_would_stop_their_sender() {
    if !privileged() {
        return;
    }
    let world = lonely();
    let before = world.view();
    let host = world.host();
    for fault in ["network:latency", "network:reorder", "network:bandwidth"] {
        let refused = host.inject(FIRST, fault, &parameters([("direction", "both")]), &world.object, LEASE);
        assert!(
            matches!(&refused, Err(InjectError::Refused(why)) if why.0.contains("TCP small queues")),
            "{refused:?}"
        );
    }
    assert_eq!(world.view(), before);
}

/// Not a test: the process that injects into a lonely world, says so, and waits to be killed.
#[test]
#[ignore = "the process that is killed, started by the test below"]
fn the_victim() {
    let told = |name| std::env::var(name).expect("told by the test");
    let object = Object {
        name: "i-1".to_owned(),
        kind: Kind::Container,
        pid: Some(told("VICTIM_PID").parse().unwrap()),
        ..Object::default()
    };
    let host = host(&PathBuf::from(told("VICTIM_JOURNAL")));
    host.inject(FIRST, "network:latency", &parameters([]), &object, LEASE).unwrap();
    println!("\ninjected");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn an_interface_made_to_measure_along_goes_with_whoever_made_it() {
    if !privileged() {
        return;
    }
    let world = lonely();
    let before = world.view();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "--ignored", "--test-threads=1", "sites::the_victim"]);
    command.env("VICTIM_PID", world.child.id().to_string()).env("VICTIM_JOURNAL", world.journal());
    let mut victim = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "injected"));
    assert!(world.view()["instance interfaces"].contains("shk"), "{:?}", world.view());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while world.view() != before {
        assert!(Instant::now() < end, "{:?}\n{before:?}", world.view());
        std::thread::yield_now();
    }
}

/// Not a test: what runs in a namespace that stands for the host's, so that the host's own is left alone.
#[test]
#[ignore = "the host, started by the test below"]
fn the_stage() {
    let stage = Stage::new();
    stage.the_host_is_hit_only_through_a_filter();
    stage.a_process_is_hit_by_the_ports_it_listens_on();
    stage.a_process_is_hit_over_the_loopback();
    stage.a_process_that_others_reach_is_hit_wherever_they_come_from();
    stage.a_service_is_hit_by_its_control_group();
    stage.a_process_asks_from_a_control_group_that_is_made_for_it();
}

#[test]
fn what_shares_the_hosts_network_is_hit_alone() {
    if !privileged() {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let mut stage = Command::new(own);
    stage.args(["--exact", "--nocapture", "--ignored", "--test-threads=1", "sites::the_stage"]);
    let output = NetworkNamespace::create().unwrap().run(|| stage.output()).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed"), "{}", String::from_utf8_lossy(&output.stderr));
}

const HOST: Ipv4Addr = INSTANCE;

/// A host in a namespace of its own, and a router to it.
struct Stage {
    router: NetworkNamespace,
    host: Host,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let (own, router) = (NetworkNamespace::current().unwrap(), NetworkNamespace::create().unwrap());
        let end = |own: Ipv4Addr, interface: &str, other: Ipv4Addr| {
            let mut links = Links::open()?;
            links.up("lo")?;
            links.up(interface)?;
            links.add_address(interface, own)?;
            Ok(links.add_route(Route { to: (other, 32), interface, via: None, source: None })?)
        };
        router.run(|| Ok(Links::open()?.add_pair("v0", "eth0", &own)?)).unwrap();
        router.run(|| end(ROUTER, "v0", HOST)).unwrap();
        own.run(|| end(HOST, "eth0", ROUTER)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { router, host: host(&folder.path().join("journal")), folder }
    }

    fn inject<const N: usize>(
        &self,
        object: &Object,
        fault: &str,
        given: [(&str, &str); N],
    ) -> Result<(), InjectError> {
        let proof = self.host.inject(FIRST, fault, &parameters(given), object, LEASE)?;
        println!("{}: {}", proof.configured, proof.achieved);
        assert!(proof.holds);
        Ok(())
    }

    fn undo(&self) {
        assert_eq!(self.host.undo(FIRST).unwrap().cleanliness, Cleanliness::Clean);
        assert!(faults::sys::nft::tables().unwrap().is_empty());
        let interfaces = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        assert!(!interfaces.contains("shk"), "{interfaces}");
        assert!(self.folder.path().exists());
    }

    /// How long it takes to connect from the router to a port of the host; the shortest of some, for a busy machine.
    fn connect(&self, port: u16) -> Duration {
        let once = || {
            let begun = Instant::now();
            let connected =
                self.router.run(|| TcpStream::connect_timeout(&(HOST, port).into(), Duration::from_secs(5)));
            connected.unwrap();
            begun.elapsed()
        };
        (0..10).map(|_| once()).min().unwrap()
    }

    fn the_host_is_hit_only_through_a_filter(&self) {
        let object = Object { name: "host".to_owned(), kind: Kind::Machine, ..Object::default() };
        let refused = self.inject(&object, "network:latency", []).unwrap_err();
        assert!(refused.to_string().contains("`sources` or `port`"), "{refused}");
        let refused = self.inject(&object, "network:reset", []).unwrap_err();
        assert!(refused.to_string().contains("`sources` or `port`"), "{refused}");
        let listen = |port| TcpListener::bind((HOST, port)).unwrap();
        let (_slow, _quick) = (listen(8080), listen(8081));
        self.inject(&object, "network:latency", [("port", "8080"), ("delayMilliseconds", "50")]).unwrap();
        assert!(self.connect(8080) >= Duration::from_millis(50));
        assert!(self.connect(8081) < Duration::from_millis(50));
        self.undo();
        self.inject(&object, "network:blackhole", [("sources", "10.77.0.0/24"), ("direction", "both")]).unwrap();
        self.undo();
    }

    fn a_process_is_hit_by_the_ports_it_listens_on(&self) {
        let _other = TcpListener::bind((HOST, 8083)).unwrap();
        let listener = Listener::start(8082, Ipv4Addr::UNSPECIFIED, false);
        let object = Object { kind: Kind::Process, ..listener.object() };
        self.inject(&object, "network:latency", [("delayMilliseconds", "50")]).unwrap();
        assert!(self.connect(8082) >= Duration::from_millis(50));
        assert!(self.connect(8083) < Duration::from_millis(50));
        self.undo();
        for (fault, given, why) in [
            ("network:refuse", ("direction", "egress"), "cannot be told"),
            ("network:loss", ("port", "8083"), "not listen on 8083"),
        ] {
            let refused = self.inject(&object, fault, [given]).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
        let mut broken = self.router.run(|| TcpStream::connect((HOST, 8082))).unwrap();
        let mut spared = self.router.run(|| TcpStream::connect((HOST, 8083))).unwrap();
        self.inject(&object, "network:reset", []).unwrap();
        self.host.undo(FIRST).unwrap();
        assert_eq!(broken.read_to_end(&mut Vec::new()).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        spared.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(spared.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    /// What somebody on the host itself waits for a connection to a port of the loopback; the shortest of some.
    fn connect_inside(port: u16) -> Duration {
        let once = || {
            let begun = Instant::now();
            TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), Duration::from_secs(5)).unwrap();
            begun.elapsed()
        };
        (0..10).map(|_| once()).min().unwrap()
    }

    fn a_process_is_hit_over_the_loopback(&self) {
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, 8087)).unwrap();
        let listener = Listener::start(8086, Ipv4Addr::LOCALHOST, false);
        let object = Object { kind: Kind::Process, ..listener.object() };
        let (one_way, both_ways) = (Duration::from_millis(40), Duration::from_millis(80));
        for (direction, least) in [("ingress", one_way), ("egress", one_way), ("both", both_ways)] {
            self.inject(&object, "network:latency", [("delayMilliseconds", "40"), ("direction", direction)]).unwrap();
            assert!(Self::connect_inside(8086) >= least, "{direction}");
            assert!(Self::connect_inside(8087) < one_way, "{direction}");
            self.undo();
            assert!(Self::connect_inside(8086) < one_way, "{direction}");
        }
        for (fault, given) in [
            ("network:loss", ("lossPercent", "30")),
            ("network:corrupt", ("corruptPercent", "20")),
            ("network:duplicate", ("duplicatePercent", "20")),
            ("network:reorder", ("reorderPercent", "20")),
            ("network:bandwidth", ("megabitsPerSecond", "5")),
            ("network:blackhole", ("port", "8086")),
            ("network:partition", ("sources", "127.0.0.0/8")),
        ] {
            self.inject(&object, fault, [given, ("direction", "both")]).unwrap();
            self.undo();
        }
        self.inject(&object, "network:refuse", [("port", "8086")]).unwrap();
        let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, 8086)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        self.undo();
        let mut broken = TcpStream::connect((Ipv4Addr::LOCALHOST, 8086)).unwrap();
        self.inject(&object, "network:reset", []).unwrap();
        self.host.undo(FIRST).unwrap();
        assert_eq!(broken.read_to_end(&mut Vec::new()).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        let refused = self.inject(&object, "network:latency", [("sources", "10.77.0.0/24")]).unwrap_err();
        assert!(refused.to_string().contains("none of the sources can reach"), "{refused}");
    }

    fn a_process_that_others_reach_is_hit_wherever_they_come_from(&self) {
        let listener = Listener::start(8088, Ipv4Addr::UNSPECIFIED, false);
        let object = Object { kind: Kind::Process, ..listener.object() };
        let delay = Duration::from_millis(40);
        self.inject(&object, "network:latency", [("delayMilliseconds", "40")]).unwrap();
        assert!(Self::connect_inside(8088) >= delay && self.connect(8088) >= delay);
        self.undo();
        let given = [("delayMilliseconds", "40"), ("sources", "127.0.0.0/8"), ("direction", "both")];
        self.inject(&object, "network:latency", given).unwrap();
        assert!(Self::connect_inside(8088) >= 2 * delay && self.connect(8088) < delay);
        self.undo();
        // What it answers to others is caught where it sends it, and may not be held there.
        let given = [("delayMilliseconds", "40"), ("direction", "both")];
        let refused = self.inject(&object, "network:latency", given).unwrap_err();
        assert!(refused.to_string().contains("`sources: 127.0.0.0/8,::1`"), "{refused}");
        self.inject(&object, "network:loss", [("lossPercent", "30"), ("direction", "both")]).unwrap();
        self.undo();
        self.inject(&object, "network:blackhole", [("port", "8088"), ("direction", "egress")]).unwrap();
        self.undo();
    }

    /// It listens nowhere, and shares its network and its control group with this process.
    fn a_process_asks_from_a_control_group_that_is_made_for_it(&self) {
        let resolver = UdpSocket::bind(RESOLVER).unwrap();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = resolver.recv_from(&mut query) {
                resolver.send_to(&query[..length], from).unwrap();
            }
        });
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "--ignored", "--test-threads=1", "sites::the_asker"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        let mut orders = child.stdin.take().unwrap();
        let mut told = || {
            orders.write_all(b"?").unwrap();
            lines.find_map(|line| line.unwrap().strip_prefix("told ").map(str::to_owned)).unwrap()
        };
        let groups = || std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
        let (before, pid) = (groups(), i32::try_from(child.id()).ok());
        let object = Object { name: "asker".to_owned(), pid, kind: Kind::Process, ..Object::default() };
        match self.inject(&object, "dns:fail", [("names", "*.example.com")]) {
            Err(why) if why.to_string().contains("second version") => println!("skipped: {why}"),
            injected => {
                injected.unwrap();
                assert_eq!(
                    (told(), ask()),
                    ("3".to_owned(), 0),
                    "it is told that there is no such name, and nobody else"
                );
                assert_ne!(groups(), before);
                self.undo();
                assert_eq!((told(), groups()), ("0".to_owned(), before));
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn a_service_is_hit_by_its_control_group(&self) {
        let listener = Listener::start(8084, Ipv4Addr::UNSPECIFIED, true);
        let _other = TcpListener::bind((HOST, 8085)).unwrap();
        let Some(group) = &listener.group else {
            println!("skipped: no control groups of the second version can be made");
            return;
        };
        let object = Object { kind: Kind::Service, cgroup: Some(group.0.clone()), ..listener.object() };
        self.inject(&object, "network:latency", [("delayMilliseconds", "50")]).unwrap();
        assert!(self.connect(8084) >= Duration::from_millis(50));
        assert!(Self::connect_inside(8084) >= Duration::from_millis(50));
        assert!(self.connect(8085) < Duration::from_millis(50));
        self.undo();
        self.inject(&object, "network:loss", [("lossPercent", "100"), ("direction", "egress")]).unwrap();
        // The kernel answers the handshake, for a socket that no group has yet; what the process sends is lost.
        let mut deaf = self.router.run(|| TcpStream::connect((HOST, 8084))).unwrap();
        deaf.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(deaf.read(&mut [0; 5]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        self.undo();
        // Until it is sent once more.
        deaf.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        deaf.read_exact(&mut [0; 5]).unwrap();
    }
}

/// Asks a resolver for the address of `www.example.com`, by a new socket; the code of the answer.
fn ask() -> u8 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";
    socket.send_to(query, RESOLVER).unwrap();
    let mut answer = [0; 512];
    socket.recv(&mut answer).unwrap();
    answer[3] & 0xf
}

/// Where one answers.
const RESOLVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 9), 53);

/// Not a test: a process that asks whenever it is told to.
#[test]
#[ignore = "a process that asks, started by the stage"]
fn the_asker() {
    println!("\nready");
    while let Ok(1) = std::io::stdin().read(&mut [0]) {
        println!("told {}", ask());
    }
}

/// Not a test: a process that listens on a port.
#[test]
#[ignore = "a process that listens, started by the stage"]
fn the_listener() {
    let told = |name| std::env::var(name).expect("told by the stage");
    let (port, address): (u16, Ipv4Addr) =
        (told("LISTENER_PORT").parse().unwrap(), told("LISTENER_ADDRESS").parse().unwrap());
    // Bound only now: a socket belongs to the control group in which its maker was.
    println!("\nready");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let listener = TcpListener::bind((address, port)).unwrap();
    println!("listening");
    std::thread::spawn(move || {
        let greet = |stream: std::io::Result<TcpStream>| {
            let mut stream = stream.unwrap();
            // Some hang up at once.
            stream.write_all(b"hello").ok();
            stream
        };
        listener.incoming().map(greet).collect::<Vec<_>>()
    });
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

struct Listener {
    child: Child,
    group: Option<Group>,
}

impl Listener {
    /// Starts a process that listens on this port, in a control group of its own if it shall and that is possible.
    fn start(port: u16, address: Ipv4Addr, grouped: bool) -> Self {
        let arguments = ["--exact", "--nocapture", "--ignored", "--test-threads=1", "sites::the_listener"];
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(arguments).env("LISTENER_PORT", port.to_string()).env("LISTENER_ADDRESS", address.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        let group = if grouped { Group::with(&child) } else { None };
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        assert!(lines.any(|line| line.unwrap() == "listening"));
        Self { child, group }
    }

    fn object(&self) -> Object {
        Object { name: "listener".to_owned(), pid: i32::try_from(self.child.id()).ok(), ..Object::default() }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A control group of the second version. Declared after the process that is in it, so that it is removed when that has ended.
struct Group(PathBuf);

impl Group {
    fn with(child: &Child) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let place = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
        let folder = PathBuf::from(place).join(format!("shaketable-test-{}", child.id()));
        std::fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        std::fs::write(group.0.join("cgroup.procs"), child.id().to_string()).ok()?;
        Some(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What has just ended may be in it for another moment.
        while self.0.exists() && std::fs::remove_dir(&self.0).is_err() {
            std::thread::yield_now();
        }
    }
}
