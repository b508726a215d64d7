//! The keys of a FIS template, read into the model.

use std::collections::BTreeMap;

use model::{
    experiment::{
        AccountTargeting, Action, EmptyTargets, Experiment, LogConfiguration, Options, ReportConfiguration, S3Location,
        StopCondition, StopSource,
    },
    target::{Filter, SelectionMode, Target},
};

use super::Template;
use crate::{
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    node::Node,
};

/// The keys of a template.
pub(crate) const FIS_KEYS: &[&str] = &[
    "clientToken",
    "description",
    "roleArn",
    "tags",
    "targets",
    "actions",
    "stopConditions",
    "experimentOptions",
    "logConfiguration",
    "experimentReportConfiguration",
];

const TARGET_KEYS: &[&str] = &[
    "resourceType",
    "resourceArns",
    "resourceTags",
    "filters",
    "parameters",
    "selectionMode",
    "disjointFrom",
    "follow",
];

const ACTION_KEYS: &[&str] = &["actionId", "description", "parameters", "targets", "startAfter"];

/// Reads the FIS keys of an opened template; a fragment need not have those that must be there.
pub(crate) fn fis_part(reader: &mut Reader<'_>, root: &Fields<'_>, fragment: bool) -> Template {
    let mut template = Template::default();
    let spelling = &mut template.spelling;
    let experiment = &mut template.experiment;
    let description = if fragment { root.get("description") } else { root.required("description", reader) };
    if let Some(node) = description {
        experiment.description = limited(reader, node, "the description", 512);
    }
    if let Some(node) = root.get("roleArn") {
        experiment.role_arn = reader.text(node, "roleArn");
    }
    if let Some(node) = root.get("clientToken") {
        template.client_token = reader.text(node, "clientToken");
    }
    if let Some(node) = root.get("tags") {
        experiment.tags = reader.tags(node, "tags");
        remember_empty(spelling, "/tags", node);
    }
    if let Some(node) = root.get("targets") {
        experiment.targets = named(reader, node, "targets", |reader, name, node| target(reader, spelling, name, node));
        remember_empty(spelling, "/targets", node);
    }
    if let Some(node) = root.required("actions", reader) {
        experiment.actions = named(reader, node, "actions", |reader, name, node| action(reader, spelling, name, node));
        if experiment.actions.is_empty() && node.as_mapping().is_some() {
            reader.wrong_value(node.head, "there is no action; an experiment does something");
        }
    }
    if let Some(node) = root.get("stopConditions") {
        let items = reader.items(node, "stopConditions").unwrap_or_default();
        experiment.stop_conditions = items.iter().filter_map(|item| stop_condition(reader, item)).collect();
        remember_empty(spelling, "/stopConditions", node);
    }
    experiment.options = root.get("experimentOptions").and_then(|node| options(reader, node));
    experiment.log_configuration = root.get("logConfiguration").and_then(|node| log_configuration(reader, node));
    experiment.report_configuration =
        root.get("experimentReportConfiguration").and_then(|node| report_configuration(reader, spelling, node));
    template
}

/// A map from names of the author's choice to things; the names are held to FIS's rules.
fn named<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    mut read: impl FnMut(&mut Reader<'_>, &str, &Node) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut map = BTreeMap::new();
    for entry in reader.entries(node, what).unwrap_or_default() {
        if entry.key.is_empty() || entry.key.chars().count() > 64 || entry.key.contains(char::is_whitespace) {
            let message = format!("`{}` cannot be a name in {what}", entry.key);
            reader.report(
                Finding::new(&codes::WRONG_VALUE, entry.key_span, message)
                    .help("names have 1 to 64 characters and no white space"),
            );
        }
        if let Some(value) = read(reader, &entry.key, &entry.value) {
            map.insert(entry.key.clone(), value);
        }
    }
    map
}

/// A target, as far as it can be read; one whose shape is wrong altogether still exists, so that no action that names
/// it is blamed.
fn target(reader: &mut Reader<'_>, spelling: &mut Spelling, name: &str, node: &Node) -> Option<Target> {
    let mut target = Target::default();
    let Some(fields) = reader.fields(node, "a target", TARGET_KEYS) else { return Some(target) };
    let path = format!("/targets/{}", escape(name));
    if let Some(node) = fields.required("resourceType", reader) {
        target.resource_type = reader.text(node, "resourceType").unwrap_or_default();
    }
    if let Some(node) = fields.get("resourceArns") {
        target.resource_arns = reader.texts(node, "resourceArns");
        remember_empty(spelling, &format!("{path}/resourceArns"), node);
    }
    if let Some(node) = fields.get("resourceTags") {
        target.resource_tags = reader.tags(node, "resourceTags");
        remember_empty(spelling, &format!("{path}/resourceTags"), node);
    }
    if let Some(node) = fields.get("filters") {
        let items = reader.items(node, "filters").unwrap_or_default();
        target.filters = items.iter().filter_map(|item| filter(reader, item)).collect();
        remember_empty(spelling, &format!("{path}/filters"), node);
    }
    if let Some(node) = fields.get("parameters") {
        target.parameters = reader.text_map(node, "parameters");
        remember_empty(spelling, &format!("{path}/parameters"), node);
    }
    if let Some(node) = fields.required("selectionMode", reader)
        && let Some(text) = reader.text(node, "selectionMode")
    {
        match text.parse::<SelectionMode>() {
            Ok(mode) => {
                target.selection_mode = mode;
                remember_other(spelling, &format!("{path}/selectionMode"), &text, &mode.to_string());
            }
            // A part that is filled in when the stack is made.
            Err(_) if !reader.to_run && text.contains("${") => {}
            Err(error) => reader.report(selection_mode(node, &text, &error)),
        }
    }
    if let Some(node) = fields.get("disjointFrom") {
        target.disjoint_from = reader.one_or_more(node, "disjointFrom");
    }
    if let Some(node) = fields.get("follow") {
        target.follow = reader.boolean(node, "follow").unwrap_or_default();
        if target.follow && target.selection_mode != SelectionMode::All {
            let message = format!("`follow` takes in whatever appears, and {} takes only some", target.selection_mode);
            let help = "write selectionMode: ALL, or remove `follow`";
            reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help(help));
        }
        if target.follow && !target.resource_arns.is_empty() {
            let message = "`follow` takes in whatever appears, and `resourceArns` names what is there already";
            reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help("select by tags or filters"));
        }
    }
    Some(target)
}

/// The finding for a malformed selection mode, with the repair where it can be guessed.
fn selection_mode(node: &Node, text: &str, error: &str) -> Finding {
    // What is right has a line of its own.
    let message = error.split("; write").next().unwrap_or(error).trim_end_matches(": unknown form");
    let finding = Finding::new(&codes::SELECTION_MODE, node.span, message);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let upper = text.to_uppercase();
    let repaired = if upper.trim() == "ALL" {
        Some("ALL".to_owned())
    } else if digits.is_empty() || digits.trim_start_matches('0').is_empty() {
        None
    } else if upper.contains('%') || upper.starts_with("PERC") {
        Some(format!("PERCENT({digits})"))
    } else if upper.starts_with("COUNT") || upper.starts_with("RANDOM") || text.trim() == digits {
        Some(format!("COUNT({digits})"))
    } else {
        None
    };
    match repaired.filter(|mode| mode.parse::<SelectionMode>().is_ok()) {
        Some(mode) => finding.help(format!("did you mean {mode}?")),
        None => finding.help("write ALL, COUNT(n) with n of at least 1, or PERCENT(n) above 0 and up to 100"),
    }
}

fn filter(reader: &mut Reader<'_>, node: &Node) -> Option<Filter> {
    let fields = reader.fields(node, "a filter", &["path", "values"])?;
    let path = fields.required("path", reader).and_then(|node| {
        let path = reader.text(node, "path")?;
        if path.split('.').any(|part| !part.starts_with(|c: char| c.is_ascii_uppercase())) {
            let message = format!("`{path}` is not a path into the resource's description");
            reader.report(
                Finding::new(&codes::WRONG_VALUE, node.span, message)
                    .help("every part starts with a capital letter, as in Placement.AvailabilityZone or State.Name"),
            );
        }
        Some(path)
    });
    let values = fields.required("values", reader).map(|node| {
        let values = reader.texts(node, "values");
        if values.is_empty() && node.as_sequence().is_some() {
            reader.wrong_value(node.head, "a filter without values matches nothing");
        }
        values
    });
    Some(Filter { path: path?, values: values? })
}

fn action(reader: &mut Reader<'_>, spelling: &mut Spelling, name: &str, node: &Node) -> Option<Action> {
    let mut action = Action::default();
    let Some(fields) = reader.fields(node, "an action", ACTION_KEYS) else { return Some(action) };
    let path = format!("/actions/{}", escape(name));
    if let Some(node) = fields.required("actionId", reader) {
        action.action_id = reader.text(node, "actionId").unwrap_or_default();
    }
    action.description = fields.get("description").map(|node| limited(reader, node, "the description", 512));
    if let Some(node) = fields.get("parameters") {
        action.parameters = reader.text_map(node, "parameters");
        remember_empty(spelling, &format!("{path}/parameters"), node);
    }
    if let Some(node) = fields.get("targets") {
        action.targets = action_targets(reader, node);
        remember_empty(spelling, &format!("{path}/targets"), node);
    }
    if let Some(node) = fields.get("startAfter") {
        action.start_after = reader.one_or_more(node, "startAfter");
        remember_empty(spelling, &format!("{path}/startAfter"), node);
        if let ([only], Some(_)) = (action.start_after.as_slice(), node.as_scalar()) {
            spelling.insert(format!("{path}/startAfter"), serde_json::Value::String(only.clone()));
        }
    }
    Some(action)
}

/// The targets of an action. A target that is defined here instead of being named is read all the same, so that what
/// is wrong with it is said as well.
fn action_targets(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, String> {
    let mut targets = BTreeMap::new();
    for entry in reader.entries(node, "the targets of an action").unwrap_or_default() {
        if entry.value.as_mapping().is_some() {
            reader.report(
                Finding::new(
                    &codes::INLINE_TARGET,
                    entry.key_span,
                    format!("the target of `{}` is defined inside the action", entry.key),
                )
                .help("move the definition to `targets` under a name of your choice, and write that name here"),
            );
            let inline = target(reader, &mut Spelling::new(), &entry.key, &entry.value);
            if let Some(inline) = inline {
                crate::semantics::selectors(reader, &inline, &entry.value);
            }
        } else if let Some(name) = reader.text(&entry.value, "the name of a target") {
            targets.insert(entry.key.clone(), name);
        }
    }
    targets
}

fn stop_condition(reader: &mut Reader<'_>, node: &Node) -> Option<StopCondition> {
    let fields = reader.fields(node, "a stop condition", &["source", "value", "why"])?;
    let source = fields.required("source", reader)?;
    let choices = [("aws:cloudwatch:alarm", StopSource::Alarm), ("none", StopSource::None)];
    let source = reader.one_of(source, "`source`", &choices)?;
    let value = fields.get("value").and_then(|node| reader.text(node, "value"));
    let why = fields.get("why").and_then(|node| reader.text(node, "why"));
    Some(StopCondition { source, value, why })
}

fn options(reader: &mut Reader<'_>, node: &Node) -> Option<Options> {
    let keys = ["accountTargeting", "emptyTargetResolutionMode"];
    let fields = reader.fields(node, "experimentOptions", &keys)?;
    let accounts =
        [("single-account", AccountTargeting::SingleAccount), ("multi-account", AccountTargeting::MultiAccount)];
    let empty = [("fail", EmptyTargets::Fail), ("skip", EmptyTargets::Skip)];
    Some(Options {
        account_targeting: fields.get(keys[0]).and_then(|node| reader.one_of(node, keys[0], &accounts)),
        empty_target_resolution_mode: fields.get(keys[1]).and_then(|node| reader.one_of(node, keys[1], &empty)),
    })
}

fn log_configuration(reader: &mut Reader<'_>, node: &Node) -> Option<LogConfiguration> {
    let keys = ["logSchemaVersion", "cloudWatchLogsConfiguration", "s3Configuration"];
    let fields = reader.fields(node, "logConfiguration", &keys)?;
    let version = fields.required(keys[0], reader).and_then(|node| reader.whole(node, keys[0], 1..=2));
    let log_group_arn = fields.get(keys[1]).and_then(|node| {
        let fields = reader.fields(node, "cloudWatchLogsConfiguration", &["logGroupArn"])?;
        let arn = fields.required("logGroupArn", reader)?;
        reader.text(arn, "logGroupArn")
    });
    let s3 = fields.get(keys[2]).and_then(|node| s3_location(reader, node));
    Some(LogConfiguration { log_schema_version: version.unwrap_or(2), log_group_arn, s3 })
}

fn s3_location(reader: &mut Reader<'_>, node: &Node) -> Option<S3Location> {
    let fields = reader.fields(node, "s3Configuration", &["bucketName", "prefix"])?;
    let bucket_name = fields.required("bucketName", reader).and_then(|node| reader.text(node, "bucketName"))?;
    Some(S3Location { bucket_name, prefix: fields.get("prefix").and_then(|node| reader.text(node, "prefix")) })
}

fn report_configuration(reader: &mut Reader<'_>, spelling: &mut Spelling, node: &Node) -> Option<ReportConfiguration> {
    let keys = ["outputs", "dataSources", "preExperimentDuration", "postExperimentDuration"];
    let fields = reader.fields(node, "experimentReportConfiguration", &keys)?;
    let base = "/experimentReportConfiguration";
    let mut report = ReportConfiguration::default();
    if let Some(node) = fields.get("outputs")
        && let Some(outputs) = reader.fields(node, "outputs", &["s3Configuration"])
    {
        report.s3 = outputs.get("s3Configuration").and_then(|node| s3_location(reader, node));
        remember_empty(spelling, &format!("{base}/outputs"), node);
    }
    if let Some(node) = fields.get("dataSources")
        && let Some(sources) = reader.fields(node, "dataSources", &["cloudWatchDashboards"])
    {
        remember_empty(spelling, &format!("{base}/dataSources"), node);
        if let Some(node) = sources.get("cloudWatchDashboards") {
            if node.as_sequence().is_some_and(<[Node]>::is_empty) {
                spelling.insert(format!("{base}/dataSources"), serde_json::json!({ "cloudWatchDashboards": [] }));
            }
            for item in reader.items(node, "cloudWatchDashboards").unwrap_or_default() {
                let dashboard = reader.fields(item, "a dashboard", &["dashboardIdentifier"]);
                let identifier = dashboard.and_then(|fields| fields.required("dashboardIdentifier", reader));
                report.dashboards.extend(identifier.and_then(|node| reader.text(node, "dashboardIdentifier")));
            }
        }
    }
    let mut duration = |reader: &mut Reader<'_>, key: &str| {
        let node = fields.get(key)?;
        let period = reader.period(node, key)?;
        remember_other(spelling, &format!("{base}/{key}"), node.as_text().unwrap_or_default(), &period.to_string());
        Some(period)
    };
    report.pre_experiment_duration = duration(reader, keys[2]);
    report.post_experiment_duration = duration(reader, keys[3]);
    Some(report)
}

/// A text of at most so many characters.
fn limited(reader: &mut Reader<'_>, node: &Node, what: &str, most: usize) -> String {
    let text = reader.text(node, what).unwrap_or_default();
    let length = text.chars().count();
    if length > most {
        let message = format!("AWS FIS takes at most {most} characters for {what}; these are {length}");
        reader.report(Finding::new(&codes::AWS_REFUSES, node.head, message));
    }
    text
}

type Spelling = BTreeMap<String, serde_json::Value>;

/// Remembers that an empty collection is written down.
fn remember_empty(spelling: &mut Spelling, path: &str, node: &Node) {
    if node.as_mapping().is_some_and(<[_]>::is_empty) {
        spelling.insert(path.to_owned(), serde_json::Value::Object(serde_json::Map::new()));
    } else if node.as_sequence().is_some_and(<[_]>::is_empty) {
        spelling.insert(path.to_owned(), serde_json::Value::Array(Vec::new()));
    }
}

/// Remembers how a value is written, where that differs from how it would be printed.
fn remember_other(spelling: &mut Spelling, path: &str, written: &str, printed: &str) {
    if written != printed {
        spelling.insert(path.to_owned(), serde_json::Value::String(written.to_owned()));
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The experiment alone, for callers that print nothing back.
impl From<Template> for Experiment {
    fn from(template: Template) -> Self {
        template.experiment
    }
}
