//! Faults of the network on a process of a host whose network is nothing but a loopback: a laptop's, or a build server's.

use std::{
    fs,
    net::TcpStream,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use faults::sys::{link::Links, namespace::NetworkNamespace};

use crate::{
    calm::ends_with,
    harness::{Finished, Running, User, example, is_root, skipped},
};

/// A host of which nobody else knows, with a process that listens on 127.0.0.1:18080.
struct Laptop {
    network: NetworkNamespace,
    user: User,
    shop: Running,
    folder: tempfile::TempDir,
}

impl Laptop {
    fn open() -> Option<Self> {
        if !is_root() {
            skipped("only root may make a network");
            return None;
        }
        let (network, user) = (NetworkNamespace::create().unwrap(), User::me());
        network.run(|| Ok(Links::open()?.up("lo")?)).unwrap();
        let mut command = user.command(&["demo-app", "--port", "18080"]);
        command.env("SHAKETABLE_TAGS", "app=shop");
        let shop = network.run(|| Ok(Running::from_command(&mut command))).unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        while network.run(|| TcpStream::connect("127.0.0.1:18080")).is_err() {
            assert!(Instant::now() < limit, "nobody listens");
            thread::yield_now();
        }
        Some(Self { network, user, shop, folder: tempfile::tempdir().unwrap() })
    }

    /// The example with some changes. Others may run a shop on this machine: which is meant is said by its number.
    fn document(&self, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = fs::read_to_string(example("experiments/host-process-slow.yaml")).unwrap();
        let number = format!("{{ path: Pid, values: [\"{}\"] }}", self.shop.pid());
        for (from, to) in [("{ path: Name, values: [shaketable] }", number.as_str())].iter().chain(changes) {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let path = self.folder.path().join("document.yaml");
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, changes: &[(&str, &str)]) -> Finished {
        let (document, user) = (self.document(changes), &self.user);
        self.network.run(|| Ok(user.run(&document, &[]))).unwrap()
    }
}

#[track_caller]
fn took_hold_and_is_gone(finished: &Finished) {
    let proofs = finished.events("injected");
    assert!(!proofs.is_empty() && proofs.iter().all(|event| event["proof"]["holds"] == true), "{proofs:?}");
    let undone = finished.events("undone");
    assert!(undone.iter().all(|event| event["cleanliness"]["state"] == "clean"), "{undone:?}");
}

#[test]
fn a_process_that_only_its_own_host_reaches_is_slow_and_then_as_fast_as_before() {
    let Some(laptop) = Laptop::open() else { return };
    let finished = ends_with(0, "green", || laptop.run(&[]));
    took_hold_and_is_gone(&finished);
    // The callers have seen it as well: the median was some milliseconds before, and two delays more meanwhile.
    let median = &finished.report()["clauses"][0];
    let [before, during] = ["baseline", "fault"].map(|window| median[window]["value"].as_f64().unwrap());
    assert!(during > 5.0 * before, "{median}");
}

#[test]
fn a_process_that_only_its_own_host_reaches_is_cut_off() {
    let Some(laptop) = Laptop::open() else { return };
    let changes = [
        ("network:latency", "network:blackhole"),
        ("delayMilliseconds: \"100\", direction: both, sources: \"127.0.0.0/8\", ", ""),
        ("http.errors, is: \"== 0\"", "http.latency.max, is: \"<= 60s\""),
        ("http.latency.p99, is: \"<= 2s\"", "http.latency.p99, is: \"<= 60s\""),
    ];
    let finished = ends_with(0, "green", || laptop.run(&changes));
    took_hold_and_is_gone(&finished);
    assert!(finished.events("injected")[0]["proof"]["achieved"].as_str().unwrap().contains("is not now"));
}

#[test]
fn all_that_cannot_be_done_is_said_before_anything_starts() {
    let Some(laptop) = Laptop::open() else { return };
    let more = "actions:
  Fill:
    actionId: disk:fill
    parameters: { duration: PT3S, path: /tmp, size: 1MiB }
    targets: { Processes: shop }
  Refuse:
    actionId: network:refuse
    parameters: { duration: PT3S, direction: egress }
    targets: { Processes: shop }
";
    let finished = laptop.run(&[("port: \"18080\" }", "port: \"18081\" }"), ("actions:\n", more)]);
    assert_eq!(finished.code(), Some(2), "{}", finished.output());
    let told = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for (action, why) in [
        ("actions.Fill: `disk:fill`", "say `shared: true`"),
        ("actions.Refuse: `network:refuse`", "cannot be told from those of others"),
        ("actions.Slow: `network:latency`", "do not listen on 18081, but on 18080"),
    ] {
        assert!(told.contains(action) && told.contains(why), "{}", finished.output());
    }
    assert!(!told.contains("baseline"), "{}", finished.output());
}
