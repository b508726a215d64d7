//! `network:disrupt`: a zone's network is cut off, in FIS's words.

use engine::provider::{InjectError, Order};
use model::catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility};

use super::{
    SUBNETS,
    zone::{self, Spread},
};
use crate::lab::Lab;

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "network:disrupt",
    about: "Drops the packets between a zone's instances and the rest: everything, or only other zones of the region.",
    targets: SUBNETS,
    parameters: &[
        zone::DURATION,
        Parameter {
            name: "scope",
            kind: ParameterKind::OneOf { values: &["all", "availability-zone"] },
            required: false,
            default: Some("all"),
            about: "Which traffic: all that leaves or enters the zone's subnet, load balancers included; or only that of other \
                    zones in the region.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "As network:blackhole is, for every instance of the zone.",
    proven_by: "As network:blackhole is, for every instance of the zone.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    exclusive: &[],
    fis: &["aws:network:disrupt-connectivity"],
    chaos_mesh: Some("NetworkChaos partition"),
};

/// The blackholes that make it, one per instance of the zone.
pub(super) fn plan(lab: &Lab, order: &Order) -> Result<Spread, InjectError> {
    let scope = if zone::scope(order) == "availability-zone" { "other-zones" } else { "all" };
    Spread::plan(lab, order, scope, "network:blackhole", &[("direction", Some("both"))])
}
