//! Documents of other people, found out by their content and looked at for what breaks resilience.
//!
//! ```text
//!   file ──▶ language ──┬─ data (JSON, YAML) ──▶ kind ──▶ its rules
//!                       ├─ script ──▶ commands, and the documents in them ──▶ …
//!                       ├─ Markdown ──▶ objectives in the prose, fenced blocks ──▶ …
//!                       └─ Python, Mermaid
//! ```
//!
//! A rule reports what is surely wrong by the meaning of the format, or what takes resilience away whatever the rest of
//! the system is. Where a rule would have to guess, it keeps quiet.

mod goals;
mod inventory;
mod markdown;
mod mermaid;
pub(crate) mod quantity;
mod sheet;

use std::path::Path;

use crate::{
    Checked, Options, Part, backup, balancer, chaos_mesh, cloudformation, codes, dashboard,
    decode::{Guesses, Reader},
    finding::{self, Finding, Severity},
    iam, incidents, json,
    kind::{self, Kind},
    kubernetes,
    node::Node,
    python, read, route53,
    script::{self, Embedded},
    source::{Source, Span},
    ssm, workload, yaml,
};
pub(crate) use goals::Goals;

/// Most documents in a document. The largest book of runbooks has some thousands.
const MOST_PARTS: usize = 10_000;

/// Deepest document in a document: Markdown, a script in it, JSON in that.
const DEEPEST: usize = 3;

/// In what a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Data,
    Script,
    Python,
    Mermaid,
    Markdown,
    /// Comma-separated values and their like.
    Table,
    /// Reports and plans that a script writes.
    Text,
}

impl Language {
    /// By the ending of the name, else by how it begins; nothing where it is a file that others read.
    fn of(path: &str, text: &str) -> Option<Self> {
        let ending =
            Path::new(path).extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        Some(match ending.as_str() {
            "yaml" | "yml" | "json" | "template" => Self::Data,
            "sh" | "bash" | "zsh" => Self::Script,
            "py" => Self::Python,
            "mmd" | "mermaid" => Self::Mermaid,
            "md" | "markdown" => Self::Markdown,
            "csv" | "tsv" => Self::Table,
            "txt" => Self::Text,
            "" if text.starts_with("#!") && text.lines().next().is_some_and(|line| line.ends_with("sh")) => {
                Self::Script
            }
            "" if text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("python")) => {
                Self::Python
            }
            "" => Self::Data,
            _ => return None,
        })
    }

    /// By the word behind the fence.
    fn of_fence(word: &str) -> Option<Self> {
        Some(match word {
            "yaml" | "yml" | "json" | "cloudformation" => Self::Data,
            "bash" | "sh" | "shell" | "zsh" => Self::Script,
            "python" | "py" | "python3" => Self::Python,
            "mermaid" => Self::Mermaid,
            _ => return None,
        })
    }
}

/// What a tree of other people's is by its keys; nothing where it is one of the kinds that are read to be run.
pub(crate) fn kind_of(root: &Node) -> Option<Kind> {
    let text = |key: &str| root.get(key).and_then(Node::as_text);
    let has = |key: &str| root.entry(key).is_some();
    if let (Some(version), Some(_)) = (text("apiVersion"), text("kind")) {
        return Some(if version.starts_with("chaos-mesh.org/") { Kind::ChaosMesh } else { Kind::Kubernetes });
    }
    if has("mainSteps") && (has("schemaVersion") || has("parameters")) {
        return Some(Kind::Automation);
    }
    if root.get("Changes").and_then(Node::as_sequence).is_some_and(|changes| !of_a_stack(root, changes))
        || root.get("ChangeBatch").is_some_and(|batch| batch.entry("Changes").is_some())
    {
        return Some(Kind::ChangeBatch);
    }
    if root.get("widgets").and_then(Node::as_sequence).is_some() {
        return Some(Kind::Dashboard);
    }
    if has("Statement")
        && root.as_mapping().is_some_and(|entries| {
            entries.iter().all(|entry| matches!(entry.key.as_str(), "Version" | "Id" | "Statement"))
        })
    {
        return Some(Kind::IamPolicy);
    }
    if has("BackupPlanName") && has("Rules")
        || root.get("BackupPlan").is_some_and(|plan| plan.entry("Rules").is_some())
        || has("SelectionName") && has("IamRoleArn")
        || root.get("BackupSelection").is_some_and(|selection| selection.as_mapping().is_some())
    {
        return Some(Kind::BackupPlan);
    }
    if has("AlarmName") && has("ComparisonOperator") && has("EvaluationPeriods") {
        return Some(Kind::Alarm);
    }
    if route53::is_check(root) {
        return Some(Kind::HealthCheck);
    }
    if root.get("incidentTemplate").is_some_and(|template| template.as_mapping().is_some()) {
        return Some(Kind::ResponsePlan);
    }
    if balancer::is_one(root) {
        return Some(Kind::Balancer);
    }
    if inventory::is_one(root) {
        return Some(Kind::Inventory);
    }
    sheet::is_one(root).then_some(Kind::Sheet)
}

/// Whether changes are those of a stack, which `describe-change-set` answers under the same name as Route 53 its records'.
fn of_a_stack(root: &Node, changes: &[Node]) -> bool {
    root.entry("ChangeSetName").is_some() || changes.iter().any(|change| change.entry("ResourceChange").is_some())
}

/// Whether it is a plan that people write for each other: a hypothesis in a sentence, and no actions.
pub(crate) fn is_prose_plan(root: &Node) -> bool {
    root.get("hypothesis").is_some_and(|hypothesis| hypothesis.as_text().is_some()) && root.entry("actions").is_none()
}

/// Checks a file whose language or kind is one of those of this module; where it is another, says which.
pub(crate) fn check(source: Source, options: &Options<'_>) -> Result<Checked, Kind> {
    let Some(language) = Language::of(source.path(), source.text()) else { return Err(Kind::Unknown) };
    let goals = Goals::of(source.text(), language == Language::Markdown);
    let mut checker = Checker {
        source: &source,
        options,
        goals,
        findings: Vec::new(),
        parts: Vec::new(),
        looked_into: 0,
        guesses: Guesses::default(),
    };
    let whole = Span::new(0, source.text().len());
    let kind = match language {
        Language::Data => checker.people(whole)?,
        Language::Table if incidents::is_table_of_incidents(source.text()) => return Err(Kind::History),
        Language::Text => return Err(Kind::Unknown),
        language => checker.language(language, whole, source.path(), 0),
    };
    let Checker { findings, parts, .. } = checker;
    let findings = finding::locate(findings, &source);
    Ok(Checked { kind, findings, source, parts })
}

/// Checks one file and all documents in it.
struct Checker<'s, 'o> {
    source: &'s Source,
    options: &'o Options<'o>,
    /// What the prose around the documents promises.
    goals: Goals,
    findings: Vec<Finding>,
    parts: Vec<Part>,
    /// How many documents in it have been looked at.
    looked_into: usize,
    /// One search for names that were meant, for all of them.
    guesses: Guesses,
}

impl<'s> Checker<'s, '_> {
    /// Looks at a part in a language; what it is.
    fn language(&mut self, language: Language, span: Span, name: &str, depth: usize) -> Kind {
        let mut reader = self.reader(&[]);
        let mut inner = Vec::new();
        let kind = match language {
            Language::Markdown => {
                inner = markdown::check(&mut reader, self.source, span);
                Kind::Markdown
            }
            Language::Script => {
                let found = script::check(&mut reader, self.source, span, &self.goals);
                inner.extend(found.into_iter().filter_map(|Embedded { span, name }| {
                    let language = Language::of(&name, self.source.slice(span))?;
                    Some((language, span, name))
                }));
                Kind::Script
            }
            Language::Python => {
                python::check(&mut reader, self.source, span);
                Kind::Python
            }
            Language::Mermaid => {
                mermaid::check(&mut reader, self.source, span);
                Kind::Mermaid
            }
            Language::Text => {
                goals::report(&mut reader, self.source, span);
                Kind::Unknown
            }
            Language::Table => {
                let message = "this is a table, and not one of incidents: its first line names no `began`";
                let finding = Finding::new(&codes::UNKNOWN_DOCUMENT, Span::new(span.start, span.start), message);
                reader.report(finding.severity(Severity::Note).help("shaketable history reads tables of incidents"));
                Kind::Unknown
            }
            Language::Data => return self.embedded(span, name),
        };
        self.keep(reader.findings);
        for (language, span, name) in inner.into_iter().filter(|_| depth < DEEPEST) {
            self.looked_into += 1;
            if self.looked_into > MOST_PARTS {
                let message = format!(
                    "more than {MOST_PARTS} documents stand in this one; this and what follows is not looked at"
                );
                let finding = Finding::new(&codes::TOO_LARGE, Span::new(span.start, span.start), message);
                self.keep(vec![finding.help("split it")]);
                break;
            }
            let kind = self.language(language, span, &name, depth + 1);
            if kind != Kind::Unknown {
                self.parts.push(Part { kind, line: self.source.line_of(span.start) });
            }
        }
        kind
    }

    /// A reader of a part.
    fn reader(&self, misplaced: &'static [(&'static str, &'static str)]) -> Reader<'s> {
        let mut reader = Reader::new(self.source, misplaced);
        reader.guesses = self.guesses.clone();
        reader
    }

    /// Adds findings.
    fn keep(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            finding::keep(&mut self.findings, finding);
        }
    }

    /// Reads all documents of a part, with their places in the whole.
    fn parse(&mut self, span: Span, name: &str) -> Vec<Node> {
        let text = self.source.slice(span);
        let mut findings = Vec::new();
        let json_name = Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        let mut roots = if json_name || text.trim_start().starts_with(['{', '[']) {
            let root = json::parse(text, &mut findings);
            if root.is_none() && !json_name {
                findings.clear();
                yaml::parse_all(text, &mut findings)
            } else {
                root.into_iter().collect()
            }
        } else {
            yaml::parse_all(text, &mut findings)
        };
        if roots.is_empty() && findings.iter().any(|finding| finding.code.id == codes::YAML_SYNTAX.id) {
            // What a bare `>` before a number has hidden is looked at all the same.
            if let Some(text) = sheet::without_bare_signs(text) {
                roots = yaml::parse_all(&text, &mut Vec::new());
            }
        }
        for root in &mut roots {
            root.shift(span.start);
        }
        self.keep(
            findings
                .into_iter()
                .map(|mut finding| {
                    finding.span = finding.span.moved(span.start);
                    finding
                })
                .collect(),
        );
        roots
    }

    /// A file of data, if it is of a kind of this module; else its kind.
    fn people(&mut self, span: Span) -> Result<Kind, Kind> {
        let roots = self.parse(span, self.source.path());
        let Some((first, rest)) = roots.split_first() else { return Err(Kind::Unknown) };
        let kind = kind::kind_of(first);
        if kind_of(first) != Some(kind) {
            return Err(kind);
        }
        let manifests = matches!(kind, Kind::ChaosMesh | Kind::Kubernetes);
        if let (Some(second), false) = (rest.first(), manifests) {
            self.findings.push(
                Finding::new(&codes::SEVERAL_DOCUMENTS, second.head, "a second YAML document starts here")
                    .help("put each document into a file of its own; only the first one was checked"),
            );
        }
        self.rules(first, kind);
        if manifests {
            for root in rest {
                if let Some(kind) = kind_of(root) {
                    self.rules(root, kind);
                }
            }
            self.together(&roots);
        }
        Ok(kind)
    }

    /// A document of data in another document: what it is, and what is wrong with it.
    fn embedded(&mut self, span: Span, name: &str) -> Kind {
        let before = self.findings.len();
        let roots = self.parse(span, name);
        let mut kind = Kind::Unknown;
        for root in &roots {
            let this = kind::kind_of(root);
            self.rules(root, this);
            kind = if kind == Kind::Unknown { this } else { kind };
        }
        self.together(&roots);
        if roots.is_empty()
            && !self.findings[before..].iter().any(|finding| finding.code.id != codes::UNKNOWN_DOCUMENT.id)
        {
            self.findings.truncate(before);
        }
        kind
    }

    /// The rules of manifests that stand beside each other.
    fn together(&mut self, roots: &[Node]) {
        let mut reader = self.reader(&[]);
        kubernetes::together(&mut reader, roots);
        self.keep(reader.findings);
    }

    /// The rules of a kind. A document that is none of the known kinds is somebody's own, and right as it is.
    fn rules(&mut self, root: &Node, kind: Kind) {
        let mut reader = self.reader(kind.misplaced());
        match kind {
            Kind::ChaosMesh => chaos_mesh::check(&mut reader, root),
            Kind::Kubernetes => kubernetes::check(&mut reader, root),
            Kind::Automation => ssm::automation(&mut reader, root),
            Kind::ChangeBatch => route53::change_batch(&mut reader, root),
            Kind::BackupPlan => backup::check(&mut reader, root),
            Kind::Dashboard => dashboard::check(&mut reader, root),
            Kind::Alarm => cloudformation::alarm_input(&mut reader, root),
            Kind::HealthCheck => route53::check(&mut reader, root),
            Kind::ResponsePlan => ssm::response_plan_input(&mut reader, root),
            Kind::Balancer => balancer::check(&mut reader, root),
            Kind::IamPolicy => iam::check(&mut reader, root),
            Kind::Inventory => {
                if workload::is_inventory(root) {
                    drop(workload::read(&mut reader, root));
                }
                inventory::check(&mut reader, root);
            }
            Kind::Sheet => sheet::check(&mut reader, self.source, root, &self.goals),
            Kind::Unknown => {
                sheet::steps(&mut reader, self.source, root);
                if root.as_text().is_some_and(|text| text.contains('：')) {
                    reader.report(yaml::full_width(read::first_line(self.source, root.span)));
                }
            }
            _ => read::embedded(&mut reader, root, kind, self.options),
        }
        self.keep(reader.findings);
    }
}
