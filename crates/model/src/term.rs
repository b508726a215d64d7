//! How long an injection may live.

use std::time::Duration;

/// How long an injection may live: unrenewed, in effect, and in all.
///
/// The lease protects against who dies or hangs; the other two against who goes on renewing and forgets to undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// How long it lives when nobody renews it.
    pub lease: Duration,
    /// How long it lasts once it is in effect; none: until somebody ends it.
    pub length: Option<Duration>,
    /// When it is over at the latest, counted from the order, in effect or not, renewed or not; none: no such limit.
    pub limit: Option<Duration>,
}

/// With nothing but a lease: it lasts as long as somebody renews it.
impl From<Duration> for Term {
    fn from(lease: Duration) -> Self {
        Self { lease, length: None, limit: None }
    }
}
