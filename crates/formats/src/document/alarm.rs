//! Alarms in our own documents and lab files, with CloudWatch's keys.

use model::{
    alarm::{Alarm, TreatMissingData},
    metric::{Comparison, MetricKind},
};

use super::hypothesis::{Known, metric};
use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// CloudWatch's names of the comparisons that an alarm on a static threshold can make.
pub(crate) const COMPARISONS: &[(&str, Comparison)] = &[
    ("GreaterThanThreshold", Comparison::Greater),
    ("GreaterThanOrEqualToThreshold", Comparison::GreaterOrEqual),
    ("LessThanThreshold", Comparison::Less),
    ("LessThanOrEqualToThreshold", Comparison::LessOrEqual),
];

/// CloudWatch's names of what missing data means.
pub(crate) const MISSING_DATA: &[(&str, TreatMissingData)] = &[
    ("missing", TreatMissingData::Missing),
    ("ignore", TreatMissingData::Ignore),
    ("breaching", TreatMissingData::Breaching),
    ("notBreaching", TreatMissingData::NotBreaching),
];

/// Longest time an alarm looks back: a day, as in CloudWatch for periods under an hour.
const LONGEST_LOOK: u32 = 86_400;

/// Reads one alarm.
pub(crate) fn alarm(reader: &mut Reader<'_>, node: &Node, known: Option<&Known>) -> Option<Alarm> {
    let keys = [
        "metric",
        "of",
        "statistic",
        "period",
        "evaluationPeriods",
        "datapointsToAlarm",
        "threshold",
        "comparisonOperator",
        "treatMissingData",
    ];
    let fields = reader.fields(node, "an alarm", &keys)?;
    let (metric, _) = metric(reader, &fields, known);
    let statistic = fields.required("statistic", reader).and_then(|node| reader.parsed(node, "statistic"));
    let period_node = fields.required("period", reader);
    let period = period_node.and_then(|node| period(reader, node));
    let evaluation_periods = fields
        .get("evaluationPeriods")
        .map_or(Some(1), |node| reader.whole(node, "evaluationPeriods", 1..=LONGEST_LOOK));
    let datapoints =
        fields.get("datapointsToAlarm").map(|node| (node, reader.whole(node, "datapointsToAlarm", 1..=u32::MAX)));
    if let (Some((node, Some(m))), Some(n)) = (&datapoints, evaluation_periods)
        && *m > n
    {
        reader.wrong_value(node.span, format!("{m} breaching datapoints cannot be among {n} evaluation periods"));
    }
    if let (Some(length), Some(n), Some(node)) = (period, evaluation_periods, period_node)
        && length.get().as_secs().saturating_mul(u64::from(n)) > u64::from(LONGEST_LOOK)
    {
        reader.wrong_value(node.span, "an alarm looks back a day at most: period times evaluationPeriods is longer");
    }
    let threshold = fields.required("threshold", reader).and_then(|node| reader.number(node, "threshold"));
    let comparison = fields
        .required("comparisonOperator", reader)
        .and_then(|node| reader.one_of(node, "comparisonOperator", COMPARISONS));
    let treat_missing_data = fields
        .get("treatMissingData")
        .map_or(Some(TreatMissingData::Missing), |node| reader.one_of(node, "treatMissingData", MISSING_DATA));
    let alarm = Alarm {
        metric: metric?,
        statistic: statistic?,
        period: period?,
        evaluation_periods: evaluation_periods?,
        datapoints_to_alarm: datapoints.map_or(evaluation_periods, |(_, m)| m)?,
        threshold: threshold?,
        comparison: comparison?,
        treat_missing_data: treat_missing_data?,
        cloudwatch: None,
    };
    statistic_fits(reader, node, &alarm);
    Some(alarm)
}

/// Seconds as in CloudWatch, or an ISO 8601 duration as everywhere else.
fn period(reader: &mut Reader<'_>, node: &Node) -> Option<model::Period> {
    if node.as_text().is_some_and(|text| text.starts_with(['P', 'p'])) {
        let period = reader.some_time(node, "period")?;
        if period.get().subsec_nanos() != 0 {
            reader.wrong_value(node.span, "an alarm's period is a whole number of seconds");
            return None;
        }
        return Some(period);
    }
    reader.whole(node, "period", 1..=u64::from(LONGEST_LOOK)).map(model::Period::from_secs)
}

/// Statistics that say nothing about the metric at hand.
fn statistic_fits(reader: &mut Reader<'_>, node: &Node, alarm: &Alarm) {
    use model::alarm::Statistic;
    let Some(entry) = alarm.metric.entry() else { return };
    // A quantile or mean is computed over the period already, whatever the statistic: only these do not contradict it.
    let contradicts = match entry.kind {
        MetricKind::Quantile(_) | MetricKind::Mean | MetricKind::Share => {
            matches!(alarm.statistic, Statistic::Sum | Statistic::SampleCount)
        }
        MetricKind::Gauge | MetricKind::Rate => matches!(alarm.statistic, Statistic::Sum),
        MetricKind::Count => false,
    };
    if contradicts {
        let span = node.get("statistic").map_or(node.head, |node| node.span);
        reader.report(
            Finding::new(
                &codes::WRONG_VALUE,
                span,
                format!("the {} of `{}` has no meaning", alarm.statistic, entry.name),
            )
            .help("use Average, Minimum or Maximum"),
        );
    }
}
