//! References that lead nowhere, in the whole template.

use std::collections::BTreeSet;

use model::nearest::nearest;

use super::{
    evaluate::{Piece, call, pieces},
    stack::{Stack, pseudo},
};
use crate::{codes, decode::Reader, finding::Finding, node::Node, source::Span};

/// Reports every `Ref`, `GetAtt` and `Sub` of something that is not defined; returns their names.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, stack: &Stack<'_>) -> BTreeSet<String> {
    let mut search = Search { stack, unresolved: BTreeSet::new() };
    search.walk(reader, root);
    search.unresolved
}

struct Search<'s, 'n> {
    stack: &'s Stack<'n>,
    unresolved: BTreeSet<String>,
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
            self.walk(reader, &entry.value);
        }
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
            || pseudo(name).is_some();
        if known {
            return;
        }
        self.unresolved.insert(name.to_owned());
        let finding =
            Finding::new(&codes::UNRESOLVED_REFERENCE, span, format!("the template does not define `{name}`"));
        let names = self.stack.section("Resources").iter().chain(self.stack.section("Parameters"));
        reader.report(match nearest(name, names.map(|entry| entry.key.as_str())) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None if name.to_lowercase().contains("alarm") => finding.help(format!(
                "an alarm `{name}` of the lab file takes its place; CloudFormation refuses the template"
            )),
            None => finding.help("CloudFormation refuses the template; here a placeholder takes its place"),
        });
    }
}
