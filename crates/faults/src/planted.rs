//! Faults for tests alone: they do not end by themselves, and misbehave as told.

use std::{fs, path::PathBuf};

use model::{
    catalogue::{Entry, Reversibility},
    event::{Cleanliness, Proof},
};
use rustix::process::Signal;

use crate::{
    TARGETS,
    fault::{Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    object::Object,
    parameters::Checked,
};

/// What tests may inject besides the catalogue.
pub(crate) const PLANTED: &[&dyn Fault] = &[&Stop, &Stubborn, &Leak];

const fn entry(id: &'static str) -> Entry {
    Entry {
        id,
        about: "For tests.",
        targets: TARGETS,
        parameters: &[],
        reversibility: Reversibility::Undoable,
        undone_by: "Sends SIGCONT.",
        proven_by: "Nothing.",
        needs: &[],
        exclusive: &[],
        fis: &[],
        chaos_mesh: None,
    }
}

/// Stops the object's process with a signal: it stays stopped, whoever dies.
pub(crate) struct Stop;
/// The same, and cannot be undone while there is the file of which the object is called.
pub(crate) struct Stubborn;
/// The same, and leaves something behind.
pub(crate) struct Leak;

const STOP: Entry = entry("test:stop");
const STUBBORN: Entry = entry("test:stubborn");
const LEAK: Entry = entry("test:leak");

fn stop(undo: &Undo) -> Result<Box<dyn Injection>, Failed> {
    let process = undo.object.process().map_err(|Refused(why)| Failed(why))?;
    process.signal(Signal::STOP).map_err(Failed::to("stop it"))?;
    Ok(Box::new(Stopped(undo.clone())))
}

fn go_on(undo: &Undo) -> Result<Cleanliness, UndoError> {
    let Ok(process) = undo.object.process() else { return Ok(Cleanliness::Gone) };
    let sent = process.signal(Signal::CONT);
    sent.map_err(|why| UndoError { why: why.to_string(), repair: format!("kill -CONT {}", process.pid) })?;
    Ok(Cleanliness::Clean)
}

struct Stopped(Undo);

impl Injection for Stopped {
    fn prove(&mut self, _: &Abort) -> Proof {
        Proof { configured: "stopped".to_owned(), achieved: "stopped".to_owned(), holds: true }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let cleanliness = crate::recovery::undo_record(&self.0)?;
        Ok(Undone { cleanliness, proof: None })
    }
}

impl Fault for Stop {
    fn entry(&self) -> &'static Entry {
        &STOP
    }

    fn plan(&self, object: &Object, _: Checked<'_>) -> Result<serde_json::Value, Refused> {
        object.process()?;
        Ok(serde_json::Value::Null)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        stop(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        go_on(undo)
    }
}

impl Fault for Stubborn {
    fn entry(&self) -> &'static Entry {
        &STUBBORN
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        Stop.plan(object, parameters)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        stop(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let obstacle = PathBuf::from(&undo.object.name);
        if obstacle.exists() {
            // For the test to see that it was tried.
            fs::write(obstacle.with_extension("tried"), "").ok();
            return Err(UndoError { why: "the file is there".to_owned(), repair: format!("rm {}", undo.object.name) });
        }
        go_on(undo)
    }
}

impl Fault for Leak {
    fn entry(&self) -> &'static Entry {
        &LEAK
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        Stop.plan(object, parameters)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        stop(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        Ok(match go_on(undo)? {
            Cleanliness::Gone => Cleanliness::Gone,
            _ => Cleanliness::Dirty { residue: "a puddle".to_owned(), repair: "mop it up".to_owned() },
        })
    }
}
