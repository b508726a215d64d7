//! An object's place in the network: where its packets can be caught.

use std::{
    net::{IpAddr, UdpSocket},
    sync::Arc,
};

use crate::{
    fault::Refused,
    network::{
        filter::{Course, Filter, Over, Way},
        owner::Owner,
    },
    object::{Kind, Object, Peer},
    packet::copier::MARK,
    parameters::Network,
    sys::{
        namespace::NetworkNamespace,
        nft::{Hook, Match},
    },
};

/// An object's place in the network.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) name: String,
    network: Arc<NetworkNamespace>,
    /// The other end of the object's link and the object's address on it, where both are known.
    peer: Option<(Peer, IpAddr)>,
    owner: Owner,
}

impl Site {
    /// Where packets of this filter can be caught.
    pub(crate) fn of(object: &Object, filter: &Filter) -> Result<Self, Refused> {
        let network = network(object)?;
        let name = object.name.clone();
        if let Some(peer) = object.peer.clone() {
            let address = object.addresses.first();
            let address =
                *address.ok_or_else(|| Refused(format!("{name} has no address: its packets cannot be caught")))?;
            return Ok(Self { name, network, peer: Some((peer, address)), owner: Owner::Namespace });
        }
        let owner = Owner::of(object, &network)?;
        match &owner {
            Owner::Host if !filter.is_narrow() => {
                let why = "all of the host's network would be hit, what you reach it by too: name `sources` or `port`";
                return Err(Refused(why.to_owned()));
            }
            Owner::Doors(doors) => {
                let ports: Vec<u16> = doors.iter().map(|door| door.port).collect();
                filter.within(&ports).map_err(|why| Refused(format!("{name}: {why}")))?;
            }
            Owner::Host | Owner::Namespace | Owner::Group(_) => {}
        }
        Ok(Self { name, network, peer: None, owner })
    }

    /// Whether packets on this course may be held for a time. Those that are caught where a process sends them may not:
    /// they still belong to its socket, which sends no more while they wait.
    pub(crate) fn may_hold(&self, course: Course) -> bool {
        self.hook(course).1 != Hook::Sent
    }

    /// The namespace and the hook at which packets on this course are caught.
    pub(crate) fn hook(&self, course: Course) -> (&NetworkNamespace, Hook) {
        match (course.over, course.way, &self.peer) {
            (Over::Links, Way::In, Some(_)) => (&self.network, Hook::Arriving),
            (Over::Links, Way::Out, Some((peer, _))) => (&peer.network, Hook::Arriving),
            (Over::Links, Way::Out, None) => (&self.network, Hook::Sent),
            // Where they arrive, nothing tells any more which control group has sent them.
            (Over::Loopback, Way::Out, _) if matches!(self.owner, Owner::Group(_)) => (&self.network, Hook::Sent),
            // What a host passes on for others is not its own.
            (Over::Links, Way::In, None) | (Over::Loopback, ..) => (&self.network, Hook::Received),
        }
    }

    /// The namespace in which the object lives.
    pub(crate) const fn network(&self) -> &Arc<NetworkNamespace> {
        &self.network
    }

    /// Whether the object has that for itself.
    pub(crate) fn has_namespace(&self) -> bool {
        self.owner == Owner::Namespace
    }

    /// The object's own link, if both its ends are known: its namespace, the other end, its address.
    pub(crate) fn own_link(&self) -> Option<(&Arc<NetworkNamespace>, &Peer, IpAddr)> {
        self.peer.as_ref().map(|(peer, address)| (&self.network, peer, *address))
    }

    /// Whether packets from or to there can be among the object's, by the version of its address.
    pub(crate) fn speaks(&self, other: Network) -> bool {
        self.peer.as_ref().is_none_or(|(_, own)| own.is_ipv4() == other.address.is_ipv4())
    }

    /// Whether this other end is met over this. The loopback leads to the host itself, by all its addresses; the links do not.
    pub(crate) fn meets(&self, other: Network, over: Over) -> bool {
        match over {
            Over::Links => self.speaks(other) && !self.is_here(other),
            Over::Loopback => self.is_here(other),
        }
    }

    /// Whether, where no other ends are named, all who come over this are meant. Who has a network to itself has the loopback for
    /// its own affairs: what looks after it there, health checks for one, is not the network's.
    pub(crate) fn meets_all(&self, over: Over) -> bool {
        over == Over::Links || !self.has_namespace()
    }

    fn is_here(&self, other: Network) -> bool {
        let own = || self.network.run(|| UdpSocket::bind((other.address, 0))).is_ok();
        other.address.is_loopback() || other == Network::only(other.address) && own()
    }

    /// Whether what goes over its loopback comes both from it and to it.
    pub(crate) const fn is_its_own_other_end(&self) -> bool {
        matches!(self.owner, Owner::Namespace | Owner::Host)
    }

    /// Whether packets that go this way are told by the port from which they come: they answer those who came there.
    pub(crate) const fn answers(&self, way: Way) -> bool {
        matches!((way, &self.owner), (Way::Out, Owner::Doors(_)))
    }

    /// Packets on this course, from or to this other end.
    pub(crate) fn between(&self, course: Course, other: Option<Network>) -> Match {
        let packets = match course.way {
            Way::In => Match { source: other, ..Match::default() },
            Way::Out => Match { destination: other, ..Match::default() },
        };
        if course.over == Over::Loopback {
            let cgroup = if let Owner::Group(group) = self.owner { Some(group) } else { None };
            return Match { interface: Some(LOOPBACK.to_owned()), unless_mark: Some(MARK), cgroup, ..packets };
        }
        let unless_mark = if course.way == Way::Out { self.own_mark() } else { None };
        let packets = Match { unless_mark, ..packets };
        match (&self.peer, &self.owner, course.way) {
            (Some((peer, address)), _, Way::Out) => Match {
                // The interface may be a bridge with others behind it.
                interface: Some(peer.interface.clone()),
                source: Some(Network::only(*address)),
                ..packets
            },
            (_, Owner::Group(group), _) => Match { cgroup: Some(*group), ..packets },
            _ => packets,
        }
    }

    /// What tells copies that we send from what is to be caught, where both are seen as they are sent.
    pub(crate) const fn own_mark(&self) -> Option<u32> {
        if self.peer.is_some() { None } else { Some(MARK) }
    }

    /// The ports by which its packets are told, of those to which one comes over this; `None`: they are told otherwise.
    pub(crate) fn doors(&self, over: Over) -> Option<Vec<u16>> {
        match &self.owner {
            Owner::Doors(doors) => {
                let open = doors.iter().filter(|door| over == Over::Loopback || door.outside);
                Some(open.map(|door| door.port).collect())
            }
            Owner::Namespace | Owner::Host | Owner::Group(_) => None,
        }
    }
}

/// The kernel's name for the loopback.
pub(crate) const LOOPBACK: &str = "lo";

/// The namespace in which an object's packets come and go.
pub(crate) fn network(object: &Object) -> Result<Arc<NetworkNamespace>, Refused> {
    if let Some(network) = &object.network {
        return Ok(Arc::clone(network));
    }
    let found = match object.kind {
        Kind::Machine => NetworkNamespace::current(),
        _ => NetworkNamespace::of_process(object.process()?.pid),
    };
    found.map(Arc::new).map_err(|why| Refused(format!("the network of {} cannot be looked at: {why}", object.name)))
}
