//! A template as the JSON of the FIS API.

use model::experiment::{Experiment, LogConfiguration, ReportConfiguration, S3Location};
use serde_json::{Map, Value, json};

use super::Template;

impl Template {
    /// The template as the FIS API takes it. What only our own documents have (hypothesis, load, alarms ...) has no
    /// place there and is left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut root = print(&self.experiment);
        if let Some(token) = &self.client_token {
            root.insert("clientToken".to_owned(), json!(token));
        }
        let mut root = Value::Object(root);
        for (pointer, written) in &self.spelling {
            set(&mut root, pointer, written);
        }
        root
    }
}

/// Puts a value at a pointer whose parent exists.
fn set(root: &mut Value, pointer: &str, value: &Value) {
    if let Some((parent, key)) = pointer.rsplit_once('/')
        && let Some(Value::Object(map)) = root.pointer_mut(parent)
    {
        map.insert(key.replace("~1", "/").replace("~0", "~"), value.clone());
    }
}

fn print(experiment: &Experiment) -> Map<String, Value> {
    let mut root = Map::new();
    let mut put = |key: &str, value: Value| root.insert(key.to_owned(), value);
    put("description", json!(experiment.description));
    if !experiment.targets.is_empty() {
        let targets: Map<_, _> =
            experiment.targets.iter().map(|(name, target)| (name.clone(), json!(target))).collect();
        put("targets", Value::Object(targets));
    }
    put("actions", json!(experiment.actions));
    if !experiment.stop_conditions.is_empty() {
        put("stopConditions", json!(experiment.stop_conditions));
    }
    if let Some(role) = &experiment.role_arn {
        put("roleArn", json!(role));
    }
    if !experiment.tags.is_empty() {
        put("tags", json!(experiment.tags));
    }
    if let Some(options) = &experiment.options {
        put("experimentOptions", json!(options));
    }
    if let Some(log) = &experiment.log_configuration {
        put("logConfiguration", log_configuration(log));
    }
    if let Some(report) = &experiment.report_configuration {
        put("experimentReportConfiguration", report_configuration(report));
    }
    root
}

fn log_configuration(log: &LogConfiguration) -> Value {
    let mut map = Map::new();
    map.insert("logSchemaVersion".to_owned(), json!(log.log_schema_version));
    if let Some(arn) = &log.log_group_arn {
        map.insert("cloudWatchLogsConfiguration".to_owned(), json!({ "logGroupArn": arn }));
    }
    if let Some(s3) = &log.s3 {
        map.insert("s3Configuration".to_owned(), s3_location(s3));
    }
    Value::Object(map)
}

fn report_configuration(report: &ReportConfiguration) -> Value {
    let mut map = Map::new();
    if let Some(s3) = &report.s3 {
        map.insert("outputs".to_owned(), json!({ "s3Configuration": s3_location(s3) }));
    }
    if !report.dashboards.is_empty() {
        let dashboards: Vec<Value> =
            report.dashboards.iter().map(|arn| json!({ "dashboardIdentifier": arn })).collect();
        map.insert("dataSources".to_owned(), json!({ "cloudWatchDashboards": dashboards }));
    }
    for (key, period) in [
        ("preExperimentDuration", report.pre_experiment_duration),
        ("postExperimentDuration", report.post_experiment_duration),
    ] {
        if let Some(period) = period {
            map.insert(key.to_owned(), json!(period));
        }
    }
    Value::Object(map)
}

fn s3_location(s3: &S3Location) -> Value {
    match &s3.prefix {
        Some(prefix) => json!({ "bucketName": s3.bucket_name, "prefix": prefix }),
        None => json!({ "bucketName": s3.bucket_name }),
    }
}
