//! Shares of time as time: what an availability allows, and what a promise leaves to spend.

use std::time::Duration;

use model::{Period, workload::Availability};
use serde::Serialize;

/// Seconds of a year of 365 days, as the tables of service levels count them.
pub const YEAR: f64 = 365.0 * DAY;
/// Seconds of a month of 30 days.
pub const MONTH: f64 = 30.0 * DAY;
/// Seconds of a week.
pub const WEEK: f64 = 7.0 * DAY;
const DAY: f64 = 86_400.0;

/// How long something is down in the long run, per year of 365 days, month of 30, and week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Downtime {
    /// Seconds per year.
    pub year: f64,
    /// Seconds per month.
    pub month: f64,
    /// Seconds per week.
    pub week: f64,
}

impl Downtime {
    /// What an availability leaves.
    #[must_use]
    pub fn of(availability: Availability) -> Self {
        let down = availability.down();
        Self { year: down * YEAR, month: down * MONTH, week: down * WEEK }
    }
}

/// How much downtime a promise allows, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBudget {
    /// What the promise allows.
    pub allowed: Downtime,
    /// The share of it that is used in the long run: above 1, too much. Infinite where nothing is allowed and something used.
    pub used: f64,
}

impl ErrorBudget {
    /// Of a promise, by what is to be expected.
    #[must_use]
    pub fn of(promised: Availability, expected: Availability) -> Self {
        let used = match (promised.down() > 0.0, expected.down() > 0.0) {
            (_, false) => 0.0,
            (true, true) => expected.down() / promised.down(),
            (false, true) => f64::INFINITY,
        };
        Self { allowed: Downtime::of(promised), used }
    }
}

/// A number of seconds as a period; what no period can hold becomes the longest or none.
#[must_use]
pub fn period(seconds: f64) -> Period {
    Period::new(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row "N-21": the 21 cells of the table of availability tiers, in the unit that it uses.
    #[test]
    fn the_table_of_tiers_is_right() {
        const HOUR: f64 = 3600.0;
        let tiers = [
            ("90%", 36.5 * DAY, 3.0 * DAY, 16.8 * HOUR),
            ("95%", 18.25 * DAY, 1.5 * DAY, 8.4 * HOUR),
            ("99%", 3.65 * DAY, 7.2 * HOUR, 1.68 * HOUR),
            ("99.9%", 8.76 * HOUR, 43.2 * 60.0, 10.1 * 60.0),
            ("99.95%", 4.38 * HOUR, 21.6 * 60.0, 5.04 * 60.0),
            ("99.99%", 52.56 * 60.0, 4.32 * 60.0, 1.01 * 60.0),
            ("99.999%", 5.26 * 60.0, 25.9, 6.05),
        ];
        for (text, year, month, week) in tiers {
            let down = Downtime::of(text.parse().unwrap());
            // The table rounds to three digits.
            for (computed, printed) in [(down.year, year), (down.month, month), (down.week, week)] {
                assert!((computed / printed - 1.0).abs() < 0.005, "{text}: {computed} is not {printed}");
            }
        }
    }

    #[test]
    fn a_budget_says_how_much_of_it_is_used() {
        let budget = ErrorBudget::of("99.9%".parse().unwrap(), "99.85%".parse().unwrap());
        assert!((budget.used - 1.5).abs() < 1e-12);
        assert!((budget.allowed.month - 43.2 * 60.0).abs() < 1e-9);
        assert!(ErrorBudget::of(Availability::PERFECT, "99%".parse().unwrap()).used.is_infinite());
        assert!(ErrorBudget::of(Availability::PERFECT, Availability::PERFECT).used <= 0.0);
    }
}
