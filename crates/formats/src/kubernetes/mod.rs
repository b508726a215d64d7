//! Probes of Kubernetes workloads.

use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// Defaults of the API: a probe has one second, every ten seconds.
const TIMEOUT: f64 = 1.0;
const PERIOD: f64 = 10.0;

/// Looks at a manifest of any kind that has containers.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    walk(reader, root);
}

fn walk(reader: &mut Reader<'_>, node: &Node) {
    for item in node.as_sequence().unwrap_or_default() {
        walk(reader, item);
    }
    for entry in node.as_mapping().unwrap_or_default() {
        match entry.key.as_str() {
            "livenessProbe" => {
                probe(reader, &entry.value);
                deep(reader, &entry.value);
            }
            "readinessProbe" | "startupProbe" => probe(reader, &entry.value),
            _ => walk(reader, &entry.value),
        }
    }
}

fn number(node: &Node, key: &str) -> Option<f64> {
    node.get(key)?.as_text()?.parse().ok()
}

/// A probe that still waits when the next one is due.
fn probe(reader: &mut Reader<'_>, probe: &Node) {
    let timeout = number(probe, "timeoutSeconds").unwrap_or(TIMEOUT);
    let period = number(probe, "periodSeconds").unwrap_or(PERIOD);
    if timeout > period
        && let Some(node) = probe.get("timeoutSeconds").or_else(|| probe.get("periodSeconds"))
    {
        let message =
            format!("a probe waits {timeout} s and is made every {period} s: a slow answer delays the next one");
        reader.report(
            Finding::new(&codes::PROBE_BUDGET, node.span, message).help("keep timeoutSeconds below periodSeconds"),
        );
    }
}

/// Liveness that asks everything.
fn deep(reader: &mut Reader<'_>, probe: &Node) {
    if let Some(path) = probe.get("httpGet").and_then(|get| get.get("path"))
        && path.as_text() == Some("/actuator/health")
    {
        let message =
            "this path asks all health indicators, databases among them; when one fails, every pod is restarted";
        reader.report(Finding::new(&codes::DEEP_LIVENESS, path.span, message).help("ask /actuator/health/liveness"));
    }
}
