//! One call through a pipeline: the thin shell that asks the strategies, waits, and tells what happened.

use std::{future::Future, pin::pin, sync::TryLockError};

use super::{Inner, live::Live, policy::MakeUp};
use crate::{
    breaker::{Change, Circuit, Permit, Verdict},
    bulkhead::{
        self, Entry, Limit,
        gate::{Place, Waiting},
    },
    chaos::Fault,
    clock::{Clock, Moment},
    context::{Attempt, Context},
    error::{Error, Rejected, Scope, TimedOut},
    event::{Event, Kind, Outcome},
    outcome::{Class, Classify},
    rate_limit::{Meter, Turn},
    retry::{After, Decision, Schedule},
    shed::InFlight,
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
    const fn refused(refused: Refused, at: Moment) -> Self {
        match refused {
            Refused::Rejected(rejected) => {
                Self { result: Err(Error::Rejected(rejected)), outcome: Outcome::Rejected(rejected), at }
            }
            Refused::TimedOut(timed_out) => {
                Self { result: Err(Error::TimedOut(timed_out)), outcome: Outcome::TimedOut(timed_out.scope), at }
            }
        }
    }
}

/// Why an attempt did not begin, or did not end by itself.
#[derive(Clone, Copy)]
enum Refused {
    Rejected(Rejected),
    TimedOut(TimedOut),
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

/// What only the caller knows about results.
pub(super) struct Judge<'k, K, M> {
    pub(super) classify: &'k K,
    pub(super) made_up: &'k M,
}

/// Makes a call with all its attempts.
pub(super) async fn run<'a, C, T, E, F, Fut, K, M>(
    inner: &Inner<C>,
    judge: &Judge<'_, K, M>,
    context: &'a Context,
    operation: &F,
) -> Ended<T, E>
where
    C: Clock,
    F: Fn(Attempt<'a>) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    K: Classify<T, E>,
    M: MakeUp<T, E>,
{
    let live = inner.live.load();
    let started = inner.clock.now();
    let overall = live.options.overall_timeout.map(|timeout| started + timeout);
    let deadline = nearer(overall, context.get_deadline());
    let mut call = Call { inner, live: &live, context, started, deadline, schedule: Schedule::default(), over: false };
    let ended = call.attempts(judge, operation).await;
    call.over = true;
    call.tell_end(ended.outcome, ended.at);
    ended
}

/// A call under way. Dropped before it is over, it was cancelled.
pub(super) struct Call<'c, 'a, C: Clock> {
    pub(super) inner: &'c Inner<C>,
    pub(super) live: &'c Live,
    pub(super) context: &'a Context,
    started: Moment,
    deadline: Option<Moment>,
    schedule: Schedule,
    over: bool,
}

impl<'c, 'a, C: Clock> Call<'c, 'a, C> {
    async fn attempts<T, E, F, Fut, K, M>(&mut self, judge: &Judge<'_, K, M>, operation: &F) -> Ended<T, E>
    where
        F: Fn(Attempt<'a>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        K: Classify<T, E>,
        M: MakeUp<T, E>,
    {
        let _under_way = match self.enter() {
            Ok(under_way) => under_way,
            Err(rejected) => return Ended::refused(rejected.into(), self.started),
        };
        let mut began = self.started;
        loop {
            let number = self.schedule.begin();
            let ended = match &self.live.options.hedge {
                Some(hedge) if self.context.is_idempotent() => {
                    self.hedged(hedge, number, began, |hedge, began| {
                        self.attempt(number, hedge, began, judge, operation)
                    })
                    .await
                }
                Some(_) | None => self.attempt(number, 0, began, judge, operation).await,
            };
            let Some(retry) = &self.live.options.retry else { return ended };
            let after = After {
                outcome: ended.outcome,
                idempotent: self.context.is_idempotent(),
                now: ended.at,
                deadline: self.deadline,
                bank: self.live.retries.as_deref(),
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

    /// What is asked once per call, before the first attempt.
    fn enter(&self) -> Result<Option<UnderWay<'c>>, Rejected> {
        let under_way = match (&self.live.options.shed, &self.live.in_flight) {
            (Some(shed), Some(in_flight)) => {
                in_flight.enter(shed, self.context.get_priority())?;
                Some(UnderWay(in_flight))
            }
            (None, _) | (_, None) => None,
        };
        if self.deadline.is_some_and(|deadline| deadline <= self.started) {
            return Err(Rejected::DeadlinePassed);
        }
        let options = &self.live.options;
        let budgets = [(options.retry_budget(), &self.live.retries), (options.hedge_budget(), &self.live.hedges)];
        for (budget, bank) in budgets {
            if let (Some(budget), Some(bank)) = (budget, bank) {
                bank.deposit(budget, self.started);
            }
        }
        Ok(under_way)
    }

    /// Makes one attempt, or one hedge of it, if the strategies let it through.
    async fn attempt<T, E, F, Fut, K, M>(
        &self,
        number: u32,
        hedge: u32,
        asked: Moment,
        judge: &Judge<'_, K, M>,
        operation: &F,
    ) -> Ended<T, E>
    where
        F: Fn(Attempt<'a>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        K: Classify<T, E>,
        M: MakeUp<T, E>,
    {
        let mut trace = Trace { call: self, number, hedge, began: asked, over: false };
        let pass = match self.ask(asked) {
            Ok(Asked::Clear(pass)) => Ok(pass),
            Ok(waiting) => self.wait(waiting).await,
            Err(refused) => Err(refused),
        };
        let Pass { permission, place, began } = match pass {
            Ok(pass) => pass,
            Err((refused, at)) => return trace.end(Ended::refused(refused, at)),
        };
        trace.began = began;
        let timeout = self.live.options.attempt_timeout.map(|timeout| began + timeout);
        let deadline = nearer(timeout, self.deadline);
        let (late, end) = self.chaos(number, began);
        let result = {
            let work = pin!(async {
                if let Some(late) = late {
                    self.inner.clock.sleep_until(began + late).await;
                }
                match end {
                    None => Some(operation(Attempt::new(self.context, number, hedge, began, deadline)).await),
                    Some(Fault::Outcome) => judge.made_up.make_up(self.context),
                    Some(Fault::Error | Fault::Latency(_)) => None,
                }
            });
            limited(&self.inner.clock, deadline, work).await
        };
        let ended = match result {
            Some(Some(result)) => {
                let class = judge.classify.classify(result.as_ref());
                let at = self.ended_at(class, began);
                Ended { result: result.map_err(Error::Failed), outcome: Outcome::Done(class), at }
            }
            Some(None) => {
                Ended { result: Err(Error::Injected), outcome: Outcome::Injected, at: self.inner.clock.now() }
            }
            None => {
                let at = self.inner.clock.now();
                Ended::refused(Refused::TimedOut(self.timed_out(began, deadline, at)), at)
            }
        };
        let at = ended.at;
        if let Some(permission) = permission {
            permission.spend(self, ended.outcome, began, at);
        }
        if let Some(place) = place {
            self.learn(ended.outcome, began, at);
            drop(place);
        }
        trace.end(ended)
    }

    /// Asks breaker, rate limit and bulkhead, in this order. Most attempts are clear then, and no future is made for them.
    fn ask(&self, now: Moment) -> Result<Asked<'c>, (Refused, Moment)> {
        let permission = self.admit(now).map_err(|rejected| (rejected.into(), now))?;
        match self.ask_turn(now)? {
            Some(turn) if turn.at() > now => Ok(Asked::Turn(permission, turn)),
            turn => self.ask_place(permission, turn, now),
        }
    }

    /// Waits for whatever keeps an attempt from beginning.
    async fn wait(&self, mut asked: Asked<'c>) -> Result<Pass<'c>, (Refused, Moment)> {
        loop {
            asked = match asked {
                Asked::Clear(pass) => return Ok(pass),
                Asked::Turn(permission, turn) => {
                    self.inner.clock.sleep_until(turn.at()).await;
                    self.ask_place(permission, Some(turn), self.inner.clock.now())?
                }
                Asked::Place(queued) => Asked::Clear(self.wait_for_place(queued).await?),
            }
        }
    }

    /// Asks the breaker.
    fn admit(&self, now: Moment) -> Result<Option<Permission<'c>>, Rejected> {
        let Some(circuit) = &self.live.circuit else { return Ok(None) };
        let admitted = circuit.admit(now)?;
        self.tell_change(now, admitted.change);
        Ok(Some(Permission { circuit, permit: Some(admitted.permit) }))
    }

    /// Asks the rate limit for a turn, which may be later.
    fn ask_turn(&self, now: Moment) -> Result<Option<MyTurn<'c>>, (Refused, Moment)> {
        let (Some(limit), Some(meter)) = (&self.live.options.rate_limit, &self.live.meter) else { return Ok(None) };
        let turn = meter.turn(limit, now).map_err(|rejected| (rejected.into(), now))?;
        let mine = MyTurn { meter, turn, spent: false };
        if turn.at > now && self.deadline.is_some_and(|deadline| deadline <= turn.at) {
            return Err((Rejected::RateLimited { retry_after: turn.at.since(now) }.into(), now));
        }
        Ok(Some(mine))
    }

    /// Asks the bulkhead for a place, which may be one in its queue.
    fn ask_place(
        &self,
        permission: Option<Permission<'c>>,
        turn: Option<MyTurn<'c>>,
        now: Moment,
    ) -> Result<Asked<'c>, (Refused, Moment)> {
        let place = match (&self.live.places, &self.live.options.bulkhead) {
            (Some(places), Some(bulkhead)) => match places.gate.enter(bulkhead.queue) {
                Entry::Entered => Some(Place::taken(&places.gate)),
                Entry::Full => return Err((Rejected::BulkheadFull.into(), now)),
                Entry::Waiting(ticket) => {
                    let place = Place::wait(&places.gate, ticket);
                    let patience = now + places.patience.wait(bulkhead, ticket, now);
                    return Ok(Asked::Place(Queued { permission, turn, place, since: now, patience }));
                }
            },
            (None, _) | (_, None) => None,
        };
        Ok(Asked::Clear(Pass::new(permission, turn, place, now)))
    }

    /// Waits in the queue of the bulkhead.
    async fn wait_for_place(&self, queued: Queued<'c>) -> Result<Pass<'c>, (Refused, Moment)> {
        let Queued { permission, turn, place, since, patience } = queued;
        let until = self.deadline.map_or(patience, |deadline| deadline.min(patience));
        let place = limited(&self.inner.clock, Some(until), pin!(place)).await;
        let now = self.inner.clock.now();
        match place {
            Some(place) => Ok(Pass::new(permission, turn, Some(place), now)),
            None if Some(until) == self.deadline => {
                let timed_out = TimedOut { scope: Scope::Overall, after: now.since(self.started) };
                Err((Refused::TimedOut(timed_out), now))
            }
            None => Err((Rejected::QueueTimeout { waited: now.since(since) }.into(), now)),
        }
    }

    /// Draws what chaos does to an attempt: how late it is, and how it ends.
    fn chaos(&self, number: u32, now: Moment) -> (Option<std::time::Duration>, Option<Fault>) {
        let decided = self.inner.decider.0.as_ref().and_then(|decide| decide(self.context));
        let Some(chaos) = decided.or(self.live.options.chaos) else { return (None, None) };
        let (late, end) = chaos.draw(&mut &self.inner.random);
        for fault in late.map(Fault::Latency).into_iter().chain(end) {
            self.tell(now, Kind::Chaos { number, fault });
        }
        (late, end)
    }

    /// When an attempt ended. To look at the clock is the dearest part of a call that succeeds; where nobody will ask how
    /// long it took, it counts as having ended when it began.
    fn ended_at(&self, class: Class, began: Moment) -> Moment {
        if class == Class::Success && !self.live.timed { began } else { self.inner.clock.now() }
    }

    /// Which limit an attempt reached.
    fn timed_out(&self, began: Moment, deadline: Option<Moment>, at: Moment) -> TimedOut {
        if deadline == self.deadline {
            TimedOut { scope: Scope::Overall, after: at.since(self.started) }
        } else {
            TimedOut { scope: Scope::Attempt, after: at.since(began) }
        }
    }

    /// Lets an adaptive bulkhead learn from an attempt.
    fn learn(&self, outcome: Outcome, began: Moment, at: Moment) {
        let (Some(bulkhead), Some(places)) = (&self.live.options.bulkhead, &self.live.places) else { return };
        let (Limit::Adaptive(adaptive), Some(estimate)) = (&bulkhead.limit, &places.estimate) else { return };
        let lost = matches!(outcome, Outcome::TimedOut(_) | Outcome::Done(Class::Transient(_)) | Outcome::Injected);
        let sample = bulkhead::Sample { at, latency: at.since(began), in_flight: places.gate.taken(), lost };
        let learnt = observe(estimate, lost, |estimate| {
            estimate.observe(adaptive, &sample);
            let (before, limit) = (places.gate.limit(), estimate.limit());
            // Under the lock, so that an older estimate never overwrites a newer one.
            places.gate.set_limit(limit);
            (before, limit)
        });
        if let Some((from, to)) = learnt
            && from != to
        {
            self.tell(at, Kind::Limit { from, to });
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

    pub(super) fn tell(&self, at: Moment, kind: Kind) {
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

/// Leave to make an attempt: everything that is given back when it is over, or dropped.
struct Pass<'c> {
    permission: Option<Permission<'c>>,
    place: Option<Place<'c>>,
    began: Moment,
}

impl<'c> Pass<'c> {
    fn new(
        permission: Option<Permission<'c>>,
        turn: Option<MyTurn<'c>>,
        place: Option<Place<'c>>,
        began: Moment,
    ) -> Self {
        if let Some(turn) = turn {
            turn.spend();
        }
        Self { permission, place, began }
    }
}

/// How an attempt stands that has asked for leave.
enum Asked<'c> {
    /// It may begin.
    Clear(Pass<'c>),
    /// Its turn comes later, and then it asks for a place.
    Turn(Option<Permission<'c>>, MyTurn<'c>),
    /// It is in the queue of the bulkhead.
    Place(Queued<'c>),
}

/// An attempt in the queue of the bulkhead.
struct Queued<'c> {
    permission: Option<Permission<'c>>,
    turn: Option<MyTurn<'c>>,
    place: Waiting<'c>,
    since: Moment,
    /// When it has waited long enough.
    patience: Moment,
}

/// A call that load shedding let in.
struct UnderWay<'c>(&'c InFlight);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A turn of the rate limit. Dropped before the call is made, it is given back.
struct MyTurn<'c> {
    meter: &'c Meter,
    turn: Turn,
    spent: bool,
}

impl MyTurn<'_> {
    const fn at(&self) -> Moment {
        self.turn.at
    }

    fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for MyTurn<'_> {
    fn drop(&mut self) {
        if !self.spent {
            self.meter.cancel(self.turn);
        }
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
