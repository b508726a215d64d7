//! The link along which a fault's effect is measured: the object's own, or one made for it; for what comes over the loopback,
//! that.
//!
//! Where nothing is known of the other end of an object's link, a pair of interfaces is made between its namespace and an empty
//! one of ours. What comes through it meets the same rules as what comes from anywhere else; it is gone with this process.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use crate::{
    fault::{self, Failed},
    network::{
        filter::{Course, Over, Way},
        site::{LOOPBACK, Site},
    },
    packet::copier::MARK,
    sys::{
        link::{Links, Route},
        namespace::NetworkNamespace,
        nft::Match,
    },
};

/// A link with two ends, of which the near one is the object's.
#[derive(Debug)]
pub(crate) struct Link {
    /// Whose it is, for people.
    pub(crate) name: String,
    near: Arc<NetworkNamespace>,
    far: Arc<NetworkNamespace>,
    /// The object's address on it.
    pub(crate) near_address: IpAddr,
    /// Packets along it, to the object and from it.
    packets: [Match; 2],
    /// Whether the rules for the object's packets are for those along it too.
    pub(crate) ordinary: bool,
    wire: Option<Wire>,
}

/// A pair of interfaces of ours.
#[derive(Debug)]
struct Wire {
    name: String,
    near: Arc<NetworkNamespace>,
    whole: bool,
}

impl Wire {
    fn cut(&mut self) -> Option<String> {
        if std::mem::take(&mut self.whole) { cut(&self.near, &self.name) } else { None }
    }
}

impl Link {
    /// The object's own link, or one that is made now and named after the token; or its loopback.
    pub(crate) fn open(site: &Site, token: u64, over: Over) -> Result<Self, Failed> {
        if over == Over::Loopback {
            return Ok(Self::loopback(site));
        }
        if let Some((near, peer, near_address)) = site.own_link() {
            let packets = [Way::In, Way::Out].map(|way| site.between(Course { way, over }, None));
            let (near, far) = (Arc::clone(near), Arc::clone(&peer.network));
            return Ok(Self { name: site.name.clone(), near, far, near_address, packets, ordinary: true, wire: None });
        }
        Self::make(site, token)
            .map_err(Failed::to(format_args!("make a link into the network of {} to measure along", site.name)))
    }

    fn loopback(site: &Site) -> Self {
        let packets = Match { interface: Some(LOOPBACK.to_owned()), unless_mark: Some(MARK), ..Match::default() };
        Self {
            name: site.name.clone(),
            near: Arc::clone(site.network()),
            far: Arc::clone(site.network()),
            near_address: Ipv4Addr::LOCALHOST.into(),
            packets: [packets.clone(), packets],
            ordinary: false,
            wire: None,
        }
    }

    fn make(site: &Site, token: u64) -> io::Result<Self> {
        let near = Arc::clone(site.network());
        let far = Arc::new(NetworkNamespace::create()?);
        let name = wire_name(token);
        let wire = Wire { name: name.clone(), near: Arc::clone(&near), whole: true };
        // Of the block for measuring devices (RFC 2544), where nobody lives: 198.18.0.0/15, two neighbours by lot.
        let [one, two, three, ..] = fault::seed().to_le_bytes();
        let address = |last| Ipv4Addr::new(198, 18 | (one & 1), two, (three & 0xfe) | last);
        let (own, other) = (address(0), address(1));
        far.run(|| Ok(Links::open()?.add_pair(FAR_END, &name, &near)?))?;
        let configure = |interface: &str, own, other| -> io::Result<()> {
            let mut links = Links::open()?;
            links.up(interface)?;
            links.add_address(interface, own)?;
            Ok(links.add_route(Route { to: (other, 32), interface, via: None, source: Some(own) })?)
        };
        near.run(|| configure(&name, own, other))?;
        far.run(|| configure(FAR_END, other, own))?;
        settle(&near.run(|| UdpSocket::bind((own, 0)))?, &far.run(|| UdpSocket::bind((other, 0)))?)?;
        let packets = Match { interface: Some(name), ..Match::default() };
        let sent = Match { unless_mark: site.own_mark(), ..packets.clone() };
        Ok(Self {
            name: site.name.clone(),
            near,
            far,
            near_address: own.into(),
            packets: [packets, sent],
            ordinary: site.has_namespace(),
            wire: Some(wire),
        })
    }

    /// Its ends' namespaces: the object's, and the other.
    pub(crate) fn ends(&self) -> (&NetworkNamespace, &NetworkNamespace) {
        (&self.near, &self.far)
    }

    /// The address of its other end.
    pub(crate) fn far_address(&self) -> Result<IpAddr, Failed> {
        let any: IpAddr =
            if self.near_address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // What a datagram from there would be sent from; nothing is sent.
        let look = || {
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect((self.near_address, 9))?;
            Ok(socket.local_addr()?.ip())
        };
        self.far.run(look).map_err(Failed::to(format_args!("find the way to {}", self.name)))
    }

    /// Packets that go this way along it.
    pub(crate) fn packets(&self, way: Way) -> Match {
        match way {
            Way::In => self.packets[0].clone(),
            Way::Out => self.packets[1].clone(),
        }
    }

    /// Takes it away, if it was made; says what is left of it.
    pub(crate) fn close(mut self) -> Option<String> {
        self.wire.take().and_then(|mut wire| wire.cut())
    }
}

/// Waits until a fresh pair of interfaces carries datagrams both ways: the kernel switches it on in its own time, and the ends
/// have to learn of each other. Where a firewall keeps them apart, the measurement will tell.
fn settle(near: &UdpSocket, far: &UdpSocket) -> io::Result<()> {
    for (from, to) in [(near, far), (far, near)] {
        let address = to.local_addr()?;
        to.set_read_timeout(Some(SETTLING / ATTEMPTS))?;
        let carries = || from.send_to(&[0], address).is_ok() && to.recv(&mut [0]).is_ok();
        if !(0..ATTEMPTS).any(|_| carries()) {
            return Ok(());
        }
    }
    Ok(())
}

/// How long that may take: it takes milliseconds, a tenth of a second on a busy machine.
const SETTLING: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 200;

/// The name of the far end, in a namespace that has nothing else.
const FAR_END: &str = "far";

/// The name of an injection's interface: at most fifteen bytes.
pub(crate) fn wire_name(token: u64) -> String {
    format!("shk{:012x}", token & 0xffff_ffff_ffff)
}

/// Takes an interface away; says what is left of it.
pub(crate) fn cut(network: &NetworkNamespace, name: &str) -> Option<String> {
    let gone = network.run(|| {
        let mut links = Links::open()?;
        // Gone already, by whatever: then the look says so.
        drop(links.delete(name));
        Ok(links.index(name).is_err())
    });
    match gone {
        Ok(true) => None,
        Ok(false) => Some(format!("interface {name}")),
        Err(why) => Some(format!("interface {name}, maybe ({why})")),
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(left) = self.cut() {
            tracing::warn!(left, "an interface that was made to measure along");
        }
    }
}
