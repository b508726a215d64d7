//! References that lead nowhere, in the whole template.

use std::collections::{BTreeSet, HashSet};

use super::{
    evaluate::{Piece, call, pieces, usage},
    functions::EVALUATED,
    stack::{FOR_EACH, Stack, pseudo, type_of},
    types,
};
use crate::{
    codes,
    decode::Reader,
    finding::{Finding, Severity},
    node::Node,
    source::Span,
};

/// Most characters of a logical id.
const LONGEST_ID: usize = 255;

/// Reports every `Ref`, `GetAtt` and `Sub` of something that is not defined; returns their names.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, stack: &Stack<'_>) -> BTreeSet<String> {
    let mut search = Search { stack, unresolved: BTreeSet::new(), local: Vec::new() };
    search.walk(reader, root);
    for resource in stack.section("Resources") {
        if let Some(condition) = resource.value.get("Condition") {
            search.condition(reader, condition);
        }
        search.dependencies(reader, &resource.value);
    }
    search.unresolved
}

/// A function that is not there, and near one that is.
fn unknown(reader: &mut Reader<'_>, name: &str, span: Span) {
    /// Functions whose values only AWS knows.
    const OTHERS: &[&str] = &["ForEach", "GetStackOutput", "Transform"];
    if EVALUATED.contains(&name) || OTHERS.iter().any(|other| name.starts_with(other)) {
        return;
    }
    if let Some(near) = reader.near(name, EVALUATED.iter().copied()) {
        let message = format!("the function `{name}` is not evaluated here");
        let finding = Finding::new(&codes::INTRINSIC, span, message);
        reader.report(finding.help(format!("did you mean `{near}`?")));
    }
}

struct Search<'s, 'n> {
    stack: &'s Stack<'n>,
    unresolved: BTreeSet<String>,
    /// Names that the `Fn::ForEach` around the place gives to its items.
    local: Vec<String>,
}

impl Search<'_, '_> {
    fn walk(&mut self, reader: &mut Reader<'_>, node: &Node) {
        if let Some((function, argument)) = call(node) {
            match function.as_str() {
                "Ref" => match argument.as_text() {
                    Some(name) => self.name(reader, name, node.span),
                    None => {
                        let finding = Finding::new(&codes::INTRINSIC, node.span, "the arguments of `Ref` are wrong");
                        reader.report(finding.help(usage("Ref")));
                    }
                },
                "GetAtt" => {
                    let first = argument.as_sequence().and_then(<[Node]>::first).unwrap_or(&argument);
                    let second = argument.as_sequence().and_then(|items| items.get(1)?.as_text());
                    if let Some(text) = first.as_text() {
                        let (name, attribute) = text.split_once('.').map_or((text, second), |(a, b)| (a, Some(b)));
                        self.name(reader, name, node.span);
                        self.attribute(reader, name, attribute, node.span);
                    }
                }
                "If" => {
                    if let Some(condition) = argument.as_sequence().and_then(<[Node]>::first) {
                        self.condition(reader, condition);
                    }
                }
                "Sub" => self.substitutions(reader, node, &argument),
                name => unknown(reader, name, node.span),
            }
        }
        for child in node.as_sequence().unwrap_or_default() {
            self.walk(reader, child);
        }
        for entry in node.as_mapping().unwrap_or_default() {
            let item = entry.key.starts_with(FOR_EACH).then(|| entry.value.as_sequence()?.first()?.as_text()).flatten();
            self.local.extend(item.map(ToOwned::to_owned));
            self.walk(reader, &entry.value);
            self.local.truncate(self.local.len() - usize::from(item.is_some()));
        }
    }

    /// Whether something that is not in the text may make a thing of this name: a transform, or a loop.
    fn may_be_made(&self, name: &str) -> bool {
        self.stack.has_loops
            || self.stack.transforms.iter().any(|transform| match *transform {
                // SAM makes roles, permissions and stages named after what they belong to, and one API for all functions.
                name_of if name_of.starts_with("AWS::Serverless") => {
                    name.starts_with("Serverless")
                        || (1..=name.len().min(LONGEST_ID))
                            .any(|end| name.get(..end).is_some_and(|id| self.stack.resource(id).is_some()))
                }
                "AWS::LanguageExtensions" => false,
                _ => true,
            })
    }

    /// Resources that another one waits for.
    fn dependencies(&self, reader: &mut Reader<'_>, resource: &Node) {
        let Some(node) = resource.get("DependsOn") else { return };
        for item in node.as_sequence().unwrap_or_else(|| std::slice::from_ref(node)) {
            if let Some(name) = item.as_text().filter(|_| item.tag.is_none())
                && self.stack.resource(name).is_none()
                && !self.may_be_made(name)
            {
                let message = format!("DependsOn names `{name}`, which is no resource of the template");
                let finding = Finding::new(&codes::UNRESOLVED_REFERENCE, item.span, message);
                let names = self.stack.section("Resources").iter().map(|entry| entry.key.as_str());
                reader.report(match reader.near(name, names) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("remove it, or define the resource; CloudFormation refuses the template"),
                });
            }
        }
    }

    fn substitutions(&mut self, reader: &mut Reader<'_>, node: &Node, argument: &Node) {
        let (text, local) = match argument.as_sequence() {
            Some([text, local]) => (text, local.as_mapping().unwrap_or_default()),
            Some(_) => return,
            None => (argument, &[][..]),
        };
        let local: HashSet<&str> = local.iter().map(|entry| entry.key.as_str()).collect();
        for piece in pieces(text.as_text().unwrap_or_default()).unwrap_or_default() {
            if let Piece::Variable(name) = piece
                && !local.contains(name)
            {
                let (name, attribute) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
                self.name(reader, name, node.span);
                self.attribute(reader, name, attribute, node.span);
            }
        }
    }

    /// An attribute that no resource of the type has.
    fn attribute(&self, reader: &mut Reader<'_>, name: &str, attribute: Option<&str>, span: Span) {
        let Some(attribute) = attribute.filter(|attribute| !attribute.contains("${")) else { return };
        let Some(kind) = self.stack.resource(name).and_then(type_of).and_then(types::find) else { return };
        // Of a property that is a mapping its members can be asked for.
        let first = attribute.split('.').next().unwrap_or_default();
        if kind.attributes.contains(&attribute) || kind.properties.find(first).is_some() {
            return;
        }
        let message = format!("`{name}` is an {} and has no attribute `{attribute}`", kind.name);
        let finding = Finding::new(&codes::UNRESOLVED_REFERENCE, span, message).severity(Severity::Error);
        reader.report(match reader.near(attribute, kind.attributes.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("it has {}", kind.attributes.join(", "))),
        });
    }

    /// A condition by name that is not defined.
    fn condition(&self, reader: &mut Reader<'_>, node: &Node) {
        let Some(name) = node.as_text().filter(|_| node.tag.is_none()) else { return };
        if self.stack.condition(name).is_some() || self.may_be_made(name) {
            return;
        }
        let known = self.stack.section("Conditions").iter().map(|entry| entry.key.as_str());
        let finding = Finding::new(&codes::INTRINSIC, node.span, format!("there is no condition `{name}`"));
        reader.report(match reader.near(name, known) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("define it under Conditions"),
        });
    }

    fn name(&mut self, reader: &mut Reader<'_>, name: &str, span: Span) {
        let known = self.stack.parameter(name).is_some()
            || self.stack.resource(name).is_some()
            || name == "AWS::NoValue"
            || pseudo(name).is_some()
            || self.local.iter().any(|local| local == name)
            || self.may_be_made(name);
        if known {
            return;
        }
        self.unresolved.insert(name.to_owned());
        let finding =
            Finding::new(&codes::UNRESOLVED_REFERENCE, span, format!("the template does not define `{name}`"));
        let names = self.stack.section("Resources").iter().chain(self.stack.section("Parameters"));
        reader.report(match reader.near(name, names.map(|entry| entry.key.as_str())) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None if name.to_lowercase().contains("alarm") => finding.help(format!(
                "an alarm `{name}` of the lab file takes its place; CloudFormation refuses the template"
            )),
            None => finding.help("CloudFormation refuses the template; here a placeholder takes its place"),
        });
    }
}
