//! How a group keeps its instances: a pure decision, as an Auto Scaling group takes it.
//!
//! [`Group::step`] takes what happened and returns what is to be done; the [control plane](crate::Lab) performs it and tells
//! the outcome as further events. Members are known by their number within the group, from which the instance's id is
//! derived.
//!
//! ```text
//!            Launch            Launched                Exited, Gone
//!   vacancy ────────▶ starting ────────▶ running ───────────────────────▶ vacancy (after launchDelay, if replaced)
//!                                         │  ▲
//!                                 Stopped │  │ Started
//!                                         ▼  │
//!                                       stopped ── launchDelay over, if replaced ──▶ Terminate
//! ```
//!
//! An instance that its balancers find unhealthy once its grace period is over is terminated and replaced. The place of an
//! instance is taken in the zone that has the fewest, so that the spread stays even; where that zone has no capacity
//! ([`Shortage`]), in the next. What was launched elsewhere meanwhile stays there.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::{Moment, event::InjectionId};

/// The shortest time between two attempts to launch what no zone had capacity for.
const RETRY: Duration = Duration::from_secs(1);

/// The number of an instance within its group, counted from 1 over the life of the lab.
pub(crate) type Ordinal = u32;

/// What the group needs to know of its specification.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Zones, in the order in which they are filled.
    pub(crate) zones: Vec<String>,
    /// How many instances there should be: `desired`, held between `min` and `max`.
    pub(crate) desired: usize,
    /// Never more than this.
    pub(crate) max: usize,
    /// Whether an instance that is lost is replaced.
    pub(crate) replace: bool,
    /// How long after its launch an instance's health does not count.
    pub(crate) grace: Duration,
    /// Time from a loss to the launch of the replacement.
    pub(crate) launch_delay: Duration,
}

impl From<&model::lab::Group> for Rules {
    fn from(group: &model::lab::Group) -> Self {
        Self {
            zones: group.zones.clone(),
            // Not `clamp`, which panics where min > max: a document that says so has been refused, a test may not have been.
            desired: group.desired.max(group.min).min(group.max) as usize,
            max: group.max as usize,
            replace: group.replace,
            grace: group.grace_period.get(),
            launch_delay: group.launch_delay.get(),
        }
    }
}

/// What happened to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// The lab comes up.
    Begin,
    /// Time has passed.
    Tick,
    /// An instance's process runs.
    Launched(Ordinal),
    /// An instance's process could not be made.
    LaunchFailed(Ordinal),
    /// An instance answered for the first time since it was launched or started.
    Ready(Ordinal),
    /// An instance's process ended by itself, or was killed by somebody else.
    Exited(Ordinal),
    /// An instance was stopped; it can be started again.
    Stopped(Ordinal),
    /// A stopped or rebooted instance runs again.
    Started(Ordinal),
    /// An instance is gone for good: terminated by a fault, or as this group had asked.
    Gone(Ordinal),
    /// What the group's balancers think of an instance.
    Health(Ordinal, bool),
}

/// What a group wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Launch this instance in this zone.
    Launch(Ordinal, String),
    /// Terminate this instance, for this reason.
    Terminate(Ordinal, &'static str),
    /// Nothing to perform: it is decided that this instance will be replaced.
    Replacing(Ordinal),
    /// Nothing will come back under this number: balancers may forget it.
    Forget(Ordinal),
    /// Nothing to perform: a launch in this zone was denied, for the first time by this shortage.
    Denied(String),
}

/// Zones in which launches fail, as AWS says: for insufficient capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortage {
    zones: BTreeSet<String>,
    percent: u8,
    /// Launches that were tried there.
    tried: u64,
    /// Zones in which one was denied.
    denied_in: BTreeSet<String>,
}

impl Shortage {
    /// In these zones, of so many percent of the launches (1 to 100).
    pub(crate) const fn new(zones: BTreeSet<String>, percent: u8) -> Self {
        Self { zones, percent, tried: 0, denied_in: BTreeSet::new() }
    }

    /// How many launches were denied.
    pub(crate) fn denied(&self) -> u64 {
        self.tried * u64::from(self.percent) / 100
    }

    /// Tries a launch; whether it is denied. Evenly, not by lot: of any hundred it is exactly the percentage.
    fn denies(&mut self, zone: &str) -> bool {
        if !self.zones.contains(zone) {
            return false;
        }
        let before = self.denied();
        self.tried += 1;
        self.denied() > before
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Ordered; its process does not run yet.
    Starting,
    /// Its process runs.
    Running,
    /// Stopped at that moment.
    Stopped(Moment),
    /// Its termination is ordered.
    Leaving,
}

#[derive(Debug, Clone)]
struct Member {
    zone: String,
    phase: Phase,
    /// When it was last launched or started.
    started: Moment,
    /// Whether it has answered since.
    ready: bool,
    /// What the balancers think; nothing while they have not said.
    healthy: Option<bool>,
}

impl Member {
    fn stays(&self) -> bool {
        self.phase != Phase::Leaving
    }
}

/// A group: its rules and what has become of its instances.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    rules: Rules,
    members: BTreeMap<Ordinal, Member>,
    /// Losses to be made good.
    vacancies: Vec<Vacancy>,
    /// Why launches fail, by what makes them.
    shortages: BTreeMap<InjectionId, Shortage>,
    last: Ordinal,
}

/// A loss to be made good.
#[derive(Debug, Clone, Copy)]
struct Vacancy {
    /// The number that was lost.
    lost: Ordinal,
    /// When its successor is launched.
    due: Moment,
    /// Whether that has been tried, and no zone had capacity.
    denied: bool,
}

impl Vacancy {
    const fn new(lost: Ordinal, due: Moment) -> Self {
        Self { lost, due, denied: false }
    }
}

impl Group {
    /// A group without instances; [`Event::Begin`] launches them.
    pub(crate) const fn new(rules: Rules) -> Self {
        Self { rules, members: BTreeMap::new(), vacancies: Vec::new(), shortages: BTreeMap::new(), last: 0 }
    }

    /// From now on launches in some zones fail. How many of the next hundred in each of them would, for a proof.
    pub(crate) fn lack(&mut self, of: InjectionId, shortage: Shortage) -> Vec<(String, usize)> {
        let would = |zone: &String| {
            let mut trial = shortage.clone();
            (zone.clone(), (0..100).filter(|_| trial.denies(zone)).count())
        };
        let proof = shortage.zones.iter().map(would).collect();
        self.shortages.insert(of, shortage);
        proof
    }

    /// Launches do not fail for this reason any more; what they came to, if they did. What waits for capacity is launched at
    /// the next [`Event::Tick`].
    pub(crate) fn relieve(&mut self, of: InjectionId) -> Option<Shortage> {
        let was = self.shortages.remove(&of)?;
        for vacancy in self.vacancies.iter_mut().filter(|vacancy| vacancy.denied) {
            vacancy.due = Moment::ZERO;
        }
        Some(was)
    }

    /// Takes note of an event, and decides. Events about members that are not there (any more) change nothing.
    pub(crate) fn step(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Begin => {
                for _ in 0..self.rules.desired {
                    // Nothing is short before the lab is up.
                    let _launched = self.launch(now, &mut effects);
                }
            }
            Event::Tick => {}
            Event::Launched(n) | Event::Started(n) => self.change(n, |member| {
                if member.phase != Phase::Leaving {
                    *member =
                        Member { phase: Phase::Running, started: now, ready: false, healthy: None, ..member.clone() };
                }
            }),
            Event::Ready(n) => self.change(n, |member| member.ready = true),
            Event::Health(n, healthy) => self.change(n, |member| member.healthy = Some(healthy)),
            Event::Stopped(n) => self.change(n, |member| {
                // One that was starting was stopped before it ran.
                if matches!(member.phase, Phase::Running | Phase::Starting) {
                    *member = Member { phase: Phase::Stopped(now), ready: false, ..member.clone() };
                }
            }),
            Event::Exited(n) | Event::Gone(n) | Event::LaunchFailed(n) => self.lose(n, now, &mut effects),
        }
        self.replace_stopped(now, &mut effects);
        self.terminate_unhealthy(now, &mut effects);
        self.fill_vacancies(now, &mut effects);
        effects
    }

    /// When the group wants to be asked again though nothing happens ([`Event::Tick`]).
    pub(crate) fn next_due(&self, now: Moment) -> Option<Moment> {
        let rules = &self.rules;
        let stopped = self.members.values().filter_map(|member| match member.phase {
            Phase::Stopped(at) if rules.replace => Some(at + rules.launch_delay),
            Phase::Stopped(_) | Phase::Starting | Phase::Running | Phase::Leaving => None,
        });
        let graces = self.members.values().map(|member| member.started + rules.grace);
        let vacancies = self.vacancies.iter().map(|vacancy| vacancy.due);
        stopped.chain(graces).chain(vacancies).filter(|&due| due > now).min()
    }

    /// Instances whose process runs.
    pub(crate) fn running(&self) -> usize {
        self.members.values().filter(|member| member.phase == Phase::Running).count()
    }

    /// Instances that run, and have answered or are past their grace period.
    pub(crate) fn in_service(&self, now: Moment) -> usize {
        let rules = &self.rules;
        let counts =
            |member: &&Member| member.phase == Phase::Running && (member.ready || now >= member.started + rules.grace);
        self.members.values().filter(counts).count()
    }

    /// Whether this instance runs and has answered.
    pub(crate) fn is_ready(&self, n: Ordinal) -> bool {
        self.members.get(&n).is_some_and(|member| member.phase == Phase::Running && member.ready)
    }

    /// How many instances there should be.
    pub(crate) const fn desired(&self) -> usize {
        self.rules.desired
    }

    fn change(&mut self, n: Ordinal, how: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(&n) {
            how(member);
        }
    }

    fn lose(&mut self, n: Ordinal, now: Moment, effects: &mut Vec<Effect>) {
        if self.members.remove(&n).is_some() && self.rules.replace {
            self.vacancies.push(Vacancy::new(n, now + self.rules.launch_delay));
            effects.push(Effect::Replacing(n));
        }
    }

    /// A group takes a stopped instance for a lost one, as an Auto Scaling group does, when it has been stopped for as long
    /// as the group needs to notice.
    fn replace_stopped(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if !self.rules.replace {
            return;
        }
        let delay = self.rules.launch_delay;
        for (&n, member) in &mut self.members {
            if matches!(member.phase, Phase::Stopped(at) if now >= at + delay) {
                member.phase = Phase::Leaving;
                self.vacancies.push(Vacancy::new(n, now));
                effects.push(Effect::Replacing(n));
                effects.push(Effect::Terminate(n, "it was stopped, and its group replaces it"));
            }
        }
        // What is leaving and already has a vacancy must not get a second one when it is gone.
        let vacancies = &self.vacancies;
        self.members.retain(|n, _| !vacancies.iter().any(|vacancy| vacancy.lost == *n));
    }

    fn terminate_unhealthy(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if !self.rules.replace {
            return;
        }
        let grace = self.rules.grace;
        for (&n, member) in &mut self.members {
            let counts = member.phase == Phase::Running && now >= member.started + grace;
            if counts && member.healthy == Some(false) {
                member.phase = Phase::Leaving;
                effects.push(Effect::Terminate(n, "its balancer finds it unhealthy"));
            }
        }
    }

    fn fill_vacancies(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let (due, later): (Vec<_>, Vec<_>) = self.vacancies.drain(..).partition(|vacancy| vacancy.due <= now);
        self.vacancies = later;
        let again = now + self.rules.launch_delay.max(RETRY);
        for vacancy in due {
            if !vacancy.denied {
                effects.push(Effect::Forget(vacancy.lost));
            }
            if !self.launch(now, effects) {
                self.vacancies.push(Vacancy { due: again, denied: true, ..vacancy });
            }
        }
    }

    /// Launches an instance in the zone that has the fewest; the first of those, in the order of the document. False if one
    /// is wanted, and no zone has capacity for it.
    fn launch(&mut self, now: Moment, effects: &mut Vec<Effect>) -> bool {
        let present = self.members.values().filter(|member| member.stays()).count();
        // `desired` never exceeds `max`, but a document can ask for neither.
        if present >= self.rules.desired.min(self.rules.max) {
            return true;
        }
        let population = |zone: &String| self.members.values().filter(|m| m.stays() && m.zone == *zone).count();
        let mut zones = self.rules.zones.clone();
        zones.sort_by_cached_key(population);
        let Some(zone) = zones.into_iter().find(|zone| !self.is_denied(zone, effects)) else { return false };
        self.last += 1;
        let member = Member { zone: zone.clone(), phase: Phase::Starting, started: now, ready: false, healthy: None };
        self.members.insert(self.last, member);
        effects.push(Effect::Launch(self.last, zone));
        true
    }

    /// Tries a launch in a zone; whether it fails.
    fn is_denied(&mut self, zone: &str, effects: &mut Vec<Effect>) -> bool {
        let mut denied = false;
        for shortage in self.shortages.values_mut() {
            if shortage.denies(zone) {
                denied = true;
                if shortage.denied_in.insert(zone.to_owned()) {
                    effects.push(Effect::Denied(zone.to_owned()));
                }
            }
        }
        denied
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const DELAY: Duration = Duration::from_secs(2);
    const GRACE: Duration = Duration::from_secs(5);

    fn rules(desired: usize, replace: bool) -> Rules {
        let zones = ["a", "b", "c"].map(str::to_owned).to_vec();
        Rules { zones, desired, max: desired + 1, replace, grace: GRACE, launch_delay: DELAY }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    /// A group of two whose instances run.
    fn pair(replace: bool) -> Group {
        let mut group = Group::new(rules(2, replace));
        group.step(Event::Begin, at(0));
        for n in [1, 2] {
            group.step(Event::Launched(n), at(0));
            group.step(Event::Ready(n), at(0));
            group.step(Event::Health(n, true), at(0));
        }
        group
    }

    fn launch(n: Ordinal, zone: &str) -> Effect {
        Effect::Launch(n, zone.to_owned())
    }

    #[test]
    fn begins_with_the_desired_number_spread_over_the_zones() {
        let effects = Group::new(rules(4, true)).step(Event::Begin, at(0));
        assert_eq!(effects, [launch(1, "a"), launch(2, "b"), launch(3, "c"), launch(4, "a")]);
    }

    #[test]
    fn replaces_what_exits_after_the_launch_delay_in_the_same_zone() {
        let mut group = pair(true);
        assert_eq!(group.step(Event::Exited(2), at(10)), [Effect::Replacing(2)]);
        assert_eq!(group.next_due(at(10)), Some(at(12)));
        assert_eq!(group.step(Event::Tick, at(11)), []);
        assert_eq!(group.step(Event::Tick, at(12)), [Effect::Forget(2), launch(3, "b")]);
        assert_eq!(group.running(), 1);
        group.step(Event::Launched(3), at(12));
        assert_eq!((group.running(), group.in_service(at(12))), (2, 1));
        assert_eq!(group.in_service(at(17)), 2, "past its grace period");
    }

    #[test]
    fn replaces_nothing_where_that_is_switched_off() {
        let mut group = pair(false);
        assert_eq!(group.step(Event::Exited(1), at(10)), []);
        assert_eq!(group.step(Event::Health(2, false), at(20)), []);
        assert_eq!(group.step(Event::Tick, at(100)), []);
        assert_eq!(group.running(), 1);
    }

    #[test]
    fn a_stopped_instance_is_replaced_unless_it_starts_in_time() {
        let mut group = pair(true);
        assert_eq!(group.step(Event::Stopped(1), at(10)), []);
        group.step(Event::Started(1), at(11));
        assert_eq!(group.step(Event::Tick, at(13)), []);
        group.step(Event::Stopped(1), at(20));
        let effects = group.step(Event::Tick, at(22));
        assert!(matches!(
            effects.as_slice(),
            [Effect::Replacing(1), Effect::Terminate(1, _), Effect::Forget(1), Effect::Launch(3, zone)] if zone == "a"
        ));
        assert_eq!(group.step(Event::Gone(1), at(22)), [], "it is replaced once");
    }

    #[test]
    fn health_counts_after_the_grace_period() {
        let mut group = pair(true);
        assert_eq!(group.step(Event::Health(1, false), at(4)), []);
        assert!(matches!(group.step(Event::Tick, at(5)).as_slice(), [Effect::Terminate(1, _)]));
        assert_eq!(group.step(Event::Gone(1), at(6)), [Effect::Replacing(1)]);
        assert_eq!(group.step(Event::Tick, at(8)), [Effect::Forget(1), launch(3, "a")]);
    }

    #[test]
    fn events_about_strangers_change_nothing() {
        let mut group = pair(true);
        for event in [Event::Exited(9), Event::Stopped(9), Event::Health(9, false), Event::Started(9), Event::Gone(9)] {
            assert_eq!(group.step(event, at(10)), []);
        }
        assert_eq!(group.running(), 2);
    }

    fn short(zones: &[&str], percent: u8) -> Shortage {
        Shortage::new(zones.iter().map(|&zone| zone.to_owned()).collect(), percent)
    }

    fn denied(zone: &str) -> Effect {
        Effect::Denied(zone.to_owned())
    }

    #[test]
    fn what_a_zone_without_capacity_cannot_take_is_launched_in_another() {
        let mut group = pair(true);
        let proof = group.lack(InjectionId(1), short(&["b"], 100));
        assert_eq!(proof, [("b".to_owned(), 100)]);
        group.step(Event::Exited(2), at(10));
        assert_eq!(group.step(Event::Tick, at(12)), [Effect::Forget(2), denied("b"), launch(3, "c")]);
        group.step(Event::Exited(3), at(20));
        assert_eq!(group.step(Event::Tick, at(22)), [Effect::Forget(3), launch(4, "c")], "it is told once");
        assert_eq!(group.relieve(InjectionId(1)).map(|was| was.denied()), Some(2));
        assert_eq!(group.relieve(InjectionId(1)), None);
        group.step(Event::Exited(4), at(30));
        assert_eq!(group.step(Event::Tick, at(32)), [Effect::Forget(4), launch(5, "b")]);
    }

    #[test]
    fn what_no_zone_can_take_is_launched_when_there_is_capacity_again() {
        let mut group = pair(true);
        group.lack(InjectionId(1), short(&["a", "b"], 100));
        group.lack(InjectionId(2), short(&["c"], 100));
        group.step(Event::Exited(1), at(10));
        let all = [Effect::Forget(1), denied("a"), denied("c"), denied("b")];
        assert_eq!(group.step(Event::Tick, at(12)), all);
        assert_eq!(group.next_due(at(12)), Some(at(14)), "it is tried again");
        assert_eq!(group.step(Event::Tick, at(14)), []);
        group.relieve(InjectionId(1));
        assert_eq!(group.step(Event::Tick, at(15)), [launch(3, "a")], "and at once when something changes");
    }

    #[test]
    fn of_a_hundred_launches_as_many_are_denied_as_was_said() {
        for percent in 1..=100 {
            let mut shortage = short(&["a"], percent);
            let denied = (0..100).filter(|_| shortage.denies("a")).count();
            assert_eq!((denied, shortage.denied()), (usize::from(percent), u64::from(percent)));
            assert!(!shortage.denies("b"));
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let n = 1u32..20;
        prop_oneof![
            Just(Event::Tick),
            n.clone().prop_map(Event::Launched),
            n.clone().prop_map(Event::LaunchFailed),
            n.clone().prop_map(Event::Ready),
            n.clone().prop_map(Event::Exited),
            n.clone().prop_map(Event::Stopped),
            n.clone().prop_map(Event::Started),
            n.clone().prop_map(Event::Gone),
            (n, any::<bool>()).prop_map(|(n, healthy)| Event::Health(n, healthy)),
        ]
    }

    /// Instances that somebody pays for: launched, and not yet gone.
    fn members(group: &Group) -> usize {
        group.members.values().filter(|member| member.stays()).count()
    }

    proptest! {
        #[test]
        fn whatever_happens_a_group_never_exceeds_its_size_and_comes_back_evenly_spread(
            desired in 1usize..7,
            events in prop::collection::vec((any_event(), 0u64..4), 0..60),
        ) {
            let mut group = Group::new(rules(desired, true));
            let mut seconds = 0;
            let mut effects = group.step(Event::Begin, at(0));
            for (event, pause) in events {
                seconds += pause;
                effects.extend(group.step(event, at(seconds)));
                prop_assert!(members(&group) <= desired);
            }
            // From here on the world does as it is told, and nothing goes wrong any more.
            let mut launched: Vec<Ordinal> = group.members.keys().copied().collect();
            for _ in 0..100 {
                seconds += 1;
                let mut todo = std::mem::take(&mut effects);
                todo.extend(launched.drain(..).map(|n| launch(n, "")));
                for effect in todo {
                    match effect {
                        Effect::Launch(n, _) => {
                            effects.extend(group.step(Event::Launched(n), at(seconds)));
                            effects.extend(group.step(Event::Health(n, true), at(seconds)));
                        }
                        Effect::Terminate(n, _) => effects.extend(group.step(Event::Gone(n), at(seconds))),
                        Effect::Replacing(_) | Effect::Forget(_) | Effect::Denied(_) => {}
                    }
                }
                effects.extend(group.step(Event::Tick, at(seconds)));
                let leaving: Vec<_> = group.members.iter().filter(|(_, m)| !m.stays()).map(|(&n, _)| n).collect();
                for n in leaving {
                    effects.extend(group.step(Event::Gone(n), at(seconds)));
                }
            }
            prop_assert_eq!(group.running(), desired);
            let in_zone = |zone: &str| group.members.values().filter(|member| member.zone == zone).count();
            let counts = ["a", "b", "c"].map(in_zone);
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{:?}", counts);
        }
    }
}
