//! Metrics of pipelines for Prometheus: a listener that counts, and the text that is scraped.
//!
//! | metric | labels | what it counts |
//! |---|---|---|
//! | `patterns_calls_total` | pipeline, outcome | calls that ended |
//! | `patterns_call_duration_seconds` | pipeline | histogram: how long they took, pauses and queues included |
//! | `patterns_attempts_total` | pipeline, outcome | attempts that ended, hedges included |
//! | `patterns_attempt_duration_seconds` | pipeline | histogram: how long they took, without queues |
//! | `patterns_retries_total` | pipeline | further attempts |
//! | `patterns_gave_up_total` | pipeline, reason | failed attempts after which there was no other |
//! | `patterns_hedges_total` | pipeline | requests sent because an answer was late |
//! | `patterns_fallbacks_total` | pipeline, served | failures that a fallback could, or could not, take the place of |
//! | `patterns_chaos_total` | pipeline, fault | faults on purpose |
//! | `patterns_breaker_changes_total` | pipeline, to | changes of the breaker's state |
//! | `patterns_limit_changes_total` | pipeline | changes of an adaptive limit |
//! | `patterns_reconfigured_total` | pipeline | exchanges of options |
//! | `patterns_events_total` | pipeline, strategy, event, severity | all of the above, in one scheme |
//!
//! What breakers, bulkheads and budgets look like at the moment of the scrape is known to the registry:
//! `Health::metrics` (feature `registry`) gives `patterns_breaker_state`, `patterns_bulkhead_places`,
//! `patterns_bulkhead_taken`, `patterns_bulkhead_waiting`, `patterns_retry_tokens` and `patterns_calls_in_flight`.
//!
//! Labels are bounded: outcomes, reasons and strategies are words of this crate, and past [`MOST_PIPELINES`] names further
//! pipelines count together as `_other`. Buckets of the histograms are [`BUCKETS`].
//!
//! Counting takes no lock, and looks nothing up: a pipeline finds its counters when the listener is added to it. Each thread
//! counts in one of a few shards, so that threads seldom write to the same cache line.

mod counts;
mod text;

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use self::counts::BUCKETS;
use self::counts::Counts;
#[cfg(feature = "registry")]
pub(crate) use self::text::Exposition;
use crate::event::{Event, Listener};

/// Pipelines with a label of their own; more than a program has dependencies.
pub const MOST_PIPELINES: usize = 256;

/// Shards for each pipeline: as many threads as seldom call the same dependency at the same instant.
const SHARDS: usize = 8;

/// A listener that counts. Give it to pipelines, or to a registry, in an `Arc`.
///
/// ```
/// use std::sync::Arc;
/// use patterns::{Context, Event, Listener, Pipeline, VirtualClock, metrics::Metrics};
///
/// let (clock, metrics) = (VirtualClock::new(), Arc::new(Metrics::new()));
/// let users = Pipeline::builder("users").clock(clock.clone()).build()?;
/// users.listen(metrics.clone());
///
/// let _answer = clock.run(users.call(&Context::idempotent(), async |_| Ok::<_, String>("Ada")));
/// assert!(metrics.render().contains("patterns_calls_total{pipeline=\"users\",outcome=\"success\"} 1\n"));
/// # Ok::<(), patterns::InvalidOption>(())
/// ```
pub struct Metrics {
    /// Found by open addressing: once taken, a slot is never given away.
    slots: Box<[OnceLock<Arc<Counted>>]>,
    others: OnceLock<Arc<Counted>>,
}

/// What is counted of one pipeline.
struct Counted {
    name: Box<str>,
    shards: [Counts; SHARDS],
}

impl Counted {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.into(), shards: std::array::from_fn(|_| Counts::default()) })
    }
}

impl Listener for Counted {
    fn event(&self, event: &Event<'_>) {
        self.shards[shard()].count(&event.kind);
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        // Twice as many slots as names, so that runs of taken slots stay short.
        let slots = (0..2 * MOST_PIPELINES).map(|_| OnceLock::new()).collect();
        Self { slots, others: OnceLock::new() }
    }

    /// The text of a scrape, in [Prometheus' text format 0.0.4][format] (`text/plain; version=0.0.4`).
    ///
    /// [format]: https://prometheus.io/docs/instrumenting/exposition_formats/
    #[must_use]
    pub fn render(&self) -> String {
        let mut counted: Vec<(&str, Counts)> = self
            .slots
            .iter()
            .chain([&self.others])
            .filter_map(OnceLock::get)
            .map(|counted| (&*counted.name, Counts::sum(&counted.shards)))
            .collect();
        counted.sort_unstable_by_key(|(name, _)| *name);
        text::render(&counted)
    }

    /// The counters of a pipeline.
    fn of(&self, name: &str) -> &Arc<Counted> {
        let mut slot = hash(name);
        for probe in 0..self.slots.len() {
            slot = (slot + 1) % self.slots.len();
            // Half of the slots stay empty, whatever the names hash to.
            if probe >= MOST_PIPELINES {
                break;
            }
            let counted = self.slots[slot].get_or_init(|| Counted::new(name));
            if &*counted.name == name {
                return counted;
            }
        }
        self.others.get_or_init(|| Counted::new("_other"))
    }
}

impl Listener for Metrics {
    fn event(&self, event: &Event<'_>) {
        self.of(event.pipeline).event(event);
    }

    fn of_pipeline(&self, name: &str) -> Option<Arc<dyn Listener>> {
        let counted: Arc<Counted> = Arc::clone(self.of(name));
        Some(counted)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.slots.iter().filter_map(OnceLock::get).map(|counted| &counted.name);
        out.debug_tuple("Metrics").field(&names.collect::<Vec<_>>()).finish()
    }
}

/// The shard of this thread: threads take turns.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    // A thread that is ending may have lost its own.
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}

/// FNV-1a: names are short, and nobody chooses them to collide; if somebody does, they count as `_other`.
fn hash(name: &str) -> usize {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
    name.hash(&mut fnv);
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    let hash = fnv.finish() as usize;
    hash
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::Moment,
        event::{Kind, Outcome},
        outcome::Class,
    };

    fn call(metrics: &Metrics, pipeline: &str) {
        let outcome = Outcome::Done(Class::Success);
        let kind = Kind::Call { attempts: 1, outcome, duration: Duration::from_millis(3) };
        metrics.event(&Event { pipeline, context: None, at: Moment::ZERO, kind });
    }

    #[test]
    fn past_the_most_pipelines_all_others_count_together() {
        let metrics = Metrics::new();
        for number in 0..MOST_PIPELINES * 4 {
            call(&metrics, &format!("pipeline-{number}"));
        }
        let named = metrics.slots.iter().filter_map(OnceLock::get).count();
        assert!(named <= 2 * MOST_PIPELINES, "{named}");
        let text = metrics.render();
        assert!(text.contains("patterns_calls_total{pipeline=\"_other\",outcome=\"success\"}"), "{named}");
        let total: u64 = text
            .lines()
            .filter(|line| line.starts_with("patterns_calls_total{"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum();
        assert_eq!(total, 4 * MOST_PIPELINES as u64);
    }

    #[test]
    fn threads_count_together_what_they_count_apart() {
        let metrics = Metrics::new();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..1000).for_each(|_| call(&metrics, "users")));
            }
        });
        assert!(metrics.render().contains("patterns_calls_total{pipeline=\"users\",outcome=\"success\"} 16000\n"));
    }
}
