//! Requests as bytes, ready to be sent.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddr};

use model::load::{HttpLoad, HttpRequest};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::url::{Hosts, Url, UrlError};

/// Why a load cannot be started as it is written.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The load speaks plain HTTP only.
    #[error("the load cannot send to `{url}`: it speaks http:// only; use a `command` load for https://")]
    Tls {
        /// As written.
        url: String,
    },
    /// A method, header name or header value that would break the request.
    #[error(
        "the {what} `{text}` of the request to `{url}` cannot be sent: it has a character that HTTP does not allow there"
    )]
    Character {
        /// `method`, `header name` or `header value`.
        what: &'static str,
        /// As written.
        text: String,
        /// Of which request.
        url: String,
    },
    /// No request, or all weights are zero.
    #[error("the load has no request to send; give at least one with a weight of 1 or more")]
    Empty,
}

/// All requests of a load, with the servers they go to.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) all: Vec<Request>,
    total: u32,
    choice: SmallRng,
}

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Request {
    /// Index of its server.
    pub(crate) server: usize,
    pub(crate) bytes: Vec<u8>,
    /// Whether its responses have no body.
    pub(crate) is_head: bool,
    /// Weights up to and including this one.
    up_to: u32,
}

impl Requests {
    pub(crate) fn of(load: &HttpLoad, hosts: &Hosts, seed: u64) -> Result<Self, RequestError> {
        let mut servers: Vec<SocketAddr> = Vec::new();
        let mut known = BTreeMap::new();
        let (mut all, mut total) = (Vec::new(), 0_u32);
        for request in load.requests.iter().filter(|request| request.weight > 0) {
            let url: Url = request.url.parse()?;
            if url.tls {
                return Err(RequestError::Tls { url: request.url.clone() });
            }
            let address = url.resolve(hosts)?;
            let server = *known.entry(address).or_insert_with(|| {
                servers.push(address);
                servers.len() - 1
            });
            total = total.saturating_add(request.weight);
            let is_head = request.method.eq_ignore_ascii_case("HEAD");
            all.push(Request { server, bytes: encode(request, &url, load.keep_alive)?, is_head, up_to: total });
        }
        if all.is_empty() {
            return Err(RequestError::Empty);
        }
        Ok(Self { servers, all, total, choice: SmallRng::seed_from_u64(seed) })
    }

    /// The next request by weight.
    pub(crate) fn choose(&mut self) -> usize {
        if self.all.len() == 1 {
            return 0;
        }
        let draw = self.choice.random_range(0..self.total);
        self.all.partition_point(|request| request.up_to <= draw)
    }
}

fn encode(request: &HttpRequest, url: &Url, keep_alive: bool) -> Result<Vec<u8>, RequestError> {
    let refuse = |what, text: &str| RequestError::Character { what, text: text.to_owned(), url: request.url.clone() };
    if request.method.is_empty() || !request.method.bytes().all(is_token) {
        return Err(refuse("method", &request.method));
    }
    for (name, value) in &request.headers {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(refuse("header name", name));
        }
        if value.bytes().any(|byte| byte != b'\t' && (byte < b' ' || byte == 0x7f)) {
            return Err(refuse("header value", value));
        }
    }
    let given = |name: &str| request.headers.keys().any(|other| other.eq_ignore_ascii_case(name));
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, url.path);
    let mut ours = vec![
        ("Host", url.authority()),
        ("User-Agent", concat!("shaketable/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("Accept", "*/*".to_owned()),
    ];
    if !keep_alive {
        ours.push(("Connection", "close".to_owned()));
    }
    // A server that waits for the body of a POST wants to be told that there is none.
    if request.body.is_some() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        ours.push(("Content-Length", request.body.as_ref().map_or(0, String::len).to_string()));
    }
    let ours = ours.iter().filter(|(name, _)| !given(name)).map(|(name, value)| (*name, value.as_str()));
    for (name, value) in ours.chain(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        // Writing to a String cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    head.push_str(request.body.as_deref().unwrap_or_default());
    Ok(head.into_bytes())
}

/// RFC 9110, 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use model::Period;

    use super::*;

    fn request(url: &str, weight: u32) -> HttpRequest {
        HttpRequest { url: url.to_owned(), method: "GET".to_owned(), headers: BTreeMap::new(), body: None, weight }
    }

    fn load(requests: Vec<HttpRequest>) -> HttpLoad {
        HttpLoad {
            requests,
            rate: 1.0,
            ramp: Vec::new(),
            keep_alive: true,
            timeout: Period::from_secs(1),
            connections: 1,
        }
    }

    #[test]
    fn requests_are_complete_and_given_headers_win() {
        let mut post = request("http://127.0.0.1:81/a?b", 1);
        post.method = "POST".to_owned();
        post.body = Some("x=1".to_owned());
        post.headers.insert("host".to_owned(), "web.lab".to_owned());
        let requests = Requests::of(&load(vec![post]), &Hosts::new(), 1).unwrap();
        let text = String::from_utf8(requests.all[0].bytes.clone()).unwrap();
        assert!(text.starts_with("POST /a?b HTTP/1.1\r\n") && text.ends_with("\r\n\r\nx=1"), "{text}");
        assert!(text.contains("\r\nContent-Length: 3\r\n") && text.contains("\r\nhost: web.lab\r\n"), "{text}");
        assert!(!text.contains("Host: 127"), "{text}");
    }

    #[test]
    fn requests_are_chosen_by_weight_and_the_seed_repeats_it() {
        let of = |seed| {
            let urls = load(vec![
                request("http://127.0.0.1/a", 3),
                request("http://127.0.0.1/none", 0),
                request("http://127.0.0.2/b", 1),
            ]);
            let mut requests = Requests::of(&urls, &Hosts::new(), seed).unwrap();
            (0..4_000).map(|_| requests.choose()).collect::<Vec<usize>>()
        };
        let chosen = of(7);
        let first = chosen.iter().filter(|&&which| which == 0).count();
        assert!((2_850..=3_150).contains(&first), "{first} of 4,000 with a weight of 3 in 4");
        assert!(chosen.iter().all(|&which| which < 2));
        assert_eq!(chosen, of(7));
        assert_ne!(chosen, of(8));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let error = |requests| Requests::of(&load(requests), &Hosts::new(), 1).unwrap_err().to_string();
        assert!(error(vec![request("https://127.0.0.1/", 1)]).contains("http:// only"));
        assert!(error(vec![request("http://127.0.0.1/", 0)]).contains("no request"));
        let mut split = request("http://127.0.0.1/", 1);
        split.headers.insert("X".to_owned(), "a\r\nInjected: b".to_owned());
        assert!(error(vec![split]).contains("header value"));
    }
}
