//! `zone:latency`: a zone's or region's links to what is around it are slow.

use engine::provider::{InjectError, Order};
use model::catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility};

use super::{
    PLACES,
    zone::{self, Spread, text},
};
use crate::lab::Lab;

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "zone:latency",
    about: "Delays the packets between the instances of a zone or region and what is around it; those within are as fast as ever.",
    targets: PLACES,
    parameters: &[
        zone::DURATION,
        zone::SCOPE,
        Parameter {
            name: "delayMilliseconds",
            kind: ParameterKind::Number { min: 0.1, max: 60_000.0 },
            required: false,
            default: Some("200"),
            about: "How much longer each packet takes, in milliseconds; a round trip is longer by twice that if both directions \
                    are.",
        },
        Parameter {
            name: "jitterMilliseconds",
            kind: ParameterKind::Number { min: 0.0, max: 60_000.0 },
            required: false,
            default: Some("0"),
            about: "By how much that varies, both ways.",
        },
        DIRECTION,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "As network:latency is, for every instance there at once.",
    proven_by: "As network:latency is, for every instance there, those launched meanwhile too.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Network-Latency-Sources"],
    chaos_mesh: Some("NetworkChaos delay"),
};

/// Which way the packets go.
pub(super) const DIRECTION: Parameter = Parameter {
    name: "direction",
    kind: ParameterKind::OneOf { values: &["ingress", "egress", "both"] },
    required: false,
    default: Some("both"),
    about: "Which packets: those that enter the zone or region, those that leave it, or both.",
};

/// The latencies that make it, one per instance.
pub(super) fn plan(lab: &Lab, order: &Order) -> Result<Spread, InjectError> {
    let parameters = [
        ("delayMilliseconds", text(order, "delayMilliseconds")),
        ("jitterMilliseconds", text(order, "jitterMilliseconds")),
        ("direction", text(order, DIRECTION.name).or(DIRECTION.default)),
    ];
    Spread::plan(lab, order, zone::scope(order), "network:latency", &parameters)
}
