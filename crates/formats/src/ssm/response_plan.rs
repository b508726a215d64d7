//! Response plans of Incident Manager.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    shape::{
        self, Keys, Notation,
        Shape::{Any, Keys as Mapping, List, Text, Whole},
        may, need,
    },
};

/// A parameter of the runbook.
const PARAMETER: Keys = Keys { what: "a parameter", keys: &[need("Key", Text), need("Values", List(&Text))] };

/// Words in a variable's name that say it is different every time.
const CHANGING: &[&str] = &["time", "date", "timestamp", "uuid", "random", "execution_id", "execution-id", "epoch"];

/// Looks at the properties of a response plan.
pub(crate) fn check(reader: &mut Reader<'_>, properties: &Node) {
    if let Some(dedupe) = properties.get("IncidentTemplate").and_then(|template| template.get("DedupeString")) {
        deduplicates(reader, dedupe);
    }
    for action in properties.get("Actions").and_then(Node::as_sequence).unwrap_or_default() {
        let Some(parameters) = action.get("SsmAutomation").and_then(|automation| automation.entry("Parameters")) else {
            continue;
        };
        if parameters.value.as_sequence().is_some() {
            let shape = List(&Mapping(&PARAMETER));
            shape::check(reader, Notation::CloudFormation, &parameters.value, shape, "`Parameters`");
        }
        if parameters
            .value
            .as_mapping()
            .is_some_and(|entries| entries.iter().all(|entry| !entry.key.starts_with("Fn::") && entry.key != "Ref"))
        {
            let message = "parameters of an automation are a list of keys with their values, not a mapping";
            reader.report(
                Finding::new(&codes::PARAMETER_SHAPE, parameters.key_span, message)
                    .help("write - { Key: NAME, Values: [VALUE] } for each"),
            );
        }
    }
}

/// The input of the call that makes a response plan.
const INPUT: Keys = Keys {
    what: "a response plan",
    keys: &[
        need("name", Text),
        need("incidentTemplate", Mapping(&TEMPLATE)),
        may("displayName", Text),
        may("engagements", List(&Text)),
        may("actions", List(&Any)),
        may("chatChannel", Any),
        may("integrations", Any),
        may("tags", Any),
        may("clientToken", Text),
        // An answer has it.
        may("arn", Text),
    ],
};

const TEMPLATE: Keys = Keys {
    what: "the template of an incident",
    keys: &[
        need("title", Text),
        // 1 is critical, 5 is without impact.
        need("impact", Whole(1, 5)),
        may("summary", Text),
        may("dedupeString", Text),
        may("notificationTargets", List(&Any)),
        may("incidentTags", Any),
    ],
};

/// Looks at the input of the call that makes a response plan.
pub(crate) fn input(reader: &mut Reader<'_>, root: &Node) {
    shape::check(reader, Notation::Strict, root, Mapping(&INPUT), "a response plan");
    if let Some(dedupe) = root.get("incidentTemplate").and_then(|template| template.get("dedupeString")) {
        deduplicates(reader, dedupe);
    }
}

/// A text that is different for every incident.
fn deduplicates(reader: &mut Reader<'_>, dedupe: &Node) {
    if let Some(variable) = dedupe.as_text().and_then(changing) {
        let message =
            format!("`{variable}` is different for every incident, so no two of them are ever found to be the same");
        reader.report(
            Finding::new(&codes::NEVER_DEDUPLICATES, dedupe.span, message)
                .help("build it from the service and the kind of failure: api-outage"),
        );
    }
}

/// The variable of a text that changes every time: `{{ incident.start_time }}`.
fn changing(text: &str) -> Option<&str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()).map(str::trim).find(|name| {
        let name = name.to_lowercase();
        CHANGING.iter().any(|word| name.split(['.', '_', ':', '-']).any(|part| part == *word) || name.ends_with(word))
    })
}
