//! What a link does to the bytes it carries.

use std::time::Duration;

/// What a link does, direction by direction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// To bytes from the client to the target.
    pub forward: Impairment,
    /// To bytes from the target to the client.
    pub backward: Impairment,
}

impl Faults {
    /// The same in both directions.
    #[must_use]
    pub const fn both(impairment: Impairment) -> Self {
        Self { forward: impairment, backward: impairment }
    }

    /// Whether no connection can come about: a handshake needs both directions.
    #[must_use]
    pub fn blocks_handshakes(&self) -> bool {
        self.forward.blocks() || self.backward.blocks()
    }
}

/// What happens to bytes that go one way.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Impairment {
    /// How much later they arrive.
    pub delay: Duration,
    /// The delay varies evenly by up to this much in both directions, but is never negative; bytes never overtake others.
    pub jitter: Duration,
    /// The share of segments that are lost, from 0 to 1. A stream does not lose bytes, it waits for them to be sent again:
    /// see [`RETRANSMISSION`]. At 1 nothing passes, as with `blackhole`.
    pub loss: f64,
    /// Nothing passes at all.
    pub blackhole: bool,
}

/// How long a lost segment is missed before it is sent again: Linux's smallest retransmission timeout (`TCP_RTO_MIN`), which
/// is what connections with short round trips use. It doubles with every further loss of the same segment.
///
/// That is how TCP takes the loss of the *last* segment of a message. In the middle of a long transfer a sender would notice
/// sooner, by the acknowledgements of later segments; a link does not model that, and is therefore harsher on bulk data
/// than a network with the same loss.
pub const RETRANSMISSION: Duration = Duration::from_millis(200);

/// The same for the segments of a handshake (RFC 6298 section 2: one second until a round trip has been measured).
pub const HANDSHAKE_RETRANSMISSION: Duration = Duration::from_secs(1);

/// Payload of a segment on an Ethernet with timestamps: 1500 bytes less 20 for IP, 20 for TCP and 12 for the option.
const SEGMENT: usize = 1448;

/// Losses in a row after which a segment arrives in any case; Linux gives up on a connection after as many
/// (`tcp_retries2`).
const LOSSES: u32 = 15;

/// The time between two attempts grows to this at most (`TCP_RTO_MAX`).
const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(120);

impl Impairment {
    /// Whether nothing passes.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.blackhole || self.loss >= 1.0
    }

    /// The delay that a number between 0 and 1 picks from the range that jitter makes of it.
    pub(crate) fn delay_at(&self, place: f64) -> Duration {
        let varied = self.delay + self.jitter.mul_f64(2.0 * place.clamp(0.0, 1.0));
        varied.saturating_sub(self.jitter)
    }

    /// How long data of so many bytes waits for retransmissions when `dice` rolls numbers from 0 to 1: as long as the
    /// segment that waits longest, because a stream is delivered in order.
    pub(crate) fn stall(&self, bytes: usize, first: Duration, mut dice: impl FnMut() -> f64) -> Duration {
        if self.loss <= 0.0 {
            return Duration::ZERO;
        }
        let segments = bytes.div_ceil(SEGMENT).max(1);
        let losses = (0..segments).map(|_| (0..LOSSES).take_while(|_| dice() < self.loss).count()).max().unwrap_or(0);
        let waits = std::iter::successors(Some(first), |wait| Some((*wait * 2).min(LONGEST_RETRANSMISSION)));
        waits.take(losses).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lossy(loss: f64) -> Impairment {
        Impairment { delay: Duration::ZERO, jitter: Duration::ZERO, loss, blackhole: false }
    }

    #[test]
    fn jitter_spreads_the_delay_evenly_and_never_below_zero() {
        let millis = Duration::from_millis;
        let usual = Impairment { delay: millis(100), jitter: millis(20), ..Impairment::default() };
        assert_eq!([0.0, 0.5, 1.0].map(|place| usual.delay_at(place)), [80, 100, 120].map(millis));
        let wide = Impairment { delay: millis(10), jitter: millis(30), ..Impairment::default() };
        assert_eq!([0.0, 0.5, 1.0].map(|place| wide.delay_at(place)), [0, 10, 40].map(millis));
    }

    #[test]
    fn every_further_loss_of_a_segment_doubles_the_wait() {
        for (losses, millis) in [(0, 0), (1, 200), (2, 600), (3, 1400)] {
            let mut rolls = 0;
            let stall = lossy(0.5).stall(10, RETRANSMISSION, || {
                rolls += 1;
                if rolls <= losses { 0.4 } else { 0.6 }
            });
            assert_eq!(stall, Duration::from_millis(millis), "after {losses} losses");
        }
    }

    #[test]
    fn one_roll_is_made_for_every_segment_that_arrives_at_once() {
        for (bytes, segments) in [(0, 1), (1, 1), (1448, 1), (1449, 2), (14480, 10)] {
            let mut rolls = 0;
            lossy(0.1).stall(bytes, RETRANSMISSION, || {
                rolls += 1;
                0.9
            });
            assert_eq!(rolls, segments, "{bytes} bytes");
        }
    }

    #[test]
    fn the_wait_is_bounded_however_unlucky_a_segment_is() {
        // 0.2 + 0.4 + ... + 102.4 s, ten waits, and 120 s for each of the other five.
        let expected = Duration::from_millis(204_600) + 5 * LONGEST_RETRANSMISSION;
        assert_eq!(lossy(0.5).stall(1, RETRANSMISSION, || 0.0), expected);
    }
}
