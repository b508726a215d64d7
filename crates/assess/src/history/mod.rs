//! What incidents of the past say about availability, and whether it gets better.
//!
//! ```text
//!                                 ┌ figures   availability, MTBF, MTTR, MTTD with intervals, for any stretch
//!   History ─▶ downtime ──────────┼ periods   the same by month, week or day
//!   (incidents)  (overlap once,   ├ trend     do failures become rarer, and repairs shorter?
//!                 weighted)       ├ change    before and after something: an improvement, or luck?
//!                                 └ stated    is an availability that somebody computed the one of these incidents?
//! ```
//!
//! Everything is a pure function of the [`History`]. Times of day play no part but in where periods begin.

mod change;
pub(crate) mod distribution;
mod downtime;
mod figures;
mod periods;
mod stated;
mod trend;

use std::borrow::Borrow;

use model::incident::{History, Incident, Kind, Stretch};
use serde::Serialize;

pub use self::{
    change::{Comparison, Ratio, rate_ratio},
    downtime::Downtime,
    figures::{Estimate, Figures},
    periods::By,
    stated::StatedCheck,
    trend::{Direction, FailureTrend, RepairTrend, failure_trend, repair_trend},
};

/// The confidence of intervals that nobody asked another of. Nineteen in twenty is what readers of reports expect.
pub const USUAL_CONFIDENCE: f64 = 0.95;

/// What a history amounts to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The service.
    pub name: String,
    /// The stretch that was observed.
    pub observed: Stretch,
    /// The confidence of all intervals, from 0 to 1.
    pub confidence: f64,
    /// The figures of all of it.
    pub whole: Figures,
    /// The target, and what is left of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What somebody else computed, checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated: Option<StatedCheck>,
    /// What each incident took from the availability, in the order of the history.
    pub incidents: Vec<Share>,
    /// The figures of each period; empty when none were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<Period>,
    /// Whether failures become rarer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<FailureTrend>,
    /// Whether repairs become shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repairs: Option<RepairTrend>,
    /// Before and after a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Comparison>,
}

impl Report {
    /// The incidents of which anything lies in the stretch that was observed.
    pub fn counted(&self) -> impl Iterator<Item = &Share> {
        self.incidents.iter().filter(|share| !share.outside)
    }

    /// How many do not.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.incidents.iter().filter(|share| share.outside).count()
    }

    /// Whether there are incidents, and none that counts.
    #[must_use]
    pub fn misses_all(&self) -> bool {
        misses_all(&self.incidents)
    }
}

fn misses_all(incidents: &[Share]) -> bool {
    !incidents.is_empty() && incidents.iter().all(|share| share.outside)
}

/// A target, and what became of its error budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The availability that was aimed at, from 0 to 1.
    pub availability: f64,
    /// Availability minus target, in percentage points; negative when it was missed.
    pub gap_points: f64,
    /// Seconds that could have been lost.
    pub budget_seconds: f64,
    /// Seconds that were.
    pub spent_seconds: f64,
    /// Whether it was reached; none where there are incidents and all of them lie outside: then the stretch is probably not the one
    /// that was meant.
    pub reached: Option<bool>,
}

impl Target {
    fn new(availability: f64, whole: &Figures, incidents: &[Share]) -> Self {
        let budget_seconds = (1.0 - availability) * whole.observed_seconds;
        Self {
            availability,
            gap_points: (whole.availability.value.unwrap_or(1.0) - availability) * 100.0,
            budget_seconds,
            spent_seconds: whole.lost_seconds,
            reached: (!misses_all(incidents)).then_some(whole.lost_seconds <= budget_seconds),
        }
    }
}

/// One incident's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// What happened.
    pub title: String,
    /// How bad it was.
    pub kind: Kind,
    /// When.
    pub stretch: Stretch,
    /// The share of the service that was lost meanwhile.
    pub lost: f64,
    /// Seconds within the stretch that was observed.
    pub seconds: f64,
    /// Whether all of it lies outside of that stretch, so that it counts nothing.
    pub outside: bool,
    /// What the availability would have been without it, from 0 to 1.
    pub without: f64,
}

/// The figures of one period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// Its name: `2024-01`, `2024-W03`, `2024-01-15`.
    pub name: String,
    /// What of it was observed.
    pub stretch: Stretch,
    /// Its figures.
    pub figures: Figures,
}

/// What a history amounts to. `confidence` lies within (0, 1).
#[must_use]
pub fn analyse(history: &History, by: Option<By>, confidence: f64) -> Report {
    let down = Downtime::of(&history.incidents);
    let observed = history.observed;
    let whole = Figures::of(&down, &history.incidents, observed, confidence);
    let incidents: Vec<Share> = (0..history.incidents.len()).map(|at| share(history, at)).collect();
    let periods = by.map(|by| by.divide(observed, &history.time_zone)).unwrap_or_default();
    Report {
        name: history.name.clone(),
        observed,
        confidence,
        target: history.target.map(|target| Target::new(target, &whole, &incidents)),
        stated: history.stated.map(|stated| StatedCheck::of(stated, &history.incidents, observed)),
        incidents,
        periods: periods
            .into_iter()
            .map(|(name, stretch)| Period {
                name,
                stretch,
                figures: Figures::of(&down, &history.incidents, stretch, confidence),
            })
            .collect(),
        failures: failure_trend(&down, observed, confidence),
        repairs: repair_trend(&down, observed),
        change: history.change.as_ref().and_then(|change| Comparison::of(&down, observed, change, confidence)),
        whole,
    }
}

fn share(history: &History, at: usize) -> Share {
    let incident = &history.incidents[at];
    let others = history.incidents.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other);
    let within = incident.stretch().meet(history.observed);
    Share {
        title: incident.title.clone(),
        kind: incident.kind,
        stretch: incident.stretch(),
        lost: incident.lost,
        seconds: within.map_or(0.0, |stretch| stretch.length().as_secs_f64()),
        outside: incident.restored <= history.observed.from || history.observed.to <= incident.began,
        without: availability(others, history.observed),
    }
}

/// The availability over a stretch with these incidents, from 0 to 1: one minus the share of the service that was lost.
///
/// What overlaps is counted once, as the worst of it.
pub fn availability(incidents: impl IntoIterator<Item: Borrow<Incident>>, observed: Stretch) -> f64 {
    let down = Downtime::of(incidents);
    1.0 - down.lost_within(observed) / observed.length().as_secs_f64()
}
