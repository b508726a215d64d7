//! The rules in force, which change while exchanges are under way.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::sync::watch;

use super::rule::Rule;

/// Rules in force. Clones share them; whoever has one can change them at any time, and exchanges under way notice.
#[derive(Debug, Clone)]
pub struct Rules {
    in_force: Arc<watch::Sender<List>>,
    seed: u64,
}

type List = Arc<Vec<Arc<Live>>>;

/// A rule in force, and what it has done.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) rule: Rule,
    dice: Mutex<SmallRng>,
    pub(super) tally: Tally,
}

/// What a rule has done, being counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) matched: AtomicU64,
    pub(super) chosen: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) delay_micros: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) changed: AtomicU64,
    pub(super) unchanged: AtomicU64,
}

/// What a rule has done since it came into force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Exchanges that it matched.
    pub matched: u64,
    /// Those of them that it was to be applied to: its percentage of them.
    pub chosen: u64,
    /// Exchanges that it has delayed.
    pub delayed: u64,
    /// How long it has delayed them, all together, as measured.
    pub delay: Duration,
    /// Exchanges that it has aborted.
    pub aborted: u64,
    /// Requests and responses that it has changed.
    pub changed: u64,
    /// Bodies that it was to change and could not: too long, compressed, or no JSON.
    pub unchanged: u64,
}

impl Rules {
    /// No rules. Chance (percentages, jitter) is drawn from `seed`, for each rule by itself: what a rule does to the
    /// exchanges that match it does not depend on other rules.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { in_force: Arc::new(watch::Sender::new(List::default())), seed }
    }

    /// Puts these rules, in this order, in the place of those in force. A rule that is among both and is the same goes on
    /// undisturbed; delays under way of all others end. Of several with one name the last counts.
    pub fn set(&self, rules: Vec<Rule>) {
        self.in_force.send_modify(|list| {
            let mut by_name: BTreeMap<&str, Arc<Live>> =
                list.iter().map(|live| (live.rule.name(), Arc::clone(live))).collect();
            let mut next: Vec<Arc<Live>> = Vec::with_capacity(rules.len());
            for rule in rules {
                let same = by_name.remove(rule.name()).filter(|live| live.rule == rule);
                let live = same.unwrap_or_else(|| self.begin(rule));
                next.retain(|other| other.rule.name() != live.rule.name());
                next.push(live);
            }
            *list = Arc::new(next);
        });
    }

    /// Adds a rule after the others, or puts it in the place of the one with its name.
    pub fn put(&self, rule: Rule) {
        self.in_force.send_modify(|list| {
            let mut next = list.to_vec();
            match next.iter().position(|live| live.rule.name() == rule.name()) {
                Some(place) if next[place].rule == rule => return,
                Some(place) => next[place] = self.begin(rule),
                None => next.push(self.begin(rule)),
            }
            *list = Arc::new(next);
        });
    }

    /// Ends a rule; its delays under way end at once. Says whether it was in force.
    #[must_use]
    pub fn remove(&self, name: &str) -> bool {
        self.in_force.send_if_modified(|list| {
            let next: Vec<_> = list.iter().filter(|live| live.rule.name() != name).cloned().collect();
            let removed = next.len() < list.len();
            *list = Arc::new(next);
            removed
        })
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.set(Vec::new());
    }

    /// The rules in force, in their order, with what they have done.
    #[must_use]
    pub fn list(&self) -> Vec<(Rule, Done)> {
        self.now().iter().map(|live| (live.rule.clone(), live.tally.read())).collect()
    }

    /// The rules of this moment.
    pub(super) fn now(&self) -> List {
        Arc::clone(&self.in_force.borrow())
    }

    /// Is told of every change.
    pub(super) fn changes(&self) -> watch::Receiver<List> {
        self.in_force.subscribe()
    }

    fn begin(&self, rule: Rule) -> Arc<Live> {
        let mut hasher = DefaultHasher::new();
        (self.seed, rule.name()).hash(&mut hasher);
        let dice = Mutex::new(SmallRng::seed_from_u64(hasher.finish()));
        Arc::new(Live { rule, dice, tally: Tally::default() })
    }
}

impl Live {
    /// An exchange matches: decides whether the rule is applied to it.
    pub(super) fn choose(&self) -> bool {
        self.tally.matched.fetch_add(1, Relaxed);
        let chosen = self.rule.percentage >= 100.0 || self.roll() * 100.0 < self.rule.percentage;
        if chosen {
            self.tally.chosen.fetch_add(1, Relaxed);
        }
        chosen
    }

    /// A number from 0 to 1.
    pub(super) fn roll(&self) -> f64 {
        lock(&self.dice).random()
    }

    /// Whether it is in force still.
    pub(super) fn is_among(&self, list: &List) -> bool {
        list.iter().any(|live| std::ptr::eq(&raw const **live, self))
    }
}

impl Tally {
    pub(super) fn delayed(&self, by: Duration) {
        self.delayed.fetch_add(1, Relaxed);
        self.delay_micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn read(&self) -> Done {
        Done {
            matched: self.matched.load(Relaxed),
            chosen: self.chosen.load(Relaxed),
            delayed: self.delayed.load(Relaxed),
            delay: Duration::from_micros(self.delay_micros.load(Relaxed)),
            aborted: self.aborted.load(Relaxed),
            changed: self.changed.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Matches;

    fn slow(name: &str, millis: u64) -> Rule {
        Rule::new(name, Matches::everything()).delay(Duration::from_millis(millis), Duration::ZERO)
    }

    fn names(rules: &Rules) -> Vec<String> {
        rules.list().iter().map(|(rule, _)| rule.name().to_owned()).collect()
    }

    #[test]
    fn a_rule_keeps_its_place_and_one_that_is_the_same_goes_on_undisturbed() {
        let rules = Rules::new(1);
        rules.set(vec![slow("a", 1), slow("b", 1), slow("c", 1)]);
        let before = rules.now();
        rules.put(slow("b", 2));
        rules.put(slow("c", 1));
        let after = rules.now();
        assert_eq!(names(&rules), ["a", "b", "c"]);
        let goes_on: Vec<bool> = before.iter().map(|live| live.is_among(&after)).collect();
        assert_eq!(goes_on, [true, false, true]);
        rules.set(vec![slow("c", 1), slow("a", 7), slow("a", 8)]);
        assert_eq!(names(&rules), ["c", "a"]);
        assert!(before[2].is_among(&rules.now()) && !before[0].is_among(&rules.now()));
        assert!(rules.remove("a") && !rules.remove("a"));
        rules.clear();
        assert_eq!(names(&rules), Vec::<String>::new());
    }

    #[test]
    fn the_same_seed_chooses_the_same_exchanges_and_the_percentage_of_them() {
        let chosen = |seed: u64, others: usize| -> Vec<bool> {
            let rules = Rules::new(seed);
            (0..others).for_each(|number| rules.put(slow(&number.to_string(), 1)));
            rules.put(slow("a", 1).percentage(25.0));
            let list = rules.now();
            (0..1000).map(|_| list[others].choose()).collect()
        };
        assert_eq!(chosen(7, 0), chosen(7, 3));
        assert_ne!(chosen(7, 0), chosen(8, 0));
        let hits = chosen(7, 0).into_iter().filter(|chosen| *chosen).count();
        // Four standard deviations of a binomial distribution (13.7 each) around 250.
        assert!((195..=305).contains(&hits), "{hits}");
    }

    #[test]
    fn none_and_all_are_exact() {
        let rules = Rules::new(3);
        rules.set(vec![slow("none", 1).percentage(0.0), slow("all", 1).percentage(100.0)]);
        let list = rules.now();
        (0..1000).for_each(|_| assert!(!list[0].choose() && list[1].choose()));
        let done: Vec<_> = rules.list().into_iter().map(|(_, done)| (done.matched, done.chosen)).collect();
        assert_eq!(done, [(1000, 0), (1000, 1000)]);
    }
}
