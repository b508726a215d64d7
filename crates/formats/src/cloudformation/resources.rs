//! Resources of other types than experiments: what in them breaks resilience.
//!
//! Properties are looked at as they are written. What a function computes is not known and says nothing; what it refers
//! to is.

mod form;
mod iam;
mod needs;
mod zones;

use std::collections::HashSet;

use super::{
    evaluate::call,
    stack::{Given, Stack, type_of},
    types,
};
use crate::{
    backup, balancer, codes, dashboard,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node, Value},
    route53::{self, Check, Placed, Record},
    shape::{self, Notation, Shape},
    ssm, within,
};

/// A resource with its properties.
struct Resource<'n> {
    entry: &'n Entry,
    properties: &'n Node,
    kind: &'n str,
}

/// Looks at all resources of a template.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, stack: &Stack<'_>) {
    let written = stack.section("Resources").iter();
    let parts: Vec<(&Entry, Node)> =
        written.filter_map(|entry| Some((entry, figures(stack, entry.value.get("Properties")?)))).collect();
    let resources: Vec<Resource<'_>> = parts
        .iter()
        .filter_map(|(entry, properties)| Some(Resource { entry, properties, kind: type_of(&entry.value)? }))
        .collect();
    // Sentences here name properties as they are.
    let pascal_case = std::mem::replace(&mut reader.pascal_case, false);
    form::check(reader, root, stack);
    for resource in &resources {
        placeholders(reader, resource.properties);
        by_type(reader, resource);
        needs::check(reader, resource);
    }
    names(reader, &resources);
    network(reader, &resources);
    vaults(reader, &resources);
    zones::check(reader, &resources);
    iam::check(reader, stack, &resources);
    reader.pascal_case = pascal_case;
}

/// The same properties, with the figures and switches that parameters have by default in the parameters' places: they
/// are what the stack is made with unless somebody says otherwise. Texts stay references, by which things are told apart.
fn figures(stack: &Stack<'_>, node: &Node) -> Node {
    if let Some((function, argument)) = call(node) {
        let given = argument.as_text().filter(|_| function == "Ref").and_then(|name| stack.parameter(name));
        if let Some(Given::Text(text)) = given
            && (text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false"))
        {
            return Node { head: node.head, ..Node::text(text.clone(), node.span) };
        }
        return node.clone();
    }
    let value = match &node.value {
        Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
        Value::Sequence(items) => Value::Sequence(items.iter().map(|item| figures(stack, item)).collect()),
        Value::Mapping(entries) => Value::Mapping(
            entries.iter().map(|entry| Entry { value: figures(stack, &entry.value), ..entry.clone() }).collect(),
        ),
    };
    Node { value, span: node.span, head: node.head, tag: None }
}

/// The rules of a type.
fn by_type(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let part = |key: &str| resource.properties.get(key);
    match resource.kind {
        "AWS::RDS::DBInstance" => database(reader, resource),
        "AWS::CloudWatch::Alarm" => alarm(reader, resource),
        "AWS::SSMIncidents::ResponsePlan" => ssm::response_plan(reader, resource.properties),
        "AWS::SSM::Document" => {
            let automation = part("DocumentType").and_then(literal) == Some("Automation");
            let steps =
                |content: &&Node| content.entry("mainSteps").is_some() || automation && content.as_mapping().is_some();
            if let Some(content) = part("Content").filter(steps).filter(|content| call(content).is_none()) {
                ssm::automation(reader, content);
            }
        }
        "AWS::ElasticLoadBalancingV2::TargetGroup" => balancer::group(reader, resource.properties),
        "AWS::CloudWatch::Dashboard" => {
            if let Some((node, text)) = part("DashboardBody").and_then(|node| Some((node, body(node)?))) {
                within::check(reader, node, &text, dashboard::check);
            }
        }
        "AWS::Backup::BackupPlan" => {
            if let Some(plan) = part("BackupPlan") {
                backup::plan(reader, plan);
            }
        }
        "AWS::Backup::BackupSelection" => {
            if let Some(selection) = part("BackupSelection") {
                backup::selection(reader, selection);
            }
        }
        _ => {}
    }
}

/// The text of a dashboard, in which variables that `Sub` replaces stand where a text does.
fn body(node: &Node) -> Option<String> {
    match call(node) {
        None => literal(node).map(ToOwned::to_owned),
        Some((function, argument)) if function == "Sub" => {
            let text = argument.as_sequence().and_then(<[Node]>::first).unwrap_or(&argument).as_text()?;
            // A number may be meant where a variable stands without quotes.
            (!text.replace("\\\"", "").split('"').step_by(2).any(|outside| outside.contains("${")))
                .then(|| text.to_owned())
        }
        Some(_) => None,
    }
}

/// A text that stands there as it is.
fn literal(node: &Node) -> Option<&str> {
    node.as_text().filter(|_| node.tag.is_none())
}

/// The logical id that a `Ref` or a `GetAtt` names.
fn reference(node: &Node) -> Option<String> {
    let (function, argument) = call(node)?;
    if !matches!(function.as_str(), "Ref" | "GetAtt") {
        return None;
    }
    let first = argument.as_sequence().and_then(<[Node]>::first).unwrap_or(&argument);
    first.as_text().and_then(|text| text.split('.').next()).map(ToOwned::to_owned)
}

/// A text, or the expression that gives it: two that are written alike are equal, whatever they are.
fn expression(node: &Node) -> Option<String> {
    if let Some(text) = literal(node).filter(|_| call(node).is_none()) {
        return Some(text.to_owned());
    }
    let (function, argument) = call(node)?;
    match function.as_str() {
        "Ref" => argument.as_text().map(|name| format!("${{{name}}}")),
        "Sub" => argument.as_text().map(ToOwned::to_owned),
        "Join" => {
            let [delimiter, items] = argument.as_sequence()? else { return None };
            let items: Option<Vec<String>> = items.as_sequence()?.iter().map(expression).collect();
            Some(items?.join(delimiter.as_text()?))
        }
        _ => None,
    }
}

/// A name that is asked or defined: a text, an expression, or an attribute of a resource.
fn name(node: Option<&Node>) -> Option<Placed> {
    let node = node?;
    let text = expression(node).or_else(|| reference(node))?;
    Some(Placed { text, span: node.span })
}

/// A text or what is referred to.
fn placed(node: Option<&Node>) -> Option<Placed> {
    let node = node?;
    let text = reference(node).or_else(|| literal(node).map(ToOwned::to_owned))?;
    Some(Placed { text, span: node.span })
}

/// `...` where a value should stand.
fn placeholders(reader: &mut Reader<'_>, node: &Node) {
    match &node.value {
        Value::Mapping(entries) => entries.iter().for_each(|entry| placeholders(reader, &entry.value)),
        Value::Sequence(items) => items.iter().for_each(|item| placeholders(reader, item)),
        Value::Scalar(scalar) if matches!(scalar.text.as_str(), "..." | "…" | "TODO" | "CHANGEME") => {
            reader.report(
                Finding::new(&codes::PLACEHOLDER, node.span, format!("`{}` is a placeholder", scalar.text))
                    .help("write the value"),
            );
        }
        Value::Scalar(_) => {}
    }
}

fn database(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let properties = resource.properties;
    let has = |key: &str| properties.entry(key).is_some();
    let credentials = ["MasterUserPassword", "ManageMasterUserPassword"];
    if !needs::MADE_FROM.iter().chain(&credentials).any(|key| has(key)) {
        let message = format!("`{}` is a new database without a master password", resource.entry.key);
        reader.report(
            Finding::new(&codes::NO_CREDENTIALS, resource.entry.key_span, message)
                .help("add MasterUsername and ManageMasterUserPassword: true"),
        );
    }
    // A member of a cluster leaves its backups to the cluster, a replica to its source.
    let none = properties.get("BackupRetentionPeriod").filter(|days| literal(days) == Some("0"));
    if let Some(days) = none.filter(|_| !has("DBClusterIdentifier") && !has("SourceDBInstanceIdentifier")) {
        let message = format!("no backups are kept of `{}`: it cannot be brought back to any time", resource.entry.key);
        reader.report(
            Finding::new(&codes::NO_BACKUPS, days.span, message)
                .help("keep them for as many days as a mistake may take to be noticed, 35 at most"),
        );
    }
    let source = properties.get("SourceDBInstanceIdentifier");
    if let (Some(source), true) = (source, has("SourceRegion"))
        && let Some(id) = reference(source)
    {
        let message = format!(
            "`{id}` is in this stack, and so in its region; a replica of another region names its source by ARN"
        );
        reader.report(
            Finding::new(&codes::REPLICA_IN_SAME_REGION, source.span, message)
                .help("put the replica into a stack of the other region, with the source's ARN as a parameter"),
        );
    }
}

/// Metrics whose silence is a failure: what reports them is what may fail.
const SILENT_IS_BAD: &[&str] =
    &["HealthCheckStatus", "HealthCheckPercentageHealthy", "HealthyHostCount", "StatusCheckFailed"];

fn alarm(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let properties = resource.properties;
    let text = |key: &str| properties.get(key).and_then(literal);
    let metric = text("MetricName").unwrap_or_default();
    if SILENT_IS_BAD.contains(&metric) && properties.entry("TreatMissingData").is_none() {
        let message = format!("nothing says what it means when {metric} is missing");
        let mut finding = Finding::new(&codes::MISSING_DATA_UNSET, resource.entry.key_span, message)
            .help("add TreatMissingData: breaching");
        if text("Namespace") == Some("AWS/Route53") {
            finding = finding.note("metrics of Route 53 exist in us-east-1 only, and this alarm adds its periods to the time in which the check has found the failure");
        }
        reader.report(finding);
    }
    let Some(threshold) = properties.get("Threshold") else { return };
    let Some(number) = literal(threshold).and_then(|text| text.parse::<f64>().ok()) else { return };
    // A load balancer gives up on a target after at most 4,000 s; nobody alarms above one minute.
    if metric == "TargetResponseTime" && number >= 60.0 {
        let message =
            format!("TargetResponseTime is in seconds: this alarm waits for answers that take {number} of them");
        reader.report(
            Finding::new(&codes::METRIC_UNIT, threshold.span, message)
                .help(format!("if milliseconds are meant, write {}", number / 1_000.0)),
        );
    }
    if metric == "ConnectionTime" && text("Namespace") == Some("AWS/Route53") && number > 4_000.0 {
        let message = "a check that has not connected after 4 s has failed: ConnectionTime never gets that far";
        reader.report(
            Finding::new(&codes::IMPOSSIBLE_THRESHOLD, threshold.span, message)
                .help("choose a threshold well below 4000 ms"),
        );
    }
}

/// Looks at an alarm in a file of its own: the call that makes one takes what a resource takes.
pub(crate) fn alarm_input(reader: &mut Reader<'_>, root: &Node) {
    const KIND: &str = "AWS::CloudWatch::Alarm";
    if let Some(known) = types::find(KIND) {
        shape::check(reader, Notation::Strict, root, Shape::Keys(known.properties), "an alarm");
    }
    let name = root.get("AlarmName").and_then(Node::as_text).unwrap_or("the alarm");
    rules_of(reader, root, KIND, name);
}

/// The rules of a type for the same thing in another format.
pub(crate) fn rules_of(reader: &mut Reader<'_>, properties: &Node, kind: &str, name: &str) {
    let entry = Entry { key: name.to_owned(), key_span: properties.head, value: properties.clone() };
    let resource = Resource { entry: &entry, properties, kind };
    by_type(reader, &resource);
    needs::check(reader, &resource);
}

/// Records and health checks.
fn names(reader: &mut Reader<'_>, resources: &[Resource<'_>]) {
    let mut records = Vec::new();
    let mut checks = Vec::new();
    for resource in resources {
        match resource.kind {
            "AWS::Route53::RecordSet" => {
                let conditional = resource.entry.value.entry("Condition").is_some();
                records.push(Record { conditional, ..record(resource.properties) });
            }
            "AWS::Route53::RecordSetGroup" => {
                let sets = resource.properties.get("RecordSets").and_then(Node::as_sequence).unwrap_or_default();
                // A set that a condition chooses is not known here.
                records.extend(sets.iter().filter(|set| call(set).is_none()).map(record));
            }
            "AWS::Route53::HealthCheck" => {
                let config = resource.properties.get("HealthCheckConfig");
                checks.push(Check {
                    id: resource.entry.key.clone(),
                    asks: name(config.and_then(|config| config.get("FullyQualifiedDomainName"))),
                });
            }
            _ => {}
        }
    }
    route53::rules(reader, &records, &checks);
}

fn record(properties: &Node) -> Record {
    let alias = properties.get("AliasTarget");
    let evaluates = alias.map(|alias| match alias.get("EvaluateTargetHealth") {
        None => Some(false),
        Some(node) => literal(node).map(|text| text == "true"),
    });
    let values = properties.get("ResourceRecords").and_then(Node::as_sequence).unwrap_or_default();
    let written = |node: &Node| literal(node).map(|text| Placed { text: text.to_owned(), span: node.span });
    Record {
        place: properties.head,
        name: properties.get("Name").and_then(expression).map(|name| route53::canonical(&name)),
        kind: properties.get("Type").and_then(written),
        failover: placed(properties.get("Failover")),
        routing: Record::routing(properties),
        identifier: properties.entry("SetIdentifier").map(|entry| entry.key_span),
        conditional: false,
        // A check that is computed is one all the same.
        check: properties
            .get("HealthCheckId")
            .map(|node| placed(Some(node)).unwrap_or_else(|| Placed { text: String::new(), span: node.span })),
        alias: alias.is_some(),
        evaluates_target: evaluates.flatten(),
        ttl: properties.entry("TTL").map(|entry| entry.key_span),
        seconds: properties.get("TTL").and_then(written),
        has_values: properties.entry("ResourceRecords").is_some(),
        values: values.iter().filter_map(written).collect(),
    }
}

/// Subnets that are called public in a network without a way out.
fn network(reader: &mut Reader<'_>, resources: &[Resource<'_>]) {
    let has = |kind: &str| resources.iter().any(|resource| resource.kind == kind);
    if has("AWS::EC2::InternetGateway")
        || has("AWS::EC2::VPCGatewayAttachment")
        || has("AWS::EC2::TransitGatewayAttachment")
    {
        return;
    }
    let networks: HashSet<&str> = resources
        .iter()
        .filter(|resource| resource.kind == "AWS::EC2::VPC")
        .map(|resource| resource.entry.key.as_str())
        .collect();
    let own_vpc = |resource: &&Resource<'_>| {
        let vpc = resource.properties.get("VpcId").and_then(reference);
        let mapped = resource.properties.get("MapPublicIpOnLaunch").and_then(literal) == Some("true");
        mapped && vpc.is_some_and(|id| networks.contains(id.as_str()))
    };
    if let Some(subnet) = resources.iter().filter(|resource| resource.kind == "AWS::EC2::Subnet").find(own_vpc)
        && let Some(entry) = subnet.properties.entry("MapPublicIpOnLaunch")
    {
        let message = format!(
            "`{}` gives out public addresses, but its network has no internet gateway and no route to one",
            subnet.entry.key
        );
        reader.report(Finding::new(&codes::NO_ROUTE, entry.key_span, message).help("add an internet gateway, its attachment, a route table with 0.0.0.0/0, and NAT gateways for the private subnets"));
    }
}

/// The region that a text names: `us-west-2` of `DR-us-west-2`.
fn region(text: &str) -> Option<&str> {
    /// Beginnings of the names of regions.
    const AREAS: &[&str] = &["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"];
    let start = AREAS.iter().find_map(|area| {
        let at = text.find(area)?;
        (at == 0 || !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())).then_some(at)
    })?;
    let rest = &text[start..];
    let end = rest.find(|c: char| c.is_ascii_digit())? + 1;
    let name = &rest[..end];
    (name.matches('-').count() >= 2 && !rest[end..].starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(name)
}

/// Vaults of two regions in one stack.
fn vaults(reader: &mut Reader<'_>, resources: &[Resource<'_>]) {
    let named: Vec<(&Node, &str)> = resources
        .iter()
        .filter(|resource| resource.kind == "AWS::Backup::BackupVault")
        .filter_map(|resource| {
            let node = resource.properties.get("BackupVaultName")?;
            Some((node, region(literal(node)?)?))
        })
        .collect();
    let Some((_, first)) = named.first() else { return };
    for (node, other) in named.iter().filter(|(_, other)| other != first) {
        let message = format!(
            "a vault for {other} stands in the stack that makes the one for {first}; a stack makes all it has in one region"
        );
        reader.report(
            Finding::new(&codes::OTHER_REGION, node.span, message)
                .help(format!("make it in a stack of {other}; the copy's destination is its ARN")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::region;

    #[test]
    fn regions_are_found_in_names() {
        assert_eq!(region("DR-us-west-2"), Some("us-west-2"));
        assert_eq!(region("ap-northeast-1-vault"), Some("ap-northeast-1"));
        assert_eq!(region("status-report-2"), None);
        assert_eq!(region("vault"), None);
    }
}
