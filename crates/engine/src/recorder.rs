//! The record of a run, as it grows.

use std::sync::{Arc, Mutex, PoisonError};

use model::event::{Event, What};
use observe::Clock;
use tokio::sync::watch;

/// The record of a run, as it grows: every observation and act, stamped by the one clock and appended before it is acted
/// on. Clones share one record.
#[derive(Debug, Clone)]
pub struct Recorder {
    clock: Clock,
    events: Arc<Mutex<Vec<Event>>>,
    length: Arc<watch::Sender<usize>>,
}

impl Recorder {
    /// An empty record on this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, events: Arc::default(), length: Arc::new(watch::Sender::new(0)) }
    }

    /// Stamps and appends.
    pub fn record(&self, what: What) -> Event {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // The lock is taken first: the order in the record is the order of the stamps.
        let event = Event { at: self.clock.now(), what };
        tracing::debug!(at = %event.at, what = ?event.what, "recorded");
        events.push(event.clone());
        self.length.send_replace(events.len());
        event
    }

    /// The events from number `from` on.
    #[must_use]
    pub fn since(&self, from: usize) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).get(from..).unwrap_or_default().to_vec()
    }

    /// Wakes whenever the record has grown; the value is its length.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.length.subscribe()
    }

    /// The clock that stamps the events.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }
}
