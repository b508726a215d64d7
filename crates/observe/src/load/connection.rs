//! One connection of the load: at most one request is on it at a time.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    time::Instant,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with, sockopt},
};

use crate::response::{Progress, ResponseReader};

/// A connection and the request that is on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) server: usize,
    pub(super) state: State,
    reader: ResponseReader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The request waits until the connection is there.
    Connecting(InFlight),
    /// A part of the request has been sent.
    Sending { request: InFlight, sent: usize },
    /// The response has not come completely.
    Waiting(InFlight),
    /// Free for the next request.
    Idle,
    /// Answered; the server was asked to close, and does not count as a connection any more.
    Closing,
}

/// A request on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    /// When it was due.
    pub(super) due: Instant,
    /// Index of the request.
    pub(super) request: usize,
}

/// What reading amounted to.
#[derive(Debug)]
pub(super) enum Read {
    /// More must come.
    Nothing,
    /// The response is complete.
    Answered { status: u16, reusable: bool },
    /// There will be none.
    Failed(Failure),
    /// The server closed a connection that was free, or said something nobody asked for.
    Gone,
}

#[derive(Debug)]
pub(super) enum Failure {
    /// Refused, reset or closed.
    Connect(io::Error),
    /// Not HTTP.
    Protocol(String),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Connect(errno.into())
    }
}

impl Connection {
    /// Begins to connect, for a request.
    pub(super) fn open(address: SocketAddr, server: usize, request: InFlight) -> Result<Self, Failure> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
        // A request longer than a segment would otherwise wait for the peer's delayed acknowledgement.
        sockopt::set_tcp_nodelay(&socket, true)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                Ok(Self { socket, server, state: State::Connecting(request), reader: ResponseReader::default() })
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// The request on it.
    pub(super) const fn in_flight(&self) -> Option<InFlight> {
        match self.state {
            State::Connecting(request) | State::Sending { request, .. } | State::Waiting(request) => Some(request),
            State::Idle | State::Closing => None,
        }
    }

    /// Sends a request, as much of it as fits.
    pub(super) fn send(&mut self, request: InFlight, bytes: &[u8], is_head: bool) -> Result<(), Failure> {
        self.reader.begin(is_head);
        self.state = State::Sending { request, sent: 0 };
        self.go_on_sending(bytes)
    }

    /// Whether a pending connection is there now.
    pub(super) fn check_connected(&self) -> Result<(), Failure> {
        Ok(sockopt::socket_error(&self.socket)??)
    }

    /// Sends what is left of the request.
    pub(super) fn go_on_sending(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let State::Sending { request, mut sent } = self.state else { return Ok(()) };
        while sent < bytes.len() {
            match send(&self.socket, &bytes[sent..], SendFlags::NOSIGNAL) {
                Ok(more) => sent += more,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.state = State::Sending { request, sent };
                    return Ok(());
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        self.state = State::Waiting(request);
        Ok(())
    }

    /// Reads what has come. `closed` says that the server has closed its side, so that everything must be read now.
    pub(super) fn read(&mut self, buffer: &mut [u8], closed: bool) -> Read {
        loop {
            let length = match recv(self.socket.as_fd(), &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Read::Nothing,
                Err(errno) => return if self.in_flight().is_some() { Read::Failed(errno.into()) } else { Read::Gone },
            };
            if self.in_flight().is_none() {
                return Read::Gone;
            }
            if length == 0 {
                return self.end();
            }
            match self.reader.feed(&buffer[..length], |_| ()) {
                Ok(Progress::Complete { used }) => {
                    // A server that answers before it has the whole request, or says more than it was asked, cannot be
                    // trusted with another one.
                    let clean = used == length && matches!(self.state, State::Waiting(_));
                    let reusable = clean && !closed && self.reader.is_persistent();
                    return Read::Answered { status: self.reader.status(), reusable };
                }
                // A short read has emptied the socket; the next byte is a new event.
                Ok(Progress::More) if length < buffer.len() && !closed => return Read::Nothing,
                Ok(Progress::More) => {}
                Err(malformed) => return Read::Failed(Failure::Protocol(malformed.to_string())),
            }
        }
    }

    fn end(&self) -> Read {
        if self.reader.is_complete_at_close() {
            return Read::Answered { status: self.reader.status(), reusable: false };
        }
        let when = if self.reader.has_begun() { "in the middle of the response" } else { "before it answered" };
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, format!("the server closed the connection {when}"));
        Read::Failed(Failure::Connect(error))
    }
}
