//! Finding out how many calls at a time a dependency bears, by watching how long they take.
//!
//! After Netflix' [concurrency-limits][netflix]: what TCP does for a network it does for a service.
//!
//! [netflix]: https://github.com/Netflix/concurrency-limits

use std::time::Duration;

use crate::{clock::Moment, error::InvalidOption};

/// A limit that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// How it is found.
    pub algorithm: Algorithm,
    /// What it is in the beginning.
    pub initial: u32,
    /// It is never less: at least 1.
    pub min: u32,
    /// It is never more.
    pub max: u32,
}

/// How an [`Adaptive`] limit is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// One more when all is well, a part of it when something was lost.
    Aimd(Aimd),
    /// In proportion to how latency compares with what it was.
    Gradient(Gradient),
}

/// Additive increase, multiplicative decrease: Netflix' `AIMDLimit`, TCP Reno's rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aimd {
    /// What the limit is multiplied with on a timeout or an overload: above 0, below 1.
    pub decrease: f64,
}

/// The limit follows the ratio of the long-term latency to the present one: Netflix' `Gradient2Limit`, fed with averages
/// over windows as by its `WindowedLimit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gradient {
    /// How much slower than usual is still as usual: at least 1.
    pub tolerance: f64,
    /// How many calls may wait inside the dependency: what the limit tries to grow by each time.
    pub queue: u32,
    /// How much of each new value is believed: above 0, at most 1.
    pub smoothing: f64,
    /// One step of the algorithm is made at most this often ...
    pub window: Duration,
    /// ... and from at least so many calls.
    pub window_calls: u32,
}

/// One call, as an adaptive limit sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it ended.
    pub at: Moment,
    /// How long it took.
    pub latency: Duration,
    /// How many calls were under way, itself included.
    pub in_flight: u32,
    /// It timed out, or the dependency said it was overloaded.
    pub lost: bool,
}

/// What an [`Adaptive`] limit has found out so far. A plain value: calls must take turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    limit: f64,
    long_latency: Average,
    window: WindowSums,
}

/// The calls of the present window.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct WindowSums {
    began: Option<Moment>,
    calls: u32,
    latency: Duration,
    in_flight: u32,
}

/// An exponential average that begins as a plain one: Netflix' `ExpAvgMeasurement`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
struct Average {
    value: f64,
    values: u32,
}

/// After so many windows older latencies are forgotten, as in `Gradient2Limit`.
const LONG_WINDOW: f64 = 600.0;
/// So many first values are averaged plainly.
const WARM_UP: u32 = 10;

impl Adaptive {
    /// AIMD, down to nine tenths on a loss, as is Netflix' default.
    #[must_use]
    pub const fn aimd(initial: u32, min: u32, max: u32) -> Self {
        Self { algorithm: Algorithm::Aimd(Aimd { decrease: 0.9 }), initial, min, max }
    }

    /// Gradient with Netflix' defaults: half slower than usual is tolerated, four calls may wait, a fifth of each new
    /// value is believed, a step is made each second from at least ten calls.
    #[must_use]
    pub const fn gradient(initial: u32, min: u32, max: u32) -> Self {
        let gradient =
            Gradient { tolerance: 1.5, queue: 4, smoothing: 0.2, window: Duration::from_secs(1), window_calls: 10 };
        Self { algorithm: Algorithm::Gradient(gradient), initial, min, max }
    }

    pub(super) fn validate(&self) -> Result<(), InvalidOption> {
        if !(1 <= self.min && self.min <= self.initial && self.initial <= self.max) {
            let given = (self.min, self.initial, self.max);
            return Err(InvalidOption::new("bulkhead.adaptive", given, "1 <= min <= initial <= max"));
        }
        match &self.algorithm {
            Algorithm::Aimd(aimd) if !(aimd.decrease > 0.0 && aimd.decrease < 1.0) => {
                Err(InvalidOption::new("bulkhead.adaptive.decrease", aimd.decrease, "above 0 and below 1"))
            }
            Algorithm::Gradient(gradient) if !(gradient.tolerance.is_finite() && gradient.tolerance >= 1.0) => {
                Err(InvalidOption::new("bulkhead.adaptive.tolerance", gradient.tolerance, "at least 1"))
            }
            Algorithm::Gradient(gradient) if !(gradient.smoothing > 0.0 && gradient.smoothing <= 1.0) => {
                Err(InvalidOption::new("bulkhead.adaptive.smoothing", gradient.smoothing, "above 0 and at most 1"))
            }
            Algorithm::Aimd(_) | Algorithm::Gradient(_) => Ok(()),
        }
    }
}

impl Estimate {
    /// What is known in the beginning.
    #[must_use]
    pub fn new(adaptive: &Adaptive) -> Self {
        Self { limit: f64::from(adaptive.initial), long_latency: Average::default(), window: WindowSums::default() }
    }

    /// The limit.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between min and max, which are u32")]
    pub const fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// Takes a call into account.
    pub fn observe(&mut self, adaptive: &Adaptive, sample: &Sample) {
        let limit = match &adaptive.algorithm {
            Algorithm::Aimd(aimd) => self.aimd(aimd, sample),
            Algorithm::Gradient(gradient) => self.gradient(gradient, sample),
        };
        self.limit = limit.clamp(f64::from(adaptive.min), f64::from(adaptive.max));
    }

    fn aimd(&self, aimd: &Aimd, sample: &Sample) -> f64 {
        if sample.lost {
            self.limit * aimd.decrease
        } else if f64::from(sample.in_flight) * 2.0 >= self.limit {
            self.limit + 1.0
        } else {
            // Nobody asks for more: what it would bear is not known.
            self.limit
        }
    }

    fn gradient(&mut self, gradient: &Gradient, sample: &Sample) -> f64 {
        let Some((latency, in_flight)) = self.window.take(gradient, sample) else { return self.limit };
        let long = self.long_latency.add(latency);
        if long > 2.0 * latency {
            // Latency has come down for good; the average would take long to notice.
            self.long_latency.value *= 0.95;
        }
        if f64::from(in_flight) < self.limit / 2.0 {
            return self.limit;
        }
        let ratio = (gradient.tolerance * long / latency).clamp(0.5, 1.0);
        let target = self.limit * ratio + f64::from(gradient.queue);
        self.limit * (1.0 - gradient.smoothing) + target * gradient.smoothing
    }
}

impl WindowSums {
    /// Adds a call; when that completes a window, its mean latency in seconds and its most calls in flight.
    fn take(&mut self, gradient: &Gradient, sample: &Sample) -> Option<(f64, u32)> {
        let began = *self.began.get_or_insert(sample.at);
        self.calls += 1;
        self.latency = self.latency.saturating_add(sample.latency);
        self.in_flight = self.in_flight.max(sample.in_flight);
        if self.calls < gradient.window_calls || sample.at.since(began) < gradient.window {
            return None;
        }
        let done = std::mem::take(self);
        // Zero would divide by zero; no call takes less than a nanosecond.
        let mean = (done.latency.as_secs_f64() / f64::from(done.calls)).max(1e-9);
        Some((mean, done.in_flight))
    }
}

impl Average {
    fn add(&mut self, sample: f64) -> f64 {
        if self.values < WARM_UP {
            self.values += 1;
            self.value += (sample - self.value) / f64::from(self.values);
        } else {
            self.value += (sample - self.value) * 2.0 / (LONG_WINDOW + 1.0);
        }
        self.value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Drives a limit against a dependency that works on `capacity` calls at a time, `service` each, and queues the rest.
    fn settle(adaptive: Adaptive, capacity: u32, rounds: u32) -> Vec<u32> {
        let service = Duration::from_millis(10);
        let mut estimate = Estimate::new(&adaptive);
        let mut at = Moment::ZERO;
        let mut limits = Vec::new();
        for _ in 0..rounds {
            let in_flight = estimate.limit();
            let latency = service * in_flight.div_ceil(capacity).max(1);
            for _ in 0..in_flight {
                at = at + Duration::from_millis(1);
                let lost = latency > service * 4;
                estimate.observe(&adaptive, &Sample { at, latency, in_flight, lost });
            }
            limits.push(estimate.limit());
        }
        limits
    }

    #[test]
    fn aimd_swings_around_what_loses_nothing() {
        let limits = settle(Adaptive::aimd(10, 1, 1000), 20, 300);
        let settled = &limits[100..];
        // A call is lost from 81 in flight on; the sawtooth stays under and comes back.
        assert!(settled.iter().all(|limit| *limit <= 170), "{settled:?}");
        assert!(settled.iter().any(|limit| *limit < 81) && settled.iter().any(|limit| *limit >= 41), "{settled:?}");
    }

    #[test]
    fn a_gradient_grows_while_latency_stays_and_shrinks_when_it_does_not() {
        let mut adaptive = Adaptive::gradient(20, 5, 500);
        let Algorithm::Gradient(gradient) = &mut adaptive.algorithm else { panic!("it is a gradient") };
        gradient.window = Duration::from_millis(10);
        let mut estimate = Estimate::new(&adaptive);
        let mut at = Moment::ZERO;
        let mut run = |estimate: &mut Estimate, latency, calls: u32| {
            for _ in 0..calls {
                at = at + Duration::from_millis(1);
                let in_flight = estimate.limit();
                estimate.observe(&adaptive, &Sample { at, latency, in_flight, lost: false });
            }
            estimate.limit()
        };
        let usual = run(&mut estimate, Duration::from_millis(10), 1000);
        assert!(usual > 50, "{usual}");
        let slow = run(&mut estimate, Duration::from_millis(100), 500);
        assert!(slow < usual / 2, "{usual} -> {slow}");
    }

    #[test]
    fn a_limit_nobody_uses_does_not_grow() {
        for adaptive in [Adaptive::aimd(20, 1, 100), Adaptive::gradient(20, 1, 100)] {
            let mut estimate = Estimate::new(&adaptive);
            for second in 0..100 {
                let at = Moment::from_millis(second * 1000);
                let sample = Sample { at, latency: Duration::from_millis(1), in_flight: 1, lost: false };
                estimate.observe(&adaptive, &sample);
            }
            assert_eq!(estimate.limit(), 20);
        }
    }

    proptest! {
        #[test]
        fn the_limit_stays_between_its_bounds(
            gradient: bool,
            samples in prop::collection::vec((0_u64..10_000, 0_u32..1000, any::<bool>()), 1..500),
        ) {
            let adaptive = if gradient { Adaptive::gradient(10, 5, 50) } else { Adaptive::aimd(10, 5, 50) };
            let mut estimate = Estimate::new(&adaptive);
            for (number, (micros, in_flight, lost)) in (0_u64..).zip(samples) {
                let at = Moment::from_millis(number * 100);
                estimate.observe(&adaptive, &Sample { at, latency: Duration::from_micros(micros), in_flight, lost });
                prop_assert!((5..=50).contains(&estimate.limit()));
            }
        }
    }
}
