//! How long outages are: counted in narrow bins of a logarithmic scale, so that a billion of them take no more room than ten.

use serde::Serialize;

/// From a millisecond to thirty thousand years, in seconds: what is outside is counted at the end.
const SHORTEST: f64 = 1e-3;
const DECADES: usize = 15;
/// A bin is 1.8 % wide: nobody reads a quantile more finely.
const OF_DECADE: usize = 128;
/// Bins that are shown as one: four for a factor of ten.
const SHOWN_AS_ONE: usize = OF_DECADE / 4;

/// The distribution of the lengths of outages, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lengths {
    /// Half of the outages are no longer than this; like the other quantiles within 2 %.
    pub p50: f64,
    /// Nine of ten are no longer.
    pub p90: f64,
    /// 99 of a hundred are no longer.
    pub p99: f64,
    /// The longest.
    pub longest: f64,
    /// How many there are of each length, from the first bin with any to the last.
    pub histogram: Vec<Bin>,
}

/// Outages of about the same length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bin {
    /// The shortest length in it, in seconds.
    pub from: f64,
    /// Its end, in seconds; a quarter of a factor of ten further.
    pub to: f64,
    /// How many outages.
    pub outages: u64,
}

/// Lengths as they come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counting {
    bins: Vec<u64>,
    longest: f64,
}

impl Counting {
    pub(super) fn new() -> Self {
        Self { bins: vec![0; DECADES * OF_DECADE], longest: 0.0 }
    }

    pub(super) fn add(&mut self, seconds: f64) {
        self.longest = self.longest.max(seconds);
        self.bins[bin(seconds)] += 1;
    }

    /// With those that somebody else counted; in any order the same.
    pub(super) fn join(&mut self, other: &Self) {
        self.longest = self.longest.max(other.longest);
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            *bin += other;
        }
    }

    /// What they amount to; none: there were none.
    pub(super) fn lengths(&self) -> Option<Lengths> {
        let all: u64 = self.bins.iter().sum();
        (all > 0).then(|| Lengths {
            p50: self.quantile(all, 0.5),
            p90: self.quantile(all, 0.9),
            p99: self.quantile(all, 0.99),
            longest: self.longest,
            histogram: self.histogram(),
        })
    }

    /// The length that so large a share does not exceed: within its bin by proportion.
    fn quantile(&self, all: u64, share: f64) -> f64 {
        let wanted = all as f64 * share;
        let mut below = 0.0;
        for (at, count) in self.bins.iter().enumerate() {
            let here = *count as f64;
            if here > 0.0 && below + here >= wanted {
                let part = (wanted - below) / here;
                return (edge(at) + part * (edge(at + 1) - edge(at))).min(self.longest);
            }
            below += here;
        }
        self.longest
    }

    fn histogram(&self) -> Vec<Bin> {
        let shown = self.bins.chunks(SHOWN_AS_ONE).enumerate().map(|(at, bins)| Bin {
            from: edge(at * SHOWN_AS_ONE),
            to: edge((at + 1) * SHOWN_AS_ONE),
            outages: bins.iter().sum(),
        });
        let mut shown: Vec<Bin> = shown.skip_while(|bin| bin.outages == 0).collect();
        while shown.pop_if(|bin| bin.outages == 0).is_some() {}
        shown
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is put between the ends before")]
fn bin(seconds: f64) -> usize {
    let place = (seconds / SHORTEST).log10() * OF_DECADE as f64;
    place.clamp(0.0, (DECADES * OF_DECADE - 1) as f64) as usize
}

/// Where a bin begins.
fn edge(bin: usize) -> f64 {
    SHORTEST * 10_f64.powf(bin as f64 / OF_DECADE as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(lengths: impl IntoIterator<Item = f64>) -> Counting {
        let mut counting = Counting::new();
        lengths.into_iter().for_each(|length| counting.add(length));
        counting
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_lengths_within_two_percent() {
        let all = counted((1..=10_000).map(f64::from)).lengths().unwrap();
        for (quantile, wanted) in [(all.p50, 5000.0), (all.p90, 9000.0), (all.p99, 9900.0), (all.longest, 10_000.0)] {
            assert!((quantile / wanted - 1.0_f64).abs() < 0.02, "{quantile} is not {wanted}");
        }
        assert_eq!(all.histogram.iter().map(|bin| bin.outages).sum::<u64>(), 10_000);
        assert!(all.histogram.windows(2).all(|pair| (pair[0].to - pair[1].from).abs() < 1e-9));
    }

    #[test]
    fn what_is_out_of_all_proportion_is_counted_too() {
        let all = counted([0.0, 1e-9, 1e30]).lengths().unwrap();
        assert_eq!(all.histogram.iter().map(|bin| bin.outages).sum::<u64>(), 3);
        assert!(all.longest > 1e29 && all.p50 < 0.01);
        assert_eq!(Counting::new().lengths(), None);
    }

    #[test]
    fn of_one_length_every_quantile_is_that_length() {
        let all = counted([120.0; 5]).lengths().unwrap();
        assert!([all.p50, all.p90, all.p99].iter().all(|quantile| (quantile / 120.0 - 1.0).abs() < 0.02), "{all:?}");
    }
}
