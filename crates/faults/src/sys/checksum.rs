//! UDP without checksums.

use std::{
    io,
    net::UdpSocket,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

/// Sends datagrams without a checksum from now on, and takes such (which with IPv4 any socket does): whoever receives them
/// gets them as they are, damaged or not.
///
/// # Errors
///
/// When the kernel does not know how.
pub fn do_without(socket: &UdpSocket) -> io::Result<()> {
    /// From `linux/udp.h`: send without with IPv6, and take such.
    const UDP_NO_CHECK6_TX: libc::c_int = 101;
    const UDP_NO_CHECK6_RX: libc::c_int = 102;
    if socket.local_addr()?.is_ipv4() {
        return set(socket.as_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK);
    }
    set(socket.as_fd(), libc::SOL_UDP, UDP_NO_CHECK6_TX)?;
    set(socket.as_fd(), libc::SOL_UDP, UDP_NO_CHECK6_RX)
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    const INT: libc::socklen_t = 4;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the length of the borrow, and the kernel reads one int, of four bytes, from `on`.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(&on).cast(), INT) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
