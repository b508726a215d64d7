//! `container:pause`: a container is frozen, as its runtime would.

use std::{fs, io, path::PathBuf, time::Duration};

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use super::{Container, TARGETS};
use crate::{
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "container:pause",
    about: "Freezes all processes of a container by its control group, as `docker pause` does, but without its runtime knowing; their connections stay open and say nothing. Where a container has no control group to itself, process:pause does it by tracing.",
    targets: TARGETS,
    parameters: &[DURATION],
    reversibility: Reversibility::Undoable,
    undone_by: "Its control group is thawed.",
    proven_by: "The kernel says that the group is frozen, and its processes use no CPU time.",
    needs: &[Need::Freezer],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct Pause;

/// The file that freezes, and its words.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    file: PathBuf,
    freeze: String,
    thaw: String,
    /// Where the kernel says whether all are frozen, and the line that says it.
    told: (PathBuf, String),
    init: Process,
}

/// Until all threads are frozen: one that waits for a disk is when it has its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Long enough for a process that runs to use some CPU time: a few slices of the scheduler.
const WINDOW: Duration = Duration::from_millis(30);

impl Fault for Pause {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, _: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let plan = Plan::of(Container::of(object)?).ok_or_else(|| {
            Refused(format!("{} has no control group to itself that can be frozen; use process:pause", object.name))
        })?;
        if plan.is_frozen() || plan.says(&plan.freeze) {
            return Err(Refused(format!("{} is frozen already", object.name)));
        }
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        fs::write(&plan.file, &plan.freeze).map_err(Failed::to(format_args!("freeze {}", undo.object.name)))?;
        Ok(Box::new(plan))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let plan: Plan =
            undo.plan().map_err(|Failed(why)| UndoError { why, repair: "docker unpause CONTAINER".to_owned() })?;
        plan.restore()
    }
}

impl Plan {
    /// By version 2 where there is one: what that has frozen can be killed, what version 1 has frozen cannot.
    fn of(container: Container) -> Option<Self> {
        let init = container.init;
        let words = |file, freeze: &str, thaw: &str, told| Self {
            file,
            freeze: freeze.to_owned(),
            thaw: thaw.to_owned(),
            told,
            init,
        };
        let unified = container.unified.filter(|folder| folder.join("cgroup.freeze").exists());
        if let Some(folder) = unified {
            let told = (folder.join("cgroup.events"), "frozen 1".to_owned());
            return Some(words(folder.join("cgroup.freeze"), "1", "0", told));
        }
        let file = container.freezer?.join("freezer.state");
        file.exists().then(|| words(file.clone(), "FROZEN", "THAWED", (file, "FROZEN".to_owned())))
    }

    fn says(&self, word: &str) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| text.trim() == word)
    }

    fn is_frozen(&self) -> bool {
        let (file, line) = &self.told;
        fs::read_to_string(file).is_ok_and(|text| text.lines().any(|own| own == line))
    }

    fn ticks(&self) -> u64 {
        self.init.members().into_iter().filter_map(Process::stat).map(|stat| stat.cpu_ticks).sum()
    }

    /// It was not frozen when it was planned, and is not now, or has gone.
    fn restore(&self) -> Result<Cleanliness, UndoError> {
        let repair = || format!("echo {} > {}", self.thaw, self.file.display());
        match fs::write(&self.file, &self.thaw) {
            Ok(()) => {}
            Err(why) if why.kind() == io::ErrorKind::NotFound || !self.file.exists() => return Ok(Cleanliness::Gone),
            Err(why) => return Err(UndoError { why: format!("it stays frozen: {why}"), repair: repair() }),
        }
        match Abort::default().until(PATIENCE, || (!self.is_frozen()).then_some(())) {
            Some(()) if self.init.is_alive() => Ok(Cleanliness::Clean),
            Some(()) => Ok(Cleanliness::Gone),
            None => Ok(Cleanliness::Dirty { residue: "its control group is frozen".to_owned(), repair: repair() }),
        }
    }
}

impl Injection for Plan {
    fn prove(&mut self, abort: &Abort) -> Proof {
        abort.until(PATIENCE, || self.is_frozen().then_some(()));
        let before = self.ticks();
        abort.until(WINDOW, || None::<()>);
        let worked = self.ticks() != before;
        let (frozen, members) = (self.is_frozen(), self.init.members().len());
        Proof {
            configured: "frozen".to_owned(),
            achieved: match (frozen, worked) {
                (true, false) => {
                    format!("{members} processes frozen, none used CPU time over {} ms", WINDOW.as_millis())
                }
                (true, true) => "frozen, though CPU time was used".to_owned(),
                (false, _) => "not all of its threads are frozen".to_owned(),
            },
            holds: frozen && !worked && members > 0,
        }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        // One that somebody has thawed meanwhile was not frozen to the end.
        let proof = Proof {
            configured: "frozen to the end".to_owned(),
            achieved: if self.is_frozen() { "frozen" } else { "thawed by somebody else" }.to_owned(),
            holds: self.is_frozen(),
        };
        Ok(Undone { cleanliness: self.restore()?, proof: Some(proof) })
    }
}
