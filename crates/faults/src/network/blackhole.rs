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
    measure,
    network::{
        self,
        both::Both,
        filter::{Course, DIRECTION, DURATION, Filter, PORT, PROTOCOL, SOURCES, Way},
        gate::Gate,
        link::Link,
        probe::{Answer, Probe, Sending, connect},
        site::Site,
        turn::Turn,
    },
    object::Object,
    packet::{
        engine::Engine,
        loss::Loss,
        schedule::{Effect, Impairment},
    },
    parameters::Checked,
    sys::nft::{Action, Hook, Match, Protocol},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:blackhole",
    about: "Drops packets of a target, by address, name, port, protocol and direction; senders wait in vain.",
    targets: TARGETS,
    parameters: &[DURATION, SOURCES, PORT, PROTOCOL, DIRECTION],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, which is the kernel's to do when this process dies.",
    proven_by: "A connection attempt that was answered before is not answered now, or datagrams that arrived do not.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-Network-Blackhole-Port", "aws:network:disrupt-connectivity"],
    chaos_mesh: Some("NetworkChaos partition"),
};

pub(crate) struct Blackhole;

struct Live {
    lanes: Vec<Lane>,
    probes: Both<Probe>,
    plan: Plan,
    object: Object,
    /// Until it is proven.
    turn: Option<Turn>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// What it is called: `blackhole`, `partition`.
    name: String,
    filter: Filter,
}

/// One course.
struct Lane {
    course: Course,
    gate: Gate,
    /// Loses packets where a rule that drops them would be an error (`EPERM`) for the sender.
    engine: Option<Engine>,
    /// A TCP port that answered before to who came this way, and should not now.
    port: Option<(Way, u16)>,
    /// Datagrams arrived before.
    arrived: bool,
}

/// Plans that the packets of a filter vanish, under this name.
pub(crate) fn plan(name: &str, filter: Filter) -> Result<serde_json::Value, Refused> {
    fault::written(&Plan { name: name.to_owned(), filter })
}

/// Lets the packets of such a plan vanish.
pub(crate) fn inject(undo: &Undo) -> Result<Box<dyn Injection>, Failed> {
    let plan: Plan = undo.plan()?;
    let (site, courses) = network::scene(undo, &plan.filter)?;
    let turn = Some(Turn::wait(site.network())?);
    let open = |over| Probe::open(Link::open(&site, undo.token, over)?, &plan.filter, 1.0, |_| 0.0);
    let probes = Both::open(&courses, open)?;
    let mut lanes = Vec::new();
    for course in courses {
        let (probe, way) = (probes.of(course), course.way);
        let before = probe.send(way, probe.concerned(), Sending::unknown(network::FEW), &Abort::default())?;
        // An answer is missed by whoever came.
        let come = if site.answers(way) { Way::In } else { way };
        let answered = |port| Ok(connect(probe.link(), come, probe.far_address(), port, PATIENCE)? != Answer::Silence);
        let port = match plan.filter.only_port() {
            Some(port) if plan.filter.covers(probe.far_address(), Protocol::Tcp, port) && answered(port)? => {
                Some((come, port))
            }
            _ => None,
        };
        let (gate, engine) = shut(&site, course, &plan.filter, probe.rule(way), undo.token)?;
        lanes.push(Lane { course, gate, engine, port, arrived: before.arrived() > 0 });
    }
    Ok(Box::new(Live { lanes, probes, plan, object: undo.object.clone(), turn }))
}

/// Lets packets vanish: by a rule, or where that would not go unnoticed, by a queue that loses all.
fn shut(
    site: &Site,
    course: Course,
    filter: &Filter,
    probe: Option<Match>,
    token: u64,
) -> Result<(Gate, Option<Engine>), Failed> {
    let (_, Hook::Sent) = site.hook(course) else {
        return Ok((network::open_gate(site, course, filter, probe, token, Action::Drop)?, None));
    };
    let effect = Effect::Lose(Loss::random(1.0, 0.0));
    let source = network::open_source(site, course, &effect)?;
    let number = source.queue.number();
    let engine = Engine::start(vec![source], Impairment { effect, flows: 1.0, seed: token });
    let engine = engine.map_err(Failed::to("start the packet engine"))?;
    Ok((network::open_gate(site, course, filter, probe, token, Action::Queue(number))?, Some(engine)))
}

impl Lane {
    /// Opens the way; how many packets vanished, and what is left.
    fn end(mut self) -> (Option<u64>, Gate, Option<String>) {
        let Some(engine) = self.engine else {
            let dropped = self.gate.counted().ok().map(|counts| counts.iter().sum());
            return (dropped, self.gate, None);
        };
        let cleared = self.gate.clear();
        let (report, spent) = engine.stop();
        for queue in spent {
            self.gate.keep(queue);
        }
        let left =
            (cleared.is_err() || !report.closed).then(|| "a packet queue that did not close in order".to_owned());
        (Some(report.counts.dropped), self.gate, left)
    }
}

impl Fault for Blackhole {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        plan("blackhole", Filter::plan(object, parameters)?)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        inject(undo)
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        network::undo_record(undo)
    }
}

/// Across a link of one machine everything is answered within a millisecond; the rest is for busy machines.
const PATIENCE: Duration = Duration::from_millis(100);

impl Live {
    fn measure(&self, lane: &Lane, abort: &Abort) -> Result<(String, bool), Failed> {
        let (course, probe) = (lane.course, self.probes.of(lane.course));
        if let Some((come, port)) = lane.port {
            let silent = connect(probe.link(), come, probe.far_address(), port, PATIENCE)? == Answer::Silence;
            let words = if silent { "was answered before and is not now" } else { "is still answered" };
            return Ok((format!("{course}: a TCP connection attempt to port {port} {words}"), silent));
        }
        let sending = Sending { patience: PATIENCE, rest: PATIENCE, ..Sending::unknown(network::FEW) };
        let taken = probe.send(course.way, probe.concerned(), sending, abort)?;
        let before = if lane.arrived { "arrived before" } else { "did not arrive before either" };
        let (arrived, sent) = (taken.arrived(), taken.sent());
        let words = format!("{course}: {arrived} of {sent} {} arrive, which {before}", probe.medium());
        // Of a measurement that was broken off nothing arrived, whatever the fault does.
        Ok((words, arrived == 0 && lane.arrived && !abort.is_aborted()))
    }

    fn configured(&self) -> String {
        format!("{} for {}", self.plan.name, self.plan.filter)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let measured = self.lanes.iter().map(|lane| measure::patiently(abort, || self.measure(lane, abort))).collect();
        self.turn = None;
        network::proof(self.configured(), measured)
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        let left = self.probes.into_iter().map(Probe::close).collect();
        let (mut dropped, mut gates, mut left): (_, _, Vec<_>) = (Some(0), Vec::new(), left);
        for lane in self.lanes {
            let (some, gate, residue) = lane.end();
            dropped = dropped.zip(some).map(|(all, some)| all + some);
            gates.push(gate);
            left.push(residue);
        }
        let achieved = dropped.map_or_else(
            || "the kernel does not say how many".to_owned(),
            |dropped| format!("{dropped} packets dropped"),
        );
        let proof = Proof { configured, achieved, holds: dropped.is_some_and(|dropped| dropped > 0) };
        Ok(Undone { cleanliness: network::close(gates, left, &self.object), proof: Some(proof) })
    }
}
