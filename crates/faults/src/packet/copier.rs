//! Sends a packet once more, as it is.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};

use super::flow::Flow;
use crate::sys::option;

/// What copies are marked with: `SHAK`, which nobody else is likely to use.
pub(crate) const MARK: u32 = 0x5348_414b;

/// Sends copies of packets from a network namespace: to itself, or on to where the namespace routes them.
///
/// A queue cannot say that one packet be two. So the copy is sent through a raw socket whose user writes the network header
/// too. It does not pass our rules a second time: what a host sends to itself comes in by the loopback, what it forwards does not
/// come in at all, and where packets are caught as they are sent, it carries a mark.
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
    pub(crate) fn open() -> io::Result<Self> {
        // IPPROTO_RAW: the header is ours to write.
        let open = |family| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(family, SocketType::RAW, flags, Some(ipproto::RAW))?;
            option::mark(&socket, MARK)?;
            Ok::<_, io::Error>(socket)
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
