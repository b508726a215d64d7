//! Absolute `http://` and `https://` URLs: as much of them as a client needs.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

/// Names and the addresses they stand for, asked before the system's resolver.
pub type Hosts = BTreeMap<String, Host>;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Its address.
    pub ip: IpAddr,
    /// The port to connect to whatever the URL says, where the server could not have the port it is known by.
    pub port: Option<u16>,
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self { ip, port: None }
    }
}

/// An absolute URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whether it is `https://`.
    pub tls: bool,
    /// Host name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// Port; 80 or 443 unless written.
    pub port: u16,
    /// Path and query, beginning with `/`. A fragment is no business of the server and is left out.
    pub path: String,
}

/// Why a text is not a usable URL, or its host has no address.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute HTTP URL.
    #[error("`{url}` is not an absolute HTTP URL: {why}; write for example http://web.lab/health")]
    Syntax {
        /// As written.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The host has no address.
    #[error("cannot find the address of `{host}`")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
}

impl std::str::FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let wrong = |why| UrlError::Syntax { url: text.to_owned(), why };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("its scheme is neither http nor https")),
        };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(wrong("it contains a space or a control character; write %20"));
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("user names in URLs are not supported; set an Authorization header"));
        }
        let default = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[').map(|inner| inner.split_once(']')) {
            Some(Some((host, rest))) => (host, rest),
            Some(None) => return Err(wrong("the bracket of its IPv6 address is not closed")),
            None => authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon)),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default,
            Some("") => default,
            Some(port) => {
                port.parse().ok().filter(|&port| port != 0).ok_or_else(|| wrong("its port is not 1 to 65535"))?
            }
            None => return Err(wrong("there is something between its host and its path")),
        };
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { tls, host: host.to_owned(), port, path })
    }
}

impl Url {
    /// The value of the `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    /// Its address, by the given names first and the system's resolver second (which may wait for a name server).
    ///
    /// # Errors
    ///
    /// When neither knows the host.
    pub fn resolve(&self, hosts: &Hosts) -> Result<SocketAddr, UrlError> {
        resolve(&self.host, self.port, hosts)
    }
}

/// The address of a host, by the given names first and the system's resolver second (which may wait for a name server).
///
/// # Errors
///
/// When neither knows the host.
pub fn resolve(host: &str, port: u16, hosts: &Hosts) -> Result<SocketAddr, UrlError> {
    if let Some(known) = hosts.get(host) {
        return Ok(SocketAddr::new(known.ip, known.port.unwrap_or(port)));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let failed = |source| UrlError::Resolve { host: host.to_owned(), source };
    (host, port)
        .to_socket_addrs()
        .map_err(failed)?
        .next()
        .ok_or_else(|| failed(io::Error::new(io::ErrorKind::NotFound, "the resolver gave no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, tls, host, port, path, authority) in [
            ("http://web.lab", false, "web.lab", 80, "/", "web.lab"),
            ("http://web.lab:8080/a/b?c=d#e", false, "web.lab", 8080, "/a/b?c=d", "web.lab:8080"),
            ("HTTPS://x?y", true, "x", 443, "/?y", "x"),
            ("http://[::1]:81/", false, "::1", 81, "/", "[::1]:81"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url, Url { tls, host: host.to_owned(), port, path: path.to_owned() }, "{text}");
            assert_eq!(url.authority(), authority);
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (text, why) in [
            ("web.lab/", "no scheme"),
            ("ftp://x/", "neither http nor https"),
            ("http:///x", "no host"),
            ("http://x:0/", "port"),
            ("http://x:99999/", "port"),
            ("http://[::1/", "not closed"),
            ("http://[::1]x/", "between"),
            ("http://a@b/", "user names"),
            ("http://x/a b", "space"),
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn given_names_come_before_the_resolver() {
        let ip = IpAddr::from([127, 0, 0, 9]);
        let hosts = Hosts::from([
            ("web.lab".to_owned(), Host::from(ip)),
            ("api.lab".to_owned(), Host { ip, port: Some(40_001) }),
        ]);
        let url: Url = "http://web.lab:81/".parse().unwrap();
        assert_eq!(url.resolve(&hosts).unwrap(), SocketAddr::from((ip, 81)));
        assert_eq!(resolve("api.lab", 80, &hosts).unwrap(), SocketAddr::from((ip, 40_001)));
        assert_eq!(resolve("::1", 9, &hosts).unwrap(), "[::1]:9".parse().unwrap());
    }
}
