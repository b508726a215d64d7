//! Months, weeks and days of a stretch, as a calendar has them.

use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use model::incident::Stretch;
use serde::Serialize;

/// How a stretch is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Calendar months.
    Month,
    /// Weeks from Monday (ISO 8601).
    Week,
    /// Days.
    Day,
}

impl By {
    /// The periods of a stretch with their names, the first and the last one cut to it. Empty for years that no calendar has.
    #[must_use]
    pub fn divide(self, stretch: Stretch, zone: &TimeZone) -> Vec<(String, Stretch)> {
        let mut periods = Vec::new();
        let mut first = self.beginning(zone.to_datetime(stretch.from).date());
        while let Some((day, next)) = first.and_then(|day| Some((day, self.next(day)?))) {
            let midnight = |day: Date| zone.to_timestamp(day.at(0, 0, 0, 0)).ok();
            let (Some(from), Some(to)) = (midnight(day), midnight(next)) else { break };
            if from >= stretch.to {
                break;
            }
            periods.extend(Stretch { from, to }.meet(stretch).map(|period| (self.name(day), period)));
            first = Some(next);
        }
        periods
    }

    /// The first day of the period that a day lies in; none for years that no calendar has.
    #[must_use]
    pub fn beginning(self, day: Date) -> Option<Date> {
        match self {
            Self::Month => Some(day.first_of_month()),
            Self::Week => day.checked_sub(i32::from(day.weekday().to_monday_zero_offset()).days()).ok(),
            Self::Day => Some(day),
        }
    }

    /// The first day of the next period.
    fn next(self, day: Date) -> Option<Date> {
        let length = match self {
            Self::Month => 1.month(),
            Self::Week => 1.week(),
            Self::Day => 1.day(),
        };
        day.checked_add(length).ok()
    }

    fn name(self, day: Date) -> String {
        match self {
            Self::Month => day.strftime("%Y-%m").to_string(),
            Self::Week => day.strftime("%G-W%V").to_string(),
            Self::Day => day.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::incident::When;

    use super::*;

    fn divide(by: By, from: &str, to: &str, zone: &str) -> Vec<(String, f64)> {
        let zone = TimeZone::get(zone).unwrap();
        let at = |text: &str| text.parse::<When>().unwrap().in_zone(&zone).unwrap();
        let periods = by.divide(Stretch { from: at(from), to: at(to) }, &zone);
        periods.into_iter().map(|(name, period)| (name, period.length().as_secs_f64() / 3600.0)).collect()
    }

    #[test]
    fn periods_are_those_of_the_calendar_cut_to_the_stretch() {
        let months = divide(By::Month, "2024-01-30 12:00", "2024-03-02", "UTC");
        assert_eq!(months, [("2024-01".into(), 36.0), ("2024-02".into(), 696.0), ("2024-03".into(), 24.0)]);
        // 30 December 2024 was the Monday of the first week of 2025.
        let weeks = divide(By::Week, "2024-12-28", "2025-01-06", "UTC");
        assert_eq!(weeks, [("2024-W52".into(), 48.0), ("2025-W01".into(), 168.0)]);
    }

    #[test]
    fn days_are_as_long_as_the_zone_makes_them() {
        let days = divide(By::Day, "2024-03-30", "2024-04-01", "Europe/Berlin");
        assert_eq!(days, [("2024-03-30".into(), 24.0), ("2024-03-31".into(), 23.0)]);
    }
}
