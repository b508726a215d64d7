//! Metrics, thresholds and response times of a sheet.

use model::figures;

use super::{Goals, field, plain, quantity, text, written};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    source::Source,
};

/// The time in which a health check of Route 53 must connect, in milliseconds.
const CONNECT_MS: f64 = 4_000.0;

/// Looks at one metric with its threshold. `balancers_own_errors`: whether another metric has the errors that a load balancer
/// answers itself.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, node: &Node, balancers_own_errors: bool) {
    let (Some(metric), Some(threshold)) = (field(node, "metric"), field(node, "threshold")) else { return };
    let Some(name) = metric.value.as_text() else { return };
    let limit = written(source, &threshold.value);
    let span = threshold.value.span;
    if name.contains("ConnectionTime") && quantity::seconds(limit).is_some_and(|seconds| seconds * 1_000.0 > CONNECT_MS)
    {
        let message = "a check that has not connected after 4 s has failed: ConnectionTime never gets that far";
        reader.report(Finding::new(&codes::IMPOSSIBLE_THRESHOLD, span, message).help(
            "it is the time to connect to the endpoint, not that of a DNS query; choose a threshold well below 4000 ms",
        ));
    }
    if name.contains("TargetResponseTime") && limit.contains("ms") {
        let message = "TargetResponseTime is in seconds; a threshold in milliseconds is a thousand times too high";
        let seconds = quantity::seconds(limit).map(figures::span).unwrap_or_default();
        reader.report(
            Finding::new(&codes::METRIC_UNIT, span, message)
                .help(format!("write {seconds}, and the percentile as an extended statistic such as p95")),
        );
    }
    let count = name.ends_with("_Count") || name.ends_with("Count") && !name.contains("Host");
    if count && limit.contains('%') {
        let message = format!("{name} is a count, and a share is what it is compared with");
        reader.report(
            Finding::new(&codes::COUNT_AS_RATE, span, message)
                .help("divide by RequestCount with metric mathematics, and say what no traffic means"),
        );
    }
    if name.contains("HTTPCode_Target_5XX") && !balancers_own_errors {
        let message = "errors that the load balancer answers itself, when no target does, are not in this metric";
        reader.report(
            Finding::new(&codes::TARGET_ERRORS_ONLY, metric.value.span, message).help("add HTTPCode_ELB_5XX_Count"),
        );
    }
    let counter = name.trim_end_matches(')').ends_with("_total");
    if counter && limit.trim_start_matches(['>', ' ', '=', '\'', '"']).starts_with('0') {
        let message = "a counter that has once been above 0 stays there: the alarm never ends";
        reader.report(
            Finding::new(&codes::COUNTER_NEVER_FALLS, span, message)
                .help("compare its increase: increase(NAME[5m]) > 0"),
        );
    }
}

/// Time that people have, against the time in which all must be over.
pub(super) fn response(reader: &mut Reader<'_>, entry: &Entry, node: &Node, goals: &Goals) {
    let (Some(rto), Some(response)) = (goals.rto, field(node, "response time")) else { return };
    let Some(seconds) = text(node, "response time").and_then(quantity::seconds) else { return };
    let words: Vec<String> = field(node, "conditions")
        .and_then(|entry| entry.value.as_sequence())
        .unwrap_or_default()
        .iter()
        .filter_map(|item| item.as_text().map(str::to_lowercase))
        .collect();
    let grave = ["outage", "failover", "region", "data loss"]
        .iter()
        .any(|word| words.iter().any(|text| text.contains(word) && !text.contains("performance")));
    if grave && seconds >= rto {
        let message = format!(
            "`{}` gives people {} to respond, and all must be over within {}",
            plain(&entry.key),
            figures::span(seconds),
            figures::span(rto)
        );
        reader.report(
            Finding::new(&codes::RESPONSE_SLOWER_THAN_RTO, response.value.span, message)
                .help("what must be done within the objective has to be automatic"),
        );
    }
}
