//! TCP connections of a network namespace: which there are, and ending them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use super::netlink::{Error, Family, Message, Reply, Socket, flags};

/// A TCP socket, as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The number of its descriptor's file, as `/proc/PID/fd` has it; 0 when no process has it.
    pub inode: u32,
    /// What its packets are marked with; 0 when they are not, or whoever asks may not know.
    pub mark: u32,
    /// The kernel's name for it: family, addresses, interface and a cookie that no later socket has.
    id: [u8; 49],
}

/// What has been going on lately on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Something was received that its process has not read.
    pub pending: bool,
    /// How long data take to the other end and an acknowledgement back, at the least.
    pub round_trip: Duration,
    /// Since data were last sent. The kernel counts in its ticks, of up to 10 ms.
    pub sent: Duration,
    /// Since data were last received.
    pub received: Duration,
}

/// States of a TCP socket, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States(u32);

impl States {
    /// Those in which both ends have agreed to be connected, and none has said goodbye (`TCP_ESTABLISHED`).
    pub const ESTABLISHED: Self = Self(1 << 1);
    /// Those that wait for others (`TCP_LISTEN`).
    pub const LISTENING: Self = Self(1 << 10);
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// The TCP sockets in these states of the network namespace of the calling thread.
///
/// # Errors
///
/// When the kernel cannot tell (`CONFIG_INET_DIAG`).
pub fn connections(states: States) -> Result<Vec<Connection>, Error> {
    Ok(replies(states)?.iter().filter_map(connection).collect())
}

/// The same, with what has been going on lately on each.
///
/// # Errors
///
/// When the kernel cannot tell (`CONFIG_INET_DIAG`).
pub fn active_connections(states: States) -> Result<Vec<(Connection, Activity)>, Error> {
    Ok(replies(states)?.iter().filter_map(|reply| Some((connection(reply)?, activity(reply)?))).collect())
}

fn replies(states: States) -> Result<Vec<Reply>, Error> {
    let mut socket = Socket::open(Family::Sockets)?;
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let ask = Message::new(SOCK_DIAG_BY_FAMILY, 0).header(&request(family, states, &[0; 48]));
        found.append(&mut socket.dump(ask)?);
    }
    Ok(found)
}

/// Ends connections in the network namespace of the calling thread: the other ends get a reset, the processes an error. How
/// many were still there.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN` there; `EOPNOTSUPP` when the kernel cannot (`CONFIG_INET_DIAG_DESTROY`).
pub fn destroy(connections: &[Connection]) -> Result<usize, Error> {
    let mut socket = Socket::open(Family::Sockets)?;
    let mut ended = 0;
    for Connection { id: [family, id @ ..], .. } in connections {
        let message = Message::new(SOCK_DESTROY, flags::REQUEST).header(&request(*family, States(u32::MAX), id));
        match socket.request(message) {
            Ok(()) => ended += 1,
            // It ended by itself.
            Err(why) if why.errno == rustix::io::Errno::NOENT => {}
            Err(why) => return Err(why),
        }
    }
    Ok(ended)
}

/// `struct inet_diag_req_v2`: family, protocol, extensions (the bit of [`INFO`]), padding, states, and which socket.
fn request(family: u8, states: States, id: &[u8]) -> Vec<u8> {
    [&[family, IPPROTO_TCP, 1 << (INFO - 1), 0], &states.0.to_ne_bytes(), id].concat()
}

/// `struct inet_diag_msg` has so many bytes; attributes follow.
const LENGTH: usize = 72;
/// `INET_DIAG_INFO`: `struct tcp_info`.
const INFO: u16 = 2;
/// `INET_DIAG_MARK`.
const MARK: u16 = 15;

/// Reads of `struct inet_diag_msg` what waits to be read, and of `struct tcp_info` when data last went either way (in
/// milliseconds) and the least round trip (in microseconds; Linux 4.9).
fn activity(reply: &Reply) -> Option<Activity> {
    let info = reply.attributes(LENGTH).get(INFO)?;
    let word = |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    let millis = |at| word(info, at).map(|millis| Duration::from_millis(millis.into()));
    let round_trip = Duration::from_micros(word(info, 148)?.into());
    Some(Activity { pending: word(&reply.body, 56)? > 0, round_trip, sent: millis(44)?, received: millis(52)? })
}

/// Reads `struct inet_diag_msg`: family, state, timer, retransmissions; then `struct inet_diag_sockid`: ports, addresses of
/// sixteen bytes, interface, cookie; then when it expires, both queues, user, inode.
fn connection(reply: &Reply) -> Option<Connection> {
    let body = reply.body.get(..LENGTH)?;
    let mark = reply.attributes(LENGTH).get(MARK).and_then(<[u8]>::first_chunk);
    let family = body[0];
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let address = |at: usize| match family {
        AF_INET => body[at..].first_chunk::<4>().map(|bytes| IpAddr::from(Ipv4Addr::from(*bytes))),
        // A socket for both versions has the older's addresses in the younger's form.
        _ => body[at..].first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).to_canonical()),
    };
    let mut id = [family; 49];
    id[1..].copy_from_slice(&body[4..52]);
    Some(Connection {
        local: SocketAddr::new(address(8)?, port(4)),
        remote: SocketAddr::new(address(24)?, port(6)),
        inode: u32::from_ne_bytes([body[68], body[69], body[70], body[71]]),
        mark: mark.map_or(0, |bytes| u32::from_ne_bytes(*bytes)),
        id,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
    };

    use super::{super::namespace::NetworkNamespace, *};
    use crate::sys::link::Links;

    #[test]
    fn a_connection_is_found_and_ended_and_its_neighbour_and_listener_are_not() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let network = NetworkNamespace::create().unwrap();
        network.run(|| Ok(Links::open()?.up("lo")?)).unwrap();
        for bind in ["127.0.0.1:0", "[::]:0"] {
            let listener = network.run(|| TcpListener::bind(bind)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let connect = || network.run(|| TcpStream::connect(("127.0.0.1", port))).unwrap();
            let (mut one, other) = (connect(), connect());
            let (mut accepted, _) = listener.accept().unwrap();
            let mine = |stream: &TcpStream| stream.local_addr().unwrap();
            let found = network.run(|| Ok(connections(States::ESTABLISHED)?)).unwrap();
            let ours: Vec<_> = found.iter().filter(|one_of| one_of.remote == mine(&one)).cloned().collect();
            let link = std::fs::read_link(format!("/proc/self/fd/{}", accepted.as_raw_fd())).unwrap();
            assert_eq!(ours.len(), 1, "{found:?}");
            assert_eq!(link.to_str().unwrap(), format!("socket:[{}]", ours[0].inode));
            assert_eq!(network.run(|| Ok(destroy(&ours)?)).unwrap(), 1);
            assert_eq!(network.run(|| Ok(destroy(&ours)?)).unwrap(), 0, "a second time it is gone");
            assert!(accepted.read(&mut [0]).is_err());
            assert!(one.read(&mut [0]).is_err());
            let left = network.run(|| Ok(connections(States::ESTABLISHED)?)).unwrap();
            assert!(left.iter().any(|one_of| one_of.local == mine(&other)), "{left:?}");
            let listening = network.run(|| Ok(connections(States::LISTENING)?)).unwrap();
            assert!(listening.iter().any(|one_of| one_of.local.port() == port));
        }
    }
}
