//! Events of pipelines as `tracing` events.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use patterns::{Breaker, Context, Pipeline, VirtualClock, trace::Tracing};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Writes down events as `level field=value ...`.
struct Paper(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Paper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "patterns" && *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn each_event_is_told_at_the_level_of_its_severity_with_the_fields_it_has() {
    let paper = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Paper(Arc::clone(&paper)), || {
        let clock = VirtualClock::new();
        let pipeline = Pipeline::builder("users")
            .clock(clock.clone())
            .breaker(Breaker::consecutive_failures(1))
            .listener(Tracing)
            .build()
            .unwrap();
        let context = Context::idempotent().tenant("acme");
        assert!(clock.run(pipeline.call(&context, |_| async { Err::<(), _>("broken") })).is_err());
        pipeline.reset_breaker();
    });
    let users = r#"pipeline="users""#;
    let acme = r#"tenant="acme""#;
    assert_eq!(
        *paper.lock().unwrap(),
        [
            format!(r#"ERROR {users} strategy="breaker" event="breaker" {acme} from="closed" to="open""#),
            format!(
                r#"WARN {users} strategy="pipeline" event="attempt" {acme} attempt=1 hedge=0 outcome="transient" duration_ms=0.0"#
            ),
            format!(
                r#"ERROR {users} strategy="pipeline" event="call" {acme} attempt=1 outcome="transient" duration_ms=0.0"#
            ),
            format!(r#"INFO {users} strategy="breaker" event="breaker" from="open" to="closed""#),
        ]
    );
}
