//! `memory:oom`: the kernel ends a process for want of memory.
//!
//! The process is put into a control group of its own with little memory, and beside it a helper of ours that takes all of
//! that. The kernel must end one of the two, and is told which: by `oom_score_adj` the process counts as if it had all of the
//! group's memory besides its own, and what the helper takes counts in the group but in no process. There is nobody else in
//! the group whom it could choose.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    process::ChildStdout,
    time::Duration,
};

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use super::{available, mebibytes, resident, swap, total};
use crate::{
    TARGETS,
    cgroup::{Group, Version},
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{self, Ear, Helper, Job},
    load::Exhaust,
    object::Object,
    ourselves,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "memory:oom",
    about: "Lets memory run out around one process of a target, in a control group that has nobody else in it, so that the kernel ends it as it does when a machine or container has no more: with SIGKILL, and a line in the kernel's log. The machine itself never runs short.",
    targets: TARGETS,
    parameters: &[Parameter {
        name: "process",
        kind: ParameterKind::Text,
        required: false,
        default: None,
        about: "Name of the process, as `ps` or the file it runs calls it; without it, the one of the target that has most memory, as the kernel would choose. Of several with the name, that is the one.",
    }],
    reversibility: Reversibility::Irreversible,
    undone_by: "Nothing: the system has to replace what was lost. The control group is removed, and a process that has survived is back where it was.",
    proven_by: "The process has ended, and the kernel's own count says that it has ended one for want of memory in the group, where ours is the only other.",
    needs: &[Need::MemoryController],
    exclusive: &[Claim::on(Exclusive::MemoryLimit)],
    fis: &[],
    chaos_mesh: None,
};

/// What the group has: several times what a helper of ours has in memory itself, which alone would count against it.
const LIMIT: u64 = 128 << 20;
/// The helper takes no more, should the limit be none.
const MOST: u64 = LIMIT + (16 << 20);
/// What the machine keeps beside that, in percent of its memory.
const RESERVE: u64 = 5;
/// The kernel's highest score: as if the process had all of the group's memory besides its own.
const FIRST: i32 = 1000;
/// Taking the memory is a matter of tenths of a second; a process with very much needs some seconds to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the helper to say that it lives, or to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(crate) struct MemoryOom;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    victim: Process,
    name: String,
    /// Its score before.
    score: i32,
    group: Group,
}

impl Fault for MemoryOom {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let among = match parameters.text("process") {
            Some(name) => object.processes_named(name)?,
            None => object.process()?.members(),
        };
        let among = among.into_iter().filter(|process| !helper::is_one(*process));
        let victim = among
            .max_by_key(|process| resident(process.pid))
            .ok_or_else(|| Refused(format!("{} is not running", object.name)))?;
        if ourselves::is_among(victim) {
            let why = "is this very process, or one that it was started by";
            return Err(Refused(format!("process {} of {} {why}", victim.pid, object.name)));
        }
        let unreadable = |why| Refused(format!("the OOM score of process {} cannot be read: {why}", victim.pid));
        let score = score_of(victim).map_err(unreadable)?;
        let mut group = Group::around(victim, "memory")?;
        let swaps = swap().is_some_and(|swap| swap > 0);
        match group.version {
            Version::One => {
                group.limit("memory.limit_in_bytes", LIMIT.to_string())?;
                // What could be put away would fill the machine's swap before anybody is ended.
                group.limit("memory.swappiness", "0".to_owned())?;
            }
            Version::Two => {
                group.limit("memory.max", LIMIT.to_string())?;
                if swaps {
                    group.limit("memory.swap.max", "0".to_owned())?;
                }
            }
        }
        leaves_others_alone(object, &group)?;
        let name = victim.names().into_iter().next().unwrap_or_default();
        fault::written(&Plan { victim, name, score, group })
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let begun = plan.begin(undo, tools);
        match begun {
            Ok((helper, ear)) => Ok(Box::new(Live { plan, object: undo.object.clone(), helper, ear })),
            Err(Failed(why)) => Err(match plan.take_back(&undo.object) {
                Ok(_) => Failed(why),
                Err(left) => Failed(format!("{why}; and {left}")),
            }),
        }
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        crate::stress::undo_record(undo)?;
        let plan: Plan = undo.plan().map_err(|Failed(why)| UndoError {
            why,
            repair: "look for control groups named shaketable-*, move their processes out and remove them".to_owned(),
        })?;
        plan.take_back(&undo.object)
    }
}

/// Refuses when the memory would run out elsewhere first: in a group around this one, or on the machine.
fn leaves_others_alone(object: &Object, group: &Group) -> Result<(), Refused> {
    let others = "others than it would be ended";
    let room = group.room_around();
    if room < MOST {
        return Err(Refused(format!(
            "a control group around {} leaves {}, and {} are needed: {others}",
            object.name,
            mebibytes(room),
            mebibytes(MOST)
        )));
    }
    let needed = MOST + total().unwrap_or_default() / 100 * RESERVE;
    match available() {
        Some(available) if available >= needed => Ok(()),
        available => Err(Refused(format!(
            "the machine has {} available, and {} are needed with a reserve of {RESERVE} %: {others}",
            mebibytes(available.unwrap_or_default()),
            mebibytes(needed)
        ))),
    }
}

impl Plan {
    fn begin(&self, undo: &Undo, tools: &Tools) -> Result<(Helper, Ear<ChildStdout>), Failed> {
        let what = format!("make process {} the first that the kernel ends", self.victim.pid);
        if !set_score(self.victim, FIRST).map_err(Failed::to(what))? {
            return Err(Failed(format!("process {} has ended before", self.victim.pid)));
        }
        self.group.enter_alone(&undo.object)?;
        // In no pid namespace that may end with the process.
        let job = Job::Exhaust(Exhaust { group: self.group.folder.clone(), most: MOST });
        Helper::start_to_hear(tools, &job, undo.token, None)
    }

    /// Gives everything back that is not lost. Whom the process has started meanwhile has inherited its score.
    fn take_back(&self, object: &Object) -> Result<Cleanliness, UndoError> {
        let others = self.group.members().into_iter().filter(|process| !helper::is_one(*process));
        for process in others.chain([self.victim]) {
            let back = score_of(process).is_ok_and(|now| now == FIRST && now != self.score);
            if back && let Err(why) = set_score(process, self.score) {
                let pid = process.pid;
                return Err(UndoError {
                    why: format!("process {pid} stays the first that the kernel ends for want of memory: {why}"),
                    repair: format!("echo {} > /proc/{pid}/oom_score_adj", self.score),
                });
            }
        }
        self.group.leave(object)
    }
}

fn score_of(process: Process) -> io::Result<i32> {
    let text = fs::read_to_string(format!("/proc/{}/oom_score_adj", process.pid))?;
    text.trim().parse().map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Sets the score of a process; `false`: it has ended.
fn set_score(process: Process, score: i32) -> io::Result<bool> {
    let gone = |why: &io::Error| why.kind() == io::ErrorKind::NotFound || !process.is_alive();
    let set =
        OpenOptions::new().write(true).open(format!("/proc/{}/oom_score_adj", process.pid)).and_then(|mut file| {
            // The file is that of whoever had the number when it was opened: if it lives now, it was this one.
            if process.is_alive() { file.write_all(score.to_string().as_bytes()).map(|()| true) } else { Ok(false) }
        });
    set.or_else(|why| if gone(&why) { Ok(false) } else { Err(why) })
}

struct Live {
    plan: Plan,
    object: Object,
    helper: Helper,
    ear: Ear<ChildStdout>,
}

impl Live {
    /// How many processes the kernel has ended in the group but for our own: that one says that it lives, unless it was one of
    /// them.
    fn killed(&mut self) -> u64 {
        self.helper.release();
        let ours = match self.ear.next(LAST_WORDS) {
            Ok(Some(_)) => 0,
            // It may still be about to end, and the count not say so yet; nothing can be said of the other then.
            Ok(None) | Err(_) => 1,
        };
        self.plan.group.killed().saturating_sub(ours)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let Plan { victim, name, .. } = self.plan.clone();
        let over = || !victim.is_alive() || !self.helper.process.is_alive();
        abort.until(PATIENCE, || over().then_some(()));
        let killed = self.killed();
        let ended = !victim.is_alive();
        // It is over; whoever it has started is not to stay where it was. What fails now is tried again, and told, in the end.
        self.helper.end();
        self.plan.take_back(&self.object).ok();
        let pid = victim.pid;
        let achieved = match (ended, killed) {
            (true, 0) => format!("process {pid} ended, but not by the kernel's hand"),
            (true, _) => format!("the kernel has ended process {pid}"),
            (false, _) => format!("process {pid} runs on"),
        };
        Proof {
            configured: format!("process {pid} ({name}) ended by the kernel for want of memory"),
            achieved,
            holds: ended && killed > 0,
        }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        self.helper.end();
        Ok(Undone { cleanliness: self.plan.take_back(&self.object)?, proof: None })
    }
}
