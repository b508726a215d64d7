//! `process:restart`: processes end, and whoever looks after them starts others in their place.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf, time::Duration};

use model::{
    Period,
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::{Process, count, victims};
use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    object::{Kind, Object},
    ourselves,
    parameters::Checked,
    service,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "process:restart",
    about: "Ends processes of a target, in an orderly way or not, for whoever supervises them to start them again: a master process, a supervisor, the lab.",
    targets: TARGETS,
    parameters: &[
        Parameter {
            name: "process",
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Name of the processes, as `ps` or the file they run calls them; without it, the target's first process. That of a lab's instance the lab starts again.",
        },
        Parameter {
            name: "signal",
            kind: ParameterKind::OneOf { values: &["SIGTERM", "SIGKILL"] },
            required: false,
            default: Some("SIGTERM"),
            about: "SIGTERM gives them the chance to end by themselves before they get SIGKILL.",
        },
        Parameter {
            name: "grace",
            kind: ParameterKind::Duration { min_seconds: 1, max_seconds: 600 },
            required: false,
            default: Some("PT10S"),
            about: "How long after SIGTERM those that have not ended get SIGKILL.",
        },
        Parameter {
            name: "within",
            kind: ParameterKind::Duration { min_seconds: 1, max_seconds: 3600 },
            required: false,
            default: Some("PT30S"),
            about: "In which time others must have taken their places.",
        },
    ],
    reversibility: Reversibility::Irreversible,
    undone_by: "Whoever supervises them starts others; what they had in memory is lost. Where nobody would, it is refused.",
    proven_by: "All have ended, and in the place of each is another that runs: the same program with the same command line, started since by the same parent.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

/// How long a process may take to end after SIGKILL, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one that took a place must have run to count: one that cannot start ends at once.
const STEADY: Duration = Duration::from_millis(250);

pub(crate) struct Restart;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    signal: String,
    grace: Duration,
    within: Duration,
    places: Vec<Place>,
    /// Who did the same work before, and has taken nobody's place.
    others: Vec<Process>,
}

/// A process, and by what another is known that takes its place.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    process: Process,
    /// The nearest process it descends from that stays.
    supervisor: Process,
    program: PathBuf,
    command_line: String,
}

impl Fault for Restart {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let victims = victims(object, parameters.text("process"))?;
        let signal: String = parameters.read("signal")?;
        let places = victims.iter().map(|victim| Place::of(*victim, &victims, object, number(&signal)));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let others = Process::all()
            .into_iter()
            .filter(|other| !victims.contains(other) && places.iter().any(|place| place.suits(*other)))
            .collect();
        let time = |name| parameters.read::<Period>(name).map(Period::get);
        fault::written(&Plan { signal, grace: time("grace")?, within: time("within")?, places, others })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let signal = number(&plan.signal);
        let mut reached = 0;
        for Place { process, .. } in &plan.places {
            let sent = process.signal(signal);
            let sent = sent.map_err(Failed::to(format_args!("send {} to process {}", plan.signal, process.pid)))?;
            reached += usize::from(sent);
        }
        if reached == 0 {
            return Err(Failed("what was to be restarted had ended before".to_owned()));
        }
        Ok(Box::new(plan))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        Ok(undo.plan::<Plan>().map_or(Cleanliness::Gone, |plan| plan.cleanliness()))
    }
}

impl Place {
    fn of(process: Process, victims: &[Process], object: &Object, signal: Signal) -> Result<Self, Refused> {
        let shown = format!("process {} of {}", process.pid, object.name);
        if object.kind == Kind::Instance && object.process().is_ok_and(|first| first == process) {
            return Err(Refused(format!("{shown} is the instance: with it all of it ends; use instance:reboot")));
        }
        if is_init(process) {
            return Err(Refused(format!(
                "{shown} is the first one of its pid namespace, with which everything in there ends; use container:stop"
            )));
        }
        let unseen = |why| Refused(format!("{shown} cannot be looked at: {why}"));
        let supervisor = supervisor(process, victims)
            .ok_or_else(|| Refused(format!("{shown} has no parent that would start another in its place")))?;
        if ourselves::is_among(supervisor) {
            return Err(Refused(format!(
                "{shown} was started by this very process, or one that it was started by, which would not start another"
            )));
        }
        match service::comes_again(process, signal) {
            Some(true) => {}
            None if supervisor.pid != 1 => {}
            Some(false) => {
                return Err(Refused(format!(
                    "{shown} is the first one of a service whose unit does not start another after this signal \
                     (`Restart=`); use service:restart"
                )));
            }
            None => {
                return Err(Refused(format!(
                    "{shown} has no parent but process 1, and nothing says that this would start another in its place; \
                     process:kill ends it for good"
                )));
            }
        }
        Ok(Self {
            process,
            supervisor,
            program: fs::read_link(format!("/proc/{}/exe", process.pid)).map_err(unseen)?,
            command_line: command_line(process).map_err(unseen)?,
        })
    }

    /// Whether a process could be in its place.
    fn suits(&self, process: Process) -> bool {
        fs::read_link(format!("/proc/{}/exe", process.pid)).is_ok_and(|program| program == self.program)
            && command_line(process).is_ok_and(|line| line == self.command_line)
            && ancestors(process).any(|ancestor| ancestor == self.supervisor)
    }
}

/// One of the two that the parameter can be.
fn number(signal: &str) -> Signal {
    if signal == "SIGKILL" { Signal::KILL } else { Signal::TERM }
}

/// Who starts another when a process ends: the nearest that it descends from and that stays.
fn supervisor(process: Process, victims: &[Process]) -> Option<Process> {
    ancestors(process).find(|ancestor| !victims.contains(ancestor))
}

fn ancestors(process: Process) -> impl Iterator<Item = Process> {
    let parent = |process: &Process| Process::find(process.stat()?.parent).ok();
    std::iter::successors(parent(&process), move |ancestor| parent(ancestor))
}

fn is_init(process: Process) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    ids.split_whitespace().next_back() == Some("1")
}

fn command_line(process: Process) -> std::io::Result<String> {
    let line = fs::read(format!("/proc/{}/cmdline", process.pid))?;
    Ok(String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned())
}

impl Plan {
    fn living(&self) -> impl Iterator<Item = Process> {
        self.places.iter().map(|place| place.process).filter(|process| process.is_alive())
    }

    /// Who has taken the places, each one place.
    fn successors(&self) -> BTreeSet<i32> {
        let mut free: Vec<&Place> = self.places.iter().filter(|place| !place.process.is_alive()).collect();
        let is_new = |process: &Process| {
            !self.others.contains(process) && self.places.iter().all(|place| place.process != *process)
        };
        let mut taken = BTreeSet::new();
        for process in Process::all().into_iter().filter(is_new) {
            if let Some(at) = free.iter().position(|place| place.suits(process)) {
                free.swap_remove(at);
                taken.insert(process.pid);
            }
        }
        taken
    }

    fn cleanliness(&self) -> Cleanliness {
        // One that a predecessor has not killed in time lives, and is in its place.
        let filled = self.successors().len() + self.living().count();
        if filled == self.places.len() { Cleanliness::Clean } else { Cleanliness::Gone }
    }

    /// Ends those that SIGTERM has not.
    fn end_the_rest(&self, abort: &Abort) {
        let ended = || self.living().next().is_none().then_some(());
        if self.signal != "SIGKILL" && abort.until(self.grace, ended).is_none() && !abort.is_aborted() {
            for process in self.living() {
                // One that may not be signalled any more lives, which the proof says.
                process.signal(Signal::KILL).ok();
            }
        }
        abort.until(PATIENCE, ended);
    }
}

impl Injection for Plan {
    fn prove(&mut self, abort: &Abort) -> Proof {
        self.end_the_rest(abort);
        let all = self.places.len();
        let left = self.living().count();
        let mut achieved = if left == 0 { format!("{} ended", count(all)) } else { format!("{left} of {all} live") };
        let mut holds = left == 0;
        if holds {
            let filled = || Some(self.successors()).filter(|taken| taken.len() == all);
            let first = abort.until(self.within, filled).unwrap_or_default();
            abort.until(STEADY, || None::<()>);
            let steady = self.successors().intersection(&first).count();
            holds = steady == all;
            let within = self.within.as_secs();
            // Writing to a text does not fail.
            let _infallible = match (holds, first.len()) {
                (true, _) => write!(achieved, "; {} in their place", pids(&first)),
                (false, taken) if taken == all => write!(achieved, "; others took their places and ended at once"),
                (false, _) => {
                    let taken = self.successors().len();
                    write!(achieved, "; after {within} s {taken} of {all} places were taken")
                }
            };
        }
        Proof { configured: format!("{} restarted", count(all)), achieved, holds }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        Ok(Undone { cleanliness: self.cleanliness(), proof: None })
    }
}

fn pids(of: &BTreeSet<i32>) -> String {
    let shown: Vec<String> = of.iter().map(i32::to_string).collect();
    let word = if of.len() == 1 { "process" } else { "processes" };
    format!("{word} {}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn started(command: &mut Command) -> (Child, Process) {
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let process = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        (child, process)
    }

    #[test]
    fn what_nobody_would_start_again_is_refused() {
        let (mut child, process) = started(Command::new("sleep").arg("1000"));
        let object =
            Object { name: "sleep".to_owned(), pid: Some(process.pid), kind: Kind::Process, ..Object::default() };
        let nothing = std::collections::BTreeMap::new();
        let Refused(why) = Restart.plan(&object, Checked::new(&ENTRY, &nothing).unwrap()).unwrap_err();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(why.contains("would not start another"), "{why}");
    }

    #[test]
    fn the_supervisor_is_the_nearest_that_stays() {
        let (mut child, master) = started(Command::new("sh").args(["-c", "sleep 1000 & wait"]));
        while master.members().len() < 2 {
            std::thread::yield_now();
        }
        let worker = master.members()[1];
        let own = Process::own().unwrap();
        assert_eq!(supervisor(worker, &[worker]), Some(master));
        assert_eq!(supervisor(worker, &[worker, master]), Some(own));
        assert!(!is_init(worker));
        worker.signal(Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}
