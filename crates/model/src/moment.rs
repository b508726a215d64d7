//! A point on the one clock of a record.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// A point in time, counted from the moment the record's clock was started. All events and samples of a run carry it,
/// so that they can be compared without asking which machine or which clock they came from.
///
/// In JSON it is a number of seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Moment(u64);

impl Moment {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// The moment this long after the start of the clock (a clock of 584 years saturates).
    #[must_use]
    pub fn after(start: Duration) -> Self {
        Self(u64::try_from(start.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The moment this many milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// The moment this many seconds after the start.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// Time since the start of the clock.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Seconds since the start of the clock.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.since_start().as_secs_f64()
    }

    /// Time from `earlier` to this moment; nothing if it lies later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment this long before, or the start of the clock.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(Self::after(by).0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(Self::after(by).0))
    }
}

impl Sub for Moment {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl From<f64> for Moment {
    fn from(seconds: f64) -> Self {
        Self::after(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
    }
}

impl From<Moment> for f64 {
    fn from(moment: Moment) -> Self {
        moment.as_secs_f64()
    }
}

impl fmt::Display for Moment {
    /// `+12.345s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:.3}s", self.as_secs_f64())
    }
}
