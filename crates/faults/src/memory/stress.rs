//! `memory:stress`: somebody else uses the memory.

use std::time::{Duration, Instant};

use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};

use crate::{
    TARGETS_AND_MACHINES,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::Job,
    load::{CHUNK, Memory},
    memory::{self, mebibytes, resident},
    network::DURATION,
    object::Object,
    parameters::{Checked, Size},
    ramp::{RAMP, Ramp, STEPS, Watch},
    stress::{self, Load},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "memory:stress",
    about: "Holds memory, beside the processes of a target.",
    targets: TARGETS_AND_MACHINES,
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
            about: "How much: of the target's nominal memory (80%), or an amount (512MiB).",
        },
        RAMP,
        STEPS,
        Parameter {
            name: "reserve",
            kind: ParameterKind::Size,
            required: false,
            default: Some("5%"),
            about: "What stays available on the machine whatever is asked for: of its memory (5%), or an amount.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The process that holds it ends; it does so by itself when this one or the instance dies, and the kernel would end it first.",
    proven_by: "The resident memory of the process, as the kernel counts it: at the beginning, part by part while it rises, and at the end.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Memory-Stress"],
    chaos_mesh: Some("StressChaos memory"),
};

pub(crate) struct MemoryStress;

struct Live {
    load: Load,
    plan: Memory,
    begun: Instant,
    rise: Option<Watch<u64>>,
}

impl Fault for MemoryStress {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        object.company()?;
        let bytes = memory::asked_for(object, parameters)?;
        let unknown = || Refused("how much memory this machine has cannot be read from /proc/meminfo".to_owned());
        let (available, total) = memory::available().zip(memory::total()).ok_or_else(unknown)?;
        let reserve = parameters.read::<Size>("reserve")?.of(total);
        if bytes > available.saturating_sub(reserve) {
            return Err(Refused(format!(
                "{} are asked for and the machine has {} available, of which {} stay free: others would suffer; give a smaller size",
                mebibytes(bytes),
                mebibytes(available),
                mebibytes(reserve)
            )));
        }
        let workers = parameters.read("workers")?;
        fault::written(&Memory { bytes, workers, ramp: Ramp::plan(parameters)?, reserve })
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Memory = undo.plan()?;
        let load = Load::start(undo, tools, &Job::Memory(plan))?;
        let (begun, process) = (Instant::now(), load.process());
        let rise = Watch::start(plan.ramp, begun, move || process.is_alive().then(|| resident(process.pid)).flatten())?;
        Ok(Box::new(Live { load, plan, begun, rise }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        stress::undo_record(undo)
    }
}

/// Filling takes a third of a second per gigabyte, on a busy machine some times that.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is watched at the beginning of its rise, at least.
const FIRST: Duration = Duration::from_millis(500);
/// How late it may be while it rises.
const LATE: Duration = Duration::from_secs(1);

impl Live {
    fn configured(&self) -> String {
        format!("{} held{}", mebibytes(self.plan.bytes), self.plan.ramp)
    }

    fn held(&self) -> Option<u64> {
        let process = self.load.process();
        process.is_alive().then(|| resident(process.pid)).flatten()
    }

    /// What must be held by now.
    fn wanted(&self) -> u64 {
        let at = self.begun.elapsed();
        if self.plan.ramp.is_there() {
            let level = self.plan.ramp.level(at.saturating_sub(LATE)) * 100.0;
            Size::Percent(level).of(self.plan.bytes)
        } else {
            // The program itself has some, so that all of what is asked for is there when that much is.
            self.plan.bytes
        }
    }

    /// Whether others have taken so much meanwhile that it grows no more.
    fn is_starved(&self) -> bool {
        memory::available().is_some_and(|available| available < self.plan.reserve + CHUNK as u64)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        if self.plan.ramp.is_there() {
            abort.until(FIRST, || None::<()>);
        }
        let mut held = None;
        let all = abort.until(PATIENCE, || {
            held = self.held();
            let there = held.is_some_and(|held| held >= self.wanted());
            // It is there, or it never will be.
            (there || held.is_none() || self.is_starved()).then_some(there)
        });
        let starved =
            if all == Some(false) && self.is_starved() { ", and the rest is the machine's reserve" } else { "" };
        let achieved = match held {
            None => "the load has ended".to_owned(),
            Some(held) if self.plan.ramp.is_there() => {
                format!("{} resident at its beginning{starved}", mebibytes(held))
            }
            Some(held) => format!("{} resident{starved}", mebibytes(held)),
        };
        Proof { configured: self.configured(), achieved, holds: all == Some(true) }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let (held, wanted) = (self.held(), self.wanted());
        let rise = self.rise.take().map(Watch::end).unwrap_or_default();
        let rise: Vec<String> = rise.into_iter().map(|seen| (seen >> 20).to_string()).collect();
        let rise = if rise.is_empty() { String::new() } else { format!("rose to {} MiB, ", rise.join(", ")) };
        let proof = Proof {
            configured: self.configured(),
            achieved: held.map_or_else(
                || "it ended before it was undone".to_owned(),
                |held| format!("{rise}{} resident to the end", mebibytes(held)),
            ),
            holds: held.is_some_and(|held| held >= wanted),
        };
        Ok(Undone { cleanliness: self.load.end(), proof: Some(proof) })
    }
}
