//! Disruption budgets that let no pod go.

use crate::{codes, decode::Reader, finding::Finding, node::Node};

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

/// Looks at budgets beside the workloads whose pods they are for: one that wants as many pods as there are lets none go.
pub(super) fn beside_workloads(reader: &mut Reader<'_>, manifests: &[&Node]) {
    for budget in manifests.iter().filter(|root| is_of(root, &["PodDisruptionBudget"])) {
        let Some(spec) = budget.get("spec") else { continue };
        let Some((node, wanted)) = spec.get("minAvailable").and_then(|node| Some((node, whole(node)?))) else {
            continue;
        };
        let its = |root: &&&Node| is_of(root, &["Deployment", "StatefulSet", "ReplicaSet"]) && selects(budget, root);
        let workloads: Vec<&Node> = manifests.iter().filter(its).copied().collect();
        // How many replicas there are is not known where anything else sets it.
        let replicas: Option<u64> = workloads.iter().map(|root| replicas(root)).sum();
        let (Some(first), Some(replicas)) = (workloads.first(), replicas) else { continue };
        if wanted >= replicas && wanted > 0 {
            let name =
                first.get("metadata").and_then(|metadata| metadata.get("name")?.as_text()).unwrap_or("the workload");
            let pods = if replicas == 1 { "1 pod".to_owned() } else { format!("{replicas} pods") };
            let message = format!(
                "`{name}` has {pods}, and {wanted} must be there: none may go, and no node with one can be drained"
            );
            reader.report(
                Finding::new(&codes::BLOCKS_DRAINS, node.span, message)
                    .help(format!("have at least {} replicas, or write maxUnavailable: 1", wanted + 1)),
            );
        }
    }
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

/// Whether a budget's labels are all among those of a workload's pods, in the same namespace.
fn selects(budget: &Node, workload: &Node) -> bool {
    let namespace = |root: &Node| Some(root.get("metadata")?.get("namespace")?.as_text()?.to_owned());
    let selector = budget.get("spec").and_then(|spec| spec.get("selector"));
    let wanted = selector.and_then(|selector| selector.get("matchLabels")?.as_mapping()).unwrap_or_default();
    let more = selector.is_some_and(|selector| selector.get("matchExpressions").is_some());
    let template = workload.get("spec").and_then(|spec| spec.get("template"));
    let labels = template.and_then(|template| template.get("metadata")?.get("labels"));
    let has = |key: &str, value: &Node| {
        labels.and_then(|labels| labels.get(key)?.as_text()).is_some_and(|found| Some(found) == value.as_text())
    };
    !wanted.is_empty()
        && !more
        && namespace(budget) == namespace(workload)
        && wanted.iter().all(|entry| has(&entry.key, &entry.value))
}
