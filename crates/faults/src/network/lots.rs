//! What faults have in common that the packet engine carries out: the greater part of their entries, and how lots are read.

use model::catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility};

use crate::{TARGETS, fault::Refused, network::netem, packet::chance::Chance, parameters::Checked};

/// The entry of such a fault, but for what is its own.
pub(crate) const PACKET_FAULT: Entry = Entry {
    id: "",
    about: "",
    targets: TARGETS,
    parameters: &[],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules and the queue go, and both are the kernel's to do when this process dies.",
    proven_by: "",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    exclusive: netem::CLAIMS,
    fis: &[],
    chaos_mesh: None,
};

/// How those end that hold packets for a time.
pub(crate) const HELD_ARE_RELEASED: &str =
    "The rules go, held packets are released, and both are the kernel's to do when this process dies.";

/// How much what happens to a packet depends on what happened to the one before.
pub(crate) const CORRELATION: Parameter = Parameter {
    name: "correlationPercent",
    kind: ParameterKind::Number { min: 0.0, max: 95.0 },
    required: false,
    default: Some("0"),
    about: "How often the lot that is drawn for a packet is that of the packet before; the share that is hit stays the same.",
};

/// The share of packets that are hit.
pub(crate) const fn hit(name: &'static str, default: &'static str, about: &'static str) -> Parameter {
    let kind = ParameterKind::Number { min: 0.1, max: 100.0 };
    Parameter { name, kind, required: false, default: Some(default), about }
}

/// So many datagrams show a share of one in a hundred.
pub(crate) const MANY: usize = 1_000;

/// Reads a share that is given in percent.
pub(crate) fn share(parameters: Checked<'_>, name: &str) -> Result<f64, Refused> {
    Ok(parameters.read::<f64>(name)? / 100.0)
}

/// Reads how many packets are hit, given in percent by this name, and how that correlates.
pub(crate) fn chance(parameters: Checked<'_>, name: &str) -> Result<Chance, Refused> {
    Ok(Chance { share: share(parameters, name)?, correlation: share(parameters, CORRELATION.name)? })
}
