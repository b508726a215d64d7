//! Incidents: when a service did less than it should, and how much less.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::Serialize;

use crate::stated::Stated;

/// What is known about the incidents of one service over a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The service.
    pub name: String,
    /// Whose midnights divide days and months.
    pub time_zone: TimeZone,
    /// The stretch in which every incident was written down. Without it there is no availability: the same incidents are
    /// little in a year and much in a week.
    pub observed: Stretch,
    /// The availability that was aimed at, from 0 to 1.
    pub target: Option<f64>,
    /// The availability that somebody else computed from the same incidents, from 0 to 1, to be checked.
    pub stated: Option<Stated>,
    /// Something that was meant to make it better.
    pub change: Option<Change>,
    /// The incidents, in the order of the document.
    pub incidents: Vec<Incident>,
}

/// From one point in time to another, which does not belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// Its beginning.
    pub from: Timestamp,
    /// The first instant after it.
    pub to: Timestamp,
}

impl Stretch {
    /// How long it is; nothing where its end lies before its beginning.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default()
    }

    /// What both have in common, if anything.
    #[must_use]
    pub fn meet(self, other: Self) -> Option<Self> {
        let both = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        (both.from < both.to).then_some(both)
    }
}

/// Something that was meant to make it better, such as a second zone or a first series of experiments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When it took effect.
    pub at: Timestamp,
    /// What it was.
    pub what: String,
}

/// One incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// What happened, in a line.
    pub title: String,
    /// How bad it was, in one word.
    pub kind: Kind,
    /// When it began.
    pub began: Timestamp,
    /// When somebody or something noticed.
    pub detected: Option<Timestamp>,
    /// When the service did again what it should.
    pub restored: Timestamp,
    /// The share of the service that was lost meanwhile, from 0 to 1.
    pub lost: f64,
    /// Why it happened, where that is known.
    pub cause: Option<String>,
}

impl Incident {
    /// From its beginning until the service was restored.
    #[must_use]
    pub const fn stretch(&self) -> Stretch {
        Stretch { from: self.began, to: self.restored }
    }
}

/// How bad an incident was, in one word. What a word weighs is for the history to say; by default all weigh the same, since
/// an incident that is quietly left out makes every figure wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nobody could use the service.
    #[default]
    Outage,
    /// Some could not, or some functions were gone.
    Partial,
    /// It was there, but slow or poorer.
    Degraded,
}

impl Kind {
    /// All of them, from the worst.
    pub const ALL: [Self; 3] = [Self::Outage, Self::Partial, Self::Degraded];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Partial => "partial",
            Self::Degraded => "degraded",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A point in time as people write it: `2024-01-15T10:30:00Z`, `2024-01-15 10:30`, or a day, which stands for its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With an offset from UTC.
    Exact(Timestamp),
    /// Date and time of a clock whose zone stands elsewhere.
    Clock(civil::DateTime),
    /// A day of a calendar whose zone stands elsewhere.
    Day(civil::Date),
}

/// Why a text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a point in time; write for example 2024-01-15T10:30:00Z, 2024-01-15 10:30 or 2024-01-15")]
pub struct WhenError {
    /// What was written.
    text: String,
}

impl When {
    /// The instant it means in this zone. A time that a clock skips or shows twice is taken as `jiff` does: skipped ones go
    /// forward, the first of two is meant. None beyond the years that can be counted.
    #[must_use]
    pub fn in_zone(self, zone: &TimeZone) -> Option<Timestamp> {
        let civil = match self {
            Self::Exact(timestamp) => return Some(timestamp),
            Self::Clock(clock) => clock,
            Self::Day(day) => day.at(0, 0, 0, 0),
        };
        zone.to_timestamp(civil).ok()
    }
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        let text = &plain(text.trim());
        if let Ok(timestamp) = text.parse() {
            return Ok(Self::Exact(timestamp));
        }
        // A date alone is a date and time to `jiff`, too: at midnight.
        let has_time = text.contains(':');
        let read = if has_time { text.parse().map(Self::Clock) } else { text.parse().map(Self::Day) };
        read.map_err(|_| WhenError { text: text.to_owned() })
    }
}

/// A point in time as the standard writes it: with dashes in the date, and `UTC` or an offset next to the time.
fn plain(text: &str) -> String {
    let (date, rest) = text.split_at_checked("2024/01/15".len()).unwrap_or((text, ""));
    let dashed = date.as_bytes().get(4) == Some(&b'/');
    let date = if dashed { date.replace('/', "-") } else { date.to_owned() };
    let rest = match rest.strip_suffix("UTC").or_else(|| rest.strip_suffix("GMT")) {
        Some(rest) => format!("{}Z", rest.trim_end()),
        None => rest.replace(" +", "+").replace(" -", "-"),
    };
    date + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        text.parse::<When>().unwrap().in_zone(&zone).unwrap().to_string()
    }

    #[test]
    fn points_in_time_are_read_as_people_write_them() {
        assert_eq!(at("2024-01-15T10:30:00Z", "Asia/Tokyo"), "2024-01-15T10:30:00Z");
        assert_eq!(at("2024-01-15T10:30+09:00", "UTC"), "2024-01-15T01:30:00Z");
        assert_eq!(at("2024-01-15 10:30", "Asia/Tokyo"), "2024-01-15T01:30:00Z");
        assert_eq!(at("2024-01-15", "Europe/Berlin"), "2024-01-14T23:00:00Z");
        assert_eq!(at("2024-01-15 10:30 UTC", "Asia/Tokyo"), "2024-01-15T10:30:00Z");
        assert_eq!(at("2024-01-15 10:30:00 -0500", "Asia/Tokyo"), "2024-01-15T15:30:00Z");
        assert_eq!(at("2024-01-15T10:30:00.000+0000", "Asia/Tokyo"), "2024-01-15T10:30:00Z");
        assert_eq!(at("2024/01/15 10:30", "UTC"), "2024-01-15T10:30:00Z");
        assert_eq!(at("2024/01/15", "UTC"), "2024-01-15T00:00:00Z");
        for text in ["", "yesterday", "15/01/2024", "2024-01-15 UTC", "2024-13-01", "10:30", "2024-01-15 25:00"] {
            assert!(text.parse::<When>().unwrap_err().to_string().contains("write for example"), "{text}");
        }
    }

    #[test]
    fn stretches_meet_where_both_are() {
        let stretch = |from: i64, to: i64| Stretch {
            from: Timestamp::from_second(from).unwrap(),
            to: Timestamp::from_second(to).unwrap(),
        };
        assert_eq!(stretch(0, 10).meet(stretch(5, 20)), Some(stretch(5, 10)));
        assert_eq!(stretch(0, 10).meet(stretch(10, 20)), None, "the end does not belong to a stretch");
        assert_eq!(stretch(5, 15).length(), Duration::from_secs(10));
        assert_eq!(stretch(15, 5).length(), Duration::ZERO);
    }
}
