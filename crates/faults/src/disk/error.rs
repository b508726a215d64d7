//! `disk:error`: what a target does to the files of a folder fails.

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    disk::calls::{self, AFFECTED, ERRORS, Order, PATH, PERCENT, PROCESS, UNDONE_BY},
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    intercept::Effect,
    network::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "disk:error",
    about: "Lets what a target's processes do to the files of a folder fail, also to files that are open already. What needs no system call (mapped memory) or is queued for the kernel (io_uring) is not reached.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        PATH,
        AFFECTED,
        Parameter {
            name: "error",
            kind: ParameterKind::OneOf {
                values: &[
                    "EIO",
                    "ENOSPC",
                    "EDQUOT",
                    "EROFS",
                    "EACCES",
                    "EPERM",
                    "ENOENT",
                    "EBUSY",
                    "ESTALE",
                    "ETIMEDOUT",
                ],
            },
            required: false,
            default: Some("EIO"),
            about: "The error that the operation returns, without doing anything.",
        },
        PERCENT,
        PROCESS,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: UNDONE_BY,
    proven_by: "Operations of a probe in the same folder, whose calls go the way of the target's, return the error; and every thread of the target is intercepted.",
    needs: &[Need::Ptrace, Need::SystemCalls],
    exclusive: &[Claim::on_part(Exclusive::Tracer, "process")],
    fis: &[],
    chaos_mesh: Some("IOChaos fault"),
};

pub(crate) struct DiskError;

impl Fault for DiskError {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let name: String = parameters.read("error")?;
        let errno = ERRORS.iter().find_map(|(known, number)| (*known == name).then_some(*number));
        let order = Order {
            operations: calls::operations(parameters)?,
            only_to_write: false,
            share: parameters.read::<f64>("percent")? / 100.0,
            effect: Effect::Error(errno.ok_or_else(|| Refused(format!("`error`: {name} is none of them")))?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_catalogue_has_its_number() {
        let kind = ENTRY.parameters.iter().find(|parameter| parameter.name == "error").map(|parameter| parameter.kind);
        let Some(ParameterKind::OneOf { values }) = kind else { panic!("{kind:?}") };
        assert_eq!(values, ERRORS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
