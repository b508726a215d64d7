//! The pipeline: all strategies around any asynchronous call, in one order.
//!
//! ```text
//! fallback ─ shed ─ overall timeout ─ retry ─ hedge ─ breaker ─ rate limit ─ bulkhead ─ attempt timeout ─ chaos ─ the call
//! └────────── once per call ──────────────┘   └──────────────────────── once per attempt ────────────────────────┘
//! ```
//!
//! The order is fixed, because nearly every other one is a known mistake:
//!
//! - **Fallback** is outermost: whatever else says no, it has something to give.
//! - **Shed** comes before anything that costs.
//! - The **overall timeout** is around retry, so that attempts and pauses together keep it.
//! - **Retry** is outside the breaker, so that each attempt counts, and an open breaker ends the retries.
//! - The **breaker** is before limits and queues: what is refused neither waits nor uses up anything.
//! - The **bulkhead** is inside retry, so that no place is held during a pause; and outside the attempt timeout, so that
//!   waiting for a place is not held against the dependency.
//! - **Chaos** is innermost: to the strategies its faults are those of the dependency.
//!
//! It is the order of the standard handler of [Microsoft.Extensions.Http.Resilience][ms] (on Polly v8), with the bulkhead
//! moved inside. Who needs another nests pipelines: the call of one pipeline is the operation of another.
//!
//! [ms]: https://learn.microsoft.com/en-us/dotnet/core/resilience/http-resilience

mod builder;
mod call;
mod live;
mod policy;
mod race;

use std::{fmt, future::Future, sync::Arc};

use arc_swap::ArcSwap;

pub use self::{
    builder::Builder,
    live::{BulkheadStatus, Options, Status},
    policy::{MakeUp, NothingMadeUp, Policy},
};
use self::{call::Judge, live::Live};
use crate::{
    breaker::{Change, Circuit},
    chaos::Decider,
    clock::{Clock, DefaultClock},
    context::{Attempt, Context},
    error::{Error, InvalidOption},
    event::{Event, Kind, Listener},
    outcome::ErrorsAreTransient,
    random::SplitMix64,
    sync::{Mutex, lock},
};

/// Strategies around a call. Cheap to clone; clones are the same pipeline, with one breaker, one bulkhead, one budget.
///
/// ```
/// use std::time::Duration;
/// use patterns::{Breaker, Bulkhead, Context, Pipeline, Retry};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let users = Pipeline::builder("users")
///     .overall_timeout(Duration::from_secs(2))
///     .retry(Retry::exponential(Duration::from_millis(50)))
///     .breaker(Breaker::consecutive_failures(5).open_for(Duration::from_secs(10)))
///     .bulkhead(Bulkhead::of(20))
///     .attempt_timeout(Duration::from_millis(500))
///     .build()?;
///
/// let user = users
///     .call(&Context::idempotent(), |attempt| async move {
///         // Any future: a request, a query. Here one that works the second time.
///         if attempt.number() == 1 { Err("connection reset") } else { Ok("Ada") }
///     })
///     .await;
/// assert_eq!(user, Ok("Ada"));
/// # Ok::<(), patterns::InvalidOption>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline<C: Clock = DefaultClock> {
    inner: Arc<Inner<C>>,
}

struct Inner<C> {
    name: Arc<str>,
    clock: C,
    random: SplitMix64,
    decider: Decider,
    /// What calls use; each call keeps to the one it found.
    live: ArcSwap<Live>,
    /// Held while `live` is exchanged, so that two exchanges do not lose one another.
    exchange: Mutex<()>,
}

impl Pipeline {
    /// Begins a pipeline with the default clock and no strategies. The name is for events and listings.
    pub fn builder(name: impl Into<Arc<str>>) -> Builder {
        Builder::new(name.into(), DefaultClock::default())
    }
}

impl<C: Clock> Pipeline<C> {
    /// Makes a call. The operation is asked for a future once per attempt.
    ///
    /// Every `Ok` is a success and every `Err` worth another attempt; where that is not so, use [`Pipeline::classify`].
    ///
    /// The future may be dropped at any time: places and trials are given back, and the call counts as cancelled, not as
    /// failed. A panic of the operation is passed on and counts the same.
    ///
    /// # Errors
    ///
    /// The operation's error from its last attempt, or the refusal of a strategy.
    pub async fn call<'a, T, E, F, Fut>(&self, context: &'a Context, operation: F) -> Result<T, Error<E>>
    where
        F: Fn(Attempt<'a>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let judge = Judge { classify: &ErrorsAreTransient, made_up: &NothingMadeUp };
        call::run(&self.inner, &judge, context, &operation).await.result
    }

    /// The pipeline with a judgement of results: what may be retried, what the breaker counts. A closure needs its
    /// argument's type: `|result: Result<&Response, &Error>| ...`; see [`Classify`](crate::Classify).
    pub fn classify<K>(&self, classify: K) -> Policy<C, K> {
        Policy::new(self.clone(), classify)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &C {
        &self.inner.clock
    }

    /// The options now in force.
    #[must_use]
    pub fn options(&self) -> Options {
        self.inner.live.load().options.clone()
    }

    /// Exchanges the options while calls go on. Calls under way end with the old ones. Every strategy that is there before
    /// and after keeps its state: an open breaker stays open, places stay taken, spent tokens stay spent.
    ///
    /// # Errors
    ///
    /// When an option makes no sense; then nothing has changed.
    pub fn reconfigure(&self, options: Options) -> Result<(), InvalidOption> {
        let now = self.inner.clock.now();
        let next = {
            let _exchange = lock(&self.inner.exchange);
            let next = Arc::new(self.inner.live.load().reconfigured(options, now)?);
            self.inner.live.store(Arc::clone(&next));
            next
        };
        next.listeners.tell(&Event { pipeline: &self.inner.name, context: None, at: now, kind: Kind::Reconfigured });
        Ok(())
    }

    /// Adds a listener for all calls that begin from now on.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        let _exchange = lock(&self.inner.exchange);
        let next = self.inner.live.load().with_listener(&self.inner.name, listener);
        self.inner.live.store(Arc::new(next));
    }

    /// What the strategies look like now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.inner.live.load().status(self.inner.clock.now())
    }

    /// Opens the breaker until told otherwise; `false` when the pipeline has none.
    pub fn force_open(&self) -> bool {
        self.control(|live| live.circuit.as_ref().map(Circuit::force_open))
    }

    /// Closes the breaker until told otherwise; `false` when the pipeline has none.
    pub fn force_closed(&self) -> bool {
        self.control(|live| live.circuit.as_ref().map(Circuit::force_closed))
    }

    /// Ends a forced state of the breaker, or any other: closed, nothing counted. `false` when the pipeline has none.
    pub fn reset_breaker(&self) -> bool {
        self.control(|live| live.circuit.as_ref().map(Circuit::reset))
    }

    fn control(&self, change: impl Fn(&Live) -> Option<Option<Change>>) -> bool {
        let live = self.inner.live.load();
        let Some(change) = change(&live) else { return false };
        if let Some(Change { from, to }) = change {
            let at = self.inner.clock.now();
            let kind = Kind::Breaker { from, to };
            live.listeners.tell(&Event { pipeline: &self.inner.name, context: None, at, kind });
        }
        true
    }
}

impl<C: Clock> Clone for Pipeline<C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<C: Clock> fmt::Debug for Pipeline<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pipeline").field("name", &self.inner.name).field("status", &self.status()).finish()
    }
}
