//! Events of pipelines as [`tracing`](https://docs.rs/tracing) events.

use crate::event::{Event, Kind, Listener, Severity};

/// Turns each event of a pipeline into a `tracing` event with the target `patterns`, at the level of its severity, with
/// the fields `pipeline`, `strategy`, `event`, and those of [`Kind`] that it has: `attempt`, `hedge`, `outcome`,
/// `duration_ms`, `delay_ms`, `reason`, `from`, `to`, `fault`, `served`, and the `tenant` of the context.
///
/// ```
/// use patterns::{Pipeline, trace::Tracing};
///
/// let pipeline = Pipeline::builder("users").listener(Tracing).build()?;
/// # Ok::<(), patterns::InvalidOption>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

/// What the fields of an event are, those it has not being `None`.
#[derive(Default)]
struct Fields {
    attempt: Option<u32>,
    hedge: Option<u32>,
    outcome: Option<&'static str>,
    duration_ms: Option<f64>,
    delay_ms: Option<f64>,
    reason: Option<&'static str>,
    from: Option<String>,
    to: Option<String>,
    fault: Option<String>,
    served: Option<bool>,
}

impl Listener for Tracing {
    fn event(&self, event: &Event<'_>) {
        /// The level of a `tracing` event must be known when it is compiled, hence one arm for each.
        macro_rules! tell {
            ($level:expr) => {
                if tracing::enabled!(target: "patterns", $level) {
                    let fields = Fields::of(&event.kind);
                    tracing::event!(
                        target: "patterns",
                        $level,
                        pipeline = event.pipeline,
                        strategy = event.kind.strategy(),
                        event = event.kind.as_str(),
                        tenant = event.context.and_then(|context| context.get_tenant()),
                        attempt = fields.attempt,
                        hedge = fields.hedge,
                        outcome = fields.outcome,
                        duration_ms = fields.duration_ms,
                        delay_ms = fields.delay_ms,
                        reason = fields.reason,
                        from = fields.from,
                        to = fields.to,
                        fault = fields.fault,
                        served = fields.served,
                    );
                }
            };
        }
        match event.kind.severity() {
            Severity::Debug => tell!(tracing::Level::DEBUG),
            Severity::Info => tell!(tracing::Level::INFO),
            Severity::Warning => tell!(tracing::Level::WARN),
            Severity::Error => tell!(tracing::Level::ERROR),
        }
    }
}

impl Fields {
    fn of(kind: &Kind) -> Self {
        let millis = |duration: std::time::Duration| Some(duration.as_secs_f64() * 1000.0);
        let nothing = Self::default();
        match *kind {
            Kind::Attempt { number, hedge, outcome, duration } => Self {
                attempt: Some(number),
                hedge: Some(hedge),
                outcome: Some(outcome.as_str()),
                duration_ms: millis(duration),
                ..nothing
            },
            Kind::Call { attempts, outcome, duration } => Self {
                attempt: Some(attempts),
                outcome: Some(outcome.as_str()),
                duration_ms: millis(duration),
                ..nothing
            },
            Kind::Retry { after, delay } => Self { attempt: Some(after), delay_ms: millis(delay), ..nothing },
            Kind::GaveUp { after, reason } => Self { attempt: Some(after), reason: Some(reason.as_str()), ..nothing },
            Kind::Hedge { number, hedge } => Self { attempt: Some(number), hedge: Some(hedge), ..nothing },
            Kind::Breaker { from, to } => {
                Self { from: Some(from.as_str().into()), to: Some(to.as_str().into()), ..nothing }
            }
            Kind::Limit { from, to } => Self { from: Some(from.to_string()), to: Some(to.to_string()), ..nothing },
            Kind::Chaos { number, fault } => {
                Self { attempt: Some(number), fault: Some(format!("{fault:?}")), ..nothing }
            }
            Kind::Fallback { served } => Self { served: Some(served), ..nothing },
            Kind::Reconfigured => nothing,
        }
    }
}
