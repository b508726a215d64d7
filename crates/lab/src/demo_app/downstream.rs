//! The call to another service, and what protects the caller: a pipeline with a time limit per attempt, retries with
//! backoff, a circuit breaker, and the last good answer in place of a failure.

use std::{
    future::{Future, ready},
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Limited};
use model::lab::Downstream;
use patterns::{
    Class, Context, Error, ErrorsAreTransient, Event, InvalidOption, Moment, Pipeline, Policy, Retry, TokioClock,
    breaker::{Breaker, Mode},
    event::{Kind, Outcome},
    fallback::{Fallback, StaleCache},
    metrics::Metrics,
    pipeline::Options,
};
use tokio_util::sync::CancellationToken;

use super::options::{HOSTS_ENV, Hosts};
use crate::upstream::{Failure, Outgoing, Pool};

/// The backoff before the first retry is at most this; it doubles with each further one. Of the order of a lab's response
/// times, so that a retry neither joins the stampede nor keeps the client waiting for nothing.
const BACKOFF: Duration = Duration::from_millis(50);
/// It never exceeds this.
const BACKOFF_LIMIT: Duration = Duration::from_secs(1);

/// The longest response that is taken in: the demo application's own are a few hundred bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// An answer older than this is no longer given in place of a failure; no experiment's outage lasts longer.
const MAX_STALENESS: Duration = Duration::from_secs(3600);

/// The longest wait for a connection where there is no time limit: the kernel gives up after about two minutes.
const NO_LIMIT: Duration = Duration::from_secs(3600);

/// It only reads, so it may be made twice. The key is that of the one thing that is ever asked for.
fn context() -> Context {
    Context::idempotent().key("/")
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// An answer with a status of 500 or above.
    #[error("it answered {}", .0.as_u16())]
    Status(StatusCode),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
}

/// What there is to show after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// What the service said.
    Fresh(String),
    /// Something in place of a failure.
    Instead {
        /// What the service said the last time it said something.
        said: Option<String>,
        /// Why it says nothing now.
        why: String,
    },
}

/// How often attempts ended in which way.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// Requests sent, also those that have not ended yet.
    pub(super) sent: AtomicU64,
    pub(super) ok: AtomicU64,
    pub(super) timeout: AtomicU64,
    pub(super) error: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Outcomes {
    fn count(&self, event: &Event<'_>) {
        let Kind::Attempt { outcome, .. } = event.kind else { return };
        let counter = match outcome {
            Outcome::Done(Class::Success) => &self.ok,
            Outcome::TimedOut(_) => &self.timeout,
            Outcome::Rejected(_) => &self.refused,
            Outcome::Done(_) | Outcome::Injected => &self.error,
            // The client went away; how it would have ended nobody knows.
            Outcome::Cancelled => return,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// Remembers the last good answer, and gives it in place of a failure; without a cache it does neither.
#[derive(Debug, Clone)]
struct Memory(Option<StaleCache<String>>);

impl Fallback<Answer, CallError> for Memory {
    fn succeeded(&self, context: &Context, value: &Answer, now: Moment) {
        if let (Some(cache), Some(key), Answer::Fresh(said)) = (&self.0, context.get_key(), value) {
            cache.remember(key, said.clone(), now);
        }
    }

    fn instead(
        &self,
        context: &Context,
        error: Option<&Error<CallError>>,
        now: Moment,
    ) -> impl Future<Output = Option<Answer>> {
        ready(self.0.as_ref().map(|cache| Answer::Instead {
            said: context.get_key().and_then(|key| cache.recall(key, now)).map(|(said, _age)| said),
            why: error.map(ToString::to_string).unwrap_or_default(),
        }))
    }
}

/// Calls one downstream service.
#[derive(Debug)]
pub(super) struct Caller {
    authority: String,
    path: String,
    pool: Pool,
    policy: Policy<TokioClock, ErrorsAreTransient, Memory>,
    pub(super) outcomes: Arc<Outcomes>,
    metrics: Arc<Metrics>,
}

/// The pipeline that a lab file asks for.
fn pipeline(rule: &Downstream) -> Result<Pipeline, InvalidOption> {
    let retry = (rule.retries > 0).then(|| {
        // Without a budget: what retries do to the load is what one wants to see in a lab.
        let retry = Retry::exponential(BACKOFF).max_delay(BACKOFF_LIMIT).without_budget();
        retry.max_attempts(rule.retries.saturating_add(1))
    });
    let breaker = rule.breaker.map(|rule| Breaker::consecutive_failures(rule.failures).open_for(rule.open_for.get()));
    let attempt_timeout = rule.timeout.map(model::Period::get);
    let options = Options { retry, breaker, attempt_timeout, ..Options::default() };
    Pipeline::builder("downstream").options(options).build()
}

impl Caller {
    /// Looks the service up, once: a lab's names do not move.
    ///
    /// # Errors
    ///
    /// When the URL is not an `http://` URL or its host has no known address.
    pub(super) async fn new(rule: &Downstream, hosts: &Hosts) -> io::Result<Self> {
        let wrong = |why: &str| {
            let text = format!("downstream `{}`: {why}; write for example http://api.lab/", rule.url);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let uri: Uri = rule.url.parse().map_err(|_| wrong("not a URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("not an http:// URL"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("without a host"))?.clone();
        let address = resolve(authority.host(), authority.port_u16().unwrap_or(80), hosts).await?;
        let pipeline = pipeline(rule).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (outcomes, metrics) = (Arc::new(Outcomes::default()), Arc::new(Metrics::new()));
        let counting = Arc::clone(&outcomes);
        pipeline.listen(Arc::new(move |event: &Event<'_>| counting.count(event)));
        pipeline.listen(metrics.clone());
        let memory = Memory(rule.fallback.then(|| StaleCache::new(1, MAX_STALENESS)));
        // The limit on the whole attempt is the only one that matters.
        let limit = rule.timeout.map_or(NO_LIMIT, model::Period::get);
        Ok(Self {
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            pool: Pool::new(address, limit, CancellationToken::new()),
            policy: pipeline.classify(ErrorsAreTransient).fallback(memory),
            outcomes,
            metrics,
        })
    }

    /// What there is to show, after as many attempts as it takes and is allowed.
    pub(super) async fn call(&self) -> Result<Answer, Error<CallError>> {
        self.policy.call(&context(), |_attempt| async { self.exchange().await.map(Answer::Fresh) }).await
    }

    /// What the breaker does at present; nothing when there is none.
    pub(super) fn breaker(&self) -> Option<Mode> {
        self.policy.pipeline().status().breaker.map(|breaker| breaker.mode)
    }

    /// What its pipeline has to say to Prometheus.
    pub(super) fn metrics(&self) -> String {
        self.metrics.render()
    }

    /// One request and its whole response.
    async fn exchange(&self) -> Result<String, CallError> {
        self.outcomes.sent.fetch_add(1, Relaxed);
        let broken = |failure: &dyn std::error::Error| CallError::Connection(failure.to_string());
        let mut lease = self.pool.lease().await.map_err(|failure| broken(&failure))?;
        let response = match lease.connection.send(self.request()?).await {
            // A kept-alive connection that has been closed says nothing about the service: ask again on a new one.
            Err(Failure::Unsent(_) | Failure::Lost(_)) if lease.connection.reused => {
                lease = self.pool.lease_fresh().await.map_err(|failure| broken(&failure))?;
                lease.connection.send(self.request()?).await
            }
            outcome => outcome,
        }
        .map_err(|failure| broken(&failure))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect().await;
        let body = body.map_err(|error| CallError::Connection(error.to_string()))?.to_bytes();
        lease.finish();
        if status.is_server_error() {
            return Err(CallError::Status(status));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn request(&self) -> Result<Request<Outgoing>, CallError> {
        Request::get(&self.path)
            .header(HOST, &self.authority)
            .body(Outgoing::Empty)
            .map_err(|error| CallError::Connection(error.to_string()))
    }
}

async fn resolve(name: &str, port: u16, hosts: &Hosts) -> io::Result<SocketAddr> {
    if let Some(address) = hosts.resolve(name, port) {
        return Ok(address);
    }
    let literal = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = literal.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = tokio::net::lookup_host((name, port)).await.ok().and_then(|mut found| found.next());
    found.ok_or_else(|| {
        let text = format!("no address for `{name}`: it is neither in {HOSTS_ENV} nor known to this machine");
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_file_s_words_become_a_pipeline() {
        let bare = Downstream { url: String::new(), timeout: None, retries: 0, breaker: None, fallback: false };
        assert_eq!(pipeline(&bare).unwrap().options(), Options::default());
        let full = Downstream {
            timeout: Some(model::Period::from_millis(400)),
            retries: 2,
            breaker: Some(model::lab::Breaker { failures: 5, open_for: model::Period::from_secs(3) }),
            ..bare
        };
        let options = pipeline(&full).unwrap().options();
        assert_eq!(options.attempt_timeout, Some(Duration::from_millis(400)));
        assert_eq!(options.retry.map(|retry| (retry.max_attempts, retry.budget)), Some((3, None)));
        assert_eq!(options.breaker, Some(Breaker::consecutive_failures(5).open_for(Duration::from_secs(3))));
    }

    #[tokio::test]
    async fn names_are_looked_up_in_the_lab_first_and_numbers_nowhere() {
        let hosts: Hosts = "api.lab=127.0.0.9:81".parse().unwrap();
        assert_eq!(resolve("api.lab", 80, &hosts).await.unwrap(), "127.0.0.9:81".parse().unwrap());
        assert_eq!(resolve("127.0.0.1", 80, &hosts).await.unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(resolve("[::1]", 80, &hosts).await.unwrap(), "[::1]:80".parse().unwrap());
    }
}
