//! Suites of experiments, as YAML or JSON.

use model::suite::{Check, Declared, Milestone, Stage, Suite, System};

use crate::{
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    read::{Done, open},
    source::Source,
};

/// The keys of a suite.
const KEYS: &[&str] = &["name", "systems", "declared"];

/// Keys that people put at the wrong level, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("checks", "a system under `systems`"),
    ("question", "a system under `systems`"),
    ("experiment", "a check under `checks`"),
    ("stage", "a check under `checks`"),
];

/// A suite that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadSuite {
    /// The suite; none where a finding is an error.
    pub suite: Option<Suite>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// Reads a suite of experiments. `path` is used in messages, and its stem is the name unless the file gives one.
#[must_use]
pub fn read_suite(path: &str, bytes: &[u8]) -> ReadSuite {
    let Done { value: suite, findings, source } = open(path, bytes).read(MISPLACED, document);
    ReadSuite { suite, findings, source }
}

/// Whether a document is a suite: systems with checks, or milestones that are declared.
pub(crate) fn is_suite(root: &Node) -> bool {
    let systems = root.get("systems").and_then(Node::as_mapping).unwrap_or_default();
    let declared =
        root.get("declared").is_some_and(|node| Milestone::ALL.iter().any(|(key, _)| node.entry(key).is_some()));
    declared || systems.iter().any(|entry| entry.value.entry("checks").is_some())
}

/// Reads a suite.
pub(crate) fn document(reader: &mut Reader<'_>, root: &Node) -> Option<Suite> {
    reader.native_scalars = true;
    let fields = reader.fields(root, "a suite", KEYS)?;
    let name = fields.get("name").and_then(|node| reader.text(node, "name"));
    let systems = fields.required("systems", reader).map(|node| systems(reader, node)).unwrap_or_default();
    let declared = fields.get("declared").map(|node| declared(reader, node)).unwrap_or_default();
    Some(Suite { name: name.unwrap_or_else(|| reader.source.stem().to_owned()), systems, declared })
}

fn systems(reader: &mut Reader<'_>, node: &Node) -> Vec<System> {
    let entries = reader.entries(node, "systems").unwrap_or_default();
    entries.iter().filter_map(|entry| system(reader, entry)).collect()
}

fn system(reader: &mut Reader<'_>, entry: &Entry) -> Option<System> {
    let fields = reader.fields(&entry.value, "a system", &["question", "checks"])?;
    let question = fields.get("question").and_then(|node| reader.text(node, "question")).unwrap_or_default();
    let checks = fields.required("checks", reader)?;
    let entries = reader.entries(checks, "checks").unwrap_or_default();
    let checks = entries.iter().filter_map(|entry| check(reader, entry)).collect();
    Some(System { name: entry.key.clone(), question, checks })
}

fn check(reader: &mut Reader<'_>, entry: &Entry) -> Option<Check> {
    let fields = reader.fields(&entry.value, "a check", &["stage", "experiment", "yours", "automated"])?;
    let stages = Stage::ALL.map(|stage| (stage.word(), stage));
    let stage = fields.required("stage", reader).and_then(|node| reader.one_of(node, "stage", &stages));
    let experiment = fields.get("experiment").and_then(|node| reader.text(node, "experiment"));
    let yours = fields.get("yours").and_then(|node| reader.text(node, "yours"));
    if let (Some(_), Some(node)) = (&experiment, fields.get("yours")) {
        reader.wrong_value(node.span, "`yours` says what is still to be written; this check has its `experiment`");
    }
    let automated = fields.get("automated").and_then(|node| reader.text(node, "automated"));
    Some(Check { name: entry.key.clone(), stage: stage?, experiment, yours, automated })
}

fn declared(reader: &mut Reader<'_>, node: &Node) -> Vec<Declared> {
    let known = Milestone::ALL.map(|(key, _)| key);
    let Some(fields) = reader.fields(node, "`declared`", &known) else { return Vec::new() };
    let mut one = |(key, what): (&str, Milestone)| {
        let evidence = reader.text(fields.get(key)?, key)?;
        Some(Declared { what, evidence })
    };
    Milestone::ALL.into_iter().filter_map(&mut one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = "
systems:
  compute:
    question: Does it grow?
    checks:
      cells die: { stage: crawl, experiment: ../experiments/one.yaml }
      floods: { stage: run, automated: nightly, yours: send a flood of requests }
declared: { standardProcess: docs/process.md }
";

    #[test]
    fn a_suite_is_read_in_its_order() {
        let read = read_suite("yearly.yaml", SUITE.as_bytes());
        assert_eq!(read.findings, []);
        let suite = read.suite.unwrap();
        let checks = &suite.systems[0].checks;
        assert_eq!(
            (suite.name.as_str(), checks[0].file_name(), checks[0].stage),
            ("yearly", Some("one.yaml"), Stage::Crawl)
        );
        assert_eq!((checks[1].file_name(), checks[1].automated.as_deref()), (None, Some("nightly")));
        assert_eq!(checks[1].yours.as_deref(), Some("send a flood of requests"));
        assert_eq!(suite.declared[0].what, Milestone::StandardProcess);
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (from, to, code, line) in [
            ("stage: crawl", "stage: craw", "F013", 6),
            ("stage: crawl, ", "", "F011", 6),
            ("question:", "stage:", "F014", 4),
            ("standardProcess", "standardProces", "F010", 8),
            ("systems:", "system:", "F010", 2),
            ("automated: nightly", "experiment: x.yaml", "F013", 7),
        ] {
            let read = read_suite("yearly.yaml", SUITE.replacen(from, to, 1).as_bytes());
            let found: Vec<_> = read.findings.iter().map(|finding| (finding.code.id, finding.line)).collect();
            assert_eq!(found, [(code, line)], "{to}: {:?}", read.findings);
            assert!(read.suite.is_none());
        }
    }
}
