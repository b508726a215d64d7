//! Options of sockets that the standard library has not.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

/// Sends datagrams without a checksum from now on, and takes such (which with IPv4 any socket does): whoever receives them
/// gets them as they are, damaged or not.
///
/// # Errors
///
/// When the kernel does not know how.
pub fn do_without_checksums(socket: &UdpSocket) -> io::Result<()> {
    /// From `linux/udp.h`: send without with IPv6, and take such.
    const UDP_NO_CHECK6_TX: libc::c_int = 101;
    const UDP_NO_CHECK6_RX: libc::c_int = 102;
    if socket.local_addr()?.is_ipv4() {
        return set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, 1);
    }
    set(socket.as_fd(), libc::SOL_UDP, UDP_NO_CHECK6_TX, 1)?;
    set(socket.as_fd(), libc::SOL_UDP, UDP_NO_CHECK6_RX, 1)
}

/// Marks what a socket sends from now on, so that rules can tell it.
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN` or (since Linux 5.17) `CAP_NET_RAW` over its namespace.
pub fn mark(socket: impl AsFd, mark: u32) -> io::Result<()> {
    set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_MARK, mark.cast_signed())
}

/// Lets a listener, which will have this address, take connections that rules divert to it, whomever they are for
/// (`IP_TRANSPARENT`).
///
/// # Errors
///
/// `EPERM` without `CAP_NET_ADMIN` or `CAP_NET_RAW` over its namespace.
pub fn take_diverted(socket: impl AsFd, address: IpAddr) -> io::Result<()> {
    /// From `linux/in6.h`.
    const IPV6_TRANSPARENT: libc::c_int = 75;
    match address {
        IpAddr::V4(_) => set(socket.as_fd(), libc::SOL_IP, libc::IP_TRANSPARENT, 1),
        IpAddr::V6(_) => set(socket.as_fd(), libc::SOL_IPV6, IPV6_TRANSPARENT, 1),
    }
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    const INT: libc::socklen_t = 4;
    let value = std::ptr::from_ref(&value).cast();
    // SAFETY: the descriptor is open for the length of the borrow, and the kernel reads one int, of four bytes, from `value`.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, INT) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
