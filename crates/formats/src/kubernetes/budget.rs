//! Disruption budgets that let no pod go.

use std::collections::HashMap;

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
};

/// Looks at a budget by itself.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    let Some(spec) = root.get("spec") else { return };
    let blocks = |key: &str, texts: &[&str]| {
        spec.get(key).filter(|node| node.as_text().is_some_and(|text| texts.contains(&text)))
    };
    if let Some(node) = blocks("maxUnavailable", &["0", "0%"]).or_else(|| blocks("minAvailable", &["100%"])) {
        let message = "this budget lets no pod go, so that no node with one of them can be drained";
        reader.report(Finding::new(&codes::BLOCKS_DRAINS, node.span, message).help("write maxUnavailable: 1"));
    }
}

/// Most workloads of one label that are looked at for a budget: budgets are for one, or a few.
const MOST: usize = 100;

/// A workload, and the labels of its pods.
struct Workload<'n> {
    root: &'n Node,
    labels: HashMap<&'n str, &'n str>,
}

/// A label in a namespace.
type Label<'n> = (Option<&'n str>, &'n str, &'n str);

/// Looks at budgets beside the workloads whose pods they are for: one that wants as many pods as there are lets none go.
pub(super) fn beside_workloads(reader: &mut Reader<'_>, manifests: &[&Node]) {
    let is_workload = |root: &&&Node| is_of(root, &["Deployment", "StatefulSet", "ReplicaSet"]);
    let workloads: Vec<Workload<'_>> =
        manifests.iter().filter(is_workload).map(|root| Workload { root, labels: labels(root) }).collect();
    let mut by_label: HashMap<Label<'_>, Vec<&Workload<'_>>> = HashMap::new();
    for workload in &workloads {
        for (key, value) in &workload.labels {
            by_label.entry((namespace(workload.root), key, value)).or_default().push(workload);
        }
    }
    for budget in manifests.iter().filter(|root| is_of(root, &["PodDisruptionBudget"])) {
        let Some(spec) = budget.get("spec") else { continue };
        let Some((node, wanted)) = spec.get("minAvailable").and_then(|node| Some((node, whole(node)?))) else {
            continue;
        };
        let its = selected(budget, &by_label);
        // How many replicas there are is not known where anything else sets it.
        let replicas: Option<u64> = its.iter().map(|workload| replicas(workload.root)).sum();
        let (Some(first), Some(replicas)) = (its.first(), replicas) else { continue };
        if wanted >= replicas && wanted > 0 {
            too_many(reader, node, first.root, wanted, replicas);
        }
    }
}

fn too_many(reader: &mut Reader<'_>, node: &Node, workload: &Node, wanted: u64, replicas: u64) {
    let name = workload.get("metadata").and_then(|metadata| metadata.get("name")?.as_text()).unwrap_or("the workload");
    let pods = if replicas == 1 { "1 pod".to_owned() } else { format!("{replicas} pods") };
    let message =
        format!("`{name}` has {pods}, and {wanted} must be there: none may go, and no node with one can be drained");
    let help = format!("have at least {} replicas, or write maxUnavailable: 1", wanted.saturating_add(1));
    reader.report(Finding::new(&codes::BLOCKS_DRAINS, node.span, message).help(help));
}

/// The workloads that have all the labels which a budget asks for; none where it asks by expressions.
fn selected<'w, 'n>(budget: &'n Node, by_label: &HashMap<Label<'n>, Vec<&'w Workload<'n>>>) -> Vec<&'w Workload<'n>> {
    let Some(selector) = budget.get("spec").and_then(|spec| spec.get("selector")) else { return Vec::new() };
    let wanted = selector.get("matchLabels").and_then(Node::as_mapping).unwrap_or_default();
    let wanted: Vec<(&str, &str)> =
        wanted.iter().filter_map(|entry| Some((entry.key.as_str(), entry.value.as_text()?))).collect();
    if selector.get("matchExpressions").is_some() {
        return Vec::new();
    }
    let lists = wanted.iter().map(|label| {
        let found = by_label.get(&(namespace(budget), label.0, label.1));
        found.map_or(&[][..], Vec::as_slice)
    });
    let fewest = lists.min_by_key(|workloads| workloads.len()).unwrap_or_default();
    if fewest.len() > MOST {
        return Vec::new();
    }
    let has_all = |workload: &&&Workload<'_>| wanted.iter().all(|(key, value)| workload.labels.get(key) == Some(value));
    fewest.iter().filter(has_all).copied().collect()
}

fn is_of(root: &Node, kinds: &[&str]) -> bool {
    root.get("kind").and_then(Node::as_text).is_some_and(|kind| kinds.contains(&kind))
}

fn whole(node: &Node) -> Option<u64> {
    node.as_text()?.parse().ok()
}

/// One, if nothing is said.
fn replicas(root: &Node) -> Option<u64> {
    root.get("spec")?.get("replicas").map_or(Some(1), whole)
}

fn namespace(root: &Node) -> Option<&str> {
    root.get("metadata")?.get("namespace")?.as_text()
}

/// The labels of a workload's pods.
fn labels(workload: &Node) -> HashMap<&str, &str> {
    let template = workload.get("spec").and_then(|spec| spec.get("template"));
    let labels = template.and_then(|template| template.get("metadata")?.get("labels")?.as_mapping());
    let labels: &[Entry] = labels.unwrap_or_default();
    labels.iter().filter_map(|entry| Some((entry.key.as_str(), entry.value.as_text()?))).collect()
}
