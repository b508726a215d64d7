//! The blast radius: how much may be hit at once, what not at all, and when.
//!
//! An experiment has [`Limits`] of its own; a [`Policy`] is what an organisation holds every experiment to. Where several
//! apply, each must be kept: they never loosen each other.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// How much may be affected at once. What is `None` is not limited.
///
/// A resource is affected while a fault is in effect on it; an irreversible one affects it as long as it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Most resources in the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_resources: Option<u32>,
    /// Most of any group, in percent (0 to 100) of its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_percent_of_group: Option<f64>,
    /// Most of any zone, in percent (0 to 100) of what is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_percent_of_zone: Option<f64>,
    /// Healthy members that every group that is hit must keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_healthy: Option<u32>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What every experiment is held to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// How much may be hit.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Tags that protect whatever carries one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protected_tags: Vec<TagRule>,
    /// Where experiments may run at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments: Option<Environments>,
    /// When; none: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Calendar>,
    /// Whether what cannot be taken back is never done to what is not disposable, whoever allows it.
    pub forbid_irreversible: bool,
}

/// A tag, with any value or with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagRule {
    /// Its key.
    pub key: String,
    /// Its value; `None` stands for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// The environments in which experiments may run, by the value of a tag that every resource must carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Environments {
    /// The tag's key.
    pub tag: String,
    /// The values that are allowed.
    pub allowed: Vec<String>,
}

/// When experiments may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calendar {
    /// An IANA name: `Europe/Berlin`.
    pub time_zone: String,
    /// Stretches of the week; any of them is right.
    pub allowed: Vec<Hours>,
}

/// Minutes of a week.
const WEEK: u16 = 7 * DAY;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

impl Calendar {
    /// For how many more minutes experiments may run, at a minute of the week that starts on Monday at 00:00 (0 to 10,079);
    /// `None`: not now.
    #[must_use]
    pub fn minutes_left(&self, minute: u16) -> Option<u16> {
        let allowed = |at: u16| self.allowed.iter().any(|hours| hours.contains(at % WEEK));
        // Stretches that touch, such as those of two days that go to midnight, are one.
        let left = (0..WEEK).take_while(|ahead| allowed(minute + ahead)).count();
        u16::try_from(left).ok().filter(|left| *left > 0)
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
        write!(f, "{} ({})", hours.join(", "), self.time_zone)
    }
}

/// The same hours on some days: `Mon-Fri 09:00-17:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Hours {
    /// First day, 0 is Monday.
    from_day: u16,
    /// Last day; before the first one when they go over the week's end.
    to_day: u16,
    /// Minute of the day at which they begin.
    from: u16,
    /// Minute of the day at which they end; not after `from`: on the next day.
    to: u16,
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Hours {
    /// Whether a minute of the week lies in them.
    fn contains(self, minute: u16) -> bool {
        let length = if self.to > self.from { self.to - self.from } else { DAY - self.from + self.to };
        let days = (self.to_day + 7 - self.from_day) % 7;
        (0..=days).any(|day| {
            let begins = (self.from_day + day) % 7 * DAY + self.from;
            (minute + WEEK - begins) % WEEK < length
        })
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("`{text}` is not a stretch of the week: {why}; write for example Mon-Fri 09:00-17:00");
        let (days, hours) = text.trim().split_once(' ').ok_or_else(|| wrong("it has no days, or no hours"))?;
        let day = |name: &str| {
            let at = DAYS.iter().position(|day| *day == name).and_then(|at| u16::try_from(at).ok());
            at.ok_or_else(|| wrong(&format!("`{name}` is not one of {}", DAYS.join(", "))))
        };
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (from, to) = hours.trim().split_once('-').ok_or_else(|| wrong("hours are written FROM-TO"))?;
        let clock = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let two = |text: &str| text.parse::<u16>().ok().filter(|_| text.len() == 2);
            let (hour, minute) = (two(hour)?, two(minute)?);
            (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
        };
        let clock = |text: &str| clock(text).ok_or_else(|| wrong(&format!("`{text}` is no time from 00:00 to 24:00")));
        let (from, to) = (clock(from)?, clock(to)?);
        if from == DAY {
            return Err(wrong("nothing begins at 24:00; write 00:00 of the next day"));
        }
        if from == to {
            return Err(wrong("they are empty; a whole day is 00:00-24:00"));
        }
        Ok(Self { from_day: day(first)?, to_day: day(last)?, from, to })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |at: u16| DAYS.get(usize::from(at)).copied().unwrap_or_default();
        f.write_str(day(self.from_day))?;
        if self.to_day != self.from_day {
            write!(f, "-{}", day(self.to_day))?;
        }
        write!(f, " {:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn left(allowed: &[&str], day: u16, hour: u16, minute: u16) -> Option<u16> {
        let allowed = allowed.iter().map(|text| text.parse().unwrap()).collect();
        Calendar { time_zone: "UTC".to_owned(), allowed }.minutes_left(day * DAY + hour * 60 + minute)
    }

    #[test]
    fn working_hours_are_open_from_their_first_minute_to_before_their_last() {
        let work = ["Mon-Fri 09:00-17:00"];
        assert_eq!(left(&work, 0, 8, 59), None);
        assert_eq!(left(&work, 0, 9, 0), Some(480));
        assert_eq!(left(&work, 4, 16, 59), Some(1));
        assert_eq!(left(&work, 4, 17, 0), None);
        assert_eq!(left(&work, 5, 12, 0), None);
    }

    #[test]
    fn hours_go_over_midnight_and_days_over_the_end_of_the_week() {
        let nights = ["Sat-Mon 22:00-02:00"];
        assert_eq!(left(&nights, 6, 23, 0), Some(180));
        assert_eq!(left(&nights, 0, 1, 0), Some(60));
        assert_eq!(left(&nights, 1, 1, 59), Some(1));
        assert_eq!(left(&nights, 1, 2, 0), None);
        assert_eq!(left(&nights, 1, 22, 0), None);
    }

    #[test]
    fn stretches_that_touch_are_one() {
        assert_eq!(left(&["Mon 08:00-24:00", "Tue 00:00-06:00"], 0, 23, 0), Some(7 * 60));
        assert_eq!(left(&["Mon-Sun 00:00-24:00"], 3, 1, 1), Some(WEEK));
    }

    #[test]
    fn says_what_is_wrong_with_hours() {
        for (text, why) in [
            ("09:00-17:00", "no days"),
            ("Mon-Fri", "no days, or no hours"),
            ("Mo-Fri 09:00-17:00", "`Mo` is not one of"),
            ("Mon 9:00-17:00", "`9:00` is no time"),
            ("Mon 09:00-24:01", "`24:01` is no time"),
            ("Mon 09:00", "FROM-TO"),
            ("Mon 09:00-09:00", "empty"),
            ("Mon 24:00-03:00", "nothing begins"),
        ] {
            let error = text.parse::<Hours>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(from_day in 0u16..7, to_day in 0u16..7, from in 0u16..DAY, to in 0u16..=DAY) {
            prop_assume!(from != to);
            let hours = Hours { from_day, to_day, from, to };
            prop_assert_eq!(hours.to_string().parse::<Hours>().unwrap(), hours);
        }
    }
}
