//! The one clock of a record.

use model::Moment;
use tokio::time::Instant;

/// The one clock of a record: monotonic, started once, handed to everything that stamps events or samples.
///
/// It reads tokio's time, so that a test with a paused runtime controls it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts a clock now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::after(self.start.elapsed())
    }

    /// The moment at which a [`std::time::Instant`] lies; before the start it is the start.
    #[must_use]
    pub fn at(&self, instant: std::time::Instant) -> Moment {
        Moment::after(instant.saturating_duration_since(self.start.into_std()))
    }

    /// When a moment comes, as tokio's timers want it.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.since_start()
    }
}
