//! An object's place in the network: where its packets can be caught.

use std::{net::IpAddr, sync::Arc};

use crate::{
    fault::Refused,
    network::{
        filter::{Filter, Way},
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
            Owner::Doors(_) if filter.ways.contains(&Way::Out) => {
                return Err(Refused(format!(
                    "what {name} sends cannot be told from what others of its network send: choose the direction ingress (by the \
                     ports it listens on), or a service or container with a control group of the second version"
                )));
            }
            Owner::Doors(doors) => filter.within(doors).map_err(|why| Refused(format!("{name}: {why}")))?,
            Owner::Host | Owner::Namespace | Owner::Group(_) => {}
        }
        Ok(Self { name, network, peer: None, owner })
    }

    /// Whether packets that go this way may be held for a time. Those that are caught where a process sends them may not:
    /// they still belong to its socket, which sends no more while they wait.
    pub(crate) const fn may_hold(&self, way: Way) -> bool {
        matches!(way, Way::In) || self.peer.is_some()
    }

    /// The namespace and the hook at which packets that go this way are caught.
    pub(crate) fn hook(&self, way: Way) -> (&NetworkNamespace, Hook) {
        match (way, &self.peer) {
            (Way::In, Some(_)) => (&self.network, Hook::Arriving),
            (Way::Out, Some((peer, _))) => (&peer.network, Hook::Arriving),
            // What a host passes on for others is not its own.
            (Way::In, None) => (&self.network, Hook::Received),
            (Way::Out, None) => (&self.network, Hook::Sent),
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

    /// Packets that go this way, from or to this other end.
    pub(crate) fn between(&self, way: Way, other: Option<Network>) -> Match {
        let packets = match way {
            Way::In => Match { source: other, ..Match::default() },
            Way::Out => Match { destination: other, unless_mark: self.own_mark(), ..Match::default() },
        };
        match (&self.peer, &self.owner, way) {
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

    /// The ports that packets to the object can have that are its own.
    pub(crate) fn doors(&self) -> &[std::ops::RangeInclusive<u16>] {
        match &self.owner {
            Owner::Doors(doors) => doors,
            Owner::Namespace | Owner::Host | Owner::Group(_) => &[],
        }
    }
}

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
