//! An object's place in the network: where its packets can be caught.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::Arc,
};

use crate::{
    fault::{Failed, Refused},
    network_filter::{Filter, Way},
    object::{Object, Peer},
    parameters::Network,
    sys::{
        namespace::NetworkNamespace,
        nft::{Hook, Match},
    },
};

/// An object's place in the network, complete.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    network: Arc<NetworkNamespace>,
    peer: Peer,
}

impl Site {
    /// Where packets of this filter can be caught, and measured.
    pub(crate) fn of(object: &Object, _: &Filter) -> Result<Self, Refused> {
        let missing = |what: &str| Refused(format!("{} has no {what}: its packets cannot be caught", object.name));
        Ok(Self {
            name: object.name.clone(),
            address: *object.addresses.first().ok_or_else(|| missing("address"))?,
            network: object.network.clone().ok_or_else(|| missing("network namespace of its own"))?,
            peer: object.peer.clone().ok_or_else(|| missing("link with a known other end"))?,
        })
    }

    /// The namespace and the hook at which packets that go this way are caught.
    pub(crate) fn hook(&self, way: Way) -> (&NetworkNamespace, Hook) {
        match way {
            Way::In => (&self.network, Hook::Arriving),
            Way::Out => (&self.peer.network, Hook::Arriving),
        }
    }

    /// The two ends of a link along which the effect can be measured: the object's namespace, and another.
    pub(crate) fn ends(&self) -> (&NetworkNamespace, &NetworkNamespace) {
        (&self.network, &self.peer.network)
    }

    /// The object's address on that link.
    pub(crate) const fn probe_address(&self) -> IpAddr {
        self.address
    }

    /// The address of the other end of that link.
    pub(crate) fn far_address(&self) -> Result<IpAddr, Failed> {
        let any: IpAddr =
            if self.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // What a datagram from there would be sent from; nothing is sent.
        let look = || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect((self.probe_address(), 9))?;
            Ok(socket.local_addr()?.ip())
        };
        let (_, far_end) = self.ends();
        far_end.run(look).map_err(Failed::to(format_args!("find the way to {}", self.name)))
    }

    /// Packets that go this way along that link.
    pub(crate) fn probed(&self, way: Way) -> Match {
        self.between(way, None)
    }

    /// Packets that go this way, from or to this other end.
    pub(crate) fn between(&self, way: Way, other: Option<Network>) -> Match {
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
