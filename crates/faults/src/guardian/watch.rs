//! What a guardian decides: whether the runner is at work, and what is done when it is not.
//!
//! Pure: an event and the time in, at most one act out. The guardian's process is around it ([`main`](super::main)), and a model
//! checker drives the same code through every interleaving of deaths and hangs (`tests/model`).
//!
//! ```text
//!            leases come and go                    it has died
//!   watching ──────────────────▶ watching     killed ─────────▶ undoing
//!      │  a lease ran out or an end is past, and  ▲   or it does not die
//!      │  a grace later nothing is new: Kill      │   in time: Undo
//!      ├──────────────────────────────────────────┤
//!      │  its end of the socket closed: Kill      │
//!      ├──────────────────────────────────────────┘
//!      │  it has died: Undo ───▶ undoing
//!      └  it says farewell: End
//! ```
//!
//! Two things end an injection: its lease, which the runner renews, and its configured end, which nothing moves but the beginning of
//! its undo. The runner is not told that an end is past before it is killed for it: it has the same clock and a watchdog of its own
//! that undoes what is due, so that one whose faults outlive their end by the grace has lost that too, and would not listen.

use std::{collections::BTreeMap, time::Duration};

use crate::grant::Grant;

/// What happens to a guardian.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The injections with these tokens may live until then: ordered, in effect, or being undone.
    Leased(Vec<(u64, Grant)>),
    /// The leases of these last until then (since boot). The ends of those injections stay where they are.
    Renewed(Vec<(u64, Duration)>),
    /// These are the guardian's business no more: they are undone, or on record as what cannot be.
    Released(Vec<u64>),
    /// The runner goes, and has nothing left to undo.
    Farewell,
    /// The runner's end of the socket is closed without a farewell.
    HungUp,
    /// The runner's process has ended.
    Died,
    /// Time has passed.
    Tick,
}

/// What the guardian does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// End the runner, so that nobody injects or undoes beside the guardian.
    Kill(Why),
    /// Undo all that is on record.
    Undo,
    /// Go.
    End,
}

/// Why a runner is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It has closed its end of the socket; most probably it is dying.
    HungUp,
    /// A lease ran out, and nothing was heard of it since.
    Overdue,
    /// It goes on renewing what should have ended, and does not undo it.
    Overtime,
}

/// The state of a guardian.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    leases: BTreeMap<u64, Lease>,
    runner: Runner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Lease {
    grant: Grant,
    /// When the guardian saw that it was due.
    overdue: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Runner {
    #[default]
    AtWork,
    /// The signal is sent, at this time.
    Killed(Duration),
    /// It does nothing any more.
    Over,
}

/// How long the runner has to say something about a lease that ran out, from when the guardian sees it: undoing begins within
/// milliseconds, and a busy machine lets a process wait for a second. Counted from the look and not from the lease's end,
/// because a machine that was suspended wakes up with all leases run out, and its runner shall have its turn.
pub const GRACE: Duration = Duration::from_secs(3);

/// How long a killed runner may take to be dead. In an uninterruptible call it may take for ever, but will never again come to
/// do something of its own; then there is no reason to wait.
pub const DEATH: Duration = Duration::from_secs(10);

impl Watch {
    /// Takes note of what happened, and says what is to be done.
    pub fn step(&mut self, event: Event, now: Duration) -> Option<Effect> {
        match (self.runner, event) {
            (Runner::Over, _) => None,
            (_, Event::Died) => self.over(Effect::Undo),
            (Runner::AtWork, Event::Farewell) => self.over(Effect::End),
            (Runner::AtWork, Event::HungUp) => self.kill(Why::HungUp, now),
            (Runner::AtWork, event) => {
                self.note(event, now);
                self.overdue(now).and_then(|why| self.kill(why, now))
            }
            (Runner::Killed(since), _) if since + DEATH <= now => self.over(Effect::Undo),
            // What it said before it died does not matter: the journal says it, too.
            (Runner::Killed(_), _) => None,
        }
    }

    /// When the next [`Tick`](Event::Tick) is due, if nothing else happens. `None`: never.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        match self.runner {
            Runner::AtWork => self
                .leases
                .values()
                .map(|lease| lease.overdue.map_or_else(|| lease.grant.due(), |seen| seen + GRACE))
                .min(),
            Runner::Killed(since) => Some(since + DEATH),
            Runner::Over => None,
        }
    }

    fn note(&mut self, event: Event, now: Duration) {
        match event {
            Event::Leased(leases) => {
                let lease = |(token, grant)| (token, Lease { grant, overdue: None });
                self.leases.extend(leases.into_iter().map(lease));
            }
            Event::Renewed(leases) => {
                for (token, until) in leases {
                    // What is not known any more is released, and this was said before.
                    let Some(lease) = self.leases.get_mut(&token) else { continue };
                    lease.grant.until = until;
                    lease.overdue = lease.overdue.filter(|_| lease.grant.due() <= now);
                }
            }
            Event::Released(tokens) => self.leases.retain(|token, _| !tokens.contains(token)),
            Event::Farewell | Event::HungUp | Event::Died | Event::Tick => {}
        }
    }

    /// Why the runner is to be ended, if something was due a whole grace ago; takes note of what has become due now.
    fn overdue(&mut self, now: Duration) -> Option<Why> {
        let mut why = None;
        for lease in self.leases.values_mut().filter(|lease| lease.grant.due() <= now) {
            if *lease.overdue.get_or_insert(now) + GRACE <= now {
                why = Some(if lease.grant.until <= now { Why::Overdue } else { Why::Overtime });
            }
        }
        why
    }

    fn kill(&mut self, why: Why, now: Duration) -> Option<Effect> {
        self.runner = Runner::Killed(now);
        Some(Effect::Kill(why))
    }

    fn over(&mut self, effect: Effect) -> Option<Effect> {
        self.runner = Runner::Over;
        Some(effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::OVERTIME;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn leased(until: u64) -> Event {
        Event::Leased(vec![(1, Grant { until: at(until), end: None })])
    }

    fn renewed(until: u64) -> Event {
        Event::Renewed(vec![(1, at(until))])
    }

    #[test]
    fn a_runner_that_renews_or_lets_go_is_left_alone() {
        let mut watch = Watch::default();
        assert_eq!(watch.wake(), None);
        watch.step(leased(1500), at(0));
        for turn in 0..20 {
            assert_eq!(watch.step(renewed(turn * 1000 + 1500), at(turn * 1000)), None);
            assert_eq!(watch.wake(), Some(at(turn * 1000 + 1500)));
        }
        assert_eq!(watch.step(Event::Released(vec![1]), at(20_400)), None);
        assert_eq!(watch.wake(), None);
        assert_eq!(watch.step(Event::Tick, at(999_999)), None);
        assert_eq!(watch.step(Event::Farewell, at(999_999)), Some(Effect::End));
    }

    #[test]
    fn a_runner_that_hangs_is_killed_after_the_grace_and_then_all_is_undone() {
        let mut watch = Watch::default();
        watch.step(leased(1000), at(0));
        assert_eq!(watch.step(Event::Tick, at(1000)), None);
        assert_eq!(watch.wake(), Some(at(1000) + GRACE));
        assert_eq!(watch.step(Event::Tick, at(1000) + GRACE), Some(Effect::Kill(Why::Overdue)));
        assert_eq!(watch.step(Event::HungUp, at(4001)), None);
        assert_eq!(watch.step(Event::Died, at(4002)), Some(Effect::Undo));
        assert_eq!(watch.wake(), None);
    }

    #[test]
    fn after_a_suspension_the_runner_has_its_turn_first() {
        let mut watch = Watch::default();
        watch.step(leased(1000), at(0));
        let morning = at(8 * 3_600_000);
        assert_eq!(watch.step(Event::Tick, morning), None);
        assert_eq!(watch.step(Event::Released(vec![1]), morning + at(10)), None);
        assert_eq!(watch.step(Event::Tick, morning + GRACE), None);
    }

    #[test]
    fn a_renewal_that_was_waiting_counts_though_the_guardian_comes_late() {
        let mut watch = Watch::default();
        watch.step(leased(1000), at(0));
        watch.step(Event::Tick, at(1000));
        assert_eq!(watch.step(renewed(60_000), at(20_000)), None);
        assert_eq!(watch.step(Event::Tick, at(20_001)), None);
    }

    #[test]
    fn a_runner_that_renews_but_does_not_undo_is_killed_when_the_end_is_past() {
        let mut watch = Watch::default();
        let end = at(5000);
        watch.step(Event::Leased(vec![(1, Grant { until: at(1500), end: Some(end) })]), at(0));
        let due = end + OVERTIME;
        let mut now = at(0);
        let killed = loop {
            now += at(500);
            let effect = watch.step(Event::Renewed(vec![(1, now + at(1500))]), now);
            assert!(watch.wake().is_some_and(|wake| effect.is_some() || wake > now), "it is not woken for nothing");
            if effect.is_some() {
                break effect;
            }
        };
        assert_eq!((killed, now), (Some(Effect::Kill(Why::Overtime)), due + GRACE));
        assert_eq!(watch.step(Event::Died, now), Some(Effect::Undo));
    }

    #[test]
    fn what_is_being_undone_when_its_end_comes_has_the_time_that_an_undo_takes() {
        let mut watch = Watch::default();
        watch.step(Event::Leased(vec![(1, Grant { until: at(90_000), end: Some(at(5000)) })]), at(0));
        let undoing = Grant { until: at(45_000), end: None };
        assert_eq!(watch.step(Event::Leased(vec![(1, undoing)]), at(15_000)), None);
        assert_eq!(watch.step(Event::Tick, at(44_999)), None);
        assert_eq!(watch.step(Event::Released(vec![1]), at(45_001)), None);
        assert_eq!(watch.wake(), None);
    }

    #[test]
    fn a_renewal_of_what_is_released_brings_nothing_back() {
        let mut watch = Watch::default();
        watch.step(leased(1000), at(0));
        watch.step(Event::Released(vec![1]), at(10));
        watch.step(renewed(2000), at(20));
        assert_eq!(watch.wake(), None);
    }

    #[test]
    fn a_runner_that_cannot_die_is_not_waited_for_for_ever() {
        let mut watch = Watch::default();
        assert_eq!(watch.step(Event::HungUp, at(0)), Some(Effect::Kill(Why::HungUp)));
        assert_eq!(watch.step(Event::Tick, at(100)), None);
        assert_eq!(watch.wake(), Some(DEATH));
        assert_eq!(watch.step(Event::Tick, DEATH), Some(Effect::Undo));
        assert_eq!(watch.step(Event::Died, DEATH + at(1)), None);
    }

    #[test]
    fn whatever_happens_a_runner_that_died_is_cleaned_up_after_once() {
        for before in [leased(1000), Event::Released(vec![1]), Event::HungUp, Event::Tick] {
            let mut watch = Watch::default();
            watch.step(before, at(0));
            assert_eq!(watch.step(Event::Died, at(1)), Some(Effect::Undo));
            assert_eq!(watch.step(Event::Died, at(2)), None);
        }
    }
}
