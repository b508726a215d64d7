//! What a fault is: a catalogue entry, a plan, an injection with its proof, and an undo that needs only the record.

use std::{
    env, fmt,
    hash::{BuildHasher, RandomState},
    io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use model::{
    catalogue::Entry,
    event::{Cleanliness, Proof},
    nearest::nearest,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{FAULTS, guardian, helper, object::Object, parameters::Checked};

/// One kind of fault. Each lives in a file of its own; adding one is that file and a line in [`crate::FAULTS`].
pub(crate) trait Fault: Sync {
    /// Its entry in the catalogue.
    fn entry(&self) -> &'static Entry;

    /// Reads and decides what will be done to `object`: touches nothing.
    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused>;

    /// Does it. An error means that nothing is left of it.
    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed>;

    /// Undoes it with nothing but the record: the process that injected has died. May be called twice, late, and for an
    /// object that has gone.
    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError>;
}

/// A fault in effect. Dropping it ends it (the mechanisms are chosen so that they end with what this holds);
/// [`end`](Self::end) also looks whether anything is left.
pub(crate) trait Injection: Send {
    /// Measures on the target that the effect is there.
    fn prove(&mut self, abort: &Abort) -> Proof;

    /// Ends it, and compares what it touched with how that was before.
    fn end(self: Box<Self>) -> Result<Undone, UndoError>;
}

/// What is written down before a fault is injected: enough to undo it in another process, another day.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Undo {
    /// The fault's id in the catalogue.
    pub fault: String,
    /// A number nobody else has: what the fault makes is named after it, so that it can be found.
    pub token: u64,
    /// What is hit.
    pub object: Object,
    /// What the fault decided: its own business.
    pub plan: serde_json::Value,
}

impl Undo {
    /// The plan, as the fault wrote it.
    pub(crate) fn plan<T: DeserializeOwned>(&self) -> Result<T, Failed> {
        serde_json::from_value(self.plan.clone())
            .map_err(|why| Failed(format!("the record of {} does not read: {why}", self.fault)))
    }
}

/// The program of which helpers and guardians are made: this very one, under hidden subcommands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// The arguments with which it calls [`helper::main`].
    pub helper: Vec<String>,
    /// The arguments with which it calls [`guardian::main`].
    pub guardian: Vec<String>,
}

impl Program {
    /// A program that knows the subcommands.
    #[must_use]
    pub fn of(path: PathBuf) -> Self {
        Self { path, helper: vec![helper::SUBCOMMAND.to_owned()], guardian: vec![guardian::SUBCOMMAND.to_owned()] }
    }

    /// This program.
    ///
    /// # Errors
    ///
    /// When its file cannot be found.
    pub fn this() -> io::Result<Self> {
        env::current_exe().map(Self::of)
    }
}

/// What faults use to act.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// The program that becomes the [`helper`].
    pub(crate) program: Program,
}

/// The fault of this name.
pub(crate) fn find(id: &str) -> Result<&'static dyn Fault, Refused> {
    #[cfg(test)]
    if let Some(planted) = crate::planted::PLANTED.iter().find(|fault| fault.entry().id == id) {
        return Ok(*planted);
    }
    FAULTS.iter().find(|fault| fault.entry().id == id).copied().ok_or_else(|| {
        let near = nearest(id, FAULTS.iter().map(|fault| fault.entry().id));
        Refused(format!(
            "no fault is named `{id}`{}",
            near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
        ))
    })
}

/// A plan, as it goes into the record.
pub(crate) fn written(plan: &impl Serialize) -> Result<serde_json::Value, Refused> {
    serde_json::to_value(plan).map_err(|why| Refused(format!("the plan cannot be written down: {why}")))
}

/// A number that nobody else has, to seed or to name with: the standard library seeds its hashers from the system's randomness.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Says to a measurement under way that its result is wanted no more.
#[derive(Debug, Default)]
pub(crate) struct Abort(AtomicBool);

impl Abort {
    /// No result is wanted any more.
    pub(crate) fn abort(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that is so.
    pub(crate) fn is_aborted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Tries until something is there, an abort, or `patience` has passed; looks every half millisecond.
    pub(crate) fn until<T>(&self, patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let pause = Duration::from_micros(500);
        let mut waited = Duration::ZERO;
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            if self.is_aborted() || waited >= patience {
                return None;
            }
            std::thread::sleep(pause);
            waited += pause;
        }
    }
}

/// The order cannot be carried out as it is: it is wrong for this object, or this machine cannot do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// The mechanism took no hold, or broke half-way; whatever was done is undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

impl Failed {
    /// An error of the system while doing something: `cannot {what}: {why}`.
    pub(crate) fn to<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |why| Self(format!("cannot {what}: {why}"))
    }
}

/// Why an injection was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The plan is wrong for this object or machine; trying again will not help.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The mechanism took no hold or failed half-way; whatever was done is undone.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why an undo did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; by hand: {repair}")]
pub struct UndoError {
    /// What went wrong.
    pub why: String,
    /// The command that repairs it.
    pub repair: String,
}

/// What an undo found.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// What the fingerprints say.
    pub cleanliness: Cleanliness,
    /// Measured over the fault's life, where the mechanism can.
    pub proof: Option<Proof>,
}

impl Undone {
    /// Nothing is left, and nothing was measured.
    pub(crate) const CLEAN: Self = Self { cleanliness: Cleanliness::Clean, proof: None };
}
