//! Probes, health indicators, balancers and zones of a sheet.

use model::figures::span;

use super::{field, plain, quantity, text};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
};

/// Health indicators against the probes that wait for them.
pub(super) fn check(reader: &mut Reader<'_>, mappings: &[(&Entry, &Node)]) {
    let timeout = |node: &Node| text(node, "timeout").and_then(quantity::seconds);
    let probe = mappings
        .iter()
        .filter(|(entry, _)| plain(&entry.key).ends_with("probe"))
        .filter_map(|(_, node)| timeout(node))
        .reduce(f64::min);
    for (entry, node) in mappings.iter().filter(|(entry, _)| plain(&entry.key).contains("health indicator")) {
        let indicators: Vec<&Entry> =
            node.as_mapping().unwrap_or_default().iter().filter(|entry| entry.value.as_mapping().is_some()).collect();
        let times: Vec<f64> = indicators.iter().filter_map(|entry| timeout(&entry.value)).collect();
        let longest = times.iter().copied().fold(0.0, f64::max);
        if let Some(probe) = probe.filter(|probe| longest >= *probe) {
            let sum: f64 = times.iter().sum();
            let message = format!(
                "indicators may take {} each and {} together, and a probe gives up after {}",
                span(longest),
                span(sum),
                span(probe)
            );
            reader.report(Finding::new(&codes::PROBE_TIMEOUTS, entry.key_span, message).help("give all indicators together less time than the probe has, or answer from what a check in the background found"));
        }
        for indicator in indicators {
            sends(reader, indicator);
        }
    }
}

/// An indicator that sends something with every probe.
fn sends(reader: &mut Reader<'_>, indicator: &Entry) {
    for entry in indicator.value.as_mapping().unwrap_or_default() {
        let value = entry.value.as_text().unwrap_or_default().to_lowercase();
        if plain(&entry.key).contains("producer") && value.contains("send") || value.contains("insert into") {
            let message = "every probe of every instance sends a message; consumers read them all";
            reader.report(
                Finding::new(&codes::PROBE_HAS_EFFECTS, entry.value.span, message)
                    .help("use a topic of its own at a pace of its own, or ask for the connection only"),
            );
        }
    }
}

/// A load balancer's health check and its sticky sessions.
pub(super) fn balancer(reader: &mut Reader<'_>, entry: &Entry, node: &Node) {
    let key = plain(&entry.key);
    if key == "session affinity"
        && let Some(duration) = field(node, "duration")
        && duration.value.as_text().and_then(quantity::seconds).is_some_and(|seconds| seconds >= 600.0)
    {
        let message = "sessions that stick to a target are lost with it, and all of them when the region is left";
        reader.report(
            Finding::new(&codes::STICKY_SESSIONS, duration.value.span, message)
                .help("keep sessions outside of the targets, where the other region finds them"),
        );
    }
    let balancer = field(node, "unhealthy threshold").is_some() && field(node, "healthy threshold").is_some();
    if balancer && let Some(path) = field(node, "path").filter(|path| path.value.as_text() == Some("/actuator/health"))
    {
        let message = "this path asks all health indicators, shared dependencies among them";
        reader.report(
            Finding::new(&codes::HEALTH_PATH, path.value.span, message)
                .help("ask /actuator/health/readiness, whose group is chosen"),
        );
    }
}

/// How instances lie over zones.
pub(super) fn zones(reader: &mut Reader<'_>, entry: &Entry, node: &Node) {
    let counts: Vec<f64> = node
        .as_mapping()
        .unwrap_or_default()
        .iter()
        .filter(|entry| plain(&entry.key).contains("zone") || plain(&entry.key).starts_with("az"))
        .filter_map(|entry| quantity::number(entry.value.as_text()?).map(|(number, _)| number))
        .collect();
    let total: f64 = counts.iter().sum();
    let largest = counts.iter().copied().fold(0.0, f64::max);
    if counts.len() >= 2 && largest > total / 2.0 {
        let message = format!("losing the largest zone leaves {} of {total}", total - largest);
        reader.report(
            Finding::new(&codes::ZONE_SHARE, entry.key_span, message)
                .help("spread evenly, and have in the others what the load needs without it"),
        );
    }
}
