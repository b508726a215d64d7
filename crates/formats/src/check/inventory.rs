//! Inventories of workloads: objectives against dependencies, and against each other.

use model::figures::span;

use super::quantity;
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    workload,
};

/// Keys under which an availability is promised.
const TARGETS: &[&str] = &["availability_requirement", "availability_target", "availability_objective"];
/// Keys of a recovery time objective.
const RTOS: &[&str] = &["rto_requirement", "rto", "rto_target"];

/// Minutes of a month of 30 days, by which downtime budgets are usually told.
const MONTH: f64 = 43_200.0;

/// Whether this is an inventory.
pub(super) fn is_one(root: &Node) -> bool {
    let promises = |node: &Node| TARGETS.iter().any(|key| node.entry(key).is_some());
    workload::is_inventory(root) || promises(root) || root.get("services").is_some_and(|all| values(all).any(promises))
}

/// The things of a mapping or of a list.
fn values(node: &Node) -> impl Iterator<Item = &Node> {
    let named = node.as_mapping().unwrap_or_default().iter().map(|entry| &entry.value);
    named.chain(node.as_sequence().unwrap_or_default())
}

/// Looks at an inventory, or at a list of services with their classes.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    budget(reader, root);
    for service in root.get("services").into_iter().flat_map(values) {
        budget(reader, service);
    }
    let Some(dependencies) = root.get("dependencies") else { return };
    let all: Vec<&Node> = match dependencies.as_sequence() {
        Some(items) => items.iter().collect(),
        // By their kind, such as `external_apis`.
        None => values(dependencies).flat_map(values).collect(),
    };
    ceiling(reader, root, &all);
    for dependency in all {
        retries(reader, dependency);
    }
}

fn first<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n Entry> {
    keys.iter().find_map(|key| node.entry(key))
}

fn percent(node: &Node) -> Option<f64> {
    quantity::percent(node.as_text()?).filter(|percent| (0.0..=100.0).contains(percent))
}

/// One incident that lasts as long as the RTO allows, against the downtime of a month.
fn budget(reader: &mut Reader<'_>, node: &Node) {
    let (Some(target), Some(rto)) = (first(node, TARGETS), first(node, RTOS)) else { return };
    let (Some(percent), Some(seconds)) = (percent(&target.value), rto.value.as_text().and_then(quantity::seconds))
    else {
        return;
    };
    let budget = (100.0 - percent) / 100.0 * MONTH * 60.0;
    if seconds > budget {
        let message =
            format!("{percent} % leave {} a month, and one incident may take {}", span(budget), span(seconds));
        reader.report(
            Finding::new(&codes::RTO_BREAKS_BUDGET, rto.value.span, message)
                .help("shorten the RTO below the budget, or lower the target"),
        );
    }
}

/// Whether a dependency may fail without harm.
fn soft(dependency: &Node) -> bool {
    let says = |key: &str, value: &str| {
        dependency.get(key).and_then(Node::as_text).is_some_and(|text| text.to_lowercase().contains(value))
    };
    says("type", "soft")
        || says("kind", "soft")
        || says("criticality", "soft")
        || says("hard", "false")
        || says("critical", "false")
        || dependency.entry("fallback").is_some()
}

/// What hard dependencies allow at most.
fn ceiling(reader: &mut Reader<'_>, root: &Node, dependencies: &[&Node]) {
    let Some((target, wanted)) = first(root, TARGETS).and_then(|entry| Some((entry, percent(&entry.value)?))) else {
        return;
    };
    let hard: Vec<f64> =
        dependencies.iter().filter(|node| !soft(node)).filter_map(|node| percent(node.get("availability")?)).collect();
    let product = hard.iter().fold(1.0, |product, percent| product * percent / 100.0) * 100.0;
    if !hard.is_empty() && product < wanted {
        let message = format!(
            "the hard dependencies allow {product:.5} % at most, before anything of one's own fails; {wanted} % cannot be reached"
        );
        reader.report(
            Finding::new(&codes::UNREACHABLE_TARGET, target.value.span, message)
                .help("lower the target, or make dependencies soft: queue, cache, degrade"),
        );
    }
}

/// Timeout times attempts.
fn retries(reader: &mut Reader<'_>, dependency: &Node) {
    let (Some(timeout), Some(policy)) =
        (dependency.get("timeout"), dependency.entry("retry_policy").or_else(|| dependency.entry("retries")))
    else {
        return;
    };
    let (Some(seconds), Some(text)) = (timeout.as_text().and_then(quantity::seconds), policy.value.as_text()) else {
        return;
    };
    let Some((count, _)) = quantity::number(text).filter(|_| !text.to_lowercase().starts_with("no ")) else { return };
    let worst = seconds * (count + 1.0);
    // Load balancers and browsers give up after a minute.
    if count >= 1.0 && worst > 60.0 {
        let message = format!(
            "{} attempts of {} are {} before waits; whoever called has given up by then",
            count + 1.0,
            span(seconds),
            span(worst)
        );
        reader.report(
            Finding::new(&codes::LONG_RETRIES, policy.value.span, message)
                .help("shorten the timeout to what answers usually take, and give the whole call a deadline"),
        );
    }
}
