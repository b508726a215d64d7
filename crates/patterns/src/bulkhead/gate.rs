//! The places of a bulkhead and the queue before them, shared by threads.
//!
//! Two numbers, the places taken and the calls waiting, sit in one atomic word. While nobody waits, to enter and to leave
//! is one exchange of that word and no lock. As soon as somebody waits, everything goes through the lock of the queue, so
//! that nobody overtakes and no free place goes unnoticed. Three things hold between any two steps:
//!
//! 1. the number of waiting calls changes only under the lock, and is the length of the queue;
//! 2. while somebody waits, no place is free;
//! 3. a call that was given a place while it waited has it: if it goes away without looking, it gives it back.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock};

/// The places of a bulkhead. It works without a runtime: [`Gate::enter`], [`Gate::claim`], [`Gate::leave`].
#[derive(Debug)]
pub struct Gate {
    /// Places taken above, calls waiting below.
    counts: AtomicU64,
    limit: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next_ticket: u64,
    waiting: BTreeMap<Ticket, Option<Waker>>,
    /// Those who were given a place and have not looked yet.
    given: BTreeSet<Ticket>,
}

/// What came of the wish to enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a place is given back with `leave`, a ticket with `abandon`"]
pub enum Entry {
    /// A place is yours, to be given back with [`Gate::leave`].
    Entered,
    /// You wait; ask with [`Gate::claim`] whether a place is yours by now.
    Waiting(Ticket),
    /// Too many are waiting.
    Full,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Goes up from call to call.
    number: u64,
    ahead: u32,
}

impl Ticket {
    /// How many were waiting when this one came.
    #[must_use]
    pub const fn ahead(self) -> u32 {
        self.ahead
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Numbers {
    taken: u32,
    waiting: u32,
}

impl Numbers {
    fn pack(self) -> u64 {
        u64::from(self.taken) << 32 | u64::from(self.waiting)
    }

    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    const fn unpack(word: u64) -> Self {
        Self { taken: (word >> 32) as u32, waiting: word as u32 }
    }
}

impl Gate {
    /// A gate with so many places.
    #[must_use]
    pub fn new(places: u32) -> Self {
        Self { counts: AtomicU64::new(0), limit: AtomicU32::new(places), queue: Mutex::new(Queue::default()) }
    }

    /// Asks for a place; if there is none, for one in the queue, which holds `queue` calls.
    pub fn enter(&self, queue: u32) -> Entry {
        if self.enter_now() {
            return Entry::Entered;
        }
        if queue == 0 {
            return Entry::Full;
        }
        self.enter_or_wait(queue)
    }

    /// Takes a place if one is free and nobody waits for it.
    fn enter_now(&self) -> bool {
        self.update(|numbers| {
            let free = numbers.waiting == 0 && numbers.taken < self.limit.load(Ordering::Acquire);
            free.then(|| Numbers { taken: numbers.taken + 1, ..numbers })
        })
        .is_some()
    }

    fn enter_or_wait(&self, most: u32) -> Entry {
        let mut queue = lock(&self.queue);
        if self.enter_now() {
            return Entry::Entered;
        }
        // From here to the end of the lock: `enter_now` has failed, but a place may have become free since, and if nobody
        // else waits its last owner did not look at the queue. So the decision is made in the exchange itself.
        let limit = self.limit.load(Ordering::Acquire);
        let before = self.update(|numbers| {
            if numbers.waiting == 0 && numbers.taken < limit {
                Some(Numbers { taken: numbers.taken + 1, ..numbers })
            } else {
                (numbers.waiting < most).then(|| Numbers { waiting: numbers.waiting + 1, ..numbers })
            }
        });
        match before {
            None => Entry::Full,
            Some(before) if before.waiting == 0 && before.taken < limit => Entry::Entered,
            Some(before) => {
                queue.next_ticket += 1;
                let ticket = Ticket { number: queue.next_ticket, ahead: before.waiting };
                queue.waiting.insert(ticket, None);
                Entry::Waiting(ticket)
            }
        }
    }

    /// Whether the waiting call has been given a place, which is then its to [`leave`](Gate::leave) and the ticket void.
    pub fn claim(&self, ticket: Ticket) -> bool {
        lock(&self.queue).given.remove(&ticket)
    }

    /// Gives back a place: to the first who waits, if somebody does.
    pub fn leave(&self) {
        let left = self.update(|numbers| {
            (numbers.waiting == 0).then(|| Numbers { taken: numbers.taken.saturating_sub(1), ..numbers })
        });
        if left.is_none() {
            let mut queue = lock(&self.queue);
            self.update(|numbers| Some(Numbers { taken: numbers.taken.saturating_sub(1), ..numbers }));
            let wakers = self.give_free_places(&mut queue);
            drop(queue);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// A waiting call goes away; if it has been given a place by now, it gives it back.
    pub fn abandon(&self, ticket: Ticket) {
        let mut queue = lock(&self.queue);
        if queue.waiting.remove(&ticket).is_some() {
            self.update(|numbers| Some(Numbers { waiting: numbers.waiting.saturating_sub(1), ..numbers }));
        } else if queue.given.remove(&ticket) {
            drop(queue);
            self.leave();
        }
    }

    /// Sets the number of places. Those who have one keep it, also when there are more of them than places now.
    pub fn set_limit(&self, places: u32) {
        if self.limit.swap(places, Ordering::AcqRel) >= places {
            return;
        }
        let wakers = self.give_free_places(&mut lock(&self.queue));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The number of places.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Acquire)
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        Numbers::unpack(self.counts.load(Ordering::Acquire)).taken
    }

    /// How many calls wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        Numbers::unpack(self.counts.load(Ordering::Acquire)).waiting
    }

    /// Gives places that are free to those who wait, in their order.
    fn give_free_places(&self, queue: &mut Queue) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some(first) = queue.waiting.first_entry() {
            let given = self.update(|numbers| {
                (numbers.taken < self.limit.load(Ordering::Acquire))
                    .then(|| Numbers { taken: numbers.taken + 1, waiting: numbers.waiting.saturating_sub(1) })
            });
            if given.is_none() {
                break;
            }
            let (ticket, waker) = first.remove_entry();
            queue.given.insert(ticket);
            wakers.extend(waker);
        }
        wakers
    }

    /// Exchanges the numbers for what the function makes of them; the numbers before, or nothing if it made nothing.
    fn update(&self, change: impl Fn(Numbers) -> Option<Numbers>) -> Option<Numbers> {
        self.counts
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| change(Numbers::unpack(word)).map(Numbers::pack))
            .ok()
            .map(Numbers::unpack)
    }

    /// Asks whether a place is given; if not, the waker is woken when it is.
    fn poll_claim(&self, ticket: Ticket, waker: &Waker) -> Poll<()> {
        let mut queue = lock(&self.queue);
        if queue.given.remove(&ticket) {
            return Poll::Ready(());
        }
        if let Some(known) = queue.waiting.get_mut(&ticket)
            && !known.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            *known = Some(waker.clone());
        }
        Poll::Pending
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Gate);

impl<'a> Place<'a> {
    /// The place of a call that was told [`Entry::Entered`].
    pub(crate) const fn taken(gate: &'a Gate) -> Self {
        Self(gate)
    }

    /// Ends when the ticket was given a place; abandoned when dropped before.
    pub(crate) const fn wait(gate: &'a Gate, ticket: Ticket) -> Waiting<'a> {
        Waiting { gate, ticket: Some(ticket) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Waits in the queue of a gate.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    gate: &'a Gate,
    ticket: Option<Ticket>,
}

impl<'a> Future for Waiting<'a> {
    type Output = Place<'a>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Place<'a>> {
        let Some(ticket) = self.ticket else { return Poll::Pending };
        self.gate.poll_claim(ticket, context.waker()).map(|()| {
            self.ticket = None;
            Place(self.gate)
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.gate.abandon(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket(entry: Entry) -> Ticket {
        let Entry::Waiting(ticket) = entry else { panic!("{entry:?} instead of a ticket") };
        ticket
    }

    #[test]
    fn places_are_given_in_the_order_of_waiting() {
        let gate = Gate::new(1);
        assert_eq!(gate.enter(2), Entry::Entered);
        let (first, second) = (ticket(gate.enter(2)), ticket(gate.enter(2)));
        assert_eq!(gate.enter(2), Entry::Full);
        gate.leave();
        assert!(!gate.claim(second));
        assert!(gate.claim(first) && !gate.claim(first));
        gate.leave();
        assert!(gate.claim(second));
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let gate = Gate::new(1);
        assert_eq!(gate.enter(1), Entry::Entered);
        let first = ticket(gate.enter(1));
        gate.leave();
        assert_eq!(gate.enter(0), Entry::Full);
        assert!(gate.claim(first));
    }

    #[test]
    fn who_goes_away_leaves_nothing_behind() {
        let gate = Gate::new(1);
        assert_eq!(gate.enter(2), Entry::Entered);
        let (first, second) = (ticket(gate.enter(2)), ticket(gate.enter(2)));
        gate.abandon(second);
        gate.leave();
        gate.abandon(first);
        gate.abandon(first);
        assert_eq!((gate.taken(), gate.waiting()), (0, 0));
    }

    #[test]
    fn more_places_let_in_those_who_wait_and_fewer_put_nobody_out() {
        let gate = Gate::new(1);
        assert_eq!(gate.enter(0), Entry::Entered);
        let waiting = ticket(gate.enter(1));
        gate.set_limit(2);
        assert!(gate.claim(waiting));
        gate.set_limit(1);
        assert_eq!((gate.taken(), gate.enter(0)), (2, Entry::Full));
        gate.leave();
        assert_eq!(gate.enter(0), Entry::Full);
        gate.leave();
        assert_eq!(gate.enter(0), Entry::Entered);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Enter(u32),
        Leave,
        Claim(usize),
        Abandon(usize),
        SetLimit(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u32..4).prop_map(Step::Enter),
            3 => Just(Step::Leave),
            2 => (0_usize..8).prop_map(Step::Claim),
            1 => (0_usize..8).prop_map(Step::Abandon),
            1 => (1_u32..5).prop_map(Step::SetLimit),
        ]
    }

    proptest! {
        /// Against a model that knows every call by name.
        #[test]
        fn never_more_calls_than_places_and_none_is_lost(steps in prop::collection::vec(any_step(), 1..200)) {
            let gate = Gate::new(2);
            let (mut inside, mut tickets, mut limit) = (0_u32, Vec::new(), 2_u32);
            for step in steps {
                match step {
                    Step::Enter(queue) => match gate.enter(queue) {
                        Entry::Entered => {
                            inside += 1;
                            prop_assert!(inside <= limit);
                        }
                        Entry::Waiting(ticket) => tickets.push(ticket),
                        Entry::Full => prop_assert!(gate.taken() >= limit || gate.waiting() > 0),
                    },
                    Step::Leave if inside > 0 => {
                        gate.leave();
                        inside -= 1;
                    }
                    Step::Claim(at) if at < tickets.len() => {
                        if gate.claim(tickets[at]) {
                            tickets.remove(at);
                            inside += 1;
                        }
                    }
                    Step::Abandon(at) if at < tickets.len() => gate.abandon(tickets.remove(at)),
                    Step::SetLimit(places) => {
                        gate.set_limit(places);
                        limit = places;
                    }
                    Step::Leave | Step::Claim(_) | Step::Abandon(_) => {}
                }
                prop_assert!(gate.waiting() == 0 || gate.taken() >= limit, "a place is free and somebody waits");
            }
            tickets.into_iter().for_each(|ticket| gate.abandon(ticket));
            (0..inside).for_each(|_| gate.leave());
            prop_assert_eq!((gate.taken(), gate.waiting()), (0, 0));
        }
    }
}
