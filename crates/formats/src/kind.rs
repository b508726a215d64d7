//! What a document is, by its keys.

use crate::{
    check as people, cost,
    document::{self, limits},
    fis, incidents, lab_file, lens,
    node::Node,
    review, suite, workload,
};

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Our own experiment document.
    Experiment,
    /// A plain AWS FIS experiment template.
    FisTemplate,
    /// A CloudFormation template.
    CloudFormation,
    /// A part of a CloudFormation template: `Actions` and `Targets` without the rest.
    Fragment,
    /// A lab file.
    Lab,
    /// A policy that experiments are held to.
    Policy,
    /// A custom lens of the AWS Well-Architected Tool.
    Lens,
    /// A review: a workload with its answers to a lens.
    Review,
    /// A workload, as our own document describes it.
    Workload,
    /// A history of incidents.
    History,
    /// A calculation of costs.
    Costs,
    /// A suite of experiments.
    Suite,
    /// A manifest of Chaos Mesh.
    ChaosMesh,
    /// A manifest of Kubernetes.
    Kubernetes,
    /// An automation document of AWS Systems Manager.
    Automation,
    /// A change batch of Route 53.
    ChangeBatch,
    /// A plan or a selection of AWS Backup.
    BackupPlan,
    /// The body of a CloudWatch dashboard.
    Dashboard,
    /// Settings of a load balancer or of a target group.
    Balancer,
    /// An alarm of CloudWatch, as the command line takes it.
    Alarm,
    /// A health check of Route 53, as the command line takes it.
    HealthCheck,
    /// A response plan of Incident Manager, as the command line takes it.
    ResponsePlan,
    /// A policy of AWS IAM.
    IamPolicy,
    /// Components and dependencies of a workload, with its objectives.
    Inventory,
    /// Records, health checks, alarms or probes as people write them down for each other.
    Sheet,
    /// A shell script.
    Script,
    /// A program in Python.
    Python,
    /// A diagram of Mermaid.
    Mermaid,
    /// Markdown with documents in fenced blocks.
    Markdown,
    /// None of these.
    Unknown,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Experiment => "experiment",
            Self::FisTemplate => "FIS experiment template",
            Self::CloudFormation => "CloudFormation template",
            Self::Fragment => "fragment of a CloudFormation template",
            Self::Lab => "lab",
            Self::Policy => "policy",
            Self::Lens => "custom lens",
            Self::Review => "review",
            Self::Workload => "workload",
            Self::History => "history of incidents",
            Self::Costs => "calculation of costs",
            Self::Suite => "suite of experiments",
            Self::ChaosMesh => "Chaos Mesh manifest",
            Self::Kubernetes => "Kubernetes manifest",
            Self::Automation => "automation document",
            Self::ChangeBatch => "Route 53 change batch",
            Self::BackupPlan => "backup plan",
            Self::Dashboard => "dashboard",
            Self::Balancer => "settings of a load balancer",
            Self::Alarm => "alarm",
            Self::HealthCheck => "health check",
            Self::ResponsePlan => "response plan",
            Self::IamPolicy => "IAM policy",
            Self::Inventory => "inventory",
            Self::Sheet => "operations sheet",
            Self::Script => "shell script",
            Self::Python => "Python program",
            Self::Mermaid => "Mermaid diagram",
            Self::Markdown => "Markdown",
            Self::Unknown => "unknown document",
        })
    }
}

impl Kind {
    /// Keys that people put at the wrong level of such a document, and where they belong.
    pub(crate) const fn misplaced(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Experiment | Self::FisTemplate | Self::CloudFormation | Self::Fragment => document::MISPLACED,
            Self::Lab => lab_file::MISPLACED,
            Self::Policy => limits::MISPLACED,
            Self::Workload | Self::Inventory => workload::MISPLACED,
            Self::History => incidents::MISPLACED,
            Self::Costs => cost::MISPLACED,
            Self::Suite => suite::MISPLACED,
            _ => &[],
        }
    }
}

/// What a document is. Where no key is sure, it is the kind whose keys it has most of.
pub(crate) fn kind_of(root: &Node) -> Kind {
    let root = document::unwrapped(root);
    if let Some(kind) = ours(root).or_else(|| people::kind_of(root)) {
        return kind;
    }
    let has = |keys: &[&str]| keys.iter().filter(|key| root.entry(key).is_some()).count();
    // Resources of other tools are lists.
    let resources = root.get("Resources").is_some_and(|resources| resources.as_sequence().is_none());
    if resources || has(&["AWSTemplateFormatVersion"]) > 0 {
        return Kind::CloudFormation;
    }
    // Other calls of AWS have lists under these names.
    let named = |key: &&str| root.get(key).is_some_and(|node| node.as_sequence().is_none());
    if has(&["StopConditions", "ExperimentTemplate"]) > 0 || ["Actions", "Targets"].iter().any(named) {
        return Kind::Fragment;
    }
    let experiment = has(fis::FIS_KEYS) + has(document::OWN_KEYS);
    let lab = has(lab_file::KEYS);
    let policy = has(limits::POLICY_KEYS);
    // `limits` stands in experiments as well, which do something.
    if policy > lab && (policy > experiment || policy == experiment && root.get("actions").is_none()) {
        Kind::Policy
    } else if lab > 0 && lab > experiment {
        Kind::Lab
    } else if experiment == has(ANYBODYS) || is_catalogue(root) {
        Kind::Unknown
    } else if has(document::OWN_KEYS) > 0 || native_action(root) {
        Kind::Experiment
    } else {
        Kind::FisTemplate
    }
}

/// Keys of an experiment that documents of all kinds have: alone they say nothing.
const ANYBODYS: &[&str] = &["clientToken", "description", "tags"];

/// Whether it is the service's list of the actions that there are: each has an id of its own and does nothing.
fn is_catalogue(root: &Node) -> bool {
    let actions = root.get("actions").and_then(Node::as_sequence).unwrap_or_default();
    let listed = |action: &Node| action.entry("id").is_some() && action.entry("actionId").is_none();
    !actions.is_empty() && actions.iter().all(listed)
}

/// Which of the documents that only this product reads, known by what nobody else writes.
fn ours(root: &Node) -> Option<Kind> {
    type Is = fn(&Node) -> bool;
    const KINDS: &[(Is, Kind)] = &[
        (lens::is_lens, Kind::Lens),
        (review::is_review, Kind::Review),
        (incidents::is_history, Kind::History),
        (cost::is_costs, Kind::Costs),
        (suite::is_suite, Kind::Suite),
        (workload::is_workload, Kind::Workload),
    ];
    KINDS.iter().find(|(is, _)| is(root)).map(|(_, kind)| *kind)
}

/// Whether an action's id is one that AWS would not know.
fn native_action(root: &Node) -> bool {
    let actions = root.get("actions").and_then(Node::as_mapping).unwrap_or_default();
    actions
        .iter()
        .any(|entry| entry.value.get("actionId").and_then(Node::as_text).is_some_and(|id| !id.starts_with("aws:")))
}
