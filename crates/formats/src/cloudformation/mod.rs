//! CloudFormation templates that hold `AWS::FIS::ExperimentTemplate` and `AWS::CloudWatch::Alarm`.
//!
//! Only those two are evaluated; everything else is looked at for references that lead nowhere and, type by type, for
//! what breaks resilience. The properties of an
//! experiment template are the keys of a FIS template in PascalCase: [`case`] turns them into the reader's.

mod alarm;
pub(crate) mod case;
mod evaluate;
mod functions;
mod references;
mod resources;
mod stack;
mod types;

use std::collections::BTreeMap;

use model::nearest::nearest;

use crate::{
    Options, codes,
    decode::Reader,
    finding::{Finding, Severity},
    fis::{self, Template},
    node::{Entry, Node},
    semantics,
    shape::some,
};
use evaluate::Evaluator;
pub(crate) use evaluate::call;
pub(crate) use resources::{alarm_input, rules_of};
use stack::Stack;

/// Reads a template. All its experiments are checked; the chosen or only one is returned.
pub(crate) fn read(reader: &mut Reader<'_>, root: &Node, options: &Options<'_>) -> Option<Template> {
    // CloudFormation turns numbers and booleans into text where text is wanted.
    reader.native_scalars = true;
    reader.pascal_case = true;
    let stack = Stack::new(reader, root, options);
    let unresolved = references::check(reader, root, &stack);
    let mut evaluator = Evaluator::new(&stack);
    let all: Vec<&Entry> =
        stack.of_type("AWS::FIS::ExperimentTemplate").filter(|entry| evaluator.exists(reader, &entry.value)).collect();
    let chosen = choose(reader, root, &all, options.experiment.as_deref());
    if !reader.to_run {
        resources::check(reader, root, &stack);
    }
    // Without an experiment nobody asks whether an alarm can be watched here.
    let alarms = if all.is_empty() { BTreeMap::new() } else { alarm::alarms(reader, &mut evaluator) };
    let mut result = None;
    for entry in all {
        let Some(properties) = entry.value.get("Properties") else {
            let message = format!("`{}` has no `Properties`", entry.key);
            reader.report(Finding::new(&codes::MISSING_KEY, entry.key_span, message).help("add `Properties`"));
            continue;
        };
        let Some(mut properties) = evaluator.evaluate(reader, properties) else { continue };
        properties.head = entry.key_span;
        let template = template(reader, &properties, false).map(|(mut template, node)| {
            template.experiment.alarms.clone_from(&alarms);
            let context = semantics::Context {
                catalogue: options.catalogue,
                own: false,
                fragment: false,
                unresolved: &unresolved,
            };
            semantics::experiment(reader, &node, &template.experiment, &context);
            template
        });
        if chosen == Some(entry.key.as_str()) {
            result = template;
        }
    }
    result
}

/// Reads a part of a template, to say what it is a part of and what else is wrong with it.
pub(crate) fn read_fragment(reader: &mut Reader<'_>, root: &Node, options: &Options<'_>) -> Option<Template> {
    reader.native_scalars = true;
    reader.pascal_case = true;
    let (place, body, whole) = match root.entry("ExperimentTemplate") {
        Some(entry) => (entry.key_span, &entry.value, true),
        None => (root.head, root, root.entry("StopConditions").is_some()),
    };
    let message = if root.entry("ExperimentTemplate").is_some() {
        "`ExperimentTemplate` is not the root of any document"
    } else {
        "this is a part of a CloudFormation template"
    };
    let help = "write it as Resources: { NAME: { Type: AWS::FIS::ExperimentTemplate, Properties: { ... } } }, or with keys in camelCase as an experiment";
    reader.report(Finding::new(&codes::FRAGMENT, place, message).help(help));
    let stack = Stack::new(reader, root, options);
    let unresolved = references::check(reader, root, &stack);
    let body = Evaluator::new(&stack).evaluate(reader, body)?;
    let (template, node) = template(reader, &body, !whole)?;
    let context =
        semantics::Context { catalogue: options.catalogue, own: false, fragment: !whole, unresolved: &unresolved };
    semantics::experiment(reader, &node, &template.experiment, &context);
    Some(template)
}

/// Properties to a template, and the same properties with the keys of FIS.
fn template(reader: &mut Reader<'_>, properties: &Node, fragment: bool) -> Option<(Template, Node)> {
    let node = case::to_camel(reader, properties);
    let known: Vec<&str> = fis::FIS_KEYS.iter().copied().filter(|key| *key != "clientToken").collect();
    let fields = reader.fields(&node, "an experiment template", &known)?;
    let template = fis::fis_part(reader, &fields, fragment);
    Some((template, node))
}

/// Which experiment is meant.
fn choose<'e>(reader: &mut Reader<'_>, root: &Node, all: &[&'e Entry], wanted: Option<&str>) -> Option<&'e str> {
    let names: Vec<&str> = all.iter().map(|entry| entry.key.as_str()).collect();
    let place = root.entry("Resources").map_or(root.head, |entry| entry.key_span);
    match (wanted, all) {
        (Some(wanted), _) => {
            let found = all.iter().find(|entry| entry.key == wanted);
            if found.is_none() {
                let finding =
                    Finding::new(&codes::NO_TEMPLATE, place, format!("there is no experiment template `{wanted}`"));
                reader.report(match nearest(wanted, names.iter().copied()) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help(format!("experiment templates here are: {}", some(names))),
                });
            }
            found.map(|entry| entry.key.as_str())
        }
        (None, [only]) => Some(only.key.as_str()),
        // A template of other resources is as right as one with experiments.
        (None, []) if !reader.to_run => None,
        (None, []) => {
            let message = "no resource is of type AWS::FIS::ExperimentTemplate";
            reader.report(Finding::new(&codes::NO_TEMPLATE, place, message).help("there is nothing here to run"));
            None
        }
        (None, [_, second, ..]) => {
            let message = format!("there are {} experiment templates", all.len());
            let help = format!("to run one, choose it by its logical id: {}", some(names));
            let severity = if reader.to_run { Severity::Error } else { Severity::Note };
            let finding = Finding::new(&codes::SEVERAL_TEMPLATES, second.key_span, message).severity(severity);
            reader.report(finding.help(help));
            None
        }
    }
}
