//! Intrinsic functions, in their short (`!Ref`) and long (`Ref:`, `Fn::Sub:`) forms.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node, Value},
    source::Span,
};

use super::functions;
use super::stack::{ACCOUNT, Given, REGION, Stack, pseudo, type_of};

/// Most bytes that functions may produce: a template is at most 1 MiB in CloudFormation.
const MAX_PRODUCED: usize = 16 << 20;

/// Most functions that are evaluated, each of them once for every place that asks for its value. A template of 1 MiB has fewer than
/// a hundred thousand; attributes that ask for each other's twice are twice as many with each.
const MAX_CALLED: usize = 200_000;

/// Deepest chain of conditions that refer to each other, and of alarm names.
const MAX_CHAIN: usize = 50;

/// Zones of a region are its name and one of these letters.
const ZONES: [&str; 3] = ["a", "b", "c"];

/// Evaluates parts of a template. Values keep the places of the functions they come from.
pub(super) struct Evaluator<'s, 'n> {
    pub(super) stack: &'s Stack<'n>,
    produced: usize,
    called: usize,
    chain: usize,
    /// Whether conditions hold, as far as they have been asked for.
    conditions: HashMap<&'n str, bool>,
    /// Whether an ARN that cannot be resolved is an alarm's.
    alarm_wanted: bool,
    /// Whether the function at hand met a value that is not known, so that its own is not known either.
    met_unknown: bool,
}

/// The function a node calls, and its argument: `!Sub x` and `{ "Fn::Sub": x }` alike.
pub(crate) fn call(node: &Node) -> Option<(String, Cow<'_, Node>)> {
    if let Some(tag) = &node.tag {
        // The argument is the same node without its tag; with it, evaluating the argument would call again, for ever.
        let argument = Node { tag: None, ..node.clone() };
        return Some((tag.trim_start_matches('!').to_owned(), Cow::Owned(argument)));
    }
    let [entry] = node.as_mapping()? else { return None };
    match entry.key.as_str() {
        "Ref" => Some(("Ref".to_owned(), Cow::Borrowed(&entry.value))),
        key => key.strip_prefix("Fn::").map(|name| (name.to_owned(), Cow::Borrowed(&entry.value))),
    }
}

/// A part of the text of `Sub`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Taken as it is.
    Literal(&'t str),
    /// `${Name}` or `${Name.Attribute}`
    Variable(&'t str),
}

/// Takes the text of `Sub` apart; nothing where a `${` is never closed.
pub(super) fn pieces(mut text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    while let Some(at) = text.find("${") {
        pieces.push(Piece::Literal(&text[..at]));
        let end = at + text[at..].find('}')?;
        let name = &text[at + 2..end];
        match name.strip_prefix('!') {
            // `${!x}` stands for `${x}`: the dollar and brace, then the rest.
            Some(_) => pieces.extend([Piece::Literal("${"), Piece::Literal(&text[at + 3..=end])]),
            None => pieces.push(Piece::Variable(name.trim())),
        }
        text = &text[end + 1..];
    }
    pieces.push(Piece::Literal(text));
    Some(pieces)
}

impl<'s, 'n> Evaluator<'s, 'n> {
    pub(super) fn new(stack: &'s Stack<'n>) -> Self {
        let conditions = HashMap::new();
        Self { stack, produced: 0, called: 0, chain: 0, conditions, alarm_wanted: false, met_unknown: false }
    }

    /// Whether the resource's `Condition` holds, if it has one.
    pub(super) fn exists(&mut self, reader: &mut Reader<'_>, resource: &Node) -> bool {
        match resource.get("Condition") {
            Some(node) => node.as_text().is_none_or(|name| self.named_condition(reader, name, node.span)),
            None => true,
        }
    }

    /// The value of a node; nothing for `AWS::NoValue`.
    pub(super) fn evaluate(&mut self, reader: &mut Reader<'_>, node: &Node) -> Option<Node> {
        if let Some((function, argument)) = call(node) {
            let mut value = self.function(reader, node, &function, &argument)?;
            value.head = node.head;
            return Some(value);
        }
        let value = match &node.value {
            Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Value::Sequence(items) => {
                Value::Sequence(items.iter().filter_map(|item| self.evaluate(reader, item)).collect())
            }
            Value::Mapping(entries) => {
                Value::Mapping(entries.iter().filter_map(|entry| self.entry(reader, entry)).collect())
            }
        };
        Some(Node { value, span: node.span, head: node.head, tag: None })
    }

    fn entry(&mut self, reader: &mut Reader<'_>, entry: &Entry) -> Option<Entry> {
        let before = self.alarm_wanted;
        self.alarm_wanted |= matches!(entry.key.as_str(), "StopConditions" | "alarmArns");
        let value = self.evaluate(reader, &entry.value);
        self.alarm_wanted = before;
        Some(Entry { key: entry.key.clone(), key_span: entry.key_span, value: value? })
    }

    fn function(&mut self, reader: &mut Reader<'_>, node: &Node, name: &str, argument: &Node) -> Option<Node> {
        let span = node.span;
        if (name, argument.as_text()) == ("Ref", Some("AWS::NoValue")) {
            return None;
        }
        self.called += 1;
        if self.called > MAX_CALLED || self.produced > MAX_PRODUCED {
            if self.called == MAX_CALLED + 1 {
                let message = format!("the template asks for the values of more than {MAX_CALLED} functions");
                reader
                    .report(Finding::new(&codes::TOO_DEEP, span, message).help("let fewer of them ask for each other"));
            }
            self.met_unknown = true;
            return Some(Node::unknown(span));
        }
        if name == "If" {
            return self.choice(reader, argument, span);
        }
        let outer = std::mem::take(&mut self.met_unknown);
        let result = self.call(reader, node, name, argument);
        let met_unknown = std::mem::replace(&mut self.met_unknown, outer);
        if let Some(node) = result {
            return Some(self.spend(reader, node));
        }
        if !met_unknown {
            let finding = Finding::new(&codes::INTRINSIC, span, format!("the arguments of `{name}` are wrong"));
            reader.report(finding.help(usage(name)));
        }
        Some(Node::unknown(span))
    }

    /// The value of a function; nothing where its arguments are wrong or not known.
    fn call(&mut self, reader: &mut Reader<'_>, node: &Node, name: &str, argument: &Node) -> Option<Node> {
        let span = node.span;
        match name {
            "Ref" => argument.as_text().map(|name| self.reference(reader, name, span)),
            "GetAtt" => self.get_att(reader, argument, span),
            "Sub" => self.sub(reader, argument, span),
            "Join" => self.join(reader, argument, span),
            "Split" => self.split(reader, argument, span),
            "Select" => self.select(reader, argument, span),
            "GetAZs" => self.zones(reader, argument, span),
            "FindInMap" => self.find_in_map(reader, argument, span),
            "Equals" | "Not" | "And" | "Or" | "Condition" => {
                let holds = self.condition(reader, node);
                Some(Node::text(holds.to_string(), span))
            }
            "Base64" => self.text_of(reader, argument).map(|text| Node::text(functions::base64(text.as_bytes()), span)),
            "Cidr" => self.cidr(reader, argument, span),
            "Length" => self.list_of(reader, argument).map(|items| Node::text(items.len().to_string(), span)),
            "ToJsonString" => self.json_string(reader, argument, span),
            "ImportValue" => {
                let export = self.text_of(reader, argument)?;
                let message = format!("the value `{export}` is exported by another stack");
                reader.report(
                    Finding::new(&codes::UNRESOLVED_REFERENCE, span, message).help("here its name takes its place"),
                );
                Some(Node::text(export, span))
            }
            "Transform" => {
                let macro_name = argument.get("Name").and_then(Node::as_text).unwrap_or("the macro");
                let message = format!("what `{macro_name}` puts here is known only in AWS");
                Some(open(reader, span, message, "to run the experiment here, write the value itself"))
            }
            _ => {
                let message = format!("the function `{name}` is not evaluated here");
                match reader.near(name, functions::EVALUATED.iter().copied()) {
                    Some(near) => {
                        let finding = Finding::new(&codes::INTRINSIC, span, message);
                        reader.report(finding.help(format!("did you mean `{near}`?")));
                        Some(Node::unknown(span))
                    }
                    None => {
                        let help = format!("evaluated are {}", functions::EVALUATED.join(", "));
                        Some(open(reader, span, message, help))
                    }
                }
            }
        }
    }

    fn cidr(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let [block, count, bits] = argument.as_sequence()? else { return None };
        let block = self.text_of(reader, block)?;
        let (count, bits) = (self.text_of(reader, count)?.parse().ok()?, self.text_of(reader, bits)?.parse().ok()?);
        if !block.contains('/') {
            let message = format!("the address block `{block}` is known only in AWS");
            return Some(open(reader, span, message, "to run the experiment here, write a block such as 10.0.0.0/16"));
        }
        Some(list(functions::cidr(&block, count, bits)?, span))
    }

    fn json_string(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let value = self.evaluate(reader, argument)?;
        self.met_unknown |= functions::has_unknown(&value);
        let wanted = !self.met_unknown && value.as_scalar().is_none();
        wanted.then(|| Node::text(value.to_json().to_string(), span))
    }

    /// Counts what a function produced, and stops at the limit.
    fn spend(&mut self, reader: &mut Reader<'_>, node: Node) -> Node {
        let before = self.produced;
        self.produced += weight(&node);
        if self.produced <= MAX_PRODUCED {
            return node;
        }
        if before <= MAX_PRODUCED {
            let message = "the functions of this template produce more than 16 MiB";
            reader.report(Finding::new(&codes::TOO_DEEP, node.span, message));
        }
        Node::unknown(node.span)
    }

    fn reference(&mut self, reader: &mut Reader<'_>, name: &str, span: Span) -> Node {
        match self.stack.parameter(name).cloned().or_else(|| pseudo(name)) {
            Some(Given::Text(text)) => Node::text(text, span),
            Some(Given::List(items)) => list(items, span),
            Some(Given::Open) => Node::unknown(span),
            None if self.stack.resource(name).is_some_and(|node| type_of(node) == Some(super::alarm::TYPE)) => {
                Node::text(self.alarm_name(reader, name), span)
            }
            None => Node::text(name, span),
        }
    }

    /// The name of an alarm of the template: its `AlarmName`, or its logical id.
    pub(super) fn alarm_name(&mut self, reader: &mut Reader<'_>, id: &str) -> String {
        let named = self.stack.resource(id).and_then(|node| node.get("Properties")?.get("AlarmName"));
        let Some(named) = named.filter(|_| self.chain < MAX_CHAIN) else { return id.to_owned() };
        self.chain += 1;
        let name = self.text_of(reader, named);
        self.chain -= 1;
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_owned())
    }

    fn get_att(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let (id, attribute) = match argument.as_sequence() {
            Some([id, attribute]) => (id.as_text()?.to_owned(), self.text_of(reader, attribute)?),
            Some(_) => return None,
            None => {
                let (id, attribute) = argument.as_text()?.split_once('.')?;
                (id.to_owned(), attribute.to_owned())
            }
        };
        Some(Node::text(self.attribute(reader, &id, &attribute), span))
    }

    /// An attribute as far as it is known here: an ARN that ends in the thing's name, else `Name.Attribute`.
    fn attribute(&mut self, reader: &mut Reader<'_>, id: &str, attribute: &str) -> String {
        let kind = self.stack.resource(id).and_then(type_of);
        if attribute != "Arn" {
            return self.property(reader, id, attribute).unwrap_or_else(|| format!("{id}.{attribute}"));
        }
        match kind {
            Some(super::alarm::TYPE) => {
                let name = self.alarm_name(reader, id);
                format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}")
            }
            None if self.alarm_wanted || id.to_lowercase().ends_with("alarm") => {
                format!("arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{id}")
            }
            Some("AWS::IAM::Role") => format!("arn:aws:iam::{ACCOUNT}:role/{id}"),
            Some(kind) => {
                let service = kind.split("::").nth(1).unwrap_or_default().to_lowercase();
                format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{id}")
            }
            None => format!("arn:aws:unresolved:{REGION}:{ACCOUNT}:{id}"),
        }
    }

    /// A property of a resource; an attribute of the same name, such as a subnet's `CidrBlock`, has its value.
    fn property(&mut self, reader: &mut Reader<'_>, id: &str, name: &str) -> Option<String> {
        let node = self.stack.resource(id)?.get("Properties")?.get(name).filter(|_| self.chain < MAX_CHAIN)?;
        // A list or a mapping is no text, however large it is.
        if node.as_scalar().is_none() && call(node).is_none() {
            return None;
        }
        self.chain += 1;
        let value = self.evaluate(reader, node);
        self.chain -= 1;
        value?.as_text().map(ToOwned::to_owned)
    }

    fn sub(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let (text, local) = match argument.as_sequence() {
            Some([text, local]) => (text.as_text()?, local.as_mapping()?),
            Some(_) => return None,
            None => (argument.as_text()?, &[][..]),
        };
        let local: HashMap<&str, &Node> = local.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
        let mut result = String::new();
        for piece in pieces(text)? {
            match piece {
                Piece::Literal(literal) => result.push_str(literal),
                Piece::Variable(name) => {
                    let value = match (local.get(name), name.split_once('.')) {
                        (Some(node), _) => self.text_of(reader, node)?,
                        (None, Some((id, attribute))) => self.attribute(reader, id, attribute),
                        (None, None) => match self.reference(reader, name, span).as_text() {
                            Some(text) => text.to_owned(),
                            // What is to be filled in is left as it is, so that every reader sees that it is.
                            None => format!("${{{name}}}"),
                        },
                    };
                    result.push_str(&value);
                }
            }
            if result.len() > MAX_PRODUCED {
                break;
            }
        }
        Some(Node::text(result, span))
    }

    fn join(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let [delimiter, items] = argument.as_sequence()? else { return None };
        let delimiter = delimiter.as_text().unwrap_or_default();
        let items = self.list_of(reader, items)?;
        Some(Node::text(items.join(delimiter), span))
    }

    fn split(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let [delimiter, text] = argument.as_sequence()? else { return None };
        let delimiter = delimiter.as_text().filter(|text| !text.is_empty())?;
        let text = self.text_of(reader, text)?;
        Some(list(text.split(delimiter).map(ToOwned::to_owned).collect(), span))
    }

    fn select(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let [index, items] = argument.as_sequence()? else { return None };
        let index: usize = self.text_of(reader, index)?.parse().ok()?;
        let mut items = self.list_of(reader, items)?;
        if index >= items.len() {
            let message = format!("there is no item {index}: the list has {} items, counted from 0", items.len());
            reader.report(Finding::new(&codes::INTRINSIC, span, message));
            return Some(Node::unknown(span));
        }
        Some(Node::text(items.swap_remove(index), span))
    }

    fn zones(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let region = if argument.is_null() { String::new() } else { self.text_of(reader, argument)? };
        let region = if region.is_empty() { REGION } else { &region };
        Some(list(ZONES.iter().map(|zone| format!("{region}{zone}")).collect(), span))
    }

    fn find_in_map(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let [map, first, second, rest @ ..] = argument.as_sequence()? else { return None };
        let (map, first, second) =
            (self.text_of(reader, map)?, self.text_of(reader, first)?, self.text_of(reader, second)?);
        let found = self.stack.mapping(&map).and_then(|mapping| mapping.get(&first)?.get(&second));
        // The language extension's `{ DefaultValue: x }`.
        let default = rest.first().and_then(|node| node.get("DefaultValue"));
        let Some(value) = found.or(default) else {
            let message = format!("the mapping `{map}` has no entry `{first}`, `{second}`");
            reader.report(Finding::new(&codes::INTRINSIC, span, message).help("add it under Mappings"));
            return Some(Node::unknown(span));
        };
        let mut value = self.evaluate(reader, value)?;
        value.span = span;
        Some(value)
    }

    fn choice(&mut self, reader: &mut Reader<'_>, argument: &Node, span: Span) -> Option<Node> {
        let Some([condition, yes, no]) = argument.as_sequence() else {
            reader.report(Finding::new(&codes::INTRINSIC, span, "the arguments of `If` are wrong").help(usage("If")));
            return Some(Node::unknown(span));
        };
        let holds = match condition.as_text() {
            Some(name) => self.named_condition(reader, name, condition.span),
            None => self.condition(reader, condition),
        };
        self.evaluate(reader, if holds { yes } else { no })
    }

    fn named_condition(&mut self, reader: &mut Reader<'_>, name: &str, span: Span) -> bool {
        let Some(entry) = self.stack.condition(name) else {
            let finding = Finding::new(&codes::INTRINSIC, span, format!("there is no condition `{name}`"));
            let known = self.stack.section("Conditions").iter().map(|entry| entry.key.as_str());
            reader.report(match reader.near(name, known) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help("define it under Conditions"),
            });
            return false;
        };
        if let Some(holds) = self.conditions.get(name) {
            return *holds;
        }
        if self.chain >= MAX_CHAIN {
            let message = format!("the condition `{name}` refers to itself, or to too long a chain of others");
            reader.report(Finding::new(&codes::INTRINSIC, entry.key_span, message));
            return false;
        }
        self.chain += 1;
        let holds = self.condition(reader, &entry.value);
        self.chain -= 1;
        self.conditions.insert(&entry.key, holds);
        holds
    }

    fn condition(&mut self, reader: &mut Reader<'_>, node: &Node) -> bool {
        if let ([entry], None) = (node.as_mapping().unwrap_or_default(), &node.tag)
            && entry.key == "Condition"
        {
            return entry.value.as_text().is_some_and(|name| self.named_condition(reader, name, entry.value.span));
        }
        let Some((function, argument)) = call(node) else {
            reader.report(Finding::new(&codes::INTRINSIC, node.head, "this is not a condition").help(usage("Equals")));
            return false;
        };
        let items = argument.as_sequence().unwrap_or_default();
        match (function.as_str(), items) {
            ("Condition", _) => argument.as_text().is_some_and(|name| self.named_condition(reader, name, node.span)),
            ("Equals", [left, right]) => {
                // `Equals` compares texts: the number 1 and "1" are equal.
                let (left, right) = (self.evaluate(reader, left), self.evaluate(reader, right));
                match (left.as_ref().and_then(Node::as_text), right.as_ref().and_then(Node::as_text)) {
                    (Some(left), Some(right)) => left == right,
                    _ => left.map(|node| node.to_json()) == right.map(|node| node.to_json()),
                }
            }
            ("Not", [condition]) => !self.condition(reader, condition),
            // CloudFormation takes two to ten.
            ("And", [_, _, ..]) => items.iter().all(|item| self.condition(reader, item)),
            ("Or", [_, _, ..]) => items.iter().any(|item| self.condition(reader, item)),
            _ => {
                let finding =
                    Finding::new(&codes::INTRINSIC, node.span, format!("the arguments of `{function}` are wrong"));
                reader.report(finding.help(usage(&function)));
                false
            }
        }
    }

    /// The text of an evaluated node.
    fn text_of(&mut self, reader: &mut Reader<'_>, node: &Node) -> Option<String> {
        let node = self.evaluate(reader, node)?;
        self.met_unknown |= node.is_unknown();
        node.as_text().map(ToOwned::to_owned)
    }

    /// The texts of an evaluated list.
    fn list_of(&mut self, reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
        let node = self.evaluate(reader, node)?;
        self.met_unknown |= functions::has_unknown(&node);
        node.as_sequence()?.iter().map(|item| item.as_text().map(ToOwned::to_owned)).collect()
    }
}

fn list(items: Vec<String>, span: Span) -> Node {
    let items = items.into_iter().map(|item| Node::text(item, span)).collect();
    Node { value: Value::Sequence(items), span, head: span, tag: None }
}

/// A value that nobody knows before the stack is made.
fn open(reader: &mut Reader<'_>, span: Span, message: String, help: impl Into<String>) -> Node {
    let finding = Finding::new(&codes::INTRINSIC, span, message).severity(reader.open_value());
    reader.report(finding.help(help));
    Node::unknown(span)
}

fn weight(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(scalar) => scalar.text.len() + 1,
        Value::Sequence(items) => items.iter().map(weight).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| entry.key.len() + weight(&entry.value)).sum(),
    }
}

/// How a function is written.
pub(super) fn usage(name: &str) -> &'static str {
    match name {
        "Ref" => "write !Ref NAME",
        "GetAtt" => "write !GetAtt NAME.ATTRIBUTE or Fn::GetAtt: [NAME, ATTRIBUTE]",
        "Sub" => "write !Sub \"text ${NAME}\" or Fn::Sub: [text, { NAME: value }]",
        "Join" => "write !Join [delimiter, [a, b]]",
        "Split" => "write !Split [delimiter, text]",
        "Select" => "write !Select [index, list]",
        "GetAZs" => "write !GetAZs \"\" or !GetAZs REGION",
        "FindInMap" => "write !FindInMap [mapping, first key, second key]",
        "If" => "write !If [condition, then, else]",
        "Cidr" => "write !Cidr [block, count, host bits], such as !Cidr [10.0.0.0/16, 4, 8]",
        "Length" => "write !Length [a, b]",
        "ToJsonString" => "write a mapping or a list under Fn::ToJsonString",
        "Equals" => "write !Equals [a, b]",
        "Not" => "write !Not [condition]",
        "And" | "Or" => "write a list of two to ten conditions",
        _ => "see the CloudFormation reference of intrinsic functions",
    }
}
