//! Thousands of random experiments on a virtual clock, with a provider that is slow, fails, repeats itself and forgets.
//!
//! From any state, a stop reaches a terminal state in bounded time with nothing injected but what is reported as residue.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::{
    catalogue::Reversibility,
    event::{Cleanliness, InjectionId},
    period::Period,
    resource::ResourceId,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::super::*;
use crate::testing::{fault, plan, proof};

/// How many experiments. Each takes some hundred steps; all of them together stay below a few seconds.
const EXPERIMENTS: u64 = 4_000;

/// What the simulated provider is like in one experiment.
#[derive(Debug, Clone, Copy)]
struct Temper {
    slow: bool,
    failing: f64,
    forgetful: f64,
    repeating: f64,
}

/// A world in which faults are in effect or not.
struct World {
    random: StdRng,
    temper: Temper,
    now: Moment,
    /// Events that will be reported, in order of time and then of arrival.
    queue: BTreeMap<(Moment, u64), Event>,
    arrivals: u64,
    in_effect: BTreeSet<InjectionId>,
    /// Injections whose undo came before they were in effect: by the provider's contract they never will be.
    cancelled: BTreeSet<InjectionId>,
    orders: BTreeMap<InjectionId, Moment>,
    undos: BTreeMap<InjectionId, u32>,
    ever_in_effect: BTreeSet<InjectionId>,
    renewed: BTreeMap<InjectionId, Moment>,
    stuck: BTreeSet<InjectionId>,
    stopped_at: Option<Moment>,
    last_heard: Moment,
    status: ExperimentStatus,
    actions: BTreeMap<String, ActionStatus>,
    recorded: BTreeSet<InjectionId>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let temper = Temper {
            slow: random.random_bool(0.5),
            failing: if random.random_bool(0.5) { 0.0 } else { random.random_range(0.0..0.6) },
            forgetful: if random.random_bool(0.7) { 0.0 } else { random.random_range(0.0..0.3) },
            repeating: if random.random_bool(0.7) { 0.0 } else { 0.3 },
        };
        Self {
            random,
            temper,
            now: Moment::ZERO,
            queue: BTreeMap::new(),
            arrivals: 0,
            in_effect: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            orders: BTreeMap::new(),
            undos: BTreeMap::new(),
            ever_in_effect: BTreeSet::new(),
            renewed: BTreeMap::new(),
            stuck: BTreeSet::new(),
            stopped_at: None,
            last_heard: Moment::ZERO,
            status: ExperimentStatus::Pending,
            actions: BTreeMap::new(),
            recorded: BTreeSet::new(),
        }
    }

    fn delay(&mut self) -> Duration {
        let longest = if self.temper.slow { 90_000 } else { 500 };
        Duration::from_millis(self.random.random_range(0..longest))
    }

    fn report(&mut self, after: Duration, event: Event) {
        self.arrivals += 1;
        if self.random.random_bool(self.temper.repeating) {
            let again = self.delay();
            self.queue.insert((self.now + after + again, self.arrivals), event.clone());
            self.arrivals += 1;
        }
        self.queue.insert((self.now + after, self.arrivals), event);
    }

    fn perform(&mut self, effect: Effect, plan: &Plan, phase: Phase) {
        match effect {
            Effect::Record(what) => self.recorded(what, plan),
            Effect::JudgeSteadyState => {
                let found = match self.random.random_range(0..100) {
                    0..5 => Steady::Broken,
                    5..15 => Steady::Disturbed,
                    _ => Steady::Held,
                };
                self.report(Duration::ZERO, Event::SteadyState { found, reason: String::new() });
            }
            Effect::CheckAlarms { action, .. } => {
                let result = if self.random.random_bool(0.9) { Ok(String::new()) } else { Err(String::new()) };
                self.report(Duration::ZERO, Event::AlarmsChecked { action, result });
            }
            Effect::Inject(order) => self.inject(&order, phase),
            Effect::Undo(id) => self.undo(id),
            Effect::Renew(ids) => self.renewed.extend(ids.into_iter().map(|id| (id, self.now))),
            Effect::WatchRecovery => {
                if self.random.random_bool(0.7) {
                    let after = self.delay();
                    self.report(after, Event::Recovered { reason: String::new() });
                }
            }
        }
    }

    /// At some time, there are these resources: `r1` and so on are those of the plan, by their injections.
    fn somebody_comes_or_goes(&mut self) {
        let some = |random: &mut StdRng, share: f64| -> Vec<ResourceId> {
            (1..20).filter(|_| random.random_bool(share)).map(|at| ResourceId(format!("r{at}"))).collect()
        };
        let fit = some(&mut self.random, 0.3);
        let present = some(&mut self.random, 0.9).into_iter().chain(fit.clone()).collect();
        let after = Duration::from_millis(self.random.random_range(0..60_000));
        self.report(after, Event::Seen { target: "some".to_owned(), fit, present });
    }

    fn inject(&mut self, order: &Order, phase: Phase) {
        let injection = order.injection;
        assert_eq!(phase, Phase::Running, "{injection} is injected in {phase:?}");
        assert_eq!(self.stopped_at, None, "{injection} is injected after a stop");
        assert!(self.orders.insert(injection, self.now).is_none(), "{injection} is injected twice");
        assert!(self.recorded.contains(&injection), "{injection} is injected before it is recorded");
        self.renewed.insert(injection, self.now);
        let after = self.delay();
        let fails = self.random.random_bool(self.temper.failing / 4.0);
        if fails {
            return self.report(after, Event::InjectFailed { injection, why: "no".to_owned() });
        }
        if self.random.random_bool(0.02) {
            self.in_effect(injection);
            return self.report(after, Event::InjectLost { injection, why: "broke down".to_owned() });
        }
        self.in_effect(injection);
        if !self.random.random_bool(self.temper.forgetful / 4.0) {
            let holds = self.random.random_bool(0.98);
            self.report(after, Event::Injected { injection, proof: proof(holds) });
        }
    }

    fn in_effect(&mut self, id: InjectionId) {
        self.in_effect.insert(id);
        self.ever_in_effect.insert(id);
    }

    fn undo(&mut self, injection: InjectionId) {
        assert!(self.orders.contains_key(&injection), "{injection} is undone and was never injected");
        *self.undos.entry(injection).or_default() += 1;
        let after = self.delay() / 4;
        if self.random.random_bool(self.temper.failing) {
            let error = UndoError { why: "no".to_owned(), repair: "by hand".to_owned() };
            return self.report(after, Event::UndoFailed { injection, error });
        }
        self.in_effect.remove(&injection);
        self.cancelled.insert(injection);
        if !self.random.random_bool(self.temper.forgetful) {
            let undone = Undone { cleanliness: Cleanliness::Clean, proof: None };
            self.report(after, Event::Undone { injection, undone });
        }
    }

    fn recorded(&mut self, what: What, plan: &Plan) {
        match what {
            What::Experiment { status, .. } => {
                assert!(experiment_may(self.status, status), "experiment from {} to {status}", self.status);
                self.status = status;
            }
            What::Action { action, status, .. } => {
                let before = self.actions.insert(action.clone(), status).unwrap_or(ActionStatus::Pending);
                assert!(action_may(before, status), "{action} from {before} to {status}");
                if status == ActionStatus::Initiating {
                    let planned = plan.actions.iter().find(|one| one.name == action).unwrap();
                    for before in &planned.start_after {
                        let ended = self.actions.get(before);
                        let ok = matches!(ended, Some(ActionStatus::Completed | ActionStatus::Skipped));
                        assert!(ok, "{action} started while {before} was {ended:?}");
                    }
                }
            }
            What::Injecting { injection, .. } => {
                self.recorded.insert(injection);
            }
            What::UndoFailed { injection, .. } => {
                self.stuck.insert(injection);
            }
            What::GuardFired { .. } | What::StopRequested { .. } => {
                self.stopped_at.get_or_insert(self.now);
            }
            _ => {}
        }
    }
}

fn experiment_may(from: ExperimentStatus, to: ExperimentStatus) -> bool {
    use ExperimentStatus::{Cancelled, Completed, Failed, Initiating, Pending, Running, Stopped, Stopping};
    matches!(
        (from, to),
        (Pending, Initiating | Cancelled)
            | (Initiating, Running | Cancelled)
            | (Running, Completed | Stopping)
            | (Stopping, Stopped | Failed)
    )
}

fn action_may(from: ActionStatus, to: ActionStatus) -> bool {
    use ActionStatus::{Cancelled, Completed, Failed, Initiating, Pending, Running, Skipped, Stopped, Stopping};
    matches!(
        (from, to),
        (Pending, Initiating | Cancelled | Skipped)
            | (Initiating, Running | Stopping)
            | (Running, Completed | Stopping)
            | (Stopping, Stopped | Failed)
    )
}

fn random_plan(random: &mut StdRng) -> Plan {
    let count = random.random_range(1..8_usize);
    let mut next = 0;
    let mut actions = Vec::new();
    for at in 0..count {
        let before: Vec<String> =
            (0..at).filter(|_| random.random_bool(0.3)).map(|before| format!("a{before}")).collect();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let name = format!("a{at}");
        let ids: Vec<u32> = (0..random.random_range(1..5))
            .map(|_| {
                next += 1;
                next
            })
            .collect();
        let duration = random.random_bool(0.7).then(|| Period::from_millis(random.random_range(0..20_000)));
        let class =
            [Reversibility::Undoable, Reversibility::SelfEnding, Reversibility::Irreversible, Reversibility::Harmless];
        let mut action = fault(&name, &before, ids, duration, class[random.random_range(0..4)]);
        if let Work::Fault(fault) = &mut action.work {
            fault.follow = random.random_bool(0.5);
        }
        match random.random_range(0..10) {
            0 => action.work = Work::Skip { reason: "nothing matches".to_owned() },
            1 | 2 => action.work = Work::Wait { duration: Period::from_millis(random.random_range(0..20_000)) },
            3 => action.work = Work::AssertAlarms { alarms: vec!["x".to_owned()], states: vec![AlarmState::Ok] },
            _ => {}
        }
        actions.push(action);
    }
    let mut plan = plan(actions);
    plan.windows.baseline = Period::from_millis(random.random_range(0..3_000));
    plan.windows.fault = Period::from_millis(random.random_range(0..30_000));
    plan.deadline = Period::from_secs(if random.random_bool(0.1) { 20 } else { 600 });
    plan
}

/// The longest a stop may take, counted from the last that was heard of an injection which nobody knew to be there: what is in
/// flight is given up, then every try of an undo takes all of its patience.
fn longest_stop() -> Duration {
    STOP_PATIENCE + (UNDO_PATIENCE + UNDO_PAUSE * UNDO_TRIES) * (UNDO_TRIES * 2)
}

fn walk(seed: u64) -> (Phase, ExperimentStatus) {
    let mut world = World::new(seed);
    let plan = Arc::new(random_plan(&mut world.random));
    let mut run = Run::new(Arc::clone(&plan));
    let interrupt = Duration::from_millis(world.random.random_range(0..120_000));
    if world.random.random_bool(0.4) {
        world.report(interrupt, Event::Stop { by: "Ctrl-C".to_owned() });
    } else if world.random.random_bool(0.5) {
        world.report(interrupt, Event::GuardFired { alarm: "errors".to_owned(), reason: String::new() });
    } else if world.random.random_bool(0.2) {
        world.report(interrupt, Event::GuardsLost { why: "broke down".to_owned() });
    }
    world.report(Duration::ZERO, Event::Start);
    for _ in 0..world.random.random_range(0..5) {
        world.somebody_comes_or_goes();
    }
    for _ in 0..20_000 {
        let next = world.queue.keys().next().copied();
        let due = run.next_due();
        let event = match (next, due) {
            (Some(key), due) if due.is_none_or(|due| key.0 <= due) => {
                world.now = key.0.max(world.now);
                world.queue.remove(&key).unwrap()
            }
            (_, Some(due)) => {
                world.now = due.max(world.now);
                Event::Tick
            }
            (Some(_) | None, None) => panic!("{:?} waits for nothing", run.phase()),
        };
        if matches!(event, Event::Injected { .. }) {
            world.last_heard = world.now;
        }
        let phase_before = run.phase();
        for effect in run.step(event, world.now) {
            let phase = if run.phase() == Phase::Ended { phase_before } else { run.phase() };
            world.perform(effect, &plan, phase);
        }
        if run.phase() == Phase::Stopping {
            world.stopped_at.get_or_insert(world.now);
            let since = world.now.since(world.stopped_at.unwrap().max(world.last_heard));
            assert!(since <= longest_stop(), "stopping takes {since:?}");
        }
        if run.phase() == Phase::Running {
            for id in run.open().filter(|id| world.in_effect.contains(id) && !world.undos.contains_key(id)) {
                let since = world.now.since(world.renewed[&id]);
                assert!(since <= plan.lease() / 3 + Duration::from_millis(1), "{id} was not renewed for {since:?}");
            }
        }
        if run.phase() == Phase::Ended {
            assert!(run.status().is_final(), "{}", run.status());
            for (name, status) in &world.actions {
                assert!(status.is_final(), "{name} is {status} at the end");
            }
            let left: Vec<_> = world.in_effect.difference(&world.stuck).collect();
            assert!(left.is_empty(), "{left:?} are still in effect");
            for id in &world.ever_in_effect {
                assert!(world.undos.contains_key(id), "{id} was never undone");
            }
            return (run.phase(), run.status());
        }
    }
    panic!("it does not end")
}

#[test]
fn whatever_happens_everything_injected_is_undone_and_the_run_ends() {
    let mut seen = BTreeMap::<String, u32>::new();
    for seed in 0..EXPERIMENTS {
        let outcome = std::panic::catch_unwind(|| walk(seed));
        match outcome {
            Ok((_, status)) => *seen.entry(status.to_string()).or_default() += 1,
            Err(_) => panic!("the experiment with seed {seed} went wrong"),
        }
    }
    // The walk is worth something only where it gets to all ends.
    for status in ["completed", "stopped", "failed", "cancelled"] {
        let count = seen.get(status).copied().unwrap_or_default();
        assert!(
            u64::from(count) > EXPERIMENTS / 100,
            "only {count} of {EXPERIMENTS} experiments end {status}: {seen:?}"
        );
    }
}
