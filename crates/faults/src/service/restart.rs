//! `service:restart`: a unit of the service manager goes and comes again.

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use super::{State, TARGETS, Unit};
use crate::{
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "service:restart",
    about: "Restarts a service as `systemctl restart` does: it is stopped, in the way that its unit says, and started again at once.",
    targets: TARGETS,
    parameters: &[],
    reversibility: Reversibility::Irreversible,
    undone_by: "It comes up again by itself, without what it had in memory; if it does not, it is started once more.",
    proven_by: "Its manager says that it is active in another invocation with another first process.",
    needs: &[Need::ServiceManager],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct Restart;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    unit: Unit,
    invocation: Vec<u8>,
    main: u64,
}

struct Restarted {
    plan: Plan,
    now: State,
}

impl Fault for Restart {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, _: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let unit = Unit::plan(object)?;
        let State { invocation, main, .. } = unit.state().map_err(|why| Refused(why.to_string()))?;
        fault::written(&Plan { unit, invocation, main })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        match plan.unit.job("RestartUnit", &Abort::default()) {
            Ok(now) => Ok(Box::new(Restarted { plan, now })),
            Err(why) => {
                let left = plan.unit.restore().err().map(|left| format!("; and {left}")).unwrap_or_default();
                Err(Failed(format!("cannot restart {}: {why}{left}", plan.unit.name)))
            }
        }
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let plan: Plan = undo
            .plan()
            .map_err(|Failed(why)| UndoError { why, repair: format!("systemctl start {}", undo.object.name) })?;
        plan.unit.restore()
    }
}

impl Injection for Restarted {
    fn prove(&mut self, _: &Abort) -> Proof {
        let Self { plan, now } = self;
        let another = now.invocation != plan.invocation && now.main != plan.main;
        Proof {
            configured: format!("{} restarted", plan.unit.name),
            achieved: format!("before: active, process {}; now: {}", plan.main, now.words()),
            holds: now.is_active() && another,
        }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        Ok(Undone { cleanliness: self.plan.unit.restore()?, proof: None })
    }
}
