//! Alarms with the semantics of CloudWatch: a statistic over periods, M of N, and what missing data means.

use serde::{Deserialize, Serialize};

use crate::{
    metric::{Comparison, Metric},
    period::Period,
};

/// When a metric is bad enough to say so.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    /// What is watched.
    pub metric: Metric,
    /// How the samples of one period become one value.
    pub statistic: Statistic,
    /// The length of one period: 10, 20, 30 seconds or a multiple of 60, as in CloudWatch; ours may be any whole second.
    pub period: Period,
    /// N: how many periods are looked at.
    pub evaluation_periods: u32,
    /// M: how many of the N must breach; N unless said otherwise.
    pub datapoints_to_alarm: u32,
    /// What the statistic is compared with, in the metric's unit (CloudWatch's response times are seconds).
    pub threshold: f64,
    /// The comparison that means "breaching".
    pub comparison: Comparison,
    /// What a period without samples counts as.
    pub treat_missing_data: TreatMissingData,
    /// The `AlarmName`, `Namespace`, `MetricName` and `Dimensions` of a CloudWatch alarm, kept for messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloudwatch: Option<CloudWatchMetric>,
}

/// The CloudWatch metric that an imported alarm watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchMetric {
    /// For example `AWS/ApplicationELB`.
    pub namespace: String,
    /// For example `HTTPCode_Target_5XX_Count`.
    pub metric_name: String,
    /// Name and value pairs.
    pub dimensions: Vec<(String, String)>,
}

/// How the samples of one period become one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Statistic {
    /// How many samples there are.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// A percentile between 0 and 100, such as `p99` or `p99.9`.
    Percentile(f64),
}

impl std::str::FromStr for Statistic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "SampleCount" => Ok(Self::SampleCount),
            "Average" => Ok(Self::Average),
            "Sum" => Ok(Self::Sum),
            "Minimum" => Ok(Self::Minimum),
            "Maximum" => Ok(Self::Maximum),
            _ => text
                .strip_prefix(['p', 'P'])
                .and_then(|number| number.parse::<f64>().ok())
                .filter(|p| (0.0..=100.0).contains(p))
                .map(Self::Percentile)
                .ok_or_else(|| {
                    format!("`{text}` is not a statistic; known are SampleCount, Average, Sum, Minimum, Maximum and percentiles such as p99")
                }),
        }
    }
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SampleCount => f.write_str("SampleCount"),
            Self::Average => f.write_str("Average"),
            Self::Sum => f.write_str("Sum"),
            Self::Minimum => f.write_str("Minimum"),
            Self::Maximum => f.write_str("Maximum"),
            Self::Percentile(p) => write!(f, "p{p}"),
        }
    }
}

/// What a period without samples counts as (`TreatMissingData`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TreatMissingData {
    /// As missing; with nothing at all the alarm has insufficient data. The default.
    #[default]
    Missing,
    /// The alarm keeps its state.
    Ignore,
    /// As breaching.
    Breaching,
    /// As not breaching.
    NotBreaching,
}

/// The state of an alarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmState {
    /// Not enough data to tell.
    #[default]
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
    /// Within the threshold.
    #[serde(rename = "OK")]
    Ok,
    /// Outside the threshold.
    #[serde(rename = "ALARM")]
    Alarm,
}

impl std::fmt::Display for AlarmState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InsufficientData => "INSUFFICIENT_DATA",
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
        })
    }
}
