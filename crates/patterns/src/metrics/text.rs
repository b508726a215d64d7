//! Prometheus' text format.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::counts::{BUCKETS, Counts, FAULTS, MODES, OUTCOMES, Outcomes, REASONS};
use crate::event::{Kind, Severity};

/// The text of all pipelines, which are sorted by name. Combinations that never happened are left out, but for the
/// success of calls and attempts: a rate of something that has no series yet is nothing, not zero.
pub(super) fn render(pipelines: &[(&str, Counts)]) -> String {
    let mut text = Exposition::default();
    if pipelines.is_empty() {
        return text.0;
    }
    outcomes(&mut text, "patterns_call", "Calls that ended", "with pauses and queues", pipelines, |c| &c.calls);
    outcomes(&mut text, "patterns_attempt", "Attempts that ended", "without queues", pipelines, |c| &c.attempts);
    text.family("patterns_retries_total", "Further attempts after one that failed.", "counter");
    for (name, counts) in pipelines {
        text.sample("patterns_retries_total", &[("pipeline", name)], counts.retries.get());
    }
    text.family("patterns_gave_up_total", "Failed attempts after which there was no other, by the reason.", "counter");
    for (name, counts) in pipelines {
        for (reason, count) in REASONS.iter().zip(&counts.gave_up) {
            text.happened("patterns_gave_up_total", &[("pipeline", name), ("reason", reason.as_str())], count.get());
        }
    }
    text.family("patterns_hedges_total", "Requests sent because an answer was late.", "counter");
    for (name, counts) in pipelines {
        text.happened("patterns_hedges_total", &[("pipeline", name)], counts.hedges.get());
    }
    text.family("patterns_fallbacks_total", "Failures, by whether a fallback had something in their place.", "counter");
    for (name, counts) in pipelines {
        for (served, count) in ["false", "true"].iter().zip(&counts.fallbacks) {
            text.happened("patterns_fallbacks_total", &[("pipeline", name), ("served", served)], count.get());
        }
    }
    text.family("patterns_chaos_total", "Faults on purpose.", "counter");
    for (name, counts) in pipelines {
        for ((_, fault), count) in FAULTS.iter().zip(&counts.chaos) {
            text.happened("patterns_chaos_total", &[("pipeline", name), ("fault", fault)], count.get());
        }
    }
    text.family("patterns_breaker_changes_total", "Changes of the breaker's state, by the new one.", "counter");
    for (name, counts) in pipelines {
        for (mode, count) in MODES.iter().zip(&counts.breaker) {
            text.happened("patterns_breaker_changes_total", &[("pipeline", name), ("to", mode.as_str())], count.get());
        }
    }
    text.family("patterns_limit_changes_total", "Changes of an adaptive limit.", "counter");
    for (name, counts) in pipelines {
        text.happened("patterns_limit_changes_total", &[("pipeline", name)], counts.limits.get());
    }
    text.family("patterns_reconfigured_total", "Exchanges of options.", "counter");
    for (name, counts) in pipelines {
        text.happened("patterns_reconfigured_total", &[("pipeline", name)], counts.reconfigured.get());
    }
    text.family("patterns_events_total", "Everything that happened, in one scheme.", "counter");
    for (name, counts) in pipelines {
        for ((strategy, event, severity), count) in events(counts) {
            let labels =
                [("pipeline", *name), ("strategy", strategy), ("event", event), ("severity", severity.as_str())];
            text.happened("patterns_events_total", &labels, count);
        }
    }
    text.0
}

fn outcomes(
    text: &mut Exposition,
    noun: &str,
    what: &str,
    how: &str,
    pipelines: &[(&str, Counts)],
    of: impl Fn(&Counts) -> &Outcomes,
) {
    let total = format!("{noun}s_total");
    text.family(&total, &format!("{what}, by their outcome."), "counter");
    for (name, counts) in pipelines {
        for (index, (outcome, count)) in OUTCOMES.iter().zip(of(counts).by_outcome()).enumerate() {
            let labels = [("pipeline", *name), ("outcome", outcome.as_str())];
            if index == 0 { text.sample(&total, &labels, count) } else { text.happened(&total, &labels, count) }
        }
    }
    let durations = format!("{noun}_duration_seconds");
    text.family(&durations, &format!("How long they took, {how}."), "histogram");
    for (name, counts) in pipelines {
        let mut cumulative = 0;
        for (index, count) in of(counts).by_bucket().into_iter().enumerate() {
            cumulative += count;
            let bound = BUCKETS.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            text.sample(&format!("{durations}_bucket"), &[("pipeline", name), ("le", &bound)], cumulative);
        }
        let sum = of(counts).total().as_secs_f64();
        text.line(&format!("{durations}_sum"), &[("pipeline", name)], format_args!("{sum}"));
        text.sample(&format!("{durations}_count"), &[("pipeline", name)], cumulative);
    }
}

/// All counters of a pipeline by strategy, event and severity, as the events themselves say.
fn events(counts: &Counts) -> BTreeMap<(&'static str, &'static str, Severity), u64> {
    let mut events = BTreeMap::new();
    let mut add = |kind: Kind, count: u64| {
        *events.entry((kind.strategy(), kind.as_str(), kind.severity())).or_default() += count;
    };
    let duration = Duration::ZERO;
    let (calls, attempts) = (counts.calls.by_outcome(), counts.attempts.by_outcome());
    for ((outcome, calls), attempts) in OUTCOMES.into_iter().zip(calls).zip(attempts) {
        add(Kind::Call { attempts: 1, outcome, duration }, calls);
        add(Kind::Attempt { number: 1, hedge: 0, outcome, duration }, attempts);
    }
    add(Kind::Retry { after: 1, delay: duration }, counts.retries.get());
    for (reason, count) in REASONS.into_iter().zip(&counts.gave_up) {
        add(Kind::GaveUp { after: 1, reason }, count.get());
    }
    add(Kind::Hedge { number: 1, hedge: 1 }, counts.hedges.get());
    for (served, count) in [false, true].into_iter().zip(&counts.fallbacks) {
        add(Kind::Fallback { served }, count.get());
    }
    for ((fault, _), count) in FAULTS.into_iter().zip(&counts.chaos) {
        add(Kind::Chaos { number: 1, fault }, count.get());
    }
    for (to, count) in MODES.into_iter().zip(&counts.breaker) {
        add(Kind::Breaker { from: to, to }, count.get());
    }
    add(Kind::Limit { from: 1, to: 1 }, counts.limits.get());
    add(Kind::Reconfigured, counts.reconfigured.get());
    events
}

/// A text in the making.
#[derive(Debug, Default)]
pub(crate) struct Exposition(pub(crate) String);

impl Exposition {
    /// Begins a metric.
    pub(crate) fn family(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a string cannot fail.
        let _written = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A value.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.line(name, labels, format_args!("{value}"));
    }

    /// A value, unless it is zero.
    fn happened(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        if value > 0 {
            self.sample(name, labels, value);
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: std::fmt::Arguments<'_>) {
        self.0.push_str(name);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.0.push(if number == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        // Writing to a string cannot fail.
        let _written = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}
