//! Putting a pipeline together.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{Inner, Live, Options, Pipeline};
use crate::{
    breaker::Breaker,
    bulkhead::Bulkhead,
    chaos::{Chaos, Decider},
    clock::{Clock, DefaultClock},
    context::Context,
    error::InvalidOption,
    event::{Listener, Listeners},
    hedge::Hedge,
    random::SplitMix64,
    rate_limit::RateLimit,
    retry::Retry,
    shed::Shed,
    sync::Mutex,
};

/// Puts a pipeline together. In which order strategies are named here does not matter: theirs is fixed, see
/// [`pipeline`](crate::pipeline).
#[derive(Debug)]
#[must_use = "nothing is made before `build`"]
pub struct Builder<C: Clock = DefaultClock> {
    name: Arc<str>,
    clock: C,
    random: SplitMix64,
    options: Options,
    decider: Decider,
    listeners: Listeners,
}

impl<C: Clock> Builder<C> {
    pub(super) fn new(name: Arc<str>, clock: C) -> Self {
        Self {
            name,
            clock,
            random: SplitMix64::unpredictable(),
            options: Options::default(),
            decider: Decider::default(),
            listeners: Listeners::default(),
        }
    }

    /// Takes time from another clock.
    pub fn clock<D: Clock>(self, clock: D) -> Builder<D> {
        let Self { name, clock: _, random, options, decider, listeners } = self;
        Builder { name, clock, random, options, decider, listeners }
    }

    /// Makes jitter repeat itself: the same seed, the same pauses.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = SplitMix64::seeded(seed);
        self
    }

    /// Sets all options at once.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Limits the call with all its attempts and pauses.
    pub fn overall_timeout(mut self, timeout: Duration) -> Self {
        self.options.overall_timeout = Some(timeout);
        self
    }

    /// Refuses calls when too many are under way, the least important first.
    pub fn shed(mut self, shed: Shed) -> Self {
        self.options.shed = Some(shed);
        self
    }

    /// Sends a further request when an answer is late.
    pub fn hedge(mut self, hedge: Hedge) -> Self {
        self.options.hedge = Some(hedge);
        self
    }

    /// Limits how many attempts are made in a time.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.options.rate_limit = Some(limit);
        self
    }

    /// Makes faults on purpose, at these rates for all calls.
    pub fn chaos(mut self, chaos: Chaos) -> Self {
        self.options.chaos = Some(chaos);
        self
    }

    /// Makes faults on purpose, at rates that are decided for each attempt by its call's context: for one tenant, for
    /// requests with a label, while a flag is set. What is decided goes before [`Builder::chaos`]; on `None` that counts.
    pub fn chaos_when(mut self, decide: impl Fn(&Context) -> Option<Chaos> + Send + Sync + 'static) -> Self {
        self.decider = Decider(Some(Arc::new(decide)));
        self
    }

    /// Repeats failed attempts.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options.retry = Some(retry);
        self
    }

    /// Leaves the dependency alone when it fails.
    pub fn breaker(mut self, breaker: Breaker) -> Self {
        self.options.breaker = Some(breaker);
        self
    }

    /// Limits how many calls are under way.
    pub fn bulkhead(mut self, bulkhead: Bulkhead) -> Self {
        self.options.bulkhead = Some(bulkhead);
        self
    }

    /// Limits each attempt.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.options.attempt_timeout = Some(timeout);
        self
    }

    /// Tells every event to the listener too.
    pub fn listener(mut self, listener: impl Listener + 'static) -> Self {
        self.listeners.add(&self.name, Arc::new(listener));
        self
    }

    /// Makes the pipeline.
    ///
    /// # Errors
    ///
    /// The first option that makes no sense.
    pub fn build(self) -> Result<Pipeline<C>, InvalidOption> {
        let Self { name, clock, random, options, decider, listeners } = self;
        let live = ArcSwap::from_pointee(Live::new(options, listeners, clock.now())?);
        Ok(Pipeline { inner: Arc::new(Inner { name, clock, random, decider, live, exchange: Mutex::new(()) }) })
    }
}
