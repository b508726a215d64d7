//! When requests are due.

use std::time::Duration;

use model::load::HttpLoad;

/// The intended send times of a load, counted from its start: fixed before the first request is sent, whatever the
/// system answers.
///
/// The rate moves linearly through the ramp and is then held for good. Request `k` is due when the integral of the rate
/// reaches `k`, so that the first is due when the load begins and no rounding accumulates.
#[derive(Debug, Clone)]
pub struct Schedule {
    stages: Vec<Stage>,
    /// The stage that the next request falls into.
    stage: usize,
    next: u64,
}

/// A stretch in which the rate moves linearly.
#[derive(Debug, Clone, Copy)]
struct Stage {
    /// When it begins, in seconds.
    start: f64,
    /// Its length in seconds; infinite for the last one.
    length: f64,
    /// Requests that are due before it.
    before: f64,
    /// Requests per second at its beginning.
    from: f64,
    /// Requests per second at its end.
    to: f64,
}

impl Schedule {
    /// The schedule of a load.
    #[must_use]
    pub fn of(load: &HttpLoad) -> Self {
        let ramp: Vec<(Duration, f64)> = load.ramp.iter().map(|&(length, rate)| (length.get(), rate)).collect();
        Self::new(&ramp, load.rate)
    }

    /// Moves through rates (length, requests per second at its end) from 0, then holds `rate`.
    #[must_use]
    pub fn new(ramp: &[(Duration, f64)], rate: f64) -> Self {
        let mut stages = Vec::with_capacity(ramp.len() + 1);
        let (mut start, mut before, mut from) = (0.0, 0.0, 0.0);
        for &(length, to) in ramp {
            let length = length.as_secs_f64();
            stages.push(Stage { start, length, before, from, to });
            start += length;
            before += length * f64::midpoint(from, to);
            from = to;
        }
        stages.push(Stage { start, length: f64::INFINITY, before, from: rate, to: rate });
        Self { stages, stage: 0, next: 0 }
    }

    /// When the next request is due; `None` when no request will ever be due again.
    pub fn peek(&mut self) -> Option<Duration> {
        // A count is exact as a float below 2^53, which is 285 years at a million per second.
        let number = self.next as f64;
        loop {
            let stage = self.stages[self.stage];
            if let Some(after) = stage.due(number - stage.before) {
                return Duration::try_from_secs_f64(stage.start + after).ok();
            }
            if self.stage + 1 == self.stages.len() {
                return None;
            }
            self.stage += 1;
        }
    }

    /// Goes on to the request after the one that [`Schedule::peek`] gives.
    pub const fn advance(&mut self) {
        self.next += 1;
    }
}

impl Stage {
    /// How long after the beginning so many requests have become due; `None` when not within this stage.
    fn due(&self, requests: f64) -> Option<f64> {
        if self.length.is_infinite() {
            return (self.from > 0.0).then(|| requests.max(0.0) / self.from);
        }
        if self.length <= 0.0 {
            return None;
        }
        // from * t + slope * t^2 / 2 = requests, solved in the form that is exact for a slope of zero as well.
        let slope = (self.to - self.from) / self.length;
        let root = self.from.mul_add(self.from, 2.0 * slope * requests);
        let divisor = self.from + root.max(0.0).sqrt();
        if root < 0.0 {
            return None;
        }
        let after = if requests <= 0.0 { 0.0 } else { 2.0 * requests / divisor };
        (after < self.length).then_some(after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(ramp: &[(u64, f64)], rate: f64, count: usize) -> Vec<f64> {
        let ramp: Vec<_> = ramp.iter().map(|&(millis, rate)| (Duration::from_millis(millis), rate)).collect();
        let mut schedule = Schedule::new(&ramp, rate);
        let mut times = Vec::new();
        while times.len() < count
            && let Some(due) = schedule.peek()
        {
            times.push(due.as_secs_f64());
            schedule.advance();
        }
        times
    }

    #[test]
    fn a_constant_rate_is_due_at_equal_distances_without_drift() {
        let times = times(&[], 1_000.0, 100_001);
        assert!((times[1] - 0.001).abs() < 1e-9);
        assert!((times[100_000] - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_ramp_sends_the_area_under_it() {
        // From 0 to 100/s in 10 s: 500 requests; half of the time has a quarter of them.
        let times = times(&[(10_000, 100.0)], 100.0, 600);
        assert_eq!(times.iter().filter(|&&due| due < 10.0 - 1e-9).count(), 500);
        assert_eq!(times.iter().filter(|&&due| due < 5.0).count(), 125);
        assert!((times[599] - times[598] - 0.01).abs() < 1e-9, "then the rate is held");
    }

    #[test]
    fn a_ramp_may_pause_and_end() {
        let with_pause = times(&[(1_000, 0.0), (1_000, 10.0), (2_000, 10.0)], 0.0, 1_000);
        assert_eq!(with_pause.len(), 25, "5 in the rise and 20 in the plateau: {with_pause:?}");
        assert!(with_pause[1] > 1.0);
        assert!(times(&[], 0.0, 10).is_empty());
    }

    proptest! {
        #[test]
        fn due_times_never_go_back(
            ramp in prop::collection::vec((0_u64..5_000, 0.0..500.0_f64), 0..5),
            rate in 0.0..500.0_f64,
        ) {
            let times = times(&ramp, rate, 2_000);
            prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", times);
        }
    }
}
