//! A link of limited bandwidth.

use serde::{Deserialize, Serialize};

use super::schedule::Nanos;

/// How fast a link is: a token bucket with a queue in front, as of the kernel's `tbf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// In the long run, counting IP packets without what a medium adds.
    pub(crate) bits_per_second: u64,
    /// What passes at once after a rest.
    pub(crate) burst_bytes: u64,
    /// What waits at most; more is lost.
    pub(crate) queue_bytes: u64,
}

impl Rate {
    /// How long the link is busy with so many bytes.
    pub(crate) fn time_of(&self, bytes: u64) -> Nanos {
        let nanos = u128::from(bytes) * 8_000_000_000 / u128::from(self.bits_per_second.max(1));
        Nanos::try_from(nanos).unwrap_or(Nanos::MAX / 4)
    }
}

/// The bucket at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    rate: Rate,
    /// When it will be full again if no packet comes: all there is to know about its level.
    full_at: Nanos,
}

impl Bucket {
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, full_at: 0 }
    }

    /// When a packet of this length that comes now goes on: at once, later, or never.
    pub(crate) fn pass(&mut self, length: u32, now: Nanos) -> Option<Nanos> {
        let full_at = self.full_at.max(now) + self.rate.time_of(u64::from(length));
        let goes = full_at.saturating_sub(self.rate.time_of(self.rate.burst_bytes)).max(now);
        if goes - now > self.rate.time_of(self.rate.queue_bytes) {
            return None;
        }
        self.full_at = full_at;
        Some(goes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { bits_per_second: 8_000_000, burst_bytes: 3_000, queue_bytes: 10_000 };

    #[test]
    fn a_burst_passes_then_the_rate_then_nothing() {
        let mut bucket = Bucket::new(RATE);
        // A byte takes a microsecond.
        assert_eq!(bucket.pass(1_500, 0), Some(0));
        assert_eq!(bucket.pass(1_500, 0), Some(0));
        assert_eq!(bucket.pass(1_000, 0), Some(1_000_000));
        assert_eq!(bucket.pass(9_000, 0), Some(10_000_000));
        assert_eq!(bucket.pass(1, 0), None);
        // When all that has gone, and the bucket is full again.
        assert_eq!(bucket.pass(3_000, 13_000_000), Some(13_000_000));
        assert_eq!(bucket.pass(1, 13_000_000), Some(13_001_000));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate_in_any_time(
            packets in proptest::collection::vec((0u64..5_000_000, 1u32..2_000), 1..200),
        ) {
            let (mut bucket, mut now, mut went) = (Bucket::new(RATE), 0, Vec::new());
            for (pause, length) in packets {
                now += pause;
                if let Some(goes) = bucket.pass(length, now) {
                    prop_assert!(goes >= now && goes - now <= RATE.time_of(RATE.queue_bytes));
                    went.push((goes, u64::from(length)));
                }
            }
            prop_assert!(went.is_sorted_by_key(|(goes, _)| *goes), "in order");
            for (begin, (from, _)) in went.iter().enumerate() {
                let mut bytes = 0;
                for (until, length) in &went[begin..] {
                    bytes += length;
                    prop_assert!(RATE.time_of(bytes) <= RATE.time_of(RATE.burst_bytes) + (until - from) + 2_000);
                }
            }
        }
    }
}
