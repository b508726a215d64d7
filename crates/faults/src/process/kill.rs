//! `process:kill`: a signal that ends processes.

use std::time::Duration;

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use super::{Process, count, signals, victims};
use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "process:kill",
    about: "Sends the processes of a target a signal that ends them.",
    targets: TARGETS,
    parameters: &[
        Parameter {
            name: "process",
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Name of the processes to kill, as `ps` or the file they run calls them; without it, the target's first process.",
        },
        Parameter {
            name: "signal",
            kind: ParameterKind::OneOf { values: &["SIGTERM", "SIGKILL", "SIGINT", "SIGQUIT", "SIGHUP", "SIGABRT"] },
            required: false,
            default: Some("SIGTERM"),
            about: "The signal. All but SIGKILL can be caught or ignored, and then the fault is not achieved.",
        },
    ],
    reversibility: Reversibility::Irreversible,
    undone_by: "Nothing: the system has to replace what was lost.",
    proven_by: "Each process that got the signal has ended.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Kill-Process"],
    chaos_mesh: Some("PodChaos container-kill"),
};

/// How long a process may take to end after the signal: one that shuts down in an orderly way finishes what it is doing.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Kill;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    signal: String,
    victims: Vec<Process>,
}

impl Fault for Kill {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let victims = victims(object, parameters.text("process"))?;
        let signal = parameters.read("signal")?;
        fault::written(&Plan { signal, victims })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let known =
            signals::named(&plan.signal).ok_or_else(|| Failed(format!("no signal is named {}", plan.signal)))?;
        let mut reached = Vec::new();
        for victim in plan.victims {
            let sent = victim.signal(known.signal);
            if sent.map_err(Failed::to(format_args!("send {} to process {}", plan.signal, victim.pid)))? {
                reached.push(victim);
            }
        }
        // Those that had ended by themselves were not killed.
        if reached.is_empty() {
            return Err(Failed(format!("what was to get {} had ended before", plan.signal)));
        }
        Ok(Box::new(Plan { victims: reached, ..plan }))
    }

    fn undo(&self, _: &Undo) -> Result<Cleanliness, UndoError> {
        Ok(Cleanliness::Gone)
    }
}

impl Injection for Plan {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let living = || self.victims.iter().filter(|victim| victim.is_alive()).count();
        abort.until(PATIENCE, || (living() == 0).then_some(()));
        let left = living();
        Proof {
            configured: format!("{} to {} of the target", self.signal, count(self.victims.len())),
            achieved: match left {
                0 => format!("{} ended", count(self.victims.len())),
                _ => format!("{left} of {} did not end within {} s", count(self.victims.len()), PATIENCE.as_secs()),
            },
            holds: left == 0,
        }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        Ok(Undone { cleanliness: Cleanliness::Gone, proof: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killing_what_has_ended_already_fails() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let victim = Process { pid, started: 1 };
        child.wait().unwrap();
        let plan = fault::written(&Plan { signal: "SIGKILL".to_owned(), victims: vec![victim] }).unwrap();
        let undo = Undo { fault: ENTRY.id.to_owned(), token: 0, object: Object::default(), plan };
        let tools = Tools { program: crate::Program::of("nothing".into()) };
        assert!(Kill.inject(&undo, &tools).err().is_some_and(|why| why.0.contains("had ended")));
    }
}
