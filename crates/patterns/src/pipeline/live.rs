//! What a pipeline consists of at one moment: its options, and the state that belongs to them.

use std::{sync::Arc, time::Duration};

use crate::{
    breaker::{self, Breaker, Circuit},
    bulkhead::{Bulkhead, Estimate, Gate, Limit},
    clock::Moment,
    error::InvalidOption,
    event::{Listener, Listeners},
    retry::{Bank, Retry},
    sync::Mutex,
};

/// Which strategies a pipeline has, and their options. Plain data, to be read from a file or compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The limit on the call with all attempts and pauses.
    pub overall_timeout: Option<Duration>,
    /// Whether and when a failed attempt is repeated.
    pub retry: Option<Retry>,
    /// When the dependency is left alone.
    pub breaker: Option<Breaker>,
    /// How many calls at a time.
    pub bulkhead: Option<Bulkhead>,
    /// The limit on one attempt.
    pub attempt_timeout: Option<Duration>,
}

/// What the strategies of a pipeline look like at one moment; those it has not are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The breaker.
    pub breaker: Option<breaker::Status>,
    /// The bulkhead.
    pub bulkhead: Option<BulkheadStatus>,
    /// Retries that the budget would allow at once.
    pub retry_tokens: Option<u32>,
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
        self.retry.as_ref().map_or(Ok(()), Retry::validate)?;
        self.breaker.as_ref().map_or(Ok(()), Breaker::validate)?;
        self.bulkhead.as_ref().map_or(Ok(()), Bulkhead::validate)
    }
}

/// Options with their state.
pub(super) struct Live {
    pub(super) options: Options,
    pub(super) circuit: Option<Circuit>,
    pub(super) bank: Option<Arc<Bank>>,
    pub(super) gate: Option<Arc<Gate>>,
    /// What an adaptive bulkhead knows.
    pub(super) estimate: Option<Arc<Mutex<Estimate>>>,
    pub(super) listeners: Listeners,
}

impl Live {
    pub(super) fn new(options: Options, listeners: Listeners, now: Moment) -> Result<Self, InvalidOption> {
        let nothing =
            Self { options: Options::default(), circuit: None, bank: None, gate: None, estimate: None, listeners };
        nothing.reconfigured(options, now)
    }

    /// The same pipeline with other options.
    pub(super) fn reconfigured(&self, options: Options, now: Moment) -> Result<Self, InvalidOption> {
        options.validate()?;
        let circuit = match (&self.circuit, &options.breaker) {
            (Some(circuit), Some(breaker)) => Some(circuit.reconfigured(breaker.clone())?),
            (None, Some(breaker)) => Some(Circuit::new(breaker.clone())?),
            (_, None) => None,
        };
        let budget = options.retry.as_ref().and_then(|retry| retry.budget.as_ref());
        let bank = budget.map(|budget| self.bank.clone().unwrap_or_else(|| Arc::new(Bank::full(budget, now))));
        let (gate, estimate) = match &options.bulkhead {
            None => (None, None),
            Some(bulkhead) => self.gate_for(bulkhead),
        };
        Ok(Self { options, circuit, bank, gate, estimate, listeners: self.listeners.clone() })
    }

    /// The gate of these options: the one there is, with its places and waiting calls, if there is one.
    fn gate_for(&self, bulkhead: &Bulkhead) -> (Option<Arc<Gate>>, Option<Arc<Mutex<Estimate>>>) {
        let unchanged = self.options.bulkhead.as_ref().is_some_and(|before| before.limit == bulkhead.limit);
        let gate = self.gate.clone().unwrap_or_else(|| Arc::new(Gate::new(bulkhead.initial())));
        if unchanged {
            return (Some(gate), self.estimate.clone());
        }
        gate.set_limit(bulkhead.initial());
        let estimate = match &bulkhead.limit {
            Limit::Fixed(_) => None,
            Limit::Adaptive(adaptive) => Some(Arc::new(Mutex::new(Estimate::new(adaptive)))),
        };
        (Some(gate), estimate)
    }

    pub(super) fn with_listener(&self, listener: Arc<dyn Listener>) -> Self {
        let mut listeners = self.listeners.clone();
        listeners.add(listener);
        Self {
            options: self.options.clone(),
            circuit: self.circuit.as_ref().map(Circuit::share),
            bank: self.bank.clone(),
            gate: self.gate.clone(),
            estimate: self.estimate.clone(),
            listeners,
        }
    }

    pub(super) fn status(&self, now: Moment) -> Status {
        let budget = self.options.retry.as_ref().and_then(|retry| retry.budget.as_ref());
        Status {
            breaker: self.circuit.as_ref().map(|circuit| circuit.status(now)),
            bulkhead: self.gate.as_ref().map(|gate| BulkheadStatus {
                limit: gate.limit(),
                taken: gate.taken(),
                waiting: gate.waiting(),
            }),
            retry_tokens: budget.zip(self.bank.as_ref()).map(|(budget, bank)| bank.tokens(budget, now)),
        }
    }
}
