//! What came of an attempt, as the strategies see it.

use std::time::Duration;

/// How the result of an attempt is to be taken. One judgement for all strategies, so that what is retried, what opens
/// the breaker and what a fallback covers can never disagree by accident.
///
/// | | retried | breaker counts | fallback |
/// |---|---|---|---|
/// | `Success` | no | success | no |
/// | `Transient` | yes | failure | yes |
/// | `Permanent` | no | failure | yes |
/// | `Invalid` | no | success | no |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// Why: see `Outcome`.
#[repr(u64)]
pub enum Class {
    /// The dependency did what it was asked.
    Success,
    /// It failed in a way that another attempt may not meet: no connection, a timeout, throttling, 502, 503, 504.
    Transient(Transient),
    /// It failed in a way that every attempt would meet: a wrong certificate, 501, an answer that cannot be read.
    Permanent,
    /// The call itself was wrong (400, 404, a violated constraint). The dependency is well, and said so.
    Invalid,
}

/// What is known about a transient failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Transient {
    /// The dependency asked not to be called again before this time has passed: `Retry-After` (RFC 9110, 10.2.3), gRPC's
    /// `grpc-retry-pushback-ms`.
    pub retry_after: Option<Duration>,
    /// The dependency certainly did not begin to work (connection refused, throttled at the door), so that even a call
    /// that is not idempotent may be made again.
    pub not_executed: bool,
}

impl Class {
    /// A transient failure of which nothing more is known.
    #[must_use]
    pub const fn transient() -> Self {
        Self::Transient(Transient { retry_after: None, not_executed: false })
    }

    /// A transient failure after which the dependency asked to be left alone for a while.
    #[must_use]
    pub const fn retry_after(duration: Duration) -> Self {
        Self::Transient(Transient { retry_after: Some(duration), not_executed: false })
    }

    /// A transient failure before the dependency began to work: safe to retry whatever the call does.
    #[must_use]
    pub const fn not_executed() -> Self {
        Self::Transient(Transient { retry_after: None, not_executed: true })
    }

    /// Whether the dependency failed, as a breaker counts.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Transient(_) | Self::Permanent)
    }

    /// The class of an HTTP status, after RFC 9110, section 15, with the statuses that mean "try again" as in the retry
    /// handling of the large clouds: 408, 425, 429, 500, 502, 503, 504. `retry_after` is the header of that name.
    ///
    /// ```
    /// use patterns::Class;
    ///
    /// assert_eq!(Class::of_http_status(200, None), Class::Success);
    /// assert_eq!(Class::of_http_status(404, None), Class::Invalid);
    /// assert_eq!(Class::of_http_status(502, None), Class::transient());
    /// ```
    #[must_use]
    pub const fn of_http_status(status: u16, retry_after: Option<Duration>) -> Self {
        match status {
            // Refused at the door: 425 Too Early and 429 Too Many Requests are answered instead of doing the work.
            425 | 429 => Self::Transient(Transient { retry_after, not_executed: true }),
            408 | 500 | 502 | 503 | 504 => Self::Transient(Transient { retry_after, not_executed: false }),
            400..=499 => Self::Invalid,
            0..=399 => Self::Success,
            500.. => Self::Permanent,
        }
    }
}

/// Judges results. Closures `Fn(Result<&T, &E>) -> Class` do, as does [`ErrorsAreTransient`].
pub trait Classify<T, E> {
    /// The class of a result.
    fn classify(&self, result: Result<&T, &E>) -> Class;
}

impl<T, E, F: Fn(Result<&T, &E>) -> Class> Classify<T, E> for F {
    fn classify(&self, result: Result<&T, &E>) -> Class {
        self(result)
    }
}

/// The judgement when none is given: every `Ok` is a success, every `Err` transient.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorsAreTransient;

impl<T, E> Classify<T, E> for ErrorsAreTransient {
    fn classify(&self, result: Result<&T, &E>) -> Class {
        if result.is_ok() { Class::Success } else { Class::transient() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_http_status_has_a_class() {
        let transient: Vec<u16> =
            (0..1000).filter(|status| matches!(Class::of_http_status(*status, None), Class::Transient(_))).collect();
        assert_eq!(transient, [408, 425, 429, 500, 502, 503, 504]);
        assert!((100..400).all(|status| Class::of_http_status(status, None) == Class::Success));
        assert_eq!(Class::of_http_status(501, None), Class::Permanent);
        assert_eq!(Class::of_http_status(422, None), Class::Invalid);
    }

    #[test]
    fn what_the_server_asked_for_is_kept() {
        let after = Some(Duration::from_secs(7));
        let Class::Transient(transient) = Class::of_http_status(503, after) else { panic!("503 is transient") };
        assert_eq!((transient.retry_after, transient.not_executed), (after, false));
    }
}
