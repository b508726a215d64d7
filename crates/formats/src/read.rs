//! The doors of the crate: bytes in, what they mean and what is wrong with them out.

use std::collections::{BTreeMap, BTreeSet};

use model::{catalogue::Catalogue, experiment::Experiment, lab::Lab, limits::Policy};

use crate::{
    check::{self as people},
    cloudformation, codes,
    decode::Reader,
    document::{self, limits},
    finding::{self, Finding, Severity},
    fis::{self, Template},
    json, lab_file, lens,
    node::Node,
    review, semantics,
    source::{Source, Span},
    yaml,
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

/// What the readers need besides the file.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Values for the parameters of a CloudFormation template (`--param NAME=VALUE`).
    pub params: BTreeMap<String, String>,
    /// Which experiment template of a CloudFormation template, by logical id, where there are several.
    pub experiment: Option<String>,
    /// The native actions of this build.
    pub catalogue: &'a Catalogue,
}

impl<'a> Options<'a> {
    /// With these actions, and nothing chosen.
    #[must_use]
    pub const fn new(catalogue: &'a Catalogue) -> Self {
        Self { params: BTreeMap::new(), experiment: None, catalogue }
    }
}

/// An experiment that was read, or why not.
#[derive(Debug, Clone)]
pub struct Read {
    /// The experiment; none where a finding is an error.
    pub experiment: Option<Experiment>,
    /// What kind of file it is.
    pub kind: Kind,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// A template that was read, with its spelling, or why not.
#[derive(Debug, Clone)]
pub struct ReadTemplate {
    /// The template; none where a finding is an error.
    pub template: Option<Template>,
    /// What kind of file it is.
    pub kind: Kind,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// A lab that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadLab {
    /// The lab; none where a finding is an error.
    pub lab: Option<Lab>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// A policy that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadPolicy {
    /// The policy; none where a finding is an error.
    pub policy: Option<Policy>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// What was found in a file of any kind.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What kind of file it is.
    pub kind: Kind,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
    /// The documents within, where it is Markdown or a script.
    pub parts: Vec<Part>,
}

/// A document that stands in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What it is, by its content.
    pub kind: Kind,
    /// The line of its beginning, counted from 1.
    pub line: usize,
}

/// Whether one of the findings is an error.
#[must_use]
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Reads an experiment from any of the formats that hold one. `path` is used in messages only.
#[must_use]
pub fn read_experiment(path: &str, bytes: &[u8], options: &Options<'_>) -> Read {
    let ReadTemplate { template, kind, findings, source } = read_template(path, bytes, options);
    Read { experiment: template.map(Experiment::from), kind, findings, source }
}

/// Like [`read_experiment`], but keeps what a FIS template needs to be printed back equal.
#[must_use]
pub fn read_template(path: &str, bytes: &[u8], options: &Options<'_>) -> ReadTemplate {
    template_from(path, bytes, options, true)
}

/// `to_run`: whether what is still open (which experiment of several, the value of a parameter) is an error.
fn template_from(path: &str, bytes: &[u8], options: &Options<'_>, to_run: bool) -> ReadTemplate {
    let Opened { source, root, mut findings } = open(path, bytes);
    let kind = root.as_ref().map_or(Kind::Unknown, kind_of);
    let mut template = None;
    if let Some(root) = &root {
        let mut reader = Reader::new(&source, document::MISPLACED);
        reader.to_run = to_run;
        match kind {
            Kind::Lab => reader.report(
                Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, "this is a lab, not an experiment")
                    .help("name the lab in an experiment: lab: PATH"),
            ),
            Kind::Policy => reader.report(
                Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, "this is a policy, not an experiment")
                    .help("hold an experiment to it: --policy PATH"),
            ),
            Kind::Lens | Kind::Review => reader.report(
                Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, format!("this is a {kind}, not an experiment"))
                    .help("look at it with: shaketable review"),
            ),
            kind => template = experiment_part(&mut reader, root, kind, options),
        }
        findings.append(&mut reader.findings);
    }
    let findings = finding::locate(findings, &source);
    let template = template.filter(|_| !has_errors(&findings));
    ReadTemplate { template, kind, findings, source }
}

/// Reads a lab file. `path` is used in messages, and its stem is the lab's name unless the file gives one.
#[must_use]
pub fn read_lab(path: &str, bytes: &[u8]) -> ReadLab {
    let Opened { source, root, mut findings } = open(path, bytes);
    let mut lab = None;
    if let Some(root) = &root {
        let mut reader = Reader::new(&source, lab_file::MISPLACED);
        match kind_of(root) {
            Kind::Lab | Kind::Unknown => lab = lab_file::read(&mut reader, root),
            kind => reader.report(
                Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, format!("this is not a lab, but: {kind}"))
                    .help("a lab has `regions` and `groups`"),
            ),
        }
        findings.append(&mut reader.findings);
    }
    let findings = finding::locate(findings, &source);
    ReadLab { lab: lab.filter(|_| !has_errors(&findings)), findings, source }
}

/// Reads a policy file. `path` is used in messages only.
#[must_use]
pub fn read_policy(path: &str, bytes: &[u8]) -> ReadPolicy {
    let Opened { source, root, mut findings } = open(path, bytes);
    let mut policy = None;
    if let Some(root) = &root {
        let mut reader = Reader::new(&source, limits::MISPLACED);
        match kind_of(root) {
            Kind::Policy | Kind::Unknown => policy = limits::policy(&mut reader, root),
            kind => reader.report(
                Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, format!("this is not a policy, but: {kind}"))
                    .help(format!("a policy has some of {}", limits::POLICY_KEYS.join(", "))),
            ),
        }
        findings.append(&mut reader.findings);
    }
    let findings = finding::locate(findings, &source);
    ReadPolicy { policy: policy.filter(|_| !has_errors(&findings)), findings, source }
}

/// Finds everything that is wrong with a file of any kind.
///
/// A CloudFormation template is looked at as a whole: that it holds several experiments, or that a parameter gets its
/// value only when the stack is made, is no error as it is for [`read_experiment`].
#[must_use]
pub fn check(path: &str, bytes: &[u8], options: &Options<'_>) -> Checked {
    let mut checked = check_kind(path, bytes, options);
    // A template of a text cannot be run, but nothing says that it is wrong.
    for finding in checked.findings.iter_mut().filter(|finding| finding.code.id == codes::UNRENDERED.id) {
        finding.severity = Severity::Warning;
    }
    checked
}

/// The same by the kind of the file.
fn check_kind(path: &str, bytes: &[u8], options: &Options<'_>) -> Checked {
    if let Some(checked) = people::check(path, bytes, options) {
        return checked;
    }
    let Opened { root, .. } = open(path, bytes);
    match root.as_ref().map(kind_of) {
        Some(Kind::Lab) => {
            let ReadLab { findings, source, .. } = read_lab(path, bytes);
            return Checked { kind: Kind::Lab, findings, source, parts: Vec::new() };
        }
        Some(Kind::Policy) => {
            let ReadPolicy { findings, source, .. } = read_policy(path, bytes);
            return Checked { kind: Kind::Policy, findings, source, parts: Vec::new() };
        }
        Some(Kind::Lens) => {
            let lens::ReadLens { findings, source, .. } = lens::read_lens(path, bytes);
            return Checked { kind: Kind::Lens, findings, source, parts: Vec::new() };
        }
        Some(Kind::Review) => {
            let review::ReadReview { findings, source, .. } = review::read_review(path, bytes);
            return Checked { kind: Kind::Review, findings, source, parts: Vec::new() };
        }
        _ => {}
    }
    let ReadTemplate { kind, findings, source, .. } = template_from(path, bytes, options, false);
    Checked { kind, findings, source, parts: Vec::new() }
}

pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) root: Option<Node>,
    pub(crate) findings: Vec<Finding>,
}

/// Bytes to a tree.
pub(crate) fn open(path: &str, bytes: &[u8]) -> Opened {
    open_with(path, bytes, parse)
}

/// Bytes to a tree, by a parser of the caller's.
pub(crate) fn open_with(
    path: &str,
    bytes: &[u8],
    parse: impl FnOnce(&Source, &mut Vec<Finding>) -> Option<Node>,
) -> Opened {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut findings = Vec::new();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            // Up to the wrong byte the lossy text is the same.
            let at = error.valid_up_to();
            let wrong = bytes.get(at).copied().unwrap_or_default();
            let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
            findings.push(
                Finding::new(&codes::BAD_TEXT, span, format!("the byte 0x{wrong:02X} is not UTF-8 text"))
                    .help("save the file as UTF-8"),
            );
            return Opened { source: Source::new(path, text), root: None, findings };
        }
    };
    let source = Source::new(path, text);
    let root = parse(&source, &mut findings);
    Opened { source, root, findings }
}

/// JSON if it looks like it, else YAML, of which JSON is almost a part: a `.yaml` file may start with a brace, too.
fn parse(source: &Source, findings: &mut Vec<Finding>) -> Option<Node> {
    let looks_like_json = source.text().trim_start().starts_with(['{', '[', '"']);
    let yaml_name = [".yaml", ".yml"].iter().any(|end| source.path().ends_with(end));
    let json_name = source.path().ends_with(".json");
    if !looks_like_json && !json_name {
        return yaml::parse(source.text(), findings);
    }
    let mut found = Vec::new();
    if let Some(root) = json::parse(source.text(), &mut found) {
        findings.append(&mut found);
        return Some(root);
    }
    if yaml_name {
        return yaml::parse(source.text(), findings);
    }
    findings.append(&mut found);
    None
}

/// What a file is: whose keys it has most of.
pub(crate) fn kind_of(root: &Node) -> Kind {
    if let Some(kind) = people::kind_of(root) {
        return kind;
    }
    let has = |keys: &[&str]| keys.iter().filter(|key| root.entry(key).is_some()).count();
    // Resources of other tools are lists.
    let resources = root.get("Resources").is_some_and(|resources| resources.as_sequence().is_none());
    if resources || has(&["AWSTemplateFormatVersion"]) > 0 {
        return Kind::CloudFormation;
    }
    if has(&["Actions", "Targets", "StopConditions", "ExperimentTemplate"]) > 0 {
        return Kind::Fragment;
    }
    if lens::is_lens(root) {
        return Kind::Lens;
    }
    if review::is_review(root) {
        return Kind::Review;
    }
    let experiment = has(fis::FIS_KEYS) + has(document::OWN_KEYS);
    let lab = has(lab_file::KEYS);
    let policy = has(limits::POLICY_KEYS);
    // `limits` stands in experiments as well, which do something.
    if policy > lab && (policy > experiment || policy == experiment && root.get("actions").is_none()) {
        Kind::Policy
    } else if lab > 0 && lab > experiment {
        Kind::Lab
    } else if experiment == 0 {
        Kind::Unknown
    } else if has(document::OWN_KEYS) > 0 || native_action(root) {
        Kind::Experiment
    } else {
        Kind::FisTemplate
    }
}

/// Whether an action's id is one that AWS would not know.
fn native_action(root: &Node) -> bool {
    let actions = root.get("actions").and_then(Node::as_mapping).unwrap_or_default();
    actions
        .iter()
        .any(|entry| entry.value.get("actionId").and_then(Node::as_text).is_some_and(|id| !id.starts_with("aws:")))
}

pub(crate) fn experiment_part(
    reader: &mut Reader<'_>,
    root: &Node,
    kind: Kind,
    options: &Options<'_>,
) -> Option<Template> {
    match kind {
        Kind::CloudFormation => cloudformation::read(reader, root, options),
        Kind::Fragment => cloudformation::read_fragment(reader, root, options),
        Kind::Experiment if !reader.to_run && people::is_prose_plan(root) => {
            unknown_document(reader, root);
            None
        }
        Kind::Experiment | Kind::FisTemplate => {
            let own = kind == Kind::Experiment;
            if let Some(name) = options.params.keys().next() {
                let message = format!("the document has no parameters, so `{name}` cannot be set");
                let help = "only CloudFormation templates have; remove the --param";
                reader.report(Finding::new(&codes::STACK_PARAMETER, root.head, message).help(help));
            }
            reader.native_scalars = own;
            let template = document::read(reader, root)?;
            let unresolved = BTreeSet::new();
            let context =
                semantics::Context { catalogue: options.catalogue, own, fragment: false, unresolved: &unresolved };
            semantics::experiment(reader, root, &template.experiment, &context);
            Some(template)
        }
        _ => {
            unknown_document(reader, root);
            None
        }
    }
}

/// Checks a document that stands in another one.
pub(crate) fn embedded(reader: &mut Reader<'_>, root: &Node, kind: Kind, options: &Options<'_>) {
    reader.to_run = false;
    if kind == Kind::Experiment && people::is_prose_plan(root) {
        return;
    }
    match kind {
        Kind::Lab => drop(lab_file::read(reader, root)),
        Kind::Policy => drop(limits::policy(reader, root)),
        Kind::Experiment | Kind::FisTemplate | Kind::CloudFormation | Kind::Fragment => {
            drop(experiment_part(reader, root, kind, options));
        }
        _ => {}
    }
}

fn unknown_document(reader: &mut Reader<'_>, root: &Node) {
    if root.as_text().is_some_and(|text| text.contains('：')) {
        reader.report(yaml::full_width(first_line(reader.source, root.span)));
        return;
    }
    let found = match root.as_mapping() {
        Some(entries) => {
            let keys: Vec<&str> = entries.iter().take(8).map(|entry| entry.key.as_str()).collect();
            format!("a mapping with the keys {}", keys.join(", "))
        }
        None => root.describe(),
    };
    let known = fis::FIS_KEYS.iter().chain(document::OWN_KEYS).chain(lab_file::KEYS).copied();
    // The first keys say what a document is.
    let slip = root
        .as_mapping()
        .unwrap_or_default()
        .iter()
        .take(20)
        .find_map(|entry| Some((entry, model::nearest::nearest(&entry.key, known.clone())?)));
    let finding = Finding::new(
        &codes::UNKNOWN_DOCUMENT,
        slip.map_or(root.head, |(entry, _)| entry.key_span),
        format!("this is neither an experiment, nor CloudFormation, nor a lab, but {found}"),
    );
    // Somebody's own document is no mistake, unless it is to be run or is one of ours with a slip.
    let own = !reader.to_run && (slip.is_none() || people::is_prose_plan(root));
    let finding = if own { finding.severity(Severity::Note) } else { finding };
    reader.report(
        finding.help(match slip {
            Some((entry, near)) => format!("did you mean `{near}` by `{}`?", entry.key),
            None => {
                "an experiment has at least `description`, `actions` and `stopConditions`, a lab `regions` and `groups`"
                    .to_owned()
            }
        }),
    );
}

pub(crate) fn first_line(source: &Source, span: Span) -> Span {
    let line = source.line(source.position(span.start).0);
    Span::new(span.start, line.end.clamp(span.start, span.end.max(span.start)))
}
