//! Network interfaces: pairs of them across namespaces, their addresses and routes.

use std::{io, net::Ipv4Addr, os::fd::AsFd, os::fd::AsRawFd};

use super::{
    namespace::NetworkNamespace,
    netlink::{Error, Family, Message, Socket, flags},
};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;

const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
/// The gateway is reached through the interface though no address of ours says so.
const RTNH_F_ONLINK: u32 = 4;

/// A route to part of the network.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The address and the length of its prefix; length 0 is the default route.
    pub to: (Ipv4Addr, u8),
    /// The interface that leads there.
    pub interface: &'a str,
    /// The next hop, assumed to be a neighbour on that interface; none: the destination itself is.
    pub via: Option<Ipv4Addr>,
    /// The address from which packets of this host are sent that have not chosen one.
    pub source: Option<Ipv4Addr>,
}

/// The interfaces of one network namespace.
#[derive(Debug)]
pub struct Links(Socket);

impl Links {
    /// Those of the namespace in which the calling thread is; usable from any thread afterwards.
    ///
    /// # Errors
    ///
    /// When no descriptor is free.
    pub fn open() -> Result<Self, Error> {
        Socket::open(Family::Route).map(Self)
    }

    /// Adds a pair of interfaces: what enters one comes out of the other, which lies in another namespace. Both go when
    /// either goes, or its namespace.
    ///
    /// # Errors
    ///
    /// Names have at most 15 bytes and must be new. Needs `CAP_NET_ADMIN` over both namespaces, and a kernel with veth.
    pub fn add_pair(&mut self, name: &str, peer: &str, peer_in: &NetworkNamespace) -> Result<(), Error> {
        let peer_in = u32::try_from(peer_in.as_fd().as_raw_fd()).unwrap_or_default();
        let new = flags::CREATE | flags::EXCL;
        self.0.request(link(RTM_NEWLINK, new, 0, 0).string(IFLA_IFNAME, name).nested(IFLA_LINKINFO, |info| {
            info.string(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, |data| {
                data.nested(VETH_INFO_PEER, |other| {
                    other.header(&link_header(0, 0)).string(IFLA_IFNAME, peer).u32(IFLA_NET_NS_FD, peer_in)
                })
            })
        }))
    }

    /// Adds an interface that sends what is led to it on where it came from (ifb): for disciplines on what comes in.
    ///
    /// # Errors
    ///
    /// The name has at most 15 bytes and must be new. Needs `CAP_NET_ADMIN`, and a kernel with ifb.
    pub fn add_intermediate(&mut self, name: &str) -> Result<(), Error> {
        let message = link(RTM_NEWLINK, flags::CREATE | flags::EXCL, 0, 0).string(IFLA_IFNAME, name);
        self.0.request(message.nested(IFLA_LINKINFO, |info| info.string(IFLA_INFO_KIND, "ifb")))
    }

    /// Deletes an interface; of a pair, both.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn delete(&mut self, name: &str) -> Result<(), Error> {
        self.0.request(link(RTM_DELLINK, 0, 0, 0).string(IFLA_IFNAME, name))
    }

    /// Switches an interface on.
    ///
    /// # Errors
    ///
    /// When there is none of this name. Needs `CAP_NET_ADMIN`.
    pub fn up(&mut self, name: &str) -> Result<(), Error> {
        self.0.request(link(RTM_NEWLINK, 0, 0, IFF_UP).string(IFLA_IFNAME, name))
    }

    /// Gives an interface an address that is nobody else's (a /32): no neighbours are assumed.
    ///
    /// # Errors
    ///
    /// When there is no interface of this name, or it has the address. Needs `CAP_NET_ADMIN`.
    pub fn add_address(&mut self, name: &str, address: Ipv4Addr) -> Result<(), Error> {
        let mut header = [AF_INET, 32, 0, RT_SCOPE_UNIVERSE, 0, 0, 0, 0]; // struct ifaddrmsg
        header[4..8].copy_from_slice(&self.index(name)?.to_ne_bytes());
        let octets = address.octets();
        let message = Message::new(RTM_NEWADDR, flags::CREATE | flags::EXCL).header(&header);
        self.0.request(message.attribute(IFA_LOCAL, &octets).attribute(IFA_ADDRESS, &octets))
    }

    /// Adds a route.
    ///
    /// # Errors
    ///
    /// When the interface does not exist or is down, or the route exists. Needs `CAP_NET_ADMIN`.
    pub fn add_route(&mut self, route: Route<'_>) -> Result<(), Error> {
        let (to, length) = route.to;
        let (scope, more) = match route.via {
            Some(_) => (RT_SCOPE_UNIVERSE, RTNH_F_ONLINK),
            None => (RT_SCOPE_LINK, 0),
        };
        // struct rtmsg
        let mut header = [AF_INET, length, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, 0, 0, 0, 0];
        header[8..12].copy_from_slice(&more.to_ne_bytes());
        let mut message = Message::new(RTM_NEWROUTE, flags::CREATE | flags::EXCL).header(&header);
        if length > 0 {
            message = message.attribute(RTA_DST, &to.octets());
        }
        if let Some(gateway) = route.via {
            message = message.attribute(RTA_GATEWAY, &gateway.octets());
        }
        if let Some(source) = route.source {
            message = message.attribute(RTA_PREFSRC, &source.octets());
        }
        let index = self.index(route.interface)?;
        self.0.request(message.u32(RTA_OIF, index))
    }

    /// The name of an interface.
    ///
    /// # Errors
    ///
    /// When there is none of this number.
    pub fn name(&mut self, index: u32) -> Result<String, Error> {
        let replies = self.0.query(link(RTM_GETLINK, 0, index.cast_signed(), 0))?;
        let name = replies.first().and_then(|reply| reply.attributes(16).text(IFLA_IFNAME));
        name.ok_or_else(|| Error::from(rustix::io::Errno::NODEV))
    }

    /// The number of an interface.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn index(&mut self, name: &str) -> Result<u32, Error> {
        let replies = self.0.query(link(RTM_GETLINK, 0, 0, 0).string(IFLA_IFNAME, name))?;
        let index = replies.first().and_then(|reply| reply.body.get(4..8)?.try_into().ok());
        index.map(u32::from_ne_bytes).ok_or_else(|| Error::from(rustix::io::Errno::NODEV))
    }
}

/// Lets the calling thread's namespace pass on packets between its interfaces.
///
/// # Errors
///
/// Needs `CAP_NET_ADMIN` and a writable `/proc/sys/net`, which some container runtimes do not give.
pub fn forward_packets() -> io::Result<()> {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1\n")
}

fn link(kind: u16, more: u16, index: i32, up: u32) -> Message {
    Message::new(kind, flags::REQUEST | more).header(&link_header(index, up))
}

/// `struct ifinfomsg`: family, padding, type (2), index (4), flags (4), which flags to change (4).
fn link_header(index: i32, up: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&up.to_ne_bytes());
    header[12..16].copy_from_slice(&up.to_ne_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener, TcpStream},
    };

    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const THERE: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);

    #[test]
    fn two_namespaces_talk_through_a_pair_of_interfaces_and_routes() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (left, right) = (NetworkNamespace::create().unwrap(), NetworkNamespace::create().unwrap());
        left.run(|| {
            let mut links = Links::open()?;
            links.up("lo")?;
            links.add_address("lo", HERE)?;
            links.add_pair("left", "right", &right)?;
            links.up("left")?;
            links.add_route(Route { to: (THERE, 32), interface: "left", via: None, source: Some(HERE) })?;
            Ok(())
        })
        .unwrap();
        let listener = right
            .run(|| {
                let mut links = Links::open()?;
                links.up("right")?;
                links.add_address("right", THERE)?;
                let to = (Ipv4Addr::UNSPECIFIED, 0);
                links.add_route(Route { to, interface: "right", via: Some(HERE), source: None })?;
                TcpListener::bind((THERE, 0))
            })
            .unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = left.run(|| TcpStream::connect(address)).unwrap();
        let (mut server, from) = listener.accept().unwrap();
        assert_eq!(from.ip(), SocketAddr::from((HERE, 0)).ip());
        client.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[test]
    fn the_kernel_says_what_is_wrong() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let network = NetworkNamespace::create().unwrap();
        let error = network.run(|| Ok(Links::open()?.up("eth9")?)).unwrap_err();
        assert!(error.to_string().contains("No such device"), "{error}");
    }
}
