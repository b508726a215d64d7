//! A connection that its client has made, and whose other side is not there yet.

use std::{net::SocketAddr, os::fd::OwnedFd, vec};

use super::side::{Side, reset};

/// A connection on its way to its upstream.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) relay: u64,
    pub(super) number: u64,
    pub(super) client: OwnedFd,
    /// The socket that is being connected, if the addresses are known.
    pub(super) upstream: Option<OwnedFd>,
    /// Addresses that have not been tried.
    pub(super) left: vec::IntoIter<SocketAddr>,
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Its upstream is there.
    Made,
    /// Its upstream may come to be.
    Underway,
    /// No address answers; the last error says why.
    Failed(Option<std::io::Error>),
}

impl Opening {
    pub(super) fn new(relay: u64, number: u64, client: OwnedFd) -> Self {
        Self { relay, number, client, upstream: None, left: Vec::new().into_iter() }
    }

    /// Tries the addresses, one after the other.
    pub(super) fn attempt(&mut self) -> Attempt {
        let mut why = None;
        for address in self.left.by_ref() {
            match Side::connecting(address) {
                Ok((socket, made)) => {
                    self.upstream = Some(socket);
                    return if made { Attempt::Made } else { Attempt::Underway };
                }
                Err(error) => why = Some(error),
            }
        }
        Attempt::Failed(why)
    }

    /// It is given up, and who is there already is told the way a refusal would.
    pub(super) fn reset(self) {
        reset(self.client);
        self.upstream.into_iter().for_each(reset);
    }
}
