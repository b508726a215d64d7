//! The course of a link's connections: the fronts through which they go on their way to its target, and which there are.
//!
//! ```text
//!   client ──▶ link ──▶ the front that came last ──▶ ... ──▶ the first ──▶ target
//! ```
//!
//! Whoever adds a front decides what becomes of connections that went without it: they go on so, or are ended.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::Moment;
use tokio::sync::watch;

use crate::{carry::Clock, statistics::Way};

/// Which way a link's connections go. Clones are the same; one outlives the link, and then leads nobody.
#[derive(Debug, Clone)]
pub struct Course(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: SocketAddr,
    target: SocketAddr,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where fronts listen, and whether new connections are led there; the last is met first.
    fronts: Vec<(SocketAddr, bool)>,
    passing: BTreeMap<u64, Passing>,
    next: u64,
}

impl Course {
    pub(crate) fn new(link: SocketAddr, target: SocketAddr, clock: Clock) -> Self {
        Self(Arc::new(Inner { link, target, clock, state: Mutex::default() }))
    }

    /// Where the link listens.
    #[must_use]
    pub fn link(&self) -> SocketAddr {
        self.0.link
    }

    /// Where the link leads in the end.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.0.target
    }

    /// From now on new connections go through the front that listens there, before those that they went through so far.
    #[must_use]
    pub fn lead_through(&self, front: SocketAddr) -> Detour {
        self.state().fronts.push((front, true));
        Detour { course: self.clone(), front }
    }

    /// Where what has come to a front goes on to: to the front before which it was put, or to the target.
    #[must_use]
    pub fn after(&self, front: SocketAddr) -> SocketAddr {
        let state = self.state();
        let before = state.fronts.iter().take_while(|(other, _)| *other != front);
        before.filter(|(_, open)| *open).last().map_or(self.0.target, |(next, _)| *next)
    }

    /// The connections that there are.
    #[must_use]
    pub fn passing(&self) -> Vec<Passing> {
        self.state().passing.values().filter(|one| !one.lock().ended).cloned().collect()
    }

    /// A client has come: says where it is led, which is on record from this moment on.
    pub(crate) fn begin(&self, client: SocketAddr) -> Entry {
        let mut state = self.state();
        let first = state.fronts.iter().rfind(|(_, open)| *open).map_or(self.0.target, |(front, _)| *front);
        let passing = Passing(Arc::new(Connection {
            client,
            first,
            clock: self.0.clock,
            talk: Mutex::new(Talk { under_way: 0, last: Way::Backward, at: self.0.clock.now(), ended: false }),
            told: watch::Sender::new(None),
        }));
        let number = state.next;
        state.next += 1;
        state.passing.insert(number, passing.clone());
        Entry { course: self.clone(), number, passing }
    }

    /// Whether new connections are led there.
    pub(crate) fn leads_to(&self, first: SocketAddr) -> bool {
        first == self.0.target || self.state().fronts.contains(&(first, true))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

/// A front in the course of a link's connections. When it is dropped, nothing is left of it there.
#[derive(Debug)]
pub struct Detour {
    course: Course,
    front: SocketAddr,
}

impl Detour {
    /// From now on new connections go without it; those that there are go on through it.
    pub fn close(&self) {
        let mut state = self.course.state();
        state.fronts.iter_mut().filter(|(front, _)| *front == self.front).for_each(|(_, open)| *open = false);
    }

    /// The connections that go through it, and those that do not.
    #[must_use]
    pub fn passing(&self) -> (Vec<Passing>, Vec<Passing>) {
        let all = self.course.passing();
        let fronts: Vec<SocketAddr> = self.course.state().fronts.iter().map(|(front, _)| *front).collect();
        // Who is led to one that came later comes to it as well.
        let from_here = fronts.iter().position(|front| *front == self.front).unwrap_or(fronts.len());
        all.into_iter().partition(|one| fronts[from_here..].contains(&one.first()))
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.course.state().fronts.retain(|(front, _)| *front != self.front);
    }
}

/// A connection that a link carries. Clones are the same.
#[derive(Debug, Clone)]
pub struct Passing(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    client: SocketAddr,
    first: SocketAddr,
    clock: Clock,
    talk: Mutex<Talk>,
    told: watch::Sender<Option<End>>,
}

/// What is said on a connection.
#[derive(Debug, Clone, Copy)]
struct Talk {
    /// Parcels that have come and have not left.
    under_way: usize,
    /// Which way the last went.
    last: Way,
    at: Moment,
    ended: bool,
}

/// How a connection is ended on order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    InOrder,
    Abruptly,
}

impl Passing {
    /// Who has opened it.
    #[must_use]
    pub fn client(&self) -> SocketAddr {
        self.0.client
    }

    /// Where it was led first: to a front, or to the target.
    #[must_use]
    pub fn first(&self) -> SocketAddr {
        self.0.first
    }

    /// Ends it, in order, if it rests: nothing is under way on it, the last word was one of the target's or there was none
    /// yet, and nothing has been said for this long. Says whether it does.
    #[must_use]
    pub fn end_at_rest(&self, quiet: Duration) -> bool {
        let mut talk = self.lock();
        let rests = talk.under_way == 0 && talk.last == Way::Backward && self.0.clock.now().since(talk.at) >= quiet;
        if rests && !talk.ended {
            talk.ended = true;
            self.0.told.send_replace(Some(End::InOrder));
        }
        rests
    }

    /// Breaks it off.
    pub fn break_off(&self) {
        self.lock().ended = true;
        self.0.told.send_replace(Some(End::Abruptly));
    }

    /// Something has come.
    pub(crate) fn heard(&self) {
        self.lock().under_way += 1;
    }

    /// What has come has gone on.
    pub(crate) fn said(&self, way: Way, at: Moment) {
        let mut talk = self.lock();
        *talk = Talk { under_way: talk.under_way - 1, last: way, at, ended: talk.ended };
    }

    /// Waits until it is to end.
    pub(crate) async fn told(&self) -> End {
        let mut told = self.0.told.subscribe();
        let told = told.wait_for(Option::is_some).await.ok().and_then(|told| *told);
        // Who could tell is this very connection, and so is not gone.
        told.unwrap_or(End::Abruptly)
    }

    fn lock(&self) -> MutexGuard<'_, Talk> {
        lock(&self.0.talk)
    }
}

/// A connection on record, until this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    course: Course,
    number: u64,
    pub(crate) passing: Passing,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.course.state().passing.remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn course() -> Course {
        Course::new(at(1), at(2), Clock::start())
    }

    fn ports(passing: &[Passing]) -> Vec<u16> {
        passing.iter().map(|one| one.client().port()).collect()
    }

    #[test]
    fn the_front_that_came_last_is_met_first_and_each_leads_to_the_one_before() {
        let course = course();
        assert_eq!((course.begin(at(9)).passing.first(), course.after(at(10))), (at(2), at(2)));
        let first = course.lead_through(at(10));
        let second = course.lead_through(at(11));
        assert_eq!(course.begin(at(9)).passing.first(), at(11));
        assert_eq!((course.after(at(11)), course.after(at(10))), (at(10), at(2)));
        first.close();
        assert_eq!((course.after(at(11)), course.after(at(10))), (at(2), at(2)));
        assert!(!course.leads_to(at(10)) && course.leads_to(at(11)) && course.leads_to(at(2)));
        drop(second);
        assert_eq!(course.begin(at(9)).passing.first(), at(2));
    }

    #[test]
    fn connections_go_through_a_front_if_they_were_led_there_or_to_one_that_came_later() {
        let course = course();
        let _before = course.begin(at(20));
        let first = course.lead_through(at(10));
        let _meanwhile = course.begin(at(21));
        let second = course.lead_through(at(11));
        let after = course.begin(at(22));
        let through = |detour: &Detour| {
            let (through, others) = detour.passing();
            (ports(&through), ports(&others))
        };
        assert_eq!(through(&first), (vec![21, 22], vec![20]));
        assert_eq!(through(&second), (vec![22], vec![20, 21]));
        drop(after);
        assert_eq!(ports(&course.passing()), [20, 21]);
    }

    #[test]
    fn a_connection_rests_when_the_last_word_was_the_targets() {
        let course = course();
        let entry = course.begin(at(20));
        let one = &entry.passing;
        assert!(!one.end_at_rest(Duration::from_secs(3600)), "it was opened just now");
        one.heard();
        assert!(!one.end_at_rest(Duration::ZERO), "a request is under way");
        one.said(Way::Forward, Moment::ZERO);
        assert!(!one.end_at_rest(Duration::ZERO), "it waits for its answer");
        one.heard();
        one.said(Way::Backward, Moment::ZERO);
        assert_eq!(ports(&course.passing()), [20]);
        assert!(one.end_at_rest(Duration::ZERO));
        assert!(course.passing().is_empty(), "it is as good as gone");
    }
}
