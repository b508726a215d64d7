//! Policies of AWS IAM: their form, and what they mean for the role of an experiment.

mod needs;

pub(crate) use needs::{MANAGED, NEEDS};

use model::nearest::is_slip;

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    script,
    shape::{
        self, Form, Keys, Notation,
        Shape::{Any, Form as Of, Keys as Mapping, OneOrMore, Text, Word},
        may, need,
    },
};

/// Who assumes the role of an experiment.
const SERVICE: &str = "fis.amazonaws.com";

const POLICY: Keys = Keys {
    what: "a policy",
    keys: &[
        may("Version", Word(&["2012-10-17", "2008-10-17"])),
        may("Id", Text),
        need("Statement", OneOrMore(&Mapping(&STATEMENT))),
    ],
};

const STATEMENT: Keys = Keys {
    what: "a statement",
    keys: &[
        need("Effect", Word(&["Allow", "Deny"])),
        may("Sid", Text),
        may("Action", OneOrMore(&Of(&ACTION))),
        may("NotAction", OneOrMore(&Of(&ACTION))),
        may("Resource", OneOrMore(&Of(&RESOURCE))),
        may("NotResource", OneOrMore(&Of(&RESOURCE))),
        may("Principal", Any),
        may("NotPrincipal", Any),
        may("Condition", Any),
    ],
};

/// Who a statement is about, where it is not everybody.
const PRINCIPAL: Keys = Keys {
    what: "a principal",
    keys: &[
        may("AWS", OneOrMore(&Text)),
        may("Service", OneOrMore(&Of(&SERVICE_NAME))),
        may("Federated", OneOrMore(&Text)),
        may("CanonicalUser", OneOrMore(&Text)),
    ],
};

const SERVICE_NAME: Form = Form {
    what: "the name of a service such as fis.amazonaws.com",
    near: &[
        "fis.amazonaws.com",
        "ec2.amazonaws.com",
        "lambda.amazonaws.com",
        "ssm.amazonaws.com",
        "backup.amazonaws.com",
    ],
    holds: |text| text.ends_with(".amazonaws.com") || text.ends_with(".amazonaws.com.cn"),
};

const ACTION: Form = Form {
    what: "an action such as ec2:StopInstances, or *",
    near: &[],
    holds: |text| {
        text == "*"
            || text.split_once(':').is_some_and(|(service, name)| {
                let of_service = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '*');
                let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?');
                !service.is_empty() && !name.is_empty() && service.chars().all(of_service) && name.chars().all(of_name)
            })
    },
};

const RESOURCE: Form = Form {
    what: "an ARN such as arn:aws:ec2:*:*:instance/*, or *",
    near: &[],
    holds: |text| {
        // Policies of stacks name resources by their logical ids.
        const STARTS: &[&str] = &["arn:", "arn*", "*:", "LogicalResourceId/"];
        text == "*" || STARTS.iter().any(|start| text.starts_with(start))
    },
};

/// The items of a value that may stand alone.
pub(crate) fn items(node: &Node) -> &[Node] {
    node.as_sequence().unwrap_or_else(|| std::slice::from_ref(node))
}

/// The statements of a policy.
pub(crate) fn statements(policy: &Node) -> &[Node] {
    policy.get("Statement").map_or(&[], items)
}

/// Looks at a policy in a file of its own: one that says who may assume a role, or what a role may do.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let trust = statements(root).iter().any(|statement| statement.entry("Principal").is_some());
    form(reader, Notation::Strict, root, !trust);
    confused_deputy(reader, root);
    for statement in statements(root) {
        everything(reader, statement);
    }
}

/// Holds a policy to its form. One that is `attached` to a role names resources; that of a resource, or of who may
/// assume a role, names a principal instead.
pub(crate) fn form(reader: &mut Reader<'_>, notation: Notation, policy: &Node, attached: bool) {
    shape::check(reader, notation, policy, Mapping(&POLICY), "a policy");
    for statement in statements(policy).iter().filter(|statement| whole(statement)) {
        for principal in ["Principal", "NotPrincipal"].iter().filter_map(|key| statement.get(key)) {
            if principal.as_text() != Some("*") {
                shape::check(reader, notation, principal, Mapping(&PRINCIPAL), "a principal");
            }
        }
        for action in ["Action", "NotAction"].iter().filter_map(|key| statement.get(key)).flat_map(items) {
            misspelt_action(reader, action);
        }
        let entries = statement.as_mapping().unwrap_or_default();
        let unknown: Vec<&str> =
            entries.iter().map(|entry| entry.key.as_str()).filter(|key| STATEMENT.find(key).is_none()).collect();
        let mut missing = |keys: [&str; 2], help: &str| {
            // One that is misspelt has been reported.
            let misspelt = |key: &&str| reader.near(key, STATEMENT.names()).is_some_and(|near| keys.contains(&near));
            let there = keys.iter().any(|key| statement.entry(key).is_some());
            if !there && !unknown.iter().any(misspelt) {
                let message = format!("a statement has neither `{}` nor `{}`", keys[0], keys[1]);
                reader.report(Finding::new(&codes::MISSING_KEY, statement.head, message).help(help));
            }
        };
        missing(["Action", "NotAction"], "add Action with what the statement is about, such as ec2:StopInstances");
        if attached {
            missing(["Resource", "NotResource"], "add Resource with the ARNs it is about, or \"*\"");
        } else {
            missing(["Principal", "NotPrincipal"], "add Principal with who may, such as Service: fis.amazonaws.com");
        }
    }
}

/// An action that no service has, and that is a slip away from one.
fn misspelt_action(reader: &mut Reader<'_>, node: &Node) {
    let Some((service, name)) = node.as_text().and_then(|text| text.split_once(':')) else { return };
    let service = service.to_lowercase();
    let allowed = NEEDS.iter().flat_map(|(_, needs)| *needs).filter_map(|need| need.split_once(':'));
    let mut of_service = allowed.filter(|(of, _)| *of == service).map(|(_, name)| name);
    if name.contains(['*', '?']) || of_service.clone().any(|known| known.eq_ignore_ascii_case(name)) {
        return;
    }
    let meant = script::meant_by_action(reader, &service, name);
    if let Some(meant) = meant.or_else(|| of_service.find(|known| is_slip(name, known)).map(str::to_owned)) {
        let message = format!("`{service}` has no action `{name}`");
        let finding = Finding::new(&codes::NO_SUCH_PERMISSION, node.span, message);
        reader.report(finding.help(format!("did you mean `{service}:{meant}`?")));
    }
}

/// Whether a statement stands there whole, and no function of CloudFormation in its place.
fn whole(statement: &Node) -> bool {
    let entries = statement.as_mapping().unwrap_or_default();
    statement.tag.is_none() && !entries.is_empty() && !entries.iter().any(|entry| entry.key.starts_with("Fn::"))
}

/// The statement that lets the service assume the role, if a policy has one.
pub(crate) fn assumed_by_the_service(policy: &Node) -> Option<&Node> {
    statements(policy).iter().find(|statement| {
        let services = statement.get("Principal").and_then(|principal| principal.get("Service"));
        services.is_some_and(|services| items(services).iter().any(|service| service.as_text() == Some(SERVICE)))
    })
}

/// A service that may assume a role for everybody.
pub(crate) fn confused_deputy(reader: &mut Reader<'_>, policy: &Node) {
    let Some(statement) = assumed_by_the_service(policy) else { return };
    let bound = |entry: &Entry| {
        let keys = entry.value.as_mapping().unwrap_or_default();
        keys.iter().any(|key| {
            ["aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID"].iter().any(|of| key.key.eq_ignore_ascii_case(of))
        })
    };
    let conditions = statement.get("Condition").and_then(Node::as_mapping).unwrap_or_default();
    if conditions.iter().any(bound) || statement.get("Condition").is_some_and(|node| node.tag.is_some()) {
        return;
    }
    let place = statement.entry("Principal").map_or(statement.head, |entry| entry.key_span);
    let message = "the service may assume this role for an experiment of any account";
    reader.report(Finding::new(&codes::CONFUSED_DEPUTY, place, message).help(
        "add Condition: { StringEquals: { aws:SourceAccount: YOUR-ACCOUNT } }, and aws:SourceArn for experiments",
    ));
}

/// A statement that allows everything everywhere.
pub(crate) fn everything(reader: &mut Reader<'_>, statement: &Node) {
    let star = |key: &str| {
        statement.get(key).and_then(|node| items(node).iter().find(|item| matches!(item.as_text(), Some("*" | "*:*"))))
    };
    let allows = statement.get("Effect").and_then(Node::as_text) == Some("Allow");
    if let (true, Some(action), Some(_), None) = (allows, star("Action"), star("Resource"), statement.get("Condition"))
    {
        let message = "this allows every action on every resource: what goes wrong is bounded by nothing";
        reader.report(
            Finding::new(&codes::ALLOWS_EVERYTHING, action.span, message)
                .help("name the actions that are needed, and the resources by ARN or by a condition on their tags"),
        );
    }
}

/// Whether a pattern with `*` and `?` covers an action; letter case does not count.
pub(crate) fn covers(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    matches(pattern.as_bytes(), action.as_bytes())
}

/// The last `*` stands for as little as possible, and for a character more each time that what follows does not fit: those before
/// it need never be tried anew, so that a pattern of many takes as many steps as it is long times the text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut rest) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(rest) {
            Some(b'*') => {
                star = Some((rest, at));
                rest += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == text[at] => (at, rest) = (at + 1, rest + 1),
            _ => {
                let Some((of, from)) = star else { return false };
                star = Some((of, from + 1));
                (at, rest) = (from + 1, of + 1);
            }
        }
    }
    pattern[rest..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_iam_says_they_do() {
        for (pattern, action) in [
            ("*", "ec2:StopInstances"),
            ("ec2:*", "ec2:StopInstances"),
            ("EC2:stop*", "ec2:StopInstances"),
            ("ec2:*Instances", "ec2:StopInstances"),
            ("ec2:S?opInstances", "ec2:StopInstances"),
        ] {
            assert!(covers(pattern, action), "{pattern}");
        }
        assert!(!covers("ec2:Describe*", "ec2:StopInstances") && !covers("ec2:Stop", "ec2:StopInstances"));
        for (pattern, action) in [("*s*s*", "iss"), ("a*b?c", "abbbxc"), ("**", ""), ("a**", "a"), ("*ab", "aab")] {
            assert!(covers(pattern, action), "{pattern}");
        }
        for (pattern, action) in [("?", ""), ("a?", "a"), ("*a?", "a"), ("a*b", "acbd"), ("", "a")] {
            assert!(!covers(pattern, action), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_tried_once() {
        assert!(!covers(&("*e".repeat(100_000) + "x"), "ec2:StopInstances"));
        assert!(!covers(&("*".repeat(100_000) + "x"), "ec2:StopInstances"));
        assert!(covers(&"*".repeat(100_000), "ec2:StopInstances"));
    }

    #[test]
    fn misspelt_actions_are_found_and_permissions_without_an_operation_are_not() {
        let text = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
            "ec2:StopInstance", "ec2:stopinstances", "ec2:SendSpotInstanceInterruption", "ec2:SendSpotInstanceInterruptions",
            "rds:RebootDBInstances", "rds:FailoverDBCluster", "ssm:SendComand", "lambda:InvokeFunction", "iam:PassRole",
            "elasticloadbalancing:DescribeTargetHealt", "states:StartExecution", "s3:GetObjectVersion", "logs:CreateLogDelivery",
            "ec2:InjectApiError", "dynamodb:CreateTableReplica", "autoscaling:Describe*", "ecs:Poll", "sts:AssumeRole"]}]}"#;
        let source = crate::source::Source::new("p.json", text);
        let root = crate::json::parse(text, &mut Vec::new()).unwrap();
        let mut reader = Reader::new(&source, &[]);
        check(&mut reader, &root);
        let found: Vec<_> =
            reader.findings.iter().map(|finding| (source.slice(finding.span), finding.help.as_deref())).collect();
        assert_eq!(
            found,
            [
                ("\"ec2:StopInstance\"", Some("did you mean `ec2:StopInstances`?")),
                ("\"ec2:SendSpotInstanceInterruption\"", Some("did you mean `ec2:SendSpotInstanceInterruptions`?")),
                ("\"rds:RebootDBInstances\"", Some("did you mean `rds:RebootDBInstance`?")),
                ("\"ssm:SendComand\"", Some("did you mean `ssm:SendCommand`?")),
                (
                    "\"elasticloadbalancing:DescribeTargetHealt\"",
                    Some("did you mean `elasticloadbalancing:DescribeTargetHealth`?")
                ),
            ]
        );
    }

    #[test]
    fn every_managed_policy_allows_what_it_is_attached_for() {
        for (name, allowed) in MANAGED {
            let used = NEEDS.iter().any(|(_, needs)| needs.iter().all(|need| allowed.contains(need)));
            assert!(used || allowed.is_empty(), "{name}");
        }
    }
}
