//! What happens to a dependency, and from when to when: `from 10s to 30s: error 50%`.

use std::{fmt, time::Duration};

use crate::clock::Moment;

/// A disturbance with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// From this moment.
    pub from: Moment,
    /// Until before this moment; [`Moment::NEVER`] without an end.
    pub to: Moment,
    /// What happens.
    pub disturbance: Disturbance,
}

/// What happens to a dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disturbance {
    /// This part of the calls is answered with an error, at once.
    Error {
        /// 0 to 1.
        part: f64,
    },
    /// This part of the calls is never answered: a black hole, a dropped packet, a deadlock.
    Hang {
        /// 0 to 1.
        part: f64,
    },
    /// Every answer takes so much longer.
    Latency {
        /// So much.
        added: Duration,
    },
    /// It works on so many calls at a time, instead of as many as it usually does.
    Capacity {
        /// So many; 0 is as good as hanging.
        calls: u32,
    },
}

/// Why a text is no [`Window`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoWindow {
    text: String,
    why: String,
}

impl Window {
    /// Whether the moment is in it.
    #[must_use]
    pub fn contains(&self, moment: Moment) -> bool {
        (self.from..self.to).contains(&moment)
    }

    /// Reads `from 10s to 30s: error 50%`; `from 10s: hang` has no end. What may follow the colon: `error`, `hang` (both
    /// with an optional percentage), `latency 200ms`, `capacity 5`.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, NoWindow> {
        let wrong = |why: String| NoWindow { text: text.chars().take(80).collect(), why };
        let usage = || wrong("write `from 10s to 30s: error 50%`, or without an end `from 10s: hang`".to_owned());
        let (when, what) = text.split_once(':').ok_or_else(usage)?;
        let when = when.trim().strip_prefix("from ").ok_or_else(usage)?;
        let (from, to) = match when.split_once(" to ") {
            Some((from, to)) => (from, Some(to)),
            None => (when, None),
        };
        let moment = |text: &str| duration(text).map(|duration| Moment::ZERO + duration).map_err(&wrong);
        let from = moment(from)?;
        let to = to.map_or(Ok(Moment::NEVER), moment)?;
        if to <= from {
            return Err(wrong("its end must be after its beginning".to_owned()));
        }
        Ok(Self { from, to, disturbance: Disturbance::parse(what.trim()).map_err(wrong)? })
    }
}

impl Disturbance {
    fn parse(text: &str) -> Result<Self, String> {
        let (verb, amount) = text.split_once(' ').map_or((text, None), |(verb, amount)| (verb, Some(amount.trim())));
        let part = || match amount {
            None => Ok(1.0),
            Some(amount) => part(amount).ok_or_else(|| format!("`{amount}` is not a part: write 50% or 0.5")),
        };
        match (verb, amount) {
            ("error", _) => Ok(Self::Error { part: part()? }),
            ("hang", _) => Ok(Self::Hang { part: part()? }),
            ("latency", Some(amount)) => Ok(Self::Latency { added: duration(amount)? }),
            ("latency", None) => Err("say how much: `latency 200ms`".to_owned()),
            ("capacity", Some(amount)) => {
                let calls = amount.parse().map_err(|_| format!("`{amount}` is not a number of calls: `capacity 5`"))?;
                Ok(Self::Capacity { calls })
            }
            ("capacity", None) => Err("say how many calls at a time: `capacity 5`".to_owned()),
            _ => Err(format!("`{verb}` is unknown: there are error, hang, latency and capacity")),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |moment: Moment| duration_text(moment.since(Moment::ZERO));
        match self.to {
            Moment::NEVER => write!(out, "from {}: {}", text(self.from), self.disturbance),
            to => write!(out, "from {} to {}: {}", text(self.from), text(to), self.disturbance),
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: f64| if part < 1.0 { format!(" {}%", part * 100.0) } else { String::new() };
        match self {
            Self::Error { part } => write!(out, "error{}", percent(*part)),
            Self::Hang { part } => write!(out, "hang{}", percent(*part)),
            Self::Latency { added } => write!(out, "latency {}", duration_text(*added)),
            Self::Capacity { calls } => write!(out, "capacity {calls}"),
        }
    }
}

impl fmt::Display for NoWindow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot be \"{}\": {}", self.text, self.why)
    }
}

impl std::error::Error for NoWindow {}

fn duration(text: &str) -> Result<Duration, String> {
    crate::duration::parse_duration(text).map_err(|why| format!("`{}`: {why}", text.trim()))
}

fn part(text: &str) -> Option<f64> {
    let part = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&part).then_some(part)
}

/// A duration as this crate writes it.
pub(super) fn duration_text(duration: Duration) -> String {
    crate::duration::write_duration(duration)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_read_as_they_are_written() {
        for text in [
            "from 10s to 30s: error 50%",
            "from 10s: hang",
            "from 0s to 1m: latency 200ms",
            "from 1s to 2s: capacity 5",
            "from 1s to 2s: hang 12.5%",
        ] {
            assert_eq!(Window::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_window_is_told_why() {
        let table = [
            ("error", "write `from"),
            ("from 10 to 30s: error", "needs its unit"),
            ("from 30s to 10s: error", "after its beginning"),
            ("from 1s to 2s: explode", "`explode` is unknown"),
            ("from 1s to 2s: error 150%", "not a part"),
            ("from 1s to 2s: latency", "say how much"),
            ("from 1s to 2s: capacity many", "not a number"),
        ];
        for (text, why) in table {
            let error = Window::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_window_ends_before_its_end() {
        let window = Window::parse("from 1s to 2s: hang").unwrap();
        let at = |millis| window.contains(Moment::from_millis(millis));
        assert_eq!([at(999), at(1000), at(1999), at(2000)], [false, true, true, false]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(from )?[0-9a-z:%. ]{0,30}|\\PC{0,30}") {
            let _read = Window::parse(&text);
        }
    }
}
