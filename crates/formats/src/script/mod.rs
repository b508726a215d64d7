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
    decode::Reader,
    source::{Source, Span},
};
pub(crate) use drills::about_failover;
pub(crate) use embedded::Embedded;
pub(crate) use operations::meant;

/// Looks at a script; gives back the documents that stand in it, to be looked at in their turn.
pub(crate) fn check(reader: &mut Reader<'_>, source: &Source, span: Span) -> Vec<Embedded> {
    let mut script = lex::script(source.text(), span);
    lex::look_into(source.text(), &mut script);
    rules::check(reader, source, &script);
    drills::check(reader, source, &script);
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
