//! Specs of workloads: keys that are written wrong. What a key holds is Kubernetes' own matter, and it learns new ones
//! with every version; so only a key that is near a known one is a slip.

use crate::{codes, decode::Reader, finding::Finding, node::Node};

const MANIFEST: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status"];

const POD: &[&str] = &[
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "os",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "schedulingGates",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

/// Specs of the kinds that make pods.
const WORKLOAD: &[(&str, &[&str])] = &[
    (
        "CronJob",
        &[
            "concurrencyPolicy",
            "failedJobsHistoryLimit",
            "jobTemplate",
            "schedule",
            "startingDeadlineSeconds",
            "successfulJobsHistoryLimit",
            "suspend",
            "timeZone",
        ],
    ),
    ("DaemonSet", &["minReadySeconds", "revisionHistoryLimit", "selector", "template", "updateStrategy"]),
    (
        "Deployment",
        &[
            "minReadySeconds",
            "paused",
            "progressDeadlineSeconds",
            "replicas",
            "revisionHistoryLimit",
            "selector",
            "strategy",
            "template",
        ],
    ),
    ("Pod", POD),
    ("ReplicaSet", &["minReadySeconds", "replicas", "selector", "template"]),
    (
        "StatefulSet",
        &[
            "minReadySeconds",
            "ordinals",
            "persistentVolumeClaimRetentionPolicy",
            "podManagementPolicy",
            "replicas",
            "revisionHistoryLimit",
            "selector",
            "serviceName",
            "template",
            "updateStrategy",
            "volumeClaimTemplates",
        ],
    ),
];

/// Looks for slips in the manifest of a workload.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, kind: &str) {
    slips(reader, root, MANIFEST, "a manifest");
    let Some(spec) = root.get("spec") else { return };
    if let Some((_, known)) = WORKLOAD.iter().find(|(name, _)| *name == kind) {
        slips(reader, spec, known, &format!("the spec of a {kind}"));
    }
    if let Some(pod) = spec.get("template").and_then(|template| template.get("spec")) {
        slips(reader, pod, POD, "the spec of a pod");
    }
}

fn slips(reader: &mut Reader<'_>, node: &Node, known: &[&str], what: &str) {
    for entry in node.as_mapping().unwrap_or_default() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        if let Some(near) = reader.near(&entry.key, known.iter().copied()) {
            let message = format!("{what} has no key `{}`", entry.key);
            let finding = Finding::new(&codes::UNKNOWN_KEY, entry.key_span, message);
            reader.report(finding.help(format!("did you mean `{near}`?")));
        }
    }
}
