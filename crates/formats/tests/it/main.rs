//! The readers on whole documents.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod functions;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod lenses;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod own_document;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod seeds;

use formats::Finding;
use model::catalogue::{Catalogue, Entry, Parameter, ParameterKind, Reversibility, TargetKind};

/// A catalogue without native actions.
fn no_catalogue() -> Catalogue {
    Catalogue::default()
}

const fn parameter(name: &'static str, kind: ParameterKind) -> Parameter {
    Parameter { name, kind, required: false, default: None, about: "For tests." }
}

const DURATION: ParameterKind = ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 };

const fn native(id: &'static str, parameters: &'static [Parameter]) -> Entry {
    Entry {
        id,
        about: "For tests.",
        targets: &[TargetKind { key: "Instances", resource_types: &["lab:instance", "aws:ec2:instance"] }],
        parameters,
        reversibility: Reversibility::SelfEnding,
        undone_by: "",
        proven_by: "",
        needs: &[],
        exclusive: &[],
        fis: &[],
        chaos_mesh: None,
    }
}

static NATIVE: [Entry; 4] = [
    native("disk:fill", &[parameter("duration", DURATION), parameter("size", ParameterKind::Size)]),
    native(
        "network:blackhole",
        &[
            parameter("duration", DURATION),
            parameter("sources", ParameterKind::Addresses),
            parameter("port", ParameterKind::Integer { min: 1, max: 65_535 }),
            parameter("protocol", ParameterKind::OneOf { values: &["tcp", "udp"] }),
            parameter("direction", ParameterKind::OneOf { values: &["ingress", "egress", "both"] }),
        ],
    ),
    native("memory:stress", &[parameter("duration", DURATION), parameter("size", ParameterKind::Size)]),
    native("process:kill", &[parameter("process", ParameterKind::Text), parameter("signal", ParameterKind::Text)]),
];

/// A catalogue with a few actions as the fault crates define them, which this crate knows nothing of.
fn some_catalogue() -> Catalogue {
    Catalogue::new(&NATIVE)
}

/// The ids of findings, in the order of their places.
fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code.id).collect()
}
