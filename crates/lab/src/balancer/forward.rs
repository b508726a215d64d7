//! One request through the balancer: choose a target, pass the request on, try another where that is safe, pass the
//! response back.
//!
//! A request is tried again only when that cannot do harm (RFC 9110 section 9.2.2):
//!
//! - nothing of it was written (no connection, or the connection was found closed): always, on every target there is;
//! - it was written and no response head came back: when its method is idempotent and it has no body to send again, as
//!   often as the balancer's `retries` say.
//!
//! A kept-alive connection that turns out to be closed says nothing about the target, so the same target is asked once
//! more on a new connection (RFC 9112 section 9.3.1); every other retry goes to a target not tried yet. A target that is
//! merely slow is not given up for another: after the balancer's timeout the client gets 504, as from an ALB.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::HOST,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout};

use super::{
    answer::{Answer, Passing},
    headers,
    service::Shared,
    target::Member,
};
use crate::upstream::{Failure, Outgoing};

/// Why the balancer answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// Not a request that can be passed on.
    BadRequest(&'static str),
    /// The request failed at every target that it could be tried on.
    BadGateway,
    /// There is no target.
    NoTarget,
    /// The target took too long.
    Timeout,
}

impl Own {
    const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::NoTarget => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::BadRequest(why) => why,
            Self::BadGateway => "no target could be reached\n",
            Self::NoTarget => "no target is registered\n",
            Self::Timeout => "the target did not answer in time\n",
        }
    }
}

/// Answers one request of a client.
pub(super) async fn forward(shared: &Shared, client: IpAddr, request: Request<Incoming>) -> Response<Answer> {
    shared.requests.fetch_add(1, Relaxed);
    match attempt_all(shared, client, request).await {
        Ok(response) => {
            if response.status().is_server_error() {
                shared.target_errors.fetch_add(1, Relaxed);
            }
            response
        }
        Err(own) => {
            if own.status().is_server_error() {
                shared.own_errors.fetch_add(1, Relaxed);
            }
            let mut response = Response::new(Answer::text(own.text()));
            *response.status_mut() = own.status();
            response
        }
    }
}

async fn attempt_all(shared: &Shared, client: IpAddr, request: Request<Incoming>) -> Result<Response<Answer>, Own> {
    let (mut parts, body) = request.into_parts();
    into_origin_form(&mut parts)?;
    headers::remove_hop_by_hop(&mut parts.headers);
    headers::add_forwarded(&mut parts.headers, client, shared.spec.port);
    let mut body = if body.is_end_stream() { Outgoing::Empty } else { Outgoing::Stream(body) };
    let repeatable = parts.method.is_idempotent() && matches!(body, Outgoing::Empty);

    let mut tried: Vec<Arc<Member>> = Vec::new();
    let mut own = Own::NoTarget;
    let mut retries = shared.spec.retries;
    // Silent targets cost their connection time-out each; the client waits no longer for many than for one.
    let deadline = Instant::now() + shared.spec.timeout.get();
    while let Some(member) = shared.pick(&parts.headers, &tried) {
        let mut failed = match attempt(shared, &member, &parts, &mut body, false).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        if failed.stale && failed.may_repeat(repeatable) {
            failed = match attempt(shared, &member, &parts, &mut body, true).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
        }
        tracing::debug!(balancer = shared.name, target = %member.target.id, ?failed, "a request failed at its target");
        member.count_failure();
        own = failed.own();
        if !failed.may_repeat(repeatable) {
            break;
        }
        if let Why::Lost = failed.why {
            let Some(left) = retries.checked_sub(1) else { break };
            retries = left;
        }
        if Instant::now() >= deadline {
            own = Own::Timeout;
            break;
        }
        tried.push(member);
    }
    Err(own)
}

/// What became of a request that got no response.
#[derive(Debug)]
enum Why {
    /// Nothing of it was written.
    NotSent,
    /// The connection failed after something of it was written.
    Lost,
    /// The target did not answer in time.
    Timeout,
}

#[derive(Debug)]
struct Failed {
    why: Why,
    /// Whether it went over a kept-alive connection, which its peer may have closed before.
    stale: bool,
}

impl Failed {
    const fn may_repeat(&self, repeatable: bool) -> bool {
        match self.why {
            Why::NotSent => true,
            Why::Lost => repeatable,
            Why::Timeout => false,
        }
    }

    const fn own(&self) -> Own {
        match self.why {
            Why::NotSent | Why::Lost => Own::BadGateway,
            Why::Timeout => Own::Timeout,
        }
    }
}

/// Sends the request to one target. When nothing of it was written, the body is left (or put back) in `body`.
async fn attempt(
    shared: &Shared,
    member: &Arc<Member>,
    parts: &Parts,
    body: &mut Outgoing,
    fresh: bool,
) -> Result<Response<Answer>, Failed> {
    let in_flight = Arc::clone(member).begin();
    let lease = if fresh { member.pool.lease_fresh().await } else { member.pool.lease().await };
    let mut lease = lease.map_err(|failure| {
        tracing::debug!(balancer = shared.name, %failure, "no connection to a target");
        Failed { why: Why::NotSent, stale: false }
    })?;
    let stale = lease.connection.reused;
    let request = Request::from_parts(parts.clone(), std::mem::replace(body, Outgoing::Empty));
    let sent = Instant::now();
    match timeout(shared.spec.timeout.get(), lease.connection.send(request)).await {
        Ok(Ok(response)) => {
            member.count_response(response.status(), shared.recorder.clock().now(), sent.elapsed());
            Ok(pass_back(shared, member, response, Passing::lent(lease, in_flight)))
        }
        Ok(Err(Failure::Unsent(request))) => {
            *body = request.into_body();
            Err(Failed { why: Why::NotSent, stale })
        }
        Ok(Err(_failed)) => Err(Failed { why: Why::Lost, stale }),
        Err(_elapsed) => Err(Failed { why: Why::Timeout, stale: false }),
    }
}

fn pass_back(shared: &Shared, member: &Member, response: Response<Incoming>, passing: Passing) -> Response<Answer> {
    let (mut parts, body) = response.into_parts();
    headers::remove_hop_by_hop(&mut parts.headers);
    if let Some(lasts) = shared.spec.sticky {
        headers::set_sticky_cookie(&mut parts.headers, &member.cookie, lasts.get());
    }
    // The version is the connection's, not the message's: hyper writes what the client speaks.
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Answer::passing(body, passing, shared.spec.timeout.get()))
}

/// Makes the request one for an origin server (RFC 9112 section 3.2): path and query on the first line, the authority in
/// `Host`.
fn into_origin_form(parts: &mut Parts) -> Result<(), Own> {
    if parts.method == Method::CONNECT {
        return Err(Own::BadRequest("CONNECT is for proxies; this is a load balancer\n"));
    }
    let authority = parts.uri.authority().map(Authority::as_str);
    let host = match authority {
        Some(authority) => HeaderValue::from_str(authority).ok(),
        None if parts.headers.contains_key(HOST) => None,
        // HTTP/1.0 knows no Host, HTTP/1.1 requires it.
        None if parts.version < Version::HTTP_11 => Some(HeaderValue::from_static("")),
        None => return Err(Own::BadRequest("the request has no Host\n")),
    };
    if let Some(host) = host {
        parts.headers.insert(HOST, host);
    }
    if parts.uri.scheme().is_some() {
        let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(path);
    }
    parts.version = Version::HTTP_11;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(request: http::request::Builder) -> Parts {
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_absolute_address_becomes_a_path_and_a_host() {
        let mut parts = parts(Request::get("http://web.lab:8080/a?b=c").header(HOST, "other"));
        assert_eq!(into_origin_form(&mut parts), Ok(()));
        assert_eq!(parts.uri, "/a?b=c");
        assert_eq!(parts.headers[HOST], "web.lab:8080");
    }

    #[test]
    fn a_request_without_a_host_is_refused_unless_it_is_from_before_hosts() {
        assert!(matches!(into_origin_form(&mut parts(Request::get("/"))), Err(Own::BadRequest(_))));
        let mut old = parts(Request::get("/").version(Version::HTTP_10));
        assert_eq!(into_origin_form(&mut old), Ok(()));
        assert_eq!((old.version, old.headers[HOST].as_bytes()), (Version::HTTP_11, &b""[..]));
        assert!(matches!(
            into_origin_form(&mut parts(Request::builder().method(Method::CONNECT).uri("db:5432"))),
            Err(Own::BadRequest(_))
        ));
    }

    #[test]
    fn only_what_cannot_do_harm_twice_is_repeated() {
        let table = [
            (Why::NotSent, [true, true], Own::BadGateway),
            (Why::Lost, [false, true], Own::BadGateway),
            (Why::Timeout, [false, false], Own::Timeout),
        ];
        for (why, expected, own) in table {
            let failed = Failed { why, stale: false };
            assert_eq!([failed.may_repeat(false), failed.may_repeat(true)], expected, "{failed:?}");
            assert_eq!(failed.own(), own);
        }
    }
}
