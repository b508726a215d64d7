//! Randomness as it is passed in: a seed gives the same jitter again.

use std::hash::{BuildHasher, RandomState};

use crate::sync::{AtomicU64, Ordering};

/// A source of random numbers. Not for secrets: it spreads load.
pub trait Random {
    /// Sixty-four random bits.
    fn next_u64(&mut self) -> u64;

    /// A number in `0.0..1.0`, every multiple of 2⁻⁵³ equally likely.
    fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
        let bits = (self.next_u64() >> 11) as f64;
        bits * (1.0 / 9_007_199_254_740_992.0) // 2⁵³
    }
}

impl<R: Random + ?Sized> Random for &mut R {
    fn next_u64(&mut self) -> u64 {
        (**self).next_u64()
    }
}

/// SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014), shared by all calls of
/// a pipeline: one atomic addition per number, no lock.
#[derive(Debug)]
pub struct SplitMix64(AtomicU64);

/// 2⁶⁴ divided by the golden ratio, made odd: the increment of SplitMix64.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// The sequence of this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A sequence nobody has seen before, from the seed the operating system gave to the standard library's hash maps.
    #[must_use]
    pub fn unpredictable() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u8))
    }
}

impl Random for &SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        let state = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Random for SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        (&*self).next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers for seed 1234567 as published with the reference implementation (Rosetta Code).
    #[test]
    fn the_numbers_are_those_of_the_reference_implementation() {
        let mut random = SplitMix64::seeded(1_234_567);
        let numbers = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn units_lie_between_zero_and_one_and_average_a_half() {
        let mut random = SplitMix64::seeded(7);
        let units: Vec<f64> = (0..10_000).map(|_| random.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
