//! What only shows when a document is looked at as a whole: names that lead nowhere, actions that cannot hit their
//! targets, circles, guards that guard nothing.
//!
//! The checks walk the tree and the model side by side: the tree knows where things stand, the model what they mean.

mod actions;
mod order;
mod parameters;

use std::collections::{BTreeSet, HashSet};

use model::{
    catalogue::{Catalogue, Entry, Reversibility},
    experiment::{Experiment, StopSource},
    target::{SelectionMode, Target},
};

use crate::{
    codes,
    decode::Reader,
    finding::{Finding, Severity},
    fis::catalogue as fis,
    node::{self, Node},
};

/// What the checks need to know besides the document.
pub(crate) struct Context<'a> {
    /// The native actions.
    pub(crate) catalogue: &'a Catalogue,
    /// Whether it is a document of our own, which must say more than a FIS template.
    pub(crate) own: bool,
    /// Whether it is a part of a template, which need not have everything.
    pub(crate) fragment: bool,
    /// References that a CloudFormation template leaves open; they have been reported, and what they stand for is not.
    pub(crate) unresolved: &'a BTreeSet<String>,
}

impl Context<'_> {
    /// The entry of an action id, of FIS or native.
    fn action(&self, id: &str) -> Option<&'static Entry> {
        fis::action(id).or_else(|| self.catalogue.get(id))
    }

    /// All resource types that any action can take.
    fn resource_types(&self) -> BTreeSet<&'static str> {
        let native = self.catalogue.iter().flat_map(|entry| entry.targets).flat_map(|target| target.resource_types);
        fis::RESOURCE_TYPES.iter().map(|row| row.name).chain(native.copied()).collect()
    }
}

/// Checks an experiment that was read from `root`, whose keys are those of FIS.
pub(crate) fn experiment(reader: &mut Reader<'_>, root: &Node, experiment: &Experiment, context: &Context<'_>) {
    let types = context.resource_types();
    for entry in mapping(root, "targets") {
        if let Some(target) = experiment.targets.get(&entry.key) {
            check_target(reader, entry, target, experiment, &types);
        }
    }
    actions::check(reader, root, experiment, context, &types);
    order::check(reader, root, experiment);
    unused_targets(reader, root, experiment);
    if !context.fragment {
        stop_conditions(reader, root, experiment, context);
        if !context.own
            && root.get("roleArn").is_none_or(|node| node.is_null() && !node.is_unknown())
            && !reader.is_meant(root, "roleArn")
        {
            let message = "there is no `roleArn`; AWS FIS refuses a template without one, Shaketable does not need it";
            reader.report(
                Finding::new(&codes::AWS_REFUSES, root.head, message).help("add the role that FIS is to assume"),
            );
        }
    }
    if context.own && root.get("hypothesis").is_none() && has_fault(experiment, context) {
        let place = root.entry("actions").map_or(root.head, |entry| entry.key_span);
        let message = "there are faults but no hypothesis; the verdict will be inconclusive";
        let help = "add hypothesis: { steadyState: [...], during: [...], recovery: [...] }";
        reader.report(Finding::new(&codes::NOTHING_CLAIMED, place, message).help(help));
    }
}

/// The entries of a mapping under a key; none where it is something else, which has been reported.
fn mapping<'n>(root: &'n Node, key: &str) -> &'n [node::Entry] {
    root.get(key).and_then(Node::as_mapping).unwrap_or_default()
}

/// Whether a text stands for something that is to be filled in: `<YOUR ACCOUNT>`, `{{ region }}`.
pub(crate) fn placeholder(text: &str) -> bool {
    let between = |open: &str, close: &str| text.find(open).is_some_and(|at| text[at..].contains(close));
    between("<", ">") || between("{{", "}}") || between("${", "}")
}

fn has_fault(experiment: &Experiment, context: &Context<'_>) -> bool {
    experiment.actions.values().any(|action| {
        context.action(&action.action_id).is_none_or(|entry| entry.reversibility != Reversibility::Harmless)
    })
}

/// "did you mean", or what there is.
fn suggestion<'k>(
    reader: &Reader<'_>,
    wrong: &'k str,
    known: impl Iterator<Item = &'k str> + Clone,
    what: &str,
) -> String {
    if let Some(near) = reader.near(wrong, known.clone()) {
        return format!("did you mean `{near}`?");
    }
    // More names than fit on two lines help nobody.
    let mut names: Vec<&str> = known.take(13).collect();
    if names.len() == 13 {
        names[12] = "...";
    }
    if names.is_empty() {
        format!("there are no {what} to choose from")
    } else {
        format!("{what} are {}", names.join(", "))
    }
}

fn check_target(
    reader: &mut Reader<'_>,
    entry: &node::Entry,
    target: &Target,
    experiment: &Experiment,
    types: &BTreeSet<&'static str>,
) {
    let node = &entry.value;
    if node.as_mapping().is_none() {
        return;
    }
    selectors(reader, target, node);
    if let Some(place) = node.get("resourceType")
        && !target.resource_type.is_empty()
    {
        let name = target.resource_type.as_str();
        if fis::resource_type(name).is_none() && !types.contains(name) {
            let finding =
                Finding::new(&codes::UNKNOWN_RESOURCE_TYPE, place.span, format!("there is no resource type `{name}`"));
            reader.report(finding.help(suggestion(reader, name, types.iter().copied(), "resource types")));
        } else {
            target_parameters(reader, node, target);
        }
    }
    let disjoint = node.get("disjointFrom").map_or(node.head, |node| node.span);
    for other in &target.disjoint_from {
        if *other == entry.key {
            let message = format!("the target `{other}` cannot be disjoint from itself");
            reader.report(Finding::new(&codes::UNKNOWN_DISJOINT, disjoint, message));
        } else if !experiment.targets.contains_key(other) {
            let finding = Finding::new(&codes::UNKNOWN_DISJOINT, disjoint, format!("there is no target `{other}`"));
            reader.report(finding.help(suggestion(
                reader,
                other,
                experiment.targets.keys().map(String::as_str),
                "targets",
            )));
        }
    }
    blast_radius(reader, node, target);
}

/// Whether a target says which resources it means, in a way FIS takes.
pub(crate) fn selectors(reader: &mut Reader<'_>, target: &Target, node: &Node) {
    let written = |key: &str| node.get(key).is_some_and(|node| !node.is_null());
    let arns = node.entry("resourceArns").filter(|_| !target.resource_arns.is_empty());
    let none = target.resource_arns.is_empty()
        && target.resource_tags.is_empty()
        && target.filters.is_empty()
        && target.parameters.is_empty();
    if none {
        // A selector that could not be read has been reported; a misplaced or misspelt one is the cause and not this.
        let unreadable = ["resourceArns", "resourceTags", "filters", "parameters"].iter().any(|key| {
            let misspelt = reader.is_meant(node, key);
            misspelt
                || node.get(key).is_some_and(|node| {
                    node.is_unknown()
                        || !node.is_null()
                            && !node.as_mapping().is_some_and(<[_]>::is_empty)
                            && !node.as_sequence().is_some_and(<[_]>::is_empty)
                })
        });
        if !unreadable {
            let message = "the target says nothing about which resources it means; that never means all of them";
            let help = "add resourceTags: { KEY: VALUE }, resourceArns: [ARN], filters or parameters";
            reader.report(Finding::new(&codes::NO_SELECTOR, node.head, message).help(help));
        }
    }
    for other in ["resourceTags", "filters"] {
        if let (Some(arns), true) = (arns, written(other)) {
            let empty = if other == "filters" { target.filters.is_empty() } else { target.resource_tags.is_empty() };
            if !empty {
                let message = format!("`resourceArns` cannot stand together with `{other}`");
                let help = "FIS takes either ARNs, or tags and filters; keep one of them";
                reader.report(Finding::new(&codes::ARNS_WITH_OTHERS, arns.key_span, message).help(help));
                break;
            }
        }
    }
    if let Some(arns) = arns {
        for item in arns.value.as_sequence().unwrap_or_default() {
            if let Some(text) = item.as_text()
                && !text.starts_with("arn:")
                && !placeholder(text)
            {
                let message = format!("`{text}` is not an ARN");
                let help = "write for example arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0";
                reader.report(Finding::new(&codes::WRONG_VALUE, item.span, message).help(help));
            }
        }
        // AWS FIS takes at most five ARNs per target.
        if target.resource_arns.len() > 5 {
            let message = format!("AWS FIS takes at most 5 ARNs per target; these are {}", target.resource_arns.len());
            reader.report(Finding::new(&codes::AWS_REFUSES, arns.key_span, message).help("select by tag instead"));
        }
    }
}

/// The parameters that a resource type takes and needs.
fn target_parameters(reader: &mut Reader<'_>, node: &Node, target: &Target) {
    let Some(row) = fis::resource_type(&target.resource_type) else { return };
    let known: Vec<&str> = row.parameters.iter().map(|(name, _)| *name).collect();
    let given = |name: &str| mapping(node, "parameters").iter().any(|entry| entry.key == name);
    for entry in mapping(node, "parameters") {
        if !known.contains(&entry.key.as_str()) {
            let message = format!("`{}` takes no parameter `{}`", row.name, entry.key);
            let finding = Finding::new(&codes::WRONG_TARGET_PARAMETER, entry.key_span, message);
            reader.report(finding.help(suggestion(reader, &entry.key, known.iter().copied(), "parameters")));
        }
    }
    for (name, _) in row.parameters.iter().filter(|(name, required)| *required && !given(name)) {
        let message = format!("a target of type `{}` needs the parameter `{name}`", row.name);
        reader.report(
            Finding::new(&codes::WRONG_TARGET_PARAMETER, node.head, message)
                .help(format!("add parameters: {{ {name}: … }}")),
        );
    }
    if let Some(value) = target.parameters.get("selectorType") {
        let choices = ["labelSelector", "deploymentName", "podName"];
        if !choices.contains(&value.as_str()) && !placeholder(value) {
            let span =
                node.get("parameters").and_then(|node| node.get("selectorType")).map_or(node.head, |node| node.span);
            let finding =
                Finding::new(&codes::WRONG_TARGET_PARAMETER, span, format!("`{value}` is not a selectorType"));
            reader.report(finding.help(suggestion(reader, value, choices.into_iter(), "choices")));
        }
    }
}

/// A share of production that is larger than one would begin with.
fn blast_radius(reader: &mut Reader<'_>, node: &Node, target: &Target) {
    // Ten percent is the most that the literature begins with (5 to 10 percent after a single instance).
    let large = match target.selection_mode {
        SelectionMode::Percent(share) => share > 10.0,
        // Also stands for a mode that could not be read, which has been reported.
        SelectionMode::All => node.get("selectionMode").and_then(Node::as_text) == Some("ALL"),
        SelectionMode::Count(_) => false,
    };
    let production = target.resource_tags.iter().any(|(key, value)| {
        let key = key.to_lowercase();
        let named = key.ends_with("environment") || key.ends_with("env") || key.ends_with("stage");
        named && matches!(value.to_lowercase().as_str(), "production" | "prod" | "live")
    });
    if let (true, true, Some(place)) = (large, production, node.get("selectionMode")) {
        let message = format!("{} of production is a large blast radius", target.selection_mode);
        let help = "start with COUNT(1); widen to 5 or 10 percent once that is green";
        reader.report(Finding::new(&codes::LARGE_BLAST_RADIUS, place.span, message).help(help));
    }
}

fn unused_targets(reader: &mut Reader<'_>, root: &Node, experiment: &Experiment) {
    // An action whose target is missing, misspelt or inline is the likelier cause, and reported.
    let causes = [&codes::MISSING_TARGET, &codes::UNDEFINED_TARGET, &codes::INLINE_TARGET];
    if reader.findings.iter().any(|finding| causes.iter().any(|cause| cause.id == finding.code.id)) {
        return;
    }
    // So are misspelt `targets` of an action, and a target whose name is not known yet.
    if mapping(root, "actions").iter().any(|entry| reader.is_meant(&entry.value, "targets")) {
        return;
    }
    let open = mapping(root, "actions").iter().flat_map(|entry| mapping(&entry.value, "targets"));
    if open.into_iter().any(|entry| entry.value.is_unknown()) {
        return;
    }
    let used: HashSet<&str> =
        experiment.actions.values().flat_map(|action| action.targets.values()).map(String::as_str).collect();
    // A target that only others are kept apart from is of use, too.
    let apart: HashSet<&str> =
        experiment.targets.values().flat_map(|target| &target.disjoint_from).map(String::as_str).collect();
    for entry in mapping(root, "targets") {
        let name = entry.key.as_str();
        if !used.contains(name) && !apart.contains(name) {
            reader.report(
                Finding::new(&codes::UNUSED_TARGET, entry.key_span, format!("no action uses the target `{name}`"))
                    .help("name it under the `targets` of an action, or remove it"),
            );
        }
    }
}

fn stop_conditions(reader: &mut Reader<'_>, root: &Node, experiment: &Experiment, context: &Context<'_>) {
    let Some(entry) = root.entry("stopConditions").filter(|entry| !entry.value.is_null()) else {
        if reader.is_meant(root, "stopConditions") {
            return;
        }
        let message = "there are no `stopConditions`: nothing says what would end the experiment early";
        let help = "add stopConditions: [{ source: \"aws:cloudwatch:alarm\", value: ALARM }]";
        reader.report(Finding::new(&codes::NO_STOP_CONDITION, root.head, message).help(help));
        return;
    };
    let Some(items) = entry.value.as_sequence() else { return };
    if items.is_empty() {
        let message = "`stopConditions` is empty: nothing says what would end the experiment early";
        reader.report(Finding::new(&codes::NO_STOP_CONDITION, entry.key_span, message).help("name an alarm"));
    }
    // AWS FIS takes at most five stop conditions.
    if items.len() > 5 {
        let message = format!("AWS FIS takes at most 5 stop conditions; these are {}", items.len());
        reader.report(Finding::new(&codes::AWS_REFUSES, entry.key_span, message));
    }
    // Items that could not be read are missing in the model; the others are in the same order.
    for (item, condition) in items.iter().filter(|item| readable(item)).zip(&experiment.stop_conditions) {
        match condition.source {
            StopSource::None => no_guard(reader, item, condition, has_fault(experiment, context), context),
            StopSource::Alarm => guard(reader, item, condition, experiment, context),
        }
    }
}

/// Whether a stop condition could be read (see the reader of stop conditions).
fn readable(item: &Node) -> bool {
    matches!(item.get("source").and_then(Node::as_text), Some("aws:cloudwatch:alarm" | "none"))
}

fn no_guard(
    reader: &mut Reader<'_>,
    item: &Node,
    condition: &model::experiment::StopCondition,
    fault: bool,
    context: &Context<'_>,
) {
    let span = item.get("source").map_or(item.head, |node| node.span);
    if context.own {
        if fault && condition.why.as_deref().is_none_or(|why| why.trim().is_empty()) {
            let message = "the experiment has a fault and no guard, and does not say why";
            let help = "name an alarm, or add why: \"...\" beside source: none";
            reader.report(Finding::new(&codes::STOP_SOURCE_NONE, span, message).severity(Severity::Error).help(help));
        }
    } else if fault {
        let message = "nothing will end this experiment early: `source` is none";
        let help = "name an alarm: source aws:cloudwatch:alarm, value its ARN";
        reader.report(Finding::new(&codes::STOP_SOURCE_NONE, span, message).help(help));
    }
    if let Some(value) = item.get("value").filter(|node| node.as_text().is_some_and(|text| !text.is_empty())) {
        reader.report(
            Finding::new(
                &codes::WRONG_VALUE,
                value.span,
                "an alarm is named, but `source` is none: it would not be watched",
            )
            .help("write source: aws:cloudwatch:alarm, or remove `value`"),
        );
    }
}

fn guard(
    reader: &mut Reader<'_>,
    item: &Node,
    condition: &model::experiment::StopCondition,
    experiment: &Experiment,
    context: &Context<'_>,
) {
    let Some(value) = item.get("value").filter(|node| node.as_text().is_some_and(|text| !text.is_empty())) else {
        let unreadable = item.get("value").is_some_and(|node| node.as_scalar().is_none() || node.is_unknown());
        if !unreadable {
            let message = "the stop condition does not say which alarm";
            let help = "add value: the alarm's ARN, or the name of one of this document's `alarms`";
            reader.report(Finding::new(&codes::STOP_WITHOUT_ALARM, item.head, message).help(help));
        }
        return;
    };
    let Some(name) = condition.alarm_name() else { return };
    if context.own {
        if !experiment.alarms.contains_key(name) {
            let message = format!("the document defines no alarm `{name}`");
            let near = reader.near(name, experiment.alarms.keys().map(String::as_str));
            let help = match near {
                Some(near) => format!("did you mean `{near}`? otherwise the lab file must define it"),
                None => "define it under `alarms`; otherwise the lab file must".to_owned(),
            };
            reader.report(Finding::new(&codes::ALARM_ELSEWHERE, value.span, message).help(help));
        }
    } else if !condition.value.as_deref().is_some_and(|value| value.starts_with("arn:") || placeholder(value))
        && !context.unresolved.contains(name)
        && !experiment.alarms.contains_key(name)
    {
        let message = format!("`{name}` is not an ARN; AWS FIS refuses it, Shaketable takes it as an alarm's name");
        reader.report(Finding::new(&codes::AWS_REFUSES, value.span, message));
    }
}
