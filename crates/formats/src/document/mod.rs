//! Our own experiment document: the keys of a FIS template, and ours beside them.

pub(crate) mod alarm;
pub(crate) mod hypothesis;
pub(crate) mod limits;
pub(crate) mod load;

use std::collections::BTreeMap;

use model::experiment::Windows;

pub(crate) use load::{command, url};

use crate::{
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    fis::{self, Template},
    node::Node,
};

/// The keys that a FIS template does not have.
pub(crate) const OWN_KEYS: &[&str] = &["hypothesis", "load", "probes", "scrape", "alarms", "windows", "limits", "lab"];

/// Keys that people put at the wrong level, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("resourceType", "a target under `targets`"),
    ("resourceArns", "a target under `targets`"),
    ("resourceTags", "a target under `targets`"),
    ("filters", "a target under `targets`"),
    ("selectionMode", "a target under `targets`"),
    ("disjointFrom", "a target under `targets`"),
    ("follow", "a target under `targets`"),
    ("actionId", "an action under `actions`"),
    ("startAfter", "an action under `actions`"),
    ("duration", "the `parameters` of an action"),
    ("documentArn", "the `parameters` of an action"),
    ("documentParameters", "the `parameters` of an action"),
    ("steadyState", "`hypothesis`"),
    ("during", "`hypothesis`"),
    ("recovery", "`hypothesis` (clauses) or `windows` (a length of time)"),
    ("baseline", "`windows`"),
    ("settle", "`windows`"),
    ("maxResources", "`limits`"),
    ("maxPercentOfGroup", "`limits`"),
    ("maxPercentOfZone", "`limits`"),
    ("minHealthy", "`limits`"),
    ("protectedTags", "a policy file (`--policy`)"),
    ("emptyTargetResolutionMode", "`experimentOptions`"),
    ("accountTargeting", "`experimentOptions`"),
    ("stopConditions", "the root of the document"),
    ("hypothesis", "the root of the document"),
    ("alarms", "the root of the document"),
    ("load", "the root of the document"),
    ("probes", "the root of the document"),
    ("lab", "the root of the document"),
    ("experimentTemplate", "no file: write its content at the root of the document"),
];

/// Keys that `get-experiment-template` answers with, and nobody writes.
const ANSWERED: &[&str] = &["id", "arn", "creationTime", "lastUpdateTime", "targetAccountConfigurationsCount"];

/// The template within what `get-experiment-template` answers; everything else as it is.
pub(crate) fn unwrapped(root: &Node) -> &Node {
    match root.as_mapping() {
        Some([entry]) if entry.key == "experimentTemplate" && entry.value.as_mapping().is_some() => &entry.value,
        _ => root,
    }
}

/// Reads a document or a plain FIS template.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Template> {
    // Only the service knows when it took a template.
    let answered = if root.entry("creationTime").is_some() { ANSWERED } else { &[] };
    let known: Vec<&str> = fis::FIS_KEYS.iter().chain(OWN_KEYS).chain(answered).copied().collect();
    let fields = reader.fields(root, "an experiment", &known)?;
    let mut template = fis::fis_part(reader, &fields, false);
    own_part(reader, &fields, &mut template);
    Some(template)
}

fn own_part(reader: &mut Reader<'_>, root: &Fields<'_>, template: &mut Template) {
    let experiment = &mut template.experiment;
    // The names that clauses and alarms may refer to are read first.
    if let Some(node) = root.get("load") {
        let items = reader.items(node, "load").unwrap_or_default();
        experiment.load = items.iter().filter_map(|item| load::load(reader, item)).collect();
    }
    if let Some(node) = root.get("probes") {
        experiment.probes = map(reader, node, "probes", load::probe);
    }
    if let Some(node) = root.get("scrape") {
        experiment.scrape = map(reader, node, "scrape", load::scrape);
    }
    let series: Vec<String> = experiment.scrape.values().flat_map(|scrape| scrape.metrics.keys().cloned()).collect();
    let known = hypothesis::Known {
        http_load: experiment.load.iter().any(|load| matches!(load, model::load::Load::Http(_))),
        probes: experiment.probes.keys().cloned().collect(),
        series,
    };
    if let Some(node) = root.get("hypothesis") {
        experiment.hypothesis = hypothesis::hypothesis(reader, node, &known);
    }
    if let Some(node) = root.get("alarms") {
        experiment.alarms = map(reader, node, "alarms", |reader, node| alarm::alarm(reader, node, Some(&known)));
    }
    if let Some(node) = root.get("windows") {
        experiment.windows = windows(reader, node);
    }
    if let Some(node) = root.get("limits") {
        experiment.limits = limits::limits(reader, node);
    }
    experiment.lab = root.get("lab").and_then(|node| reader.text(node, "lab"));
}

/// A map from names to things.
pub(crate) fn map<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    mut read: impl FnMut(&mut Reader<'_>, &Node) -> Option<T>,
) -> BTreeMap<String, T> {
    let entries = reader.entries(node, what).unwrap_or_default();
    entries.iter().filter_map(|entry| Some((entry.key.clone(), read(reader, &entry.value)?))).collect()
}

fn windows(reader: &mut Reader<'_>, node: &Node) -> Windows {
    let mut windows = Windows::default();
    let Some(fields) = reader.fields(node, "windows", &["baseline", "fault", "recovery", "settle"]) else {
        return windows;
    };
    for (key, window) in [
        ("baseline", &mut windows.baseline),
        ("fault", &mut windows.fault),
        ("recovery", &mut windows.recovery),
        ("settle", &mut windows.settle),
    ] {
        if let Some(period) = fields.get(key).and_then(|node| reader.period(node, key)) {
            *window = period;
        }
    }
    let least = windows.settle.get() + Windows::MARGIN;
    if windows.recovery.get() < least {
        let node = fields.get("settle").or_else(|| fields.get("recovery")).unwrap_or_else(|| fields.node());
        reader.report(
            Finding::new(
                &codes::WRONG_VALUE,
                node.span,
                "`recovery` is too short to see that anything holds for `settle`; nothing could ever recover",
            )
            .help(format!(
                "settle is {}: make recovery (now {}) at least {} s",
                windows.settle,
                windows.recovery,
                least.as_secs_f64()
            )),
        );
    }
    windows
}
