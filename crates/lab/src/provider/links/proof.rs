//! What a link's faults must do to exchanges, and whether they do. Pure: judged is what has been measured.
//!
//! An exchange is a new connection, a question of one segment, and the first bytes of the answer. A link with faults charges
//! it for the handshake and for the data, in each direction:
//!
//! ```text
//!   client ── SYN ──▶ forward        delay is added up; a lost segment shows as waiting, for 200 ms (data)
//!          ◀─ SYN ─── backward       or one second (handshake)
//!          ── data ─▶ forward
//!          ◀─ data ── backward
//! ```
//!
//! Chance decides how long a single exchange takes, and so does a busy machine. Therefore several are made before the fault
//! and under it, and a fault holds when as many of the latter are late as chance allows, and the former are not.

use std::time::Duration;

use proxy::{Faults, Impairment, RETRANSMISSION};

/// What an exchange came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The first bytes of an answer, so many, so long after it began.
    Answer { after: Duration, bytes: usize },
    /// Nothing, in all the time it was given.
    Silence,
    /// The connection was refused, or broken off.
    Broken,
}

/// What exchanges show of the faults of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effect {
    /// None is answered.
    Silence,
    /// Some wait for a retransmission.
    Waits {
        /// The share of segments that are lost.
        loss: f64,
        /// Whether those from the client are.
        forward: bool,
        /// Whether those to the client are.
        backward: bool,
    },
    /// All take longer.
    Delay {
        /// By so much at every leg,
        delay: Duration,
        /// give or take up to this, evenly, but never below zero,
        jitter: Duration,
        /// and so many legs are concerned, of four.
        legs: u32,
    },
}

/// What has been found, and whether that is what was to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) achieved: String,
    pub(super) holds: bool,
}

/// Under loss so many exchanges are made that this many are to be expected to wait: chance then gives 8 to 52 of them (four
/// standard deviations), far from the none of a link that loses nothing, and from the many of one that loses twice as much.
const EXPECTED_WAITS: f64 = 30.0;

/// And this many are to be expected not to wait, so that all of them waiting is more than chance allows (where most wait, 16 would
/// just do),
const EXPECTED_PUNCTUAL: f64 = 20.0;
/// as long as that takes no more exchanges than this: where nine of ten wait, losing nearly everything and losing everything
/// are the same to whoever waits.
const MOST_WAITING: f64 = 200.0;

/// Exchanges are so many at most: ten seconds of a usual load of 200 requests a second. What would need more cannot be shown
/// without the proof becoming a load of its own.
pub(super) const MOST: usize = 2000;

/// Exchanges under a delay that is always the same: none may be shorter, which one is by accident, sixteen in two or more
/// rounds are not.
const CONSTANT: usize = 16;

/// Exchanges under a delay that varies: half of them reach the middle, give or take 14 (four standard deviations).
const VARIED: usize = 48;

/// Exchanges before a delay, of which the fastest says what an exchange takes: with a millisecond or two each they take longer
/// than the other tasks of a busy machine have it to themselves.
const UNDISTURBED: usize = 100;

/// Exchanges under a blackhole: of so many, one at least is answered in time where no more than half of all segments are lost
/// one way (all but one time in two thousand).
const SILENT: usize = 16;

/// Standard deviations that chance is allowed; it takes more in one of 16,000 cases.
const DEVIATIONS: f64 = 4.0;

/// Payload of a segment, as links count them (1500 bytes less headers and the timestamp option).
const SEGMENT: usize = 1448;

/// How much shorter than configured a time may come out, not by chance, but because the machine was busier before.
const SHORTER: f64 = 0.9;

/// How much longer: what a link's timers and a busy machine add in proportion,
const LONGER: f64 = 1.05;
/// and what a machine that compiles beside adds to an exchange of four hops.
const BUSY: Duration = Duration::from_millis(25);

/// How long an exchange may take besides what the fault adds; a thousand times what it usually does.
const PATIENCE: Duration = Duration::from_millis(500);

impl Effect {
    /// What is to be seen of these faults; nothing of none.
    pub(super) fn of(faults: &Faults) -> Option<Self> {
        let idle = Impairment::default();
        let (forward, backward) = (faults.forward != idle, faults.backward != idle);
        // An injection does the same in both directions, or in one.
        let it = if forward { faults.forward } else { faults.backward };
        let legs = 2 * (u32::from(forward) + u32::from(backward));
        match it {
            _ if legs == 0 => None,
            it if it.blocks() => Some(Self::Silence),
            Impairment { loss, .. } if loss > 0.0 => Some(Self::Waits { loss, forward, backward }),
            Impairment { delay, jitter, .. } => Some(Self::Delay { delay, jitter, legs }),
        }
    }

    /// How many exchanges show it, which may be more than [`MOST`].
    pub(super) fn exchanges(&self) -> usize {
        match *self {
            Self::Silence => SILENT,
            Self::Delay { jitter, .. } => {
                if jitter.is_zero() {
                    CONSTANT
                } else {
                    VARIED
                }
            }
            // Answers of more than one segment only make it more probable.
            Self::Waits { .. } => {
                let late = self.late(1);
                let punctual = (EXPECTED_PUNCTUAL / (1.0 - late)).min(MOST_WAITING);
                let count = (EXPECTED_WAITS / late).max(punctual).ceil();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
                let count = count as usize;
                count
            }
        }
    }

    /// How many exchanges are made before it: not fewer, and so many that the fastest of them was not disturbed.
    pub(super) fn exchanges_before(&self) -> usize {
        match self {
            Self::Delay { .. } => UNDISTURBED,
            Self::Silence | Self::Waits { .. } => self.exchanges(),
        }
    }

    /// How long an exchange may take under it before it counts as unanswered.
    pub(super) fn patience(&self, before: &[Reply]) -> Duration {
        let usual = times(before);
        let slowest = usual.last().copied().unwrap_or_default();
        match *self {
            // Twenty times the slowest, lest a slow instance passes for a silent one.
            Self::Silence => PATIENCE + 20 * slowest,
            // There is no more to be learnt from one that waits than that it does.
            Self::Waits { .. } => usual.first().copied().unwrap_or_default() + RETRANSMISSION.mul_f64(0.9),
            Self::Delay { delay, jitter, legs } => PATIENCE + 2 * slowest + legs * (delay + jitter),
        }
    }

    /// How long an exchange takes under it on average, besides what it takes anyway.
    pub(super) fn mean(&self) -> Duration {
        match *self {
            Self::Silence => PATIENCE,
            Self::Waits { .. } => RETRANSMISSION.mul_f64(0.9 * self.late(1)),
            Self::Delay { delay, jitter, legs } => legs * mean(delay, jitter),
        }
    }

    /// Whether it was there in the exchanges of now, and not in those of before.
    pub(super) fn judge(&self, before: &[Reply], now: &[Reply]) -> Finding {
        let usual = times(before);
        let Some(fastest) = usual.first().copied() else {
            return Finding { achieved: "there was no answer before the fault".to_owned(), holds: false };
        };
        if now.is_empty() {
            return Finding { achieved: "nothing was measured under the fault".to_owned(), holds: false };
        }
        match *self {
            Self::Silence => silence(before, now),
            Self::Waits { .. } => {
                let bytes = before.iter().filter_map(|reply| match reply {
                    Reply::Answer { bytes, .. } => Some(*bytes),
                    Reply::Silence | Reply::Broken => None,
                });
                self.waits(
                    bytes.max().unwrap_or(0).div_ceil(SEGMENT).max(1),
                    &shifts(before, fastest),
                    &shifts(now, fastest),
                )
            }
            Self::Delay { delay, jitter, legs } => {
                delayed(delay, jitter, legs, &shifts(before, fastest), &shifts(now, fastest))
            }
        }
    }

    /// Segments of an exchange each of which delays it when it is lost: those of the handshake, the question, and the answer.
    fn segments(&self, answer: usize) -> usize {
        match *self {
            Self::Waits { forward, backward, .. } => 2 * usize::from(forward) + (1 + answer) * usize::from(backward),
            Self::Silence | Self::Delay { .. } => 0,
        }
    }

    /// The share of exchanges that wait for a retransmission when an answer has so many segments.
    fn late(&self, answer: usize) -> f64 {
        match *self {
            Self::Waits { loss, .. } => 1.0 - (1.0 - loss).powf(float(self.segments(answer))),
            Self::Silence | Self::Delay { .. } => 0.0,
        }
    }

    /// Judges loss by how many exchanges wait. What is late for other reasons, such as another fault, was so before.
    fn waits(&self, answer: usize, before: &[Option<Duration>], now: &[Option<Duration>]) -> Finding {
        let wait = RETRANSMISSION.mul_f64(0.9);
        let (usually, late) = (late(before, wait), late(now, wait));
        let (then, sent) = (float(before.len()), float(now.len()));
        let already = float(usually) / then;
        let expected = already + (1.0 - already) * self.late(answer);
        // What is not known exactly is what is there already, and what chance makes of it.
        let chance = deviation(sent, expected).hypot(deviation(then, already) * sent / then);
        // If nothing had changed, the exchanges of before and of now would be the same thing twice.
        let same = (float(usually) + float(late)) / (then + sent);
        let accident = deviation(sent, same).hypot(deviation(then, same) * sent / then);
        let excess = ((float(late) / sent - already) / (1.0 - already)).clamp(0.0, 1.0);
        let lost = 1.0 - (1.0 - excess).powf(1.0 / float(self.segments(answer)));
        Finding {
            achieved: format!(
                "{late} of {} exchanges waited for a retransmission, which is a loss of about {:.1} % ({usually} of {} before)",
                now.len(),
                lost * 100.0,
                before.len()
            ),
            // A rounding for the case that all are to wait.
            holds: (float(late) - sent * expected).abs() <= DEVIATIONS * chance + 1e-6
                && float(late) - sent * already > DEVIATIONS * accident,
        }
    }
}

/// By how much chance usually makes differ how many of so many do what each does with this probability.
fn deviation(count: f64, probability: f64) -> f64 {
    (count * probability * (1.0 - probability)).sqrt()
}

/// Judges a blackhole: who was answered before is not, and nobody says why.
fn silence(before: &[Reply], now: &[Reply]) -> Finding {
    let answered = times(before).len();
    let silent = now.iter().filter(|reply| **reply == Reply::Silence).count();
    Finding {
        achieved: format!(
            "{silent} of {} exchanges got no answer ({answered} of {} were answered before)",
            now.len(),
            before.len()
        ),
        holds: answered == before.len() && silent == now.len(),
    }
}

/// Judges a delay, by how many exchanges are late by as much as half of them must be. By counts, because these do not mind
/// how late the odd one is that the machine has forgotten.
fn delayed(
    delay: Duration,
    jitter: Duration,
    legs: u32,
    before: &[Option<Duration>],
    now: &[Option<Duration>],
) -> Finding {
    let varies = !jitter.is_zero();
    // What is subtracted is the fastest: too short is never the machine's fault.
    let shortest = (legs * delay).mul_f64(SHORTER);
    let longest = (legs * mean(delay, jitter)).mul_f64(LONGER) + BUSY;
    let (usually, reach) = (late(before, shortest), late(now, shortest));
    let mut found: Vec<_> = now.iter().flatten().copied().collect();
    found.sort_unstable();
    let keep = found.iter().filter(|shift| **shift <= longest).count();
    // Without jitter all are late; of evenly spread delays, half are, give or take what chance allows. (Where delays are cut
    // off at zero it is more than half.)
    let sent = float(now.len());
    let half = sent / 2.0 - DEVIATIONS * deviation(sent, 0.5);
    let (enough, below) = if varies { (half, half) } else { (sent, sent / 4.0) };
    let place = |percent: usize| found.get(found.len() * percent / 100).copied().unwrap_or_default();
    // Between the tenth and the ninetieth percent of sums of even spreads lie at least 0.7 of their width for each leg (up to
    // four); a third of that tells a spread from none. A machine's own spread is no smaller, so it passes for small jitter.
    let spread = place(90).saturating_sub(place(10)) >= legs * jitter / 4;
    Finding {
        achieved: format!(
            "+{} in the median ({} to {}) over {} exchanges of {legs} delays each",
            millis(place(50)),
            millis(place(0)),
            millis(found.last().copied().unwrap_or_default()),
            found.len()
        ),
        // In the exchanges of before at most one in sixteen may look as if it were delayed: a machine that makes more of them
        // so would make enough of them so.
        holds: float(reach) >= enough && float(keep) >= below && spread && usually * 16 <= before.len(),
    }
}

/// The mean of delays spread evenly around one, cut off at zero.
fn mean(delay: Duration, jitter: Duration) -> Duration {
    if jitter <= delay {
        return delay;
    }
    let longest = (delay + jitter).as_secs_f64();
    // Its triangle, over the width of the whole spread.
    Duration::from_secs_f64(longest * longest / (4.0 * jitter.as_secs_f64()))
}

/// The times of those that were answered, in order.
fn times(replies: &[Reply]) -> Vec<Duration> {
    let mut times: Vec<_> = replies
        .iter()
        .filter_map(|reply| match reply {
            Reply::Answer { after, .. } => Some(*after),
            Reply::Silence | Reply::Broken => None,
        })
        .collect();
    times.sort_unstable();
    times
}

/// How much longer than usual each took. Nobody knows of what was broken off; what is silent takes longer than anything.
fn shifts(replies: &[Reply], usual: Duration) -> Vec<Option<Duration>> {
    let shift = |reply: &Reply| match reply {
        Reply::Answer { after, .. } => Some(after.saturating_sub(usual)),
        Reply::Silence => Some(Duration::MAX),
        Reply::Broken => None,
    };
    replies.iter().map(shift).collect()
}

fn late(shifts: &[Option<Duration>], limit: Duration) -> usize {
    shifts.iter().flatten().filter(|shift| **shift >= limit).count()
}

#[expect(clippy::cast_precision_loss, reason = "some thousand")]
fn float(count: usize) -> f64 {
    count as f64
}

fn millis(time: Duration) -> String {
    if time == Duration::MAX { "no answer".to_owned() } else { format!("{:.1} ms", time.as_secs_f64() * 1e3) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proxy::HANDSHAKE_RETRANSMISSION;
    use rand::{Rng, SeedableRng, rngs::SmallRng};

    use super::*;

    /// A link of which only the times are there.
    struct Simulated {
        faults: Faults,
        dice: SmallRng,
        /// What the machine adds to an exchange, at most, in most cases; one in fifty takes ten times that.
        noise: Duration,
    }

    impl Simulated {
        fn leg(&mut self, of: Impairment, first: Duration) -> Duration {
            let (low, high) = (of.delay.as_secs_f64() - of.jitter.as_secs_f64(), (of.delay + of.jitter).as_secs_f64());
            let delay = Duration::from_secs_f64((low + (high - low) * self.dice.random::<f64>()).max(0.0));
            let mut wait = first;
            let mut whole = delay;
            while self.dice.random::<f64>() < of.loss && whole < Duration::from_secs(600) {
                whole += wait;
                wait *= 2;
            }
            whole
        }

        fn exchange(&mut self, patience: Duration) -> Reply {
            let Faults { forward, backward } = self.faults;
            let mut after = Duration::from_micros(800) + self.noise.mul_f64(self.dice.random());
            if self.dice.random_ratio(1, 50) {
                after += 10 * self.noise;
            }
            for (leg, first) in [
                (forward, HANDSHAKE_RETRANSMISSION),
                (backward, HANDSHAKE_RETRANSMISSION),
                (forward, RETRANSMISSION),
                (backward, RETRANSMISSION),
            ] {
                after += self.leg(leg, first);
            }
            let silent = self.faults.blocks_handshakes() || after > patience;
            if silent { Reply::Silence } else { Reply::Answer { after, bytes: 200 } }
        }

        fn sample(&mut self, count: usize, patience: Duration) -> Vec<Reply> {
            (0..count).map(|_| self.exchange(patience)).collect()
        }
    }

    /// Judges a link said to have `faults` and having `real` ones.
    fn judged(faults: Faults, real: Faults, seed: u64, noise: Duration) -> Finding {
        let effect = Effect::of(&faults).unwrap();
        let mut link = Simulated { faults: Faults::default(), dice: SmallRng::seed_from_u64(seed), noise };
        let before = link.sample(effect.exchanges_before(), Duration::from_secs(5));
        link.faults = real;
        let now = link.sample(effect.exchanges(), effect.patience(&before));
        effect.judge(&before, &now)
    }

    fn lossy(percent: f64) -> Impairment {
        Impairment { loss: percent / 100.0, ..Impairment::default() }
    }

    fn slow(delay: u64, jitter: u64) -> Impairment {
        let (delay, jitter) = (Duration::from_millis(delay), Duration::from_millis(jitter));
        Impairment { delay, jitter, ..Impairment::default() }
    }

    fn ways(impairment: Impairment) -> [Faults; 3] {
        let none = Impairment::default();
        [
            Faults { forward: impairment, backward: none },
            Faults { forward: none, backward: impairment },
            Faults::both(impairment),
        ]
    }

    fn impairment() -> impl Strategy<Value = Impairment> {
        prop_oneof![
            // From the least that can be shown to as much as leaves an answer now and then.
            (1.0..95.0).prop_map(lossy),
            (10_u64..2000, Just(0)).prop_map(|(delay, jitter)| slow(delay, jitter)),
            (10_u64..2000, 1_u64..2000).prop_map(|(delay, jitter)| slow(delay, jitter)),
            Just(Impairment { blackhole: true, ..Impairment::default() }),
        ]
    }

    /// Among a thousand links chance is allowed to spoil a measurement; there are three of each.
    fn one_of_three(faults: Faults, seed: u64, noise: Duration) -> bool {
        (0..3).any(|round| judged(faults, faults, seed.wrapping_mul(3).wrapping_add(round), noise).holds)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_there_is_proven(of in impairment(), way in 0_usize..3, seed in any::<u64>(), noise in 0_u64..3) {
            let faults = ways(of)[way];
            prop_assert!(one_of_three(faults, seed, Duration::from_millis(noise)), "{faults:?}");
        }

        #[test]
        fn what_is_not_there_never_is(of in impairment(), way in 0_usize..3, seed in any::<u64>(), noise in 0_u64..30) {
            let faults = ways(of)[way];
            let found = judged(faults, Faults::default(), seed, Duration::from_millis(noise));
            prop_assert!(!found.holds, "{faults:?}: {found:?}");
        }
    }

    #[test]
    fn much_more_or_much_less_than_configured_is_not_it() {
        for (said, real) in [
            (lossy(10.0), lossy(90.0)),
            (lossy(90.0), lossy(10.0)),
            (lossy(10.0), lossy(30.0)),
            (lossy(30.0), lossy(100.0)),
            (slow(100, 0), slow(80, 0)),
            (slow(100, 0), slow(150, 0)),
            (slow(100, 80), slow(250, 80)),
            (slow(100, 80), slow(20, 20)),
            (slow(100, 80), slow(100, 0)),
            (slow(100, 80), lossy(1.0)),
            (Impairment { blackhole: true, ..Impairment::default() }, lossy(20.0)),
        ] {
            for (said, real) in ways(said).into_iter().zip(ways(real)) {
                for seed in 0..20 {
                    let found = judged(said, real, seed, Duration::from_millis(1));
                    assert!(!found.holds, "{said:?}, really {real:?}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn who_was_silent_before_or_is_dead_now_proves_nothing() {
        let answer = Reply::Answer { after: Duration::from_millis(1), bytes: 100 };
        for of in [Impairment { blackhole: true, ..Impairment::default() }, lossy(50.0), slow(10, 0), slow(10, 10)] {
            let effect = Effect::of(&Faults::both(of)).unwrap();
            let all = |reply: Reply| vec![reply; effect.exchanges()];
            assert!(!effect.judge(&all(Reply::Silence), &all(Reply::Silence)).holds, "{effect:?}");
            assert!(!effect.judge(&[], &all(Reply::Silence)).holds, "{effect:?}");
            assert!(!effect.judge(&all(answer), &all(Reply::Broken)).holds, "{effect:?}");
            assert!(!effect.judge(&all(answer), &[]).holds, "{effect:?}");
        }
    }

    #[test]
    fn a_loss_that_comes_on_top_of_another_is_told_from_it() {
        let (one, two) = (lossy(10.0), lossy(40.0));
        let effect = Effect::of(&Faults::both(two)).unwrap();
        // Both together: 1 - 0.9 * 0.6.
        for (together, holds) in [(lossy(46.0), true), (one, false)] {
            let dice = SmallRng::seed_from_u64(1);
            let mut link = Simulated { faults: Faults::both(one), dice, noise: Duration::ZERO };
            // More than needed, so that it is not left to chance.
            let before = link.sample(500, Duration::from_secs(5));
            link.faults = Faults::both(together);
            let now = link.sample(500, effect.patience(&before));
            let found = effect.judge(&before, &now);
            assert_eq!(found.holds, holds, "{found:?}");
        }
    }

    #[test]
    fn the_achieved_loss_is_that_of_segments() {
        let found = judged(Faults::both(lossy(30.0)), Faults::both(lossy(30.0)), 4, Duration::ZERO);
        let percent = found.achieved.split("about ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!((15.0..45.0).contains(&percent.parse::<f64>().unwrap()), "{found:?}");
    }

    #[test]
    fn a_rare_loss_takes_more_exchanges_than_can_be_made() {
        let needs = |percent| Effect::of(&ways(lossy(percent))[0]).unwrap().exchanges();
        assert_eq!([needs(0.7) > MOST, needs(0.8) > MOST, needs(99.0) > MOST], [true, false, false]);
    }

    #[test]
    fn delays_cut_off_at_zero_are_longer_on_average() {
        let millis = Duration::from_millis;
        assert_eq!(mean(millis(100), millis(80)), millis(100));
        assert_eq!(mean(millis(100), millis(300)).as_millis(), 133);
        assert_eq!(mean(millis(0), millis(100)), millis(25));
    }
}
