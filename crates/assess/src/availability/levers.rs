//! What would help: planned improvements, and what single changes of the most important components would give.

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use model::{
    Period,
    workload::{Availability, Component, Figures, Need, Workload},
};
use serde::Serialize;

use super::{
    Limits,
    assessment::{Contribution, Unable, availability},
    downtime::{YEAR, period},
    structure::Cause,
};

/// What an improvement gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gain {
    /// Which.
    pub name: String,
    /// What is to be expected with it.
    pub availability: Availability,
    /// Seconds of downtime per year that it saves; negative: it makes things worse.
    pub saves: f64,
    /// What it costs per month.
    pub cost: Option<f64>,
    /// Seconds of downtime per year that it saves for each unit of money that it costs in a month.
    pub saves_per_cost: Option<f64>,
    /// Whether the promise would be kept with it alone.
    pub enough: bool,
}

/// What a change of a component gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lever {
    /// The component.
    pub component: String,
    /// What is changed.
    pub change: Change,
    /// What is to be expected then.
    pub availability: Availability,
    /// Seconds of downtime per year that it saves.
    pub saves: f64,
}

/// A change of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is never down by itself: what can be gained at all.
    Perfect,
    /// One unit more, of which as many as now must work.
    OneMoreUnit,
    /// Its failures are noticed at once.
    NoticedAtOnce,
    /// It is restored in half the time.
    RestoredInHalf,
    /// It fails half as often.
    FailsHalfAsOften,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Perfect => "never fails",
            Self::OneMoreUnit => "has one unit more",
            Self::NoticedAtOnce => "failures are noticed at once",
            Self::RestoredInHalf => "is restored in half the time",
            Self::FailsHalfAsOften => "fails half as often",
        })
    }
}

/// Components whose levers are looked at: each takes some analyses of the whole, and nobody turns more at once.
const LEVERS_OF: usize = 5;

/// The workload with other components, and what would be needed then.
#[must_use]
pub fn changed(workload: &Workload, components: &[Component], needs: Option<&Need>) -> Workload {
    let mut changed = workload.clone();
    for component in components {
        match changed.components.iter_mut().find(|known| known.name == component.name) {
            Some(known) => component.clone_into(known),
            None => changed.components.push(component.clone()),
        }
    }
    if let Some(needs) = needs {
        needs.clone_into(&mut changed.needs);
    }
    changed
}

/// What each of the workload's planned improvements gives, the most for its cost first.
///
/// # Errors
/// As [`availability`].
pub(super) fn improvements(workload: &Workload, now: Availability, limits: &Limits) -> Result<Vec<Gain>, Unable> {
    let mut gains = Vec::new();
    for improvement in &workload.improvements {
        let then = availability(&changed(workload, &improvement.components, improvement.needs.as_ref()), limits)?;
        let saves = (now.down() - then.down()) * YEAR;
        gains.push(Gain {
            name: improvement.name.clone(),
            availability: then,
            saves,
            cost: improvement.cost,
            saves_per_cost: improvement.cost.filter(|cost| *cost > 0.0).map(|cost| saves / cost),
            enough: workload.objectives.availability.is_some_and(|target| then.down() <= target.down()),
        });
    }
    gains.sort_by(|one, other| {
        let key = |gain: &Gain| (gain.saves_per_cost.unwrap_or(f64::NEG_INFINITY), gain.saves);
        key(other).partial_cmp(&key(one)).unwrap_or(Ordering::Equal)
    });
    Ok(gains)
}

/// What single changes of the most important components give. Changes that give nothing are left out.
pub(super) fn levers(
    workload: &Workload,
    now: Availability,
    contributions: &[Contribution],
    limits: &Limits,
) -> Result<Vec<Lever>, Unable> {
    let mut weight: BTreeMap<&str, f64> = BTreeMap::new();
    for one in contributions.iter().filter(|one| !matches!(one.cause, Cause::Place(_))) {
        *weight.entry(one.cause.name()).or_default() += one.accounts_for;
    }
    let mut names: Vec<(&str, f64)> = weight.into_iter().filter(|(_, weight)| *weight > 0.0).collect();
    names.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut levers = Vec::new();
    for (name, _) in names.into_iter().take(LEVERS_OF) {
        let Some(component) = workload.components.iter().find(|component| component.name == name) else { continue };
        for (change, component) in changes(component) {
            let then = availability(&changed(workload, &[component], None), limits)?;
            let saves = (now.down() - then.down()) * YEAR;
            // A thousandth of a second in a year is rounding.
            if saves > 1e-3 {
                levers.push(Lever { component: name.to_owned(), change, availability: then, saves });
            }
        }
    }
    levers.sort_by(|one, other| other.saves.total_cmp(&one.saves));
    Ok(levers)
}

/// A component as it would be after each change that makes sense for it.
fn changes(component: &Component) -> Vec<(Change, Component)> {
    let mut changes = Vec::new();
    let Some(figures) = component.figures else { return changes };
    let mut add = |change: Change, make: &dyn Fn(&mut Component)| {
        let mut changed = component.clone();
        make(&mut changed);
        changes.push((change, changed));
    };
    let times = |figures: Figures| {
        let restore = figures.mttr?.as_secs_f64();
        let frequency = figures.frequency()?;
        // From repair to failure.
        Some((figures.availability.up() / frequency, restore, figures.detect.map(Period::as_secs_f64)))
    };
    add(Change::Perfect, &|changed| {
        changed.figures = Some(Figures::of(Availability::PERFECT));
        (changed.failover, changed.planned, changed.crews) = (None, None, None);
    });
    if !component.external {
        add(Change::OneMoreUnit, &|changed| changed.count = component.count + 1);
    }
    if let Some((between, restore, detect)) = times(figures)
        && !component.external
    {
        let with = |changed: &mut Component, between: f64, restore: f64| {
            let (between, restore) = (period(between), period(restore));
            changed.figures = Some(Figures {
                availability: Availability::from_times(between, restore),
                mttr: Some(restore),
                detect: None,
            });
        };
        if let Some(detect) = detect.filter(|detect| *detect > 0.0) {
            add(Change::NoticedAtOnce, &|changed| with(changed, between, (restore - detect).max(0.0)));
        }
        add(Change::RestoredInHalf, &|changed| with(changed, between, restore / 2.0));
        add(Change::FailsHalfAsOften, &|changed| with(changed, between * 2.0, restore));
    }
    changes
}
