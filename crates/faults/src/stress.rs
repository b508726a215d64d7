//! What the faults that put a load on a machine share: how they end.

use model::event::Cleanliness;

use crate::{
    fault::{Undo, UndoError},
    helper::{self, Helper},
    object::Object,
};

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
