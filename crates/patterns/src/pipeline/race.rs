//! An attempt and its hedges: whichever answers first.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context as Task, Poll},
};

use super::call::{Call, Ended};
use crate::{
    clock::{Clock, Moment},
    error::Scope,
    event::{Kind, Outcome},
    hedge::Hedge,
    outcome::Class,
};

impl<C: Clock> Call<'_, '_, C> {
    /// Makes an attempt, and hedges while it is late. `make` makes the attempt (0) or a hedge (from 1).
    pub(super) async fn hedged<T, E, A: Future<Output = Ended<T, E>>>(
        &self,
        hedge: &Hedge,
        number: u32,
        began: Moment,
        make: impl Fn(u32, Moment) -> A,
    ) -> Ended<T, E> {
        let clock = &self.inner.clock;
        let delay = self.live.latencies.as_ref().map(|latencies| hedge.wait(latencies));
        let first = pin!(make(0, began));
        let mut race = Race { first: Some(first), hedges: Vec::new(), failed: None };
        let mut sent = 0;
        // Nothing is known of a timer until the first attempt is late at all.
        let mut next = delay.map(|delay| began + delay);
        let mut sleep = pin!(None::<C::Sleep>);
        poll_fn(|task| {
            loop {
                let failures = match race.poll(task) {
                    Progress::Over(ended, by) => {
                        self.learn_latency(hedge, by, began, ended.outcome, ended.at);
                        return Poll::Ready(ended);
                    }
                    Progress::Failed => true,
                    Progress::Waiting => false,
                };
                let Some(due) = next else { return race.last() };
                if !failures {
                    if sleep.is_none() {
                        sleep.set(Some(clock.sleep_until(due)));
                    }
                    let waiting = sleep.as_mut().as_pin_mut().is_some_and(|sleep| sleep.poll(task).is_pending());
                    if waiting {
                        return Poll::Pending;
                    }
                }
                let now = clock.now();
                sleep.set(None);
                if sent < hedge.max_hedges && self.may_hedge(hedge, now) {
                    sent += 1;
                    self.tell(now, Kind::Hedge { number, hedge: sent });
                    race.hedges.push((sent, Box::pin(make(sent, now))));
                    next = delay.map(|delay| now + delay);
                } else {
                    next = None;
                }
            }
        })
        .await
    }

    fn may_hedge(&self, hedge: &Hedge, now: Moment) -> bool {
        match (&hedge.budget, &self.live.hedges) {
            (Some(budget), Some(bank)) => bank.withdraw(budget, now),
            (None, _) | (_, None) => true,
        }
    }

    /// How long the first request took. If a hedge was faster, it took at least as long as until then: to leave that out
    /// would make answers look faster than they are, and send more hedges.
    fn learn_latency(&self, hedge: &Hedge, by: u32, began: Moment, outcome: Outcome, at: Moment) {
        if let Some(latencies) = &self.live.latencies
            && (by > 0 || outcome == Outcome::Done(Class::Success))
        {
            latencies.record(hedge, at.since(began));
        }
    }
}

/// Those who race. Hedges are few and late, so they may be boxed; the first request is not.
struct Race<'p, A, T, E> {
    first: Option<Pin<&'p mut A>>,
    hedges: Vec<(u32, Pin<Box<A>>)>,
    /// What came of one that failed, to be given back when all have.
    failed: Option<Ended<T, E>>,
}

enum Progress<T, E> {
    /// An answer that ends the race, and whose.
    Over(Ended<T, E>, u32),
    /// One failed in a way that another may not meet; there is no use in waiting before the next is sent.
    Failed,
    /// Nothing new.
    Waiting,
}

impl<T, E, A: Future<Output = Ended<T, E>>> Race<'_, A, T, E> {
    fn poll(&mut self, task: &mut Task<'_>) -> Progress<T, E> {
        let mut progress = Progress::Waiting;
        if let Some(first) = &mut self.first
            && let Poll::Ready(ended) = first.as_mut().poll(task)
        {
            self.first = None;
            match self.take(ended, 0) {
                Progress::Waiting => {}
                Progress::Failed => progress = Progress::Failed,
                over @ Progress::Over(..) => return over,
            }
        }
        let mut at = 0;
        while at < self.hedges.len() {
            let (number, hedge) = &mut self.hedges[at];
            let (number, polled) = (*number, hedge.as_mut().poll(task));
            let Poll::Ready(ended) = polled else {
                at += 1;
                continue;
            };
            drop(self.hedges.swap_remove(at));
            match self.take(ended, number) {
                Progress::Waiting => {}
                Progress::Failed => progress = Progress::Failed,
                over @ Progress::Over(..) => return over,
            }
        }
        match progress {
            // Everything was refused: the next would be too.
            Progress::Waiting if self.nobody_runs() => {
                self.failed.take().map_or(Progress::Waiting, |refused| Progress::Over(refused, 0))
            }
            progress => progress,
        }
    }

    fn nobody_runs(&self) -> bool {
        self.first.is_none() && self.hedges.is_empty()
    }

    /// Takes what came of one of them.
    fn take(&mut self, ended: Ended<T, E>, by: u32) -> Progress<T, E> {
        match ended.outcome {
            Outcome::Done(Class::Success | Class::Permanent | Class::Invalid)
            | Outcome::TimedOut(Scope::Overall)
            | Outcome::Cancelled => Progress::Over(ended, by),
            Outcome::Done(Class::Transient(_)) | Outcome::TimedOut(Scope::Attempt) | Outcome::Injected => {
                self.failed = Some(ended);
                Progress::Failed
            }
            // To send another would bring another refusal. A failure says more than a refusal.
            Outcome::Rejected(_) => {
                self.failed.get_or_insert(ended);
                Progress::Waiting
            }
        }
    }

    /// What came of the race when no more are sent: nothing yet, or the failure when all have failed.
    fn last(&mut self) -> Poll<Ended<T, E>> {
        if self.nobody_runs() { self.failed.take().map_or(Poll::Pending, Poll::Ready) } else { Poll::Pending }
    }
}
