//! Shell scripts: what they ask of AWS and of the machine, and whether a failover or a drill may rest on it.
//!
//! A script is taken apart into commands (see [`lex`]); nothing of it is ever run.

mod aws;
mod drills;
mod embedded;
mod figures;
mod lex;
mod loads;
mod metrics;
mod operations;
mod query;
mod rules;

use crate::{
    check::Goals,
    codes,
    decode::Reader,
    finding::Finding,
    source::{Source, Span},
};
pub(crate) use drills::about_failover;
pub(crate) use embedded::Embedded;
pub(crate) use operations::{meant, meant_by_action};

/// Looks at a script; gives back the documents that stand in it, to be looked at in their turn.
pub(crate) fn check(reader: &mut Reader<'_>, source: &Source, span: Span, goals: &Goals) -> Vec<Embedded> {
    let mut script = lex::script(source.text(), span);
    lex::look_into(source.text(), &mut script);
    if script.is_too_long() {
        let message = "the script has more words than are looked at";
        let finding = Finding::new(&codes::TOO_LARGE, Span::new(span.start, span.start), message);
        reader.report(finding.help(codes::TOO_LARGE.cure));
        return Vec::new();
    }
    rules::check(reader, source, &script);
    drills::check(reader, source, &script, goals);
    loads::check(reader, &script);
    figures::check(reader, source, &script);
    for command in &script.commands {
        if let Some(call) = aws::Call::of(command) {
            aws::check(reader, &script, &call);
            metrics::check(reader, source, &call);
        }
    }
    embedded::documents(source, &script)
}
