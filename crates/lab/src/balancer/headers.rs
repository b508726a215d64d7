//! What a reverse proxy does to headers: pure functions over a [`HeaderMap`].

use std::{net::IpAddr, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{COOKIE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TRAILER},
};

/// The name of the cookie that binds a client to a target (an ALB's is `AWSALB`).
pub(super) const COOKIE_NAME: &str = "SHAKETABLELB";

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Removes the fields that concern one connection, and those that RFC 2616 section 13.5.1 counted among them: a balancer
/// asks for no password of its own, and passes on no trailers.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    proxy::http::remove_hop_by_hop(headers);
    for name in [PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRAILER] {
        headers.remove(name);
    }
}

/// Tells the target who asked: appends to `X-Forwarded-For`, sets `X-Forwarded-Proto` and `X-Forwarded-Port`.
pub(super) fn add_forwarded(headers: &mut HeaderMap, client: IpAddr, port: u16) {
    let earlier = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let chain = earlier.map(str::to_owned).chain([client.to_string()]).collect::<Vec<_>>().join(", ");
    if let Ok(chain) = HeaderValue::try_from(chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PORT, HeaderValue::from(port));
}

/// The value of the balancer's own cookie, if the client sent it.
pub(super) fn sticky_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

/// Binds the client to a target for this long from now.
pub(super) fn set_sticky_cookie(headers: &mut HeaderMap, value: &str, lasts: Duration) {
    let cookie = format!("{COOKIE_NAME}={value}; Max-Age={}; Path=/; HttpOnly", lasts.as_secs());
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
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
            ("connection", "x-other, host"),
            ("x-private", "1"),
            ("x-other", "2"),
            ("host", "web.lab"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ]);
        remove_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("host", "web.lab"), ("accept", "*/*")]));
    }

    #[test]
    fn the_client_is_appended_to_the_chain_of_proxies_before_it() {
        let mut map = headers(&[
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-proto", "https"),
        ]);
        add_forwarded(&mut map, "10.0.0.9".parse().unwrap(), 80);
        assert_eq!(map.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), ["203.0.113.7, 198.51.100.1, 10.0.0.9"]);
        assert_eq!(map.get_all("x-forwarded-proto").iter().collect::<Vec<_>>(), ["http"]);
        assert_eq!(map["x-forwarded-port"], "80");
    }

    #[test]
    fn the_cookie_is_found_among_others_and_nowhere_else() {
        assert_eq!(sticky_cookie(&headers(&[("cookie", "a=b; SHAKETABLELB=01ab; c=d")])), Some("01ab"));
        assert_eq!(sticky_cookie(&headers(&[("cookie", "a=b"), ("cookie", "SHAKETABLELB=7")])), Some("7"));
        assert_eq!(sticky_cookie(&headers(&[("cookie", "XSHAKETABLELB=7; a=SHAKETABLELB")])), None);
        assert_eq!(sticky_cookie(&headers(&[])), None);
    }

    #[test]
    fn the_cookie_set_says_how_long_it_lasts_and_leaves_the_targets_own_alone() {
        let mut map = headers(&[("set-cookie", "session=1")]);
        set_sticky_cookie(&mut map, "01ab", Duration::from_secs(60));
        let cookies: Vec<_> = map.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["session=1", "SHAKETABLELB=01ab; Max-Age=60; Path=/; HttpOnly"]);
    }
}
