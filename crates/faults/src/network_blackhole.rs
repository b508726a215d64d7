//! `network:blackhole`: packets vanish, and nobody is told.

use std::time::Duration;

use model::{
    catalogue::{Entry, Need, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::{self, DIRECTION, DURATION, Filter, PORT, PROTOCOL, Probe, SOURCES, Site, Way},
    object::Object,
    parameters::Checked,
    sys::nft::{Action, Protocol, Table},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:blackhole",
    about: "Drops packets of an instance, by address, port, protocol and direction; senders wait in vain.",
    targets: TARGETS,
    parameters: &[DURATION, SOURCES, PORT, PROTOCOL, DIRECTION],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies.",
    proven_by: "A connection attempt that was answered before is not answered now, or datagrams that arrived do not.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    fis: &["aws:ssm:send-command AWSFIS-Run-Network-Blackhole-Port", "aws:network:disrupt-connectivity"],
    chaos_mesh: Some("NetworkChaos partition"),
};

pub(crate) struct Blackhole;

struct Live {
    lanes: Vec<Lane>,
    probe: Probe,
    site: Site,
    plan: Plan,
    object: Object,
}

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    filter: Filter,
}

/// One direction.
struct Lane {
    way: Way,
    table: Table,
    /// A TCP port that answered before, and should not now.
    port: Option<u16>,
    /// Datagrams arrived before.
    arrived: bool,
}

impl Fault for Blackhole {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        fault::written(&Plan { filter: Filter::plan(object, parameters)? })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let site = Site::of(&undo.object).map_err(|Refused(why)| Failed(why))?;
        let probe = Probe::open(&site, &plan.filter, |_| true)?;
        let mut lanes = Vec::new();
        for way in plan.filter.ways.iter().copied() {
            let before = probe.send(way, probe.concerned(), 1, PATIENCE, &Abort::default())?;
            let concerns = |port: &u16| plan.filter.covers(probe.far_address(), Protocol::Tcp, *port);
            let port = match plan.filter.port.filter(concerns) {
                Some(port) if network::answers(&site, way, probe.far_address(), port, PATIENCE)? => Some(port),
                _ => None,
            };
            let table = network::open_table(&site, way, &plan.filter, Some(&probe), undo.token, Action::Drop)?;
            lanes.push(Lane { way, table, port, arrived: before.iter().any(Option::is_some) });
        }
        Ok(Box::new(Live { lanes, probe, site, plan, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        network::undo_record(undo)
    }
}

/// Across a link of one machine everything is answered within a millisecond; the rest is for busy machines.
const PATIENCE: Duration = Duration::from_millis(100);

impl Live {
    fn measure(&self, lane: &Lane, abort: &Abort) -> Result<(String, bool), Failed> {
        let way = lane.way;
        if let Some(port) = lane.port {
            let answers = network::answers(&self.site, way, self.probe.far_address(), port, PATIENCE)?;
            let words = if answers { "is still answered" } else { "was answered before and is not now" };
            return Ok((format!("{way}: a TCP connection attempt to port {port} {words}"), !answers));
        }
        let taken = self.probe.send(way, self.probe.concerned(), 1, PATIENCE, abort)?;
        let arrived = taken.iter().flatten().count();
        let before = if lane.arrived { "arrived before" } else { "did not arrive before either" };
        let words = format!("{way}: {arrived} of {} {} arrive, which {before}", taken.len(), self.probe.medium());
        // Of a measurement that was broken off nothing arrived, whatever the fault does.
        Ok((words, arrived == 0 && lane.arrived && !abort.is_aborted()))
    }

    fn configured(&self) -> String {
        format!("blackhole for {}", self.plan.filter)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let measured: Vec<_> =
            self.lanes.iter().map(|lane| network::patiently(abort, || self.measure(lane, abort))).collect();
        let holds = measured.iter().all(|(_, held)| *held);
        let achieved: Vec<String> = measured.into_iter().map(|(words, _)| words).collect();
        Proof { configured: self.configured(), achieved: achieved.join("; "), holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        let dropped: Option<u64> = self.lanes.iter_mut().map(|lane| lane.table.dropped().ok()).sum();
        let achieved = dropped.map_or_else(
            || "the kernel does not say how many".to_owned(),
            |dropped| format!("{dropped} packets dropped"),
        );
        let proof = Proof { configured, achieved, holds: dropped.is_some_and(|dropped| dropped > 0) };
        let tables = self.lanes.into_iter().map(|lane| lane.table).collect();
        let cleanliness = network::remove(tables, true, &self.object)?;
        Ok(Undone { cleanliness, proof: Some(proof) })
    }
}
