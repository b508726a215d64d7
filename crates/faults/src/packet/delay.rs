//! How much longer a packet takes.

use std::time::Duration;

use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

use super::{chance::Lots, schedule::Nanos};

/// How much longer packets take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delay {
    /// On average.
    pub(crate) base: Duration,
    /// How much that varies. Packets overtake each other then, as with netem.
    pub(crate) jitter: Duration,
    /// In what way it varies.
    pub(crate) distribution: Distribution,
    /// How much the delay of a packet depends on that of the one before, from 0 to below 1.
    pub(crate) correlation: f64,
}

/// How delays are spread around their average. The shapes are those of netem's tables, here as functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distribution {
    /// Evenly, from one jitter less to one jitter more.
    Uniform,
    /// Like errors: the jitter is the standard deviation; four of them is the most.
    Normal,
    /// Most a little less, few much more, up to four jitters: Pareto's law with exponent 3, centred and widened by a third.
    Pareto,
}

/// Where the tables of netem end, in jitters: at 32,767 of 8,192.
const FARTHEST: f64 = 4.0;

impl Distribution {
    /// By how many jitters a packet differs from the average whose lot, from 0 to 1, is this: the inverse of the
    /// distribution's cumulative function.
    pub(crate) fn deviation(self, lot: f64) -> f64 {
        match self {
            Self::Uniform => 2.0 * lot - 1.0,
            Self::Normal => normal(lot).clamp(-FARTHEST, FARTHEST),
            // iproute2's pareto.c: a = 3, minus its mean of 1.5, times 4/3.
            Self::Pareto => (((1.0 - lot).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0).min(FARTHEST),
        }
    }
}

impl Delay {
    /// Always this much.
    pub(crate) const fn constant(base: Duration) -> Self {
        Self { base, jitter: Duration::ZERO, distribution: Distribution::Uniform, correlation: 0.0 }
    }

    /// The delay of a packet whose lot is this; what would have to leave before it came leaves at once.
    pub(crate) fn of(&self, lot: f64) -> Duration {
        let seconds = self.base.as_secs_f64() + self.jitter.as_secs_f64() * self.distribution.deviation(lot);
        Duration::from_secs_f64(seconds.max(0.0))
    }

    /// The longest that there is.
    pub(crate) fn longest(&self) -> Duration {
        self.of(1.0 - f64::EPSILON)
    }

    pub(super) fn draw(&self, lots: &mut Lots, random: &mut SmallRng) -> Nanos {
        let wait = if self.jitter.is_zero() { self.base } else { self.of(lots.draw(random)) };
        Nanos::try_from(wait.as_nanos()).unwrap_or(Nanos::MAX / 4)
    }
}

/// The inverse of the normal distribution's cumulative function, right to nine digits: P. J. Acklam's rational approximation
/// (2003), one for the middle and one for both ends.
fn normal(lot: f64) -> f64 {
    const MIDDLE: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const MIDDLE_BELOW: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const END: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const END_BELOW: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    /// Where the middle begins.
    const EDGE: f64 = 0.024_25;
    let polynomial = |of: &[f64], at: f64| of.iter().fold(0.0, |sum, factor| sum * at + factor);
    if (EDGE..=1.0 - EDGE).contains(&lot) {
        let from_middle = lot - 0.5;
        let square = from_middle * from_middle;
        return from_middle * polynomial(&MIDDLE, square) / polynomial(&MIDDLE_BELOW, square);
    }
    let end = |lot: f64| {
        let at = (-2.0 * lot.max(f64::MIN_POSITIVE).ln()).sqrt();
        polynomial(&END, at) / polynomial(&END_BELOW, at)
    };
    if lot < EDGE { end(lot) } else { -end(1.0 - lot) }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_normal_distribution_has_its_known_quantiles() {
        // Of any table of the normal distribution.
        for (lot, deviation) in
            [(0.5, 0.0), (0.841_344_746, 1.0), (0.022_750_132, -2.0), (0.998_650_102, 3.0), (0.25, -0.674_489_75)]
        {
            assert!((Distribution::Normal.deviation(lot) - deviation).abs() < 1e-6, "{lot}");
        }
        assert!((Distribution::Normal.deviation(0.0) + 4.0).abs() < 1e-12);
    }

    #[test]
    fn pareto_is_as_in_the_tables_of_netem() {
        // The first, the middle and the last number of iproute2's pareto.dist, which counts in 8,192nds: 32767 (cut off),
        // (2^(1/3) - 1.5) * 4/3 * 8192 = -2622, (1 - 1.5) * 4/3 * 8192 = -5461.
        for (lot, entry) in [(1.0 - 1e-9, 32_768.0), (0.5, -2_622.0), (0.0, -5_461.0)] {
            assert!((Distribution::Pareto.deviation(lot) * 8192.0 - entry).abs() < 1.0, "{lot}");
        }
    }

    #[test]
    fn delays_have_the_average_that_was_asked_for() {
        for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::Pareto] {
            let (base, jitter) = (Duration::from_millis(100), Duration::from_millis(10));
            let delay = Delay { base, jitter, distribution, correlation: 0.5 };
            let (mut lots, mut random) = (Lots::new(0.5), SmallRng::seed_from_u64(9));
            let sum: Nanos = (0..100_000).map(|_| delay.draw(&mut lots, &mut random)).sum();
            // Beyond four jitters Pareto's law is cut off, as in netem's table: 1 / (2 * 4.5^2) * 4/3 of a jitter is missing.
            let wanted = if distribution == Distribution::Pareto { 99_670_000 } else { 100_000_000 };
            // A standard deviation of the average is 0.06 ms.
            assert!((sum / 100_000u64).abs_diff(wanted) < 250_000, "{distribution:?}: {sum}");
        }
    }
}
