//! Running a simulation: calls come, pipelines and dependency do what they do, and somebody counts.

use std::{cell::RefCell, fmt, future::ready, rc::Rc, time::Duration};

use super::{
    file::{Arrivals, Scenario, Simulation},
    report::{Report, Run, Step},
    server::{Refusal, Server, step_of},
};
use crate::{
    breaker::Mode,
    clock::{Clock as _, Moment, VirtualClock},
    context::Context,
    error::{Error, InvalidOption},
    fallback::Fallback,
    outcome::ErrorsAreTransient,
    pipeline::{Options, Pipeline},
    random::{Random as _, SplitMix64},
    testing::Tasks,
};

/// Why a simulation was not followed to its end: its clients retry so much that nobody wants to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooManyAttempts {
    /// With this pipeline.
    pub pipeline: String,
    /// More than so many.
    pub attempts: u64,
    /// Which it reached at this time.
    pub at: Duration,
}

/// Each takes some microseconds: more than this is a minute of waiting, and always a retry without a pause.
const MOST_ATTEMPTS: u64 = 2_000_000;

/// What a call gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// From the dependency.
    Fresh,
    /// From a fallback.
    Instead,
}

/// Something else to show, if there is.
struct Instead(bool);

impl Fallback<Answer, Refusal> for Instead {
    fn instead(&self, _: &Context, _: Option<&Error<Refusal>>, _: Moment) -> impl Future<Output = Option<Answer>> {
        ready(self.0.then_some(Answer::Instead))
    }
}

impl Simulation {
    /// Puts every pipeline through the scenario.
    ///
    /// # Errors
    ///
    /// When clients retry without end.
    pub fn run(&self) -> Result<Report, TooManyAttempts> {
        let runs = self.pipelines.iter().map(|(name, options)| one(name, options, &self.scenario));
        let runs = runs.collect::<Result<Vec<Run>, _>>()?;
        Ok(Report::new(self, runs))
    }
}

fn one(name: &str, options: &Options, scenario: &Scenario) -> Result<Run, TooManyAttempts> {
    let world = World::new(name, options, scenario);
    let mut arrivals = Calls::new(scenario);
    for number in 0..scenario.steps() {
        let end = Moment::ZERO + (scenario.step * u32::try_from(number + 1).unwrap_or(u32::MAX)).min(scenario.duration);
        while let Some((at, client)) = arrivals.before(end) {
            world.tasks.run_until(at);
            world.call(at, client);
        }
        world.tasks.run_until(end);
        if world.server.overrun() {
            let at = world.tasks.clock().now().since(Moment::ZERO);
            world.tasks.cancel_all();
            return Err(TooManyAttempts { pipeline: name.to_owned(), attempts: MOST_ATTEMPTS, at });
        }
        world.look(number);
    }
    world.tasks.cancel_all();
    let (load, steps) = (world.server.load(), std::mem::take(&mut *world.steps.borrow_mut()));
    Ok(Run::new(name, steps, &load, scenario))
}

/// Everything there is while one pipeline is put through a scenario.
struct World<'s> {
    scenario: &'s Scenario,
    fallback: bool,
    tasks: Tasks,
    server: Server,
    clients: Vec<Pipeline<VirtualClock>>,
    steps: Rc<RefCell<Vec<Step>>>,
}

impl<'s> World<'s> {
    fn new(name: &str, options: &Options, scenario: &'s Scenario) -> Self {
        let clock = VirtualClock::new();
        let tasks = Tasks::new(&clock);
        let mut seeds = SplitMix64::seeded(scenario.seed);
        let times = (scenario.step, scenario.steps());
        let server =
            Server::new(&tasks, &scenario.dependency, &scenario.script, seeds.next_u64(), times, MOST_ATTEMPTS);
        let clients = (0..scenario.clients).filter_map(|_| {
            let builder = Pipeline::builder(name).clock(clock.clone()).options(options.clone());
            // Options were checked when they were read; whoever makes a simulation by hand gets clients that do nothing.
            builder.seed(seeds.next_u64()).build().or_else(|_: InvalidOption| bare(name, &clock)).ok()
        });
        let clients = clients.collect();
        let steps = Rc::new(RefCell::new(vec![Step::default(); scenario.steps()]));
        let fallback = scenario.fallback.iter().any(|named| named == name);
        Self { scenario, fallback, tasks, server, clients, steps }
    }

    /// Somebody calls.
    fn call(&self, at: Moment, client: usize) {
        let Some(pipeline) = self.clients.get(client % self.clients.len().max(1)) else { return };
        let policy = pipeline.classify(ErrorsAreTransient).fallback(Instead(self.fallback));
        let context = if self.scenario.idempotent { Context::idempotent() } else { Context::not_idempotent() };
        let (server, steps, clock) = (self.server.clone(), Rc::clone(&self.steps), self.tasks.clock().clone());
        let number = step_of(at, self.scenario.step, self.scenario.steps());
        steps.borrow_mut()[number].calls += 1;
        self.tasks.spawn(async move {
            let _took = Took { steps: Rc::clone(&steps), number, at, clock };
            let result = policy
                .call(&context, |_| {
                    let server = &server;
                    async move { server.call().await.map(|()| Answer::Fresh) }
                })
                .await;
            let step = &mut steps.borrow_mut()[number];
            match result {
                Ok(Answer::Fresh) => step.ok += 1,
                Ok(Answer::Instead) => step.fallback += 1,
                Err(Error::Rejected(_)) => step.rejected += 1,
                Err(Error::Failed(_) | Error::TimedOut(_) | Error::Injected) => step.errors += 1,
            }
        });
    }

    /// What breakers and the dependency look like at the end of a step.
    fn look(&self, number: usize) {
        let open = self.clients.iter().filter_map(|client| client.status().breaker);
        let open = open.filter(|breaker| !matches!(breaker.mode, Mode::Closed | Mode::ForcedClosed)).count();
        let step = &mut self.steps.borrow_mut()[number];
        step.breakers_open = u32::try_from(open).unwrap_or(u32::MAX);
        step.under_way = self.server.under_way();
    }
}

/// Writes down how long a call took, when it ends or the simulation does.
struct Took {
    steps: Rc<RefCell<Vec<Step>>>,
    number: usize,
    at: Moment,
    clock: VirtualClock,
}

impl Drop for Took {
    fn drop(&mut self) {
        let took = self.clock.now().since(self.at);
        if let Ok(mut steps) = self.steps.try_borrow_mut() {
            steps[self.number].took.push(took);
        }
    }
}

fn bare(name: &str, clock: &VirtualClock) -> Result<Pipeline<VirtualClock>, InvalidOption> {
    Pipeline::builder(name).clock(clock.clone()).build()
}

/// Who calls when: the same for every pipeline.
struct Calls {
    random: SplitMix64,
    gap: f64,
    arrivals: Arrivals,
    next: Moment,
}

impl Calls {
    fn new(scenario: &Scenario) -> Self {
        // Another sequence than that of the dependency, and the same whatever the pipelines do.
        let random = SplitMix64::seeded(scenario.seed ^ 0x5eed_0fca);
        let mut calls = Self { random, gap: 1.0 / scenario.rate, arrivals: scenario.arrivals, next: Moment::ZERO };
        calls.step();
        calls
    }

    /// The next call, if it comes before the moment, and who makes it.
    fn before(&mut self, end: Moment) -> Option<(Moment, usize)> {
        let at = self.next;
        if at >= end {
            return None;
        }
        self.step();
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        Some((at, self.random.next_u64() as usize))
    }

    fn step(&mut self) {
        let gap = match self.arrivals {
            Arrivals::Even => self.gap,
            Arrivals::Poisson => -(1.0 - self.random.unit()).ln() * self.gap,
        };
        self.next = self.next + Duration::try_from_secs_f64(gap).unwrap_or(Duration::MAX);
    }
}

impl fmt::Display for TooManyAttempts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pipeline, attempts, at } = self;
        let at = crate::duration::write_duration(*at);
        write!(
            out,
            "pipeline `{pipeline}` made more than {attempts} attempts within {at}: give its retries a pause or a budget"
        )
    }
}

impl std::error::Error for TooManyAttempts {}
