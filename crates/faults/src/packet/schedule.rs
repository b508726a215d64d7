//! What happens to each packet, and when: decided without a clock or a socket.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

/// How a link is made worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Impairment {
    /// How much longer packets take.
    pub(crate) delay: Duration,
    /// By how much that varies, both ways, evenly spread. Packets overtake each other then, as with netem.
    pub(crate) jitter: Duration,
    /// The share of packets that are lost, from 0 to 1.
    pub(crate) loss: f64,
    /// The share of flows that this concerns, from 0 to 1; the others pass.
    pub(crate) flows: f64,
    /// Where the random numbers start.
    pub(crate) seed: u64,
}

/// What becomes of a packet when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on at once.
    Pass,
    /// It is lost.
    Drop,
    /// It waits, until [`Schedule::due`] says it.
    Hold,
}

/// A point in time: nanoseconds on the monotonic clock.
pub(crate) type Nanos = u64;

/// The packets that wait, and how many went which way.
#[derive(Debug)]
pub(crate) struct Schedule {
    impairment: Impairment,
    random: SmallRng,
    /// Earliest first; of those due at the same time, the one that came first.
    waiting: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    arrived: u64,
    /// How many packets went which way.
    pub(crate) counts: Counts,
}

/// How many packets went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Went on at once: their flow was not concerned.
    pub(crate) passed: u64,
    /// Were lost.
    pub(crate) dropped: u64,
    /// Were held for their time.
    pub(crate) held: u64,
}

impl Impairment {
    /// A link as it is.
    pub(crate) const fn none(seed: u64) -> Self {
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, loss: 0.0, flows: 1.0, seed }
    }
}

impl Schedule {
    pub(crate) fn new(impairment: Impairment) -> Self {
        Self {
            impairment,
            random: SmallRng::seed_from_u64(impairment.seed),
            waiting: BinaryHeap::new(),
            arrived: 0,
            counts: Counts::default(),
        }
    }

    /// Whether packets of this flow are concerned; `place` is the flow's [place](super::flow::Flow::place).
    pub(crate) fn concerns(&self, place: f64) -> bool {
        place < self.impairment.flows
    }

    /// A packet has arrived, whose flow has this place.
    pub(crate) fn arrive(&mut self, id: u32, place: f64, now: Nanos) -> Fate {
        if !self.concerns(place) {
            self.counts.passed += 1;
            return Fate::Pass;
        }
        if self.impairment.loss > 0.0 && self.random.random::<f64>() < self.impairment.loss {
            self.counts.dropped += 1;
            return Fate::Drop;
        }
        let wait = self.wait();
        if wait == 0 {
            self.counts.passed += 1;
            return Fate::Pass;
        }
        self.arrived += 1;
        self.waiting.push(Reverse((now.saturating_add(wait), self.arrived, id)));
        self.counts.held += 1;
        Fate::Hold
    }

    fn wait(&mut self) -> Nanos {
        let nanos = |time: Duration| Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX / 4);
        let (delay, jitter) = (nanos(self.impairment.delay), nanos(self.impairment.jitter));
        if jitter == 0 {
            return delay;
        }
        // From delay - jitter to delay + jitter; what would have to leave before it came leaves at once.
        (delay + self.random.random_range(0..=2 * jitter)).saturating_sub(jitter)
    }

    /// When the next packet is due.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.waiting.peek().map(|Reverse((due, ..))| *due)
    }

    /// Takes the next packet that is due by now, with the time at which it was.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<(u32, Nanos)> {
        if self.next()? > now {
            return None;
        }
        self.release()
    }

    /// Takes the next packet, due or not: the fault ends.
    pub(crate) fn release(&mut self) -> Option<(u32, Nanos)> {
        self.waiting.pop().map(|Reverse((due, _, id))| (id, due))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn impairment() -> impl Strategy<Value = Impairment> {
        (0u64..1_000_000, 0u64..1_000_000, prop_oneof![Just(0.0), 0.0f64..=1.0], 0.0f64..=1.0, any::<u64>()).prop_map(
            |(delay, jitter, loss, flows, seed)| Impairment {
                delay: Duration::from_nanos(delay),
                jitter: Duration::from_nanos(jitter),
                loss,
                flows,
                seed,
            },
        )
    }

    fn arrivals() -> impl Strategy<Value = Vec<(u64, f64)>> {
        proptest::collection::vec((0u64..10_000_000, 0.0f64..1.0), 0..200).prop_map(|mut all| {
            all.sort_by_key(|(at, _)| *at);
            all
        })
    }

    #[test]
    fn a_constant_delay_keeps_the_order_and_is_exact() {
        let mut schedule = Schedule::new(Impairment { delay: Duration::from_millis(100), ..Impairment::none(1) });
        for id in 0..10 {
            assert_eq!(schedule.arrive(id, 0.5, u64::from(id)), Fate::Hold);
        }
        assert_eq!(schedule.due(99_999_999), None);
        for id in 0..10 {
            assert_eq!(schedule.due(100_000_009), Some((id, 100_000_000 + u64::from(id))));
        }
        assert_eq!(schedule.due(u64::MAX), None);
    }

    #[test]
    fn loss_is_the_share_that_was_asked_for() {
        let mut schedule = Schedule::new(Impairment { loss: 0.07, ..Impairment::none(7) });
        for id in 0..100_000 {
            schedule.arrive(id, 0.0, 0);
        }
        // Binomial with n = 100,000, p = 0.07: a standard deviation is 81.
        assert!((6_600..7_400).contains(&schedule.counts.dropped), "{:?}", schedule.counts);
    }

    proptest! {
        #[test]
        fn every_packet_has_exactly_one_fate(impairment in impairment(), arrivals in arrivals()) {
            let mut schedule = Schedule::new(impairment);
            let mut held = std::collections::BTreeMap::new();
            for (id, (at, place)) in (0u32..).zip(&arrivals) {
                if schedule.arrive(id, *place, *at) == Fate::Hold {
                    held.insert(id, *at);
                }
            }
            let counts = schedule.counts;
            prop_assert_eq!(counts.held, held.len() as u64);
            prop_assert_eq!(counts.passed + counts.dropped + counts.held, arrivals.len() as u64);
            let mut last = 0;
            while let Some((id, due)) = schedule.due(u64::MAX) {
                let arrived = held.remove(&id).expect("held, and released once");
                let wait = due - arrived;
                let wait = Duration::from_nanos(wait);
                let Impairment { delay, jitter, .. } = impairment;
                prop_assert!(wait >= delay.saturating_sub(jitter) && wait <= delay + jitter);
                prop_assert!(due >= last, "in order of time");
                last = due;
            }
            prop_assert!(held.is_empty());
        }

        #[test]
        fn nothing_leaves_before_its_time(impairment in impairment(), arrivals in arrivals(), now in 0u64..20_000_000) {
            let mut schedule = Schedule::new(impairment);
            for (id, (at, place)) in (0u32..).zip(&arrivals) {
                schedule.arrive(id, *place, *at);
            }
            while let Some((_, due)) = schedule.due(now) {
                prop_assert!(due <= now);
            }
            prop_assert!(schedule.next().is_none_or(|next| next > now));
        }

        #[test]
        fn flows_that_are_not_concerned_pass(impairment in impairment(), place in 0.0f64..1.0) {
            let mut schedule = Schedule::new(impairment);
            let fate = schedule.arrive(1, place, 0);
            prop_assert!(place < impairment.flows || fate == Fate::Pass);
        }

        #[test]
        fn the_same_seed_gives_the_same_run(impairment in impairment(), arrivals in arrivals()) {
            let run = || {
                let mut schedule = Schedule::new(impairment);
                let fates: Vec<_> = arrivals.iter().map(|(at, place)| schedule.arrive(0, *place, *at)).collect();
                (fates, schedule.next())
            };
            prop_assert_eq!(run(), run());
        }
    }
}
