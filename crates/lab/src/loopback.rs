//! Where namespaces are refused: instances on addresses of the loopback network, with links of our own between them.

use std::{
    io,
    net::SocketAddr,
    os::{linux::net::SocketAddrExt, unix::net},
};

use model::resource::ResourceId;

use crate::addresses::Addresses;

/// The loopback addresses of a lab, and the links between them.
#[derive(Debug)]
pub(crate) struct Loopback {
    slot: u8,
    /// Holds the slot as long as the lab lives: an abstract socket has no file, and goes with its process.
    _claim: net::UnixListener,
}

impl Loopback {
    /// Claims a /16 of the loopback network that no other lab uses.
    pub(crate) fn claim() -> io::Result<Self> {
        // 127.0 is what everybody uses.
        for slot in 1..=254 {
            let name = net::SocketAddr::from_abstract_name(format!("shaketable-lab-127.{slot}"))?;
            match net::UnixListener::bind_addr(&name) {
                Ok(claim) => return Ok(Self { slot, _claim: claim }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("254 labs use the loopback network already"))
    }

    /// The second byte of the lab's addresses.
    pub(crate) const fn slot(&self) -> u8 {
        self.slot
    }

    pub(crate) fn connect(
        &self,
        _id: &ResourceId,
        _at: SocketAddr,
        balancers: &[(String, SocketAddr)],
        _addresses: &mut Addresses,
    ) -> io::Result<Vec<(String, SocketAddr)>> {
        Ok(balancers.to_vec())
    }

    pub(crate) fn reached_at(&self, _id: &ResourceId) -> Option<SocketAddr> {
        None
    }

    pub(crate) fn disconnect(&self, _id: &ResourceId) {}
}
