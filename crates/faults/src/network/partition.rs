//! `network:partition`: two sets of hosts do not reach each other.

use model::{
    catalogue::{Entry, Need, Parameter, Reversibility},
    event::Cleanliness,
};

use crate::{
    TARGETS,
    fault::{Failed, Fault, Injection, Refused, Tools, Undo, UndoError},
    network::{
        self,
        blackhole::{inject, plan},
        filter::{DIRECTION, DURATION, Filter, SOURCES},
    },
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:partition",
    about: "Cuts all targets off from a set of others, both ways or one; among themselves they talk on.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            required: true,
            default: None,
            about: "The other side: addresses, networks, host names (looked up once, when it begins); in a lab groups and zones too.",
            ..SOURCES
        },
        Parameter {
            default: Some("both"),
            about: "What is cut: packets to the targets, from them, or both.",
            ..DIRECTION
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies.",
    proven_by: "Datagrams that arrived do not; if the other side is not where we probe from, on a probe port added to the match.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    exclusive: &[],
    fis: &["aws:network:disrupt-connectivity"],
    chaos_mesh: Some("NetworkChaos partition"),
};

pub(crate) struct Partition;

impl Fault for Partition {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let filter = Filter::plan(object, parameters)?;
        if !filter.names_others() {
            let why = "a partition has two sides: name the other in `sources` (`network:blackhole` cuts off all)";
            return Err(Refused(why.to_owned()));
        }
        if filter.names_any(&object.addresses) {
            return Err(Refused(format!("{} is on both sides of the partition", object.name)));
        }
        plan("partition", filter)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        inject(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        network::undo_record(undo)
    }
}
