//! How long a call may wait in the queue of a bulkhead.

use std::time::Duration;

use super::{Bulkhead, Ticket};
use crate::{
    clock::Moment,
    sync::{AtomicU64, Ordering},
};

/// Remembers when the queue was last seen empty.
#[derive(Debug)]
pub struct Patience {
    /// Nanoseconds of the clock.
    empty_at: AtomicU64,
}

impl Patience {
    /// The queue is empty now.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self { empty_at: AtomicU64::new(now.as_nanos()) }
    }

    /// How long a call that joins the queue now may wait.
    pub fn wait(&self, bulkhead: &Bulkhead, ticket: Ticket, now: Moment) -> Duration {
        let Some(short) = bulkhead.controlled_delay else { return bulkhead.queue_timeout };
        if ticket.ahead() == 0 {
            self.empty_at.fetch_max(now.as_nanos(), Ordering::Relaxed);
            return bulkhead.queue_timeout;
        }
        let standing = now.since(Moment::from_nanos(self.empty_at.load(Ordering::Relaxed)));
        if standing > bulkhead.queue_timeout { short } else { bulkhead.queue_timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulkhead::{Entry, Gate};

    #[test]
    fn a_standing_queue_makes_impatient_and_an_empty_one_patient_again() {
        let (long, short) = (Duration::from_millis(100), Duration::from_millis(5));
        let bulkhead = Bulkhead::of(1).queue(10, long).controlled_delay(short);
        let (gate, patience) = (Gate::new(1), Patience::new(Moment::ZERO));
        assert_eq!(gate.enter(10), Entry::Entered);
        let join = |millis| {
            let Entry::Waiting(ticket) = gate.enter(10) else { panic!("there is room in the queue") };
            (ticket, patience.wait(&bulkhead, ticket, Moment::from_millis(millis)))
        };
        let (first, wait) = join(1000);
        assert_eq!(wait, long, "the queue was empty");
        let (second, wait) = join(1100);
        assert_eq!(wait, long, "it has stood for no longer than a call may wait");
        let (third, wait) = join(1101);
        assert_eq!(wait, short);
        [first, second, third].into_iter().for_each(|ticket| gate.abandon(ticket));
        assert_eq!(join(1102).1, long);
    }
}
