//! Roles of experiments: who may assume them, and whether they may do what the experiments do.

use super::{Resource, literal, reference};
use crate::{
    cloudformation::{call, stack::Stack},
    codes,
    decode::Reader,
    finding::Finding,
    iam::{self, MANAGED, NEEDS},
    node::Node,
    shape::Notation,
};

/// Types of resources that attach a policy to a role from elsewhere.
const ATTACHED: &[&str] = &["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];

/// Looks at the policies of a template, and at every experiment whose role is in it.
pub(super) fn check(reader: &mut Reader<'_>, stack: &Stack<'_>, resources: &[Resource<'_>]) {
    for resource in resources {
        policies(reader, resource);
    }
    for experiment in resources.iter().filter(|resource| resource.kind == "AWS::FIS::ExperimentTemplate") {
        let Some(node) = experiment.properties.get("RoleArn") else { continue };
        let Some(id) = reference(node) else { continue };
        let Some(role) =
            resources.iter().find(|resource| resource.entry.key == id && resource.kind == "AWS::IAM::Role")
        else {
            continue;
        };
        trust(reader, role, &id, node);
        permissions(reader, stack, experiment, role, &id);
    }
}

/// The form of the policies of a resource.
fn policies(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let mut form = |policy: Option<&Node>, attached: bool| {
        if let Some(policy) = policy.filter(|policy| call(policy).is_none()) {
            iam::form(reader, Notation::CloudFormation, policy, attached);
        }
    };
    match resource.kind {
        "AWS::IAM::Role" => {
            form(resource.properties.get("AssumeRolePolicyDocument"), false);
            for policy in resource.properties.get("Policies").and_then(Node::as_sequence).unwrap_or_default() {
                form(policy.get("PolicyDocument"), true);
            }
            of_experiments(reader, resource);
        }
        "AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" => form(resource.properties.get("PolicyDocument"), true),
        _ => {}
    }
}

/// What only the role of an experiment must not allow.
fn of_experiments(reader: &mut Reader<'_>, role: &Resource<'_>) {
    let Some(trust) = role.properties.get("AssumeRolePolicyDocument") else { return };
    if iam::assumed_by_the_service(trust).is_none() {
        return;
    }
    iam::confused_deputy(reader, trust);
    let policies = role.properties.get("Policies").and_then(Node::as_sequence).unwrap_or_default();
    for statement in policies.iter().filter_map(|policy| policy.get("PolicyDocument")).flat_map(iam::statements) {
        iam::everything(reader, statement);
    }
}

/// A role that the service may not assume.
fn trust(reader: &mut Reader<'_>, role: &Resource<'_>, id: &str, place: &Node) {
    let Some(policy) = role.properties.get("AssumeRolePolicyDocument") else { return };
    let services = iam::statements(policy).iter().filter_map(|statement| statement.get("Principal")?.get("Service"));
    let names: Option<Vec<&str>> = services.flat_map(iam::items).map(literal).collect();
    // A name that is computed may be any.
    let Some(names) = names.filter(|names| !names.is_empty()) else { return };
    if !names.contains(&"fis.amazonaws.com") {
        let message = format!("the role `{id}` may be assumed by {}, and not by FIS", names.join(", "));
        reader.report(
            Finding::new(&codes::ROLE_NOT_FOR_FIS, place.span, message)
                .help("let its AssumeRolePolicyDocument name the Service fis.amazonaws.com"),
        );
    }
}

fn permissions(reader: &mut Reader<'_>, stack: &Stack<'_>, experiment: &Resource<'_>, role: &Resource<'_>, id: &str) {
    // A policy that is attached from elsewhere may allow anything.
    if ATTACHED.iter().any(|kind| stack.of_type(kind).next().is_some()) {
        return;
    }
    let Some(allowed) = allowed(role.properties) else { return };
    for entry in experiment.properties.get("Actions").and_then(Node::as_mapping).unwrap_or_default() {
        let Some(action) = entry.value.get("ActionId") else { continue };
        let needs = NEEDS.iter().find(|(name, _)| Some(*name) == literal(action)).map_or(&[][..], |(_, needs)| *needs);
        for need in needs.iter().filter(|need| !allowed.iter().any(|pattern| iam::covers(pattern, need))) {
            let message = format!("the role `{id}` does not allow {need}, which `{}` needs", entry.key);
            reader.report(
                Finding::new(&codes::ROLE_LACKS_PERMISSION, action.span, message)
                    .help(format!("allow {need} in a policy of the role")),
            );
        }
    }
}

/// What a role allows; nothing where that cannot be known.
fn allowed(role: &Node) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    for node in role.get("ManagedPolicyArns").and_then(Node::as_sequence).unwrap_or_default() {
        let arn = literal(node)?;
        let (_, allows) = MANAGED.iter().find(|(name, _)| arn.ends_with(name))?;
        found.extend_from_slice(allows);
    }
    for policy in role.get("Policies").and_then(Node::as_sequence).unwrap_or_default() {
        let document = policy.get("PolicyDocument").filter(|document| document.entry("Statement").is_some())?;
        let allows = |statement: &&Node| statement.get("Effect").and_then(Node::as_text) == Some("Allow");
        for statement in iam::statements(document).iter().filter(allows) {
            for action in iam::items(statement.get("Action")?) {
                found.push(literal(action)?);
            }
        }
    }
    Some(found)
}
