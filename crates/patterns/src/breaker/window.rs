//! The calls a closed breaker remembers: counters that threads share without a lock.
//!
//! Each counter carries the generation it belongs to in the same word. A report from an older generation is dropped, and
//! the first report of a newer one begins at zero, in one step with no moment in between. That is exact under any
//! interleaving (`tests/interleavings`): when all reports are in, the counts are those of the calls in the window.

use std::time::Duration;

use crate::{
    clock::{Moment, nanos},
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// What is counted of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Calls.
    pub calls: u32,
    /// Of them, failures.
    pub failures: u32,
    /// Of them, failed or not, slow ones.
    pub slow: u32,
}

/// One call's part in a [`Tally`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// A call that succeeded in time.
const GOOD: Sample = Sample { failed: false, slow: false };

/// Whether `mine` comes before `other`, for generations that begin anew after the last.
const fn older(mine: u16, other: u16) -> bool {
    let ahead = other.wrapping_sub(mine);
    ahead != 0 && ahead < 0x8000
}

/// Failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Streak(AtomicU64);

impl Streak {
    /// Counts a call; the counts with it.
    pub(crate) fn record(&self, generation: u16, sample: Sample) -> Tally {
        let split = |word: u64| (word & u64::from(u32::MAX), low_16(word >> 32));
        let counted = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let (failures, of) = split(word);
            if older(generation, of) {
                return None;
            }
            let before = if of == generation { failures } else { 0 };
            let after = if sample.failed { (before + 1).min(u64::from(u32::MAX)) } else { 0 };
            let next = u64::from(generation) << 32 | after;
            // In good times nobody writes.
            (next != word).then_some(next)
        });
        match counted {
            Ok(before) if split(before).1 == generation && sample.failed => tally_of(split(before).0 + 1),
            Ok(_) => tally_of(u64::from(sample.failed)),
            Err(_) => Tally::default(),
        }
    }

    pub(crate) fn tally(&self, generation: u16) -> Tally {
        let word = self.0.load(Ordering::Acquire);
        tally_of(if low_16(word >> 32) == generation { word & u64::from(u32::MAX) } else { 0 })
    }
}

fn tally_of(failures: u64) -> Tally {
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    Tally { calls: failures, failures, slow: 0 }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
const fn low_16(word: u64) -> u16 {
    word as u16
}

/// The last so many calls: a ring of slots, and the sums over them.
#[derive(Debug)]
pub(crate) struct LastCalls {
    /// Generation above, [`Sample`] below; zero in the lower half is an empty slot.
    slots: Box<[AtomicU32]>,
    /// Where the next call goes. Runs on; the slot is its remainder.
    next: AtomicU64,
    /// Generation, calls, failures, slow calls, 16 bits each.
    sums: AtomicU64,
}

const PRESENT: u32 = 1;
const FAILED: u32 = 2;
const SLOW: u32 = 4;

impl LastCalls {
    pub(crate) fn new(calls: u32) -> Self {
        Self {
            slots: (0..calls.max(1)).map(|_| AtomicU32::new(0)).collect(),
            next: AtomicU64::new(0),
            sums: AtomicU64::new(0),
        }
    }

    /// Counts a call in place of the oldest; the counts with it.
    pub(crate) fn record(&self, generation: u16, sample: Sample) -> Tally {
        if older(generation, low_16(self.sums.load(Ordering::Acquire) >> 48)) {
            return Tally::default();
        }
        if sample == GOOD && self.is_full_of_good(generation) {
            return self.tally(generation);
        }
        let ticket = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len() as u64;
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of slots")]
        let slot = &self.slots[ticket as usize];
        let code = PRESENT | if sample.failed { FAILED } else { 0 } | if sample.slow { SLOW } else { 0 };
        let mine = u32::from(generation) << 16 | code;
        let replaced = slot.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| {
            (!older(generation, low_16(u64::from(old >> 16)))).then_some(mine)
        });
        let Ok(old) = replaced else { return Tally::default() };
        let old = if old >> 16 == u32::from(generation) { old & 0xffff } else { 0 };
        self.add(generation, old, code)
    }

    /// Whether a good call that takes the place of the oldest would change nothing. Then it need not: in good times nobody
    /// writes, and threads do not take the window from one another.
    fn is_full_of_good(&self, generation: u16) -> bool {
        let full = u64::from(generation) << 48 | (self.slots.len() as u64) << 32;
        self.sums.load(Ordering::Acquire) == full
    }

    /// Takes the old call out of the sums and the new one in.
    fn add(&self, generation: u16, old: u32, new: u32) -> Tally {
        let counted = |code: u32, bit: u32| u64::from(code & bit != 0);
        let updated = self.sums.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let of = low_16(word >> 48);
            if older(generation, of) {
                return None;
            }
            let sums = if of == generation { word } else { u64::from(generation) << 48 };
            // A report may be added before the one it replaces was: each field is a number modulo 2¹⁶ until both are in.
            let field = |at: u32, bit: u32| {
                let sum = u64::from(low_16(sums >> at)) + counted(new, bit) + 0x1_0000 - counted(old, bit);
                u64::from(low_16(sum)) << at
            };
            let next = u64::from(generation) << 48 | field(32, PRESENT) | field(16, FAILED) | field(0, SLOW);
            (next != word).then_some(next)
        });
        match updated {
            Ok(_) | Err(_) => self.tally(generation),
        }
    }

    pub(crate) fn tally(&self, generation: u16) -> Tally {
        let word = self.sums.load(Ordering::Acquire);
        if low_16(word >> 48) != generation {
            return Tally::default();
        }
        // While the report that a newer one replaces is still on its way, a sum can be below zero: 2¹⁵ and more are.
        let field = |at: u32| u32::try_from(low_16(word >> at).cast_signed()).unwrap_or(0);
        Tally { calls: field(32), failures: field(16), slow: field(0) }
    }
}

/// Into how many parts a window of time is divided.
const BUCKETS: u64 = 10;

/// The calls of the last while: ten buckets, of which the oldest is used anew.
#[derive(Debug)]
pub(crate) struct LastTime {
    bucket_nanos: u64,
    buckets: Box<[Bucket]>,
    /// When something bad was last counted: while all is well, the sums need not be taken.
    last_bad: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    calls: Counter,
    failures: Counter,
    slow: Counter,
}

impl LastTime {
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            bucket_nanos: (nanos(time) / BUCKETS).max(1),
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
            last_bad: AtomicU64::new(0),
        }
    }

    /// Counts a call at its moment; the counts with it, or none when all was well.
    pub(crate) fn record(&self, generation: u16, now: Moment, sample: Sample) -> Tally {
        let (bucket, epoch) = self.at(now);
        bucket.calls.add(generation, epoch);
        if sample.failed {
            bucket.failures.add(generation, epoch);
        }
        if sample.slow {
            bucket.slow.add(generation, epoch);
        }
        if sample.failed || sample.slow {
            self.last_bad.fetch_max(epoch.saturating_add(1), Ordering::AcqRel);
        } else if epoch >= self.last_bad.load(Ordering::Acquire).saturating_add(BUCKETS) {
            return Tally::default();
        }
        self.tally(generation, now)
    }

    pub(crate) fn tally(&self, generation: u16, now: Moment) -> Tally {
        let newest = self.at(now).1;
        let oldest = newest.saturating_sub(BUCKETS - 1);
        let sum = |of: fn(&Bucket) -> &Counter| {
            (oldest..=newest)
                .map(|epoch| of(self.bucket(epoch)).count(generation, epoch))
                .fold(0_u32, u32::saturating_add)
        };
        Tally { calls: sum(|b| &b.calls), failures: sum(|b| &b.failures), slow: sum(|b| &b.slow) }
    }

    fn at(&self, now: Moment) -> (&Bucket, u64) {
        let epoch = now.as_nanos() / self.bucket_nanos;
        (self.bucket(epoch), epoch)
    }

    fn bucket(&self, epoch: u64) -> &Bucket {
        &self.buckets[(epoch % BUCKETS) as usize]
    }
}

/// A count that belongs to one generation and one epoch: 16 bits of generation, 24 of epoch, 24 of count.
///
/// An epoch is told from the one 2²⁴ later only by being counted over; with the shortest window, whose buckets last a
/// millisecond, that is after four and a half hours in which no call used the bucket.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

const MOST: u64 = (1 << 24) - 1;

impl Counter {
    fn add(&self, generation: u16, epoch: u64) {
        let mine = u64::from(generation) << 48 | (epoch & MOST) << 24;
        // A full counter stays full, and a late report is dropped: both are `Err`, and nothing is left to do.
        _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let of = low_16(word >> 48);
            if word & !MOST == mine {
                return (word & MOST < MOST).then_some(word + 1);
            }
            let other_epoch = (word >> 24) & MOST;
            // A thread that was held up for a whole window must not wipe out what is newer.
            let late = of == generation && (other_epoch.wrapping_sub(epoch) & MOST) < MOST / 2;
            let superseded = older(generation, of) || (late && word & MOST != 0);
            (!superseded).then_some(mine | 1)
        });
    }

    fn count(&self, generation: u16, epoch: u64) -> u32 {
        let word = self.0.load(Ordering::Acquire);
        let mine = u64::from(generation) << 48 | (epoch & MOST) << 24;
        if word & !MOST == mine { u32::try_from(word & MOST).unwrap_or(u32::MAX) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const BAD: Sample = Sample { failed: true, slow: false };

    #[test]
    fn a_success_ends_a_streak() {
        let streak = Streak::default();
        let failures: Vec<u32> =
            [BAD, BAD, GOOD, BAD].into_iter().map(|sample| streak.record(0, sample).failures).collect();
        assert_eq!(failures, [1, 2, 0, 1]);
        assert_eq!(streak.record(1, BAD).failures, 1, "a new generation begins at zero");
        assert_eq!(streak.record(0, BAD).failures, 0, "an old one is not heard any more");
        assert_eq!(streak.tally(1).failures, 1);
    }

    #[test]
    fn generations_that_turn_over_are_still_in_order() {
        assert!(older(65_535, 0) && older(65_535, 3) && older(0, 1));
        assert!(!older(0, 65_535) && !older(4, 4));
        let calls = LastCalls::new(4);
        calls.record(65_535, BAD);
        assert_eq!(calls.record(0, BAD), Tally { calls: 1, failures: 1, slow: 0 });
        assert_eq!(calls.record(65_535, BAD), Tally::default());
    }

    #[test]
    fn a_late_thread_does_not_wipe_out_newer_counts() {
        let time = LastTime::new(Duration::from_secs(10));
        time.record(0, Moment::from_millis(15_000), BAD);
        time.record(0, Moment::from_millis(5_000), BAD);
        assert_eq!(time.tally(0, Moment::from_millis(15_000)).failures, 1);
    }

    fn any_sample() -> impl Strategy<Value = Sample> {
        (any::<bool>(), any::<bool>()).prop_map(|(failed, slow)| Sample { failed, slow })
    }

    fn counts(samples: impl Iterator<Item = Sample>) -> Tally {
        samples.fold(Tally::default(), |tally, sample| Tally {
            calls: tally.calls + 1,
            failures: tally.failures + u32::from(sample.failed),
            slow: tally.slow + u32::from(sample.slow),
        })
    }

    proptest! {
        #[test]
        fn a_window_of_calls_counts_the_last_ones(
            size in 1_u32..20,
            steps in prop::collection::vec((any_sample(), prop::bool::weighted(0.05)), 1..200),
        ) {
            let (window, mut model, mut generation) = (LastCalls::new(size), VecDeque::new(), 0);
            for (sample, next_generation) in steps {
                if next_generation {
                    generation += 1;
                    model.clear();
                }
                model.push_back(sample);
                if model.len() > size as usize {
                    model.pop_front();
                }
                prop_assert_eq!(window.record(generation, sample), counts(model.iter().copied()));
            }
        }

        #[test]
        fn a_window_of_time_counts_what_is_at_most_ten_buckets_old(
            steps in prop::collection::vec((any_sample(), 0_u64..3_000, prop::bool::weighted(0.05)), 1..200),
        ) {
            let (window, mut model, mut generation) = (LastTime::new(Duration::from_secs(10)), Vec::new(), 0);
            let mut now = Moment::ZERO;
            for (sample, pause, next_generation) in steps {
                now = now + Duration::from_millis(pause);
                if next_generation {
                    generation += 1;
                    model.clear();
                }
                let second = now.as_millis() / 1000;
                model.push((second, sample));
                window.record(generation, now, sample);
                let recent = model.iter().filter(|(at, _)| at + 10 > second).map(|(_, sample)| *sample);
                prop_assert_eq!(window.tally(generation, now), counts(recent));
            }
        }
    }
}
