//! A workload as a design describes it: components, how they depend on each other, what they share, and what is promised.
//!
//! Times are means. A component's *time to restore* counts from the failure until it works again; the *time to detect* is a
//! part of it.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{figures::percent_without, period::Period};

/// The share of time in which something works, from 0 to 1.
///
/// It is kept as the share in which it does *not*, so that eleven nines are as exact as two.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Availability {
    down: f64,
}

/// Why a text is not an [`Availability`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvailabilityError {
    /// Not a percentage.
    #[error("`{text}` is not a percentage; write for example 99.95%")]
    Syntax {
        /// What was written.
        text: String,
    },
    /// More than all of the time.
    #[error("`{text}` is more than 100%")]
    Above {
        /// What was written.
        text: String,
    },
}

impl Availability {
    /// Always there.
    pub const PERFECT: Self = Self { down: 0.0 };

    /// By the share of time in which it does not work; what lies outside 0 to 1 is brought inside.
    #[must_use]
    pub const fn from_down(down: f64) -> Self {
        Self { down: down.clamp(0.0, 1.0) }
    }

    /// By the mean time between failures (from repair to failure) and the mean time to restore:
    /// `MTBF / (MTBF + MTTR)`. Of something that neither works nor fails for any time, that it always works.
    #[must_use]
    pub fn from_times(mtbf: Period, mttr: Period) -> Self {
        let (up, down) = (mtbf.as_secs_f64(), mttr.as_secs_f64());
        if down > 0.0 { Self::from_down(down / (up + down)) } else { Self::PERFECT }
    }

    /// The share of time in which it works.
    #[must_use]
    pub fn up(self) -> f64 {
        1.0 - self.down
    }

    /// The share of time in which it does not.
    #[must_use]
    pub const fn down(self) -> f64 {
        self.down
    }
}

impl FromStr for Availability {
    type Err = AvailabilityError;

    /// Reads `99.95%`. The difference to 100 is taken in decimals, where it is exact.
    fn from_str(text: &str) -> Result<Self, AvailabilityError> {
        let syntax = || AvailabilityError::Syntax { text: text.to_owned() };
        let number = text.trim().strip_suffix('%').ok_or_else(syntax)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        // Twenty decimals are far beyond any promise, and 23 digits fit 128 bits.
        if whole.is_empty() || !digits(whole) || !digits(fraction) || whole.len() > 3 || fraction.len() > 20 {
            return Err(syntax());
        }
        let one = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| syntax())?);
        let all = 100 * one;
        let value: u128 = format!("{whole}{fraction}").parse().map_err(|_| syntax())?;
        let down = all.checked_sub(value).ok_or_else(|| AvailabilityError::Above { text: text.to_owned() })?;
        Ok(Self { down: down as f64 / all as f64 })
    }
}

impl fmt::Display for Availability {
    /// A percentage with as many decimals as it takes to see five digits of what is missing to 100.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&percent_without(self.down, 5))
    }
}

impl Serialize for Availability {
    /// As a number: the share of time in which it works.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.up())
    }
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// How important it is, in the words of its owners.
    pub criticality: Option<String>,
    /// What is promised.
    pub objectives: Objectives,
    /// Zones and regions: what lies in one fails together.
    pub places: Vec<Place>,
    /// What it is made of, by names that are unique.
    pub components: Vec<Component>,
    /// What must work for the workload to work.
    pub needs: Need,
    /// What could be done, and what it would cost.
    pub improvements: Vec<Improvement>,
}

/// What is promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// The availability that is promised.
    pub availability: Option<Availability>,
    /// The longest time until a failed workload works again.
    pub rto: Option<Period>,
    /// The longest time of which data may be lost.
    pub rpo: Option<Period>,
    /// How far behind a replica may be for a failover to go ahead.
    pub lag_limit: Option<Period>,
}

/// A zone or a region.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Its name.
    pub name: String,
    /// The region it lies in; none: it is one, or stands alone.
    pub region: Option<String>,
    /// How reliable it is; none: not known.
    pub figures: Option<Figures>,
}

/// How reliable something is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The share of time in which it works.
    pub availability: Availability,
    /// Mean time to restore, from the failure on; none: not known, and then nothing can be said of how often it fails.
    pub mttr: Option<Period>,
    /// The part of the time to restore that passes before the failure is noticed.
    pub detect: Option<Period>,
}

impl Figures {
    /// An availability, and nothing more.
    #[must_use]
    pub const fn of(availability: Availability) -> Self {
        Self { availability, mttr: None, detect: None }
    }

    /// How often it fails in the long run, per second of time; none where the time to restore is not known.
    #[must_use]
    pub fn frequency(&self) -> Option<f64> {
        let restore = self.mttr?.as_secs_f64();
        (restore > 0.0).then(|| self.availability.down() / restore)
    }
}

/// A part of a workload: one thing, or several alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub about: Option<String>,
    /// Whether others run it, so that its availability is theirs to promise.
    pub external: bool,
    /// How reliable one unit is; none: not known.
    pub figures: Option<Figures>,
    /// How many units there are; at least 1.
    pub count: u32,
    /// How many of them must work; from 1 to `count`.
    pub enough: u32,
    /// Zones or regions its units are spread over, in turns.
    pub places: Vec<String>,
    /// The share of the failures of a unit that hit all units at once (beta factor), from 0 to 1.
    pub beta: f64,
    /// How a spare takes over; none: at once, and always.
    pub failover: Option<Failover>,
    /// How many units can be repaired at a time; none: all.
    pub crews: Option<u32>,
    /// Planned downtime of all units together.
    pub planned: Option<Planned>,
    /// What else must work for this component to work (hard dependencies).
    pub needs: Option<Need>,
    /// What it uses and can do without (soft dependencies): then it works, but not in full.
    pub uses: Vec<String>,
    /// How callers call it, where that is known.
    pub calls: Option<Calls>,
    /// Single points of failure within it that its owners know of.
    pub single_points: Vec<String>,
}

impl Component {
    /// One unit of which nothing is known.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            about: None,
            external: false,
            figures: None,
            count: 1,
            enough: 1,
            places: Vec::new(),
            beta: 0.0,
            failover: None,
            crews: None,
            planned: None,
            needs: None,
            uses: Vec::new(),
            calls: None,
            single_points: Vec::new(),
        }
    }
}

/// How a spare takes over from a unit that failed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// The share of failures in which it works by itself, from 0 to 1; else the failed unit must be restored first.
    pub coverage: f64,
    /// How long it takes, detection included.
    pub delay: Period,
}

/// Downtime that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// How often, from start to start.
    pub every: Period,
    /// How long it takes; not longer than `every`.
    pub takes: Period,
}

impl Planned {
    /// The share of time that it takes.
    #[must_use]
    pub fn share(&self) -> f64 {
        let every = self.every.as_secs_f64();
        if every > 0.0 { (self.takes.as_secs_f64() / every).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// How callers call a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    /// Longest wait for one attempt.
    pub timeout: Period,
    /// Attempts after the first.
    pub retries: u32,
}

/// What must work.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Need {
    /// This component.
    Component(String),
    /// All of these.
    All(Vec<Self>),
    /// One of these.
    Any(Vec<Self>),
    /// So many of these.
    AtLeast(u32, Vec<Self>),
}

impl Need {
    /// Every component that is named, in the order of the document; one that is named twice comes twice.
    pub fn components(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Component(name) => Box::new(std::iter::once(name.as_str())),
            Self::All(parts) | Self::Any(parts) | Self::AtLeast(_, parts) => {
                Box::new(parts.iter().flat_map(Self::components))
            }
        }
    }
}

/// Something that could be done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Improvement {
    /// What it is.
    pub name: String,
    /// What it costs per month; none: not known.
    pub cost: Option<f64>,
    /// Components as they would be then, instead of those of the same name, or besides.
    pub components: Vec<Component>,
    /// What would be needed then; none: the same as now.
    pub needs: Option<Need>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentage_is_read_exactly() {
        let down = |text: &str| text.parse::<Availability>().unwrap().down();
        assert_eq!(down("99.9%").to_bits(), 0.001_f64.to_bits());
        assert_eq!(down("99.999999999 %").to_bits(), 1e-11_f64.to_bits());
        assert_eq!(down("100%").to_bits(), 0.0_f64.to_bits());
        assert_eq!(down("0%").to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn what_is_no_share_of_time_is_refused() {
        for text in ["99.9", "0.999", "%", "-1%", "99,9%", "1e2%", "nines%", "9999%"] {
            assert_eq!(
                text.parse::<Availability>(),
                Err(AvailabilityError::Syntax { text: text.to_owned() }),
                "{text}"
            );
        }
        assert!(matches!("100.1%".parse::<Availability>(), Err(AvailabilityError::Above { .. })));
    }

    #[test]
    fn five_digits_of_what_is_missing_are_shown() {
        for (down, shown) in [
            (0.001_499_5, "99.85005 %"),
            (6.009_494_004e-4, "99.939905 %"),
            (0.0, "100 %"),
            (0.5, "50 %"),
            (1.0, "0 %"),
            (1e-6, "99.9999 %"),
            (1e-11, "99.999999999 %"),
            (1.2344e-16, "99.999999999999987656 %"),
        ] {
            assert_eq!(Availability::from_down(down).to_string(), shown);
        }
    }

    #[test]
    fn availability_of_times_is_the_share_between_failures() {
        let availability = Availability::from_times(Period::from_secs(99), Period::from_secs(1));
        assert!((availability.up() - 0.99).abs() < 1e-15);
        assert_eq!(Availability::from_times(Period::ZERO, Period::ZERO), Availability::PERFECT);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_nearly_equal(exponent in -12.0..-0.01_f64) {
            let down = 10_f64.powf(exponent);
            let read: Availability = Availability::from_down(down).to_string().parse().unwrap();
            prop_assert!((read.down() / down - 1.0).abs() < 1e-3, "{down} {}", read.down());
        }
    }
}
