//! `memory:stress`: somebody else uses the memory.

use std::{fs, time::Duration};

use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{Helper, Job},
    load::Memory,
    network::DURATION,
    object::Object,
    parameters::{Checked, Size},
    stress,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "memory:stress",
    about: "Holds memory, beside the processes of an instance.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "workers",
            kind: ParameterKind::Integer { min: 1, max: 128 },
            required: false,
            default: Some("1"),
            about: "How many threads hold it, together.",
        },
        Parameter {
            name: "size",
            kind: ParameterKind::Size,
            required: false,
            default: Some("80%"),
            about: "How much: of the instance's nominal memory (80%), or an amount (512MiB).",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The process that holds it ends; it does so by itself when this one or the instance dies, and the kernel would end it first.",
    proven_by: "The resident memory of the process, as the kernel counts it.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Memory-Stress"],
    chaos_mesh: Some("StressChaos memory"),
};

pub(crate) struct MemoryStress;

struct Live {
    helper: Helper,
    plan: Memory,
    peak: u64,
    object: Object,
}

impl Fault for MemoryStress {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        object.process()?;
        let size: Size = parameters.read("size")?;
        if matches!(size, Size::Percent(_)) && object.memory_bytes == 0 {
            return Err(Refused(format!(
                "how much memory {} has is not known; give an amount, such as 512MiB",
                object.name
            )));
        }
        let plan = Memory { bytes: size.of(object.memory_bytes), workers: parameters.read("workers")? };
        if let Some(available) = available().filter(|available| plan.bytes > *available / 20 * 19) {
            return Err(Refused(format!(
                "{} are asked for and the machine has {} available, of which 5 % stay free: others would suffer; give a smaller size",
                mebibytes(plan.bytes),
                mebibytes(available)
            )));
        }
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Memory = undo.plan()?;
        let inside = undo.object.process().map_err(|Refused(why)| Failed(why))?;
        let helper = Helper::start(tools, &Job::Memory(plan), undo.token, Some(inside))?;
        Ok(Box::new(Live { helper, plan, peak: 0, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        stress::undo_record(undo)
    }
}

/// Filling takes a third of a second per gigabyte, on a busy machine some times that.
const PATIENCE: Duration = Duration::from_secs(60);

impl Live {
    fn configured(&self) -> String {
        format!("{} held", mebibytes(self.plan.bytes))
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let wanted = self.plan.bytes;
        // The program itself has some, so that all of what is asked for is there when that much is.
        let all = abort.until(PATIENCE, || {
            let held = self.helper.process.is_alive().then(|| resident(self.helper.process.pid)).flatten();
            self.peak = self.peak.max(held.unwrap_or(0));
            // It is there, or it never will be.
            (held.is_none() || self.peak >= wanted).then_some(())
        });
        let holds = all.is_some() && self.peak >= wanted;
        Proof { configured: self.configured(), achieved: format!("{} resident", mebibytes(self.peak)), holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let held = self.helper.process.is_alive().then(|| resident(self.helper.process.pid)).flatten();
        let proof = Proof {
            configured: self.configured(),
            achieved: held.map_or_else(
                || "it ended before it was undone".to_owned(),
                |held| format!("{} resident to the end", mebibytes(held)),
            ),
            holds: held.is_some_and(|held| held >= self.plan.bytes),
        };
        Ok(Undone { cleanliness: stress::end(&mut self.helper, &self.object), proof: Some(proof) })
    }
}

fn resident(pid: i32) -> Option<u64> {
    kibibytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

fn available() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

/// A line such as `VmRSS:   1234 kB`, in bytes.
fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
