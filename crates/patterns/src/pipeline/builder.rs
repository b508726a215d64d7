//! Putting a pipeline together.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{Inner, Live, Options, Pipeline};
use crate::{
    breaker::Breaker,
    bulkhead::Bulkhead,
    clock::{Clock, DefaultClock},
    error::InvalidOption,
    event::{Listener, Listeners},
    random::SplitMix64,
    retry::Retry,
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
    listeners: Listeners,
}

impl<C: Clock> Builder<C> {
    pub(super) fn new(name: Arc<str>, clock: C) -> Self {
        let (random, options, listeners) = (SplitMix64::unpredictable(), Options::default(), Listeners::default());
        Self { name, clock, random, options, listeners }
    }

    /// Takes time from another clock.
    pub fn clock<D: Clock>(self, clock: D) -> Builder<D> {
        let Self { name, clock: _, random, options, listeners } = self;
        Builder { name, clock, random, options, listeners }
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
        self.listeners.add(Arc::new(listener));
        self
    }

    /// Makes the pipeline.
    ///
    /// # Errors
    ///
    /// The first option that makes no sense.
    pub fn build(self) -> Result<Pipeline<C>, InvalidOption> {
        let Self { name, clock, random, options, listeners } = self;
        let live = Live::new(options, listeners, clock.now())?;
        let live = ArcSwap::from_pointee(live);
        Ok(Pipeline { inner: Arc::new(Inner { name, clock, random, live, exchange: Mutex::new(()) }) })
    }
}
