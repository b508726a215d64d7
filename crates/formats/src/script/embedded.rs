//! Documents that stand in scripts: here-documents, and JSON that is given as an option.

use super::{
    aws::Call,
    lex::{Quotes, Script},
};
use crate::source::{Source, Span};

/// A document within another.
#[derive(Debug, Clone)]
pub(crate) struct Embedded {
    /// Where its text stands.
    pub(crate) span: Span,
    /// The file it would be: `experiment.json`. Only its ending counts.
    pub(crate) name: String,
}

/// Options whose value is a document.
const OPTIONS: &[&str] = &[
    "change-batch",
    "dashboard-body",
    "assume-role-policy-document",
    "policy-document",
    "cli-input-json",
    "backup-plan",
    "template-body",
    "content",
    "health-check-config",
];

/// All documents of a script.
pub(super) fn documents(source: &Source, script: &Script) -> Vec<Embedded> {
    let mut found = Vec::new();
    for command in &script.commands {
        if let (Some(here), Some(output)) = (command.here, &command.output) {
            found.push(Embedded { span: here, name: output.text.clone() });
        }
        let Some(call) = Call::of(command) else { continue };
        for word in OPTIONS.iter().filter_map(|option| call.value(option)) {
            let inside = word.inside();
            if word.quotes == Quotes::Single && source.slice(inside).trim_start().starts_with('{') {
                found.push(Embedded { span: inside, name: "option.json".to_owned() });
            }
        }
    }
    found
}
