//! `zone:isolate`: a zone or region is cut off from what is around it.

use engine::provider::{InjectError, Order};
use model::catalogue::{Entry, Need, Reversibility};

use super::{
    PLACES,
    zone::{self, Spread},
};
use crate::lab::Lab;

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "zone:isolate",
    about: "Drops the packets between the instances of a zone or region and what is around it; those within go on, and what is \
            launched there meanwhile is cut off before it serves.",
    targets: PLACES,
    parameters: &[zone::DURATION, zone::SCOPE],
    reversibility: Reversibility::SelfEnding,
    undone_by: "As network:blackhole is, for every instance there at once.",
    proven_by: "As network:blackhole is, for every instance there, those launched meanwhile too.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    exclusive: &[],
    fis: &["aws:network:disrupt-connectivity"],
    chaos_mesh: Some("NetworkChaos partition"),
};

/// The blackholes that make it, one per instance.
pub(super) fn plan(lab: &Lab, order: &Order) -> Result<Spread, InjectError> {
    Spread::plan(lab, order, zone::scope(order), "network:blackhole", &[("direction", Some("both"))])
}
