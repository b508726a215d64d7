//! What outages cost, what is spent against them, and what was found by an experiment.
//!
//! Amounts are in the currency of the document. They are estimates, and kept as `f64`, which is exact to the cent up to
//! ninety million million.

use std::time::Duration;

use serde::Serialize;

use crate::stated::Stated;

/// A calculation of costs.
#[derive(Debug, Clone, PartialEq)]
pub struct CostModel {
    /// What it is about.
    pub name: String,
    /// How amounts are written: `$`, `€`, `JPY`.
    pub currency: String,
    /// What an hour of downtime costs.
    pub hour: HourOfDowntime,
    /// An outage whose cost is asked for.
    pub outage: Option<Outage>,
    /// A programme against outages, such as experiments.
    pub programme: Option<Programme>,
    /// What a system runs on now, and what it could run on, in the order of the document; the first one is compared with.
    pub options: Vec<HaOption>,
    /// Weaknesses that experiments found.
    pub findings: Vec<Weakness>,
}

/// What an hour without the service costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HourOfDowntime {
    /// Revenue that is lost.
    pub revenue: f64,
    /// People who put the fire out instead of working.
    pub people: f64,
    /// What an hour of one of them costs.
    pub person_hour: f64,
}

impl HourOfDowntime {
    /// What it costs in all.
    #[must_use]
    pub fn cost(self) -> f64 {
        self.people.mul_add(self.person_hour, self.revenue)
    }
}

/// An outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// How long it lasts.
    pub duration: Duration,
}

/// A programme against outages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Programme {
    /// What it costs in a year.
    pub per_year: f64,
    /// How many outages like the one of the document it avoids in a year.
    pub avoids: f64,
}

/// One way to run a system.
#[derive(Debug, Clone, PartialEq)]
pub struct HaOption {
    /// Its name.
    pub name: String,
    /// Its availability, from 0 to 1.
    pub availability: f64,
    /// What is paid for each month, in the order of the document.
    pub monthly: Vec<Item>,
    /// What is paid once.
    pub once: f64,
    /// What somebody else computed, to be checked.
    pub stated: StatedCosts,
}

/// Something that is paid for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// What.
    pub what: String,
    /// How much.
    pub amount: f64,
}

/// What somebody else computed for an option. Each with how exactly it was written.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StatedCosts {
    /// What it costs each month.
    pub monthly: Option<Stated>,
    /// Hours of downtime that it saves in a year.
    pub saved_hours: Option<Stated>,
    /// What these are worth.
    pub saved_per_year: Option<Stated>,
    /// Its return, as a share of what it costs more.
    pub roi: Option<Stated>,
}

/// A weakness that an experiment found.
#[derive(Debug, Clone, PartialEq)]
pub struct Weakness {
    /// What was found.
    pub name: String,
    /// How often it would have led to an outage, in a year.
    pub outages_per_year: f64,
    /// How long each would have lasted.
    pub duration: Duration,
    /// Share of the service that each would have taken, from 0 to 1.
    pub lost: f64,
    /// Hours of work that the experiment took, all people together.
    pub experiment_hours: f64,
    /// Hours of work that the repair took.
    pub repair_hours: f64,
    /// How long the repair helps, in years: until the part it is about is replaced.
    pub years: f64,
}
