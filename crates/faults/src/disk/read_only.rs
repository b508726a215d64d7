//! `disk:read-only`: a target can write nothing in a folder any more.

use model::{
    catalogue::{Entry, Need, Reversibility},
    claim::{Claim, Exclusive},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    disk::{
        calls::{self, Order, PATH, PROCESS, UNDONE_BY},
        file_call::Operation,
    },
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    intercept::Effect,
    network::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "disk:read-only",
    about: "Refuses a target's processes all changes in a folder with EROFS, as a file system does that has gone read-only after an error: to files that are open for writing already, too. Reading goes on.",
    targets: TARGETS,
    parameters: &[DURATION, PATH, PROCESS],
    reversibility: Reversibility::SelfEnding,
    undone_by: UNDONE_BY,
    proven_by: "A probe in the same folder, whose calls go the way of the target's, cannot write; and every thread of the target is intercepted.",
    needs: &[Need::Ptrace, Need::SystemCalls],
    exclusive: &[Claim::on_part(Exclusive::Tracer, "process")],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct DiskReadOnly;

impl Fault for DiskReadOnly {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let order = Order {
            operations: vec![Operation::Write, Operation::Change, Operation::Open],
            only_to_write: true,
            share: 1.0,
            effect: Effect::Error(libc::EROFS),
        };
        calls::plan(object, parameters, order)
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        calls::inject(undo, tools)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        calls::undo(undo)
    }
}
