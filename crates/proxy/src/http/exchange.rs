//! One exchange: a request through the rules to the upstream, its response back through the rules.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header::CONTENT_LENGTH,
    response,
};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use model::Moment;
use tokio_util::sync::CancellationToken;

use super::{
    body::Body,
    headers,
    rule::{Abort, Change, Delay, Phase},
    rules::{Live, Rules},
    upstream::{Failure, Upstream},
};
use crate::timer::Timer;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) rules: Rules,
    pub(super) upstream: Upstream,
    /// Whether the client's socket is to say RST when it is closed.
    pub(super) reset: Arc<AtomicBool>,
    /// When this is cancelled, everything ends at once.
    pub(super) until: CancellationToken,
    /// How many exchanges have begun.
    pub(super) begun: AtomicU64,
}

/// Why an exchange ends without a response.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A rule wants it.
    #[error("aborted by a rule")]
    Aborted,
    /// The upstream has broken it off, or its connection.
    #[error(transparent)]
    Upstream(#[from] Failure),
    /// A body that was to be changed broke off.
    #[error(transparent)]
    Body(#[from] hyper::Error),
}

/// How far an exchange got through the rules of a phase.
enum Outcome {
    /// Through.
    Passes,
    /// A rule has answered.
    Answered(Response<Body>),
}

impl Connection {
    /// Carries an exchange through.
    pub(super) async fn exchange(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        self.begun.fetch_add(1, Relaxed);
        let client = upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        let rules = self.rules.now();
        // What depends on the response is decided when that is there.
        let concerned = rules.iter().filter(|live| live.rule.of.request(&parts));
        let concerned: Vec<_> =
            concerned.filter(|live| live.rule.of.looks_at_response() || live.choose()).cloned().collect();
        let http2 = parts.version == Version::HTTP_2;
        let hop = headers::take_hop(&mut parts.headers);
        let mut body = Body::passing(body);
        for live in concerned.iter().filter(|live| !live.rule.of.looks_at_response()) {
            if live.rule.at == Phase::Request
                && let Outcome::Answered(response) = self.delay_and_abort(live, http2).await?
            {
                return Ok(response);
            }
            if self.in_force(live) {
                body = self.change(live, &live.rule.request, &mut parts.headers, body).await?;
            }
        }
        let tunnels = hop.upgrade.is_some() || parts.method == Method::CONNECT;
        // In HTTP/2 a tunnel is a stream among others.
        self.upstream.upgrading.store(tunnels && !http2, Relaxed);
        headers::put_hop(&mut parts.headers, hop, http2);
        let method = parts.method.clone();
        let sent = self.upstream.send(Request::from_parts(parts, body), http2).await;
        let response = match sent {
            Ok(response) => response,
            Err(failure @ Failure::Connect { .. }) if self.upstream.is_unseen() => {
                // Without us the client would have been told as much when it connected.
                self.reset.store(!http2, Relaxed);
                return Err(failure.into());
            }
            Err(failure @ Failure::Connect { .. }) => return Ok(bad_gateway(&failure)),
            Err(failure) => return Err(failure.into()),
        };
        self.back(&concerned, &method, response, client, http2).await
    }

    /// Carries a response through.
    async fn back(
        &self,
        concerned: &[Arc<Live>],
        method: &Method,
        mut response: Response<Incoming>,
        client: OnUpgrade,
        http2: bool,
    ) -> Result<Response<Body>, Broken> {
        let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS
            || (*method == Method::CONNECT && response.status().is_success());
        self.upstream.upgrading.store(is_tunnel && !http2, Relaxed);
        let upstream = upgrade::on(&mut response);
        let (mut parts, body) = response.into_parts();
        let hop = headers::take_hop(&mut parts.headers);
        let mut body = Body::passing(body);
        // A response without a body has none to change: not to HEAD, not 204 or 304 (RFC 9110 section 6.4.1), no tunnel.
        let has_body = *method != Method::HEAD
            && !is_tunnel
            && ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&parts.status);
        for live in concerned {
            if live.rule.of.looks_at_response() && !(live.rule.of.response(&parts) && live.choose()) {
                continue;
            }
            if live.rule.at == Phase::Response
                && let Outcome::Answered(response) = self.delay_and_abort(live, http2).await?
            {
                return Ok(response);
            }
            if self.in_force(live) {
                body = self.change_response(live, &mut parts, body, has_body).await?;
            }
        }
        headers::put_hop(&mut parts.headers, hop, http2);
        if is_tunnel {
            self.tunnel(client, upstream);
        }
        // The version is the connection's, not the message's: hyper writes what the client speaks.
        parts.version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        Ok(Response::from_parts(parts, body))
    }

    async fn change_response(
        &self,
        live: &Live,
        parts: &mut response::Parts,
        body: Body,
        has_body: bool,
    ) -> Result<Body, Broken> {
        if let Some(status) = live.rule.status {
            parts.status = status;
            live.tally.changed.fetch_add(1, Relaxed);
        }
        let mut change = &live.rule.response;
        let without_body;
        if change.body.is_some() && !has_body {
            without_body = Change { body: None, ..change.clone() };
            change = &without_body;
            live.tally.unchanged.fetch_add(1, Relaxed);
        }
        self.change(live, change, &mut parts.headers, body).await
    }

    /// Delays and aborts as a rule says, as long as it is in force.
    async fn delay_and_abort(&self, live: &Live, http2: bool) -> Result<Outcome, Broken> {
        if let Some(delay) = &live.rule.delay {
            self.delay(live, delay).await;
        }
        let Some(abort) = live.rule.abort.as_ref().filter(|_| self.in_force(live)) else { return Ok(Outcome::Passes) };
        live.tally.aborted.fetch_add(1, Relaxed);
        match abort {
            Abort::Connection => {
                // In HTTP/2 it is a stream among others that is reset.
                self.reset.store(!http2, Relaxed);
                Err(Broken::Aborted)
            }
            Abort::Status { status, headers, body } => Ok(Outcome::Answered(answer(*status, headers, body.clone()))),
        }
    }

    /// Waits as long as a rule says, but not longer than it is in force.
    async fn delay(&self, live: &Live, delay: &Delay) {
        let begin = Instant::now();
        let due = Moment::after(delay.at(live.roll()));
        let mut changes = self.rules.changes();
        let mut timer = Timer::new();
        while live.is_among(&changes.borrow_and_update().clone()) {
            let wait = async {
                match &mut timer {
                    Ok(timer) => timer.until(due, Moment::after(begin.elapsed())).await,
                    // Descriptors have run out: the runtime's own timer is a little late, and needs none.
                    Err(_) => {
                        tokio::time::sleep(due.since(Moment::after(begin.elapsed()))).await;
                        Ok(())
                    }
                }
            };
            tokio::select! {
                _waited = wait => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        live.tally.delayed(begin.elapsed());
    }

    /// Changes a message as a rule says.
    async fn change(&self, live: &Live, change: &Change, headers: &mut HeaderMap, body: Body) -> Result<Body, Broken> {
        if *change == Change::default() {
            return Ok(body);
        }
        for name in &change.remove {
            headers.remove(name);
        }
        for (name, value) in &change.set {
            headers.insert(name, value.clone());
        }
        let (body, changed) = match &change.body {
            Some(to) => body.change(headers, to).await?,
            None => (body, true),
        };
        let counter = if changed { &live.tally.changed } else { &live.tally.unchanged };
        counter.fetch_add(1, Relaxed);
        Ok(body)
    }

    /// Whether a rule is still in force.
    fn in_force(&self, live: &Live) -> bool {
        live.is_among(&self.rules.now())
    }

    /// Carries whatever both sides agreed on, until either has ended it.
    fn tunnel(&self, client: OnUpgrade, upstream: OnUpgrade) {
        let until = self.until.clone();
        let carry = async {
            let (client, upstream) = tokio::try_join!(client, upstream)?;
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            let carried = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            tracing::debug!(?carried, "a tunnel has ended");
            Ok::<(), hyper::Error>(())
        };
        tokio::spawn(async move { until.run_until_cancelled(carry).await });
    }
}

fn answer(status: StatusCode, headers: &[(HeaderName, HeaderValue)], body: Bytes) -> Response<Body> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.extend(headers.iter().map(|(name, value)| (Some(name.clone()), value.clone())));
    if status != StatusCode::NO_CONTENT {
        fields.insert(CONTENT_LENGTH, length);
    }
    response
}

/// The one answer that is ours without a rule: there is nobody to ask. It says whose it is.
fn bad_gateway(failure: &Failure) -> Response<Body> {
    answer(StatusCode::BAD_GATEWAY, &[], format!("shaketable proxy: {failure}\n").into())
}
