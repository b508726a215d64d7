//! A rule: which exchanges it concerns, and what it does to them.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::glob::Glob;

/// Which exchanges a rule concerns, and what it does to them. An exchange is a request and its response.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub(super) name: String,
    /// Which exchanges it concerns.
    pub of: Matches,
    /// To how many of these it is applied, in percent: from 0 to 100.
    pub percentage: f64,
    /// When it delays and aborts.
    pub at: Phase,
    /// How long it delays.
    pub delay: Option<Delay>,
    /// How it aborts, after the delay if there is one.
    pub abort: Option<Abort>,
    /// What it does to requests.
    pub request: Change,
    /// What it does to responses.
    pub response: Change,
    /// The status that it gives to responses.
    pub status: Option<StatusCode>,
}

/// When a rule delays and aborts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// Before the upstream hears of the request.
    #[default]
    Request,
    /// When the upstream has answered: it has done its work, and the client does not learn of it (in time).
    Response,
}

/// Which exchanges: those for which everything that is said holds. A matcher of which nothing is said matches nothing: what is
/// meant for everything says so, with the path `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// The method.
    pub method: Option<Method>,
    /// The path, without the query, as it is on the wire (percent-encoded).
    pub path: Option<Glob>,
    /// Fields of the request, each of which has a value that matches. `host` is the authority, in HTTP/2 too.
    pub headers: Vec<(HeaderName, Glob)>,
    /// The status of the response.
    pub status: Option<StatusCode>,
    /// Fields of the response.
    pub response_headers: Vec<(HeaderName, Glob)>,
}

/// How long an exchange waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// So long.
    pub latency: Duration,
    /// Give or take up to so much, evenly distributed; never less than nothing.
    pub jitter: Duration,
}

/// How an exchange ends instead of being answered by the upstream.
#[derive(Debug, Clone, PartialEq)]
pub enum Abort {
    /// With a response of our own.
    Status {
        /// Its status: 200 to 599.
        status: StatusCode,
        /// Its fields, besides those that say how long its body is.
        headers: Vec<(HeaderName, HeaderValue)>,
        /// Its body.
        body: Bytes,
    },
    /// Without a response: the connection is reset (HTTP/1), or the stream is (HTTP/2).
    Connection,
}

/// What is done to a request or a response.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Fields that it then has, with this one value each.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Fields that it has no longer.
    pub remove: Vec<HeaderName>,
    /// What becomes of its body.
    pub body: Option<BodyChange>,
}

/// What becomes of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum BodyChange {
    /// It is another one.
    Replace(Bytes),
    /// It is JSON, and this is merged into it (RFC 7396). A body that is no JSON, is compressed, or is longer than
    /// [`BODY_LIMIT`](super::BODY_LIMIT) passes as it is.
    Patch(Value),
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(pub(super) String);

/// The longest delay: a day. What is meant to wait longer is meant to be aborted.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Fields that say where a message goes and where it ends: a rule that set them would break the framing of a connection.
const FRAMING: [HeaderName; 7] = [
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::HOST,
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];

impl Rule {
    /// A rule that does nothing yet to exchanges that match.
    #[must_use]
    pub fn new(name: impl Into<String>, of: Matches) -> Self {
        Self {
            name: name.into(),
            of,
            percentage: 100.0,
            at: Phase::Request,
            delay: None,
            abort: None,
            request: Change::default(),
            response: Change::default(),
            status: None,
        }
    }

    /// Tells it from others.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// To only this percentage of the exchanges that match, from 0 to 100.
    #[must_use]
    pub fn percentage(self, percentage: f64) -> Self {
        Self { percentage, ..self }
    }

    /// Delays and aborts before the upstream hears of the request (which is usual), or when it has answered.
    #[must_use]
    pub fn at(self, at: Phase) -> Self {
        Self { at, ..self }
    }

    /// Delays.
    #[must_use]
    pub fn delay(self, latency: Duration, jitter: Duration) -> Self {
        Self { delay: Some(Delay { latency, jitter }), ..self }
    }

    /// Aborts, after the delay if there is one.
    #[must_use]
    pub fn abort(self, abort: Abort) -> Self {
        Self { abort: Some(abort), ..self }
    }

    /// Changes the request.
    #[must_use]
    pub fn request(self, request: Change) -> Self {
        Self { request, ..self }
    }

    /// Changes the response.
    #[must_use]
    pub fn response(self, response: Change) -> Self {
        Self { response, ..self }
    }

    /// Gives the response another status.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The same rule, if it makes sense.
    ///
    /// # Errors
    ///
    /// When it does nothing, concerns nothing, or says what cannot be.
    pub fn checked(self) -> Result<Self, Problem> {
        self.check().map_err(Problem)?;
        Ok(self)
    }

    fn check(&self) -> Result<(), String> {
        let fail = |what: &str| Err(what.to_owned());
        let changes_response = self.response != Change::default() || self.status.is_some();
        let changes = self.request != Change::default() || changes_response;
        if self.name.is_empty() {
            return fail("it has no `name`");
        }
        if self.of == Matches::default() {
            return fail("its `match` says nothing; what is meant for everything says {\"path\": \"*\"}");
        }
        if !(0.0..=100.0).contains(&self.percentage) {
            return fail("its `percentage` is not from 0 to 100");
        }
        if self.delay.is_none() && self.abort.is_none() && !changes {
            return fail("it does nothing; it needs a `delay`, an `abort`, or changes to `request` or `response`");
        }
        if self.abort.is_some() && changes_response {
            return fail("after its `abort` there is no `response` to change");
        }
        if self.of.looks_at_response() {
            if self.request != Change::default() {
                return fail("what depends on the response cannot change the `request`");
            }
            if self.at == Phase::Request && (self.delay.is_some() || self.abort.is_some()) {
                return fail("what depends on the response happens then: say \"at\": \"response\"");
            }
        }
        if self.delay.is_some_and(|delay| delay.latency > LONGEST || delay.jitter > LONGEST) {
            return fail("its `delay` is longer than a day");
        }
        self.check_made_up()
    }

    /// What it makes up: statuses and fields.
    fn check_made_up(&self) -> Result<(), String> {
        let (aborts, fields) = match &self.abort {
            Some(Abort::Status { status, headers, .. }) => (Some(*status), &headers[..]),
            Some(Abort::Connection) | None => (None, &[][..]),
        };
        if aborts.into_iter().chain(self.status).any(|status| !(200..600).contains(&status.as_u16())) {
            return Err("a `status` that it makes up must be from 200 to 599".to_owned());
        }
        let mut names = [fields, &self.request.set, &self.response.set].into_iter().flatten().map(|(name, _)| name);
        match names.find(|name| FRAMING.contains(name)) {
            Some(name) => Err(format!("`{name}` cannot be set: it says where messages go and end")),
            None => Ok(()),
        }
    }
}

impl Matches {
    /// Everything.
    ///
    /// # Panics
    ///
    /// Never: `*` is a pattern.
    #[must_use]
    pub fn everything() -> Self {
        Self { path: Some(Glob::new("*").expect("it is not empty")), ..Self::default() }
    }

    /// Whether it can be told only when the response is there.
    pub(super) fn looks_at_response(&self) -> bool {
        self.status.is_some() || !self.response_headers.is_empty()
    }

    /// Whether a request matches, as far as it goes.
    pub(super) fn request(&self, request: &http::request::Parts) -> bool {
        let field = |name: &HeaderName, glob: &Glob| {
            let authority = request.uri.authority().filter(|_| *name == http::header::HOST);
            match authority {
                Some(authority) => glob.matches(authority.as_str().as_bytes()),
                None => has(&request.headers, name, glob),
            }
        };
        self.method.as_ref().is_none_or(|method| *method == request.method)
            && self.path.as_ref().is_none_or(|path| path.matches(request.uri.path().as_bytes()))
            && self.headers.iter().all(|(name, glob)| field(name, glob))
    }

    /// Whether a response matches.
    pub(super) fn response(&self, response: &http::response::Parts) -> bool {
        self.status.is_none_or(|status| status == response.status)
            && self.response_headers.iter().all(|(name, glob)| has(&response.headers, name, glob))
    }
}

fn has(headers: &http::HeaderMap, name: &HeaderName, glob: &Glob) -> bool {
    headers.get_all(name).iter().any(|value| glob.matches(value.as_bytes()))
}

impl Delay {
    /// The delay that a number from 0 to 1 picks.
    pub(super) fn at(&self, place: f64) -> Duration {
        (self.latency + self.jitter.mul_f64(2.0 * place.clamp(0.0, 1.0))).saturating_sub(self.jitter)
    }
}
