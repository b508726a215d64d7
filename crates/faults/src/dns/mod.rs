//! What the faults of names share: whose queries are caught, how that is seen, how it ends.
//!
//! Queries are caught as they are sent, on their way to whatever resolver, that of the loopback included; no file is touched. The
//! rules and the queue belong to sockets of this process, and are gone with it.

pub(crate) mod engine;
pub mod fail;
pub mod lie;
pub(crate) mod packet;
pub(crate) mod stream;
pub mod wire;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    ops::RangeInclusive,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use model::{
    catalogue::{Parameter, ParameterKind},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    cgroup,
    dns::{
        engine::{Engine, Judge, Saying},
        stream::Doorman,
        wire::{A, AAAA, Code, Name, Pattern, Reply, ask},
    },
    fault::{self, Abort, Failed, Injection, Refused, Undo, UndoError, Undone},
    measure,
    network::{
        self,
        gate::Gate,
        owner::{Owner, control_group},
        site,
    },
    object::Object,
    packet::copier::MARK,
    parameters::{Checked, Network},
    sys::{
        namespace::NetworkNamespace,
        nfqueue::{Mode, Queue},
        nft::{Action, ControlGroup, Hook, Match, Protocol},
    },
};

/// The parameter that says which names are meant.
pub(crate) const NAMES: Parameter = Parameter {
    name: "names",
    kind: ParameterKind::Names,
    required: true,
    default: None,
    about: "Comma-separated names: `example.com` is that one, `*.example.com` all below it, `*` all there are.",
};

/// More is a list, and no experiment.
const MOST_NAMES: usize = 100;
/// The port of resolvers.
const DNS: RangeInclusive<u16> = 53..=53;
const ANY_FOUR: Network = Network { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 };
const ANY_SIX: Network = Network { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 };

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    judge: Judge,
    /// Whose queries of the namespace are meant; without it, all.
    group: Option<ControlGroup>,
    /// The control group that is made for those who are meant.
    #[serde(default)]
    made: Option<cgroup::Group>,
}

/// Plans that this is said to queries of an object.
pub(crate) fn plan(object: &Object, parameters: Checked<'_>, saying: Saying) -> Result<serde_json::Value, Refused> {
    let names = names(parameters.text("names").unwrap_or_default())?;
    let network = site::network(object)?;
    let (mut group, mut made) = (None, None);
    match Owner::of_all(object, &network)? {
        Some(Owner::Namespace) => {}
        Some(Owner::Group(own)) => group = Some(own),
        Some(Owner::Host) if names.contains(&Pattern::All) => {
            return Err(Refused(
                "all names of the host would be hit, those by which you reach it too: say which `names`".to_owned(),
            ));
        }
        Some(Owner::Host) => {}
        // A socket belongs to the control group in which its maker was, and queries are mostly asked by new ones.
        Some(Owner::Doors(_)) | None => made = Some(cgroup::Group::within(object)?),
    }
    fault::written(&Plan { judge: Judge { names, saying }, group, made })
}

fn names(text: &str) -> Result<Vec<Pattern>, Refused> {
    let (names, wrong): (Vec<_>, Vec<_>) = text.split(',').map(str::parse::<Pattern>).partition(Result::is_ok);
    let wrong: Vec<String> = wrong.into_iter().filter_map(Result::err).collect();
    if !wrong.is_empty() {
        return Err(Refused(format!("`names`: {}", wrong.join("; "))));
    }
    if names.len() > MOST_NAMES {
        return Err(Refused(format!("`names` has {} patterns; the most are {MOST_NAMES}", names.len())));
    }
    Ok(names.into_iter().filter_map(Result::ok).collect())
}

/// Does what is planned.
pub(crate) fn inject(undo: &Undo) -> Result<Box<dyn Injection>, Failed> {
    let mut plan: Plan = undo.plan()?;
    let Some(made) = plan.made.clone() else { return inject_into(undo, plan) };
    made.enter(&undo.object)?;
    let told = control_group(made.folder()).map_err(Failed::to("tell the control group that was made"));
    let injected = told.and_then(|group| {
        plan.group = Some(group);
        inject_into(undo, plan)
    });
    injected.map_err(|Failed(why)| match made.leave(&undo.object) {
        Ok(_) => Failed(why),
        Err(left) => Failed(format!("{why}; and {left}")),
    })
}

/// The same, when those who are meant can be told.
fn inject_into(undo: &Undo, plan: Plan) -> Result<Box<dyn Injection>, Failed> {
    let network = site::network(&undo.object).map_err(|Refused(why)| Failed(why))?;
    let probe = Probe::open(Arc::clone(&network))?;
    // The engine comes first: rules whose queue nobody has bound let packets pass, but not all at once.
    let open = || Ok(Queue::open(Mode { whole_segments: false, all_bytes: true })?);
    let queue = network.run(open).map_err(Failed::to("open a packet queue"))?;
    let number = queue.number();
    let engine = Engine::start(queue, plan.judge.clone()).map_err(Failed::to("start the engine for names"))?;
    let gate = Gate::open(&network, Hook::Sent, undo.token)?;
    let rules: Vec<_> =
        plan.queries().into_iter().chain([probe.queries()]).map(|queries| (queries, Action::Queue(number))).collect();
    gate.catch(&rules)?;
    let detour = Detour::open(&network, &plan, &probe, undo.token);
    Ok(Box::new(Live { gate, engine, detour, probe, plan, object: undo.object.clone() }))
}

/// How queries over TCP are led to us.
struct Detour {
    doorman: Doorman,
    gate: Gate,
}

impl Detour {
    fn open(network: &Arc<NetworkNamespace>, plan: &Plan, probe: &Probe, token: u64) -> Result<Self, Failed> {
        let doorman = Doorman::open(Arc::clone(network), plan.judge.clone())
            .map_err(Failed::to("listen for queries over TCP"))?;
        let gate = Gate::open(network, Hook::Opened, token)?;
        let (four, six) = doorman.ports;
        let families = [(Some(four), ANY_FOUR), (six, ANY_SIX)];
        let rules = families.into_iter().filter_map(|(port, family)| Some((Action::Redirect(port?), family)));
        let rules: Vec<_> = rules
            .flat_map(|(action, family)| plan.connections(family).map(|connections| (connections, action)))
            .chain([(probe.connections(), Action::Redirect(four))])
            .collect();
        gate.catch(&rules)?;
        Ok(Self { doorman, gate })
    }

    /// Ends it, and says what is left.
    fn close(self) -> Option<String> {
        // Whoever is connected hears of the end as long as packets find their way.
        drop(self.doorman);
        self.gate.close()
    }
}

/// Undoes it, by the record.
pub(crate) fn undo(undo: &Undo) -> Result<Cleanliness, UndoError> {
    let unread = |Failed(why)| UndoError {
        why,
        repair: "look for control groups named shaketable-*, move their processes out and remove them".to_owned(),
    };
    if let Some(made) = undo.plan::<Plan>().map_err(unread)?.made {
        made.leave(&undo.object)?;
    }
    network::undo_record(undo)
}

impl Plan {
    /// The packets in which resolvers are asked, through the loopback and otherwise.
    fn queries(&self) -> Vec<Match> {
        let queries = |interface: Option<&str>| Match {
            interface: interface.map(str::to_owned),
            protocol: Some(Protocol::Udp),
            destination_ports: Some(DNS),
            cgroup: self.group,
            ..Match::default()
        };
        vec![queries(None), queries(Some("lo"))]
    }

    /// The packets that open connections to resolvers, but for those of our own.
    fn connections(&self, family: Network) -> [Match; 2] {
        [None, Some("lo")].map(|interface| Match {
            interface: interface.map(str::to_owned),
            destination: Some(family),
            protocol: Some(Protocol::Tcp),
            destination_ports: Some(DNS),
            opening: true,
            unless_mark: Some(MARK),
            cgroup: self.group,
            ..Match::default()
        })
    }

    fn words(&self) -> String {
        let names: Vec<String> = self.judge.names.iter().map(ToString::to_string).collect();
        let whose = if self.made.is_some() { ", asked by sockets opened from now on" } else { "" };
        format!("{}{whose}: {}", names.join(", "), said(&self.judge.saying))
    }
}

/// `NXDOMAIN`.
fn said(saying: &Saying) -> String {
    match saying {
        Saying::Fail(code) => told(*code as u8),
        Saying::Silence => "no answer".to_owned(),
        Saying::Lie(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Saying::Random => "an address that is nobody's".to_owned(),
    }
}

fn told(code: u8) -> String {
    match code {
        0 => "NOERROR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        5 => "REFUSED".to_owned(),
        other => format!("code {other}"),
    }
}

struct Live {
    gate: Gate,
    engine: Engine,
    /// Or why there is none: then queries over TCP reach their resolver.
    detour: Result<Detour, Failed>,
    probe: Probe,
    plan: Plan,
    object: Object,
}

/// A resolver of ours in the object's namespace, which repeats what it is asked: what comes back unchanged has passed unharmed.
struct Probe {
    network: Arc<NetworkNamespace>,
    resolver: UdpSocket,
    address: SocketAddr,
    /// The same over TCP, if that has the port.
    streams: Option<TcpListener>,
}

/// Where it is: on the loopback, where nobody else listens.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 83, 84, 85);
/// Across a loopback everything is answered within a millisecond; the rest is for busy machines.
const PATIENCE: Duration = Duration::from_millis(500);
/// A connection that is not there by then will never be.
const LONG: Duration = Duration::from_secs(3);
/// How long is waited for what must not come.
const SILENCE: Duration = Duration::from_millis(100);

/// What came of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// It came to the resolver, as it was sent, and was answered from there.
    Passed,
    /// It was answered, and the resolver knows nothing of it.
    Answered(Reply),
    /// Nothing came back, and the resolver knows nothing of it.
    Lost,
    /// Something else: in words.
    Harmed(&'static str),
}

impl Probe {
    fn open(network: Arc<NetworkNamespace>) -> Result<Self, Failed> {
        // A resolver of the object's may have the port on all addresses.
        let open = || UdpSocket::bind((HOME, *DNS.start())).or_else(|_| UdpSocket::bind((HOME, 0)));
        let resolver = network.run(open).map_err(Failed::to("open a socket in its network"))?;
        let address = resolver.local_addr().map_err(Failed::to("tell a socket's address"))?;
        resolver.set_nonblocking(true).map_err(Failed::to("prepare a socket"))?;
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let streams = network.run(listen).ok();
        Ok(Self { network, resolver, address, streams })
    }

    /// Queries to it, which are ours, whoever is meant otherwise.
    fn queries(&self) -> Match {
        Match {
            interface: Some("lo".to_owned()),
            destination: Some(Network::only(IpAddr::V4(HOME))),
            protocol: Some(Protocol::Udp),
            destination_ports: Some(self.address.port()..=self.address.port()),
            ..Match::default()
        }
    }

    /// Connections to it.
    fn connections(&self) -> Match {
        Match { protocol: Some(Protocol::Tcp), opening: true, unless_mark: Some(MARK), ..self.queries() }
    }

    /// The same as [`ask`](Self::ask), over TCP.
    fn ask_stream(&self, name: &Name, kind: u16, patience: Duration, abort: &Abort) -> io::Result<Outcome> {
        let Some(listener) = &self.streams else { return Err(io::Error::other("the probe does not listen")) };
        let mut asker = self.network.run(|| TcpStream::connect_timeout(&self.address, LONG))?;
        let [low, high, ..] = fault::seed().to_ne_bytes();
        let id = u16::from_ne_bytes([low, high]);
        let query = ask(id, name, kind);
        stream::send(&mut asker, &query)?;
        asker.set_nonblocking(true)?;
        let (mut guest, mut seen) = (None, Vec::new());
        let mut heard = Vec::new();
        // A length of two bytes, and what it says.
        let whole = |bytes: &[u8]| (bytes.len() == query.len() + 2).then(|| bytes[2..].to_vec());
        let mut buffer = [0; 1024];
        abort.until(patience, || {
            if guest.is_none() {
                guest = listener.accept().ok().map(|(stream, _)| stream);
                guest.as_ref().map(|stream: &TcpStream| stream.set_nonblocking(true));
            }
            if let Some(stream) = &mut guest
                && let Ok(length) = stream.read(&mut buffer)
            {
                seen.extend_from_slice(&buffer[..length]);
                stream.write_all(&buffer[..length]).ok();
            }
            if let Ok(length) = asker.read(&mut buffer) {
                heard.extend_from_slice(&buffer[..length]);
            }
            (whole(&heard).is_some() || Reply::read(heard.get(2..).unwrap_or_default()).is_some()).then_some(())
        });
        let answer = heard.get(2..).and_then(Reply::read).filter(|reply| reply.id == id);
        Ok(match (whole(&seen), answer) {
            (Some(asked), _) if asked == query && whole(&heard) == Some(asked.clone()) => Outcome::Passed,
            (None, Some(reply)) if seen.is_empty() => Outcome::Answered(reply),
            (None, None) if seen.is_empty() && heard.is_empty() => Outcome::Lost,
            _ => Outcome::Harmed("what came to the resolver, or back, was not what was sent"),
        })
    }

    fn ask(&self, name: &Name, kind: u16, patience: Duration, abort: &Abort) -> io::Result<Outcome> {
        let asker = self.network.run(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))?;
        asker.connect(self.address)?;
        asker.set_nonblocking(true)?;
        let [low, high, ..] = fault::seed().to_ne_bytes();
        let id = u16::from_ne_bytes([low, high]);
        let query = ask(id, name, kind);
        asker.send(&query)?;
        let mut buffer = [0; 1024];
        let mut seen = None;
        let answer = abort.until(patience, || {
            if let Ok((length, from)) = self.resolver.recv_from(&mut buffer)
                && asker.local_addr().is_ok_and(|own| own == from)
            {
                seen = Some(buffer[..length] == query);
                self.resolver.send_to(&buffer[..length], from).ok();
            }
            asker.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
        });
        Ok(match (answer, seen) {
            (Some(answer), Some(true)) if answer == query => Outcome::Passed,
            (_, Some(_)) => Outcome::Harmed("what came to the resolver, or back, was not what was sent"),
            (None, None) => Outcome::Lost,
            (Some(answer), None) => match Reply::read(&answer) {
                Some(reply) if reply.id == id => Outcome::Answered(reply),
                _ => Outcome::Harmed("what came back is no answer"),
            },
        })
    }
}

impl Live {
    /// Asks for each pattern once, and for a name that is not meant.
    fn measured(&self, abort: &Abort) -> Result<(String, bool), Failed> {
        let judge = &self.plan.judge;
        let label = format!("shaketable-{:08x}", fault::seed() >> 32);
        let kind = match &judge.saying {
            Saying::Lie(addresses) if addresses.iter().all(IpAddr::is_ipv6) => AAAA,
            _ => A,
        };
        let patience = if judge.saying == Saying::Silence { SILENCE } else { PATIENCE };
        let ask = |name: &Name, patience| {
            self.probe.ask(name, kind, patience, abort).map_err(Failed::to(format_args!("ask for {name}")))
        };
        let mut words = Vec::new();
        let mut holds = true;
        for pattern in &judge.names {
            let name = pattern.example(&label);
            let outcome = ask(&name, patience)?;
            holds &= judge.saying.is(&outcome);
            // Of many names, the first tells how; of all, what is not as it should be.
            if words.is_empty() || !judge.saying.is(&outcome) {
                words.push(format!("{name}: {}", outcome.words()));
            }
        }
        if judge.names.len() > 1 {
            words.push(format!("{} names asked for", judge.names.len()));
        }
        // With `*` there is no name that is not meant.
        let other: Name = format!("{label}.other.invalid").parse().map_err(Failed)?;
        if !judge.names.iter().any(|pattern| pattern.matches(&other)) {
            let outcome = ask(&other, PATIENCE)?;
            holds &= outcome == Outcome::Passed;
            words.push(format!("{other}: {}", outcome.words()));
        }
        if self.plan.group.is_some() {
            // A socket of ours is not of its control group, and cannot be without making us a part of it.
            words.push("asked from beside its control group, under a rule for us alone".to_owned());
        }
        let (over_tcp, held) = self.measured_streams(&label, kind, patience, abort)?;
        words.push(over_tcp);
        Ok((words.join("; "), holds && held && !abort.is_aborted()))
    }
}

impl Live {
    /// The same over TCP, for the first pattern.
    fn measured_streams(
        &self,
        label: &str,
        kind: u16,
        patience: Duration,
        abort: &Abort,
    ) -> Result<(String, bool), Failed> {
        if let Err(Failed(why)) = &self.detour {
            // Few queries go over TCP; whoever reads the verdict must know all the same.
            return Ok((format!("over TCP all names resolve as ever: {why}"), true));
        }
        let judge = &self.plan.judge;
        let ask = |name: &Name, patience| {
            let asked = self.probe.ask_stream(name, kind, patience, abort);
            asked.map_err(Failed::to(format_args!("ask for {name} over TCP")))
        };
        let mut holds = true;
        let mut words = Vec::new();
        if let Some(pattern) = judge.names.first() {
            let outcome = ask(&pattern.example(label), patience)?;
            holds &= judge.saying.is(&outcome);
            words.push(outcome.words());
        }
        let other: Name = format!("{label}.other.invalid").parse().map_err(Failed)?;
        if !judge.names.iter().any(|pattern| pattern.matches(&other)) {
            let outcome = ask(&other, PATIENCE)?;
            holds &= outcome == Outcome::Passed;
            words.push(format!("the other {}", outcome.words()));
        }
        Ok((format!("over TCP: {}", words.join(", ")), holds))
    }
}

impl Saying {
    /// Whether this came of it.
    fn is(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Fail(code), Outcome::Answered(reply)) => reply.code == *code as u8 && reply.addresses.is_empty(),
            (Self::Lie(addresses), Outcome::Answered(reply)) => {
                let said = addresses.iter().filter(|address| reply.addresses.contains(address)).count();
                reply.code == Code::NoError as u8 && said == reply.addresses.len() && said > 0
            }
            (Self::Random, Outcome::Answered(reply)) => reply.addresses.len() == 1,
            (Self::Silence, Outcome::Lost) => true,
            _ => false,
        }
    }
}

impl Outcome {
    fn words(&self) -> String {
        match self {
            Self::Passed => "passes unharmed".to_owned(),
            Self::Answered(Reply { code, addresses, .. }) if addresses.is_empty() => told(*code),
            Self::Answered(Reply { addresses, .. }) => {
                addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Self::Lost => "no answer".to_owned(),
            Self::Harmed(how) => (*how).to_owned(),
        }
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let (mut achieved, mut holds) = measure::patiently(abort, || self.measured(abort));
        if let Some(made) = &self.plan.made {
            let all = made.has_all_of(&self.object);
            achieved.push_str(if all {
                "; all its processes are in the group"
            } else {
                "; some of its processes are not in the group"
            });
            holds &= all;
        }
        Proof { configured: self.plan.words(), achieved, holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        // No rule, no new packets; then what waits passes; then the rest goes.
        let cleared = self.gate.clear().is_ok();
        let counts = Arc::clone(&self.engine.counts);
        let closed = self.engine.stop();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let achieved = format!(
            "{} queries answered or lost, {} other packets passed, those of the proof among them",
            count(&counts.judged),
            count(&counts.passed)
        );
        let proof = Proof { configured: self.plan.words(), achieved, holds: cleared && closed };
        let queue = (!closed).then(|| "a packet queue that did not close in order".to_owned());
        let detour = self.detour.ok().and_then(Detour::close);
        // Before anything is said of the rest: it is tried again by the record, which knows all.
        if let Some(made) = &self.plan.made {
            made.leave(&self.object)?;
        }
        let residue: Vec<String> = self.gate.close().into_iter().chain(detour).chain(queue).collect();
        let cleanliness = match residue.is_empty() {
            true if self.object.has_ended() => Cleanliness::Gone,
            true => Cleanliness::Clean,
            false => Cleanliness::Dirty {
                residue: residue.join(", "),
                repair: format!("end process {}: the kernel removes them with it", std::process::id()),
            },
        };
        Ok(Undone { cleanliness, proof: Some(proof) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_that_are_none_are_told_at_once() {
        let Refused(why) = names("a.b, -?, *.c, *d").unwrap_err();
        assert!(why.contains("`-?`") && why.contains("`*d`") && !why.contains("a.b"), "{why}");
        assert_eq!(names("a.b,*.c, *").unwrap().len(), 3);
        assert!(names(&["a"; 101].join(",")).is_err());
    }
}
