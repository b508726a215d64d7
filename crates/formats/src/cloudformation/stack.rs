//! What a template defines: parameters with their values, mappings, conditions, resources.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::nearest::nearest;

use crate::{
    Options, codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    shape::some,
};

/// The region of everything that says `AWS::Region`: the lab's first.
pub(super) const REGION: &str = "local-1";
/// The account of everything that says `AWS::AccountId`.
pub(super) const ACCOUNT: &str = "000000000000";

/// What the key of a loop begins with.
pub(super) const FOR_EACH: &str = "Fn::ForEach::";

/// A template, taken apart.
pub(super) struct Stack<'n> {
    root: &'n Node,
    /// Values of the parameters.
    parameters: BTreeMap<String, Given>,
    resources: HashMap<&'n str, &'n Node>,
    conditions: HashMap<&'n str, &'n Entry>,
    mappings: HashMap<&'n str, &'n Node>,
    /// The macros that CloudFormation applies to the whole template.
    pub(super) transforms: Vec<&'n str>,
    /// Whether some resources come from a loop or an included file.
    pub(super) has_loops: bool,
}

/// A parameter's value.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// One text.
    Text(String),
    /// The items of a list type.
    List(Vec<String>),
    /// Known only when the stack is made.
    Open,
}

impl<'n> Stack<'n> {
    pub(super) fn new(reader: &mut Reader<'_>, root: &'n Node, options: &Options<'_>) -> Self {
        let written = section(root, "Parameters");
        let place = root.entry("Parameters").map_or(root.head, |entry| entry.key_span);
        for name in options.params.keys().filter(|name| !written.iter().any(|entry| entry.key == **name)) {
            let finding =
                Finding::new(&codes::STACK_PARAMETER, place, format!("the template has no parameter `{name}`"));
            reader.report(match nearest(name, written.iter().map(|entry| entry.key.as_str())) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("remove the --param"),
            });
        }
        let parameters = written
            .iter()
            .map(|entry| (entry.key.clone(), parameter(reader, entry, options.params.get(&entry.key))))
            .collect();
        let resources = section(root, "Resources");
        let has_loops = resources.iter().any(|entry| entry.key.starts_with(FOR_EACH) || entry.key == "Fn::Transform");
        Self {
            root,
            parameters,
            resources: by_name(resources),
            conditions: section(root, "Conditions").iter().map(|entry| (entry.key.as_str(), entry)).collect(),
            mappings: by_name(section(root, "Mappings")),
            transforms: transforms(root),
            has_loops,
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&Given> {
        self.parameters.get(name)
    }

    pub(super) fn section(&self, name: &str) -> &'n [Entry] {
        section(self.root, name)
    }

    /// The resource with this logical id.
    pub(super) fn resource(&self, id: &str) -> Option<&'n Node> {
        self.resources.get(id).copied()
    }

    /// The condition of this name.
    pub(super) fn condition(&self, name: &str) -> Option<&'n Entry> {
        self.conditions.get(name).copied()
    }

    /// The mapping of this name.
    pub(super) fn mapping(&self, name: &str) -> Option<&'n Node> {
        self.mappings.get(name).copied()
    }

    /// Resources of a type, in the order of the document.
    pub(super) fn of_type<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'n Entry> + 's {
        self.section("Resources").iter().filter(move |entry| type_of(&entry.value) == Some(kind))
    }
}

/// The `Type` of a resource.
pub(super) fn type_of(resource: &Node) -> Option<&str> {
    resource.get("Type").and_then(Node::as_text)
}

fn by_name(entries: &[Entry]) -> HashMap<&str, &Node> {
    entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect()
}

fn transforms(root: &Node) -> Vec<&str> {
    match root.get("Transform") {
        Some(node) => node.as_sequence().unwrap_or_else(|| std::slice::from_ref(node)),
        None => &[],
    }
    .iter()
    .filter_map(|node| node.as_text().or_else(|| node.get("Name")?.as_text()))
    .collect()
}

fn section<'n>(root: &'n Node, name: &str) -> &'n [Entry] {
    root.get(name).and_then(Node::as_mapping).unwrap_or_default()
}

/// The value of a parameter: given, else its default.
fn parameter(reader: &mut Reader<'_>, entry: &Entry, given: Option<&String>) -> Given {
    let node = &entry.value;
    let default = node.get("Default").filter(|node| !node.is_null());
    let kind = node.get("Type").and_then(Node::as_text).unwrap_or("String");
    let (text, place) = match (given, default) {
        (Some(given), _) => (given.clone(), entry.key_span),
        (None, Some(default)) => (default.as_text().unwrap_or_default().to_owned(), default.span),
        // Whoever makes the stack gives it.
        (None, None) if !reader.to_run => return Given::Open,
        (None, None) => {
            let message = format!("the parameter `{}` has no value", entry.key);
            let help = format!("give one with --param {}=VALUE, or add a Default", entry.key);
            let finding = Finding::new(&codes::STACK_PARAMETER, entry.key_span, message);
            reader.report(finding.help(help));
            return Given::Open;
        }
    };
    let list = kind == "CommaDelimitedList" || kind.starts_with("List<");
    let items: Vec<String> =
        if list { text.split(',').map(|item| item.trim().to_owned()).collect() } else { vec![text.clone()] };
    let rules = Rules::of(entry, kind);
    // Of a list that is wrong throughout the first item is told.
    if let Some((item, why, help)) =
        items.iter().find_map(|item| rules.broken(item).map(|(why, help)| (item, why, help)))
    {
        let message = format!("the parameter `{}` cannot be `{item}`: {why}", entry.key);
        reader.report(Finding::new(&codes::STACK_PARAMETER, place, message).help(help));
    }
    if list { Given::List(items) } else { Given::Text(text) }
}

/// What the values of a parameter are held to.
struct Rules<'n> {
    numeric: bool,
    choices: Option<HashSet<&'n str>>,
    written: &'n [Node],
    least: Option<f64>,
    most: Option<f64>,
}

impl<'n> Rules<'n> {
    fn of(entry: &'n Entry, kind: &str) -> Self {
        let written = entry.value.get("AllowedValues").and_then(Node::as_sequence);
        let limit = |key: &str| entry.value.get(key).and_then(Node::as_text).and_then(|text| text.parse::<f64>().ok());
        Self {
            numeric: matches!(kind, "Number" | "List<Number>"),
            choices: written.map(|nodes| nodes.iter().filter_map(Node::as_text).collect()),
            written: written.unwrap_or_default(),
            least: limit("MinValue"),
            most: limit("MaxValue"),
        }
    }

    /// Why a value is refused, and what is right.
    fn broken(&self, value: &str) -> Option<(&'static str, String)> {
        if self.choices.as_ref().is_some_and(|choices| !choices.contains(value)) {
            let choices = some(self.written.iter().filter_map(Node::as_text));
            return Some(("it is not among the AllowedValues", format!("give one of {choices}")));
        }
        if !self.numeric {
            return None;
        }
        let Ok(number) = value.parse::<f64>() else { return Some(("it is not a number", "give a number".to_owned())) };
        let least = self.least.filter(|least| number < *least);
        let most = self.most.filter(|most| number > *most);
        least
            .map(|least| ("it is too small", format!("the smallest is {least}")))
            .or_else(|| most.map(|most| ("it is too large", format!("the largest is {most}"))))
    }
}

/// The value of a pseudo parameter; `AWS::NoValue` has none and is dealt with by the evaluator.
pub(super) fn pseudo(name: &str) -> Option<Given> {
    let text = match name {
        "AWS::Region" => REGION,
        "AWS::AccountId" => ACCOUNT,
        "AWS::Partition" => "aws",
        "AWS::StackName" => "stack",
        "AWS::StackId" => "arn:aws:cloudformation:local-1:000000000000:stack/stack/0",
        "AWS::URLSuffix" => "amazonaws.com",
        "AWS::NotificationARNs" => return Some(Given::List(Vec::new())),
        _ => return None,
    };
    Some(Given::Text(text.to_owned()))
}
