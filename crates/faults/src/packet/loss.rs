//! Which packets are lost.

use rand::{Rng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

/// A link that is good or bad, and loses packets more often when it is bad: the model of Gilbert and Elliott, as netem's `loss
/// gemodel` has it. Each packet moves it on, and is lost with the probability of the state that it found.
///
/// Random loss is the case in which a bad link loses everything, a good one nothing; independent of each other when the next
/// state does not depend on the last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Loss {
    /// The probability that a good link turns bad: `p`.
    pub(crate) to_bad: f64,
    /// The probability that a bad link turns good: `r`. The average bad time is one over this, in packets.
    pub(crate) to_good: f64,
    /// The probability that a bad link loses a packet: `1-h`.
    pub(crate) when_bad: f64,
    /// The probability that a good link does: `1-k`.
    pub(crate) when_good: f64,
}

impl Loss {
    /// A share of the packets at random, where each loss makes the next more probable by the correlation.
    pub(crate) fn random(share: f64, correlation: f64) -> Self {
        let fresh = 1.0 - correlation;
        Self { to_bad: fresh * share, to_good: fresh * (1.0 - share), when_bad: 1.0, when_good: 0.0 }
    }

    /// The share of packets that find the link bad, in the long run.
    fn bad(&self) -> f64 {
        let moves = self.to_bad + self.to_good;
        if moves > 0.0 { self.to_bad / moves } else { 0.0 }
    }

    /// The share of packets that are lost, in the long run.
    pub(crate) fn share(&self) -> f64 {
        let bad = self.bad();
        bad * self.when_bad + (1.0 - bad) * self.when_good
    }

    /// By how much the variance of a count of losses is greater than if each were independent of the others.
    pub(crate) fn inflation(&self) -> f64 {
        let (bad, share) = (self.bad(), self.share());
        let alone = share * (1.0 - share);
        // The states' correlation fades by this factor per packet.
        let memory = 1.0 - self.to_bad - self.to_good;
        if alone <= 0.0 || memory >= 1.0 {
            return 1.0;
        }
        let between = bad * (1.0 - bad) * (self.when_bad - self.when_good).powi(2);
        1.0 + 2.0 * between * memory / (1.0 - memory) / alone
    }
}

/// A link that is good or bad at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    loss: Loss,
    /// `None`: no packet has come.
    is_bad: Option<bool>,
}

impl Link {
    pub(crate) const fn new(loss: Loss) -> Self {
        Self { loss, is_bad: None }
    }

    /// Whether it loses the next packet.
    pub(crate) fn loses(&mut self, random: &mut SmallRng) -> bool {
        let mut lot = || random.random::<f64>();
        let is_bad = match self.is_bad {
            Some(is_bad) => is_bad,
            // As if it had been going on for long.
            None => lot() < self.loss.bad(),
        };
        let turns = lot() < if is_bad { self.loss.to_good } else { self.loss.to_bad };
        self.is_bad = Some(is_bad != turns);
        lot() < if is_bad { self.loss.when_bad } else { self.loss.when_good }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn run(loss: Loss, packets: usize) -> Vec<bool> {
        let (mut link, mut random) = (Link::new(loss), SmallRng::seed_from_u64(11));
        (0..packets).map(|_| link.loses(&mut random)).collect()
    }

    fn share(lost: &[bool]) -> f64 {
        lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64
    }

    /// The average number of losses in a row.
    fn burst(lost: &[bool]) -> f64 {
        let begun = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        share(lost) * lost.len() as f64 / begun as f64
    }

    #[test]
    fn random_loss_loses_the_share_whatever_the_correlation() {
        for (part, correlation) in [(0.1, 0.0), (0.1, 0.75), (0.5, 0.3), (1.0, 0.5), (0.0, 0.0)] {
            let loss = Loss::random(part, correlation);
            let lost = run(loss, 200_000);
            assert!((loss.share() - part).abs() < 1e-9);
            let deviation = (part * (1.0 - part) * loss.inflation() / 2e5).sqrt();
            assert!((share(&lost) - part).abs() <= 4.0 * deviation, "{part} {correlation}: {}", share(&lost));
            // After a loss the next comes with correlation + (1 - correlation) * share.
            if part > 0.0 && part < 1.0 {
                let again = correlation + (1.0 - correlation) * part;
                assert!((burst(&lost) * (1.0 - again) - 1.0).abs() < 0.05, "{}", burst(&lost));
            }
        }
    }

    #[test]
    fn bursts_are_as_long_as_bad_times() {
        let loss = Loss { to_bad: 0.01, to_good: 0.25, when_bad: 1.0, when_good: 0.0 };
        let lost = run(loss, 400_000);
        assert!((loss.share() - 0.01 / 0.26).abs() < 1e-12);
        let deviation = (loss.share() * (1.0 - loss.share()) * loss.inflation() / 4e5).sqrt();
        assert!((share(&lost) - loss.share()).abs() < 4.0 * deviation);
        // One over 0.25.
        assert!((burst(&lost) - 4.0).abs() < 0.2, "{}", burst(&lost));
    }

    #[test]
    fn both_states_may_lose_some() {
        let loss = Loss { to_bad: 0.05, to_good: 0.2, when_bad: 0.8, when_good: 0.01 };
        let lost = share(&run(loss, 400_000));
        let deviation = (loss.share() * (1.0 - loss.share()) * loss.inflation() / 4e5).sqrt();
        assert!((lost - 0.168).abs() < 4.0 * deviation, "{lost}");
    }

    #[test]
    fn the_variance_of_a_count_is_as_predicted() {
        let loss = Loss { to_bad: 0.02, to_good: 0.1, when_bad: 0.9, when_good: 0.05 };
        let counts: Vec<f64> = run(loss, 1_000_000).chunks(1_000).map(|chunk| share(chunk) * 1e3).collect();
        let average = counts.iter().sum::<f64>() / 1e3;
        let variance = counts.iter().map(|count| (count - average).powi(2)).sum::<f64>() / 1e3;
        let predicted = 1e3 * loss.share() * (1.0 - loss.share()) * loss.inflation();
        // A variance of a thousand samples varies by 4.5 %.
        assert!((variance / predicted - 1.0).abs() < 0.2, "{variance} {predicted}");
    }
}
