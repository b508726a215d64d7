//! The one driver: performs what the run decides. It decides nothing itself.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use model::{event::InjectionId, experiment::Experiment, moment::Moment, status::ExperimentStatus};
use observe::Measurements;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep_until},
};

use crate::{
    Recorder,
    experiment::Owners,
    guards::States,
    judge,
    plan::Plan,
    provider::{InjectError, Order, Provider, UndoError},
    radius::{self, Hits},
    run::{Effect, Event, Phase, Run},
    stop::StopSignal,
};

/// How often the recovery clauses are judged. Everything is undone by then: nothing waits for it.
const RECOVERY_TICK: Duration = Duration::from_millis(100);

/// Where a run stands, for whoever looks on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) phase: Phase,
    pub(crate) status: ExperimentStatus,
    /// Since when it is in this phase.
    pub(crate) since: Moment,
    pub(crate) window_ends: Option<Moment>,
    /// The injections that may be in effect.
    pub(crate) open: Vec<InjectionId>,
}

/// What the driver works with.
pub(crate) struct Driver<'a> {
    pub(crate) experiment: &'a Experiment,
    pub(crate) plan: Arc<Plan>,
    /// Who injects and undoes what.
    pub(crate) providers: HashMap<InjectionId, Arc<dyn Provider>>,
    /// Whose the resources are.
    pub(crate) owners: Owners,
    pub(crate) measurements: &'a Measurements,
    pub(crate) recorder: &'a Recorder,
    pub(crate) alarms: States,
    pub(crate) standing: watch::Sender<Option<Standing>>,
    pub(crate) tell: mpsc::UnboundedSender<Event>,
    pub(crate) recovery_began: Option<Moment>,
}

impl Driver<'_> {
    /// Drives the run until it has ended.
    pub(crate) async fn drive(&mut self, mut told: mpsc::UnboundedReceiver<Event>, mut stop: StopSignal) -> Run {
        let clock = self.recorder.clock();
        let mut run = Run::new(Arc::clone(&self.plan));
        // Tasks that inject and undo. They end when the run does; what is still at work then was given up.
        let mut tasks = JoinSet::new();
        let mut stopped = false;
        let mut recovery = interval(RECOVERY_TICK);
        recovery.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut event = Event::Start;
        loop {
            for effect in run.step(event, clock.now()) {
                self.perform(effect, &run, &mut tasks);
            }
            self.publish(&run);
            if run.phase() == Phase::Ended {
                return run;
            }
            let due = run.next_due().map(|due| clock.instant(due));
            event = tokio::select! {
                biased;
                by = stop.requested(), if !stopped => {
                    stopped = true;
                    Event::Stop { by }
                }
                // We hold a sender ourselves, so this never ends.
                Some(event) = told.recv() => event,
                () = sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => Event::Tick,
                _ = recovery.tick(), if run.phase() == Phase::Recovering => self.judge_recovery().unwrap_or(Event::Tick),
                Some(_) = tasks.join_next(), if !tasks.is_empty() => Event::Tick,
            };
        }
    }

    fn perform(&mut self, effect: Effect, run: &Run, tasks: &mut JoinSet<()>) {
        let clock = self.recorder.clock();
        match effect {
            Effect::Record(what) => {
                self.recorder.record(what);
            }
            Effect::JudgeSteadyState => {
                let from = run.window_ends().unwrap_or_default().before(self.plan.windows.baseline.get());
                let (found, reason) = judge::steady_state(self.experiment, self.measurements, from, clock.now());
                self.send(Event::SteadyState { found, reason });
            }
            Effect::CheckAlarms { action, alarms, states } => {
                let result = self.alarms.check(&alarms, &states);
                self.send(Event::AlarmsChecked { action, result });
            }
            Effect::Inject(order) => self.inject(order, run.hits(), tasks),
            Effect::Undo(injection) => self.undo(injection, tasks),
            Effect::Renew(injections) => self.renew(&injections),
            Effect::WatchRecovery => self.recovery_began = Some(clock.now()),
        }
    }

    fn send(&self, event: Event) {
        // The receiver lives as long as `drive`, which calls this.
        let _sent = self.tell.send(event);
    }

    fn provider(&self, injection: InjectionId) -> Option<Arc<dyn Provider>> {
        self.providers.get(&injection).map(Arc::clone)
    }

    fn inject(&mut self, order: Order, hits: Hits, tasks: &mut JoinSet<()>) {
        let injection = order.injection;
        let Some(provider) = self.owners.of(&order.resource) else {
            let why = format!("{} belongs to no provider", order.resource);
            return self.send(Event::InjectFailed { injection, why });
        };
        self.providers.insert(injection, Arc::clone(&provider));
        let tell = self.tell.clone();
        let plan = Arc::clone(&self.plan);
        tasks.spawn(async move {
            // A task of its own, so that an injector that panics is reported like one that fails.
            let injecting = tokio::spawn(async move {
                // From here on an undo finds it, also while the limits are looked at.
                let injecting = provider.inject(order);
                if !plan.bounds.is_empty() {
                    let present = provider.resources().await;
                    if let Some(why) = radius::at_injection(&plan.bounds, &hits, &present, Timestamp::now()) {
                        return Err(InjectError::Refused(why));
                    }
                }
                injecting.await
            });
            let event = match injecting.await {
                Ok(Ok(proof)) => Event::Injected { injection, proof },
                Ok(Err(error)) => Event::InjectFailed { injection, why: error.to_string() },
                Err(error) => Event::InjectLost { injection, why: format!("the injector broke down: {error}") },
            };
            let _sent = tell.send(event);
        });
    }

    fn undo(&self, injection: InjectionId, tasks: &mut JoinSet<()>) {
        let Some(provider) = self.provider(injection) else { return };
        let tell = self.tell.clone();
        tasks.spawn(async move {
            let undoing = tokio::spawn(async move { provider.undo(injection).await });
            let event = match undoing.await {
                Ok(Ok(undone)) => Event::Undone { injection, undone },
                Ok(Err(error)) => Event::UndoFailed { injection, error },
                Err(error) => {
                    let why = format!("the undo broke down: {error}");
                    let repair = "run any shaketable command: it undoes what the journal still lists".to_owned();
                    Event::UndoFailed { injection, error: UndoError { why, repair } }
                }
            };
            let _sent = tell.send(event);
        });
    }

    fn renew(&self, injections: &[InjectionId]) {
        let mut by_provider: Vec<(Arc<dyn Provider>, Vec<InjectionId>)> = Vec::new();
        for &injection in injections {
            let Some(provider) = self.provider(injection) else { continue };
            match by_provider.iter_mut().find(|(one, _)| Arc::ptr_eq(one, &provider)) {
                Some((_, mine)) => mine.push(injection),
                None => by_provider.push((provider, vec![injection])),
            }
        }
        for (provider, mine) in by_provider {
            provider.renew(&mine);
        }
    }

    fn judge_recovery(&self) -> Option<Event> {
        let began = self.recovery_began?;
        judge::recovered(self.experiment, self.measurements, began, self.recorder.clock().now())
            .map(|reason| Event::Recovered { reason })
    }

    fn publish(&self, run: &Run) {
        let since = match &*self.standing.borrow() {
            Some(before) if before.phase == run.phase() => before.since,
            _ => self.recorder.clock().now(),
        };
        let standing = Standing {
            phase: run.phase(),
            status: run.status(),
            since,
            window_ends: run.window_ends(),
            open: run.open().collect(),
        };
        self.standing.send_replace(Some(standing));
    }
}
