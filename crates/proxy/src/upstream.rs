//! Where a relay leads: a host and a port.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
};

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// An address.
    Address(SocketAddr),
    /// A name, whose addresses change.
    Name {
        /// The name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Upstream {
    /// From `host:port`; without a host it is this machine.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let refused = || {
            let why = format!("`{text}` is no upstream; a host and a port are, such as `localhost:80` or `[::1]:80`");
            io::Error::new(io::ErrorKind::InvalidInput, why)
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().map_err(|_| refused())?;
        if host.contains([':', '[', ']', '/', '@']) || host.contains(char::is_whitespace) {
            return Err(refused());
        }
        let host = if host.is_empty() { "localhost" } else { host }.to_owned();
        Ok(Self::Name { host, port })
    }
}

/// Looks up the addresses of a name; takes as long as the system's resolver does.
pub(crate) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_are_upstreams() {
        let name = |host: &str, port| Upstream::Name { host: host.to_owned(), port };
        assert_eq!(Upstream::parse("10.0.0.1:80").unwrap(), Upstream::Address(([10, 0, 0, 1], 80).into()));
        assert_eq!(Upstream::parse("[::1]:80").unwrap(), Upstream::Address("[::1]:80".parse().unwrap()));
        assert_eq!(Upstream::parse("db.example:5432").unwrap(), name("db.example", 5432));
        assert_eq!(Upstream::parse(":80").unwrap(), name("localhost", 80));
    }

    #[test]
    fn what_is_no_upstream_is_refused_with_an_example() {
        for text in ["", "host", "host:", "host:http", "host:70000", "::1:80", "http://host:80", "a b:80", "u@h:80"] {
            let error = Upstream::parse(text).unwrap_err();
            assert!(error.to_string().contains("`localhost:80`"), "{error}");
        }
    }
}
