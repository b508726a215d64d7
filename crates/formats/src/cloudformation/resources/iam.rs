//! Roles of experiments: whether they may do what the experiments do.

use super::{Resource, literal, reference};
use crate::{cloudformation::stack::Stack, codes, decode::Reader, finding::Finding, node::Node};

/// Actions of FIS, and what a role must allow for them.
const NEEDS: &[(&str, &[&str])] = &[
    ("aws:ec2:stop-instances", &["ec2:StopInstances"]),
    ("aws:ec2:terminate-instances", &["ec2:TerminateInstances"]),
    ("aws:ec2:reboot-instances", &["ec2:RebootInstances"]),
    ("aws:ssm:send-command", &["ssm:SendCommand"]),
    ("aws:ecs:stop-task", &["ecs:StopTask"]),
    ("aws:rds:failover-db-cluster", &["rds:FailoverDBCluster"]),
    ("aws:rds:reboot-db-instances", &["rds:RebootDBInstance"]),
];

/// Looks at every experiment whose role is in the template.
pub(super) fn check(reader: &mut Reader<'_>, stack: &Stack<'_>, resources: &[Resource<'_>]) {
    for experiment in resources.iter().filter(|resource| resource.kind == "AWS::FIS::ExperimentTemplate") {
        let Some(id) = experiment.properties.get("RoleArn").and_then(reference) else { continue };
        let Some(role) =
            resources.iter().find(|resource| resource.entry.key == id && resource.kind == "AWS::IAM::Role")
        else {
            continue;
        };
        // A policy that is attached from elsewhere may allow anything.
        let attached = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"]
            .iter()
            .any(|kind| stack.of_type(kind).next().is_some());
        let Some(allowed) = allowed(role.properties).filter(|_| !attached) else { continue };
        for entry in experiment.properties.get("Actions").and_then(Node::as_mapping).unwrap_or_default() {
            let Some(action) = entry.value.get("ActionId") else { continue };
            let needs =
                NEEDS.iter().find(|(name, _)| Some(*name) == literal(action)).map_or(&[][..], |(_, needs)| *needs);
            for need in needs.iter().filter(|need| !allowed.iter().any(|pattern| covers(pattern, need))) {
                let message = format!("the role `{id}` does not allow {need}, which `{}` needs", entry.key);
                reader.report(
                    Finding::new(&codes::ROLE_LACKS_PERMISSION, action.span, message)
                        .help(format!("allow {need} in a policy of the role")),
                );
            }
        }
    }
}

/// What a role allows; nothing where that cannot be known.
fn allowed(role: &Node) -> Option<Vec<&str>> {
    let managed = role.get("ManagedPolicyArns").and_then(Node::as_sequence).unwrap_or_default();
    // Of the service's own policies only one is known here to allow no action of FIS.
    if managed.iter().any(|node| !literal(node).is_some_and(|arn| arn.ends_with("/CloudWatchReadOnlyAccess"))) {
        return None;
    }
    let mut found = Vec::new();
    for policy in role.get("Policies").and_then(Node::as_sequence).unwrap_or_default() {
        let statements = policy.get("PolicyDocument")?.get("Statement")?;
        let statements = statements.as_sequence().unwrap_or_else(|| std::slice::from_ref(statements));
        for statement in
            statements.iter().filter(|statement| statement.get("Effect").and_then(Node::as_text) == Some("Allow"))
        {
            let actions = statement.get("Action")?;
            for action in actions.as_sequence().unwrap_or_else(|| std::slice::from_ref(actions)) {
                found.push(literal(action)?);
            }
        }
    }
    Some(found)
}

/// Whether a pattern with `*` covers an action; letter case does not count.
fn covers(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    match pattern.split_once('*') {
        None => pattern == action,
        Some((start, "")) => action.starts_with(start),
        Some((start, end)) => action.starts_with(start) && action.ends_with(end.rsplit('*').next().unwrap_or_default()),
    }
}
