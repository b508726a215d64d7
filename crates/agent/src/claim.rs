//! One experiment at a time on one resource: a claim that ends with the process that made it.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

/// The claim of this process on a resource. Other processes of this network namespace, whoever runs them, see it.
///
/// It is the name of an abstract socket: the kernel gives it to one process at a time, takes it back when that process ends
/// in whatever way, and keeps it in no file system.
#[derive(Debug)]
pub(crate) struct Claim(#[expect(dead_code, reason = "held, never asked")] UnixListener);

impl Claim {
    /// Claims a resource; `None` when somebody else has.
    pub(crate) fn of(resource: &str) -> io::Result<Option<Self>> {
        let name = SocketAddr::from_abstract_name(format!("shaketable:{resource}"))?;
        match UnixListener::bind_addr(&name) {
            Ok(socket) => Ok(Some(Self(socket))),
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(why) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_claimed_once_at_a_time() {
        let name = format!("test of claims[{}]", std::process::id());
        let first = Claim::of(&name).unwrap().expect("nobody has it");
        assert!(Claim::of(&name).unwrap().is_none());
        drop(first);
        assert!(Claim::of(&name).unwrap().is_some());
    }
}
