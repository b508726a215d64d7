//! What an outage costs, and what it is worth to prevent one.
//!
//! | asked | answered by |
//! |---|---|
//! | What does an outage cost? | (revenue + people × their hour) × its hours |
//! | Is a programme worth it? | the outages that it avoids, less what it costs; the return on that |
//! | Which of these designs? | running costs + expected downtime × the hour of it, each compared with the present one |
//! | What was an experiment worth? | the outages that the weakness would have led to, less the hours of work |
//!
//! Nobody knows how often something would have happened; so beside each answer stands how often it must for the money to be well
//! spent.

use model::{
    cost::{CostModel, HaOption, HourOfDowntime, Outage, Programme, StatedCosts, Weakness},
    stated::Stated,
};
use serde::Serialize;

/// Hours of a year of 365 days, in which availability is usually told.
pub const HOURS_PER_YEAR: f64 = 8760.0;
const MONTHS_PER_YEAR: f64 = 12.0;

/// The answers to a calculation of costs. Amounts are in its currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What it is about.
    pub name: String,
    /// How amounts are written.
    pub currency: String,
    /// What an hour of downtime costs.
    pub hour: f64,
    /// The outage that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<OutageCost>,
    /// What the programme is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programme: Option<ProgrammeValue>,
    /// The options, in the order of the document.
    pub options: Vec<Choice>,
    /// What the experiments were worth, in the order of the document.
    pub findings: Vec<Found>,
}

/// An outage and its cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OutageCost {
    /// How long it lasts.
    pub hours: f64,
    /// What it costs.
    pub cost: f64,
}

/// What an outage costs: what an hour of it costs, times its hours.
#[must_use]
pub fn outage_cost(hour: HourOfDowntime, outage: Outage) -> OutageCost {
    let hours = hours(outage.duration);
    OutageCost { hours, cost: hour.cost() * hours }
}

fn hours(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

/// The return on something that was spent: what came back beyond it, as a share of it. None where nothing was spent.
#[must_use]
pub fn roi(benefit: f64, spent: f64) -> Option<f64> {
    (spent > 0.0).then(|| (benefit - spent) / spent)
}

/// What a programme against outages is worth in a year.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgrammeValue {
    /// What the outages that it avoids would have cost.
    pub avoided: f64,
    /// What it costs.
    pub spent: f64,
    /// What is left.
    pub net: f64,
    /// What is left, as a share of what it costs.
    pub roi: Option<f64>,
    /// How many outages a year it must avoid to pay for itself.
    pub break_even: Option<f64>,
}

/// What a programme is worth that avoids outages of this cost.
#[must_use]
pub fn programme_value(programme: Programme, outage: OutageCost) -> ProgrammeValue {
    let (avoided, spent) = (programme.avoids * outage.cost, programme.per_year);
    ProgrammeValue {
        avoided,
        spent,
        net: avoided - spent,
        roi: roi(avoided, spent),
        break_even: (outage.cost > 0.0).then(|| spent / outage.cost),
    }
}

/// One way to run a system, with what it costs in all.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// Its availability, from 0 to 1.
    pub availability: f64,
    /// What it costs each month.
    pub monthly: f64,
    /// What it costs once.
    pub once: f64,
    /// Hours of downtime to be expected in a year.
    pub down_hours: f64,
    /// What these cost.
    pub down_cost: f64,
    /// Running costs and cost of downtime of a year.
    pub yearly: f64,
    /// Compared with the first option; none for that one itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<Gain>,
    /// Another option that costs no more to run or to begin with, is as available, and better in one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beaten_by: Option<String>,
    /// What somebody else computed, checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// What is gained by one option instead of the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gain {
    /// What it costs more each month; negative if less.
    pub extra_monthly: f64,
    /// The same as a share of what the first one costs.
    pub extra_share: Option<f64>,
    /// Hours of downtime saved in a year.
    pub saved_hours: f64,
    /// What these are worth.
    pub saved: f64,
    /// What is left of that in a year after what it costs more.
    pub net: f64,
    /// What is left as a share of what it costs more to run: what is paid once is not in it.
    pub roi: Option<f64>,
    /// Months after which what is paid once has come back. None where it never does.
    pub payback_months: Option<f64>,
}

/// A figure that somebody else computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Of what.
    pub what: Figure,
    /// What was stated.
    pub stated: f64,
    /// What it is.
    pub computed: f64,
    /// Whether it is the same, as exactly as it was stated.
    pub agrees: bool,
}

/// A figure of an option that can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// What it costs each month.
    Monthly,
    /// Hours of downtime saved in a year.
    SavedHours,
    /// What these are worth.
    SavedPerYear,
    /// The return, as a share.
    Roi,
}

/// Answers everything that a calculation asks.
#[must_use]
pub fn assess(model: &CostModel) -> Report {
    let hour = model.hour.cost();
    let outage = model.outage.map(|outage| outage_cost(model.hour, outage));
    Report {
        name: model.name.clone(),
        currency: model.currency.clone(),
        hour,
        outage,
        programme: model.programme.zip(outage).map(|(programme, outage)| programme_value(programme, outage)),
        options: compare(&model.options, hour),
        findings: model.findings.iter().map(|weakness| found(weakness, model.hour)).collect(),
    }
}

/// Compares options, where an hour of downtime costs so much.
#[must_use]
pub fn compare(options: &[HaOption], hour: f64) -> Vec<Choice> {
    let mut choices: Vec<Choice> = options.iter().map(|option| choice(option, hour)).collect();
    if let Some((first, rest)) = choices.split_first_mut() {
        for other in rest {
            other.gain = Some(gain(first, other));
        }
    }
    for at in 0..choices.len() {
        let beats = |other: &&Choice| beats(other, &choices[at]);
        choices[at].beaten_by = choices.iter().find(beats).map(|other| other.name.clone());
    }
    for (choice, option) in choices.iter_mut().zip(options) {
        choice.checks = checks(&option.stated, choice);
    }
    choices
}

fn choice(option: &HaOption, hour: f64) -> Choice {
    let monthly: f64 = option.monthly.iter().map(|item| item.amount).sum();
    let down_hours = (1.0 - option.availability) * HOURS_PER_YEAR;
    let down_cost = down_hours * hour;
    Choice {
        name: option.name.clone(),
        availability: option.availability,
        monthly,
        once: option.once,
        down_hours,
        down_cost,
        yearly: monthly * MONTHS_PER_YEAR + down_cost,
        gain: None,
        beaten_by: None,
        checks: Vec::new(),
    }
}

fn gain(first: &Choice, other: &Choice) -> Gain {
    let extra_monthly = other.monthly - first.monthly;
    let saved_hours = (other.availability - first.availability) * HOURS_PER_YEAR;
    let saved = first.down_cost - other.down_cost;
    let extra = extra_monthly * MONTHS_PER_YEAR;
    let net = saved - extra;
    Gain {
        extra_monthly,
        extra_share: (first.monthly > 0.0).then(|| extra_monthly / first.monthly),
        saved_hours,
        saved,
        net,
        roi: roi(saved, extra),
        payback_months: (net > 0.0).then(|| (other.once - first.once).max(0.0) / (net / MONTHS_PER_YEAR)),
    }
}

fn beats(one: &Choice, other: &Choice) -> bool {
    let no_worse = one.monthly <= other.monthly && one.once <= other.once && one.availability >= other.availability;
    let better = one.monthly < other.monthly || one.once < other.once || one.availability > other.availability;
    no_worse && better
}

fn checks(stated: &StatedCosts, choice: &Choice) -> Vec<Check> {
    let check = |what, stated: Option<Stated>, computed: Option<f64>| {
        let (stated, computed) = stated.zip(computed)?;
        Some(Check { what, stated: stated.value, computed, agrees: stated.is(computed) })
    };
    let gain = choice.gain;
    [
        check(Figure::Monthly, stated.monthly, Some(choice.monthly)),
        check(Figure::SavedHours, stated.saved_hours, gain.map(|gain| gain.saved_hours)),
        check(Figure::SavedPerYear, stated.saved_per_year, gain.map(|gain| gain.saved)),
        check(Figure::Roi, stated.roi, gain.and_then(|gain| gain.roi)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What it was worth to find a weakness by an experiment instead of by an outage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// What was found.
    pub name: String,
    /// How long an outage would have lasted, in hours.
    pub outage_hours: f64,
    /// What it would have cost.
    pub outage_cost: f64,
    /// What the outages would have cost for as long as the repair helps.
    pub prevented: f64,
    /// Hours of work on experiment and repair.
    pub hours: f64,
    /// What these cost.
    pub spent: f64,
    /// What is left.
    pub net: f64,
    /// What is left, as a share of what was spent.
    pub roi: Option<f64>,
    /// How many outages the repair must prevent in a year for the work to be paid; one in so many years is its inverse.
    pub break_even: Option<f64>,
}

/// What it was worth to find a weakness.
#[must_use]
pub fn found(weakness: &Weakness, hour: HourOfDowntime) -> Found {
    let outage_hours = hours(weakness.duration);
    // Those who repair are there for the whole of it, also where a part of the service is lost.
    let per_hour = hour.revenue.mul_add(weakness.lost, hour.people * hour.person_hour);
    let outage_cost = per_hour * outage_hours;
    let prevented = outage_cost * weakness.outages_per_year * weakness.years;
    let hours = weakness.experiment_hours + weakness.repair_hours;
    let spent = hours * hour.person_hour;
    let at_stake = outage_cost * weakness.years;
    Found {
        name: weakness.name.clone(),
        outage_hours,
        outage_cost,
        prevented,
        hours,
        spent,
        net: prevented - spent,
        roi: roi(prevented, spent),
        break_even: (at_stake > 0.0).then(|| spent / at_stake),
    }
}

#[cfg(test)]
mod tests;
