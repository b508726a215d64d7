//! Our own open-loop HTTP load.
//!
//! The send times are fixed beforehand ([`Schedule`]), and a latency counts from then: when a server stands still for
//! a second, every request that was due in that second is charged what it had to wait, also those that could only be sent
//! afterwards. A generator that waits for answers before it goes on (a closed loop) would have asked once in that
//! second and would report one slow request.
//!
//! A request that fails is not sent again: a user's would have failed as well. That includes the rare request that is
//! sent on a kept connection in the moment in which the server closes it.

use std::{fmt, io, sync::Arc, time::Instant};

use model::load::HttpLoad;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    Enter, RequestError, Summary,
    generator::{Generator, Pace},
    request::Requests,
    schedule::Schedule,
    signal::Signal,
    tally::Tally,
    worker::Worker,
};
use crate::{Clock, Measurements, url::Hosts};

/// A count: requests that became due.
pub const DUE_METRIC: &str = "generator.due";

/// A count: requests of which the generator itself was late to send (or to queue) by more than 5 ms, so that their
/// latencies say something about this machine and not only about the system. Those of several loads add up.
pub const LATE_METRIC: &str = "generator.late";

/// Files that a process has open besides the load's connections; what is left below the limit is used for those.
const OTHER_FILES: u64 = 256;

/// Where a load runs and whom it tells.
#[derive(Clone)]
pub struct Surroundings {
    /// The clock of the record.
    pub clock: Clock,
    /// Takes the samples.
    pub measurements: Measurements,
    /// Names of servers that the system's resolver does not know.
    pub hosts: Hosts,
    /// What the load's thread does first.
    pub enter: Option<Enter>,
    /// Chooses the order of weighted requests; the same seed gives the same order.
    pub seed: u64,
    /// The load's place in its document, counted from 1: by it, what each load says of itself is told apart.
    pub place: usize,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enter = self.enter.as_ref().map(|_| "enter");
        f.debug_struct("Surroundings")
            .field("hosts", &self.hosts)
            .field("enter", &enter)
            .field("seed", &self.seed)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Why a load cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The rate is not a finite number of at least 0.
    #[error("a load of {rate} requests per second is not possible; write a rate such as 200/s")]
    Rate {
        /// As written.
        rate: f64,
    },
    /// The thread could not be made, or could not enter where it is to run.
    #[error("cannot start the load's thread")]
    Thread(#[source] io::Error),
}

/// A load that runs. Dropping it stops it at once.
#[derive(Debug)]
pub struct RunningLoad(Worker<Summary>);

impl RunningLoad {
    /// Starts a load. Names are resolved first, which may wait for a name server.
    ///
    /// # Errors
    ///
    /// When a request cannot be sent as it is written, a host has no address, or the thread cannot enter its surroundings.
    pub fn start(load: &HttpLoad, surroundings: Surroundings) -> Result<Self, LoadError> {
        for rate in load.ramp.iter().map(|&(_, rate)| rate).chain([load.rate]) {
            if !rate.is_finite() || rate < 0.0 {
                return Err(LoadError::Rate { rate });
            }
        }
        Self::spawn(load, Pace::Open(Schedule::of(load)), surroundings)
    }

    /// Starts a closed loop instead: every connection sends its next request as soon as it is answered. It measures how
    /// much the generator and the server can do, never how long a system lets its users wait.
    ///
    /// # Errors
    ///
    /// As [`RunningLoad::start`].
    pub fn saturate(load: &HttpLoad, surroundings: Surroundings) -> Result<Self, LoadError> {
        Self::spawn(load, Pace::Saturate, surroundings)
    }

    fn spawn(load: &HttpLoad, pace: Pace, surroundings: Surroundings) -> Result<Self, LoadError> {
        let requests = Requests::of(load, &surroundings.hosts, surroundings.seed)?;
        allow_files(u64::from(load.connections));
        let load = load.clone();
        let prepare = move |signal: &Arc<Signal>| {
            let now = Instant::now();
            let tally = Tally::new(surroundings.clock, surroundings.measurements, surroundings.place, now);
            Generator::new(requests, pace, &load, Arc::clone(signal), tally, now)
        };
        Worker::start("load", surroundings.enter, prepare, |generator, _| generator.run())
            .map(Self)
            .map_err(LoadError::Thread)
    }

    /// Lets nothing more become due; what is due is still sent and answered, each request within the load's timeout.
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Ends at once; requests in flight are [`Summary::unfinished`].
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Whether it has ended, by itself or because it was told to.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// What the load amounted to, when it has ended: after [`RunningLoad::drain`] or [`RunningLoad::stop`].
    ///
    /// # Errors
    ///
    /// When the generator could not wait for its sockets.
    pub async fn finished(self) -> io::Result<Summary> {
        self.0.finished().await
    }

    /// As [`RunningLoad::finished`], for callers outside of a runtime.
    ///
    /// # Errors
    ///
    /// As [`RunningLoad::finished`].
    pub fn wait(self) -> io::Result<Summary> {
        self.0.wait()
    }
}

/// Raises the soft limit of open files, as far as the hard one allows. Where that is not enough, connections fail and are counted.
fn allow_files(connections: u64) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = connections + OTHER_FILES;
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }) {
            tracing::warn!(%error, wanted, "cannot raise the limit of open files");
        }
    }
}
