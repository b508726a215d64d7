//! How often takeovers by spares interrupt, and for how long: for the exact engine, which takes them for independent of each other
//! and of everything else. That is right as long as spares are there, which is nearly always; simulated years play it out.

use model::workload::Failover;

use crate::history::distribution::ln_gamma;

/// Something that takes units of a group down, and leaves enough of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hit {
    /// How many at once.
    pub(super) units: u32,
    /// How often, per second.
    pub(super) often: f64,
    /// For how long, in seconds.
    pub(super) lasts: f64,
}

/// What takeovers take in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Interruptions {
    /// The share of time.
    pub(super) down: f64,
    /// How often they begin, per second.
    pub(super) often: f64,
}

impl Interruptions {
    /// Of a group of `count` units of which `enough` are in use, any of them as likely as the others.
    pub(super) fn of(failover: Failover, count: u32, enough: u32, hits: impl IntoIterator<Item = Hit>) -> Self {
        let mut sum = Self::default();
        for hit in hits {
            for in_use in 1..=hit.units.min(enough) {
                let often = hit.often * chance(count, enough, hit.units, in_use);
                // Each of them finds a spare that takes over by itself, or what hit them must end first.
                let covered = (0..in_use).fold(1.0, |all, _| all * failover.coverage);
                sum.often += often;
                sum.down += often * (covered * failover.delay.as_secs_f64() + (1.0 - covered) * hit.lasts);
            }
        }
        sum
    }
}

/// The chance that of `enough` units in use, chosen of `count`, just so many are among the ones that are hit: hypergeometric.
fn chance(count: u32, enough: u32, hit: u32, in_use: u32) -> f64 {
    let choose = |n: u32, k: u32| {
        let factorial = |n: u32| ln_gamma(f64::from(n) + 1.0);
        factorial(n) - factorial(k) - factorial(n - k)
    };
    let Some(others) = enough.checked_sub(in_use).filter(|others| *others <= count - hit) else { return 0.0 };
    (choose(hit, in_use) + choose(count - hit, others) - choose(count, enough)).exp()
}

#[cfg(test)]
mod tests {
    use model::Period;

    use super::*;

    #[test]
    fn every_number_of_hit_units_has_its_chance() {
        // Two of four in use, two of four hit: 1, 4 and 1 of 6.
        for (in_use, wanted) in [(0, 1.0 / 6.0), (1, 4.0 / 6.0), (2, 1.0 / 6.0)] {
            assert!((chance(4, 2, 2, in_use) - wanted).abs() < 1e-12);
        }
        // Three of four in use: at least one of two hit is.
        assert!(chance(4, 3, 2, 0) <= 0.0);
        assert!((chance(4, 3, 2, 1) + chance(4, 3, 2, 2) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_takeover_that_does_not_work_lasts_as_long_as_what_made_it_necessary() {
        let failover = Failover { coverage: 0.9, delay: Period::from_secs(10) };
        let zone = Hit { units: 2, often: 1e-6, lasts: 1000.0 };
        let sum = Interruptions::of(failover, 4, 2, [zone]);
        // With one in use 0.9 of 10 s and 0.1 of 1000 s, with two 0.81 and 0.19.
        let wanted = 4.0 / 6.0 * (9.0 + 100.0) + 1.0 / 6.0 * (8.1 + 190.0);
        assert!((sum.down / (1e-6 * wanted) - 1.0).abs() < 1e-12, "{sum:?}");
        assert!((sum.often / (1e-6 * 5.0 / 6.0) - 1.0).abs() < 1e-12, "{sum:?}");
    }
}
