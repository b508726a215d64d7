//! The doors of the crate: bytes in, what they mean and what is wrong with them out.

use std::collections::{BTreeMap, BTreeSet};

use model::{catalogue::Catalogue, experiment::Experiment, lab::Lab, limits::Policy};

use crate::{
    check::{self as people},
    cloudformation, codes, cost,
    decode::Reader,
    document::{self, limits},
    finding::{self, Finding, Severity},
    fis::{self, Template},
    incidents, json,
    kind::{Kind, kind_of},
    lab_file, lens,
    node::{Entry, Node},
    review, semantics,
    source::{self, Source, Span},
    suite, workload, yaml,
};

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
    let Done { value: lab, findings, source } =
        open(path, bytes).read(lab_file::MISPLACED, |reader, root| match kind_of(root) {
            Kind::Lab | Kind::Unknown => lab_file::read(reader, root),
            kind => {
                let message = format!("this is not a lab, but: {kind}");
                let finding = Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, message);
                reader.report(finding.help("a lab has `regions` and `groups`"));
                None
            }
        });
    ReadLab { lab, findings, source }
}

/// Reads a policy file. `path` is used in messages only.
#[must_use]
pub fn read_policy(path: &str, bytes: &[u8]) -> ReadPolicy {
    let Done { value: policy, findings, source } =
        open(path, bytes).read(limits::MISPLACED, |reader, root| match kind_of(root) {
            Kind::Policy | Kind::Unknown => limits::policy(reader, root),
            kind => {
                let message = format!("this is not a policy, but: {kind}");
                let finding = Finding::new(&codes::UNKNOWN_DOCUMENT, root.head, message);
                reader.report(finding.help(format!("a policy has some of {}", limits::POLICY_KEYS.join(", "))));
                None
            }
        });
    ReadPolicy { policy, findings, source }
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
    let kind = match text(path, bytes) {
        Ok(source) => match people::check(source, options) {
            Ok(checked) => return checked,
            Err(kind) => kind,
        },
        Err(refused) => {
            let (source, finding) = *refused;
            let findings = finding::locate(vec![finding], &source);
            return Checked { kind: Kind::Unknown, findings, source, parts: Vec::new() };
        }
    };
    let (findings, source) = match kind {
        Kind::Lab => {
            let ReadLab { findings, source, .. } = read_lab(path, bytes);
            (findings, source)
        }
        Kind::Policy => {
            let ReadPolicy { findings, source, .. } = read_policy(path, bytes);
            (findings, source)
        }
        Kind::Lens => {
            let lens::ReadLens { findings, source, .. } = lens::read_lens(path, bytes);
            (findings, source)
        }
        Kind::Review => {
            let review::ReadReview { findings, source, .. } = review::read_review(path, bytes);
            (findings, source)
        }
        Kind::Workload => {
            let workload::ReadWorkloads { findings, source, .. } = workload::read_workloads(path, bytes);
            (findings, source)
        }
        Kind::History => {
            let incidents::ReadHistory { findings, source, .. } = incidents::check(path, bytes);
            (findings, source)
        }
        Kind::Costs => {
            let cost::ReadCosts { findings, source, .. } = cost::read_costs(path, bytes);
            (findings, source)
        }
        Kind::Suite => {
            let suite::ReadSuite { findings, source, .. } = suite::read_suite(path, bytes);
            (findings, source)
        }
        _ => {
            let ReadTemplate { kind, findings, source, .. } = template_from(path, bytes, options, false);
            return Checked { kind, findings, source, parts: Vec::new() };
        }
    };
    Checked { kind, findings, source, parts: Vec::new() }
}

/// A text with its tree, if it has one.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) root: Option<Node>,
    pub(crate) findings: Vec<Finding>,
}

/// What a reader has made of a document.
pub(crate) struct Done<T> {
    /// Nothing where a finding is an error.
    pub(crate) value: Option<T>,
    /// Ordered by place.
    pub(crate) findings: Vec<Finding>,
    pub(crate) source: Source,
}

impl Opened {
    /// Reads the tree.
    pub(crate) fn read<T>(
        self,
        misplaced: &'static [(&'static str, &'static str)],
        read: impl FnOnce(&mut Reader<'_>, &Node) -> Option<T>,
    ) -> Done<T> {
        let Self { source, root, mut findings } = self;
        let mut value = None;
        if let Some(root) = &root {
            let mut reader = Reader::new(&source, misplaced);
            value = read(&mut reader, root);
            findings.append(&mut reader.findings);
        }
        let findings = finding::locate(findings, &source);
        Done { value: value.filter(|_| !has_errors(&findings)), findings, source }
    }
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
    match text(path, bytes) {
        Ok(source) => {
            let mut findings = Vec::new();
            let root = parse(&source, &mut findings);
            Opened { source, root, findings }
        }
        Err(refused) => {
            let (source, finding) = *refused;
            Opened { source, root: None, findings: vec![finding] }
        }
    }
}

/// The text of a file; or why it is not read, with as much of it as can be shown.
fn text(path: &str, bytes: &[u8]) -> Result<Source, Box<(Source, Finding)>> {
    source::decode(bytes).map(|text| Source::new(path, text)).map_err(|refused| {
        let (text, finding) = *refused;
        Box::new((Source::new(path, text), finding))
    })
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
            let root = document::unwrapped(root);
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
        Kind::Lens => lens::look(reader, root),
        Kind::Review => review::look(reader, root),
        Kind::Workload => drop(workload::read(reader, root)),
        Kind::History => drop(incidents::document(reader, root, &incidents::Given::default())),
        Kind::Costs => drop(cost::document(reader, root)),
        Kind::Suite => drop(suite::document(reader, root)),
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
    let keys = root.as_mapping().unwrap_or_default().iter().take(20);
    // Other people's keys may be right: `experimentTemplates` of a list of them is none of ours with a slip.
    let near = |entry: &Entry| known.clone().find(|near| model::nearest::is_slip(&entry.key, near));
    let slips: Vec<_> = keys.clone().filter_map(|entry| Some((entry, near(entry)?))).collect();
    // One key among others that are nothing of ours is a word of its own: `options` is no slip for `actions`.
    let slip = slips.first().copied().filter(|_| 2 * slips.len() > keys.len());
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
