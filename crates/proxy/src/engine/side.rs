//! One side of a connection: a socket, and what is known of it.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    event::epoll::EventFlags,
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, connect, recv, send, shutdown,
        socket_with,
        sockopt::{set_socket_linger, set_tcp_nodelay},
    },
};

/// A socket that is watched for edges: what is known of it holds until a call says otherwise.
#[derive(Debug)]
pub(super) struct Side {
    socket: OwnedFd,
    /// There may be something to read.
    pub(super) readable: bool,
    /// There may be room to write.
    pub(super) writable: bool,
    /// The peer has ended or broken off, or may have: after what there is to read comes an end, of which no edge will tell.
    ending: bool,
}

/// What a call on a socket came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// So many bytes; at least one.
    Bytes(usize),
    /// There is nothing to read, or no room to write, at present.
    Blocked,
    /// The peer has ended.
    Ended,
    /// The connection is broken.
    Broken,
}

impl Done {
    pub(super) fn of(result: Result<usize, Errno>) -> Self {
        match result {
            Ok(0) => Self::Ended,
            Ok(count) => Self::Bytes(count),
            Err(Errno::AGAIN | Errno::INTR) => Self::Blocked,
            Err(_) => Self::Broken,
        }
    }
}

impl Side {
    /// A socket of which nothing is known yet, so that everything may be.
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, readable: true, writable: true, ending: true }
    }

    /// Begins to connect to an address. Says whether that is done already.
    pub(super) fn connecting(to: SocketAddr) -> io::Result<(OwnedFd, bool)> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        match connect(&socket, &to) {
            Ok(()) => Ok((socket, true)),
            Err(Errno::INPROGRESS) => Ok((socket, false)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Learns from an event. Says whether there is more to read, and more room to write, than was known.
    pub(super) fn learn(&mut self, flags: EventFlags) -> (bool, bool) {
        let broken = EventFlags::ERR | EventFlags::HUP;
        let (readable, writable) = (
            flags.intersects(EventFlags::IN | EventFlags::RDHUP | broken),
            flags.intersects(EventFlags::OUT | broken) && !self.writable,
        );
        self.ending |= flags.intersects(EventFlags::RDHUP | broken);
        self.readable |= readable;
        self.writable |= writable;
        (readable, writable)
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> Done {
        let room = into.len();
        let done = Done::of(recv(&self.socket, into, RecvFlags::empty()).map(|(count, _)| count));
        self.has_read(&done, room);
        done
    }

    /// A read from it came to this when there was room for so many bytes.
    pub(super) fn has_read(&mut self, done: &Done, room: usize) {
        match done {
            // Less than there was room for: there was no more (epoll(7)), unless it was the last.
            Done::Bytes(count) => self.readable = *count == room || self.ending,
            Done::Blocked => {
                self.readable = false;
                self.ending = false;
            }
            Done::Ended | Done::Broken => self.readable = false,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Done {
        let done = Done::of(send(&self.socket, bytes, SendFlags::NOSIGNAL));
        // Part of it: the kernel will tell of more room.
        self.writable = done == Done::Bytes(bytes.len());
        done
    }

    /// Tells the peer that nothing more will come.
    pub(super) fn end(&self) {
        // The peer may be gone already; then there is nobody to tell.
        let _told = shutdown(&self.socket, Shutdown::Write);
    }

    /// What has been decided by the ends is sent as it comes; waiting for more would only add delay.
    pub(super) fn be_prompt(&self) {
        // Without it bytes still arrive, a little later.
        let _set = set_tcp_nodelay(&self.socket, true);
    }

    /// Breaks off.
    pub(super) fn reset(self) {
        reset(self.socket);
    }
}

/// Closes a socket so that its peer sees a reset.
pub(super) fn reset(socket: OwnedFd) {
    // If that fails the peer sees an ordinary end, in the middle of whatever it was doing.
    let _set = set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

impl AsFd for Side {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
