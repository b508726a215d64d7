//! Hedging: when an answer is late, asking once more and taking whichever comes first.
//!
//! After Jeffrey Dean and Luiz André Barroso, [*The Tail at Scale*][tail], CACM 2013: a second request after the 95th
//! percentile of latency adds a twentieth to the load and cuts off the tail. When and how much as in [gRPC A6][grpc]: a
//! transient failure sends the next hedge at once, a final answer ends them all, and a budget limits them.
//!
//! Only idempotent calls are hedged. The losers are dropped, which cancels them.
//!
//! [tail]: https://research.google/pubs/the-tail-at-scale/
//! [grpc]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#hedging-policy

use std::time::Duration;

use crate::{
    clock::nanos,
    error::InvalidOption,
    retry::Budget,
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// When to ask again, and how often.
///
/// ```
/// use std::time::Duration;
/// use patterns::Hedge;
///
/// // Once more when an answer takes longer than 95 % of them do; 100 ms while that is not known.
/// let hedge = Hedge::at_percentile(0.95, Duration::from_millis(100));
/// assert!(hedge.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Hedge {
    /// How long to wait for an answer before asking again.
    pub delay: Delay,
    /// How many times to ask again: at least 1.
    pub max_hedges: u32,
    /// What all calls together may send; `None` is without limit.
    pub budget: Option<Budget>,
}

/// How long to wait for an answer before asking again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// So long.
    Fixed(Duration),
    /// As long as this part of the answers takes.
    Percentile {
        /// Above 0, below 1.
        percentile: f64,
        /// The delay until enough answers have come to know.
        at_first: Duration,
    },
}

impl Hedge {
    /// Asks once more after this time, within the standard [`Budget`].
    #[must_use]
    pub const fn after(delay: Duration) -> Self {
        Self { delay: Delay::Fixed(delay), max_hedges: 1, budget: Some(Budget::standard()) }
    }

    /// Asks once more after the time that this part of the answers takes, within the standard [`Budget`]. Until enough
    /// answers have come to know, the delay is the second.
    #[must_use]
    pub const fn at_percentile(percentile: f64, at_first: Duration) -> Self {
        Self { delay: Delay::Percentile { percentile, at_first }, ..Self::after(at_first) }
    }

    /// Asks up to so many times more, each after the same delay.
    #[must_use]
    pub const fn max_hedges(mut self, hedges: u32) -> Self {
        self.max_hedges = hedges;
        self
    }

    /// Sets what all calls together may send.
    #[must_use]
    pub const fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets every call hedge whatever the others do.
    #[must_use]
    pub const fn without_budget(mut self) -> Self {
        self.budget = None;
        self
    }

    /// Checks that the options make sense.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        if self.max_hedges == 0 {
            return Err(InvalidOption::new("hedge.max_hedges", 0, "at least 1"));
        }
        match self.delay {
            Delay::Percentile { percentile, .. } if !(percentile > 0.0 && percentile < 1.0) => {
                Err(InvalidOption::new("hedge.percentile", percentile, "above 0 and below 1"))
            }
            Delay::Percentile { .. } | Delay::Fixed(_) => Ok(()),
        }?;
        self.budget.as_ref().map_or(Ok(()), Budget::validate)
    }

    /// The delay, given what is known of latencies.
    pub(crate) fn wait(&self, latencies: &Latencies) -> Duration {
        match self.delay {
            Delay::Fixed(delay) => delay,
            Delay::Percentile { percentile, at_first } => latencies.percentile(percentile).unwrap_or(at_first),
        }
    }
}

/// How long answers take, recently: counts in buckets an eighth of an octave wide, halved every so often. Threads share it
/// without a lock; a count lost or doubled while it is halved does not matter.
#[derive(Debug)]
pub(crate) struct Latencies {
    buckets: Box<[AtomicU32]>,
    /// Answers since the last halving.
    fresh: AtomicU32,
    /// The last percentile that was computed, and which: asked far more often than it changes.
    known: AtomicU64,
    known_of: AtomicU64,
}

/// Each octave of nanoseconds has so many buckets: a percentile is told to about 9 %.
const PER_OCTAVE: u32 = 8;
/// From 1 µs (2¹⁰ ns) to 18 minutes (2⁴⁰ ns); what is outside goes to the ends.
const OCTAVES: std::ops::Range<u32> = 10..40;
/// Counts are halved after so many answers: about twice as many are remembered.
const HALVE_AFTER: u32 = 1024;
/// The percentile is computed anew after so many.
const COMPUTE_AFTER: u32 = 32;

impl Latencies {
    pub(crate) fn new() -> Self {
        let buckets = (OCTAVES.end - OCTAVES.start) * PER_OCTAVE;
        Self {
            buckets: (0..buckets).map(|_| AtomicU32::new(0)).collect(),
            fresh: AtomicU32::new(0),
            known: AtomicU64::new(0),
            known_of: AtomicU64::new(0),
        }
    }

    /// An answer took so long.
    pub(crate) fn record(&self, hedge: &Hedge, latency: Duration) {
        let Delay::Percentile { percentile, .. } = hedge.delay else { return };
        self.buckets[bucket(nanos(latency))].fetch_add(1, Ordering::Relaxed);
        let fresh = self.fresh.fetch_add(1, Ordering::Relaxed) + 1;
        if fresh.is_multiple_of(COMPUTE_AFTER) {
            self.known.store(self.compute(percentile), Ordering::Relaxed);
            self.known_of.store(percentile.to_bits(), Ordering::Release);
        }
        if fresh >= HALVE_AFTER && self.fresh.swap(0, Ordering::Relaxed) >= HALVE_AFTER {
            for bucket in &self.buckets {
                // `Some` always, so it always succeeds.
                _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count / 2));
            }
        }
    }

    /// The latency that this part of the answers does not exceed, if enough have come.
    fn percentile(&self, percentile: f64) -> Option<Duration> {
        (self.known_of.load(Ordering::Acquire) == percentile.to_bits())
            .then(|| Duration::from_nanos(self.known.load(Ordering::Relaxed)))
    }

    fn compute(&self, percentile: f64) -> u64 {
        let counts = || self.buckets.iter().map(|bucket| f64::from(bucket.load(Ordering::Relaxed)));
        let wanted = counts().sum::<f64>() * percentile;
        let found = counts()
            .scan(0.0, |up_to, count| {
                *up_to += count;
                Some(*up_to)
            })
            .position(|up_to| up_to >= wanted);
        // Counts that others halve between the two passes may never reach it: then it is the end.
        upper_end(found.unwrap_or(self.buckets.len() - 1))
    }
}

/// The bucket of so many nanoseconds.
fn bucket(nanos: u64) -> usize {
    let nanos = nanos.clamp(1 << OCTAVES.start, (1 << OCTAVES.end) - 1);
    let octave = nanos.ilog2();
    // The three bits after the leading one.
    let part = (nanos >> (octave - 3)) & 7;
    ((octave - OCTAVES.start) * PER_OCTAVE) as usize + part as usize
}

/// Where a bucket ends, in nanoseconds.
fn upper_end(bucket: usize) -> u64 {
    let octave = OCTAVES.start as usize + bucket / PER_OCTAVE as usize;
    let part = bucket % PER_OCTAVE as usize;
    (part as u64 + u64::from(PER_OCTAVE) + 1) << (octave - 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn the_delay_is_the_percentile_once_it_is_known() {
        let (hedge, latencies) = (Hedge::at_percentile(0.9, 100 * MILLI), Latencies::new());
        assert_eq!(hedge.wait(&latencies), 100 * MILLI);
        for number in 0..100 {
            latencies.record(&hedge, MILLI * (number + 1));
        }
        let delay = hedge.wait(&latencies);
        assert!((90 * MILLI..100 * MILLI).contains(&delay), "{delay:?}");
        assert_eq!(Hedge::after(5 * MILLI).wait(&latencies), 5 * MILLI);
    }

    #[test]
    fn old_latencies_are_forgotten() {
        let (hedge, latencies) = (Hedge::at_percentile(0.5, MILLI), Latencies::new());
        (0..5_000).for_each(|_| latencies.record(&hedge, 100 * MILLI));
        (0..5_000).for_each(|_| latencies.record(&hedge, 10 * MILLI));
        assert!(hedge.wait(&latencies) < 12 * MILLI);
    }

    #[test]
    fn wrong_options_are_named() {
        assert_eq!(Hedge::after(MILLI).max_hedges(0).validate().unwrap_err().option, "hedge.max_hedges");
        assert_eq!(Hedge::at_percentile(1.0, MILLI).validate().unwrap_err().option, "hedge.percentile");
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_an_eighth_above_what_is_in_it(nanos in (1_u64 << 10)..(1 << 40)) {
            let end = upper_end(bucket(nanos));
            prop_assert!(end > nanos && end - nanos <= nanos / 8 + 1);
        }
    }
}
