//! What the faults share that limit a target by its control group: how they begin and end.

use model::event::{Cleanliness, Proof};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    cgroup::Group,
    fault::{Abort, Failed, Injection, Undo, UndoError, Undone},
    object::Object,
};

/// How all of them end.
pub(crate) const UNDONE_BY: &str = "The control group of the processes has the limits that it had; if one was made for them, they are back where they were and it is removed, with the last of the faults that share it.";

/// The plan of such a fault.
pub(crate) trait Limiting: Serialize + DeserializeOwned + Send + 'static {
    /// The group that is limited.
    fn group(&self) -> &Group;

    /// What the kernel counts against the limit.
    fn proof(&self) -> Proof;
}

/// A limit in force.
struct Live<P> {
    plan: P,
    object: Object,
}

/// Does what is planned.
pub(crate) fn inject<P: Limiting>(undo: &Undo) -> Result<Box<dyn Injection>, Failed> {
    let plan: P = undo.plan()?;
    plan.group().enter(&undo.object)?;
    Ok(Box::new(Live { plan, object: undo.object.clone() }))
}

/// Undoes what a dead process did.
pub(crate) fn undo<P: DeserializeOwned>(undo: &Undo, group: impl Fn(&P) -> &Group) -> Result<Cleanliness, UndoError> {
    let plan: P = undo.plan().map_err(|Failed(why)| UndoError {
        why,
        repair: "look for control groups named shaketable-*, move their processes out and remove them".to_owned(),
    })?;
    group(&plan).leave(&undo.object)
}

/// Undoes it. What was in force is told first: a limit that somebody has changed meanwhile was none to the end.
pub(crate) fn end(group: &Group, object: &Object) -> Result<Undone, UndoError> {
    let limits: Vec<String> = group.limits.iter().map(|limit| format!("{} {}", limit.file, limit.value)).collect();
    let now = |file: &str| group.read(file).unwrap_or_else(|Failed(why)| why);
    let seen: Vec<String> = group.limits.iter().map(|limit| format!("{} {}", limit.file, now(&limit.file))).collect();
    // Who is moved out of it is not limited by it.
    let all = !group.is_made() || object.has_ended() || group.has_all_of(object);
    let moved = if all { "" } else { ", for some of the processes alone" };
    let achieved = format!("{}{moved}", seen.join(", "));
    let proof = Proof { configured: limits.join(", "), achieved, holds: group.is_limited() && all };
    Ok(Undone { cleanliness: group.leave(object)?, proof: Some(proof) })
}

impl<P: Limiting> Injection for Live<P> {
    fn prove(&mut self, _: &Abort) -> Proof {
        let proof = self.plan.proof();
        Proof { holds: proof.holds && self.plan.group().is_limited(), ..proof }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        end(self.plan.group(), &self.object)
    }
}
