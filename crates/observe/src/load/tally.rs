//! What became of the requests.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use model::metric::Metric;

use super::http::{DUE_METRIC, LATE_METRIC};
use crate::{
    Clock, Measurements,
    measurements::{HTTP_LATENCY, HTTP_SUCCESS, Histogram, LONGEST, histogram},
};

/// How long successes and latencies are collected before they are handed over.
const BATCH: Duration = Duration::from_millis(100);
/// How long errors are: guards wait for them.
const URGENT: Duration = Duration::from_millis(5);
/// A request that is sent (or queued) later than this after it was due is late, which is the generator's fault and not the
/// system's: more than a loaded machine's scheduler takes, less than what most promises of latency allow.
const LATE: Duration = Duration::from_millis(5);

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// A response with a 4xx status.
    Status4xx,
    /// A response with a 5xx status.
    Status5xx,
    /// No response within the timeout.
    Timeout,
    /// The connection was refused, reset, or closed before the response was complete.
    Connect,
    /// What came back is not HTTP.
    Protocol,
    /// It was due, but within the timeout no connection was free to send it on.
    Unsent,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Status4xx, Self::Status5xx, Self::Timeout, Self::Connect, Self::Protocol, Self::Unsent];

    /// The metric that counts it.
    #[must_use]
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Status4xx => "http.errors.4xx",
            Self::Status5xx => "http.errors.5xx",
            Self::Timeout => "http.errors.timeout",
            Self::Connect => "http.errors.connect",
            Self::Protocol => "http.errors.protocol",
            Self::Unsent => "http.errors.unsent",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status4xx => "status 4xx",
            Self::Status5xx => "status 5xx",
            Self::Timeout => "timeout",
            Self::Connect => "connection refused, reset or closed",
            Self::Protocol => "not HTTP",
            Self::Unsent => "not sent in time",
        })
    }
}

/// What a whole load amounted to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Requests sent, counting those whose connection was refused.
    pub sent: u64,
    /// Requests answered with a status below 400.
    pub succeeded: u64,
    /// Requests that failed.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Requests that were in flight when the load was stopped without waiting for them. They are nowhere else.
    pub unfinished: u64,
    /// Latencies in microseconds from when each request was due: of all responses, and of requests that timed out or were not
    /// sent in time the time they waited.
    pub latency: Histogram,
    /// 99th percentile of how late the generator itself was to send (or queue) a request that was due.
    pub late: Duration,
    /// From the first request that was due to the end.
    pub length: Duration,
    /// The first error of each kind in words.
    pub examples: BTreeMap<ErrorKind, String>,
}

impl Summary {
    /// Requests that failed for any reason.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Whether the generator could not keep its schedule, so that the latencies say something about this machine and not
    /// only about the system.
    #[must_use]
    pub fn fell_behind(&self) -> bool {
        self.late > LATE
    }
}

/// Collects what becomes of requests, and hands it over in batches.
#[derive(Debug)]
pub(super) struct Tally {
    clock: Clock,
    measurements: Measurements,
    batch: Histogram,
    lateness: Histogram,
    answered_until: Metric,
    fresh: Fresh,
    last_batch: Instant,
    last_counts: Instant,
    summary: Summary,
}

/// Counts that have not been handed over.
#[derive(Debug, Default)]
struct Fresh {
    due: u64,
    late: u64,
    sent: u64,
    succeeded: u64,
    errors: [u64; ErrorKind::ALL.len()],
    any_error: bool,
    any: bool,
}

impl Tally {
    /// `place` is that of the load in its document, counted from 1.
    pub(super) fn new(clock: Clock, measurements: Measurements, place: usize, now: Instant) -> Self {
        let summary = Summary {
            sent: 0,
            succeeded: 0,
            errors: BTreeMap::new(),
            unfinished: 0,
            latency: histogram(),
            late: Duration::ZERO,
            length: Duration::ZERO,
            examples: BTreeMap::new(),
        };
        let tally = Self {
            clock,
            measurements,
            batch: histogram(),
            lateness: histogram(),
            answered_until: super::answered_until(place),
            fresh: Fresh::default(),
            last_batch: now,
            last_counts: now,
            summary,
        };
        tally.measurements.count(&Metric::new("http.requests"), clock.at(now), 0);
        tally.measurements.count(&Metric::new(HTTP_SUCCESS), clock.at(now), 0);
        tally.measurements.count(&Metric::new(DUE_METRIC), clock.at(now), 0);
        tally.measurements.count(&Metric::new(LATE_METRIC), clock.at(now), 0);
        tally.tell_answered_until(Some(now), now);
        tally
    }

    /// A request that was due is sent or queued now.
    pub(super) fn due(&mut self, late: Duration) {
        self.lateness.saturating_record(micros(late));
        self.fresh.due += 1;
        self.fresh.late += u64::from(late > LATE);
        self.fresh.any = true;
    }

    pub(super) const fn sent(&mut self) {
        self.fresh.sent += 1;
        self.fresh.any = true;
    }

    /// A response came.
    pub(super) fn answered(&mut self, status: u16, latency: Duration) {
        self.batch.saturating_record(micros(latency));
        match status {
            400..=499 => self.failed(ErrorKind::Status4xx, || format!("status {status}")),
            500.. => self.failed(ErrorKind::Status5xx, || format!("status {status}")),
            _ => {
                self.fresh.succeeded += 1;
                self.fresh.any = true;
            }
        }
    }

    /// A request failed without a response after it waited so long.
    pub(super) fn gave_up(&mut self, kind: ErrorKind, waited: Duration, why: impl FnOnce() -> String) {
        // A refused connection is no statement about how long a response takes; a timeout is, at least that long.
        if matches!(kind, ErrorKind::Timeout | ErrorKind::Unsent) {
            self.batch.saturating_record(micros(waited));
        }
        self.failed(kind, why);
    }

    fn failed(&mut self, kind: ErrorKind, why: impl FnOnce() -> String) {
        self.fresh.errors[kind as usize] += 1;
        self.fresh.any_error = true;
        self.fresh.any = true;
        self.summary.examples.entry(kind).or_insert_with(why);
    }

    pub(super) const fn unfinished(&mut self, requests: u64) {
        self.summary.unfinished += requests;
    }

    /// When there is something to hand over at the latest.
    pub(super) fn next_flush(&self) -> Option<Instant> {
        if self.fresh.any_error {
            Some(self.last_counts + URGENT)
        } else {
            self.fresh.any.then(|| self.last_batch + BATCH)
        }
    }

    /// Hands over what is due to be. Every request that was due before `answered_until` has come to an end; `None`: all.
    pub(super) fn flush(&mut self, answered_until: Option<Instant>, now: Instant) {
        if self.fresh.any_error && now - self.last_counts >= URGENT {
            self.flush_counts(now);
        }
        if now - self.last_batch >= BATCH {
            self.flush_batch(now);
            // After what became of those requests: whoever reads that they have come to an end finds how.
            self.tell_answered_until(answered_until, now);
        }
    }

    fn tell_answered_until(&self, until: Option<Instant>, now: Instant) {
        let level = until.map_or(f64::INFINITY, |until| self.clock.at(until).as_secs_f64());
        self.measurements.gauge(&self.answered_until, self.clock.at(now), level);
    }

    fn flush_counts(&mut self, now: Instant) {
        let at = self.clock.at(now);
        let fresh = std::mem::take(&mut self.fresh);
        // The rest of the batch, and up to when everything is answered, is still to be told.
        self.fresh.any = true;
        self.last_counts = now;
        let hand_over = |name: &str, events: u64| {
            if events > 0 {
                self.measurements.count(&Metric::new(name), at, events);
            }
        };
        hand_over(DUE_METRIC, fresh.due);
        hand_over(LATE_METRIC, fresh.late);
        hand_over("http.requests", fresh.sent);
        hand_over(HTTP_SUCCESS, fresh.succeeded);
        self.summary.sent += fresh.sent;
        self.summary.succeeded += fresh.succeeded;
        for kind in ErrorKind::ALL {
            let errors = fresh.errors[kind as usize];
            hand_over(kind.metric(), errors);
            if errors > 0 {
                *self.summary.errors.entry(kind).or_default() += errors;
            }
        }
    }

    fn flush_batch(&mut self, now: Instant) {
        if !self.batch.is_empty() {
            self.measurements.latencies(HTTP_LATENCY, None, self.clock.at(now), &self.batch);
            add(&mut self.summary.latency, &self.batch);
            self.batch.reset();
        }
        self.flush_counts(now);
        self.fresh.any = false;
        self.last_batch = now;
    }

    /// Hands over everything that is left.
    pub(super) fn finish(mut self, answered_until: Option<Instant>, started: Instant, now: Instant) -> Summary {
        self.flush_batch(now);
        self.tell_answered_until(answered_until, now);
        self.summary.late = Duration::from_micros(self.lateness.value_at_quantile(0.99));
        self.summary.length = now - started;
        self.summary
    }
}

fn add(all: &mut Histogram, more: &Histogram) {
    all.add(more).expect("both have the bounds of measurements::histogram");
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use model::Moment;

    use super::*;

    #[test]
    fn requests_that_the_generator_is_late_with_are_counted_over_all_loads() {
        let (clock, measurements, now) = (Clock::start(), Measurements::new(), Instant::now());
        for (place, late) in [(1, LATE), (2, LATE + Duration::from_millis(1))] {
            let mut tally = Tally::new(clock, measurements.clone(), place, now);
            for lateness in [Duration::ZERO, late, Duration::from_secs(1)] {
                tally.due(lateness);
            }
            tally.flush(Some(now), now + BATCH);
        }
        let total = |name: &str| measurements.events(&Metric::new(name), Moment::ZERO, Moment::from_secs(3_600));
        assert_eq!((total(DUE_METRIC), total(LATE_METRIC)), (Some(6), Some(3)));
    }

    #[test]
    fn until_when_all_is_answered_is_told_after_what_became_of_it() {
        let (clock, measurements, now) = (Clock::start(), Measurements::new(), Instant::now());
        let mut tally = Tally::new(clock, measurements.clone(), 1, now);
        let until = |at| measurements.read(&super::super::answered_until(1), clock.at(at), clock.at(at)).value();
        let due = now + Duration::from_secs(1);
        tally.gave_up(ErrorKind::Connect, Duration::ZERO, || "refused".to_owned());
        tally.flush(Some(due), now + URGENT);
        assert_eq!(until(now + URGENT), Some(clock.at(now).as_secs_f64()), "latencies may be on their way");
        assert_eq!(tally.next_flush(), Some(now + BATCH), "although every error is handed over");
        tally.flush(Some(due), now + BATCH);
        assert_eq!(until(now + BATCH), Some(clock.at(due).as_secs_f64()));
        assert_eq!(tally.next_flush(), None, "nobody is woken for nothing");
    }
}
