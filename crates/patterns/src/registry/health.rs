//! What every breaker, limit and budget looks like: for `/health`, and for people.

use std::fmt;

use serde::Serialize;

use crate::{duration::write_duration, metrics::Exposition, pipeline::Status};

/// What all pipelines of a registry look like at one moment. As text it is a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Each, by name.
    pub pipelines: Vec<PipelineHealth>,
}

/// What one pipeline looks like. Strategies that it has not are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PipelineHealth {
    /// Its name.
    pub pipeline: String,
    /// Calls under way, as load shedding counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Its breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerHealth>,
    /// Its bulkhead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<BulkheadHealth>,
    /// Retries that the budget would allow at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_tokens: Option<u32>,
    /// Hedges that the budget would allow at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge_tokens: Option<u32>,
}

/// What a breaker looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakerHealth {
    /// `closed`, `open`, `half_open`, `forced_open` or `forced_closed`.
    pub state: &'static str,
    /// Milliseconds until it lets a trial through, if it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// How many times it opened since it was last closed, up to 31.
    pub openings: u8,
    /// Calls in its window; trials, when it is half-open.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of them were slow.
    pub slow: u32,
}

/// What a bulkhead looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BulkheadHealth {
    /// Places.
    pub limit: u32,
    /// Places taken.
    pub taken: u32,
    /// Calls waiting for a place.
    pub waiting: u32,
}

impl Health {
    /// Whether no breaker refuses calls.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.pipelines.iter().all(PipelineHealth::is_well)
    }

    /// The same as metrics for Prometheus, to be scraped together with [`Metrics::render`](crate::metrics::Metrics::render).
    #[must_use]
    pub fn metrics(&self) -> String {
        type Gauge = fn(&PipelineHealth) -> Option<u32>;
        let gauges: [(&str, &str, Gauge); 6] = [
            ("patterns_calls_in_flight", "Calls under way, as load shedding counts them.", |of| of.in_flight),
            ("patterns_bulkhead_places", "Attempts that may be under way.", |of| Some(of.bulkhead.as_ref()?.limit)),
            ("patterns_bulkhead_taken", "Attempts under way.", |of| Some(of.bulkhead.as_ref()?.taken)),
            ("patterns_bulkhead_waiting", "Attempts waiting for a place.", |of| Some(of.bulkhead.as_ref()?.waiting)),
            ("patterns_retry_tokens", "Retries that the budget would allow at once.", |of| of.retry_tokens),
            ("patterns_hedge_tokens", "Hedges that the budget would allow at once.", |of| of.hedge_tokens),
        ];
        let mut text = Exposition::default();
        let breakers = self.pipelines.iter().filter_map(|of| Some((of.pipeline.as_str(), of.breaker.as_ref()?.state)));
        let mut breakers = breakers.peekable();
        if breakers.peek().is_some() {
            text.family("patterns_breaker_state", "1 for the state that the breaker is in.", "gauge");
        }
        for (pipeline, state) in breakers {
            for known in STATES {
                let labels = [("pipeline", pipeline), ("state", known)];
                text.sample("patterns_breaker_state", &labels, u64::from(known == state));
            }
        }
        for (name, help, value) in gauges {
            let mut values = self.pipelines.iter().filter_map(|of| Some((of.pipeline.as_str(), value(of)?))).peekable();
            if values.peek().is_some() {
                text.family(name, help, "gauge");
            }
            for (pipeline, value) in values {
                text.sample(name, &[("pipeline", pipeline)], u64::from(value));
            }
        }
        text.0
    }
}

/// The states of a breaker.
const STATES: [&str; 5] = ["closed", "open", "half_open", "forced_open", "forced_closed"];

impl PipelineHealth {
    pub(super) fn of(name: &str, status: &Status) -> Self {
        let breaker = status.breaker.map(|breaker| BreakerHealth {
            state: breaker.mode.as_str(),
            retry_after_ms: breaker.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            openings: breaker.openings,
            calls: breaker.tally.calls,
            failures: breaker.tally.failures,
            slow: breaker.tally.slow,
        });
        let bulkhead = status.bulkhead.map(|bulkhead| BulkheadHealth {
            limit: bulkhead.limit,
            taken: bulkhead.taken,
            waiting: bulkhead.waiting,
        });
        let Status { in_flight, retry_tokens, hedge_tokens, .. } = *status;
        Self { pipeline: name.to_owned(), in_flight, breaker, bulkhead, retry_tokens, hedge_tokens }
    }

    /// Whether its breaker, if it has one, lets calls through.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.breaker.as_ref().is_none_or(|breaker| matches!(breaker.state, "closed" | "forced_closed"))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["pipeline", "breaker", "failed", "bulkhead", "retries left"].map(str::to_owned);
        let rows: Vec<[String; 5]> = std::iter::once(head).chain(self.pipelines.iter().map(row)).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
                line = format!("{line}{cell:width$}  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn row(health: &PipelineHealth) -> [String; 5] {
    let none = || "-".to_owned();
    let state = health.breaker.as_ref().map_or_else(none, |breaker| match breaker.retry_after_ms {
        Some(millis) => {
            format!("{} for {}", breaker.state, write_duration(std::time::Duration::from_millis(millis)))
        }
        None => breaker.state.to_owned(),
    });
    let failed = health.breaker.as_ref().map_or_else(none, |breaker| format!("{}/{}", breaker.failures, breaker.calls));
    let bulkhead = health.bulkhead.as_ref().map_or_else(none, |bulkhead| {
        let waiting = if bulkhead.waiting > 0 { format!(" +{}", bulkhead.waiting) } else { String::new() };
        format!("{}/{}{waiting}", bulkhead.taken, bulkhead.limit)
    });
    let tokens = health.retry_tokens.map_or_else(none, |tokens| tokens.to_string());
    [health.pipeline.clone(), state, failed, bulkhead, tokens]
}
