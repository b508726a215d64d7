//! `container:kill`: all of a container ends at once.

use std::{fs, io, path::PathBuf, time::Duration};

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::{Container, TARGETS};
use crate::{
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    object::Object,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "container:kill",
    about: "Kills all processes of a container at once, behind its runtime's back: for the runtime it has crashed, and whatever its restart policy or an orchestrator does about that, happens.",
    targets: TARGETS,
    parameters: &[],
    reversibility: Reversibility::Irreversible,
    undone_by: "Nothing: its restart policy or an orchestrator has to replace it.",
    proven_by: "Every process that it had has ended.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &["aws:ecs:stop-task", "aws:eks:pod-delete"],
    chaos_mesh: Some("PodChaos container-kill"),
};

/// Until all have ended: the kernel kills at once, and takes back their memory, which may be much.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Kill;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// The file that kills a control group and those in it, where the kernel has it (Linux 5.14).
    switch: Option<PathBuf>,
    /// The first one first: with the init of a pid namespace all in there end.
    members: Vec<Process>,
}

impl Fault for Kill {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, _: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let container = Container::of(object)?;
        let switch = container.unified.map(|folder| folder.join("cgroup.kill")).filter(|file| file.exists());
        fault::written(&Plan { switch, members: container.init.members() })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let init = plan.members.first().filter(|init| init.is_alive());
        if init.is_none() {
            return Err(Failed(format!("{} had ended before", undo.object.name)));
        }
        plan.kill().map_err(Failed::to(format_args!("kill {}", undo.object.name)))?;
        Ok(Box::new(plan))
    }

    fn undo(&self, _: &Undo) -> Result<Cleanliness, UndoError> {
        Ok(Cleanliness::Gone)
    }
}

impl Plan {
    fn kill(&self) -> io::Result<()> {
        match &self.switch {
            Some(file) if file.exists() => fs::write(file, "1"),
            _ => self.members.iter().try_for_each(|member| member.signal(Signal::KILL).map(drop)),
        }
    }
}

impl Injection for Plan {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let living = || self.members.iter().filter(|member| member.is_alive()).count();
        abort.until(PATIENCE, || (living() == 0).then_some(()));
        let all = self.members.len();
        let by = if self.switch.is_some() { "by its control group" } else { "one by one" };
        Proof {
            configured: "all processes killed".to_owned(),
            achieved: format!("{} of {all} processes ended, {by}", all - living()),
            holds: living() == 0,
        }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        Ok(Undone { cleanliness: Cleanliness::Gone, proof: None })
    }
}
