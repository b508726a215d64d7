//! `zone:loss`: a zone's or region's links to what is around it lose packets.

use engine::provider::{InjectError, Order};
use model::catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility};

use super::{
    PLACES,
    zone::{self, Spread, text},
    zone_latency::DIRECTION,
};
use crate::lab::Lab;

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "zone:loss",
    about: "Loses some of the packets between the instances of a zone or region and what is around it; none of those within.",
    targets: PLACES,
    parameters: &[
        zone::DURATION,
        zone::SCOPE,
        Parameter {
            name: "lossPercent",
            kind: ParameterKind::Number { min: 0.1, max: 100.0 },
            required: false,
            default: Some("7"),
            about: "How many of a hundred packets are lost.",
        },
        DIRECTION,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "As network:loss is, for every instance there at once.",
    proven_by: "As network:loss is, for every instance there, those launched meanwhile too.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Network-Packet-Loss-Sources"],
    chaos_mesh: Some("NetworkChaos loss"),
};

/// The losses that make it, one per instance.
pub(super) fn plan(lab: &Lab, order: &Order) -> Result<Spread, InjectError> {
    let parameters =
        [("lossPercent", text(order, "lossPercent")), ("direction", text(order, DIRECTION.name).or(DIRECTION.default))];
    Spread::plan(lab, order, zone::scope(order), "network:loss", &parameters)
}
