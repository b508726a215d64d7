//! What a request asks for: the table of paths and methods.

use super::{
    Error,
    wire::{self, NewProxy, ProxyChange, ToxicChange},
};
use crate::{http::Rule, toxic::Applied};

/// What is read from a body: whether it is right matters only when the thing it is for exists.
type Body<T> = Result<T, Error>;

/// What a request asks for. The names are those of proxies, toxics and rules.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `GET /proxies`
    List,
    /// `POST /proxies`
    Create(Body<NewProxy>),
    /// `POST /populate`
    Populate(Body<Vec<NewProxy>>),
    /// `GET /proxies/{proxy}`
    Show(String),
    /// `PATCH /proxies/{proxy}`, or `POST` as it used to be
    Update(String, Body<ProxyChange>),
    /// `DELETE /proxies/{proxy}`
    Delete(String),
    /// `GET /proxies/{proxy}/toxics`
    ListToxics(String),
    /// `POST /proxies/{proxy}/toxics`
    AddToxic(String, Body<Applied>),
    /// `GET /proxies/{proxy}/toxics/{toxic}`
    ShowToxic(String, String),
    /// `PATCH /proxies/{proxy}/toxics/{toxic}`, or `POST` as it used to be
    UpdateToxic(String, String, Body<ToxicChange>),
    /// `DELETE /proxies/{proxy}/toxics/{toxic}`
    RemoveToxic(String, String),
    /// `POST /reset`
    Reset,
    /// `GET /version`
    Version,
    /// `GET /metrics`
    Metrics,
    /// `GET /shaketable/v1/proxies/{proxy}/http`
    ListRules(String),
    /// `PUT /shaketable/v1/proxies/{proxy}/http`
    SetRules(String, Body<Vec<Rule>>),
    /// `POST /shaketable/v1/proxies/{proxy}/http`
    AddRule(String, Body<Rule>),
    /// `DELETE /shaketable/v1/proxies/{proxy}/http`
    LeaveHttp(String),
    /// `GET /shaketable/v1/proxies/{proxy}/http/{rule}`
    ShowRule(String, String),
    /// `PUT /shaketable/v1/proxies/{proxy}/http/{rule}`
    PutRule(String, Body<Rule>),
    /// `DELETE /shaketable/v1/proxies/{proxy}/http/{rule}`
    RemoveRule(String, String),
}

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// When there is nothing at this path, or not for this method.
    pub fn read(method: &str, path: &str, body: &[u8]) -> Result<Self, Error> {
        let segments = path.strip_prefix('/').ok_or(Error::NoSuchPath)?.split('/').map(decode);
        let segments: Vec<String> = segments.collect::<Option<_>>().ok_or(Error::NoSuchPath)?;
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let change = matches!(method, "POST" | "PATCH");
        match (&words[..], method) {
            (["proxies"], "GET") => Ok(Self::List),
            (["proxies"], "POST") => Ok(Self::Create(NewProxy::read(body))),
            (["proxies"], _) => Err(Error::NoSuchMethod("GET, POST")),
            (["populate"], "POST") => Ok(Self::Populate(NewProxy::read_list(body))),
            (["reset"], "POST") => Ok(Self::Reset),
            (["populate" | "reset"], _) => Err(Error::NoSuchMethod("POST")),
            (["version"], "GET") => Ok(Self::Version),
            (["metrics"], "GET") => Ok(Self::Metrics),
            (["version" | "metrics"], _) => Err(Error::NoSuchMethod("GET")),
            (["proxies", proxy, rest @ ..], _) if !proxy.is_empty() => {
                let proxy = (*proxy).to_owned();
                match (rest, method) {
                    ([], "GET") => Ok(Self::Show(proxy)),
                    ([], "DELETE") => Ok(Self::Delete(proxy)),
                    ([], _) if change => Ok(Self::Update(proxy, ProxyChange::read(body))),
                    ([], _) => Err(Error::NoSuchMethod("GET, PATCH, POST, DELETE")),
                    (["toxics"], "GET") => Ok(Self::ListToxics(proxy)),
                    (["toxics"], "POST") => Ok(Self::AddToxic(proxy, wire::toxic(body))),
                    (["toxics"], _) => Err(Error::NoSuchMethod("GET, POST")),
                    (["toxics", toxic], "GET") => Ok(Self::ShowToxic(proxy, (*toxic).to_owned())),
                    (["toxics", toxic], "DELETE") => Ok(Self::RemoveToxic(proxy, (*toxic).to_owned())),
                    (["toxics", toxic], _) if change => {
                        Ok(Self::UpdateToxic(proxy, (*toxic).to_owned(), ToxicChange::read(body)))
                    }
                    (["toxics", _], _) => Err(Error::NoSuchMethod("GET, PATCH, POST, DELETE")),
                    _ => Err(Error::NoSuchPath),
                }
            }
            (["shaketable", "v1", "proxies", proxy, "http", rest @ ..], _) => {
                Self::read_http((*proxy).to_owned(), rest, method, body)
            }
            _ => Err(Error::NoSuchPath),
        }
    }

    /// What is ours, and not Toxiproxy's.
    fn read_http(proxy: String, rest: &[&str], method: &str, body: &[u8]) -> Result<Self, Error> {
        match (rest, method) {
            ([], "GET") => Ok(Self::ListRules(proxy)),
            ([], "PUT") => Ok(Self::SetRules(proxy, wire::rules(body))),
            ([], "POST") => Ok(Self::AddRule(proxy, wire::rule(body, None))),
            ([], "DELETE") => Ok(Self::LeaveHttp(proxy)),
            ([], _) => Err(Error::NoSuchMethod("GET, PUT, POST, DELETE")),
            ([rule], "GET") => Ok(Self::ShowRule(proxy, (*rule).to_owned())),
            ([rule], "PUT") => Ok(Self::PutRule(proxy, wire::rule(body, Some(rule)))),
            ([rule], "DELETE") => Ok(Self::RemoveRule(proxy, (*rule).to_owned())),
            ([_], _) => Err(Error::NoSuchMethod("GET, PUT, DELETE")),
            _ => Err(Error::NoSuchPath),
        }
    }
}

/// A segment of a path without percent-encoding (RFC 3986 section 2.1); `None` when that leaves no text.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(after.get(..2)?).ok().filter(|hex| !hex.starts_with('+'))?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_may_have_any_characters_when_they_are_encoded() {
        let path = "/proxies/a%20b%2Fc%C3%A4/toxics/x.y";
        let expected = Call::ShowToxic("a b/cä".to_owned(), "x.y".to_owned());
        assert_eq!(Call::read("GET", path, b""), Ok(expected));
        for wrong in ["/proxies/%", "/proxies/%2", "/proxies/%+1", "/proxies/%ff", "proxies", "", "/", "/proxies/"] {
            assert_eq!(Call::read("GET", wrong, b""), Err(Error::NoSuchPath), "{wrong}");
        }
    }

    #[test]
    fn a_method_that_a_path_does_not_take_is_told_from_a_path_that_is_not_there() {
        for (method, path) in [
            ("PUT", "/proxies"),
            ("GET", "/reset"),
            ("POST", "/version"),
            ("PUT", "/proxies/a"),
            ("DELETE", "/proxies/a/toxics"),
            ("PUT", "/proxies/a/toxics/b"),
            ("OPTIONS", "/proxies"),
            ("PATCH", "/shaketable/v1/proxies/a/http"),
            ("POST", "/shaketable/v1/proxies/a/http/b"),
        ] {
            assert!(matches!(Call::read(method, path, b""), Err(Error::NoSuchMethod(_))), "{method} {path}");
        }
        for path in
            ["/proxy", "/proxies/a/b", "/proxies/a/toxics/b/c", "/shaketable/v1", "/shaketable/v2/proxies/a/http"]
        {
            assert_eq!(Call::read("GET", path, b""), Err(Error::NoSuchPath), "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_anybody_sends_makes_it_panic(
            method in prop_oneof!["GET|POST|PUT|PATCH|DELETE", ".*"],
            path in prop_oneof!["/(proxies|populate|shaketable/v1/proxies)(/[a%0-9]{1,4}(/(toxics|http)(/.{1,3})?)?)?", ".*"],
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                r#"\[?\{("(name|type|stream|attributes|toxicity|latency|listen|match)":("[a-z_]*"|-?[0-9.e]{1,20}|null|\{\}|\[\]),?){0,4}\}\]?"#
                    .prop_map(String::into_bytes),
            ],
        ) {
            let _read = Call::read(&method, &path, &body);
        }
    }
}
