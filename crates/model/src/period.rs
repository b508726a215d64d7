//! Lengths of time as documents write them: ISO 8601 durations such as `PT5M`.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A non-negative length of time, written as an ISO 8601 duration (`PT5M`, `P1DT2H`, `PT0.25S`).
///
/// This is the notation of AWS FIS for every `duration`. A day is 24 hours; months and years have no fixed length and
/// are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

/// Why a text is not a [`Period`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Not an ISO 8601 duration at all, such as `5m` or `300`.
    #[error("`{text}` is not an ISO 8601 duration; write for example PT30S, PT5M or PT1H30M")]
    Syntax {
        /// What was written.
        text: String,
    },
    /// Months and years have no fixed length.
    #[error("`{text}` has months or years, whose length is not fixed; use days, hours, minutes or seconds")]
    NotFixed {
        /// What was written.
        text: String,
    },
    /// A length of time is never negative.
    #[error("`{text}` is negative; a duration cannot be")]
    Negative {
        /// What was written.
        text: String,
    },
}

impl Period {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A period of exactly this length.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// A period of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A period of milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The length as a [`Duration`].
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The length in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl From<Duration> for Period {
    fn from(length: Duration) -> Self {
        Self(length)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let syntax = || PeriodError::Syntax { text: text.to_owned() };
        // jiff also reads its "friendly" form (`5m`); a FIS document with it would be refused by AWS, so it is here.
        if !text.trim_start_matches(['-', '+']).starts_with(['P', 'p']) {
            return Err(syntax());
        }
        let span: Span = text.parse().map_err(|_| syntax())?;
        if span.get_years() != 0 || span.get_months() != 0 {
            return Err(PeriodError::NotFixed { text: text.to_owned() });
        }
        let length: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| syntax())?;
        Duration::try_from(length).map(Self).map_err(|_| PeriodError::Negative { text: text.to_owned() })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_secs();
        let (hours, minutes, seconds, nanos) = (total / 3600, total / 60 % 60, total % 60, self.0.subsec_nanos());
        f.write_str("PT")?;
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if nanos > 0 {
            let fraction = format!("{nanos:09}");
            write!(f, "{seconds}.{}S", fraction.trim_end_matches('0'))?;
        } else if seconds > 0 || total == 0 {
            write!(f, "{seconds}S")?;
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_fis_documents_contain() {
        for (text, seconds) in [
            ("PT5M", 300.0),
            ("PT10S", 10.0),
            ("PT0.25S", 0.25),
            ("P1DT2H", 93_600.0),
            ("PT1H30M", 5400.0),
            ("P1W", 604_800.0),
        ] {
            let period: Period = text.parse().unwrap();
            assert!((period.as_secs_f64() - seconds).abs() < 1e-9, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_rest() {
        for text in ["5m", "300", "", "PT", "five minutes", "PT5X"] {
            assert_eq!(text.parse::<Period>(), Err(PeriodError::Syntax { text: text.to_owned() }), "{text}");
        }
        assert!(matches!("P1M".parse::<Period>(), Err(PeriodError::NotFixed { .. })));
        assert!(matches!("-PT3S".parse::<Period>(), Err(PeriodError::Negative { .. })));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_equal(secs in 0u64..10_000_000, nanos in 0u32..1_000_000_000) {
            let period = Period::new(Duration::new(secs, nanos));
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
        }
    }
}
