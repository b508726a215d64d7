//! The dependency: workers, a queue before them, and what the script does to both.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, pending},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::file::{Dependency, Spread};
use crate::{
    clock::{Clock as _, Moment},
    random::{Random as _, SplitMix64},
    testing::{Disturbance, Tasks, Window},
};

/// Why the dependency did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The script says so.
    Error,
    /// Its queue is full.
    Overloaded,
}

/// Clones are the same dependency.
#[derive(Clone)]
pub(super) struct Server(Rc<Inner>);

struct Inner {
    tasks: Tasks,
    dependency: Dependency,
    script: Vec<Window>,
    random: SplitMix64,
    step: Duration,
    most_attempts: u64,
    state: RefCell<State>,
}

struct State {
    busy: u32,
    queue: VecDeque<Rc<Reply>>,
    load: Load,
}

/// What it was asked to do.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// Requests by step.
    pub(super) attempts: Vec<u64>,
    pub(super) total: u64,
    /// Work done for callers who had gone.
    pub(super) wasted: u64,
}

/// Where an answer is waited for.
#[derive(Default)]
struct Reply {
    answered: Cell<bool>,
    gone: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Server {
    pub(super) fn new(
        tasks: &Tasks,
        dependency: &Dependency,
        script: &[Window],
        seed: u64,
        (step, steps): (Duration, usize),
        most_attempts: u64,
    ) -> Self {
        let load = Load { attempts: vec![0; steps], ..Load::default() };
        let server = Self(Rc::new(Inner {
            tasks: tasks.clone(),
            dependency: dependency.clone(),
            script: script.to_vec(),
            random: SplitMix64::seeded(seed),
            step,
            most_attempts,
            state: RefCell::new(State { busy: 0, queue: VecDeque::new(), load }),
        }));
        // When capacity comes back, somebody must look at the queue.
        for window in script.iter().filter(|window| matches!(window.disturbance, Disturbance::Capacity { .. })) {
            let (server, end) = (server.clone(), window.to);
            if end < Moment::NEVER {
                tasks.spawn(async move {
                    server.0.tasks.clock().sleep_until(end).await;
                    server.begin_work();
                });
            }
        }
        server
    }

    /// One request.
    pub(super) async fn call(&self) -> Result<(), Refusal> {
        let now = self.0.tasks.clock().now();
        if !self.count(now) {
            // The simulation is over; whoever retries forever must not be kept going.
            return pending().await;
        }
        for window in self.0.script.iter().filter(|window| window.contains(now)) {
            match window.disturbance {
                Disturbance::Error { part } if self.unit() < part => return Err(Refusal::Error),
                Disturbance::Hang { part } if self.unit() < part => return pending().await,
                Disturbance::Error { .. }
                | Disturbance::Hang { .. }
                | Disturbance::Latency { .. }
                | Disturbance::Capacity { .. } => {}
            }
        }
        let reply = Rc::new(Reply::default());
        {
            let mut state = self.0.state.borrow_mut();
            let waiting = u32::try_from(state.queue.len()).unwrap_or(u32::MAX);
            if state.busy >= self.capacity(now) && waiting >= self.0.dependency.queue {
                return Err(Refusal::Overloaded);
            }
            state.queue.push_back(Rc::clone(&reply));
        }
        self.begin_work();
        Waiting(reply).await;
        Ok(())
    }

    /// What it was asked to do so far.
    pub(super) fn load(&self) -> Load {
        self.0.state.borrow().load.clone()
    }

    /// Whether more was asked than a simulation follows.
    pub(super) fn overrun(&self) -> bool {
        self.0.state.borrow().load.total > self.0.most_attempts
    }

    /// Waiting and worked on.
    pub(super) fn under_way(&self) -> u64 {
        let state = self.0.state.borrow();
        state.queue.len() as u64 + u64::from(state.busy)
    }

    fn count(&self, now: Moment) -> bool {
        let load = &mut self.0.state.borrow_mut().load;
        load.total += 1;
        let step = step_of(now, self.0.step, load.attempts.len());
        if let Some(attempts) = load.attempts.get_mut(step) {
            *attempts += 1;
        }
        load.total <= self.0.most_attempts
    }

    /// Gives free workers something to do.
    fn begin_work(&self) {
        let now = self.0.tasks.clock().now();
        loop {
            let mut state = self.0.state.borrow_mut();
            if state.busy >= self.capacity(now) {
                return;
            }
            let Some(reply) = state.queue.pop_front() else { return };
            if reply.gone.get() && self.0.dependency.drops_the_gone {
                continue;
            }
            state.busy += 1;
            drop(state);
            let (server, until) = (self.clone(), now + self.service_time(now));
            self.0.tasks.spawn(async move {
                server.0.tasks.clock().sleep_until(until).await;
                server.finish(&reply);
            });
        }
    }

    fn finish(&self, reply: &Reply) {
        {
            let mut state = self.0.state.borrow_mut();
            state.busy -= 1;
            state.load.wasted += u64::from(reply.gone.get());
        }
        reply.answered.set(true);
        if let Some(waker) = reply.waker.take() {
            waker.wake();
        }
        self.begin_work();
    }

    fn service_time(&self, now: Moment) -> Duration {
        let mean = self.0.dependency.latency;
        let time = match self.0.dependency.spread {
            Spread::Constant => mean,
            // The inverse of the distribution function; `unit` is never 1.
            Spread::Exponential => mean.mul_f64(-(1.0 - self.unit()).ln()),
        };
        self.script(now).fold(time, |time, disturbance| match disturbance {
            Disturbance::Latency { added } => time.saturating_add(added),
            Disturbance::Error { .. } | Disturbance::Hang { .. } | Disturbance::Capacity { .. } => time,
        })
    }

    fn capacity(&self, now: Moment) -> u32 {
        self.script(now).fold(self.0.dependency.capacity, |capacity, disturbance| match disturbance {
            Disturbance::Capacity { calls } => capacity.min(calls),
            Disturbance::Error { .. } | Disturbance::Hang { .. } | Disturbance::Latency { .. } => capacity,
        })
    }

    fn script(&self, now: Moment) -> impl Iterator<Item = Disturbance> {
        self.0.script.iter().filter(move |window| window.contains(now)).map(|window| window.disturbance)
    }

    fn unit(&self) -> f64 {
        (&self.0.random).unit()
    }
}

/// The step a moment belongs to; what happens at the very end belongs to the last.
pub(super) fn step_of(moment: Moment, step: Duration, steps: usize) -> usize {
    let number = u128::from(moment.as_nanos()) / step.as_nanos().max(1);
    usize::try_from(number).unwrap_or(usize::MAX).min(steps.saturating_sub(1))
}

struct Waiting(Rc<Reply>);

impl Future for Waiting {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0.answered.get() {
            return Poll::Ready(());
        }
        self.0.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.gone.set(!self.0.answered.get());
    }
}
