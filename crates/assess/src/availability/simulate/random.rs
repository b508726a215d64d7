//! Random numbers whose sequence is a part of the outcome: the same seed gives the same years in every version, which no
//! generator of the usual crate promises.

use super::ziggurat::Ziggurat;

/// SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014).
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
    ziggurat: &'static Ziggurat,
}

/// 2^64 divided by the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The sequence of one batch. Batches begin at places that are as good as drawn by lot among 2^64, so that two of them overlap
    /// about as often as one in a billion runs.
    pub(super) fn of(seed: u64, batch: u64) -> Self {
        Self::from_state(mix(mix(seed.wrapping_add(GAMMA)) ^ mix(batch.wrapping_mul(GAMMA))))
    }

    fn from_state(state: u64) -> Self {
        Self { state, ziggurat: Ziggurat::get() }
    }

    /// Sixty-four random bits.
    pub(super) const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number above 0, and 1 at most.
    pub(super) const fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// A time until something that happens at a constant rate, by its mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        mean * self.ziggurat.draw(|| self.bits())
    }
}

/// A number above 0, and 1 at most, of the upper 53 of so many bits: that is what a float holds.
pub(super) const fn unit(bits: u64) -> f64 {
    ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

const fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers for seed 1234567 as published with the reference implementation (Rosetta Code).
    #[test]
    fn the_numbers_are_those_of_the_reference_implementation() {
        let mut random = Random::from_state(1_234_567);
        let numbers = [random.bits(), random.bits(), random.bits()];
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn exponential_times_have_the_mean_and_the_spread_of_their_law() {
        let mut random = Random::of(1, 0);
        let times: Vec<f64> = (0..100_000).map(|_| random.exponential(3.0)).collect();
        let mean = times.iter().sum::<f64>() / 100_000.0;
        let square = times.iter().map(|time| time * time).sum::<f64>() / 100_000.0;
        // Four standard errors: 3 / sqrt(n), and sqrt(20) * 9 / sqrt(n) of the squares.
        assert!((mean - 3.0).abs() < 0.04 && (square - 18.0).abs() < 0.52, "{mean} {square}");
    }

    /// The test of Kolmogorov and Smirnov: the largest distance of the two distributions.
    #[test]
    fn exponential_times_are_distributed_by_their_law_to_the_last_quantile() {
        let count = 1_000_000;
        let mut random = Random::of(2, 0);
        let mut times: Vec<f64> = (0..count).map(|_| random.exponential(1.0)).collect();
        times.sort_unstable_by(f64::total_cmp);
        let all = f64::from(count);
        let distance = |(below, time): (i32, f64)| ((1.0 - (-time).exp()) - f64::from(below) / all).abs();
        let farthest = (0..).zip(times.iter().copied()).map(distance).fold(0.0, f64::max);
        // One in a thousand such samples is farther than 1.95 / sqrt(n).
        assert!(farthest < 1.95 / all.sqrt(), "{farthest}");
        // Beyond the last layer of the table too: e^-8 of them, within four standard deviations.
        let beyond = times.iter().filter(|time| **time > 8.0).count() as f64;
        let wanted = all * (-8.0_f64).exp();
        assert!((beyond - wanted).abs() < 4.0 * wanted.sqrt(), "{beyond}, not {wanted}");
    }

    #[test]
    fn batches_and_seeds_have_sequences_of_their_own() {
        let first = |seed, batch| Random::of(seed, batch).bits();
        let all = [first(0, 0), first(0, 1), first(1, 0), first(1, 1)];
        assert!((0..4).all(|at| (0..at).all(|other| all[at] != all[other])), "{all:?}");
    }
}
