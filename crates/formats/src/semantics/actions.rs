//! Actions against the catalogue: does it exist, does it take these parameters, can it hit these targets?

use std::collections::BTreeSet;

use model::{
    catalogue::{Entry, TargetKind},
    experiment::{Action, Experiment},
    target::{SelectionMode, Target},
};

use super::{Context, mapping, parameters, placeholder, suggestion};
use crate::{
    chaos_mesh, codes,
    decode::Reader,
    finding::Finding,
    fis::catalogue as fis,
    node::{self, Node},
    within,
};

pub(super) fn check(
    reader: &mut Reader<'_>,
    root: &Node,
    experiment: &Experiment,
    context: &Context<'_>,
    types: &BTreeSet<&'static str>,
) {
    for entry in mapping(root, "actions") {
        let Some(action) = experiment.actions.get(&entry.key) else { continue };
        if entry.value.as_mapping().is_none() || action.action_id.is_empty() {
            continue;
        }
        let known = context.action(&action.action_id).or_else(|| unknown(reader, entry, action, context));
        if let Some(known) = known {
            parameters::check(reader, &entry.value, action, known, context);
            custom_resource(reader, &entry.value, action);
            target_keys(reader, &entry.value, action, known, experiment);
            restart_of_replaced(reader, &entry.value, action, experiment);
            not_what_it_says(reader, entry, action, known);
        }
        targets(reader, &entry.value, action, known, experiment, types);
    }
}

/// A fault of Chaos Mesh that an action makes in a cluster.
fn custom_resource(reader: &mut Reader<'_>, node: &Node, action: &Action) {
    let parameter = |name: &str| action.parameters.get(name).map(String::as_str);
    let of_chaos_mesh = parameter("kubernetesApiVersion").is_some_and(|version| version.starts_with("chaos-mesh.org/"));
    let place = node.get("parameters").and_then(|node| node.get("kubernetesSpec"));
    if let (true, Some(kind), Some(text), Some(place)) =
        (of_chaos_mesh, parameter("kubernetesKind"), parameter("kubernetesSpec"), place)
    {
        within::check(reader, place, text, |reader, root| chaos_mesh::spec(reader, kind, root));
    }
}

/// Reports an unknown id. Where it can only mean one action, that is what the rest is checked against.
fn unknown(
    reader: &mut Reader<'_>,
    entry: &node::Entry,
    action: &Action,
    context: &Context<'_>,
) -> Option<&'static Entry> {
    let id = action.action_id.as_str();
    let span = entry.value.get("actionId").map_or(entry.key_span, |node| node.span);
    if placeholder(id) {
        return None;
    }
    if let Some((command, document)) = id.split_once('/')
        && fis::action(command).is_some()
    {
        let message = format!("`{id}` is how the AWS console shows it; the id ends before the slash");
        let help = format!(
            "write actionId: {command}, with the parameters documentArn: arn:aws:ssm:REGION::document/{document}, documentParameters and duration"
        );
        reader.report(Finding::new(&codes::UNKNOWN_ACTION, span, message).help(help));
        return None;
    }
    let finding = Finding::new(&codes::UNKNOWN_ACTION, span, format!("there is no action `{id}`"));
    if let Some((_, right, explanation)) = fis::WRONG_IDS.iter().find(|(wrong, ..)| *wrong == id) {
        reader.report(finding.help(*explanation));
        return right.and_then(fis::action);
    }
    let ids: Vec<&str> =
        fis::catalogue().iter().map(|entry| entry.id).chain(context.catalogue.iter().map(|e| e.id)).collect();
    let help = match reader.near(id, ids) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`shaketable actions` lists all there are".to_owned(),
    };
    reader.report(finding.help(help));
    None
}

/// The keys under the action's `targets`.
fn target_keys(reader: &mut Reader<'_>, node: &Node, action: &Action, known: &Entry, experiment: &Experiment) {
    let written = mapping(node, "targets");
    let keys: Vec<&str> = known.targets.iter().map(|target| target.key).collect();
    let mut wrong = false;
    for entry in written.iter().filter(|entry| !keys.contains(&entry.key.as_str())) {
        wrong = true;
        let message = format!("`{}` takes no target under `{}`", known.id, entry.key);
        let finding = Finding::new(&codes::UNKNOWN_TARGET_KEY, entry.key_span, message);
        let help = if let [only] = known.targets {
            let named = action.targets.get(&entry.key).and_then(|name| experiment.targets.get(name));
            match named.filter(|target| !takes(only, target)) {
                Some(target) => format!(
                    "write `{}`, and name a target of type {} (this one is {})",
                    only.key,
                    only.resource_types.join(" or "),
                    target.resource_type
                ),
                None => format!("write `{}`", only.key),
            }
        } else if keys.is_empty() {
            "it takes no target at all; remove it".to_owned()
        } else {
            suggestion(reader, &entry.key, keys.iter().copied(), "target keys")
        };
        reader.report(finding.help(help));
    }
    // Misspelt is not missing: one cause, one finding.
    let any = known.targets.iter().any(|target| written.iter().any(|entry| entry.key == target.key));
    let misspelt = wrong || reader.is_meant(node, "targets");
    if !known.targets.is_empty() && !any && !misspelt && action.targets.is_empty() {
        let message = format!("`{}` needs a target under `{}`", known.id, keys.join("` or `"));
        let help = format!("add targets: {{ {}: NAME-OF-A-TARGET }}", keys[0]);
        reader.report(Finding::new(&codes::MISSING_TARGET, node.head, message).label("has no target").help(help));
    }
}

/// Whether an action's slot takes a target, whose type may have an old name.
fn takes(slot: &TargetKind, target: &Target) -> bool {
    let name = target.resource_type.as_str();
    slot.resource_types.contains(&fis::resource_type(name).map_or(name, |row| row.name))
}

/// The names under the action's `targets`, and the types of what they name.
fn targets(
    reader: &mut Reader<'_>,
    node: &Node,
    action: &Action,
    known: Option<&Entry>,
    experiment: &Experiment,
    types: &BTreeSet<&'static str>,
) {
    for entry in mapping(node, "targets") {
        let Some(name) = action.targets.get(&entry.key) else { continue };
        let Some(target) = experiment.targets.get(name) else {
            let finding =
                Finding::new(&codes::UNDEFINED_TARGET, entry.value.span, format!("the target `{name}` is not defined"));
            let help = if experiment.targets.is_empty() {
                format!("add targets: {{ {name}: {{ resourceType: …, resourceTags: …, selectionMode: … }} }}")
            } else {
                suggestion(reader, name, experiment.targets.keys().map(String::as_str), "targets")
            };
            reader.report(finding.help(help));
            continue;
        };
        let slot = known.and_then(|known| known.targets.iter().find(|slot| slot.key == entry.key));
        let resource_type =
            fis::resource_type(&target.resource_type).map_or(target.resource_type.as_str(), |row| row.name);
        if let (Some(known), Some(slot)) = (known, slot)
            && types.contains(resource_type)
            && !slot.resource_types.contains(&resource_type)
        {
            let message = format!("`{}` cannot hit `{resource_type}`, which the target `{name}` is", known.id);
            let help = format!("it takes {}", slot.resource_types.join(" or "));
            let finding = Finding::new(&codes::WRONG_RESOURCE_TYPE, entry.value.span, message).help(help);
            reader.report(finding.label(format!("is {resource_type}")));
        }
    }
}

/// A stopped instance of a group is terminated and replaced long before it is to be started again.
fn restart_of_replaced(reader: &mut Reader<'_>, node: &Node, action: &Action, experiment: &Experiment) {
    // Who takes some of many has equals in a group; who takes all that have a tag names machines of their own.
    let some_of_many =
        |name: &String| experiment.targets.get(name).is_none_or(|target| target.selection_mode != SelectionMode::All);
    if !action.targets.values().any(some_of_many) {
        return;
    }
    let name = "completeIfInstancesTerminated";
    let complete = action.parameters.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || mapping(node, "parameters").iter().any(|entry| entry.key == name && entry.value.is_unknown());
    if action.action_id == "aws:ec2:stop-instances"
        && let Some(entry) = node.get("parameters").and_then(|node| node.entry("startInstancesAfterDuration"))
        && !complete
    {
        let message = "an Auto Scaling group replaces a stopped instance by then, and starting it again fails";
        let help = "add completeIfInstancesTerminated: \"true\" if the instances belong to a group";
        reader.report(
            Finding::new(&codes::RESTART_OF_REPLACED, entry.key_span, message)
                .help(help)
                .note("encrypted volumes also need kms:CreateGrant for the role"),
        );
    }
}

/// Actions that are taken for something else.
fn not_what_it_says(reader: &mut Reader<'_>, entry: &node::Entry, action: &Action, known: &Entry) {
    let does = match known.id {
        "aws:ec2:send-spot-instance-interruptions" => "interrupts spot instances: they are stopped or terminated",
        "aws:fis:inject-api-throttle-error"
        | "aws:fis:inject-api-internal-error"
        | "aws:fis:inject-api-unavailable-error" => "answers API calls with errors, at once",
        _ => return,
    };
    let says = format!("{} {}", entry.key, action.description.as_deref().unwrap_or_default()).to_lowercase();
    let latency = ["latency", "delay", "slow", "遅延", "レイテンシ"].iter().any(|word| says.contains(word));
    if latency {
        let message = format!("this says latency, but `{}` {does}", known.id);
        let help =
            "for latency use network:latency here, and aws:ssm:send-command with AWSFIS-Run-Network-Latency on AWS";
        reader.report(Finding::new(&codes::NOT_WHAT_IT_SAYS, entry.key_span, message).help(help));
    }
}
