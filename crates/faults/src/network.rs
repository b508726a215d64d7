//! What the faults in the network share: which packets they are for, where these are caught, and how their effect is
//! measured.

use std::{
    fmt,
    fs::File,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    ops::Range,
    os::fd::AsFd,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use model::{
    catalogue::{Parameter, ParameterKind},
    event::Cleanliness,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use serde::{Deserialize, Serialize};

use crate::{
    fault::{self, Abort, Failed, Refused, Undo, UndoError},
    object::{Object, Peer},
    packet::{engine::Engine, flow::Flow, schedule::Impairment},
    parameters::{Checked, Network},
    sys::{
        namespace::NetworkNamespace,
        nfqueue::Queue,
        nft::{self, Action, Match, Protocol, Table},
    },
};

/// How long a fault may last, in seconds: AWS FIS's limits for actions.
pub(crate) const DURATION: Parameter = Parameter {
    name: "duration",
    kind: ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 },
    required: false,
    default: None,
    about: "How long the fault lasts.",
};
pub(crate) const SOURCES: Parameter = Parameter {
    name: "sources",
    kind: ParameterKind::Addresses,
    required: false,
    default: Some("ALL"),
    about: "The other ends of the traffic concerned: addresses, networks, names; ALL for any.",
};
pub(crate) const PORT: Parameter = Parameter {
    name: "port",
    kind: ParameterKind::Integer { min: 1, max: 65_535 },
    required: false,
    default: None,
    about: "Only packets to this port: of the instance for ingress, of the other end for egress.",
};
pub(crate) const PROTOCOL: Parameter = Parameter {
    name: "protocol",
    kind: ParameterKind::OneOf { values: &["tcp", "udp"] },
    required: false,
    default: None,
    about: "Only packets of this protocol; without it, of all (with a port: TCP and UDP).",
};
pub(crate) const DIRECTION: Parameter = Parameter {
    name: "direction",
    kind: ParameterKind::OneOf { values: &["ingress", "egress", "both"] },
    required: false,
    default: Some("ingress"),
    about: "Packets to the instance, from it, or both; a round trip passes each direction once.",
};
pub(crate) const FLOWS: Parameter = Parameter {
    name: "flowsPercent",
    kind: ParameterKind::Number { min: 0.1, max: 100.0 },
    required: false,
    default: Some("100"),
    about: "The share of flows (connections) that are concerned.",
};

/// Which way packets go, seen from the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// To it: caught where they arrive.
    In,
    /// From it: caught where they arrive at the other end of its link, because a sender whose packets are held at home stops.
    Out,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "to it",
            Self::Out => "from it",
        })
    }
}

/// Which packets a fault is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    pub(crate) ways: Vec<Way>,
    /// The other ends; empty means any.
    others: Vec<Network>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) port: Option<u16>,
}

/// A rule per combination; far more than documents have, and few enough to be walked for every packet.
const MOST_RULES: usize = 512;

impl Filter {
    /// Reads the parameters, and checks that the object's network is known well enough.
    pub(crate) fn plan(object: &Object, parameters: Checked<'_>) -> Result<Self, Refused> {
        let ways = match parameters.text("direction") {
            Some("egress") => vec![Way::Out],
            Some("both") => vec![Way::In, Way::Out],
            _ => vec![Way::In],
        };
        let protocol = match parameters.text("protocol") {
            Some("tcp") => Some(Protocol::Tcp),
            Some("udp") => Some(Protocol::Udp),
            _ => None,
        };
        let filter = Self { ways, others: parameters.networks("sources")?, protocol, port: parameters.maybe("port")? };
        let site = Site::of(object)?;
        for way in &filter.ways {
            let rules = filter.matches(*way, &site).len();
            if rules == 0 {
                return Err(Refused(format!(
                    "none of the sources is of the address family of {} ({})",
                    object.name, site.address
                )));
            }
            if rules > MOST_RULES {
                return Err(Refused(format!(
                    "{rules} rules would be needed for these sources; {MOST_RULES} are allowed: name networks"
                )));
            }
        }
        Ok(filter)
    }

    /// Whether packets of this kind between the object and `other` are concerned.
    pub(crate) fn covers(&self, other: IpAddr, protocol: Protocol, port: u16) -> bool {
        (self.others.is_empty() || self.others.iter().any(|network| network.contains(other)))
            && self.protocol.is_none_or(|only| only == protocol)
            && self.port.is_none_or(|only| only == port)
    }

    fn matches(&self, way: Way, site: &Site) -> Vec<Match> {
        let protocols = match (self.protocol, self.port) {
            (None, Some(_)) => vec![Some(Protocol::Tcp), Some(Protocol::Udp)],
            (protocol, _) => vec![protocol],
        };
        let others: Vec<Option<Network>> = if self.others.is_empty() {
            vec![None]
        } else {
            let same_family = |network: &&Network| network.address.is_ipv4() == site.address.is_ipv4();
            self.others.iter().filter(same_family).map(|network| Some(*network)).collect()
        };
        let mut matches = Vec::new();
        for other in others {
            for protocol in &protocols {
                matches.push(Match { protocol: *protocol, destination_port: self.port, ..site.between(way, other) });
            }
        }
        matches
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.protocol {
            Some(Protocol::Tcp) => "TCP packets",
            Some(Protocol::Udp) => "UDP packets",
            None => "packets",
        };
        let ways: Vec<String> = self.ways.iter().map(Way::to_string).collect();
        write!(f, "{kind} {}", ways.join(" and "))?;
        if let Some(port) = self.port {
            write!(f, ", port {port}")?;
        }
        match self.others.as_slice() {
            [] => Ok(()),
            [one] => write!(f, ", other end {one}"),
            [one, rest @ ..] => write!(f, ", other end {one} or {} more", rest.len()),
        }
    }
}

/// An object's place in the network, complete.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) name: String,
    address: IpAddr,
    network: Arc<NetworkNamespace>,
    peer: Peer,
}

impl Site {
    pub(crate) fn of(object: &Object) -> Result<Self, Refused> {
        let missing = |what: &str| Refused(format!("{} has no {what}: its packets cannot be caught", object.name));
        Ok(Self {
            name: object.name.clone(),
            address: *object.addresses.first().ok_or_else(|| missing("address"))?,
            network: object.network.clone().ok_or_else(|| missing("network namespace of its own"))?,
            peer: object.peer.clone().ok_or_else(|| missing("link with a known other end"))?,
        })
    }

    /// The namespace in which packets that go this way are caught.
    fn network(&self, way: Way) -> &NetworkNamespace {
        match way {
            Way::In => &self.network,
            Way::Out => &self.peer.network,
        }
    }

    /// Packets that go this way, from or to this other end.
    fn between(&self, way: Way, other: Option<Network>) -> Match {
        let own = Network { address: self.address, prefix: if self.address.is_ipv4() { 32 } else { 128 } };
        match way {
            Way::In => Match { source: other, ..Match::default() },
            // The interface may be a bridge with others behind it.
            Way::Out => Match {
                interface: Some(self.peer.interface.clone()),
                source: Some(own),
                destination: other,
                ..Match::default()
            },
        }
    }
}

/// The name of the tables of an injection.
pub(crate) fn table_name(token: u64) -> String {
    format!("shaketable-{token:016x}")
}

/// Catches the packets of a filter, and does this to them. The queues come first: rules whose queue nobody has bound let
/// packets pass, but not all at once.
pub(crate) fn open_engine(
    site: &Site,
    filter: &Filter,
    probe: &Probe,
    token: u64,
    impairment: Impairment,
    whole_segments: bool,
) -> Result<(Vec<Table>, Engine), Failed> {
    let open = |way: &Way| {
        site.network(*way).run(|| Ok(Queue::open(whole_segments)?)).map_err(Failed::to("open a packet queue"))
    };
    let queues = filter.ways.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let numbers: Vec<u16> = queues.iter().map(Queue::number).collect();
    let engine = Engine::start(queues, impairment).map_err(Failed::to("start the packet engine"))?;
    let tables = filter.ways.iter().zip(numbers);
    let tables = tables.map(|(way, number)| open_table(site, *way, filter, Some(probe), token, Action::Queue(number)));
    Ok((tables.collect::<Result<_, _>>()?, engine))
}

/// Makes the rules that catch packets that go this way, the probe's among them if it needs one.
pub(crate) fn open_table(
    site: &Site,
    way: Way,
    filter: &Filter,
    probe: Option<&Probe>,
    token: u64,
    action: Action,
) -> Result<Table, Failed> {
    let mut rules: Vec<(Match, Action)> =
        filter.matches(way, site).into_iter().map(|packets| (packets, action)).collect();
    rules.extend(probe.and_then(|probe| probe.rule(way, site)).map(|packets| (packets, action)));
    let name = table_name(token);
    site.network(way).run(|| Ok(Table::create(&name, &rules)?)).map_err(Failed::to("make the nf_tables rules"))
}

/// Removes tables whose packets nobody holds any more, and looks whether they are gone.
pub(crate) fn remove(tables: Vec<Table>, queues_closed: bool, object: &Object) -> Result<Cleanliness, UndoError> {
    let mut residue = Vec::new();
    for mut table in tables {
        let name = table.name().to_owned();
        // Gone already, by whatever: then the look says so.
        let deleted = table.delete();
        match table.exists() {
            Ok(false) => drop_later(table),
            Ok(true) => residue.push(format!("nf_tables table {name} ({deleted:?})")),
            Err(why) => residue.push(format!("nf_tables table {name}, maybe ({why})")),
        }
    }
    if !queues_closed {
        residue.push("a packet queue that did not close in order".to_owned());
    }
    if residue.is_empty() {
        return Ok(if object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean });
    }
    Ok(Cleanliness::Dirty {
        residue: residue.join(", "),
        repair: format!("end process {}: the kernel removes them with it", std::process::id()),
    })
}

/// Closes a socket whose table is gone; the kernel waits some milliseconds for its readers then, which nobody else should.
pub(crate) fn drop_later(table: Table) {
    // When no thread can be had, it is dropped here and now.
    drop(thread::Builder::new().name("close".to_owned()).spawn(move || drop(table)));
}

/// Looks whether an injection of a process that died has left a table.
pub(crate) fn undo_record(undo: &Undo) -> Result<Cleanliness, UndoError> {
    let Ok(process) = undo.object.process() else { return Ok(Cleanliness::Gone) };
    let name = table_name(undo.token);
    let repair = || format!("nsenter --target {} --net nft delete table inet {name}", process.pid);
    let look = || -> io::Result<Vec<String>> {
        let namespace = File::open(format!("/proc/{}/ns/net", process.pid))?;
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                    Ok(nft::tables()?)
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    };
    match look() {
        Ok(tables) if tables.contains(&name) => Ok(Cleanliness::Dirty {
            residue: format!("nf_tables table {name}: a child of the process that made it has its socket"),
            repair: repair(),
        }),
        Ok(_) => Ok(Cleanliness::Clean),
        Err(why) => Err(UndoError {
            why: format!("cannot look into the network of {}: {why}", undo.object.name),
            repair: repair(),
        }),
    }
}

/// Sends datagrams along the object's link, and sees how they arrive: on one clock, so one way is measured alone.
#[derive(Debug)]
pub(crate) struct Probe {
    near: UdpSocket,
    near_address: SocketAddr,
    /// At the other end, a socket per flow.
    far: Vec<(UdpSocket, SocketAddr)>,
    /// How many of these flows are concerned: the first ones.
    concerned: usize,
    far_address: IpAddr,
    /// Whether the filter leaves these datagrams out, so that they need a rule of their own.
    pub(crate) stranger: bool,
}

/// Flows of a probe, of those concerned and of those not: some, because a network may treat flows differently.
const FLOWS_PROBED: usize = 20;
/// Sockets opened at most in search of flows that are concerned: twenty of them among one in a hundred.
const MOST_FLOWS: usize = 2_000;

impl Probe {
    /// Opens the sockets, of flows that are `concerned` and of some that are not. The near port stays ours as long as the probe
    /// lives, so a rule for it concerns nobody else.
    pub(crate) fn open(site: &Site, filter: &Filter, concerned: impl Fn(&Flow) -> bool + Sync) -> Result<Self, Failed> {
        let open = || -> io::Result<Self> {
            let near = site.network.run(|| UdpSocket::bind((site.address, 0)))?;
            let near_address = near.local_addr()?;
            let any: IpAddr =
                if site.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let (far, spared) = site.peer.network.run(|| {
                let (mut far, mut spared) = (Vec::new(), Vec::new());
                for opened in 0..MOST_FLOWS {
                    // When all are concerned, there is none to compare with.
                    if far.len() == FLOWS_PROBED
                        && (spared.len() == FLOWS_PROBED || spared.is_empty() || opened > 10 * FLOWS_PROBED)
                    {
                        break;
                    }
                    let socket = UdpSocket::bind((any, 0))?;
                    socket.connect(near_address)?;
                    socket.set_nonblocking(true)?;
                    let address = socket.local_addr()?;
                    let kind = if concerned(&flow_between(near_address, address)) { &mut far } else { &mut spared };
                    // Not all are kept: an ordinary limit of descriptors is 1,024.
                    if kind.len() < FLOWS_PROBED {
                        kind.push((socket, address));
                    }
                }
                Ok((far, spared))
            })?;
            near.set_nonblocking(true)?;
            let other =
                far.iter().chain(&spared).next().map_or(site.address, |(_, address): &(_, SocketAddr)| address.ip());
            let stranger = filter.port.is_some() || !filter.covers(other, Protocol::Udp, 0);
            let concerned = far.len();
            Ok(Self {
                near,
                near_address,
                far: far.into_iter().chain(spared).collect(),
                concerned,
                far_address: other,
                stranger,
            })
        };
        open().map_err(Failed::to(format_args!("open probe sockets in the network of {}", site.name)))
    }

    /// The rule that catches the probe's datagrams, if the filter does not.
    fn rule(&self, way: Way, site: &Site) -> Option<Match> {
        let port = Some(self.near_address.port());
        let packets = Match { protocol: Some(Protocol::Udp), ..site.between(way, None) };
        self.stranger.then_some(match way {
            Way::In => Match { destination_port: port, ..packets },
            Way::Out => Match { source_port: port, ..packets },
        })
    }

    /// What was measured, for people.
    pub(crate) const fn medium(&self) -> &'static str {
        if self.stranger { "datagrams on a probe port added to the match" } else { "datagrams" }
    }

    /// The address of the other end.
    pub(crate) const fn far_address(&self) -> IpAddr {
        self.far_address
    }

    /// The flows that are concerned.
    pub(crate) const fn concerned(&self) -> Range<usize> {
        0..self.concerned
    }

    /// Flows that are not.
    pub(crate) fn spared(&self) -> Range<usize> {
        self.concerned..self.far.len()
    }

    /// Sends `each` datagrams in every flow of `chosen`, and waits until all have arrived, or `patience` has passed since the
    /// last was sent or has arrived. How long each took; `None`: it did not arrive.
    pub(crate) fn send(
        &self,
        way: Way,
        chosen: Range<usize>,
        each: usize,
        patience: Duration,
        abort: &Abort,
    ) -> Result<Vec<Option<Duration>>, Failed> {
        self.try_send(way, &chosen, each, patience, abort).map_err(Failed::to("measure the link"))
    }

    fn try_send(
        &self,
        way: Way,
        chosen: &Range<usize>,
        each: usize,
        patience: Duration,
        abort: &Abort,
    ) -> io::Result<Vec<Option<Duration>>> {
        // Leftovers of an earlier measurement must not be taken for ours.
        let series = fault::seed();
        let mut sent = Vec::with_capacity(chosen.len() * each);
        let mut took = Vec::with_capacity(chosen.len() * each);
        for round in 0..each {
            for flow in chosen.clone() {
                let number = u64::try_from(sent.len()).map_err(io::Error::other)?;
                let mut datagram = [0; 16];
                datagram[..8].copy_from_slice(&series.to_le_bytes());
                datagram[8..].copy_from_slice(&number.to_le_bytes());
                sent.push(Instant::now());
                took.push(None);
                let (far, address) = &self.far[flow];
                let outcome = match way {
                    Way::In => far.send(&datagram),
                    Way::Out => self.near.send_to(&datagram, address),
                };
                // A full queue on the way loses a datagram; that is what is being counted.
                outcome.map(drop).or_else(|why| if lost(&why) { Ok(()) } else { Err(why) })?;
            }
            // So that the receiver's buffer (some 270 datagrams by default) does not overflow.
            if round % 4 == 3 {
                self.collect(way, chosen, series, &sent, &mut took);
            }
        }
        let mut end = Instant::now() + patience;
        let mut missing = sent.len();
        loop {
            self.collect(way, chosen, series, &sent, &mut took);
            let now = Instant::now();
            let still = took.iter().filter(|took| took.is_none()).count();
            if still < missing {
                // They are arriving: on a busy machine, late.
                (missing, end) = (still, now + patience);
            }
            if missing == 0 || now >= end || abort.is_aborted() {
                return Ok(took);
            }
            self.wait(way, chosen, (end - now).min(Duration::from_millis(5)))?;
        }
    }

    fn collect(&self, way: Way, chosen: &Range<usize>, series: u64, sent: &[Instant], took: &mut [Option<Duration>]) {
        let mut note = |datagram: &[u8; 16], now: Instant| {
            let (own, number) = datagram.split_at(8);
            let number =
                own.eq(&series.to_le_bytes()).then(|| u64::from_le_bytes(*number.first_chunk().expect("eight bytes")));
            let index = number.and_then(|number| usize::try_from(number).ok());
            if let Some((sent, took)) = index.and_then(|index| sent.get(index).zip(took.get_mut(index))) {
                took.get_or_insert(now - *sent);
            }
        };
        let mut datagram = [0; 16];
        for socket in self.receivers(way, chosen) {
            while socket.recv(&mut datagram).is_ok_and(|length| length == datagram.len()) {
                note(&datagram, Instant::now());
            }
        }
    }

    fn receivers<'a>(&'a self, way: Way, chosen: &Range<usize>) -> Vec<&'a UdpSocket> {
        match way {
            Way::In => vec![&self.near],
            Way::Out => self.far[chosen.clone()].iter().map(|(socket, _)| socket).collect(),
        }
    }

    fn wait(&self, way: Way, chosen: &Range<usize>, time: Duration) -> io::Result<()> {
        let receivers = self.receivers(way, chosen);
        let mut watched: Vec<_> = receivers.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        rustix::io::retry_on_intr(|| poll(&mut watched, Some(&time)))?;
        Ok(())
    }
}

fn flow_between(one: SocketAddr, other: SocketAddr) -> Flow {
    Flow { source: one.ip(), destination: other.ip(), protocol: 17, ports: Some((one.port(), other.port())) }
}

fn lost(why: &io::Error) -> bool {
    matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused)
        || why.raw_os_error() == Some(libc::ENOBUFS)
}

/// Whether a TCP connection attempt from one end of the object's link to a port at the other is answered in time: accepted or
/// refused, both are answers.
pub(crate) fn answers(site: &Site, way: Way, far: IpAddr, port: u16, patience: Duration) -> Result<bool, Failed> {
    let (from, to) = match way {
        Way::In => (&site.peer.network, site.address),
        Way::Out => (&site.network, far),
    };
    let attempt = || match TcpStream::connect_timeout(&(to, port).into(), patience) {
        Ok(_) => Ok(true),
        Err(why) if why.kind() == ErrorKind::ConnectionRefused => Ok(true),
        Err(why) if matches!(why.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => Ok(false),
        Err(why) => Err(why),
    };
    from.run(attempt).map_err(Failed::to(format_args!("try to connect to {to}:{port}")))
}

/// Measures, and measures again if the result is not as it should be: on a busy machine a measurement may be disturbed, and one
/// that was not is enough to show that the effect is there.
pub(crate) fn patiently(abort: &Abort, mut measure: impl FnMut() -> Result<(String, bool), Failed>) -> (String, bool) {
    let mut last = (String::new(), false);
    for _ in 0..3 {
        last = measure().unwrap_or_else(|why| (why.to_string(), false));
        if last.1 || abort.is_aborted() {
            break;
        }
    }
    last
}

/// The middle of some times.
pub(crate) fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// `100.2 ms`.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
