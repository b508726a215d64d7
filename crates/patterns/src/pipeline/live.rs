//! What a pipeline consists of at one moment: its options, and the state that belongs to them.

use std::{sync::Arc, time::Duration};

use crate::{
    breaker::{self, Breaker, Circuit},
    bulkhead::{Bulkhead, Estimate, Gate, Limit, Patience},
    chaos::Chaos,
    clock::Moment,
    error::InvalidOption,
    event::{Listener, Listeners},
    hedge::{Hedge, Latencies},
    rate_limit::{Meter, RateLimit},
    retry::{Bank, Budget, Retry},
    shed::{InFlight, Shed},
    sync::Mutex,
};

/// Which strategies a pipeline has, and their options. Plain data, to be read from a file or compared. In the order of
/// the strategies, from outside to inside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// When calls are refused because too many are under way.
    pub shed: Option<Shed>,
    /// The limit on the call with all attempts and pauses.
    pub overall_timeout: Option<Duration>,
    /// Whether and when a failed attempt is repeated.
    pub retry: Option<Retry>,
    /// When a further request is sent for an attempt that is late.
    pub hedge: Option<Hedge>,
    /// When the dependency is left alone.
    pub breaker: Option<Breaker>,
    /// How many attempts in which time.
    pub rate_limit: Option<RateLimit>,
    /// How many attempts at a time.
    pub bulkhead: Option<Bulkhead>,
    /// The limit on one attempt.
    pub attempt_timeout: Option<Duration>,
    /// Faults on purpose.
    pub chaos: Option<Chaos>,
}

/// What the strategies of a pipeline look like at one moment; those it has not are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Calls under way, as load shedding counts them.
    pub in_flight: Option<u32>,
    /// The breaker.
    pub breaker: Option<breaker::Status>,
    /// The bulkhead.
    pub bulkhead: Option<BulkheadStatus>,
    /// Retries that the budget would allow at once.
    pub retry_tokens: Option<u32>,
    /// Hedges that the budget would allow at once.
    pub hedge_tokens: Option<u32>,
    /// How long a call now waits for its answer before a hedge is sent.
    pub hedge_delay: Option<Duration>,
}

/// What a bulkhead looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadStatus {
    /// Places.
    pub limit: u32,
    /// Places taken. More than there are, for a while after their number was lowered.
    pub taken: u32,
    /// Calls waiting for a place.
    pub waiting: u32,
}

impl Options {
    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        for (option, timeout) in [("overall_timeout", self.overall_timeout), ("attempt_timeout", self.attempt_timeout)]
        {
            if timeout.is_some_and(|timeout| timeout.is_zero()) {
                return Err(InvalidOption::new(option, Duration::ZERO, "above zero"));
            }
        }
        self.shed.as_ref().map_or(Ok(()), Shed::validate)?;
        self.retry.as_ref().map_or(Ok(()), Retry::validate)?;
        self.hedge.as_ref().map_or(Ok(()), Hedge::validate)?;
        self.breaker.as_ref().map_or(Ok(()), Breaker::validate)?;
        self.rate_limit.as_ref().map_or(Ok(()), RateLimit::validate)?;
        self.bulkhead.as_ref().map_or(Ok(()), Bulkhead::validate)?;
        self.chaos.as_ref().map_or(Ok(()), Chaos::validate)
    }

    /// Whether a strategy wants to know how long, or until when, a call took that succeeded.
    fn want_durations(&self) -> bool {
        let adaptive = matches!(&self.bulkhead, Some(Bulkhead { limit: Limit::Adaptive(_), .. }));
        self.hedge.is_some() || adaptive || self.breaker.as_ref().is_some_and(Breaker::wants_durations)
    }

    pub(super) fn retry_budget(&self) -> Option<&Budget> {
        self.retry.as_ref()?.budget.as_ref()
    }

    pub(super) fn hedge_budget(&self) -> Option<&Budget> {
        self.hedge.as_ref()?.budget.as_ref()
    }
}

/// Options with their state. Each part of the state is there when its strategy is.
#[derive(Default)]
pub(super) struct Live {
    pub(super) options: Options,
    pub(super) in_flight: Option<Arc<InFlight>>,
    pub(super) retries: Option<Arc<Bank>>,
    pub(super) hedges: Option<Arc<Bank>>,
    pub(super) latencies: Option<Arc<Latencies>>,
    pub(super) circuit: Option<Circuit>,
    pub(super) meter: Option<Arc<Meter>>,
    pub(super) places: Option<Arc<Places>>,
    pub(super) listeners: Listeners,
    /// Whether anybody wants to know how long a call took that succeeded.
    pub(super) timed: bool,
}

/// The state of a bulkhead.
pub(super) struct Places {
    pub(super) gate: Arc<Gate>,
    pub(super) patience: Patience,
    /// What an adaptive one knows.
    pub(super) estimate: Option<Mutex<Estimate>>,
}

impl Live {
    pub(super) fn new(options: Options, listeners: Listeners, now: Moment) -> Result<Self, InvalidOption> {
        Self { listeners, ..Self::default() }.reconfigured(options, now)
    }

    /// The same pipeline with other options.
    pub(super) fn reconfigured(&self, options: Options, now: Moment) -> Result<Self, InvalidOption> {
        options.validate()?;
        let circuit = match (&self.circuit, &options.breaker) {
            (Some(circuit), Some(breaker)) => Some(circuit.reconfigured(breaker.clone())?),
            (None, Some(breaker)) => Some(Circuit::new(breaker.clone())?),
            (_, None) => None,
        };
        Ok(Self {
            timed: self.listeners.any() || options.want_durations(),
            in_flight: kept(self.in_flight.as_ref(), options.shed.as_ref(), |_| InFlight::new()),
            retries: kept(self.retries.as_ref(), options.retry_budget(), |budget| Bank::full(budget, now)),
            hedges: kept(self.hedges.as_ref(), options.hedge_budget(), |budget| Bank::full(budget, now)),
            latencies: kept(self.latencies.as_ref(), options.hedge.as_ref(), |_| Latencies::new()),
            circuit,
            meter: kept(self.meter.as_ref(), options.rate_limit.as_ref(), |_| Meter::new()),
            places: options.bulkhead.as_ref().map(|bulkhead| self.places_for(bulkhead, now)),
            options,
            listeners: self.listeners.clone(),
        })
    }

    /// The places of these options: those there are, with the calls in them and before them, if there are any.
    fn places_for(&self, bulkhead: &Bulkhead, now: Moment) -> Arc<Places> {
        let same_limit = self.options.bulkhead.as_ref().is_some_and(|before| before.limit == bulkhead.limit);
        if let Some(places) = &self.places
            && same_limit
        {
            return Arc::clone(places);
        }
        let gate = match &self.places {
            Some(places) => {
                places.gate.set_limit(bulkhead.initial());
                Arc::clone(&places.gate)
            }
            None => Arc::new(Gate::new(bulkhead.initial())),
        };
        let estimate = match &bulkhead.limit {
            Limit::Fixed(_) => None,
            Limit::Adaptive(adaptive) => Some(Mutex::new(Estimate::new(adaptive))),
        };
        Arc::new(Places { gate, patience: Patience::new(now), estimate })
    }

    pub(super) fn with_listener(&self, name: &str, listener: Arc<dyn Listener>) -> Self {
        let mut listeners = self.listeners.clone();
        listeners.add(name, listener);
        Self {
            options: self.options.clone(),
            in_flight: self.in_flight.clone(),
            retries: self.retries.clone(),
            hedges: self.hedges.clone(),
            latencies: self.latencies.clone(),
            circuit: self.circuit.as_ref().map(Circuit::share),
            meter: self.meter.clone(),
            places: self.places.clone(),
            listeners,
            timed: true,
        }
    }

    pub(super) fn status(&self, now: Moment) -> Status {
        let tokens = |budget: Option<&Budget>, bank: Option<&Arc<Bank>>| {
            budget.zip(bank).map(|(budget, bank)| bank.tokens(budget, now))
        };
        let hedge = self.options.hedge.as_ref().zip(self.latencies.as_ref());
        Status {
            in_flight: self.in_flight.as_ref().map(|calls| calls.count()),
            breaker: self.circuit.as_ref().map(|circuit| circuit.status(now)),
            bulkhead: self.places.as_ref().map(|places| BulkheadStatus {
                limit: places.gate.limit(),
                taken: places.gate.taken(),
                waiting: places.gate.waiting(),
            }),
            retry_tokens: tokens(self.options.retry_budget(), self.retries.as_ref()),
            hedge_tokens: tokens(self.options.hedge_budget(), self.hedges.as_ref()),
            hedge_delay: hedge.map(|(hedge, latencies)| hedge.wait(latencies)),
        }
    }
}

/// The state there is, or a new one, for a strategy that has options.
fn kept<O, S>(state: Option<&Arc<S>>, options: Option<&O>, new: impl FnOnce(&O) -> S) -> Option<Arc<S>> {
    options.map(|options| state.map_or_else(|| Arc::new(new(options)), Arc::clone))
}
