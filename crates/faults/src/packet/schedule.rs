//! What happens to each packet, and when: decided without a clock or a socket.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

use super::{
    bucket::{Bucket, Rate},
    chance::{Chance, Lots},
    delay::Delay,
    loss::{Link, Loss},
};

/// How a link is made worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Impairment {
    /// What happens to packets.
    pub(crate) effect: Effect,
    /// The share of flows that this concerns, from 0 to 1; the others pass.
    pub(crate) flows: f64,
    /// Where the random numbers start.
    pub(crate) seed: u64,
}

/// What happens to packets: one thing per fault; several faults on one link each have an engine of their own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Effect {
    /// They take longer.
    Delay(Delay),
    /// Some are lost.
    Lose(Loss),
    /// Some have one bit flipped.
    Corrupt(Chance),
    /// Some come twice.
    Duplicate(Chance),
    /// Some overtake the others.
    Reorder(Reorder),
    /// They share a slow link.
    Limit(Rate),
}

/// Packets that overtake others: these are delayed, those are not. As netem's `delay TIME reorder SHARE gap N`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reorder {
    /// Of the packets that may, which do.
    pub(crate) chance: Chance,
    /// After one that did, this many less one may not.
    pub(crate) gap: u32,
    /// How long the others wait.
    pub(crate) delay: Duration,
}

impl Reorder {
    /// The share of packets that overtake, in the long run: one per `gap - 1` that may not and those that could.
    pub(crate) fn share(&self) -> f64 {
        1.0 / (f64::from(self.gap.max(1) - 1) + 1.0 / self.chance.share)
    }
}

/// A packet that arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Its number in its queue.
    pub(crate) id: u32,
    /// Its flow's [place](super::flow::Flow::place).
    pub(crate) place: f64,
    /// Its length in bytes.
    pub(crate) length: u32,
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
    /// It goes on at once with this bit flipped: counted from the end of the network header, modulo what there is.
    Damage(u32),
    /// It goes on at once, and a copy of it too.
    Double,
}

/// A point in time: nanoseconds on the monotonic clock.
pub(crate) type Nanos = u64;

/// The packets that wait, and how many went which way.
#[derive(Debug)]
pub(crate) struct Schedule {
    flows: f64,
    state: State,
    random: SmallRng,
    /// Earliest first; of those due at the same time, the one that came first.
    waiting: BinaryHeap<Reverse<(Nanos, u64, u32, u32)>>,
    arrived: u64,
    /// How many packets went which way.
    pub(crate) counts: Counts,
}

/// An effect under way.
#[derive(Debug)]
enum State {
    Delay(Delay, Lots),
    Lose(Link),
    Corrupt(f64, Lots),
    Duplicate(f64, Lots),
    /// With the number of packets since the last that overtook.
    Reorder(Reorder, Lots, u32),
    Limit(Bucket),
}

/// How many packets went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Went on at once as they were.
    pub(crate) passed: u64,
    /// Were lost.
    pub(crate) dropped: u64,
    /// Were held for their time.
    pub(crate) held: u64,
    /// Went on with a bit flipped.
    pub(crate) damaged: u64,
    /// Went on twice.
    pub(crate) doubled: u64,
}

impl Counts {
    /// These and those.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            dropped: self.dropped + other.dropped,
            held: self.held + other.held,
            damaged: self.damaged + other.damaged,
            doubled: self.doubled + other.doubled,
        }
    }

    const fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Pass => &mut self.passed,
            Fate::Drop => &mut self.dropped,
            Fate::Hold => &mut self.held,
            Fate::Damage(_) => &mut self.damaged,
            Fate::Double => &mut self.doubled,
        } += 1;
    }
}

/// A packet whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its number in its queue.
    pub(crate) id: u32,
    /// When its time came.
    pub(crate) at: Nanos,
    /// Its length in bytes.
    pub(crate) length: u32,
}

impl Schedule {
    pub(crate) fn new(impairment: Impairment) -> Self {
        let state = match impairment.effect {
            Effect::Delay(delay) => State::Delay(delay, Lots::new(delay.correlation)),
            Effect::Lose(loss) => State::Lose(Link::new(loss)),
            Effect::Corrupt(chance) => State::Corrupt(chance.share, Lots::new(chance.correlation)),
            Effect::Duplicate(chance) => State::Duplicate(chance.share, Lots::new(chance.correlation)),
            Effect::Reorder(reorder) => State::Reorder(reorder, Lots::new(reorder.chance.correlation), 0),
            Effect::Limit(rate) => State::Limit(Bucket::new(rate)),
        };
        Self {
            flows: impairment.flows,
            state,
            random: SmallRng::seed_from_u64(impairment.seed),
            waiting: BinaryHeap::new(),
            arrived: 0,
            counts: Counts::default(),
        }
    }

    /// A packet has arrived.
    pub(crate) fn arrive(&mut self, packet: Arrival, now: Nanos) -> Fate {
        let fate = if packet.place < self.flows { self.decide(packet, now) } else { Fate::Pass };
        self.counts.count(fate);
        fate
    }

    fn decide(&mut self, packet: Arrival, now: Nanos) -> Fate {
        let random = &mut self.random;
        let wait = match &mut self.state {
            State::Delay(delay, lots) => delay.draw(lots, random),
            State::Lose(link) => return if link.loses(random) { Fate::Drop } else { Fate::Pass },
            State::Corrupt(share, lots) => {
                let hit = lots.draw(random) < *share;
                return if hit { Fate::Damage(rand::Rng::random(random)) } else { Fate::Pass };
            }
            State::Duplicate(share, lots) => {
                return if lots.draw(random) < *share { Fate::Double } else { Fate::Pass };
            }
            State::Reorder(reorder, lots, since) => {
                let may = *since + 1 >= reorder.gap;
                if may && lots.draw(random) < reorder.chance.share {
                    *since = 0;
                    return Fate::Pass;
                }
                *since = since.saturating_add(1);
                Nanos::try_from(reorder.delay.as_nanos()).unwrap_or(Nanos::MAX / 4)
            }
            State::Limit(bucket) => match bucket.pass(packet.length, now) {
                Some(goes) => goes - now,
                None => return Fate::Drop,
            },
        };
        if wait == 0 {
            return Fate::Pass;
        }
        self.arrived += 1;
        self.waiting.push(Reverse((now.saturating_add(wait), self.arrived, packet.id, packet.length)));
        Fate::Hold
    }

    /// When the next packet is due.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.waiting.peek().map(|Reverse((due, ..))| *due)
    }

    /// Takes the next packet that is due by now.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.release()
    }

    /// Takes the next packet, due or not: the fault ends.
    pub(crate) fn release(&mut self) -> Option<Due> {
        self.waiting.pop().map(|Reverse((at, _, id, length))| Due { id, at, length })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::delay::Distribution, *};

    fn packet(id: u32, place: f64) -> Arrival {
        Arrival { id, place, length: 100 }
    }

    fn all(effect: Effect) -> Schedule {
        Schedule::new(Impairment { effect, flows: 1.0, seed: 7 })
    }

    fn chance() -> impl Strategy<Value = Chance> {
        (0.0f64..=1.0, 0.0f64..0.95).prop_map(|(share, correlation)| Chance { share, correlation })
    }

    fn effect() -> impl Strategy<Value = Effect> {
        let distribution =
            prop_oneof![Just(Distribution::Uniform), Just(Distribution::Normal), Just(Distribution::Pareto)];
        let delay = (0u64..1_000_000, 0u64..1_000_000, distribution, 0.0f64..0.95);
        let loss = (0.0f64..=1.0, 0.0f64..=1.0, 0.0f64..=1.0, 0.0f64..=1.0);
        prop_oneof![
            delay.prop_map(|(base, jitter, distribution, correlation)| {
                let (base, jitter) = (Duration::from_nanos(base), Duration::from_nanos(jitter));
                Effect::Delay(Delay { base, jitter, distribution, correlation })
            }),
            loss.prop_map(|(to_bad, to_good, when_bad, when_good)| {
                Effect::Lose(Loss { to_bad, to_good, when_bad, when_good })
            }),
            chance().prop_map(Effect::Corrupt),
            chance().prop_map(Effect::Duplicate),
            (chance(), 1u32..5, 0u64..1_000_000).prop_map(|(chance, gap, delay)| {
                Effect::Reorder(Reorder { chance, gap, delay: Duration::from_nanos(delay) })
            }),
            (1u64..1_000_000_000, 0u64..10_000, 0u64..10_000).prop_map(
                |(bits_per_second, burst_bytes, queue_bytes)| {
                    Effect::Limit(Rate { bits_per_second, burst_bytes, queue_bytes })
                }
            ),
        ]
    }

    fn impairment() -> impl Strategy<Value = Impairment> {
        (effect(), 0.0f64..=1.0, any::<u64>()).prop_map(|(effect, flows, seed)| Impairment { effect, flows, seed })
    }

    fn arrivals() -> impl Strategy<Value = Vec<(u64, f64)>> {
        proptest::collection::vec((0u64..10_000_000, 0.0f64..1.0), 0..200).prop_map(|mut all| {
            all.sort_by_key(|(at, _)| *at);
            all
        })
    }

    #[test]
    fn a_constant_delay_keeps_the_order_and_is_exact() {
        let mut schedule = all(Effect::Delay(Delay::constant(Duration::from_millis(100))));
        for id in 0..10 {
            assert_eq!(schedule.arrive(packet(id, 0.5), u64::from(id)), Fate::Hold);
        }
        assert_eq!(schedule.due(99_999_999), None);
        for id in 0..10 {
            assert_eq!(schedule.due(100_000_009), Some(Due { id, at: 100_000_000 + u64::from(id), length: 100 }));
        }
        assert_eq!(schedule.due(u64::MAX), None);
    }

    #[test]
    fn hits_are_the_share_that_was_asked_for() {
        let chance = Chance { share: 0.07, correlation: 0.0 };
        for effect in [Effect::Lose(Loss::random(0.07, 0.0)), Effect::Corrupt(chance), Effect::Duplicate(chance)] {
            let mut schedule = all(effect);
            for id in 0..100_000 {
                schedule.arrive(packet(id, 0.0), 0);
            }
            let Counts { passed, held, .. } = schedule.counts;
            // Binomial with n = 100,000, p = 0.07: a standard deviation is 81.
            assert!((92_600..93_400).contains(&passed), "{:?}", schedule.counts);
            assert_eq!(held, 0);
        }
    }

    #[test]
    fn of_reordered_packets_the_share_overtakes_and_never_within_the_gap() {
        for (gap, share) in [(1, 0.25), (5, 0.25), (3, 1.0)] {
            let chance = Chance { share, correlation: 0.0 };
            let reorder = Reorder { chance, gap, delay: Duration::from_millis(10) };
            let mut schedule = all(Effect::Reorder(reorder));
            let fates: Vec<_> = (0..100_000).map(|id| schedule.arrive(packet(id, 0.0), 0)).collect();
            let overtook: Vec<_> =
                (0u32..).zip(&fates).filter(|(_, fate)| **fate == Fate::Pass).map(|(at, _)| at).collect();
            assert!(overtook.windows(2).all(|pair| pair[1] - pair[0] >= gap));
            let part = overtook.len() as f64 / 1e5;
            assert!((part - reorder.share()).abs() < 0.006, "{part} {}", reorder.share());
        }
    }

    proptest! {
        #[test]
        fn every_packet_has_exactly_one_fate(impairment in impairment(), arrivals in arrivals()) {
            let mut schedule = Schedule::new(impairment);
            let mut held = std::collections::BTreeMap::new();
            for (id, (at, place)) in (0u32..).zip(&arrivals) {
                if schedule.arrive(packet(id, *place), *at) == Fate::Hold {
                    held.insert(id, *at);
                }
            }
            let Counts { passed, dropped, held: waiting, damaged, doubled } = schedule.counts;
            prop_assert_eq!(waiting, held.len() as u64);
            prop_assert_eq!(passed + dropped + waiting + damaged + doubled, arrivals.len() as u64);
            let mut last = 0;
            while let Some(Due { id, at, .. }) = schedule.due(u64::MAX) {
                let arrived = held.remove(&id).expect("held, and released once");
                let wait = Duration::from_nanos(at - arrived);
                let longest = match impairment.effect {
                    Effect::Delay(delay) => delay.base + delay.jitter * 4,
                    Effect::Reorder(reorder) => reorder.delay,
                    Effect::Limit(rate) => Duration::from_nanos(rate.time_of(rate.queue_bytes)),
                    _ => Duration::ZERO,
                };
                prop_assert!(wait <= longest);
                prop_assert!(at >= last, "in order of time");
                last = at;
            }
            prop_assert!(held.is_empty());
        }

        #[test]
        fn nothing_leaves_before_its_time(impairment in impairment(), arrivals in arrivals(), now in 0u64..20_000_000) {
            let mut schedule = Schedule::new(impairment);
            for (id, (at, place)) in (0u32..).zip(&arrivals) {
                schedule.arrive(packet(id, *place), *at);
            }
            while let Some(due) = schedule.due(now) {
                prop_assert!(due.at <= now);
            }
            prop_assert!(schedule.next().is_none_or(|next| next > now));
        }

        #[test]
        fn flows_that_are_not_concerned_pass(impairment in impairment(), place in 0.0f64..1.0) {
            let mut schedule = Schedule::new(impairment);
            let fate = schedule.arrive(packet(1, place), 0);
            prop_assert!(place < impairment.flows || fate == Fate::Pass);
        }

        #[test]
        fn the_same_seed_gives_the_same_run(impairment in impairment(), arrivals in arrivals()) {
            let run = || {
                let mut schedule = Schedule::new(impairment);
                let fates: Vec<_> =
                    arrivals.iter().map(|(at, place)| schedule.arrive(packet(0, *place), *at)).collect();
                (fates, schedule.next())
            };
            prop_assert_eq!(run(), run());
        }
    }
}
