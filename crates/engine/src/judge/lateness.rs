//! Whether the load's own generator kept its schedule. A latency counts from when a request was due, so that what the
//! generator was late to send is charged to the system as well.
//!
//! That can only make latencies longer: a promise of latency that was kept was kept, however late the generator was. One
//! that was broken is the system's fault for certain only where it would be broken even if each late request had been
//! answered at once; otherwise nobody can tell, which is neither yellow nor red.

use model::{
    hypothesis::Clause,
    metric::{Comparison, Metric, MetricKind},
    moment::Moment,
    verdict::Window,
};
use observe::{
    Judgement, Measurements, Reading,
    load::http::{DUE_METRIC, LATE_METRIC},
    measurements::HTTP_LATENCY,
};

use super::Evidence;

/// From which share of late requests on the verdict says so: what the 99th percentile, the usual promise, notices.
const TELLING: f64 = 0.01;

/// How many requests were due in `(from, to]`, and of how many of them the generator itself was late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lateness {
    late: u64,
    due: u64,
}

impl Lateness {
    pub(super) fn over(measurements: &Measurements, from: Moment, to: Moment) -> Self {
        let count = |name: &str| measurements.events(&Metric::new(name), from, to).unwrap_or(0);
        Self { late: count(LATE_METRIC), due: count(DUE_METRIC) }
    }

    /// In words: `400 of 2000 requests`.
    pub(super) fn text(self) -> String {
        format!("{} of {} requests", self.late, self.due)
    }

    /// Whether it was late at all.
    pub(super) const fn is_late(self) -> bool {
        self.late > 0
    }

    /// Whether a clause that is broken over `(from, to]`, of which this is the lateness, might have held without it.
    pub(super) fn may_account_for(
        self,
        clause: &Clause,
        reading: &Reading,
        measurements: &Measurements,
        from: Moment,
        to: Moment,
    ) -> bool {
        if self.late == 0 || reading.judge(&clause.is) != Judgement::Broken {
            return false;
        }
        let late = count(self.late);
        let upwards = matches!(clause.is.comparison, Comparison::Greater | Comparison::GreaterOrEqual);
        match (clause.metric.entry().map(|entry| entry.kind), reading) {
            // What was sent late is answered late: missing here, it may have been counted in the next stretch.
            (Some(MetricKind::Rate), Reading::Value { value, .. }) if clause.metric.name == "http.rate" => {
                upwards && clause.is.holds(value + late / to.since(from).as_secs_f64().max(f64::MIN_POSITIVE))
            }
            // A delay of ours only helps what is promised to be slow.
            _ if upwards || !clause.metric.name.starts_with(HTTP_LATENCY) => false,
            (Some(MetricKind::Mean), Reading::Value { samples, .. }) => {
                let spread = measurements.spread(&clause.metric, from, to);
                // No late request can have taken longer than the longest of all.
                let rest = spread.sum() - late * spread.max().unwrap_or_default();
                clause.is.holds(rest.max(0.0) / count(*samples))
            }
            _ => !reading.is_broken_without(self.late, &clause.is),
        }
    }
}

/// What a verdict that rests on clauses adds where the generator was late from the first injection until the recovery.
pub(super) fn remark(evidence: &Evidence<'_>) -> Option<String> {
    let windows = [Window::Fault, Window::Recovery].map(|window| evidence.timeline.window(window));
    let from = windows[0]?.from;
    let to = windows.iter().flatten().map(|span| span.to).max()?;
    let Lateness { late, due } = Lateness::over(evidence.measurements, from, to);
    let share = count(late) / count(due.max(1));
    (share >= TELLING).then(|| {
        let percent = (share * 100.0).round();
        format!(
            "the load's own generator was late to send {percent} % of the requests since the first injection: their \
             latencies include its delay, and without it would be shorter"
        )
    })
}

/// Exact below 2^53, which is more requests than a run can send.
#[expect(clippy::cast_precision_loss, reason = "a run has fewer than 2^53 requests")]
const fn count(requests: u64) -> f64 {
    requests as f64
}
