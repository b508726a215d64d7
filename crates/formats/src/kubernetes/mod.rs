//! Workloads of Kubernetes: their probes, what they select, and how many of their pods may go.

mod budget;
mod pods;
mod probe;

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    shape::{
        self, Keys, Notation,
        Shape::{self, Any, Keys as Mapping, Text},
        may, need,
    },
};

/// Kinds that make pods from a template, or are one.
const WORKLOADS: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

/// What a container has. Probes are looked at one by one; the rest is Kubernetes' own matter.
const CONTAINER: Keys = Keys {
    what: "a container",
    keys: &[
        need("name", Text),
        may("args", Any),
        may("command", Any),
        may("env", Any),
        may("envFrom", Any),
        may("image", Text),
        may("imagePullPolicy", Shape::Word(&["Always", "IfNotPresent", "Never"])),
        may("lifecycle", Any),
        may("livenessProbe", Mapping(&probe::LIVENESS)),
        may("ports", Any),
        may("readinessProbe", Mapping(&probe::READINESS)),
        may("resizePolicy", Any),
        may("resources", Any),
        may("restartPolicy", Text),
        may("restartPolicyRules", Any),
        may("securityContext", Any),
        may("startupProbe", Mapping(&probe::LIVENESS)),
        may("stdin", Any),
        may("stdinOnce", Any),
        may("targetContainerName", Text),
        may("terminationMessagePath", Text),
        may("terminationMessagePolicy", Text),
        may("tty", Any),
        may("volumeDevices", Any),
        may("volumeMounts", Any),
        may("workingDir", Text),
    ],
};

/// Looks at a manifest by itself; [`together`] looks at those that belong together. What kinds of other people's are made of is their own.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let kind = root.get("kind").and_then(Node::as_text).unwrap_or_default();
    if kind == "List" {
        for item in root.get("items").and_then(Node::as_sequence).unwrap_or_default() {
            check(reader, item);
        }
    }
    let own = root.get("apiVersion").and_then(Node::as_text).is_some_and(|version| {
        !version.contains('/') || ["apps/", "batch/", "extensions/", "policy/"].iter().any(|of| version.starts_with(of))
    });
    if !own {
        return;
    }
    if WORKLOADS.contains(&kind) {
        pods::check(reader, root, kind);
        containers(reader, root);
        selects_itself(reader, root);
    }
    if kind == "PodDisruptionBudget" {
        budget::check(reader, root);
    }
}

/// Looks at the manifests of a file beside each other.
pub(crate) fn together(reader: &mut Reader<'_>, roots: &[Node]) {
    let mut manifests: Vec<&Node> = Vec::new();
    for root in roots {
        match root.get("items").and_then(Node::as_sequence) {
            Some(items) => manifests.extend(items),
            None => manifests.push(root),
        }
    }
    budget::beside_workloads(reader, &manifests);
}

/// All containers, wherever the kind has its pods.
fn containers(reader: &mut Reader<'_>, node: &Node) {
    for item in node.as_sequence().unwrap_or_default() {
        containers(reader, item);
    }
    for entry in node.as_mapping().unwrap_or_default() {
        if !matches!(entry.key.as_str(), "containers" | "initContainers" | "ephemeralContainers") {
            containers(reader, &entry.value);
            continue;
        }
        for container in entry.value.as_sequence().unwrap_or_default() {
            shape::check(reader, Notation::Strict, container, Mapping(&CONTAINER), "a container");
            probe::check(reader, container);
        }
    }
}

/// A workload whose pods are not the ones it looks for.
fn selects_itself(reader: &mut Reader<'_>, root: &Node) {
    let Some(spec) = root.get("spec") else { return };
    let labels = spec.get("template").and_then(|template| template.get("metadata")?.get("labels"));
    let wanted = spec.get("selector").and_then(|selector| selector.get("matchLabels")).and_then(Node::as_mapping);
    let (Some(labels), Some(wanted)) = (labels, wanted) else { return };
    for entry in wanted {
        let (Some(wanted), found) = (entry.value.as_text(), labels.get(&entry.key).and_then(Node::as_text)) else {
            continue;
        };
        if found == Some(wanted) {
            continue;
        }
        let message = match found {
            Some(found) => format!("the selector asks for {}: {wanted}, and the pods are labelled {found}", entry.key),
            None => {
                format!("the selector asks for {}: {wanted}, and the pods have no label `{}`", entry.key, entry.key)
            }
        };
        reader.report(
            Finding::new(&codes::SELECTOR_WITHOUT_PODS, entry.value.span, message)
                .help(format!("write the same under template: metadata: labels: {{ {}: {wanted} }}", entry.key)),
        );
    }
}
