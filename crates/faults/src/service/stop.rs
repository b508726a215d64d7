//! `service:stop`: a unit of the service manager is down for a time.

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use super::{TARGETS, Unit};
use crate::{
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "service:stop",
    about: "Stops a service as `systemctl stop` does, so that its restart policy does not bring it back, and starts it again at the end. What would stop with it, what this program needs, and what could not be started again is refused.",
    targets: TARGETS,
    parameters: &[DURATION],
    reversibility: Reversibility::Undoable,
    undone_by: "It is started, and its manager says that it is active. After a reboot the machine's own start has decided.",
    proven_by: "Its manager says that it is inactive, and the processes that it had have ended; at the end, that it has not been started by somebody else meanwhile.",
    needs: &[Need::ServiceManager],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct Stop;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    unit: Unit,
    members: Vec<Process>,
}

impl Fault for Stop {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, _: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let unit = Unit::plan(object)?;
        fault::written(&Plan { unit, members: object.process()?.members() })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        if let Err(why) = plan.unit.job("StopUnit", &Abort::default()) {
            let left = plan.unit.restore().err().map(|left| format!("; and {left}")).unwrap_or_default();
            return Err(Failed(format!("cannot stop {}: {why}{left}", plan.unit.name)));
        }
        Ok(Box::new(plan))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let plan: Plan = undo
            .plan()
            .map_err(|Failed(why)| UndoError { why, repair: format!("systemctl start {}", undo.object.name) })?;
        plan.unit.restore()
    }
}

impl Plan {
    fn proof(&self) -> Proof {
        let living = self.members.iter().filter(|member| member.is_alive()).count();
        let (achieved, stopped) = match self.unit.state() {
            Ok(state) => (state.words(), state.is_stopped()),
            Err(why) => (why.to_string(), false),
        };
        Proof {
            configured: format!("{} stopped", self.unit.name),
            achieved: format!("{achieved}; {living} of {} processes live", self.members.len()),
            holds: stopped && living == 0,
        }
    }
}

impl Injection for Plan {
    fn prove(&mut self, _: &Abort) -> Proof {
        self.proof()
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let proof = self.proof();
        Ok(Undone { cleanliness: self.unit.restore()?, proof: Some(proof) })
    }
}
