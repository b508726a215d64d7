//! The clauses of a hypothesis, judged window by window.

use model::{
    hypothesis::Clause,
    metric::{Concern, Condition, Quantity},
    moment::Moment,
    period::Period,
    verdict::Window,
};
use observe::{Judgement, Measurements, Reading};

use super::{Evidence, lateness::Lateness, recovery_clauses, settled_since};
use crate::record::{Claim, ClauseResult, Held, WindowSpan, WindowValue};

/// A clause over one window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Over {
    pub(super) judgement: Judgement,
    pub(super) text: String,
    value: Option<f64>,
    samples: u64,
    /// Where a clause judges stretches: the one that decided.
    stretch: Option<Moment>,
    /// Where it is broken: how late the load's generator was, if that may be all there is to it.
    pub(super) late: Option<Lateness>,
}

/// All clauses of the hypothesis, judged.
pub(crate) fn judge(evidence: &Evidence<'_>) -> Vec<ClauseResult> {
    let hypothesis = &evidence.experiment.hypothesis;
    let steady = hypothesis.steady_state.iter().map(|clause| (Claim::SteadyState, clause));
    let during = hypothesis.during.iter().map(|clause| (Claim::During, clause));
    let recovery = recovery_clauses(evidence.experiment).iter().map(|clause| (Claim::Recovery, clause));
    steady.chain(during).chain(recovery).map(|(claim, clause)| one(evidence, claim, clause)).collect()
}

fn one(evidence: &Evidence<'_>, claim: Claim, clause: &Clause) -> ClauseResult {
    let over = |window| {
        let span = evidence.timeline.window(window).filter(|span| span.from < span.to)?;
        Some((span, over(clause, evidence.measurements, span.from, span.to)))
    };
    let (baseline, fault, recovery) = (over(Window::Baseline), over(Window::Fault), over(Window::Recovery));
    let mut result = ClauseResult {
        claim,
        clause: clause.to_string(),
        metric: clause.metric.clone(),
        wanted: clause.is,
        concern: concern(clause),
        baseline: baseline.as_ref().map(|(_, over)| over.shown()),
        fault: fault.as_ref().map(|(_, over)| over.shown()),
        recovery: recovery.as_ref().map(|(_, over)| over.shown()),
        held: None,
        why: "the run did not get that far".to_owned(),
        doubtful: false,
        held_after_seconds: None,
    };
    match claim {
        Claim::SteadyState => {
            if let Some((_, over)) = baseline {
                (result.held, result.why) = (Some(held(over.judgement)), over.why("in the baseline"));
            }
        }
        Claim::During => {
            if let Some(fault) = fault {
                (result.held, result.why, result.doubtful) = during(evidence, clause, fault, recovery);
            }
        }
        Claim::Recovery => recovery_clause(evidence, clause, &mut result),
    }
    result
}

/// Whether a violation is an outage or a degradation. A scraped series says nothing about that: only its author could.
fn concern(clause: &Clause) -> Concern {
    clause.metric.entry().map_or(Concern::Performance, |entry| entry.concern)
}

fn during(
    evidence: &Evidence<'_>,
    clause: &Clause,
    (fault_span, fault): (WindowSpan, Over),
    recovery: Option<(WindowSpan, Over)>,
) -> (Option<Held>, String, bool) {
    let is_broken = |over: &Over| over.judgement == Judgement::Broken;
    let surely = recovery.as_ref().filter(|(_, over)| is_broken(over) && over.late.is_none());
    // What is broken for certain outweighs what may be our own delay.
    if is_broken(&fault) && (fault.late.is_none() || surely.is_none()) {
        return (Some(Held::No), fault.why("in the fault window"), fault.late.is_some());
    }
    let Some((span, recovery)) = recovery else {
        return (Some(held(fault.judgement)), fault.why("in the fault window"), false);
    };
    match (fault.judgement, recovery.judgement) {
        (_, Judgement::Broken) => (Some(Held::No), recovery.why("in the recovery window"), recovery.late.is_some()),
        (Judgement::Holds, Judgement::Holds) => {
            let why = format!("{} in the fault window, {} until recovered", fault.text, recovery.text);
            (Some(Held::Yes), why, false)
        }
        // One of the windows is too short to be judged by itself: both together may do.
        _ => {
            let both = over(clause, evidence.measurements, fault_span.from, span.to);
            // A calm recovery does not make good what the fault window shows, however few samples show it.
            let shown_broken = fault.value.is_some_and(|value| !clause.is.holds(value));
            if both.judgement == Judgement::Holds && shown_broken {
                return (Some(held(fault.judgement)), fault.why("in the fault window"), false);
            }
            let why = both.why("from the first injection until recovered");
            (Some(held(both.judgement)), why, both.late.is_some())
        }
    }
}

fn recovery_clause(evidence: &Evidence<'_>, clause: &Clause, result: &mut ClauseResult) {
    let Some(span) = evidence.timeline.window(Window::Recovery) else { return };
    let start = evidence.timeline.first_injection().unwrap_or(span.from);
    let settle = evidence.experiment.windows.settle.get();
    // What counts is how it ended, not what it went through on the way.
    let last = over(clause, evidence.measurements, span.to.before(settle).max(span.from), span.to);
    result.recovery = Some(last.shown());
    let Some(since) = settled_since(clause, evidence.measurements, span.to, settle) else {
        let (held, why) = match last.judgement {
            Judgement::NotEnough { have, need } => (Held::NotEnough, too_few(have, need)),
            Judgement::Holds => {
                (Held::No, format!("it was {} at the end, but not for as long as it must settle", last.text))
            }
            Judgement::Broken => (Held::No, last.why("at the end of the recovery window")),
        };
        (result.held, result.why, result.doubtful) = (Some(held), why, last.late.is_some());
        return;
    };
    let took = since.since(start);
    result.held_after_seconds = Some(took.as_secs_f64());
    let took_text = Quantity { value: took.as_secs_f64(), unit: model::metric::Unit::Seconds };
    let after = if took.is_zero() {
        "it held all the time".to_owned()
    } else {
        format!("it held again {took_text} after the first injection")
    };
    (result.held, result.why) = match clause.within {
        Some(within) if took > within.get() => (Some(Held::Late), format!("{after}, later than {within}")),
        _ => (Some(Held::Yes), after),
    };
}

/// A clause over `(from, to]`: as a whole, or, with `every`, the worst of its stretches.
pub(super) fn over(clause: &Clause, measurements: &Measurements, from: Moment, to: Moment) -> Over {
    let judge = |reading: &Reading, from: Moment, to: Moment, stretch| {
        let late = Lateness::over(measurements, from, to);
        let late = late.may_account_for(clause, reading, measurements, from, to).then_some(late);
        Over { late, ..from_reading(clause, reading, stretch) }
    };
    let whole = || judge(&measurements.read(&clause.metric, from, to), from, to, None);
    let Some(every) = clause.every else { return whole() };
    let stretches = measurements.stretches(&clause.metric, from, to, every.get());
    // The last stretch may be short; with others beside it, it is judged, but too few samples in it mean nothing.
    let complete = stretches.len().saturating_sub(1).max(1);
    stretches
        .iter()
        .enumerate()
        .map(|(at, (start, reading))| (at, judge(reading, *start, (*start + every.get()).min(to), Some(*start))))
        .filter(|(at, over)| *at < complete || !matches!(over.judgement, Judgement::NotEnough { .. }))
        .map(|(_, over)| over)
        .max_by(|a, b| a.badness(&clause.is).total_cmp(&b.badness(&clause.is)))
        .unwrap_or_else(whole)
}

fn from_reading(clause: &Clause, reading: &Reading, stretch: Option<Moment>) -> Over {
    Over {
        judgement: reading.judge(&clause.is),
        text: text(reading, &clause.is),
        value: reading.worst_for(&clause.is),
        samples: reading.samples(),
        stretch,
        late: None,
    }
}

/// A reading as a person reads it, in the clause's unit.
fn text(reading: &Reading, is: &Condition) -> String {
    let quantity = |value: f64| Quantity { value, unit: is.quantity.unit }.to_string();
    match reading {
        Reading::Nothing => "nothing measured".to_owned(),
        Reading::Level { min, max, .. } if min < max => format!("{} to {}", quantity(*min), quantity(*max)),
        Reading::Level { last, .. } => quantity(*last),
        Reading::Value { value, .. } | Reading::Quantile { value, .. } => quantity(*value),
    }
}

pub(super) fn too_few(have: u64, need: u64) -> String {
    match have {
        0 => "nothing was measured".to_owned(),
        _ => format!("{have} samples are too few to tell; it takes {need}"),
    }
}

const fn held(judgement: Judgement) -> Held {
    match judgement {
        Judgement::Holds => Held::Yes,
        Judgement::Broken => Held::No,
        Judgement::NotEnough { .. } => Held::NotEnough,
    }
}

impl Over {
    fn shown(&self) -> WindowValue {
        WindowValue { text: self.text.clone(), value: self.value, samples: self.samples, held: held(self.judgement) }
    }

    /// How bad a stretch is beside the others: broken ones first, then those broken by what may be our own delay, then
    /// those nobody can judge; among equals the one that lies farthest on the wrong side.
    fn badness(&self, is: &Condition) -> f64 {
        use model::metric::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let class = match self.judgement {
            Judgement::Broken if self.late.is_none() => 3.0,
            Judgement::Broken => 2.0,
            Judgement::NotEnough { .. } => 1.0,
            Judgement::Holds => 0.0,
        };
        let distance = self.value.map_or(0.0, |value| {
            let off = value - is.quantity.value;
            match is.comparison {
                Less | LessOrEqual => off,
                Greater | GreaterOrEqual => -off,
                Equal => off.abs(),
                NotEqual => -off.abs(),
            }
        });
        // atan keeps the distance within the class: it stays below 1/2.
        class + distance.atan() / std::f64::consts::PI / 1.01
    }

    fn why(&self, place: &str) -> String {
        let place = match self.stretch {
            Some(start) => format!("{place}, in the stretch from {start}"),
            None => place.to_owned(),
        };
        match self.judgement {
            Judgement::Holds | Judgement::Broken => match self.late {
                Some(late) => format!(
                    "it was {} {place}, which may be the delay of the load's own generator: it was late to send {} there",
                    self.text,
                    late.text()
                ),
                None => format!("it was {} {place}", self.text),
            },
            Judgement::NotEnough { have, need } => format!("{} {place}", too_few(have, need)),
        }
    }
}

/// A time as a person reads it.
pub(super) fn seconds(seconds: f64) -> String {
    Quantity { value: seconds, unit: model::metric::Unit::Seconds }.to_string()
}

/// A period as a person reads it.
pub(super) fn period(period: Period) -> String {
    seconds(period.as_secs_f64())
}
