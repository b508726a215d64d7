//! `network:loss`: packets get lost.

use std::time::Duration;

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::{self, DIRECTION, DURATION, FLOWS, Filter, PORT, PROTOCOL, Probe, SOURCES, Site, Way},
    object::Object,
    packet::{engine::Engine, schedule::Impairment},
    parameters::Checked,
    sys::nft::Table,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:loss",
    about: "Loses packets of an instance at random.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "lossPercent",
            kind: ParameterKind::Number { min: 0.1, max: 100.0 },
            required: false,
            default: Some("7"),
            about: "The share of packets that are lost.",
        },
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules and the queue go, and both are the kernel's to do when this process dies.",
    proven_by: "Of many datagrams sent along the link, as many are lost as chance allows at this share.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    fis: &[
        "aws:ssm:send-command AWSFIS-Run-Network-Packet-Loss",
        "aws:ssm:send-command AWSFIS-Run-Network-Packet-Loss-Sources",
    ],
    chaos_mesh: Some("NetworkChaos loss"),
};

pub(crate) struct Loss;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    filter: Filter,
    impairment: Impairment,
}

struct Live {
    tables: Vec<Table>,
    engine: Engine,
    probe: Probe,
    plan: Plan,
    object: Object,
}

impl Fault for Loss {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let impairment = Impairment {
            loss: parameters.read::<f64>("lossPercent")? / 100.0,
            flows: parameters.read::<f64>("flowsPercent")? / 100.0,
            ..Impairment::none(fault::seed())
        };
        let plan = Plan { filter: Filter::plan(object, parameters)?, impairment };
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let site = Site::of(&undo.object).map_err(|Refused(why)| Failed(why))?;
        let probe = Probe::open(&site, &plan.filter, |flow| flow.place(plan.impairment.seed) < plan.impairment.flows)?;
        // Small packets: losing one of the sender's 64 KiB pieces would lose 45 packets in a row.
        let (tables, engine) = network::open_engine(&site, &plan.filter, &probe, undo.token, plan.impairment, false)?;
        Ok(Box::new(Live { tables, engine, probe, plan, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        network::undo_record(undo)
    }
}

/// Datagrams per flow: of twenty flows, 1,000 in all.
const EACH: usize = 50;
/// What a datagram may take across a link of one machine; those that have not arrived by then are lost.
const PATIENCE: Duration = Duration::from_millis(50);

impl Live {
    fn measure(&self, way: Way, abort: &Abort) -> Result<(String, bool), Failed> {
        let loss = self.plan.impairment.loss;
        let arrived = self.probe.send(way, self.probe.concerned(), EACH, PATIENCE, abort)?;
        let lost = arrived.iter().filter(|took| took.is_none()).count();
        let (lost, holds) = (lost, within_chance(lost, arrived.len(), loss));
        let words = format!(
            "{way}: {lost} of {} {} lost, {}",
            arrived.len(),
            self.probe.medium(),
            percent(share(lost, arrived.len()))
        );
        Ok((words, holds))
    }

    fn configured(&self) -> String {
        let Impairment { loss, flows, .. } = self.plan.impairment;
        let share = if flows < 1.0 { format!(", {} of flows", percent(flows)) } else { String::new() };
        format!("loss {} of {}{share}", percent(loss), self.plan.filter)
    }
}

/// Whether that many of `sent` lie within four standard deviations of what chance gives (it does not in one of 16,000 cases),
/// and at least one is lost.
fn within_chance(lost: usize, sent: usize, probability: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let (lost, sent) = (lost as f64, sent as f64);
    let deviation = (sent * probability * (1.0 - probability)).sqrt();
    // A rounding for the case that all are to be lost.
    lost > 0.0 && (lost - sent * probability).abs() <= 4.0 * deviation + 1e-6
}

#[expect(clippy::cast_precision_loss, reason = "some thousand")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / (whole as f64).max(1.0)
}

fn percent(share: f64) -> String {
    let percent = (share * 1e4).round() / 1e2;
    format!("{percent} %")
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let measured: Vec<_> =
            self.plan.filter.ways.iter().map(|way| network::patiently(abort, || self.measure(*way, abort))).collect();
        let holds = measured.iter().all(|(_, held)| *held);
        let achieved: Vec<String> = measured.into_iter().map(|(words, _)| words).collect();
        Proof { configured: self.configured(), achieved: achieved.join("; "), holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        let cleared = self.tables.iter_mut().all(|table| table.clear().is_ok());
        let report = self.engine.stop();
        let proof = Proof {
            configured,
            achieved: format!("{} packets dropped, {} passed", report.dropped, report.passed),
            holds: cleared && report.closed,
        };
        let cleanliness = network::remove(self.tables, report.closed, &self.object)?;
        Ok(Undone { cleanliness, proof: Some(proof) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_allowed_for_and_no_more() {
        assert!(within_chance(70, 1000, 0.07));
        assert!(within_chance(100, 1000, 0.07));
        assert!(!within_chance(110, 1000, 0.07));
        assert!(!within_chance(30, 1000, 0.07));
        assert!(!within_chance(0, 1000, 0.001));
        assert!(within_chance(1000, 1000, 1.0));
        assert!(!within_chance(999, 1000, 1.0));
    }
}
