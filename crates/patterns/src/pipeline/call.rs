//! One call through a pipeline: the thin shell that asks the strategies, waits, and tells what happened.

use std::{future::Future, pin::pin, sync::TryLockError};

use super::{Inner, live::Live};
use crate::{
    breaker::{Change, Circuit, Permit, Verdict},
    bulkhead::{self, Entry, Limit, Place},
    clock::{Clock, Moment},
    context::{Attempt, Context},
    error::{Error, Rejected, Scope, TimedOut},
    event::{Event, Kind, Outcome},
    outcome::{Class, Classify},
    retry::{After, Decision, Schedule},
    sync::{Mutex, lock},
    timeout::{limited, nearer},
};

/// How a call or an attempt ended.
pub(super) struct Ended<T, E> {
    pub(super) result: Result<T, Error<E>>,
    pub(super) outcome: Outcome,
    pub(super) at: Moment,
}

impl<T, E> Ended<T, E> {
    const fn rejected(rejected: Rejected, at: Moment) -> Self {
        Self { result: Err(Error::Rejected(rejected)), outcome: Outcome::Rejected(rejected), at }
    }

    const fn timed_out(timed_out: TimedOut, at: Moment) -> Self {
        Self { result: Err(Error::TimedOut(timed_out)), outcome: Outcome::TimedOut(timed_out.scope), at }
    }
}

/// Makes a call with all its attempts.
pub(super) async fn run<'a, C, T, E, F, Fut, K>(
    inner: &Inner<C>,
    classify: &K,
    context: &'a Context,
    operation: &F,
) -> Ended<T, E>
where
    C: Clock,
    F: Fn(Attempt<'a>) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    K: Classify<T, E>,
{
    let live = inner.live.load();
    let started = inner.clock.now();
    let overall = live.options.overall_timeout.map(|timeout| started + timeout);
    let deadline = nearer(overall, context.get_deadline());
    let mut call = Call { inner, live: &live, context, started, deadline, schedule: Schedule::default(), over: false };
    let ended = call.attempts(classify, operation).await;
    call.over = true;
    call.tell_end(ended.outcome, ended.at);
    ended
}

/// A call under way. Dropped before it is over, it was cancelled.
struct Call<'c, 'a, C: Clock> {
    inner: &'c Inner<C>,
    live: &'c Live,
    context: &'a Context,
    started: Moment,
    deadline: Option<Moment>,
    schedule: Schedule,
    over: bool,
}

impl<'a, C: Clock> Call<'_, 'a, C> {
    async fn attempts<T, E, F, Fut, K>(&mut self, classify: &K, operation: &F) -> Ended<T, E>
    where
        F: Fn(Attempt<'a>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        K: Classify<T, E>,
    {
        if self.deadline.is_some_and(|deadline| deadline <= self.started) {
            return Ended::rejected(Rejected::DeadlinePassed, self.started);
        }
        let retry = self.live.options.retry.as_ref();
        if let (Some(budget), Some(bank)) = (retry.and_then(|retry| retry.budget.as_ref()), &self.live.bank) {
            bank.deposit(budget, self.started);
        }
        let mut began = self.started;
        loop {
            let number = self.schedule.begin();
            let ended = self.attempt(number, began, classify, operation).await;
            let Some(retry) = retry else { return ended };
            let after = After {
                outcome: ended.outcome,
                idempotent: self.context.is_idempotent(),
                now: ended.at,
                deadline: self.deadline,
                bank: self.live.bank.as_deref(),
            };
            match self.schedule.decide(retry, &after, &mut &self.inner.random) {
                Decision::Over => return ended,
                Decision::GiveUp(reason) => {
                    self.tell(ended.at, Kind::GaveUp { after: number, reason });
                    return ended;
                }
                Decision::Again(delay) => {
                    self.tell(ended.at, Kind::Retry { after: number, delay });
                    let next = ended.at + delay;
                    // The failed result may hold a connection: not through the pause.
                    drop(ended);
                    self.inner.clock.sleep_until(next).await;
                    began = self.inner.clock.now();
                }
            }
        }
    }

    /// Makes one attempt, if breaker and bulkhead let it through.
    async fn attempt<T, E, F, Fut, K>(&self, number: u32, asked: Moment, classify: &K, operation: &F) -> Ended<T, E>
    where
        F: Fn(Attempt<'a>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        K: Classify<T, E>,
    {
        let mut trace = Trace { call: self, number, hedge: 0, began: asked, over: false };
        let permission = match self.admit(asked) {
            Ok(permission) => permission,
            Err(rejected) => return trace.end(Ended::rejected(rejected, asked)),
        };
        let (place, began) = match self.enter(asked).await {
            Ok(entered) => entered,
            Err((error, at)) => return trace.end(Ended { result: Err(error.0), outcome: error.1, at }),
        };
        trace.began = began;
        let timeout = self.live.options.attempt_timeout.map(|timeout| began + timeout);
        let deadline = nearer(timeout, self.deadline);
        let result = {
            let future = pin!(operation(Attempt::new(self.context, number, 0, began, deadline)));
            limited(&self.inner.clock, deadline, future).await
        };
        let at = self.inner.clock.now();
        let ended = match result {
            Some(result) => {
                let class = classify.classify(result.as_ref());
                Ended { result: result.map_err(Error::Failed), outcome: Outcome::Done(class), at }
            }
            None => Ended::timed_out(self.timed_out(began, deadline, at), at),
        };
        if let Some(permission) = permission {
            permission.spend(self, ended.outcome, began, at);
        }
        if let Some(place) = place {
            self.learn(ended.outcome, began, at);
            drop(place);
        }
        trace.end(ended)
    }

    /// Which limit an attempt reached.
    fn timed_out(&self, began: Moment, deadline: Option<Moment>, at: Moment) -> TimedOut {
        if deadline.is_some() && deadline == self.deadline {
            TimedOut { scope: Scope::Overall, after: at.since(self.started) }
        } else {
            TimedOut { scope: Scope::Attempt, after: at.since(began) }
        }
    }

    /// Asks the breaker.
    fn admit(&self, now: Moment) -> Result<Option<Permission<'_>>, Rejected> {
        let Some(circuit) = &self.live.circuit else { return Ok(None) };
        let admitted = circuit.admit(now)?;
        self.tell_change(now, admitted.change);
        Ok(Some(Permission { circuit, permit: Some(admitted.permit) }))
    }

    /// Asks the bulkhead, and waits in its queue. The place, and since when it is ours.
    async fn enter<E>(&self, asked: Moment) -> Result<(Option<Place<'_>>, Moment), (Refused<E>, Moment)> {
        let (Some(gate), Some(bulkhead)) = (&self.live.gate, &self.live.options.bulkhead) else {
            return Ok((None, asked));
        };
        let ticket = match gate.enter(bulkhead.queue) {
            Entry::Entered => return Ok((Some(Place::taken(gate)), asked)),
            Entry::Full => return Err((Refused::rejected(Rejected::BulkheadFull), asked)),
            Entry::Waiting(ticket) => ticket,
        };
        let patience = asked + bulkhead.queue_timeout;
        let until = self.deadline.map_or(patience, |deadline| deadline.min(patience));
        let waiting = pin!(Place::wait(gate, ticket));
        let place = limited(&self.inner.clock, Some(until), waiting).await;
        let now = self.inner.clock.now();
        match place {
            Some(place) => Ok((Some(place), now)),
            None if Some(until) == self.deadline => {
                let timed_out = TimedOut { scope: Scope::Overall, after: now.since(self.started) };
                Err((Refused(Error::TimedOut(timed_out), Outcome::TimedOut(Scope::Overall)), now))
            }
            None => Err((Refused::rejected(Rejected::QueueTimeout { waited: now.since(asked) }), now)),
        }
    }

    /// Lets an adaptive bulkhead learn from an attempt.
    fn learn(&self, outcome: Outcome, began: Moment, at: Moment) {
        let Some(bulkhead) = &self.live.options.bulkhead else { return };
        let (Limit::Adaptive(adaptive), Some(gate), Some(estimate)) =
            (&bulkhead.limit, &self.live.gate, &self.live.estimate)
        else {
            return;
        };
        let lost = matches!(outcome, Outcome::TimedOut(_) | Outcome::Done(Class::Transient(_)) | Outcome::Injected);
        let sample = bulkhead::Sample { at, latency: at.since(began), in_flight: gate.taken(), lost };
        let Some(limit) = observe(estimate, lost, |estimate| {
            estimate.observe(adaptive, &sample);
            estimate.limit()
        }) else {
            return;
        };
        let before = gate.limit();
        if limit != before {
            gate.set_limit(limit);
            self.tell(at, Kind::Limit { from: before, to: limit });
        }
    }

    fn tell_end(&self, outcome: Outcome, at: Moment) {
        let (attempts, duration) = (self.schedule.attempts(), at.since(self.started));
        self.tell(at, Kind::Call { attempts, outcome, duration });
    }

    fn tell_change(&self, at: Moment, change: Option<Change>) {
        if let Some(Change { from, to }) = change {
            self.tell(at, Kind::Breaker { from, to });
        }
    }

    fn tell(&self, at: Moment, kind: Kind) {
        if self.live.listeners.any() {
            let event = Event { pipeline: &self.inner.name, context: Some(self.context), at, kind };
            self.live.listeners.tell(&event);
        }
    }
}

impl<C: Clock> Drop for Call<'_, '_, C> {
    fn drop(&mut self) {
        if !self.over && self.live.listeners.any() {
            self.tell_end(Outcome::Cancelled, self.inner.clock.now());
        }
    }
}

/// Runs the function on what the bulkhead knows. One call among many at the same moment adds little, so it does not wait
/// for its turn; but what was lost is always counted.
fn observe<S, R>(estimate: &Mutex<S>, lost: bool, function: impl FnOnce(&mut S) -> R) -> Option<R> {
    if lost {
        return Some(function(&mut lock(estimate)));
    }
    match estimate.try_lock() {
        Ok(mut estimate) => Some(function(&mut estimate)),
        Err(TryLockError::Poisoned(poisoned)) => Some(function(&mut poisoned.into_inner())),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Why an attempt did not begin.
struct Refused<E>(Error<E>, Outcome);

impl<E> Refused<E> {
    const fn rejected(rejected: Rejected) -> Self {
        Self(Error::Rejected(rejected), Outcome::Rejected(rejected))
    }
}

/// The breaker's permit. Dropped unspent, it is given back as if it had never been asked for.
struct Permission<'c> {
    circuit: &'c Circuit,
    permit: Option<Permit>,
}

impl Permission<'_> {
    fn spend<C: Clock>(mut self, call: &Call<'_, '_, C>, outcome: Outcome, began: Moment, at: Moment) {
        let Some(permit) = self.permit.take() else { return };
        let verdict = if outcome.is_failure() { Verdict::Failure } else { Verdict::Success };
        call.tell_change(at, self.circuit.record(permit, verdict, at, at.since(began)));
    }
}

impl Drop for Permission<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.circuit.cancel(permit);
        }
    }
}

/// Tells how an attempt ended. Dropped before it did, it was cancelled.
struct Trace<'t, 'c, 'a, C: Clock> {
    call: &'t Call<'c, 'a, C>,
    number: u32,
    hedge: u32,
    began: Moment,
    over: bool,
}

impl<C: Clock> Trace<'_, '_, '_, C> {
    fn end<T, E>(mut self, ended: Ended<T, E>) -> Ended<T, E> {
        self.over = true;
        self.tell(ended.outcome, ended.at);
        ended
    }

    fn tell(&self, outcome: Outcome, at: Moment) {
        let Self { number, hedge, began, .. } = *self;
        self.call.tell(at, Kind::Attempt { number, hedge, outcome, duration: at.since(began) });
    }
}

impl<C: Clock> Drop for Trace<'_, '_, '_, C> {
    fn drop(&mut self) {
        if !self.over && self.call.live.listeners.any() {
            self.tell(Outcome::Cancelled, self.call.inner.clock.now());
        }
    }
}
