//! The experiment: an AWS FIS experiment template with more keys.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{alarm::Alarm, hypothesis::Hypothesis, limits::Limits, load, period::Period, target::Target};

/// A plan with a hypothesis. Maps keep names in order, so that everything derived from a document is deterministic.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// What it is for (FIS `description`).
    pub description: String,
    /// Tags of the template.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The role FIS would assume; kept, and used by nothing on a lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Who may be hit.
    pub targets: BTreeMap<String, Target>,
    /// What is done.
    pub actions: BTreeMap<String, Action>,
    /// What ends it at once.
    pub stop_conditions: Vec<StopCondition>,
    /// FIS `experimentOptions`; `None` where the document has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// FIS `logConfiguration`; `None` where the document has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_configuration: Option<LogConfiguration>,
    /// FIS `experimentReportConfiguration`; `None` where the document has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_configuration: Option<ReportConfiguration>,

    // From here on: ours.
    /// The claim.
    pub hypothesis: Hypothesis,
    /// Load to drive while it runs.
    pub load: Vec<load::Load>,
    /// Questions asked all the time.
    pub probes: BTreeMap<String, load::Probe>,
    /// Prometheus endpoints read while it runs, by name.
    pub scrape: BTreeMap<String, load::Scrape>,
    /// Alarms by name; stop conditions refer to them.
    pub alarms: BTreeMap<String, Alarm>,
    /// How long the windows are.
    pub windows: Windows,
    /// How much it may hit.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// The lab it runs in: path of a lab file, relative to the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lab: Option<String>,
}

/// One use of an action of the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Which action: a FIS id (`aws:ec2:stop-instances`) or a native one (`network:latency`).
    pub action_id: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its parameters, text as in FIS.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Which target it hits, by the action's target key (`Instances`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, String>,
    /// Actions that must have ended before; none: it starts at the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_after: Vec<String>,
}

/// What ends an experiment at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StopCondition {
    /// What kind.
    pub source: StopSource,
    /// The alarm: its ARN, or the name of one of the document's own `alarms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Ours: why there is no stop condition, where the source is `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl StopCondition {
    /// The alarm's name: the part after `:alarm:` of an ARN, or the value itself.
    #[must_use]
    pub fn alarm_name(&self) -> Option<&str> {
        let value = self.value.as_deref()?;
        Some(match value.split_once(":alarm:") {
            Some((arn, name)) if arn.starts_with("arn:") => name,
            _ => value,
        })
    }
}

/// The `source` of a stop condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StopSource {
    /// `aws:cloudwatch:alarm`
    #[serde(rename = "aws:cloudwatch:alarm")]
    Alarm,
    /// `none`
    #[serde(rename = "none")]
    None,
}

/// FIS `experimentOptions`. A key that is absent in the document is `None`, so that it prints back equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// Whether targets may lie in other accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_targeting: Option<AccountTargeting>,
    /// What a target that resolves to nothing means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_target_resolution_mode: Option<EmptyTargets>,
}

/// FIS `accountTargeting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountTargeting {
    /// One account; the default.
    SingleAccount,
    /// Several.
    MultiAccount,
}

/// FIS `emptyTargetResolutionMode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyTargets {
    /// The experiment fails; the default.
    #[default]
    Fail,
    /// The actions on it are skipped.
    Skip,
}

/// FIS `logConfiguration`, kept as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogConfiguration {
    /// 1 or 2.
    pub log_schema_version: i64,
    /// `cloudWatchLogsConfiguration.logGroupArn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group_arn: Option<String>,
    /// `s3Configuration`: bucket name and prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Location>,
}

/// A place in S3.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Location {
    /// `bucketName`.
    pub bucket_name: String,
    /// `prefix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// FIS `experimentReportConfiguration`, kept as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportConfiguration {
    /// `outputs.s3Configuration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Location>,
    /// `dataSources.cloudWatchDashboards[].dashboardIdentifier`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dashboards: Vec<String>,
    /// `preExperimentDuration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_experiment_duration: Option<Period>,
    /// `postExperimentDuration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_experiment_duration: Option<Period>,
}

/// How long the windows of a run are.
///
/// *baseline*: before anything is injected. *fault*: from the first injection until everything injected has ended, and
/// at least `fault`. *recovery*: from there until the recovery clauses hold, at most `recovery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Windows {
    /// Length of the baseline.
    pub baseline: Period,
    /// Shortest fault window: what a fault that is over at once, such as a termination, is observed for.
    pub fault: Period,
    /// Longest recovery window; a clause's own `within` may demand less.
    pub recovery: Period,
    /// How long recovery clauses must hold before they count as holding again.
    pub settle: Period,
}

impl Windows {
    /// How much longer than [`settle`](Self::settle) a recovery window must be for recovery to be seen at all: clauses are
    /// judged by whole seconds, and neither the second in which the window begins nor the one in which it ends is whole.
    pub const MARGIN: Duration = Duration::from_secs(2);
}

impl Default for Windows {
    fn default() -> Self {
        // Ten seconds of baseline at 200 requests/s are 2,000 samples: enough for a p99 (CloudWatch asks for 1,000).
        Self {
            baseline: Period::from_secs(10),
            fault: Period::from_secs(10),
            recovery: Period::from_secs(300),
            settle: Period::from_secs(3),
        }
    }
}
