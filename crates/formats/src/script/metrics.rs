//! Metrics and alarms that scripts ask for: whether there can be data, and whether they mean what is said.

use super::aws::Call;
use crate::{codes, decode::Reader, finding::Finding, source::Source};

/// Looks at a call of CloudWatch.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, call: &Call<'_>) {
    if call.service.text != "cloudwatch" {
        return;
    }
    match call.operation.text.as_str() {
        "get-metric-statistics" => {
            dimensions(reader, call);
            availability(reader, source, call);
        }
        "put-metric-alarm" => {
            if call.values("metrics").is_none() {
                dimensions(reader, call);
                share(reader, call);
            }
            silent(reader, call);
        }
        _ => {}
    }
}

/// Namespaces of AWS whose every metric has dimensions, and the one that says of what.
const DIMENSIONED: &[(&str, &str)] = &[
    ("AWS/ApplicationELB", "LoadBalancer"),
    ("AWS/NetworkELB", "LoadBalancer"),
    ("AWS/AutoScaling", "AutoScalingGroupName"),
    ("AWS/Usage", "Service"),
    ("AWS/Route53", "HealthCheckId"),
    ("AWS/ECS", "ClusterName"),
    ("AWS/SQS", "QueueName"),
    ("AWS/S3", "BucketName"),
    ("AWS/ElastiCache", "CacheClusterId"),
];

fn dimensions(reader: &mut Reader<'_>, call: &Call<'_>) {
    let namespace = call.text("namespace");
    let Some((_, dimension)) = DIMENSIONED.iter().find(|(name, _)| *name == namespace) else { return };
    let Some(values) = call.values("dimensions") else {
        let message = format!("metrics of {namespace} have dimensions; without any there is no data");
        let span = call.value("metric-name").map_or_else(|| call.head(), |word| word.span);
        let help = format!("add --dimensions Name={dimension},Value=…");
        reader.report(Finding::new(&codes::NO_DIMENSIONS, span, message).help(help));
        return;
    };
    // Metrics of use have exactly four dimensions; a metric is found by all of its dimensions or not at all.
    if namespace == "AWS/Usage"
        && let Some(first) = values.first()
    {
        let has = |name: &str| values.iter().any(|word| word.text.contains(&format!("Name={name},")));
        let missing: Vec<&str> =
            ["Type", "Resource", "Service", "Class"].into_iter().filter(|name| !has(name)).collect();
        if !missing.is_empty() {
            let message = format!(
                "metrics of AWS/Usage have the dimensions Type, Resource, Service and Class; without {} there is no data",
                missing.join(", ")
            );
            let help = "for vCPUs: Name=Service,Value=EC2 Name=Resource,Value=vCPU Name=Type,Value=Resource Name=Class,Value=Standard/OnDemand";
            reader.report(Finding::new(&codes::NO_DIMENSIONS, first.span, message).help(help));
        }
    }
}

/// A share of a quota that is compared with a count.
fn share(reader: &mut Reader<'_>, call: &Call<'_>) {
    let said = format!("{} {}", call.text("alarm-name"), call.text("alarm-description")).to_lowercase();
    let is_share = said.contains('%') || said.contains("percent");
    let metric = call.text("metric-name");
    let counted = metric.ends_with("Count") || metric.ends_with("_Count") || metric == "CallCount";
    if let (true, true, Some(threshold)) = (is_share, counted, call.value("threshold")) {
        let message =
            format!("{metric} is a count: the alarm fires at {} of them, whatever share that is", threshold.text);
        let help = "compute the share with --metrics: m1 / SERVICE_QUOTA(m1) * 100 for a quota, errors / requests * 100 for a rate";
        reader.report(Finding::new(&codes::COUNT_AS_RATE, threshold.span, message).help(help));
    }
}

/// An alarm that tells nobody.
fn silent(reader: &mut Reader<'_>, call: &Call<'_>) {
    if call.values("alarm-actions").is_none() && call.values("cli-input-json").is_none() {
        let message = "the alarm has no action: it changes its colour and tells nobody";
        reader.report(
            Finding::new(&codes::SILENT_ALARM, call.head(), message)
                .help("add --alarm-actions with a topic that people get"),
        );
    }
}

/// Bytes above a call in which people say what it is for.
const ABOVE: usize = 500;

/// Availability that is computed from how long answers take.
fn availability(reader: &mut Reader<'_>, source: &Source, call: &Call<'_>) {
    let metric = call.text("metric-name");
    let slow = metric.contains("ResponseTime") || metric.contains("Latency") || metric == "Duration";
    let text = source.text();
    let start = call.command.span.start;
    // What people write above it: the comment, and what is echoed in the two lines before.
    let near = source.boundary(start.saturating_sub(ABOVE));
    let before = text[near..start].lines().rev().take(4).collect::<Vec<_>>().join("\n").to_lowercase();
    if slow && let Some(word) = call.value("metric-name").filter(|_| before.contains("availability")) {
        let message = format!(
            "{metric} says how long answers take, not how many there are: a system that is down has no response time"
        );
        reader.report(
            Finding::new(&codes::NOT_AVAILABILITY, word.span, message)
                .help("availability is good requests by all requests, or healthy time by all time"),
        );
    }
}
