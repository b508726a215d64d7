//! Until when an injection may live: what its lease and its configured end come to, on the clock since boot.

use std::time::Duration;

use model::term::Term;
use serde::{Deserialize, Serialize};

/// Until when an injection may live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// When its lease runs out, if nobody renews it: since boot.
    pub until: Duration,
    /// When it is to be over, whoever renews it: since boot; none: nothing is said about that.
    pub end: Option<Duration>,
}

/// How long after its configured end an injection may still be there before somebody else than who ordered it undoes it. At the
/// end of an experiment its runner gives what is being injected five seconds to report before it undoes it; and timers that
/// stand still while the machine is suspended, or has no time for the runner, are late.
pub const OVERTIME: Duration = Duration::from_secs(10);

/// How long it may take until an injection is in effect and proven; the engine waits as long for it to report.
const INJECTING: Duration = Duration::from_secs(60);

impl Grant {
    /// Of an injection that is ordered now, or is in effect since now. Its length counts from when it is in effect, which it is
    /// soon.
    #[must_use]
    pub fn new(term: Term, ordered: Duration, effective: Option<Duration>, now: Duration) -> Self {
        let by_length = term.length.map(|length| effective.unwrap_or(ordered + INJECTING) + length);
        let by_limit = term.limit.map(|limit| ordered + limit);
        let end = match (by_length, by_limit) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { until: now + term.lease, end }
    }

    /// When somebody else has to look after it.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.end.map_or(self.until, |end| self.until.min(end + OVERTIME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_end_is_counted_from_when_it_is_in_effect_and_no_later_than_the_limit() {
        let term = Term { lease: at(15), length: Some(at(300)), limit: Some(at(500)) };
        assert_eq!(Grant::new(term, at(100), None, at(100)), Grant { until: at(115), end: Some(at(460)) });
        assert_eq!(Grant::new(term, at(100), Some(at(108)), at(110)), Grant { until: at(125), end: Some(at(408)) });
        let long = Term { length: Some(at(900)), ..term };
        assert_eq!(Grant::new(long, at(100), Some(at(108)), at(110)).end, Some(at(600)));
        assert_eq!(Grant::new(at(15).into(), at(100), None, at(100)).end, None);
    }

    #[test]
    fn no_renewal_carries_it_beyond_its_end() {
        let grant = Grant { until: at(15), end: Some(at(60)) };
        assert_eq!(grant.due(), at(15));
        assert_eq!(Grant { until: at(3600), ..grant }.due(), at(60) + OVERTIME);
        assert_eq!(Grant { until: at(3600), end: None }.due(), at(3600));
    }
}
