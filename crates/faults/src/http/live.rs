//! The life of a fault in HTTP: who is led to us, what was measured, how it ends.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use model::event::{Cleanliness, Proof};
use proxy::http::{Abort as Aborts, BodyChange, Change, Done, Phase, Rule};

use crate::{
    fault::{Abort, Failed, Injection, Refused, Undo, UndoError, Undone},
    http::{
        before::{Ended, Open, Standing},
        doors::{ANY_FOUR, ANY_SIX, Concern, Door, own_sockets},
        exchange::speaks_http,
        order::{Plan, meant},
        post::{Coming, Post},
        proof::Probe,
    },
    measure,
    network::{self, gate::Gate, millis, site},
    object::{Kind, Object},
    parameters::Network,
    sys::{
        connection::{States, connections},
        namespace::NetworkNamespace,
        nft::{Action, Hook, Match, Protocol},
    },
};

/// What we send carries one of these marks: the first and the place of the gate in its row.
const FIRST_MARK: u32 = 0x5348_2100;
const LAST_MARK: u32 = FIRST_MARK + 0xff;
/// Where stand-ins are that are asked from inside their network: where nobody else listens.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 83, 84, 85);
/// How long a port may take to answer before there is any fault.
const PATIENCE: Duration = Duration::from_secs(5);

struct Live {
    gate: Gate,
    post: Post,
    probe: Probe,
    plan: Plan,
    rule: Rule,
    network: Arc<NetworkNamespace>,
    mark: u32,
    object: Object,
    stood: Stood,
    /// What was done up to the end of the proof: to our own requests.
    proven: Done,
}

/// What became of connections that stood before.
enum Stood {
    Ended(Ended),
    Left(usize),
}

/// Does what is planned.
pub(crate) fn inject(undo: &Undo) -> Result<Box<dyn Injection>, Failed> {
    let plan: Plan = undo.plan()?;
    let rule = plan.rule()?;
    let network = site::network(&undo.object).map_err(failed)?;
    if let Concern::To { doors, .. } = &plan.concern {
        for door in doors {
            greet(&network, *door)?;
        }
    }
    let (hook, coming) = match plan.concern {
        Concern::To { .. } => (Hook::Arriving, Coming::Diverted),
        Concern::From { .. } => (Hook::Opened, Coming::Redirected),
    };
    let gate = Gate::open(&network, hook, undo.token)?;
    let mark = u32::try_from(gate.place()).ok().map(|place| FIRST_MARK + place).filter(|mark| *mark <= LAST_MARK);
    let mark = mark.ok_or_else(|| Failed("there are too many faults in this network at once".to_owned()))?;
    let post =
        Post::open(Arc::clone(&network), coming, mark).map_err(Failed::to("listen in the network of the target"))?;
    let (from, at) = plan.concern.asker(&undo.object, &network);
    let mut probe = Probe::open(&network, at, from, rule.clone())?;
    let rules = Rules { coming, listeners: &post.listeners, unless: unless(coming, mark) };
    gate.catch(&rules.to_us(&Match {
        interface: (!probe.is_asked_from_outside(&network)).then(|| "lo".to_owned()),
        destination: Some(Network::only(at)),
        destination_ports: Some(probe.stand_in.address.port()..=probe.stand_in.address.port()),
        protocol: Some(Protocol::Tcp),
        ..Match::default()
    }))?;
    // The way is tried before anybody else has to take it.
    probe.before()?;
    let own = match (&plan.concern, undo.object.kind) {
        (_, Kind::Machine) | (Concern::To { .. }, _) => BTreeSet::new(),
        (Concern::From { .. }, _) => own_sockets(&undo.object).map_err(failed)?,
    };
    let standing = Standing { network: &network, concern: &plan.concern, own, mark };
    let listed = || standing.list().map_err(Failed::to("list the connections that stand"));
    let before = listed()?;
    post.put(rule.clone());
    gate.catch(&rules.all(&plan.concern))?;
    let stood = match plan.open {
        Open::Leave => Stood::Left(before.len()),
        Open::Reset => Stood::Ended(standing.end(&before)?),
    };
    let (object, proven) = (undo.object.clone(), Done::default());
    Ok(Box::new(Live { gate, post, probe, plan, rule, network, mark, object, stood, proven }))
}

/// Undoes it, by the record.
pub(crate) fn undo(undo: &Undo) -> Result<Cleanliness, UndoError> {
    network::undo_record(undo)
}

fn failed(Refused(why): Refused) -> Failed {
    Failed(why)
}

/// Looks whether somebody behind a door speaks HTTP: what speaks otherwise (in TLS, for one) would be broken, and not as ordered.
fn greet(network: &NetworkNamespace, door: Door) -> Result<(), Failed> {
    let speaks = door.inside().into_iter().map(|address| speaks_http(network, address, PATIENCE));
    let mut answers: Vec<_> = speaks.collect();
    if answers.iter().any(|answer| matches!(answer, Ok(true))) {
        return Ok(());
    }
    let port = door.port;
    Err(Failed(match answers.pop() {
        Some(Err(why)) => format!("port {port} does not answer an HTTP request before the fault: {why}"),
        _ => format!("port {port} does not speak HTTP without TLS: only network faults work there"),
    }))
}

/// Packets with these marks are not caught. Of faults that divert, the kernel lets the last in the row have a connection, and
/// each passes it on to those before; of those that redirect, the first has it.
const fn unless(coming: Coming, mark: u32) -> RangeInclusive<u32> {
    match coming {
        Coming::Diverted => FIRST_MARK..=mark,
        Coming::Redirected => mark..=LAST_MARK,
    }
}

/// How rules lead here.
struct Rules<'a> {
    coming: Coming,
    listeners: &'a [SocketAddr],
    unless: RangeInclusive<u32>,
}

impl Rules<'_> {
    /// The connections concerned.
    fn all(&self, concern: &Concern) -> Vec<(Match, Action)> {
        let lead = |listener: &SocketAddr| {
            let family = if listener.is_ipv4() { ANY_FOUR } else { ANY_SIX };
            let packets = concern.packets(family, &self.unless);
            let action = self.action(*listener);
            packets.into_iter().map(move |packets| (packets, action)).collect::<Vec<_>>()
        };
        self.listeners.iter().flat_map(lead).collect()
    }

    /// Packets to an address of the network.
    fn to_us(&self, packets: &Match) -> Vec<(Match, Action)> {
        let same =
            |listener: &&SocketAddr| packets.destination.is_none_or(|to| to.address.is_ipv4() == listener.is_ipv4());
        let packets = Match { unless_marks: Some(self.unless.clone()), ..packets.clone() };
        let opening = self.coming == Coming::Redirected;
        let lead = |listener: &SocketAddr| (Match { opening, ..packets.clone() }, self.action(*listener));
        self.listeners.iter().filter(same).map(lead).collect()
    }

    const fn action(&self, listener: SocketAddr) -> Action {
        match self.coming {
            Coming::Diverted => Action::Divert(listener),
            Coming::Redirected => Action::Redirect(listener.port()),
        }
    }
}

impl Concern {
    /// From where a stand-in is asked, and at which address it is: like others who ask, where that can be had.
    fn asker(&self, object: &Object, network: &Arc<NetworkNamespace>) -> (Arc<NetworkNamespace>, IpAddr) {
        match (self, &object.peer, object.addresses.first()) {
            (Self::To { .. }, Some(peer), Some(address)) => (Arc::clone(&peer.network), *address),
            _ => (Arc::clone(network), HOME.into()),
        }
    }
}

impl Live {
    fn measured(&self, abort: &Abort) -> Result<(String, bool), Failed> {
        let (mut words, mut holds) = self.probe.measure(abort)?;
        match &self.plan.concern {
            Concern::To { doors, .. } => {
                for door in doors {
                    let led = self.is_led_here(*door)?;
                    holds &= led;
                    let told = if led { "come to us" } else { "do not come to us" };
                    words = format!("{words}; connections to port {} {told}", door.port);
                }
            }
            Concern::From { group: Some(_), .. } => {
                // A socket of ours is not of its control group, and cannot be without making us a part of it.
                words.push_str("; asked from beside its control group, under a rule for us alone");
            }
            Concern::From { .. } => {}
        }
        Ok((format!("{words}{}", self.stood), holds))
    }

    /// Whether a connection to a door of the object comes to us instead: one that says nothing, of which the object never
    /// hears.
    fn is_led_here(&self, door: Door) -> Result<bool, Failed> {
        let outside = self.probe.is_asked_from_outside(&self.network);
        let at = self.probe.stand_in.address.ip();
        let open = door.address.is_unspecified() || door.address == at;
        let (from, to) = match door.inside().first() {
            _ if outside && open => (&self.probe.from, SocketAddr::new(at, door.port)),
            Some(inside) => (&self.network, *inside),
            None => return Ok(false),
        };
        let connect = || TcpStream::connect_timeout(&to, PATIENCE);
        let stream = from.run(connect).map_err(Failed::to(format_args!("connect to port {}", door.port)))?;
        let own = stream.local_addr().map_err(Failed::to("tell a socket's address"))?;
        let all = self.network.run(|| Ok(connections(States::ESTABLISHED)?));
        let all = all.map_err(Failed::to("list the connections"))?;
        // The last in the row of several faults has it first, and passes it on.
        let row = self.mark..=LAST_MARK;
        Ok(all.iter().any(|one| one.remote == own && one.local == to && row.contains(&one.mark)))
    }

    fn configured(&self) -> String {
        format!("{}: {}, {}", What(&self.rule), self.plan.concern, meant(&self.rule))
    }
}

impl Probe {
    /// Whether it is asked from another network than the stand-in's.
    fn is_asked_from_outside(&self, network: &NetworkNamespace) -> bool {
        !self.from.is_same(network)
    }
}

impl fmt::Display for Stood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(Ended { resting: 0, busy: 0 }) | Self::Left(0) => Ok(()),
            Self::Ended(Ended { resting, busy: 0 }) => write!(f, "; {resting} connections that stood were ended"),
            Self::Ended(Ended { resting, busy }) => {
                write!(f, "; {resting} connections that stood were ended, and {busy} broken off")
            }
            Self::Left(count) => write!(f, "; {count} connections that stood go on unhit"),
        }
    }
}

/// What a rule does, in words.
struct What<'a>(&'a Rule);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { delay, abort, request, response, at, .. } = self.0;
        if let Some(delay) = delay {
            write!(f, "delay {}", millis(delay.latency))?;
            if !delay.jitter.is_zero() {
                write!(f, " ± {}", millis(delay.jitter))?;
            }
        }
        match abort {
            Some(Aborts::Status { status, .. }) => write!(f, "answer {}", status.as_u16())?,
            Some(Aborts::Connection) => f.write_str("reset")?,
            None => {}
        }
        if (delay.is_some() || abort.is_some()) && *at == Phase::Response {
            f.write_str(" of what has been answered")?;
        }
        for (name, change) in [("request", request), ("response", response)] {
            if *change != Change::default() {
                write!(f, "{name} {}", Changes(change))?;
            }
        }
        Ok(())
    }
}

/// What is changed, in words.
struct Changes<'a>(&'a Change);

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { set, remove, body } = self.0;
        let set = set.iter().map(|(name, value)| format!("with {name}: {}", String::from_utf8_lossy(value.as_bytes())));
        let remove = remove.iter().map(|name| format!("without {name}"));
        let body = body.iter().map(|body| match body {
            BodyChange::Replace(with) => format!("with a body of {} bytes", with.len()),
            BodyChange::Patch(patch) => format!("with {patch} merged into its body"),
        });
        f.write_str(&set.chain(remove).chain(body).collect::<Vec<_>>().join(", "))
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let (achieved, holds) = measure::patiently(abort, || self.measured(abort));
        self.proven = self.post.done();
        Proof { configured: self.configured(), achieved, holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        let all = self.post.done();
        let (matched, hit) = (all.matched - self.proven.matched, all.chosen - self.proven.chosen);
        let unchanged = match all.unchanged - self.proven.unchanged {
            0 => String::new(),
            some => format!(", and {some} bodies left as they were: too long, compressed, or no JSON"),
        };
        // No rule, no new connections; then those that there are end.
        let cleared = self.gate.clear().is_ok();
        self.post.retire();
        let achieved = format!("{hit} of {matched} requests hit{unchanged}");
        let proof = Proof { configured, achieved, holds: cleared && matched > 0 };
        Ok(Undone { cleanliness: network::close(vec![self.gate], [], &self.object), proof: Some(proof) })
    }
}
