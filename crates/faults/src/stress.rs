//! What the faults share that put a load on a machine: a helper beside the target, and how it ends.

use model::event::Cleanliness;

use crate::{
    fault::{Failed, Refused, Tools, Undo, UndoError},
    helper::{self, Helper, Job},
    object::Object,
    process::Process,
};

/// A load: a process of ours that ends with its target, and with us.
#[derive(Debug)]
pub(crate) struct Load {
    helper: Helper,
    object: Object,
}

impl Load {
    /// Puts a load beside the target of an injection.
    pub(crate) fn start(undo: &Undo, tools: &Tools, job: &Job) -> Result<Self, Failed> {
        let beside = undo.object.company().map_err(|Refused(why)| Failed(why))?;
        let helper = Helper::start(tools, job, undo.token, beside)?;
        Ok(Self { helper, object: undo.object.clone() })
    }

    /// Its process.
    pub(crate) const fn process(&self) -> Process {
        self.helper.process
    }

    /// Whether it is there still.
    pub(crate) fn is_alive(&self) -> bool {
        self.helper.process.is_alive()
    }

    /// Ends it, and looks whether it has.
    pub(crate) fn end(mut self) -> Cleanliness {
        end(&mut self.helper, &self.object)
    }
}

/// Ends a helper, and looks whether it has.
pub(crate) fn end(helper: &mut Helper, object: &Object) -> Cleanliness {
    helper.end();
    if helper.process.is_alive() {
        let pid = helper.process.pid;
        return Cleanliness::Dirty { residue: format!("process {pid} of the load"), repair: format!("kill -9 {pid}") };
    }
    if object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean }
}

/// Ends the helpers of an injection whose process has died.
pub(crate) fn undo_record(undo: &Undo) -> Result<Cleanliness, UndoError> {
    match helper::kill_all(undo.token) {
        Ok(_) => Ok(if undo.object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean }),
        Err(why) => Err(UndoError {
            why: format!("a helper of {} on {} cannot be ended: {why}", undo.fault, undo.object.name),
            repair: format!("kill -9 the processes whose environment has SHAKETABLE_INJECTION={:016x}", undo.token),
        }),
    }
}
