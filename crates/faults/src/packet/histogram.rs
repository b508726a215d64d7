//! A small histogram of times.

use std::time::Duration;

/// Counts times in buckets of an eighth of a power of two: a quantile is right within 13 %, from nanoseconds to centuries, in
/// 4 KiB.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// Buckets per power of two, as a power of two.
const FINE: u32 = 3;

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; 64 << FINE], count: 0 }
    }
}

impl Histogram {
    /// Counts a time of this many nanoseconds.
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
    }

    /// How many were counted.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The time that this share of the counted does not exceed (the upper end of its bucket).
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 <= share <= 1"
        )]
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(upper(at)))
    }
}

fn bucket(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    let index = if bits <= FINE + 1 {
        // Small values have a bucket each.
        value
    } else {
        let shift = bits - FINE - 1;
        (u64::from(shift) << FINE) + (value >> shift)
    };
    usize::try_from(index).expect("at most 64 * 8")
}

fn upper(bucket: usize) -> u64 {
    let index = u64::try_from(bucket).expect("at most 64 * 8");
    let shift = (index >> FINE).saturating_sub(1);
    let mantissa = index - (shift << FINE);
    (mantissa << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_of_nothing_are_unknown() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_that_is_narrow(value in any::<u64>()) {
            let top = upper(bucket(value));
            prop_assert!(top >= value);
            prop_assert!(top - value <= value / 8);
        }

        #[test]
        fn a_quantile_is_within_13_percent(mut values in proptest::collection::vec(1u64..10_000_000_000, 1..200), share in 0.0f64..=1.0) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            // The smallest value that this share of all does not exceed, found without the arithmetic of the code.
            let enough = |index: &usize| (index + 1) as f64 >= values.len() as f64 * share;
            let truth = values[(0..values.len()).find(enough).unwrap()];
            let told = u64::try_from(histogram.quantile(share).unwrap().as_nanos()).unwrap();
            prop_assert!(told >= truth && told <= truth + truth / 8, "{} {}", told, truth);
        }
    }
}
