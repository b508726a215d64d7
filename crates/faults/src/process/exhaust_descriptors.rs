//! `process:exhaust-descriptors`: processes can open nothing any more.

use std::{collections::BTreeSet, fs, io};

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper,
    network::DURATION,
    object::Object,
    ourselves,
    parameters::Checked,
    process::Process,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "process:exhaust-descriptors",
    about: "Lets a target's processes open no more files and connections than they have: what would open another fails with EMFILE.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "leave",
            kind: ParameterKind::Integer { min: 0, max: 1_000_000 },
            required: false,
            default: Some("0"),
            about: "How many more each may open.",
        },
        Parameter {
            name: "process",
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Name of the processes that are hit; without it, all of the target.",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: "The limit (RLIMIT_NOFILE, the soft one) of each process is what it was; that of those which they started meanwhile, too.",
    proven_by: "The limits that the kernel says are in force, and the descriptors in use below them.",
    needs: &[Need::Signal],
    exclusive: &[Claim::on_part(Exclusive::DescriptorLimit, "process")],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct ExhaustDescriptors;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    victims: Vec<Victim>,
    leave: u64,
}

/// A process, its limit before, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Victim {
    process: Process,
    before: u64,
    limit: u64,
}

impl Fault for ExhaustDescriptors {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let processes = match parameters.text("process") {
            None => object.process()?.members(),
            Some(name) => object.processes_named(name)?,
        };
        let leave = parameters.read("leave")?;
        let mut victims = Vec::new();
        for process in processes.into_iter().filter(|process| !helper::is_one(*process)) {
            if ourselves::is_among(process) {
                return Err(Refused(format!(
                    "{} has this very process among its processes, or one that it was started by, which needs its descriptors",
                    object.name
                )));
            }
            match Victim::choose(process, leave) {
                Ok(victim) => victims.push(victim),
                Err(_) if !process.is_alive() => {}
                Err(why) => {
                    return Err(Refused(format!("the descriptors of process {} cannot be seen: {why}", process.pid)));
                }
            }
        }
        if victims.iter().all(|victim| !victim.is_hit()) {
            return Err(Refused(format!("no process of {} may open more than that already", object.name)));
        }
        fault::written(&Plan { victims, leave })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let limited = plan.victims.iter().filter(|victim| victim.is_hit()).try_for_each(|victim| {
            set(victim.process, victim.limit).map_err(Failed::to(format_args!("limit process {}", victim.process.pid)))
        });
        if let Err(why) = limited {
            restore(&plan, &undo.object).map_err(|left| Failed(format!("{}; and {left}", why.0)))?;
            return Err(why);
        }
        Ok(Box::new(Live { plan, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let plan: Plan = undo.plan().map_err(|Failed(why)| UndoError {
            why,
            repair: "prlimit --nofile=SOFT: --pid PID, for the processes of the target".to_owned(),
        })?;
        restore(&plan, &undo.object)
    }
}

impl Victim {
    fn choose(process: Process, leave: u64) -> io::Result<Self> {
        let (soft, _) = limits(process)?;
        // One that may open fewer as it is stays as it is; on record, so that it is told from what is started later.
        Ok(Self { process, before: soft, limit: bound(&descriptors(process)?, leave).min(soft) })
    }

    const fn is_hit(&self) -> bool {
        self.limit != self.before
    }
}

/// The limit below which so many numbers are free: the kernel gives away the lowest.
fn bound(used: &BTreeSet<u64>, leave: u64) -> u64 {
    let mut free = leave;
    let mut limit = 0;
    for used in used {
        let gap = used - limit;
        if gap > free {
            break;
        }
        free -= gap;
        limit = used + 1;
    }
    limit + free
}

/// How many of the numbers below a limit are in use.
fn in_use(process: Process, limit: u64) -> u64 {
    descriptors(process).map_or(0, |used| used.range(..limit).count() as u64)
}

/// The numbers of a process's descriptors.
fn descriptors(process: Process) -> io::Result<BTreeSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{}/fd", process.pid))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The soft and the hard limit in force; the latter may be none.
fn limits(process: Process) -> io::Result<(u64, Option<u64>)> {
    let text = fs::read_to_string(format!("/proc/{}/limits", process.pid))?;
    parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its limits cannot be read"))
}

fn parse(text: &str) -> Option<(u64, Option<u64>)> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_whitespace();
    let soft = numbers.next()?.parse().ok()?;
    let hard = numbers.next()?;
    Some((soft, if hard == "unlimited" { None } else { Some(hard.parse().ok()?) }))
}

/// Sets the soft limit. A process that has ended needs none.
fn set(process: Process, soft: u64) -> io::Result<()> {
    let (_, maximum) = match limits(process) {
        Ok(limits) => limits,
        Err(_) if !process.is_alive() => return Ok(()),
        Err(why) => return Err(why),
    };
    let Some(pid) = Pid::from_raw(process.pid).filter(|_| process.is_alive()) else { return Ok(()) };
    match prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(soft), maximum }) {
        Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(why) => Err(why.into()),
    }
}

/// Gives every process its limit back, and those that were started meanwhile the one of who started them. A limit that somebody
/// else has set since stays.
fn restore(plan: &Plan, object: &Object) -> Result<Cleanliness, UndoError> {
    let heir = |process: Process| {
        let (soft, _) = limits(process).ok()?;
        let own = plan.victims.iter().find(|victim| victim.process == process);
        let parent = || {
            let mut ancestor = process.stat()?.parent;
            while ancestor > 1 {
                if let Some(found) = plan.victims.iter().find(|victim| victim.process.pid == ancestor) {
                    return Some(found);
                }
                ancestor = Process::find(ancestor).ok()?.stat()?.parent;
            }
            plan.victims.iter().find(|victim| victim.is_hit() && victim.limit == soft)
        };
        let victim = own.or_else(parent)?;
        (victim.is_hit() && victim.limit == soft).then_some((process, victim.before))
    };
    let left = || {
        let members = object.process().map(Process::members).unwrap_or_default();
        let all = plan.victims.iter().map(|victim| victim.process).chain(members);
        all.filter(|process| process.is_alive()).find_map(heir)
    };
    // One that starts others meanwhile hands its limit on until its own is back: so again, until there is none.
    let mut patience = plan.victims.len() * 2 + 1000;
    while let Some((process, before)) = left() {
        let repair = || format!("prlimit --nofile={before}: --pid {}", process.pid);
        let error = |why: String| UndoError { why, repair: repair() };
        patience = patience.checked_sub(1).ok_or_else(|| {
            error(format!("{} starts processes faster than they are given their limits back", object.name))
        })?;
        set(process, before).map_err(|why| error(format!("process {} keeps its limit: {why}", process.pid)))?;
    }
    Ok(if object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean })
}

struct Live {
    plan: Plan,
    object: Object,
}

impl Live {
    fn proof(&self) -> Proof {
        let hit = || self.plan.victims.iter().filter(|victim| victim.is_hit());
        let living: Vec<&Victim> = hit().filter(|victim| victim.process.is_alive()).collect();
        let limited = living.iter().filter(|victim| limits(victim.process).is_ok_and(|(soft, _)| soft == victim.limit));
        let limited = limited.count();
        let free: u64 =
            living.iter().map(|victim| victim.limit.saturating_sub(in_use(victim.process, victim.limit))).sum();
        let each = if self.plan.leave == 0 { "no more".to_owned() } else { format!("{} more", self.plan.leave) };
        Proof {
            configured: format!("{each} descriptors for {} processes", hit().count()),
            achieved: format!("{limited} of {} processes limited, {free} descriptors free in all", living.len()),
            holds: limited == living.len() && !living.is_empty(),
        }
    }
}

impl Injection for Live {
    fn prove(&mut self, _: &Abort) -> Proof {
        self.proof()
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let proof = self.proof();
        Ok(Undone { cleanliness: restore(&self.plan, &self.object)?, proof: Some(proof) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_the_gaps() {
        let used = |numbers: &[u64]| numbers.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(bound(&used(&[0, 1, 2]), 0), 3);
        assert_eq!(bound(&used(&[0, 1, 2]), 5), 8);
        assert_eq!(bound(&used(&[0, 2, 9]), 0), 1);
        assert_eq!(bound(&used(&[0, 2, 9]), 1), 3);
        assert_eq!(bound(&used(&[0, 2, 9]), 7), 10);
        assert_eq!(bound(&used(&[0, 2, 9]), 8), 11);
        assert_eq!(bound(&used(&[]), 0), 0);
    }

    #[test]
    fn limits_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(parse(text), Some((1024, Some(524_288))));
        assert_eq!(parse(&text.replace("524288", "unlimited")), Some((1024, None)));
        assert_eq!(parse(""), None);
    }
}
