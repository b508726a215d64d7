//! A target of a balancer: where it is, what is thought of it, and what its requests came to.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use http::StatusCode;
use model::{Moment, lab::HealthCheck, resource::ResourceId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::health::{Health, State};
use crate::upstream::Pool;

/// How long a connection to a target may take. A lab's round trip is far below a millisecond, and a latency fault of
/// several hundred still connects; the kernel repeats a lost SYN after one second, and rather than wait for that the
/// request goes to another target.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Something requests can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id: the instance's.
    pub id: ResourceId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its zone.
    pub zone: String,
}

/// What a balancer knows of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStatus {
    /// Which.
    pub target: Target,
    /// What is thought of it.
    pub state: State,
    /// Why, for people; empty while it is healthy.
    pub reason: String,
    /// Requests sent to it.
    pub requests: u64,
    /// Its responses by the first digit of their status: `[1xx, 2xx, 3xx, 4xx, 5xx]`. (1xx stays 0: interim responses end at
    /// the balancer.)
    pub responses: [u64; 5],
    /// Requests that got no response from it: no connection, reset, timeout.
    pub failures: u64,
    /// Requests it is working on.
    pub in_flight: u32,
    /// Mean time to the head of its response; nothing before the first.
    pub mean: Option<Duration>,
    /// 99th percentile of the same, to 1 %.
    pub p99: Option<Duration>,
}

/// A change of mind about a target, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: State,
    pub(super) to: State,
    pub(super) reason: String,
}

/// A registered target with everything that belongs to it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) target: Target,
    /// Names the target in the clients' cookies without telling them its address.
    pub(super) cookie: String,
    pub(super) pool: Pool,
    /// Cancelled when it has left for good: ends its health checks and connections.
    pub(super) gone: CancellationToken,
    judged: Mutex<(Health, String)>,
    requests: AtomicU64,
    responses: [AtomicU64; 5],
    failures: AtomicU64,
    in_flight: AtomicU32,
    idle: Notify,
    times: Mutex<Times>,
}

#[derive(Debug)]
struct Times {
    /// In microseconds, since registration.
    all: Histogram<u64>,
    /// Since the last report.
    fresh: Vec<(Moment, Duration)>,
}

impl Member {
    pub(super) fn new(target: Target, gone: CancellationToken) -> Self {
        // One microsecond to one hour in steps of 1 %: the bounds are constants, and valid ones.
        let all =
            Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("1 us to 1 h with two digits is a valid range");
        Self {
            cookie: format!("{:016x}", RandomState::new().build_hasher().finish()),
            pool: Pool::new(target.address, CONNECT_LIMIT, gone.clone()),
            gone,
            judged: Mutex::new((Health::NEW, "waiting for the first health check".to_owned())),
            requests: AtomicU64::new(0),
            responses: Default::default(),
            failures: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            idle: Notify::new(),
            times: Mutex::new(Times { all, fresh: Vec::new() }),
            target,
        }
    }

    pub(super) fn state(&self) -> State {
        self.judged().0.state()
    }

    /// Takes in the answer to a health check: nothing when it was good, else what was wrong with it.
    pub(super) fn judge(&self, answer: Result<(), String>, rule: &HealthCheck) -> Option<Change> {
        let mut judged = self.judged();
        let from = judged.0.state();
        if from == State::Draining {
            return None;
        }
        judged.0 = judged.0.judge(answer.is_ok(), rule);
        let to = judged.0.state();
        let why = answer.err();
        judged.1 = match (to, &why) {
            (State::Healthy, _) => String::new(),
            (_, Some(why)) => why.clone(),
            (_, None) => std::mem::take(&mut judged.1),
        };
        let reason = why.unwrap_or_else(|| match from {
            State::Initial => "its first health check passed".to_owned(),
            _ => format!("{} health checks in a row passed", rule.healthy_threshold),
        });
        (from != to).then_some(Change { from, to, reason })
    }

    /// It is leaving; nothing if it already was.
    pub(super) fn drain(&self) -> Option<Change> {
        let mut judged = self.judged();
        let from = judged.0.state();
        judged.0 = Health::DRAINING;
        "deregistered".clone_into(&mut judged.1);
        (from != State::Draining).then(|| Change { from, to: State::Draining, reason: judged.1.clone() })
    }

    /// Waits until no request is in flight.
    pub(super) async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Relaxed) == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(super) fn begin(self: std::sync::Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    pub(super) fn count_response(&self, status: StatusCode, at: Moment, took: Duration) {
        if let Some(class) = self.responses.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            class.fetch_add(1, Relaxed);
        }
        let mut times = self.times();
        times.all.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        times.fresh.push((at, took));
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// The response times since the last call.
    pub(super) fn take_times(&self) -> Vec<(Moment, Duration)> {
        std::mem::take(&mut self.times().fresh)
    }

    pub(super) fn status(&self) -> TargetStatus {
        let (state, reason) = {
            let judged = self.judged();
            (judged.0.state(), judged.1.clone())
        };
        let (mean, p99) = {
            let times = self.times();
            let some = !times.all.is_empty();
            (
                some.then(|| Duration::from_secs_f64(times.all.mean() / 1e6)),
                some.then(|| Duration::from_micros(times.all.value_at_quantile(0.99))),
            )
        };
        TargetStatus {
            target: self.target.clone(),
            state,
            reason,
            requests: self.requests.load(Relaxed),
            responses: std::array::from_fn(|class| self.responses[class].load(Relaxed)),
            failures: self.failures.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            mean,
            p99,
        }
    }

    fn judged(&self) -> MutexGuard<'_, (Health, String)> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request the target is working on, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(std::sync::Arc<Member>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
