//! The fabric: a network namespace that routes between instances, and in which everything else of the lab lives.
//!
//! ```text
//!   fabric (anonymous namespace, forwards packets)                 instance (one such namespace each)
//!   lo: 10.0.0.1, balancers 10.0.0.2 ...
//!   veth1 ◀────────────────────────────────────────────────────────▶ eth0: 10.1.0.10/32
//!   10.1.0.10/32 dev veth1 src BALANCER                             default via 10.0.0.1 dev eth0 onlink
//! ```
//!
//! Routed, not bridged: what enters an instance is seen in its own namespace and what leaves it on its interface here, so
//! that a fault has one receiving side per direction. Delay on the sending side would strangle local senders (TCP small
//! queues).

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use faults::sys::{
    link::{Links, Route, forward_packets},
    namespace::NetworkNamespace,
};

use crate::addresses::Addresses;

/// The name of an instance's interface, inside.
const INSIDE: &str = "eth0";

/// The fabric of a lab.
#[derive(Debug)]
pub(crate) struct Fabric {
    network: Arc<NetworkNamespace>,
    address: Ipv4Addr,
    links: Mutex<Links>,
}

impl Fabric {
    /// Makes the namespace with the fabric's and the balancers' addresses.
    pub(crate) fn new(addresses: &Addresses) -> io::Result<Self> {
        let network = NetworkNamespace::create()?;
        let links = network.run(|| {
            forward_packets()?;
            let mut links = Links::open()?;
            links.up("lo")?;
            for &address in [addresses.fabric()].iter().chain(addresses.balancers().values()) {
                links.add_address("lo", address)?;
            }
            Ok(links)
        })?;
        Ok(Self { network: Arc::new(network), address: addresses.fabric(), links: Mutex::new(links) })
    }

    /// The namespace.
    pub(crate) const fn network(&self) -> &Arc<NetworkNamespace> {
        &self.network
    }

    /// Makes a namespace with this address and connects it by an interface of this name. What the lab sends there without
    /// having chosen an address comes from `source`.
    pub(crate) fn connect(&self, interface: &str, address: Ipv4Addr, source: Ipv4Addr) -> io::Result<NetworkNamespace> {
        let instance = NetworkNamespace::create()?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.add_pair(interface, INSIDE, &instance)?;
        links.up(interface)?;
        links.add_route(Route { to: (address, 32), interface, via: None, source: Some(source) })?;
        drop(links);
        instance.run(|| {
            let mut links = Links::open()?;
            links.up("lo")?;
            links.up(INSIDE)?;
            links.add_address(INSIDE, address)?;
            let everywhere = (Ipv4Addr::UNSPECIFIED, 0);
            Ok(links.add_route(Route { to: everywhere, interface: INSIDE, via: Some(self.address), source: None })?)
        })?;
        Ok(instance)
    }

    /// Takes away the interface of an instance that will not come back.
    pub(crate) fn disconnect(&self, interface: &str) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = links.delete(interface) {
            tracing::debug!(interface, %why, "the interface is gone already");
        }
    }
}
