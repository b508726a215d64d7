//! The life of a fault in HTTP where the kernel leads connections to us, and, as far as records say, of any.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use model::event::{Cleanliness, Proof};

use crate::{
    fault::{Abort, Failed, Injection, Refused, Undo, UndoError, Undone},
    http::{
        before::Standing,
        doors::{ANY_FOUR, ANY_SIX, Concern, Door, own_sockets},
        effect::{Effect, Stood, told},
        exchange::speaks_http,
        links,
        order::Plan,
        post::{Coming, Post},
        proof::Probe,
    },
    network::{self, gate::Gate, site},
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
pub(crate) const HOME: Ipv4Addr = Ipv4Addr::new(127, 83, 84, 85);
/// How long a port may take to answer before there is any fault.
const PATIENCE: Duration = Duration::from_secs(5);

struct Live {
    gate: Gate,
    effect: Effect,
    network: Arc<NetworkNamespace>,
    mark: u32,
    object: Object,
}

/// Does what is planned.
pub(crate) fn inject(undo: &Undo) -> Result<Box<dyn Injection>, Failed> {
    let plan: Plan = undo.plan()?;
    if let Concern::Over { .. } = plan.concern {
        return links::inject(undo, plan);
    }
    let rule = plan.rule()?;
    let network = site::network(&undo.object).map_err(failed)?;
    if let Concern::To { doors, .. } = &plan.concern {
        for door in doors {
            greet(&network, *door)?;
        }
    }
    let (hook, coming) = match plan.concern {
        Concern::To { .. } => (Hook::Arriving, Coming::Diverted),
        Concern::From { .. } | Concern::Over { .. } => (Hook::Opened, Coming::Redirected),
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
        (Concern::From { .. } | Concern::Over { .. }, _) => own_sockets(&undo.object).map_err(failed)?,
    };
    let standing = Standing { network: &network, concern: &plan.concern, own, mark };
    let listed = || standing.list().map_err(Failed::to("list the connections that stand"));
    let before = listed()?;
    post.put(rule.clone());
    gate.catch(&rules.all(&plan.concern))?;
    let stood = Stood::after(plan.open, before.len(), || standing.end(&before))?;
    let effect = Effect::new(post, probe, plan, rule, stood);
    Ok(Box::new(Live { gate, effect, network, mark, object: undo.object.clone() }))
}

/// Undoes it, by the record.
pub(crate) fn undo(undo: &Undo) -> Result<Cleanliness, UndoError> {
    match undo.plan() {
        // The links, and whom they led to, were that process's.
        Ok(Plan { concern: Concern::Over { .. }, .. }) => Ok(undo.object.bare()),
        _ => network::undo_record(undo),
    }
}

fn failed(Refused(why): Refused) -> Failed {
    Failed(why)
}

/// Looks whether somebody behind a door speaks HTTP: what speaks otherwise (in TLS, for one) would be broken, and not as ordered.
fn greet(network: &NetworkNamespace, door: Door) -> Result<(), Failed> {
    greet_at(network, door.port, &door.inside())
}

/// The same, of a port that is reached at these addresses.
pub(crate) fn greet_at(network: &NetworkNamespace, port: u16, at: &[SocketAddr]) -> Result<(), Failed> {
    let mut answers: Vec<_> = at.iter().map(|address| speaks_http(network, *address, PATIENCE)).collect();
    if answers.iter().any(|answer| matches!(answer, Ok(true))) {
        return Ok(());
    }
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

/// Who is led here: those whose connections the kernel marks so.
struct Led<'a> {
    network: &'a NetworkNamespace,
    mark: u32,
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

impl Led<'_> {
    /// Whether the connections that are concerned come to us.
    fn is_all(&self, probe: &Probe, plan: &Plan) -> Result<(String, bool), Failed> {
        match &plan.concern {
            Concern::To { doors, .. } => {
                let led = doors.iter().map(|door| Ok((format!("to port {}", door.port), self.is(probe, *door)?)));
                Ok(told(led.collect::<Result<Vec<_>, Failed>>()?))
            }
            // A socket of ours is not of its control group, and cannot be without making us a part of it.
            Concern::From { group: Some(_), .. } => {
                Ok(("; asked from beside its control group, under a rule for us alone".to_owned(), true))
            }
            Concern::From { .. } | Concern::Over { .. } => Ok((String::new(), true)),
        }
    }

    /// Whether a connection to a door of the object comes to us instead: one that says nothing, of which the object never
    /// hears.
    fn is(&self, probe: &Probe, door: Door) -> Result<bool, Failed> {
        let outside = probe.is_asked_from_outside(self.network);
        let at = probe.stand_in.address.ip();
        let open = door.address.is_unspecified() || door.address == at;
        let (from, to) = match door.inside().first() {
            _ if outside && open => (&*probe.from, SocketAddr::new(at, door.port)),
            Some(inside) => (self.network, *inside),
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
}

impl Probe {
    /// Whether it is asked from another network than the stand-in's.
    fn is_asked_from_outside(&self, network: &NetworkNamespace) -> bool {
        !self.from.is_same(network)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let led = Led { network: &self.network, mark: self.mark };
        self.effect.prove(abort, |probe, plan| led.is_all(probe, plan))
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let whole = self.effect.whole();
        // No rule, no new connections; then those that there are end.
        let cleared = self.gate.clear().is_ok();
        self.effect.post.retire(|| true);
        let proof = Proof { holds: cleared && whole.holds, ..whole };
        Ok(Undone { cleanliness: network::close(vec![self.gate], [], &self.object), proof: Some(proof) })
    }
}
