//! `disk:latency`: what a target does to the files of a folder takes longer.

use std::time::Duration;

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    disk::calls::{self, AFFECTED, Order, PATH, PERCENT, PROCESS, UNDONE_BY},
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    intercept::Effect,
    network::DURATION,
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "disk:latency",
    about: "Delays what a target's processes do to the files of a folder, also to files that are open already; with `operations: sync`, a slow fsync. What needs no system call (mapped memory) or is queued for the kernel (io_uring) is not reached.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        PATH,
        AFFECTED,
        Parameter {
            name: "delayMilliseconds",
            kind: ParameterKind::Number { min: 1.0, max: 5000.0 },
            required: false,
            default: Some("100"),
            about: "How much later the operation begins.",
        },
        Parameter {
            name: "jitterMilliseconds",
            kind: ParameterKind::Number { min: 0.0, max: 5000.0 },
            required: false,
            default: Some("0"),
            about: "By how much that varies, evenly to both sides; at most the delay.",
        },
        PERCENT,
        PROCESS,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: UNDONE_BY,
    proven_by: "Operations of a probe in the same folder, whose calls go the way of the target's, take so much longer; and every thread of the target is intercepted.",
    needs: &[Need::Ptrace, Need::SystemCalls],
    exclusive: &[Claim::on_part(Exclusive::Tracer, "process")],
    fis: &[],
    chaos_mesh: Some("IOChaos latency"),
};

pub(crate) struct DiskLatency;

impl Fault for DiskLatency {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let time = |name| parameters.read::<f64>(name).map(|millis| Duration::from_secs_f64(millis / 1e3));
        let (delay, jitter) = (time("delayMilliseconds")?, time("jitterMilliseconds")?);
        if jitter > delay {
            return Err(Refused("`jitterMilliseconds` must not be more than `delayMilliseconds`".to_owned()));
        }
        let order = Order {
            operations: calls::operations(parameters)?,
            only_to_write: false,
            share: parameters.read::<f64>("percent")? / 100.0,
            effect: Effect::Delay { delay, jitter },
        };
        calls::plan(object, parameters, order)
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        calls::inject(undo, tools)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        calls::undo(undo)
    }
}
