//! From clauses, events and measurements to a verdict. Pure: it reads, and reads the same again.
//!
//! Every clause is judged over the windows that it is about, each window by itself, so that a short peak in one is not
//! diluted by a long calm in another:
//!
//! | claim | holds when |
//! |---|---|
//! | `steadyState` | its condition holds over the baseline |
//! | `during` | it holds over the fault window, and over the recovery window up to the moment of recovery; with `every`, over each stretch of them |
//! | `recovery` | it holds again, and goes on holding for `settle`; late where that is later than `within` after the first injection |
//!
//! A latency clause that was broken, but might have held had the load's own generator been on time, decides nothing: see
//! `lateness`.
//!
//! A document without recovery clauses claims that the steady state comes back: it must hold before and after.

use std::time::Duration;

use model::{experiment::Experiment, hypothesis::Clause, load::Load, metric::MetricKind, moment::Moment};
use observe::{Judgement, Measurements};

mod clauses;
mod lateness;
mod suggest;
#[cfg(test)]
mod tests;
mod times;
mod verdict;

pub(crate) use clauses::judge as clauses;
pub(crate) use suggest::suggest;
pub(crate) use times::times;
pub(crate) use verdict::verdict;

use self::lateness::Lateness;
use crate::{plan::Plan, record::WindowSpan, run::Steady, timeline::Timeline};

/// How long nothing may be answered where a system counts as recovered: one that hangs is silent, and so breaks no clause.
/// Two of the seconds by which it is judged how long a clause has held.
const FRESH: Duration = Duration::from_secs(2);

/// What there is to judge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) experiment: &'a Experiment,
    pub(crate) plan: &'a Plan,
    pub(crate) events: &'a [model::event::Event],
    pub(crate) timeline: &'a Timeline,
    pub(crate) measurements: &'a Measurements,
    /// Whether a person interrupted the run.
    pub(crate) interrupted: bool,
}

impl Evidence<'_> {
    /// Whether no measurement says of any moment of the window that a recovery clause did not hold.
    fn held_throughout(&self, window: WindowSpan) -> bool {
        let held = |clause: &Clause| {
            let since = self.measurements.held_since(&clause.metric, &clause.is, window.to);
            since.is_some_and(|since| since <= window.from)
        };
        recovery_clauses(self.experiment).iter().all(held)
    }
}

/// The clauses that say what recovered means: those of `recovery`, or else the steady state.
pub(crate) fn recovery_clauses(experiment: &Experiment) -> &[Clause] {
    let hypothesis = &experiment.hypothesis;
    if hypothesis.recovery.is_empty() { &hypothesis.steady_state } else { &hypothesis.recovery }
}

/// What a baseline says of the steady state, and in words. A clause that is broken, or that too few samples tell anything of,
/// while the load's own generator was late says nothing of the system where that may be all there is to it.
pub(crate) fn steady_state(
    experiment: &Experiment,
    measurements: &Measurements,
    from: Moment,
    to: Moment,
) -> (Steady, String) {
    let clauses = &experiment.hypothesis.steady_state;
    if clauses.is_empty() {
        return (Steady::Held, "no steady state is claimed".to_owned());
    }
    let lateness = Lateness::over(measurements, from, to);
    let mut found = Steady::Held;
    let mut wrong = Vec::new();
    for clause in clauses {
        let value = clauses::over(clause, measurements, from, to);
        let (disturbed, why) = match value.judgement {
            Judgement::Holds => continue,
            Judgement::Broken => (value.late.is_some(), format!("{clause}: it was {}", value.text)),
            Judgement::NotEnough { have, need } => {
                (lateness.is_late(), format!("{clause}: {}", clauses::too_few(have, need)))
            }
        };
        found = found.max(if disturbed { Steady::Disturbed } else { Steady::Broken });
        wrong.push(why);
    }
    let wrong = wrong.join("; ");
    let reason = match found {
        Steady::Held => format!("{} of {} clauses hold", clauses.len(), clauses.len()),
        Steady::Disturbed => format!("{wrong}, while the load's own generator was late to send {}", lateness.text()),
        Steady::Broken => wrong,
    };
    (found, reason)
}

/// Whether the system has recovered by now, watched since `began`: every recovery clause has held, without interruption,
/// for as long as the document's `settle`, and of every request that was due before `began` it is known what became of it:
/// one that hangs since the fault is seen only when the load gives it up. In words, if so.
pub(crate) fn recovered(
    experiment: &Experiment,
    measurements: &Measurements,
    began: Moment,
    now: Moment,
) -> Option<String> {
    let settle = experiment.windows.settle.get();
    if now.since(began) < settle || hanging(experiment, measurements, began, now).is_some() {
        return None;
    }
    let clauses = recovery_clauses(experiment);
    let settled = clauses.iter().all(|clause| {
        settled_since(clause, measurements, now, settle).is_some() && speaks(clause, measurements, began, now)
    });
    settled.then(|| {
        if clauses.is_empty() {
            format!("nothing is claimed about recovery; watched for {}", experiment.windows.settle)
        } else {
            format!("{} of {} clauses hold, for {}", clauses.len(), clauses.len(), experiment.windows.settle)
        }
    })
}

/// The first load of which requests that were due before `began` are still unanswered at `now`, by its place in the
/// document. A load that ended by itself waits for none: the verdict says that it ended.
pub(crate) fn hanging(
    experiment: &Experiment,
    measurements: &Measurements,
    began: Moment,
    now: Moment,
) -> Option<usize> {
    let level = |metric| measurements.read(&metric, now, now).value();
    (1..).zip(&experiment.load).find_map(|(place, load)| {
        let asks = matches!(load, Load::Http(_)) && level(observe::load::running(place)).is_none();
        let until = level(observe::load::answered_until(place));
        (asks && until.is_some_and(|until| until < began.as_secs_f64())).then_some(place)
    })
}

/// Whether what a clause is about was measured lately, and since `began`. A gauge keeps its level until it is set again.
fn speaks(clause: &Clause, measurements: &Measurements, began: Moment, now: Moment) -> bool {
    if clause.metric.entry().is_none_or(|entry| entry.kind == MetricKind::Gauge) {
        return true;
    }
    now.since(began) >= FRESH && measurements.read(&clause.metric, now.before(FRESH), now).samples() > 0
}

/// Since when a clause has held at `until`, if that is at least `settle` long.
pub(crate) fn settled_since(
    clause: &Clause,
    measurements: &Measurements,
    until: Moment,
    settle: Duration,
) -> Option<Moment> {
    let since = measurements.held_since(&clause.metric, &clause.is, until)?;
    (until.since(since) >= settle).then_some(since)
}
