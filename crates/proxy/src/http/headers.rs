//! What a reverse proxy does to the fields of a message: takes away what concerns one connection only.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE},
};

/// What the fields of a message said about its connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hop {
    /// The connection ends after this message.
    pub(super) close: bool,
    /// The sender understands trailers.
    pub(super) trailers: bool,
    /// The sender offers (or agrees) to go on with another protocol.
    pub(super) upgrade: Option<HeaderValue>,
}

/// Fields that concern one connection (RFC 9110 section 7.6.1), besides those that `Connection` names. `Expect` is here because
/// we have answered it by the time the body flows.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// Takes away the fields that concern one connection: the known ones and those that `Connection` names (RFC 9110 section
/// 7.6.1). For whoever passes on no upgrades and no trailers.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    take_hop(headers);
}

/// Takes away the fields that concern one connection, and says what they said.
pub(super) fn take_hop(headers: &mut HeaderMap) -> Hop {
    let named: Vec<String> = tokens(headers, &CONNECTION).collect();
    let has = |option: &str| named.iter().any(|name| name == option);
    let upgrade = headers.get(UPGRADE).filter(|protocols| has("upgrade") && !is_http2(protocols)).cloned();
    let trailers = tokens(headers, &TE).any(|coding| coding == "trailers");
    let hop = Hop { close: has("close"), trailers, upgrade };
    if headers.contains_key(TRANSFER_ENCODING) {
        // It would be another opinion on where the message ends (RFC 9112 section 6.3).
        headers.remove(CONTENT_LENGTH);
    }
    // Where messages go and end is not the sender's to take away.
    let named = named.iter().filter_map(|name| name.parse().ok());
    for name in named.filter(|name| ![HOST, CONTENT_LENGTH].contains(name)).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    hop
}

/// Says over the next connection what was said over the one before, where that is meant to be passed on.
pub(super) fn put_hop(headers: &mut HeaderMap, hop: Hop, http2: bool) {
    if hop.trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if http2 {
        return;
    }
    let options = [("close", hop.close), ("te", hop.trailers), ("upgrade", hop.upgrade.is_some())];
    let options: Vec<&str> = options.into_iter().filter(|(_, said)| *said).map(|(option, _)| option).collect();
    if let Ok(options) = HeaderValue::try_from(options.join(", "))
        && !options.is_empty()
    {
        headers.insert(CONNECTION, options);
    }
    if let Some(protocols) = hop.upgrade {
        headers.insert(UPGRADE, protocols);
    }
}

/// An upgrade to HTTP/2 (RFC 7540 section 3.2, withdrawn by RFC 9113): rules would not see what comes after it.
fn is_http2(protocols: &HeaderValue) -> bool {
    protocols.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// The elements of a field that is a list, without parameters, in lower case.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|element| element.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii())
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn fields_that_connection_names_are_removed_with_the_known_ones() {
        let mut map = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "x-other, host, content-length, \u{e4}"),
            ("x-private", "1"),
            ("x-other", "2"),
            ("host", "web.lab"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers;q=0.5"),
            ("expect", "100-continue"),
            ("trailer", "x-sum"),
            ("proxy-authorization", "for whoever is next"),
            ("accept", "*/*"),
        ]);
        assert_eq!(take_hop(&mut map), Hop { close: true, ..Hop::default() }.with_trailers());
        let rest = [
            ("host", "web.lab"),
            ("content-length", "3"),
            ("trailer", "x-sum"),
            ("proxy-authorization", "for whoever is next"),
            ("accept", "*/*"),
        ];
        assert_eq!(map, headers(&rest));
    }

    impl Hop {
        fn with_trailers(self) -> Self {
            Self { trailers: true, ..self }
        }
    }

    #[test]
    fn there_is_one_opinion_on_where_a_message_ends() {
        let mut map = headers(&[("transfer-encoding", "chunked"), ("content-length", "3")]);
        take_hop(&mut map);
        assert!(map.is_empty());
    }

    #[test]
    fn an_upgrade_is_passed_on_but_not_one_to_http_2() {
        let mut map = headers(&[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")]);
        let hop = take_hop(&mut map);
        assert_eq!(map, headers(&[("sec-websocket-key", "x")]));
        put_hop(&mut map, hop, false);
        let passed = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")];
        assert_eq!(map, headers(&passed));
        for not in [
            headers(&[("upgrade", "websocket")]),
            headers(&[("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "x")]),
        ] {
            let mut map = not;
            assert_eq!(take_hop(&mut map), Hop::default());
            assert!(map.is_empty());
        }
    }

    #[test]
    fn trailers_stay_announced_on_the_next_connection() {
        for (http2, expected) in [
            (false, headers(&[("te", "trailers"), ("connection", "close, te")])),
            (true, headers(&[("te", "trailers")])),
        ] {
            let mut map = headers(&[("te", "gzip, trailers"), ("connection", "te, close")]);
            let hop = take_hop(&mut map);
            put_hop(&mut map, hop, http2);
            assert_eq!(map, expected);
        }
        let mut map = HeaderMap::new();
        put_hop(&mut map, Hop::default(), false);
        assert!(map.is_empty());
    }
}
