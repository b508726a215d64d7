//! Journal, leases and guardian, through every interleaving of three faults, two deaths and a hang; and of a runner that goes on
//! renewing and never undoes.
//!
//! The decisions are the product's own code: [`Watch`], [`Recovery`] and [`Vigil`]. What is modelled around them is what their processes do
//! with the world, in the order in which they do it; every step may be the last one before a death. Whatever happens, it ends,
//! and then nothing is injected.

#![expect(
    clippy::print_stdout,
    reason = "how much was looked at is worth knowing, and clippy only knows tests themselves"
)]

use std::{collections::BTreeMap, time::Duration};

use faults::{
    grant::Grant,
    guardian::watch::{self, Effect, GRACE, Watch, Why},
    recovery::{self, Attempt, Recovery},
    vigil::{Judgement, Look, Sign, Vigil},
};
use stateright::{Checker, Model, Property};

const FAULTS: usize = 3;
/// Longer than a grace, so that leases granted at different times run out at different times.
const LEASE: Duration = Duration::from_secs(10);
/// How long a fault lasts: so that a renewal comes between its lease and its end.
const LENGTH: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_millis(150);

/// How far the runner is with one fault; each step is one thing done to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    /// Nothing done.
    Idle,
    /// The guardian is told of the lease.
    Leased,
    /// The undo record is on disk.
    Planned,
    /// The fault is there.
    Injected,
    /// The guardian is told that it is being undone.
    Undoing,
    /// The fault is gone.
    Undone,
    /// That is on disk.
    Noted,
    /// The guardian is told.
    Released,
}

/// The process that injects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Runner {
    AtWork,
    /// At work, but it undoes nothing: it renews.
    Lingering,
    /// Stopped: it does nothing, and does not die of it.
    Hung,
    /// Told to die; the call that it is in may still be carried out.
    Dying,
    Dead,
    /// It has ended in order.
    Gone,
}

/// The process that undoes from the journal: a guardian after its runner's death, or the next start.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Undoer {
    recovery: Recovery,
    /// The attempts under way, and whether the fault is undone and only the note is missing.
    trying: BTreeMap<u64, bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Guardian {
    Watching(Watch),
    Undoing(Undoer),
    /// It has done its work.
    Over,
}

/// What the journal says of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Record {
    None,
    Open,
    Undone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: Duration,
    runner: Runner,
    steps: [Step; FAULTS],
    injected: [bool; FAULTS],
    /// `None`: it is removed.
    journal: Option<[Record; FAULTS]>,
    /// `None`: not started yet, or dead.
    guardian: Option<Guardian>,
    /// Said by the runner, not yet heard by the guardian.
    said: Vec<watch::Event>,
    next_start: Option<Undoer>,
    /// Who comes next watches a runner that hangs.
    vigil: Option<Vigil>,
    /// When the runner showed itself last, if anybody is to know.
    sign: Duration,
    /// When it renewed last.
    renewed: Duration,
    /// It was ended for not undoing; after a vigil; a vigil found it at work.
    ends: [bool; 3],
    deaths: u8,
    hangs: u8,
    /// Hangs that may pass.
    wakes: u8,
    lingers: u8,
    /// Attempts to undo that may still fail.
    failures: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Action {
    /// The runner goes one step further with a fault.
    Step(usize),
    /// It ends in order: removes the journal, says farewell, goes.
    End,
    /// It starts a guardian, or another.
    Guard,
    /// It hangs.
    Hang,
    /// It goes on.
    Wake,
    /// From now on it undoes nothing any more.
    Linger,
    /// It renews what it has in effect.
    Renew,
    /// It dies; or what was told to die does.
    Die,
    /// The guardian dies.
    GuardianDies,
    /// The guardian hears all that was said.
    Hear,
    /// The guardian sees that the socket is closed.
    SeeHungUp,
    /// The guardian sees that the runner has died.
    SeeDied,
    /// Time passes until somebody wants to be woken.
    Pass,
    /// An undoer undoes a fault; writes it down; fails to undo it.
    Undo(u64),
    Note(u64),
    Fail(u64),
    /// Long after the last sign of a runner that hangs unguarded somebody comes and watches it.
    Keep,
    /// Nobody is left of either: the next start.
    Start,
    /// That one dies.
    StartDies,
}

/// What is to be looked at.
struct Protocol {
    /// How many faults; at most [`FAULTS`].
    faults: usize,
    /// How many attempts to undo fail.
    failures: u8,
    deaths: u8,
    hangs: u8,
    /// How many hangs pass.
    wakes: u8,
    /// Whether the runner may go on without undoing.
    lingers: u8,
}

/// Three faults, two deaths and a hang: as much as is looked at by one who has seconds, not hours.
const ALL: Protocol = Protocol { faults: 3, failures: 0, deaths: 2, hangs: 1, wakes: 0, lingers: 0 };

/// What may become of a runner.
const OVERTIME: usize = 0;
const WATCHED: usize = 1;
const LEFT: usize = 2;

impl World {
    /// Whether the runner can do something of its own.
    fn is_working(&self) -> bool {
        matches!(self.runner, Runner::AtWork | Runner::Lingering)
    }

    fn open(&self) -> Vec<u64> {
        let journal = self.journal.as_ref().into_iter().flatten();
        (0..).zip(journal).filter(|(_, record)| **record == Record::Open).map(|(token, _)| token).collect()
    }

    fn undoer(&self) -> Option<&Undoer> {
        match (&self.guardian, &self.next_start) {
            (_, Some(undoer)) | (Some(Guardian::Undoing(undoer)), None) => Some(undoer),
            _ => None,
        }
    }

    fn undoer_mut(&mut self) -> Option<&mut Undoer> {
        match (&mut self.guardian, &mut self.next_start) {
            (_, Some(undoer)) | (Some(Guardian::Undoing(undoer)), None) => Some(undoer),
            _ => None,
        }
    }

    fn wake(&self) -> Option<Duration> {
        let guardian = match (&self.guardian, self.undoer()) {
            (_, Some(undoer)) => undoer.recovery.wake(),
            (Some(Guardian::Watching(watch)), None) => watch.wake(),
            _ => None,
        };
        let vigil = self.vigil.clone().and_then(|mut vigil| match vigil.step(&self.look(), self.now) {
            Judgement::Watch(wake) => Some(wake),
            Judgement::Leave | Judgement::End => None,
        });
        guardian.into_iter().chain(vigil).min()
    }

    /// What somebody sees who comes next.
    fn look(&self) -> Look {
        Look {
            lease: (!self.open().is_empty()).then_some(LEASE),
            runner_lives: !matches!(self.runner, Runner::Dead | Runner::Gone),
            guarded: matches!(self.guardian, Some(Guardian::Watching(_))),
            sign: Sign::At(self.sign),
        }
    }

    /// Whoever keeps a vigil looks, and does what it judges.
    fn judge(&mut self) {
        let (look, now) = (self.look(), self.now);
        match self.vigil.as_mut().map(|vigil| vigil.step(&look, now)) {
            None | Some(Judgement::Watch(_)) => {}
            Some(Judgement::Leave) => {
                self.ends[LEFT] |= self.is_working();
                self.vigil = None;
            }
            Some(Judgement::End) => {
                self.ends[WATCHED] = true;
                self.vigil = None;
                self.kill();
            }
        }
    }

    /// The runner is told to die. One that is stopped is in no call.
    fn kill(&mut self) {
        self.runner = match self.runner {
            Runner::AtWork | Runner::Lingering => Runner::Dying,
            Runner::Hung => Runner::Dead,
            other @ (Runner::Dying | Runner::Dead | Runner::Gone) => other,
        };
    }

    fn say(&mut self, event: watch::Event) {
        // What is said to nobody is lost.
        if matches!(self.guardian, Some(Guardian::Watching(_))) {
            self.said.push(event);
        }
    }

    /// The runner does the next thing about a fault.
    fn advance(&mut self, fault: usize) {
        let token = fault as u64;
        let until = self.now + LEASE;
        self.steps[fault] = match self.steps[fault] {
            Step::Idle => {
                self.say(watch::Event::Leased(vec![(token, Grant { until, end: Some(self.now + LENGTH) })]));
                Step::Leased
            }
            Step::Leased => {
                self.record(fault, Record::Open);
                Step::Planned
            }
            Step::Planned => {
                self.injected[fault] = true;
                Step::Injected
            }
            Step::Injected => {
                self.say(watch::Event::Leased(vec![(token, Grant { until, end: None })]));
                Step::Undoing
            }
            Step::Undoing => {
                self.injected[fault] = false;
                Step::Undone
            }
            Step::Undone => {
                self.record(fault, Record::Undone);
                Step::Noted
            }
            Step::Noted | Step::Released => {
                self.say(watch::Event::Released(vec![token]));
                Step::Released
            }
        };
    }

    fn record(&mut self, fault: usize, record: Record) {
        if let Some(journal) = &mut self.journal {
            journal[fault] = record;
        }
    }

    /// What the runner has to watch.
    fn live(&self) -> impl Iterator<Item = u64> {
        let live = |(_, step): &(u64, &Step)| (Step::Leased..Step::Released).contains(step);
        (0..).zip(&self.steps).filter(live).map(|(token, _)| token)
    }

    /// It renews what it does not undo.
    fn renew(&mut self) {
        self.renewed = self.now;
        let until = self.now + LEASE;
        let renewed = self.live().map(|token| (token, until)).collect();
        self.say(watch::Event::Renewed(renewed));
    }

    /// A guardian that knows what the runner tells it.
    fn guard(&mut self) {
        self.guardian = Some(Guardian::Watching(Watch::default()));
        self.said.clear();
        let grant = Grant { until: self.now + LEASE, end: Some(self.now + LENGTH) };
        let leases: Vec<(u64, Grant)> = self.live().map(|token| (token, grant)).collect();
        if !leases.is_empty() {
            self.say(watch::Event::Leased(leases));
        }
    }

    /// The guardian takes note of something, and does what it decides.
    fn tell_guardian(&mut self, event: watch::Event) {
        let now = self.now;
        let Some(Guardian::Watching(watch)) = &mut self.guardian else { return };
        match watch.step(event, now) {
            None => {}
            Some(Effect::Kill(why)) => {
                self.ends[OVERTIME] |= why == Why::Overtime;
                self.kill();
            }
            Some(Effect::Undo) => self.guardian = Some(Guardian::Undoing(self.begin())),
            Some(Effect::End) => self.guardian = Some(Guardian::Over),
        }
        self.finish();
    }

    fn begin(&self) -> Undoer {
        let mut undoer = Undoer { recovery: Recovery::new(self.open(), PATIENCE, self.now), trying: BTreeMap::new() };
        undoer.step(recovery::Event::Tick, self.now);
        undoer
    }

    fn tell_undoer(&mut self, event: recovery::Event) {
        let now = self.now;
        if let Some(undoer) = self.undoer_mut() {
            undoer.step(event, now);
        }
        self.finish();
    }

    /// An undoer that has nothing more to do removes the journal, if nothing is on record, and goes.
    fn finish(&mut self) {
        if self.undoer().is_none_or(|undoer| undoer.recovery.wake().is_some()) {
            return;
        }
        if self.open().is_empty() {
            self.journal = None;
        }
        if self.next_start.take().is_none() {
            self.guardian = Some(Guardian::Over);
        }
    }
}

impl Undoer {
    fn step(&mut self, event: recovery::Event, now: Duration) {
        let fresh = self.recovery.step(event, now);
        self.trying.extend(fresh.into_iter().map(|token| (token, false)));
    }
}

impl Protocol {
    /// Whether nobody does anything any more.
    fn is_over(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        self.actions(world, &mut actions);
        actions.is_empty()
    }

    fn all_injected(&self, world: &World) -> bool {
        world.injected.iter().filter(|injected| **injected).count() == self.faults
    }

    fn check(self) {
        let checker = self.checker().threads(2).spawn_bfs().join();
        println!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
        checker.assert_properties();
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            now: Duration::ZERO,
            runner: Runner::AtWork,
            steps: std::array::from_fn(|fault| if fault < self.faults { Step::Idle } else { Step::Released }),
            injected: [false; FAULTS],
            journal: Some([Record::None; FAULTS]),
            guardian: None,
            said: Vec::new(),
            next_start: None,
            vigil: None,
            sign: Duration::ZERO,
            renewed: Duration::ZERO,
            ends: [false; 3],
            deaths: self.deaths,
            hangs: self.hangs,
            wakes: self.wakes,
            lingers: self.lingers,
            failures: self.failures,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let guarded = world.guardian.is_some();
        if world.is_working() {
            for (fault, step) in world.steps.iter().enumerate() {
                // Nothing begins without a guardian; what has begun goes on. The faults are alike, so it is enough to look at
                // those histories in which they begin in this order.
                let next = fault == 0 || world.steps[fault - 1] != Step::Idle;
                let undoes = *step != Step::Injected || world.runner == Runner::AtWork;
                if *step != Step::Released && (*step != Step::Idle || (guarded && next)) && undoes {
                    actions.push(Action::Step(fault));
                }
            }
            if world.lingers > 0 && world.steps.contains(&Step::Injected) {
                actions.push(Action::Linger);
            }
            if world.runner == Runner::Lingering && world.renewed < world.now {
                actions.push(Action::Renew);
            }
            if world.steps == [Step::Released; FAULTS] {
                actions.push(Action::End);
            }
            if !guarded {
                actions.push(Action::Guard);
            }
            if world.hangs > 0 {
                actions.push(Action::Hang);
            }
        }
        match world.runner {
            Runner::AtWork | Runner::Lingering | Runner::Hung if world.deaths > 0 => actions.push(Action::Die),
            Runner::Dying => {
                actions.push(Action::Die);
                let midway = world.steps.iter().enumerate();
                let midway = midway.filter(|(_, step)| !matches!(step, Step::Idle | Step::Released));
                actions.extend(midway.map(|(fault, _)| Action::Step(fault)));
            }
            _ => {}
        }
        if let Some(Guardian::Watching(_)) = &world.guardian {
            if !world.said.is_empty() {
                actions.push(Action::Hear);
            } else if world.runner == Runner::Dead {
                actions.extend([Action::SeeHungUp, Action::SeeDied]);
            }
        }
        if matches!(world.guardian, Some(Guardian::Watching(_) | Guardian::Undoing(_))) && world.deaths > 0 {
            actions.push(Action::GuardianDies);
        }
        // What was said is heard before the time is judged; what is being carried out, an attempt to undo as well, takes less
        // time than anybody waits for it.
        let carried_out =
            world.runner == Runner::Dying || world.undoer().is_some_and(|undoer| !undoer.trying.is_empty());
        if world.wake().is_some_and(|wake| wake > world.now) && world.said.is_empty() && !carried_out {
            actions.push(Action::Pass);
        }
        if let Some(undoer) = world.undoer() {
            for (token, undone) in &undoer.trying {
                actions.push(if *undone { Action::Note(*token) } else { Action::Undo(*token) });
                if !undone && world.failures > 0 {
                    actions.push(Action::Fail(*token));
                }
            }
        }
        if world.runner == Runner::Hung {
            if world.wakes > 0 {
                actions.push(Action::Wake);
            }
            if world.guardian.is_none() && world.vigil.is_none() && !world.open().is_empty() {
                actions.push(Action::Keep);
            }
        }
        let unguarded = matches!(world.guardian, None | Some(Guardian::Over));
        if world.runner == Runner::Dead && unguarded && world.journal.is_some() && world.next_start.is_none() {
            actions.push(Action::Start);
        }
        if world.next_start.is_some() && world.deaths > 0 {
            actions.push(Action::StartDies);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Step(fault) => {
                next.advance(fault);
                if next.runner == Runner::Dying {
                    next.runner = Runner::Dead;
                }
            }
            Action::End => {
                next.journal = None;
                next.runner = Runner::Gone;
                next.said.clear();
                next.tell_guardian(watch::Event::Farewell);
            }
            Action::Guard => next.guard(),
            Action::Hang => {
                next.runner = Runner::Hung;
                next.sign = next.now;
                next.hangs -= 1;
            }
            Action::Wake => {
                next.runner = Runner::AtWork;
                next.wakes -= 1;
            }
            Action::Linger => {
                next.runner = Runner::Lingering;
                next.lingers -= 1;
            }
            Action::Renew => next.renew(),
            Action::Keep => {
                next.now = next.now.max(next.sign + LEASE + GRACE);
                next.vigil = Some(Vigil::default());
                next.judge();
            }
            Action::Die => {
                next.deaths -= u8::from(next.runner != Runner::Dying);
                next.runner = Runner::Dead;
            }
            Action::GuardianDies => {
                next.guardian = None;
                next.said.clear();
                next.deaths -= 1;
            }
            Action::Hear => {
                for event in std::mem::take(&mut next.said) {
                    next.tell_guardian(event);
                }
            }
            Action::SeeHungUp => next.tell_guardian(watch::Event::HungUp),
            Action::SeeDied => next.tell_guardian(watch::Event::Died),
            Action::Pass => {
                next.now = world.wake()?;
                if next.is_working() && next.vigil.is_some() {
                    next.sign = next.now;
                }
                next.judge();
                next.tell_guardian(watch::Event::Tick);
                next.tell_undoer(recovery::Event::Tick);
            }
            Action::Undo(token) => {
                next.injected[usize::try_from(token).ok()?] = false;
                next.undoer_mut()?.trying.insert(token, true);
            }
            Action::Note(token) => {
                next.record(usize::try_from(token).ok()?, Record::Undone);
                next.undoer_mut()?.trying.remove(&token);
                next.tell_undoer(recovery::Event::Tried(token, Attempt::Found));
            }
            Action::Fail(token) => {
                next.failures -= 1;
                next.undoer_mut()?.trying.remove(&token);
                next.tell_undoer(recovery::Event::Tried(token, Attempt::Failed));
            }
            Action::Start => {
                next.next_start = Some(next.begin());
                next.finish();
            }
            Action::StartDies => {
                next.next_start = None;
                next.deaths -= 1;
            }
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("when all is over nothing is injected, and nothing on record", |model, world| {
                !model.is_over(world) || (world.injected == [false; FAULTS] && world.open().is_empty())
            }),
            Property::eventually("it is over some time", Self::is_over),
            Property::always("the journal of processes that have ended is removed", |model: &Self, world: &World| {
                let ended = matches!(world.runner, Runner::Dead | Runner::Gone);
                !model.is_over(world) || !ended || world.journal.is_none()
            }),
            Property::always("what is injected is on record", |_, world: &World| {
                let on_record = |fault: usize| world.journal.is_some_and(|journal| journal[fault] == Record::Open);
                (0..FAULTS).all(|fault| !world.injected[fault] || on_record(fault))
            }),
            Property::always("nobody undoes from the journal beside a runner", |_, world: &World| {
                world.undoer().is_none() || matches!(world.runner, Runner::Dead | Runner::Gone)
            }),
            Property::always("never two undo from the journal", |_, world: &World| {
                world.next_start.is_none() || !matches!(world.guardian, Some(Guardian::Undoing(_)))
            }),
            // So that none of the above holds because nothing happens.
            Property::sometimes("all faults are there at once", |model: &Self, world: &World| {
                model.all_injected(world)
            }),
            Property::sometimes("the runner ends in order", |_, world: &World| world.runner == Runner::Gone),
            Property::sometimes("a guardian has to undo all", |model: &Self, world: &World| {
                matches!(world.guardian, Some(Guardian::Undoing(_))) && model.all_injected(world)
            }),
            Property::sometimes("the next start has to undo all", |model: &Self, world: &World| {
                world.next_start.is_some() && model.all_injected(world)
            }),
            Property::sometimes("a runner that hangs is ended", |model, world: &World| {
                world.hangs == 0 && world.deaths == model.deaths && world.runner == Runner::Dead
            }),
            Property::sometimes("one that hangs unguarded is ended by who comes next", |_, world: &World| {
                world.ends[WATCHED] && world.next_start.is_some()
            }),
            Property::sometimes("one that does not undo is ended", |model, world: &World| {
                model.lingers == 0 || world.ends[OVERTIME]
            }),
            Property::sometimes("one that goes on is left alone", |model, world: &World| {
                model.wakes == 0 || world.ends[LEFT]
            }),
        ]
    }
}

#[test]
fn every_interleaving_of_three_faults_two_deaths_and_a_hang_ends_with_nothing_injected() {
    ALL.check();
}

#[test]
fn the_same_of_two_faults_when_an_attempt_to_undo_fails() {
    Protocol { faults: 2, failures: 1, ..ALL }.check();
}

#[test]
fn the_same_of_two_faults_when_the_runner_renews_and_does_not_undo() {
    Protocol { faults: 2, lingers: 1, ..ALL }.check();
}

#[test]
fn the_same_of_two_faults_when_the_hang_passes() {
    Protocol { faults: 2, wakes: 1, ..ALL }.check();
}
