//! `AWS::CloudWatch::Alarm` to alarms on what is measured here.

use std::collections::BTreeMap;

use model::{
    Period,
    alarm::{Alarm, CloudWatchMetric, Statistic, TreatMissingData},
    metric::Metric,
};

use super::evaluate::Evaluator;
use crate::{
    codes,
    decode::Reader,
    document::alarm::{COMPARISONS, MISSING_DATA},
    finding::{Finding, Severity},
    node::{Entry, Node},
};

/// The type of an alarm resource.
pub(super) const TYPE: &str = "AWS::CloudWatch::Alarm";

/// The alarms of the template by name. One that watches something that is not measured here is reported and left out:
/// a stop condition that names it must find an alarm of that name in the lab instead of never firing.
pub(super) fn alarms(reader: &mut Reader<'_>, evaluator: &mut Evaluator<'_, '_>) -> BTreeMap<String, Alarm> {
    let entries: Vec<&Entry> = evaluator.stack.of_type(TYPE).collect();
    let mut alarms = BTreeMap::new();
    for entry in entries {
        if !evaluator.exists(reader, &entry.value) {
            continue;
        }
        let Some(properties) = entry.value.get("Properties") else { continue };
        let Some(mut properties) = evaluator.evaluate(reader, properties) else { continue };
        properties.head = entry.key_span;
        let name = evaluator.alarm_name(reader, &entry.key);
        if let Some(alarm) = alarm(reader, &properties, &name) {
            alarms.insert(name, alarm);
        }
    }
    alarms
}

const KEYS: &[&str] = &[
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Tags",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
];

fn alarm(reader: &mut Reader<'_>, node: &Node, name: &str) -> Option<Alarm> {
    let fields = reader.fields(node, "an alarm", KEYS)?;
    if let Some(metrics) = fields.get("Metrics") {
        unmeasured(reader, metrics, name, "metric mathematics is not evaluated here");
        return None;
    }
    let evaluation_periods = fields
        .required("EvaluationPeriods", reader)
        .and_then(|node| reader.whole(node, "EvaluationPeriods", 1..=86_400));
    let datapoints = fields.get("DatapointsToAlarm").map(|node| reader.whole(node, "DatapointsToAlarm", 1..=86_400));
    let period = fields.required("Period", reader).and_then(|node| reader.whole(node, "Period", 1..=86_400));
    let threshold = fields.required("Threshold", reader).and_then(|node| reader.number(node, "Threshold"));
    let comparison = fields
        .required("ComparisonOperator", reader)
        .and_then(|node| reader.one_of(node, "ComparisonOperator", COMPARISONS));
    let missing = fields
        .get("TreatMissingData")
        .map_or(Some(TreatMissingData::Missing), |node| reader.one_of(node, "TreatMissingData", MISSING_DATA));
    let statistic: Option<Statistic> = match (fields.get("Statistic"), fields.get("ExtendedStatistic")) {
        (None, Some(node)) if node.as_text().is_some_and(extended) => {
            let message = format!("the statistic {} is not computed here", node.as_text().unwrap_or_default());
            unmeasured(reader, node, name, &message);
            return None;
        }
        (Some(node), None) | (None, Some(node)) => reader.parsed(node, "the statistic"),
        _ => {
            let message = "an alarm has either `Statistic` or `ExtendedStatistic`";
            reader.report(
                Finding::new(&codes::MISSING_KEY, node.head, message).help("add Statistic: Sum, or what is meant"),
            );
            None
        }
    };
    let metric_node = fields.required("MetricName", reader);
    let namespace = fields.required("Namespace", reader).and_then(|node| reader.text(node, "Namespace"));
    let metric_name = metric_node.and_then(|node| reader.text(node, "MetricName"));
    let dimensions = fields.get("Dimensions").map_or_else(Vec::new, |node| dimensions(reader, node));
    let (statistic, cloudwatch) =
        (statistic?, CloudWatchMetric { namespace: namespace?, metric_name: metric_name?, dimensions });
    let metric = measured(reader, metric_node?, name, &cloudwatch, statistic)?;
    let evaluation_periods = evaluation_periods?;
    Some(Alarm {
        metric,
        statistic,
        period: Period::from_secs(period?),
        evaluation_periods,
        datapoints_to_alarm: datapoints.unwrap_or(Some(evaluation_periods))?,
        threshold: threshold?,
        comparison: comparison?,
        treat_missing_data: missing?,
        cloudwatch: Some(cloudwatch),
    })
}

/// Whether this is one of CloudWatch's statistics that are more than a percentile: trimmed means, winsorised means,
/// counts, sums and ranks between bounds.
fn extended(statistic: &str) -> bool {
    let statistic = statistic.to_ascii_uppercase();
    statistic == "IQM" || ["TM", "WM", "TC", "TS", "PR"].iter().any(|kind| statistic.starts_with(kind))
}

fn dimensions(reader: &mut Reader<'_>, node: &Node) -> Vec<(String, String)> {
    let items = reader.items(node, "Dimensions").unwrap_or_default();
    let dimension = |item: &Node| {
        let fields = reader.fields(item, "a dimension", &["Name", "Value"])?;
        let name = fields.required("Name", reader)?;
        let value = fields.required("Value", reader)?;
        Some((reader.text(name, "Name")?, reader.text(value, "Value")?))
    };
    items.iter().filter_map(dimension).collect()
}

/// CloudWatch's metric as ours.
fn measured(
    reader: &mut Reader<'_>,
    node: &Node,
    alarm: &str,
    metric: &CloudWatchMetric,
    statistic: Statistic,
) -> Option<Metric> {
    let percentile = |wanted: f64| matches!(statistic, Statistic::Percentile(p) if (p - wanted).abs() < f64::EPSILON);
    let name = match (metric.namespace.as_str(), metric.metric_name.as_str()) {
        ("AWS/ApplicationELB", "HealthyHostCount") => "balancer.healthy",
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count") => "balancer.errors.target_5xx",
        ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count") => "balancer.errors.own_5xx",
        ("AWS/ApplicationELB", "RequestCount") => "balancer.requests",
        ("AWS/ApplicationELB", "TargetResponseTime") if percentile(99.0) => "balancer.target_response_time.p99",
        ("AWS/ApplicationELB", "TargetResponseTime") if percentile(50.0) => "balancer.target_response_time.p50",
        ("AWS/ApplicationELB", "TargetResponseTime") if statistic == Statistic::Average => {
            "balancer.target_response_time.mean"
        }
        ("AWS/ApplicationELB", "TargetResponseTime") => {
            unmeasured(reader, node, alarm, "of TargetResponseTime only p50, p99 and Average are measured here");
            return None;
        }
        (namespace, name) => {
            unmeasured(reader, node, alarm, &format!("{name} of {namespace} is not measured here"));
            return None;
        }
    };
    let Some(balancer) = balancer(metric) else {
        let message = format!("the alarm `{alarm}` has no dimension LoadBalancer, so it watches nothing");
        reader.report(
            Finding::new(&codes::METRIC_OF, node.span, message)
                .severity(Severity::Warning)
                .help("add Dimensions: [{ Name: LoadBalancer, Value: NAME }]"),
        );
        return None;
    };
    Some(Metric::of(name, balancer))
}

/// The balancer's name: `web` of `app/web/50dc6c495c0c9188`, or of `web.LoadBalancerFullName`, which is what stands
/// here for the attribute of a balancer that only CloudFormation could make.
fn balancer(metric: &CloudWatchMetric) -> Option<String> {
    let value = metric.dimensions.iter().find(|(name, _)| name == "LoadBalancer").map(|(_, value)| value)?;
    let mut parts = value.split('/');
    let name = match (parts.next(), parts.next()) {
        (Some("app" | "net"), Some(name)) => name,
        _ => value.split('.').next().unwrap_or_default(),
    };
    (!name.is_empty()).then(|| name.to_owned())
}

fn unmeasured(reader: &mut Reader<'_>, node: &Node, alarm: &str, why: &str) {
    let span = if node.as_scalar().is_some() { node.span } else { node.head };
    let finding =
        Finding::new(&codes::UNMEASURED_METRIC, span, format!("the alarm `{alarm}` cannot be watched: {why}"));
    reader.report(
        finding
            .help(format!("define an alarm `{alarm}` in the lab file; it takes this one's place"))
            .note("measured are HealthyHostCount, HTTPCode_Target_5XX_Count, HTTPCode_ELB_5XX_Count, RequestCount and TargetResponseTime of AWS/ApplicationELB"),
    );
}
