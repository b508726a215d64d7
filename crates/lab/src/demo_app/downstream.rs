//! The call to another service, and what protects the caller: a time limit per attempt, retries with backoff, a circuit
//! breaker.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt, Limited};
use model::lab::Downstream;
use observe::Clock;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    breaker::{Admission, CircuitBreaker, State},
    options::{HOSTS_ENV, Hosts},
};
use crate::upstream::{Failure, Outgoing, Pool};

/// The backoff before the first retry is at most this; it doubles with each further one. Of the order of a lab's response
/// times, so that a retry neither joins the stampede nor keeps the client waiting for nothing.
const BACKOFF: Duration = Duration::from_millis(50);
/// It never exceeds this.
const BACKOFF_LIMIT: Duration = Duration::from_secs(1);

/// The longest response that is taken in: the demo application's own are a few hundred bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Why a call, after all its attempts, has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The breaker is open.
    #[error("the circuit breaker is open")]
    Refused,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// An answer with a status of 500 or above.
    #[error("it answered {}", .0.as_u16())]
    Status(StatusCode),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
}

/// How often attempts ended in which way.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) ok: AtomicU64,
    pub(super) timeout: AtomicU64,
    pub(super) error: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// Calls one downstream service.
#[derive(Debug)]
pub(super) struct Caller {
    rule: Downstream,
    authority: String,
    path: String,
    pool: Pool,
    clock: Clock,
    breaker: Option<Mutex<CircuitBreaker>>,
    random: Mutex<SmallRng>,
    pub(super) outcomes: Outcomes,
}

impl Caller {
    /// Looks the service up, once: a lab's names do not move.
    ///
    /// # Errors
    ///
    /// When the URL is not an `http://` URL or its host has no known address.
    pub(super) async fn new(rule: Downstream, hosts: &Hosts, clock: Clock, seed: u64) -> io::Result<Self> {
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
        Ok(Self {
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            // The limit on the whole attempt is the only one that matters.
            pool: Pool::new(address, rule.timeout.get(), CancellationToken::new()),
            clock,
            breaker: rule.breaker.map(CircuitBreaker::new).map(Mutex::new),
            random: Mutex::new(SmallRng::seed_from_u64(seed)),
            outcomes: Outcomes::default(),
            rule,
        })
    }

    /// The body of the service's answer, after as many attempts as it takes and is allowed.
    pub(super) async fn call(&self) -> Result<String, CallError> {
        let mut retry = 0;
        loop {
            let error = match self.attempt().await {
                Ok(body) => return Ok(body),
                // The breaker has seen enough: waiting to be refused again helps nobody.
                Err(CallError::Refused) => return Err(CallError::Refused),
                Err(error) => error,
            };
            if retry == self.rule.retries {
                return Err(error);
            }
            let share = lock(&self.random).random::<f64>();
            sleep(backoff(retry, share)).await;
            retry += 1;
        }
    }

    /// What the breaker does at present; nothing when there is none.
    pub(super) fn breaker(&self) -> Option<State> {
        self.breaker.as_ref().map(|breaker| lock(breaker).state())
    }

    async fn attempt(&self) -> Result<String, CallError> {
        let admission = self.breaker.as_ref().map_or(Admission::Pass, |breaker| lock(breaker).admit(self.clock.now()));
        if admission == Admission::Refused {
            self.outcomes.refused.fetch_add(1, Relaxed);
            return Err(CallError::Refused);
        }
        let limit = self.rule.timeout.get();
        let outcome = timeout(limit, self.exchange()).await.unwrap_or(Err(CallError::Timeout(limit)));
        if let Some(breaker) = &self.breaker {
            lock(breaker).report(admission, outcome.is_ok(), self.clock.now());
        }
        let counter = match &outcome {
            Ok(_) => &self.outcomes.ok,
            Err(CallError::Timeout(_)) => &self.outcomes.timeout,
            Err(_) => &self.outcomes.error,
        };
        counter.fetch_add(1, Relaxed);
        outcome
    }

    /// One request and its whole response.
    async fn exchange(&self) -> Result<String, CallError> {
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

/// The pause before retry number `retry` (from 0): a random `share` (0 to 1) of a limit that doubles, which spreads the
/// retries of many callers evenly ("full jitter", AWS Architecture Blog, "Exponential Backoff And Jitter").
fn backoff(retry: u32, share: f64) -> Duration {
    let limit = BACKOFF.saturating_mul(2_u32.saturating_pow(retry)).min(BACKOFF_LIMIT);
    limit.mul_f64(share)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_limit_and_is_shared_out_evenly() {
        let limits = [50, 100, 200, 400, 800, 1000, 1000].map(Duration::from_millis);
        for (retry, limit) in (0..).zip(limits) {
            assert_eq!(backoff(retry, 1.0), limit);
            assert_eq!(backoff(retry, 0.5), limit / 2);
            assert_eq!(backoff(retry, 0.0), Duration::ZERO);
        }
        assert_eq!(backoff(u32::MAX, 1.0), BACKOFF_LIMIT);
    }

    #[tokio::test]
    async fn names_are_looked_up_in_the_lab_first_and_numbers_nowhere() {
        let hosts: Hosts = "api.lab=127.0.0.9:81".parse().unwrap();
        assert_eq!(resolve("api.lab", 80, &hosts).await.unwrap(), "127.0.0.9:81".parse().unwrap());
        assert_eq!(resolve("127.0.0.1", 80, &hosts).await.unwrap(), "127.0.0.1:80".parse().unwrap());
        assert_eq!(resolve("[::1]", 80, &hosts).await.unwrap(), "[::1]:80".parse().unwrap());
    }
}
