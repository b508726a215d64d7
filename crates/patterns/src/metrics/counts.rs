//! The counters of one pipeline, as one shard of them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    breaker::Mode,
    chaos::Fault,
    error::{Rejected, Scope},
    event::{GaveUp, Kind, Outcome},
    outcome::Class,
};

/// The upper bounds of the buckets in seconds: those of Prometheus' client libraries, which fit calls over a network,
/// and two below for calls on the same machine.
pub const BUCKETS: [f64; 13] = [0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The same in tenths of a millisecond.
const TENTHS: [u64; BUCKETS.len()] = [5, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];

/// Every outcome once, in the order in which they are counted.
pub(super) const OUTCOMES: [Outcome; 14] = [
    Outcome::Done(Class::Success),
    Outcome::Done(Class::transient()),
    Outcome::Done(Class::Permanent),
    Outcome::Done(Class::Invalid),
    Outcome::TimedOut(Scope::Attempt),
    Outcome::TimedOut(Scope::Overall),
    Outcome::Rejected(Rejected::BreakerOpen { retry_after: None }),
    Outcome::Rejected(Rejected::BulkheadFull),
    Outcome::Rejected(Rejected::QueueTimeout { waited: Duration::ZERO }),
    Outcome::Rejected(Rejected::RateLimited { retry_after: Duration::ZERO }),
    Outcome::Rejected(Rejected::Shed),
    Outcome::Rejected(Rejected::DeadlinePassed),
    Outcome::Injected,
    Outcome::Cancelled,
];

/// Every reason to give up, in the order in which they are counted.
pub(super) const REASONS: [GaveUp; 7] = [
    GaveUp::Attempts,
    GaveUp::NotTransient,
    GaveUp::NotIdempotent,
    GaveUp::Budget,
    GaveUp::RetryAfter,
    GaveUp::Deadline,
    GaveUp::Rejected,
];

/// Every state of a breaker, in the order in which they are counted.
pub(super) const MODES: [Mode; 5] = [Mode::Closed, Mode::Open, Mode::HalfOpen, Mode::ForcedOpen, Mode::ForcedClosed];

/// Every fault of chaos, in the order in which they are counted.
pub(super) const FAULTS: [(Fault, &str); 3] =
    [(Fault::Latency(Duration::ZERO), "latency"), (Fault::Error, "error"), (Fault::Outcome, "outcome")];

/// One shard. Aligned, so that two never share a cache line (128 bytes on the machines that fetch two at a time).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counts {
    pub(super) calls: Outcomes,
    pub(super) attempts: Outcomes,
    pub(super) retries: Count,
    pub(super) gave_up: [Count; REASONS.len()],
    pub(super) hedges: Count,
    pub(super) fallbacks: [Count; 2],
    pub(super) chaos: [Count; FAULTS.len()],
    pub(super) breaker: [Count; MODES.len()],
    pub(super) limits: Count,
    pub(super) reconfigured: Count,
}

/// Outcomes with the time they took. One cell for an outcome and a bucket together: it is one addition for both, and in
/// every scrape the sum over outcomes is that over buckets.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// By outcome, then by bucket; the last bucket is for what is longer than all bounds.
    cells: [[Count; BUCKETS.len() + 1]; OUTCOMES.len()],
    /// How long all of them took, in nanoseconds: 584 years fit.
    nanos: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// Counts an event.
    pub(super) fn count(&self, kind: &Kind) {
        match *kind {
            Kind::Attempt { outcome, duration, .. } => self.attempts.count(outcome, duration),
            Kind::Call { outcome, duration, .. } => self.calls.count(outcome, duration),
            Kind::Retry { .. } => self.retries.add(1),
            Kind::GaveUp { reason, .. } => self.gave_up[reason_index(reason)].add(1),
            Kind::Hedge { .. } => self.hedges.add(1),
            Kind::Fallback { served } => self.fallbacks[usize::from(served)].add(1),
            Kind::Chaos { fault, .. } => self.chaos[fault_index(fault)].add(1),
            Kind::Breaker { to, .. } => self.breaker[mode_index(to)].add(1),
            Kind::Limit { .. } => self.limits.add(1),
            Kind::Reconfigured => self.reconfigured.add(1),
        }
    }

    /// All shards together.
    pub(super) fn sum(shards: &[Self]) -> Self {
        let total = Self::default();
        for shard in shards {
            for (to, from) in total.counters().zip(shard.counters()) {
                to.add(from.get());
            }
        }
        total
    }

    /// Every counter, always in the same order.
    fn counters(&self) -> impl Iterator<Item = &Count> {
        let Self { calls, attempts, retries, gave_up, hedges, fallbacks, chaos, breaker, limits, reconfigured } = self;
        let lists = [&gave_up[..], &fallbacks[..], &chaos[..], &breaker[..]];
        let cells = calls.cells.iter().chain(&attempts.cells).map(|buckets| &buckets[..]);
        let single = [retries, hedges, limits, reconfigured, &calls.nanos, &attempts.nanos];
        lists.into_iter().chain(cells).flatten().chain(single)
    }
}

impl Outcomes {
    fn count(&self, outcome: Outcome, duration: Duration) {
        let nanos = crate::clock::nanos(duration);
        let bucket = TENTHS.iter().position(|tenths| nanos <= tenths * 100_000).unwrap_or(TENTHS.len());
        self.cells[outcome_index(outcome)][bucket].add(1);
        self.nanos.add(nanos);
    }

    /// How many had each outcome, in the order of [`OUTCOMES`].
    pub(super) fn by_outcome(&self) -> [u64; OUTCOMES.len()] {
        self.cells.each_ref().map(|buckets| buckets.iter().map(Count::get).sum())
    }

    /// How many took how long, in the order of [`BUCKETS`]; not cumulative, and with those that took longer at the end.
    pub(super) fn by_bucket(&self) -> [u64; BUCKETS.len() + 1] {
        std::array::from_fn(|bucket| self.cells.iter().map(|buckets| buckets[bucket].get()).sum())
    }

    /// How long all of them took.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.get())
    }
}

const fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Done(Class::Success) => 0,
        Outcome::Done(Class::Transient(_)) => 1,
        Outcome::Done(Class::Permanent) => 2,
        Outcome::Done(Class::Invalid) => 3,
        Outcome::TimedOut(Scope::Attempt) => 4,
        Outcome::TimedOut(Scope::Overall) => 5,
        Outcome::Rejected(Rejected::BreakerOpen { .. }) => 6,
        Outcome::Rejected(Rejected::BulkheadFull) => 7,
        Outcome::Rejected(Rejected::QueueTimeout { .. }) => 8,
        Outcome::Rejected(Rejected::RateLimited { .. }) => 9,
        Outcome::Rejected(Rejected::Shed) => 10,
        Outcome::Rejected(Rejected::DeadlinePassed) => 11,
        Outcome::Injected => 12,
        Outcome::Cancelled => 13,
    }
}

const fn reason_index(reason: GaveUp) -> usize {
    match reason {
        GaveUp::Attempts => 0,
        GaveUp::NotTransient => 1,
        GaveUp::NotIdempotent => 2,
        GaveUp::Budget => 3,
        GaveUp::RetryAfter => 4,
        GaveUp::Deadline => 5,
        GaveUp::Rejected => 6,
    }
}

const fn mode_index(mode: Mode) -> usize {
    match mode {
        Mode::Closed => 0,
        Mode::Open => 1,
        Mode::HalfOpen => 2,
        Mode::ForcedOpen => 3,
        Mode::ForcedClosed => 4,
    }
}

const fn fault_index(fault: Fault) -> usize {
    match fault {
        Fault::Latency(_) => 0,
        Fault::Error => 1,
        Fault::Outcome => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted_where_its_name_stands() {
        for (index, outcome) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(outcome_index(outcome), index, "{outcome:?}");
        }
        for (index, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason_index(reason), index);
        }
        for (index, mode) in MODES.into_iter().enumerate() {
            assert_eq!(mode_index(mode), index);
        }
        for (index, (fault, _)) in FAULTS.into_iter().enumerate() {
            assert_eq!(fault_index(fault), index);
        }
    }

    #[test]
    fn bounds_are_the_same_in_both_units() {
        for (seconds, tenths) in BUCKETS.into_iter().zip(TENTHS) {
            assert_eq!(Duration::from_secs_f64(seconds), Duration::from_micros(tenths * 100));
        }
    }

    #[test]
    fn a_duration_at_a_bound_is_within_it() {
        let outcomes = Outcomes::default();
        for seconds in [0.0, 0.0005, 0.0006, 10.0, 10.1] {
            outcomes.count(Outcome::Injected, Duration::from_secs_f64(seconds));
        }
        assert_eq!(outcomes.by_bucket(), [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(outcomes.by_outcome()[outcome_index(Outcome::Injected)], 5);
        assert_eq!(outcomes.total(), Duration::from_nanos(20_101_100_000));
    }
}
