//! `memory:limit`: a target gets no more memory.

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    cgroup::{Group, Version},
    disk::folder::amount,
    fault::{self, Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    limit::{self, Limiting},
    memory,
    network::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "memory:limit",
    about: "Lets a target's processes together have only so much memory; the kernel ends one of them when they need more. Of a target without a control group of its own, what it has already stays counted where it was, and the limit is on what it takes from then on.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "size",
            kind: ParameterKind::Size,
            required: true,
            default: None,
            about: "How much: of the target's nominal memory (50%), or an amount (512MiB).",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: limit::UNDONE_BY,
    proven_by: "The limit that the kernel says is in force, and the memory that it counts below it.",
    needs: &[Need::MemoryController],
    exclusive: &[Claim::on(Exclusive::MemoryLimit)],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct MemoryLimit;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    group: Group,
    bytes: u64,
}

/// The kernel counts in pages.
const PAGE: u64 = 4096;

impl Plan {
    const fn used(&self) -> &'static str {
        match self.group.version {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        }
    }
}

impl Fault for MemoryLimit {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let bytes = memory::asked_for(object, parameters)? / PAGE * PAGE;
        let group = Group::plan(object, "memory")?;
        let file = match group.version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        };
        let mut plan = Plan { group, bytes };
        // The kernel would end processes at once: that is another fault.
        if let Some(used) = plan.group.number(plan.used()).filter(|used| *used > bytes) {
            return Err(Refused(format!(
                "{} uses {} already, more than the {} that are asked for",
                object.name,
                amount(used),
                amount(bytes)
            )));
        }
        plan.group.limit(file, bytes.to_string())?;
        fault::written(&plan)
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
        let used = self.group.number(self.used());
        let shown = used.map_or_else(|| "an unknown amount".to_owned(), amount);
        let kind = if self.group.is_made() { " from now on" } else { "" };
        Proof {
            configured: format!("at most {} of memory{kind}", amount(self.bytes)),
            achieved: format!("{shown} counted{kind}, of at most {}", amount(self.bytes)),
            holds: used.is_some_and(|used| used <= self.bytes),
        }
    }
}
