//! What a resource needs because of what it is otherwise: a schema says which properties there are, and these rules
//! which of them must come together.

use super::{Resource, literal};
use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// Looks at a resource of a type that has such rules.
pub(super) fn check(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    // Properties that a macro or a loop brings are not seen here.
    let entries = resource.properties.as_mapping().unwrap_or_default();
    if resource.properties.tag.is_some() || entries.iter().any(|entry| entry.key.starts_with("Fn::")) {
        return;
    }
    match resource.kind {
        "AWS::CloudWatch::Alarm" => alarm(reader, resource),
        "AWS::Lambda::Function" => function(reader, resource),
        "AWS::RDS::DBInstance" => database(reader, resource),
        "AWS::Route53::HealthCheck" => health_check(reader, resource),
        "AWS::Route53::RecordSet" => zone(reader, resource),
        "AWS::ElasticLoadBalancingV2::TargetGroup" => targets(reader, resource),
        _ => {}
    }
}

fn has(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(|value| !value.is_null())
}

/// Reports a resource of which none of these properties is there.
fn one_of(reader: &mut Reader<'_>, resource: &Resource<'_>, node: &Node, keys: &[&str], why: &str) {
    if keys.iter().any(|key| has(node, key)) {
        return;
    }
    let message = format!("`{}` has no {}, which {why}", resource.entry.key, keys.join(" and no "));
    let finding = Finding::new(&codes::MISSING_PROPERTY, resource.entry.key_span, message);
    reader.report(finding.help(format!("add {}", keys.join(", or "))));
}

/// One metric with its period and statistic, several with mathematics, or a query.
fn alarm(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let properties = resource.properties;
    if ["Metrics", "EvaluationCriteria"].iter().any(|key| has(properties, key)) {
        return;
    }
    let why = "an alarm needs unless it has Metrics";
    for keys in [
        &["MetricName"][..],
        &["Namespace"],
        &["Period"],
        &["Statistic", "ExtendedStatistic"],
        &["Threshold"],
        &["EvaluationPeriods"],
    ] {
        one_of(reader, resource, properties, keys, why);
    }
}

/// Code that is not an image runs on something, and begins somewhere.
fn function(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let properties = resource.properties;
    let image = has(properties, "PackageType")
        || properties.get("Code").is_none_or(|code| has(code, "ImageUri") || code.as_mapping().is_none());
    if !image {
        one_of(reader, resource, properties, &["Runtime"], "a function needs unless it is an image");
        one_of(reader, resource, properties, &["Handler"], "a function needs unless it is an image");
    }
}

/// Where a database comes from that is not made anew.
pub(super) const MADE_FROM: &[&str] = &[
    "SourceDBInstanceIdentifier",
    "SourceDBClusterIdentifier",
    "SourceDbiResourceId",
    "SourceDBInstanceAutomatedBackupsArn",
    "DBSnapshotIdentifier",
    "DBClusterIdentifier",
    "DBClusterSnapshotIdentifier",
    "RestoreTime",
];

fn database(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    if !MADE_FROM.iter().any(|key| has(resource.properties, key)) {
        one_of(reader, resource, resource.properties, &["Engine"], "a new database needs");
        one_of(reader, resource, resource.properties, &["DBInstanceClass"], "a new database needs");
    }
}

/// What the types of health checks need.
const OF_CHECKS: &[(&[&str], &[&[&str]])] = &[
    (&["HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP"], &[&["FullyQualifiedDomainName", "IPAddress"]]),
    (&["HTTP_STR_MATCH", "HTTPS_STR_MATCH"], &[&["SearchString"]]),
    (&["TCP"], &[&["Port"]]),
    (&["CALCULATED"], &[&["ChildHealthChecks"], &["HealthThreshold"]]),
    (&["CLOUDWATCH_METRIC"], &[&["AlarmIdentifier"]]),
    (&["RECOVERY_CONTROL"], &[&["RoutingControlArn"]]),
];

fn health_check(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let Some(config) = resource.properties.get("HealthCheckConfig").filter(|config| config.as_mapping().is_some())
    else {
        return;
    };
    let Some(kind) = config.get("Type").and_then(literal) else { return };
    for (_, needs) in OF_CHECKS.iter().filter(|(kinds, _)| kinds.contains(&kind)) {
        for keys in *needs {
            one_of(reader, resource, config, keys, &format!("a check of type {kind} needs"));
        }
    }
    if let Some(entry) = config.entry("SearchString").filter(|_| matches!(kind, "HTTP" | "HTTPS" | "TCP")) {
        let message = format!("a check of type {kind} does not look for a text in the answer");
        let finding = Finding::new(&codes::CONTENT_NOT_CHECKED, entry.key_span, message);
        reader.report(finding.help("make the type HTTP_STR_MATCH or HTTPS_STR_MATCH, or remove SearchString"));
    }
    if let Some(node) = config.get("RequestInterval")
        && let Some(text) =
            literal(node).filter(|text| text.parse::<u32>().is_ok_and(|seconds| (11..30).contains(&seconds)))
    {
        let message = format!("a check is made every 10 or every 30 seconds, and not every {text}");
        reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help("write 10 or 30"));
    }
}

fn zone(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    one_of(reader, resource, resource.properties, &["HostedZoneId", "HostedZoneName"], "a record needs");
}

/// Targets that are no functions have an address.
fn targets(reader: &mut Reader<'_>, resource: &Resource<'_>) {
    let kind = resource.properties.get("TargetType").map_or(Some("instance"), literal);
    if kind.is_some_and(|kind| kind != "lambda") {
        for key in ["Protocol", "Port", "VpcId"] {
            one_of(
                reader,
                resource,
                resource.properties,
                &[key],
                "a target group needs unless its targets are functions",
            );
        }
    }
}
