//! References that lead nowhere, in the whole template.

use std::collections::BTreeSet;

use super::{
    evaluate::{Piece, call, pieces},
    stack::{FOR_EACH, Stack, pseudo},
};
use crate::{codes, decode::Reader, finding::Finding, node::Node, source::Span};

/// Reports every `Ref`, `GetAtt` and `Sub` of something that is not defined; returns their names.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, stack: &Stack<'_>) -> BTreeSet<String> {
    let mut search = Search { stack, unresolved: BTreeSet::new(), local: Vec::new() };
    search.walk(reader, root);
    search.unresolved
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
                "Ref" => {
                    if let Some(name) = argument.as_text() {
                        self.name(reader, name, node.span);
                    }
                }
                "GetAtt" => {
                    let first = argument.as_sequence().and_then(<[Node]>::first).unwrap_or(&argument);
                    if let Some(name) = first.as_text().and_then(|text| text.split('.').next()) {
                        self.name(reader, name, node.span);
                    }
                }
                "Sub" => self.substitutions(reader, node, &argument),
                _ => {}
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
            || self.stack.transforms().into_iter().any(|transform| match transform {
                // SAM makes roles, permissions and stages named after what they belong to, and one API for all functions.
                name_of if name_of.starts_with("AWS::Serverless") => {
                    name.starts_with("Serverless")
                        || (1..=name.len())
                            .any(|end| name.get(..end).is_some_and(|id| self.stack.resource(id).is_some()))
                }
                "AWS::LanguageExtensions" => false,
                _ => true,
            })
    }

    fn substitutions(&mut self, reader: &mut Reader<'_>, node: &Node, argument: &Node) {
        let (text, local) = match argument.as_sequence() {
            Some([text, local]) => (text, local.as_mapping().unwrap_or_default()),
            Some(_) => return,
            None => (argument, &[][..]),
        };
        for piece in pieces(text.as_text().unwrap_or_default()).unwrap_or_default() {
            if let Piece::Variable(name) = piece
                && !local.iter().any(|entry| entry.key == name)
            {
                self.name(reader, name.split('.').next().unwrap_or_default(), node.span);
            }
        }
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
