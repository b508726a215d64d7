//! Sends a packet once more, as it is.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto},
};

use super::flow::Flow;

/// Sends copies of packets from a network namespace: to itself, or on to where the namespace routes them.
///
/// A queue cannot say that one packet be two. So the copy is sent through a raw socket whose user writes the network header
/// too. It does not pass our rules a second time: what a host sends to itself comes in by the loopback, and what it forwards
/// does not come in at all.
#[derive(Debug)]
pub(crate) struct Copier {
    four: OwnedFd,
    /// Absent where there is no IPv6.
    six: Option<OwnedFd>,
}

impl Copier {
    /// Opens its sockets in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// `EPERM` without `CAP_NET_RAW` there.
    pub(crate) fn open() -> Result<Self, Errno> {
        // IPPROTO_RAW: the header is ours to write.
        let open = |family| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            rustix::net::socket_with(family, SocketType::RAW, flags, Some(ipproto::RAW))
        };
        Ok(Self { four: open(AddressFamily::INET)?, six: open(AddressFamily::INET6).ok() })
    }

    /// Sends a packet, from its network header on. Whether it went.
    pub(crate) fn send(&self, packet: &[u8]) -> bool {
        let Some(Flow { destination, .. }) = Flow::of(packet) else { return false };
        let socket = match destination {
            IpAddr::V4(_) => Some(&self.four),
            IpAddr::V6(_) => self.six.as_ref(),
        };
        let to = SocketAddr::new(destination, 0);
        socket.is_some_and(|socket| rustix::net::sendto(socket, packet, SendFlags::empty(), &to).is_ok())
    }
}
