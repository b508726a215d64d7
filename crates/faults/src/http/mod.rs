//! What the faults in HTTP share: whose connections pass through us, what is done to the exchanges on them, how that is seen and
//! how it ends.
//!
//! ```text
//!   client ── connection ──▶ rule: divert ──▶ listener of ours ──▶ front, with its rules ──▶ the port it was for
//! ```
//!
//! Requests to an object are caught where its packets come in. The rule diverts them to a listener of ours (`TPROXY`), which
//! takes the connection in the name of the one that it is for: addresses stay as they are, nothing is translated, and
//! whatever becomes of us, the client hears of it from whom it was talking to. Requests that an object makes are led to
//! us as they leave (a redirection, as the kernel diverts nothing there). From us they go on by sockets that are marked, and so
//! not caught again. Several faults make a row: each passes on to the next, because it catches what those behind it in the
//! row have marked, and not what those before have.
//!
//! Where links carry an object's connections in user space, in a lab on loopback addresses, no rule is needed: the links lead
//! them to us, in the same row, and all else is the same.
//!
//! The rules belong to a socket of this process, the listeners and connections are this process's: with it all of that is
//! gone, and new connections go where they are for.

pub mod abort;
mod before;
pub mod body;
pub mod delay;
mod doors;
mod effect;
mod exchange;
pub mod header;
mod links;
mod live;
mod order;
mod post;
mod proof;

use order::Act;
pub(crate) use order::{
    DIRECTION, HEADERS, MESSAGE, METHOD, OPEN, PATH, PHASE, PORT, SHARE, SOURCES, change_message, phase, texts,
};

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    object::Object,
    parameters::Checked,
};

/// A fault in HTTP: what sets it apart from the others.
pub(crate) struct HttpFault {
    /// Its entry in the catalogue.
    entry: &'static Entry,
    /// What it has a rule do.
    act: Act,
}

/// What their entries in the catalogue have in common.
const HTTP_FAULT: Entry = Entry {
    id: "",
    about: "",
    targets: TARGETS,
    parameters: &[],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies; connections that pass through us then end, each with the exchange under way.",
    proven_by: "",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Diversion],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

impl Fault for HttpFault {
    fn entry(&self) -> &'static Entry {
        self.entry
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        order::plan(object, parameters, self.act)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        live::inject(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        live::undo(undo)
    }
}
