//! How exact faults are, for `cargo xtask bench`: injects one into a small world of its own, in a user namespace if it must.
//!
//! `accuracy cpu WORKERS PERCENT` uses CPUs until its input ends, so that somebody else can measure how much.
//! `accuracy latency MILLISECONDS DATAGRAMS` measures round trips across a pair of interfaces without and with a delay.
//! Both print lines of JSON.

use std::{
    error::Error,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, UdpSocket},
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use faults::{
    Host, Object, Parameters, Peer, guardian, helper,
    sys::{
        link::{Links, Route},
        namespace::{NetworkNamespace, enter_user_namespace},
    },
};
use model::event::{InjectionId, Proof};
use serde_json::json;

const FIRST: InjectionId = InjectionId(1);
/// Longer than any measurement here.
const LEASE: Duration = Duration::from_secs(600);
const INSTANCE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Between two datagrams: far more than a round trip takes without a fault, so that they do not wait for each other.
const PACE: Duration = Duration::from_millis(4);
/// After which a datagram is lost: no delay that is worth measuring is so long.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [helper::SUBCOMMAND, ..] => return helper::main(),
        [guardian::SUBCOMMAND, ..] => return guardian::main(),
        ["cpu", workers, percent] => cpu(workers, percent),
        ["latency", millis, datagrams] => latency(millis, datagrams),
        _ => Err("usage: accuracy cpu WORKERS PERCENT | accuracy latency MILLISECONDS DATAGRAMS".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nothing is left to be done when even that cannot be said.
            writeln!(io::stderr(), "accuracy: {why}").ok();
            ExitCode::FAILURE
        }
    }
}

fn say(line: &serde_json::Value) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn parameters<const N: usize>(given: [(&str, &str); N]) -> Parameters {
    given.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

/// A process that does nothing, ended when it is dropped.
struct Idle(Child);

impl Idle {
    fn start() -> io::Result<Self> {
        Command::new("sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().map(Self)
    }

    fn object(&self) -> Result<Object, Box<dyn Error>> {
        let pid = Some(i32::try_from(self.0.id())?);
        Ok(Object { name: "instance".to_owned(), pid, memory_bytes: 64 << 20, ..Object::default() })
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn host() -> Result<(Host, tempfile::TempDir), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    Ok((Host::open(&folder.path().join("journal"), "accuracy")?, folder))
}

fn undo(host: &Host) -> Result<Proof, Box<dyn Error>> {
    let undone = host.undo(FIRST).map_err(|why| format!("{}; {}", why.why, why.repair))?;
    undone.proof.ok_or_else(|| "the fault has measured nothing".into())
}

fn cpu(workers: &str, percent: &str) -> Result<(), Box<dyn Error>> {
    let instance = Idle::start()?;
    let (host, _folder) = host()?;
    let given = parameters([("workers", workers), ("percent", percent)]);
    let proof = host.inject(FIRST, "cpu:stress", &given, &instance.object()?, LEASE)?;
    say(&json!({ "injected": proof.achieved }))?;
    io::stdin().read_line(&mut String::new())?;
    say(&json!({ "undone": undo(&host)?.achieved }))?;
    Ok(())
}

/// An instance and a router, connected by a pair of interfaces.
struct World {
    instance: Arc<NetworkNamespace>,
    router: Arc<NetworkNamespace>,
}

impl World {
    fn new() -> io::Result<Self> {
        let instance = Arc::new(NetworkNamespace::create()?);
        let router = Arc::new(NetworkNamespace::create()?);
        let end = |own: Ipv4Addr, interface: &str, other: Ipv4Addr| {
            let mut links = Links::open()?;
            links.up("lo")?;
            links.up(interface)?;
            links.add_address(interface, own)?;
            links.add_route(Route { to: (other, 32), interface, via: None, source: None })?;
            Ok(())
        };
        router.run(|| Ok(Links::open()?.add_pair("v0", "eth0", &instance)?))?;
        router.run(|| end(ROUTER, "v0", INSTANCE))?;
        instance.run(|| end(INSTANCE, "eth0", ROUTER))?;
        Ok(Self { instance, router })
    }

    /// How long each of so many datagrams takes from the router to the instance and back, at an even pace; sorted.
    fn round_trips(&self, count: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        let near = self.instance.run(|| UdpSocket::bind((INSTANCE, 0)))?;
        let far = self.router.run(|| UdpSocket::bind((ROUTER, 0)))?;
        far.connect(near.local_addr()?)?;
        near.connect(far.local_addr()?)?;
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        let start = Instant::now();
        let received = thread::scope(|scope| {
            scope.spawn(|| echo(&near, count));
            let reader = scope.spawn(|| arrivals(&far, count, start));
            for number in 0..u32::try_from(count)? {
                thread::sleep((PACE * number).saturating_sub(start.elapsed()));
                let sent = u64::try_from(start.elapsed().as_nanos())?;
                far.send(&sent.to_be_bytes())?;
            }
            Ok::<_, Box<dyn Error>>(reader.join().map_err(|_| "the reader broke down")??)
        })?;
        let mut times = received;
        times.sort_unstable();
        Ok(times)
    }
}

/// Sends back what comes.
fn echo(socket: &UdpSocket, count: usize) -> io::Result<()> {
    let mut buffer = [0; 8];
    for _ in 0..count {
        let length = socket.recv(&mut buffer)?;
        socket.send(&buffer[..length])?;
    }
    Ok(())
}

/// How long after it was sent, by what is written in it, each datagram arrives.
fn arrivals(socket: &UdpSocket, count: usize, start: Instant) -> io::Result<Vec<Duration>> {
    let mut buffer = [0; 8];
    let arrival = |_| {
        socket.recv(&mut buffer)?;
        Ok(start.elapsed().saturating_sub(Duration::from_nanos(u64::from_be_bytes(buffer))))
    };
    (0..count).map(arrival).collect()
}

fn latency(millis: &str, datagrams: &str) -> Result<(), Box<dyn Error>> {
    let count: usize = datagrams.parse()?;
    // While there is one thread.
    if NetworkNamespace::create().is_err() {
        enter_user_namespace()?;
    }
    let instance = Idle::start()?;
    let world = World::new()?;
    let object = Object {
        network: Some(Arc::clone(&world.instance)),
        peer: Some(Peer { network: Arc::clone(&world.router), interface: "v0".to_owned() }),
        addresses: vec![IpAddr::V4(INSTANCE)],
        ..instance.object()?
    };
    let (host, _folder) = host()?;
    let usual = world.round_trips(count)?;
    host.inject(FIRST, "network:latency", &parameters([("delayMilliseconds", millis)]), &object, LEASE)?;
    let delayed = world.round_trips(count)?;
    let undone = undo(&host)?;
    let usual_median = usual[count / 2];
    let wanted = usual_median.as_secs_f64() * 1e3 + millis.parse::<f64>()?;
    let error = |time: Duration| time.as_secs_f64() * 1e3 - wanted;
    say(&json!({
        "usualMicros": usual_median.as_secs_f64() * 1e6,
        "medianErrorMillis": error(delayed[count / 2]),
        "p99ErrorMillis": error(delayed[count * 99 / 100]),
        "undone": undone.achieved,
    }))?;
    Ok(())
}
