//! Roles of experiments: who may assume them, and whether they may do what the experiments do.

use std::collections::HashMap;

use super::{Resource, literal, reference};
use crate::{
    cloudformation::{call, stack::Stack},
    codes,
    decode::Reader,
    finding::Finding,
    iam::{self, MANAGED, NEEDS},
    node::Node,
    shape::{Notation, some},
};

/// Types of resources that attach a policy to a role from elsewhere.
const ATTACHED: &[&str] = &["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];

/// Looks at the policies of a template, and at every experiment whose role is in it.
pub(super) fn check(reader: &mut Reader<'_>, stack: &Stack<'_>, resources: &[Resource<'_>]) {
    for resource in resources {
        policies(reader, resource);
    }
    // A policy that is attached from elsewhere may allow anything.
    let attached = ATTACHED.iter().any(|kind| stack.of_type(kind).next().is_some());
    let of_kind = resources.iter().filter(|resource| resource.kind == "AWS::IAM::Role");
    let written: HashMap<&str, &Resource<'_>> = of_kind.map(|role| (role.entry.key.as_str(), role)).collect();
    // Many experiments may have one role.
    let mut roles: HashMap<&str, Role<'_>> = HashMap::new();
    for experiment in resources.iter().filter(|resource| resource.kind == "AWS::FIS::ExperimentTemplate") {
        let Some(node) = experiment.properties.get("RoleArn") else { continue };
        let Some(id) = reference(node) else { continue };
        let Some((id, role)) = written.get_key_value(id.as_str()) else { continue };
        let role = roles.entry(id).or_insert_with(|| Role::of(role.properties));
        trust(reader, role, id, node);
        if !attached {
            permissions(reader, experiment, role, id);
        }
    }
}

/// A role as experiments use it.
struct Role<'n> {
    /// Who may assume it, where that is somebody else than the service.
    others: Option<String>,
    /// What it allows; nothing where that cannot be known.
    allowed: Option<Vec<&'n str>>,
    /// Whether it allows what has been asked for already.
    asked: HashMap<&'static str, bool>,
}

impl<'n> Role<'n> {
    fn of(properties: &'n Node) -> Self {
        Self { others: others(properties), allowed: allowed(properties), asked: HashMap::new() }
    }

    /// Whether it allows an action, as far as is known.
    fn allows(&mut self, need: &'static str) -> bool {
        let Some(allowed) = &self.allowed else { return true };
        *self.asked.entry(need).or_insert_with(|| allowed.iter().any(|pattern| iam::covers(pattern, need)))
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
fn trust(reader: &mut Reader<'_>, role: &Role<'_>, id: &str, place: &Node) {
    if let Some(others) = &role.others {
        let message = format!("the role `{id}` may be assumed by {others}, and not by FIS");
        reader.report(
            Finding::new(&codes::ROLE_NOT_FOR_FIS, place.span, message)
                .help("let its AssumeRolePolicyDocument name the Service fis.amazonaws.com"),
        );
    }
}

/// Who may assume a role that the service may not. A name that is computed may be any.
fn others(role: &Node) -> Option<String> {
    let policy = role.get("AssumeRolePolicyDocument")?;
    let services = iam::statements(policy).iter().filter_map(|statement| statement.get("Principal")?.get("Service"));
    let names: Option<Vec<&str>> = services.flat_map(iam::items).map(literal).collect();
    let names = names.filter(|names| !names.is_empty() && !names.contains(&"fis.amazonaws.com"))?;
    Some(some(names))
}

fn permissions(reader: &mut Reader<'_>, experiment: &Resource<'_>, role: &mut Role<'_>, id: &str) {
    for entry in experiment.properties.get("Actions").and_then(Node::as_mapping).unwrap_or_default() {
        let Some(action) = entry.value.get("ActionId") else { continue };
        let needs = NEEDS.iter().find(|(name, _)| Some(*name) == literal(action)).map_or(&[][..], |(_, needs)| *needs);
        for need in needs.iter().filter(|need| !role.allows(need)) {
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
