//! Lots: which packets are hit, and how much one hit says about the next.

use rand::{Rng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

/// A share of the packets, drawn by lot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chance {
    /// From 0 to 1.
    pub(crate) share: f64,
    /// How much each lot depends on the one before, from 0 (not at all) to below 1.
    pub(crate) correlation: f64,
}

/// Draws lots: numbers from 0 to below 1.
///
/// Each is, with the probability of the correlation, the one before once more, and else a new one. So they are evenly spread
/// however much they depend on each other, and neighbours correlate by exactly that much. netem averages the new with the
/// old instead, which draws all lots towards the middle: of `loss 10% 75%` it loses
/// less than one in a thousand.
#[derive(Debug, Clone)]
pub(crate) struct Lots {
    correlation: f64,
    last: Option<f64>,
}

impl Lots {
    pub(crate) const fn new(correlation: f64) -> Self {
        Self { correlation, last: None }
    }

    /// The next lot.
    pub(crate) fn draw(&mut self, random: &mut SmallRng) -> f64 {
        let again = self.last.filter(|_| self.correlation > 0.0 && random.random::<f64>() < self.correlation);
        *self.last.insert(again.unwrap_or_else(|| random.random()))
    }
}

/// By how much the variance of a count of hits is greater than that of independent lots, for lots of this correlation.
pub(crate) fn inflation(correlation: f64) -> f64 {
    (1.0 + correlation) / (1.0 - correlation)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn lots_are_evenly_spread_and_correlate_as_told() {
        for correlation in [0.0, 0.3, 0.8] {
            let (mut lots, mut random) = (Lots::new(correlation), SmallRng::seed_from_u64(5));
            let drawn: Vec<f64> = (0..200_000).map(|_| lots.draw(&mut random)).collect();
            // A standard deviation of the share is 0.0009 for independent lots, three times that at 0.8.
            let below = drawn.iter().filter(|lot| **lot < 0.2).count() as f64 / 200_000.0;
            assert!((below - 0.2).abs() < 0.012, "{below}");
            // The variance of an even spread over one is a twelfth.
            let together: f64 = drawn.windows(2).map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5)).sum::<f64>() / 2e5;
            assert!((together * 12.0 - correlation).abs() < 0.02, "{together}");
        }
    }
}
