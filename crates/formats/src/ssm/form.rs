//! The form of automation documents, schema 0.3: their keys, their steps, and what the actions of steps need.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    script,
    shape::{
        self, Form, Keys, Notation,
        Shape::{self, Any, Flag, Form as Of, Keys as Mapping, List, Names, Text, Whole, Word},
        may, need,
    },
};

const DOCUMENT: Keys = Keys {
    what: "an automation document",
    keys: &[
        need("schemaVersion", Word(&["0.3"])),
        need("mainSteps", List(&Mapping(&STEP))),
        may("description", Text),
        may("assumeRole", Text),
        may("parameters", Names(&Mapping(&PARAMETER))),
        may("variables", Any),
        may("outputs", List(&Text)),
        may("files", Any),
    ],
};

const PARAMETER: Keys = Keys {
    what: "a parameter",
    keys: &[
        need("type", Of(&PARAMETER_TYPE)),
        may("description", Text),
        may("default", Any),
        may("allowedValues", List(&Any)),
        may("allowedPattern", Text),
        may("displayType", Word(&["textfield", "textarea"])),
        may("minItems", COUNT),
        may("maxItems", COUNT),
        may("minChars", COUNT),
        may("maxChars", COUNT),
    ],
};

const COUNT: Shape = Whole(0, i64::MAX);

const PARAMETER_TYPE: Form = Form {
    what: "String, StringList, Integer, Boolean, MapList, StringMap, or a type of AWS such as AWS::IAM::Role::Arn",
    near: &["String", "StringList", "Integer", "Boolean", "MapList", "StringMap"],
    holds: |text| {
        matches!(text, "String" | "StringList" | "Integer" | "Boolean" | "MapList" | "StringMap")
            || text.starts_with("AWS::")
            || text.starts_with("List<AWS::")
    },
};

const STEP: Keys = Keys {
    what: "a step",
    keys: &[
        need("name", Of(&NAME)),
        need("action", Word(ACTION_NAMES)),
        may("inputs", Names(&Any)),
        may("description", Text),
        may("maxAttempts", Whole(1, i64::MAX)),
        may("timeoutSeconds", Whole(1, i64::MAX)),
        may("onFailure", Text),
        may("onCancel", Text),
        may("isEnd", Flag),
        may("isCritical", Flag),
        may("nextStep", Text),
        may("outputs", List(&Mapping(&OUTPUT))),
        may("precondition", Any),
    ],
};

const OUTPUT: Keys = Keys {
    what: "an output",
    keys: &[
        need("Name", Text),
        need("Selector", Text),
        may("Type", Word(&["String", "StringList", "Integer", "Boolean", "MapList", "StringMap"])),
    ],
};

const NAME: Form = Form {
    what: "a name of 3 to 128 letters, digits, underscores and hyphens",
    near: &[],
    holds: |text| {
        (3..=128).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    },
};

/// The actions of steps, and the inputs that each must have; of those in brackets, one.
const ACTIONS: &[(&str, &[&[&str]])] = &[
    ("aws:approve", &[&["Approvers"]]),
    ("aws:assertAwsResourceProperty", &[&["Service"], &["Api"], &["PropertySelector"], &["DesiredValues"]]),
    ("aws:branch", &[&["Choices"]]),
    ("aws:changeInstanceState", &[&["InstanceIds"], &["DesiredState"]]),
    ("aws:copyImage", &[&["SourceImageId"], &["SourceRegion"], &["ImageName"]]),
    ("aws:createImage", &[&["InstanceId"], &["ImageName"]]),
    ("aws:createStack", &[&["StackName"], &["TemplateBody", "TemplateURL"]]),
    ("aws:createTags", &[&["ResourceIds"], &["Tags"]]),
    ("aws:deleteImage", &[&["ImageId"]]),
    ("aws:deleteStack", &[&["StackName"]]),
    ("aws:executeAutomation", &[&["DocumentName"]]),
    ("aws:executeAwsApi", &[&["Service"], &["Api"]]),
    ("aws:executeScript", &[&["Runtime"], &["Handler", "Script", "Attachment"]]),
    ("aws:executeStateMachine", &[&["stateMachineArn"]]),
    ("aws:invokeLambdaFunction", &[&["FunctionName"]]),
    ("aws:invokeWebhook", &[&["IntegrationName"]]),
    ("aws:loop", &[&["Steps"], &["Iterators", "LoopCondition"]]),
    ("aws:pause", &[]),
    ("aws:runCommand", &[&["DocumentName"], &["InstanceIds", "Targets"]]),
    ("aws:runInstances", &[&["ImageId"]]),
    ("aws:sleep", &[&["Duration", "Timestamp"]]),
    ("aws:updateVariable", &[&["Name"], &["Value"]]),
    ("aws:waitForAwsResourceProperty", &[&["Service"], &["Api"], &["PropertySelector"], &["DesiredValues"]]),
];

/// Their names alone.
const ACTION_NAMES: &[&str] = &{
    let mut names = [""; ACTIONS.len()];
    let mut at = 0;
    while at < ACTIONS.len() {
        names[at] = ACTIONS[at].0;
        at += 1;
    }
    names
};

/// Holds a document to its form.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    shape::check(reader, Notation::Automation, root, Mapping(&DOCUMENT), "a document");
}

/// What the action of a step needs.
pub(super) fn step(reader: &mut Reader<'_>, step: &Node) {
    let Some(action) = step.get("action") else { return };
    let Some((name, needs)) = ACTIONS.iter().find(|(name, _)| action.as_text() == Some(name)) else { return };
    let inputs = step.get("inputs");
    if inputs.is_some_and(|inputs| inputs.as_mapping().is_none()) {
        return;
    }
    let entries = inputs.and_then(Node::as_mapping).unwrap_or_default();
    for need in *needs {
        // Of scripts and webhooks the documentation itself writes keys in either case.
        if entries.iter().any(|entry| need.iter().any(|key| entry.key.eq_ignore_ascii_case(key))) {
            continue;
        }
        let place = step.entry("inputs").map_or(action.span, |entry| entry.key_span);
        let finding = Finding::new(
            &codes::MISSING_KEY,
            place,
            format!("{name} needs `{}` among its inputs", need.join("` or `")),
        );
        let near = entries
            .iter()
            .find_map(|entry| reader.near(&entry.key, need.iter().copied()).map(|near| (&entry.key, near)));
        reader.report(match near {
            Some((written, near)) => finding.help(format!("did you mean `{near}` by `{written}`?")),
            None => finding.help(format!("add {} under `inputs`", need.join(" or "))),
        });
    }
    operation(reader, entries);
    if *name == "aws:sleep" {
        sleep(reader, entries.iter().find(|entry| entry.key == "Duration").map(|entry| &entry.value));
    }
}

/// An operation that its service does not have.
fn operation(reader: &mut Reader<'_>, inputs: &[Entry]) {
    let find = |key: &str| inputs.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let (Some(service), Some(node)) = (find("Service").and_then(Node::as_text), find("Api")) else { return };
    let Some(name) = node.as_text().filter(|name| !name.contains("{{")) else { return };
    if let Some(meant) = script::meant(reader, service, name) {
        let message = format!("the service {service} has no operation `{name}`");
        reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help(format!("did you mean `{meant}`?")));
    }
}

/// Longest sleep, by the service: a week less a second.
const LONGEST_SLEEP: u64 = 604_799;

fn sleep(reader: &mut Reader<'_>, duration: Option<&Node>) {
    let Some((node, text)) = duration.and_then(|node| Some((node, node.as_text()?))) else { return };
    if text.contains("{{") {
        return;
    }
    let period = text.parse::<model::Period>();
    if !period.is_ok_and(|period| period.get().as_secs() <= LONGEST_SLEEP) {
        let message = format!("`{text}` is no duration that a step can sleep");
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, message);
        reader.report(finding.help("write it as ISO 8601 has it, up to a week: PT30S, PT10M, PT1H"));
    }
}
