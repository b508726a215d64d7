//! `process:exhaust-pids`: a target can start nothing any more.

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    cgroup::Group,
    fault::{self, Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    limit::{self, Limiting},
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "process:exhaust-pids",
    about: "Lets a target start no more processes and threads than it has: what would start another fails with EAGAIN.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "leave",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000 },
            required: false,
            default: Some("0"),
            about: "How many more it may start, in all.",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: limit::UNDONE_BY,
    proven_by: "How many tasks the kernel counts in the control group, and how many it allows.",
    needs: &[Need::PidsController],
    exclusive: &[Claim::on(Exclusive::PidsLimit)],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct ExhaustPids;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    group: Group,
    leave: u64,
}

impl Fault for ExhaustPids {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let leave: u64 = parameters.read("leave")?;
        let mut group = Group::plan(object, "pids")?;
        let threads = |process: Process| process.threads().len() as u64;
        let counted = || object.process().map(|process| process.members().into_iter().map(threads).sum());
        let now = if group.is_made() { counted()? } else { group.number("pids.current").unwrap_or(counted()?) };
        group.limit("pids.max", (now + leave).to_string())?;
        fault::written(&Plan { group, leave })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        limit::inject::<Plan>(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        limit::undo(undo, Plan::group)
    }
}

impl Limiting for Plan {
    fn group(&self) -> &Group {
        &self.group
    }

    fn proof(&self) -> Proof {
        let (now, most) = (self.group.number("pids.current"), self.group.number("pids.max"));
        let shown = |number: Option<u64>| number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
        Proof {
            configured: format!("{} more tasks", self.leave),
            achieved: format!("{} tasks of at most {}", shown(now), shown(most)),
            holds: now.is_some_and(|now| now > 0),
        }
    }
}
