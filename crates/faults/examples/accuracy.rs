//! How exact faults are, for `cargo xtask bench`: injects one into a small world of its own, in a user namespace if it must.
//!
//! `accuracy cpu WORKERS PERCENT` uses CPUs until its input ends, so that somebody else can measure how much.
//! `accuracy latency MILLISECONDS DATAGRAMS` measures round trips across a pair of interfaces without and with a delay.
//! `accuracy loss PERCENT DATAGRAMS` counts how many of so many datagrams are lost.
//! `accuracy bandwidth MEGABITS SECONDS` measures what passes of more than fits.
//! `accuracy many INSTANCES` injects latency into so many instances at once, both ways, and undoes it.
//! All print lines of JSON.

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
        cpu_clock,
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
        ["loss", percent, datagrams] => loss(percent, datagrams),
        ["bandwidth", megabits, seconds] => bandwidth(megabits, seconds),
        ["many", instances] => many(instances),
        _ => Err("usage: accuracy cpu WORKERS PERCENT | latency MILLISECONDS DATAGRAMS | loss PERCENT DATAGRAMS | \
                  bandwidth MEGABITS SECONDS | many INSTANCES"
            .into()),
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

    /// A socket at the instance that waits for nothing, and one at the router connected to it.
    fn pair(&self) -> io::Result<(UdpSocket, UdpSocket)> {
        let near = self.instance.run(|| UdpSocket::bind((INSTANCE, 0)))?;
        let far = self.router.run(|| UdpSocket::bind((ROUTER, 0)))?;
        far.connect(near.local_addr()?)?;
        // Until what is on its way must have come, on a machine that is busy.
        near.set_read_timeout(Some(Duration::from_millis(5)))?;
        Ok((near, far))
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

/// Enters a user namespace if network namespaces cannot be made otherwise. While there is one thread.
fn prepare() -> io::Result<()> {
    NetworkNamespace::create().map(drop).or_else(|_| enter_user_namespace())
}

/// The instance of a world.
fn object(instance: &Idle, world: &World) -> Result<Object, Box<dyn Error>> {
    Ok(Object {
        network: Some(Arc::clone(&world.instance)),
        peer: Some(Peer { network: Arc::clone(&world.router), interface: "v0".to_owned() }),
        addresses: vec![IpAddr::V4(INSTANCE)],
        ..instance.object()?
    })
}

fn loss(percent: &str, datagrams: &str) -> Result<(), Box<dyn Error>> {
    let count: u32 = datagrams.parse()?;
    prepare()?;
    let instance = Idle::start()?;
    let world = World::new()?;
    let (host, _folder) = host()?;
    host.inject(FIRST, "network:loss", &parameters([("lossPercent", percent)]), &object(&instance, &world)?, LEASE)?;
    let (near, far) = world.pair()?;
    let (mut sent, mut arrived) = (0, 0u32);
    // In portions that the receiver's buffer holds, whatever the machine does meanwhile.
    while sent < count {
        let portion = 100.min(count - sent);
        for _ in 0..portion {
            far.send(&[0; 100])?;
        }
        sent += portion;
        while near.recv(&mut [0; 100]).is_ok() {
            arrived += 1;
        }
    }
    let lost = f64::from(count - arrived) / f64::from(count) * 100.0;
    say(&json!({ "lostPercent": lost, "undone": undo(&host)?.achieved }))?;
    Ok(())
}

fn bandwidth(megabits: &str, seconds: &str) -> Result<(), Box<dyn Error>> {
    /// What a datagram is on the link: with the headers of UDP and IP.
    const WIRE: f64 = 1_428.0;
    prepare()?;
    let instance = Idle::start()?;
    let world = World::new()?;
    let (host, _folder) = host()?;
    let given = parameters([("megabitsPerSecond", megabits)]);
    host.inject(FIRST, "network:bandwidth", &given, &object(&instance, &world)?, LEASE)?;
    let (near, far) = world.pair()?;
    let (rate, lasts) = (megabits.parse::<f64>()? * 1e6, Duration::from_secs_f64(seconds.parse()?));
    // A third more than fits; a fifth of a second until the bucket is empty and the queue is full.
    let pause = Duration::from_secs_f64(WIRE * 8.0 / rate / 1.3);
    let (begin, settled) = (Instant::now(), Duration::from_millis(200));
    let (mut next, mut first, mut last, mut bytes) = (Duration::ZERO, None, Duration::ZERO, 0.0);
    while begin.elapsed() < lasts + settled {
        while next <= begin.elapsed() {
            far.send(&[0; 1_400])?;
            next += pause;
        }
        while near.recv(&mut [0; 1_400]).is_ok() {
            let now = begin.elapsed();
            if now >= settled {
                last = now;
                bytes += if first.is_some() { WIRE } else { 0.0 };
                first.get_or_insert(now);
            }
        }
    }
    let time = last - first.ok_or("nothing arrived")?;
    say(&json!({ "megabits": bytes * 8.0 / time.as_secs_f64() / 1e6, "undone": undo(&host)?.achieved }))?;
    Ok(())
}

/// Many instances on one router, each hit both ways at the same time.
fn many(instances: &str) -> Result<(), Box<dyn Error>> {
    let count: u8 = instances.parse()?;
    prepare()?;
    let idle = Idle::start()?;
    let router = Arc::new(NetworkNamespace::create()?);
    let mut objects = Vec::new();
    for number in 0..count {
        objects.push(on_router(&router, number, idle.object()?)?);
    }
    let (host, _folder) = host()?;
    let given = parameters([("delayMilliseconds", "1"), ("direction", "both")]);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    // For each, when it began and when it was through, from the moment when all are told to.
    let at_once = |act: &(dyn Fn(InjectionId, &Object) -> Result<(), String> + Sync)| {
        let begun = Instant::now();
        let all: Result<Vec<(f64, f64)>, String> = thread::scope(|scope| {
            let one = |(id, object)| {
                scope.spawn(move || {
                    let began = begun.elapsed();
                    act(InjectionId(id), object).map(|()| (millis(began), millis(begun.elapsed())))
                })
            };
            #[expect(clippy::needless_collect, reason = "all begin before the first is waited for")]
            let threads: Vec<_> = (1..).zip(&objects).map(one).collect();
            let ended = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().map_err(|_| "a thread broke down".to_owned()).flatten()
            };
            threads.into_iter().map(ended).collect()
        });
        all
    };
    let inject = |id, object: &Object| {
        host.inject(id, "network:latency", &given, object, LEASE).map(drop).map_err(|why| why.to_string())
    };
    let undo = |id, _: &Object| host.undo(id).map(drop).map_err(|why| why.to_string());
    let own = i32::try_from(std::process::id())?;
    let used = || cpu_clock::of_process(own).map(|time| time.as_secs_f64() * 1e3);
    let before = used()?;
    let injected = at_once(&inject)?;
    let between = used()?;
    let effect = |(id, (began, _)): (_, &(f64, f64))| Some(began + millis(host.took_effect_after(InjectionId(id))?));
    let effective: Vec<f64> = (1..).zip(&injected).filter_map(effect).collect();
    let undone = at_once(&undo)?;
    let after = used()?;
    let ends = |times: Vec<(f64, f64)>| times.into_iter().map(|(_, end)| end).collect::<Vec<f64>>();
    say(&json!({
        "effectMillis": effective, "proofMillis": ends(injected), "undoMillis": ends(undone),
        "injectCpuMillis": (between - before) / f64::from(count), "undoCpuMillis": (after - between) / f64::from(count),
    }))?;
    Ok(())
}

/// An instance behind an interface of its own of the router.
fn on_router(router: &Arc<NetworkNamespace>, number: u8, object: Object) -> Result<Object, Box<dyn Error>> {
    let network = Arc::new(NetworkNamespace::create()?);
    let (interface, own) = (format!("v{number}"), Ipv4Addr::new(10, 77, 1, number));
    router.run(|| {
        let mut links = Links::open()?;
        links.add_pair(&interface, "eth0", &network)?;
        links.up(&interface)?;
        if number == 0 {
            links.up("lo")?;
            links.add_address("lo", ROUTER)?;
        }
        Ok(links.add_route(Route { to: (own, 32), interface: &interface, via: None, source: Some(ROUTER) })?)
    })?;
    network.run(|| {
        let mut links = Links::open()?;
        links.up("lo")?;
        links.up("eth0")?;
        links.add_address("eth0", own)?;
        Ok(links.add_route(Route { to: (ROUTER, 32), interface: "eth0", via: None, source: None })?)
    })?;
    let peer = Some(Peer { network: Arc::clone(router), interface });
    Ok(Object {
        name: format!("instance {number}"),
        network: Some(network),
        peer,
        addresses: vec![own.into()],
        ..object
    })
}

fn latency(millis: &str, datagrams: &str) -> Result<(), Box<dyn Error>> {
    let count: usize = datagrams.parse()?;
    prepare()?;
    let instance = Idle::start()?;
    let world = World::new()?;
    let object = object(&instance, &world)?;
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
