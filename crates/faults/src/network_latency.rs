//! `network:latency`: packets take longer.

use std::{ops::Range, time::Duration};

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::{self, DIRECTION, DURATION, FLOWS, Filter, PORT, PROTOCOL, Probe, SOURCES, Site, Way, median, millis},
    object::Object,
    packet::{engine::Engine, schedule::Impairment},
    parameters::Checked,
    sys::nft::Table,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:latency",
    about: "Delays the packets of an instance, all or those of some flows, with jitter.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "delayMilliseconds",
            kind: ParameterKind::Number { min: 0.1, max: 60_000.0 },
            required: false,
            default: Some("200"),
            about: "How much longer each packet takes, in milliseconds.",
        },
        Parameter {
            name: "jitterMilliseconds",
            kind: ParameterKind::Number { min: 0.0, max: 60_000.0 },
            required: false,
            default: Some("0"),
            about: "By how much that varies, both ways, evenly; packets overtake each other then.",
        },
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The rules go, held packets are released, and both are the kernel's to do when this process dies.",
    proven_by: "Datagrams sent along the link: their median way is longer by the delay; those of other flows are not.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner, Need::Nfqueue],
    fis: &[
        "aws:ssm:send-command AWSFIS-Run-Network-Latency",
        "aws:ssm:send-command AWSFIS-Run-Network-Latency-Sources",
    ],
    chaos_mesh: Some("NetworkChaos delay"),
};

pub(crate) struct Latency;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    filter: Filter,
    impairment: Impairment,
}

struct Live {
    tables: Vec<Table>,
    engine: Engine,
    probe: Probe,
    usual: Vec<Option<Duration>>,
    plan: Plan,
    object: Object,
}

impl Fault for Latency {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let time = |name| parameters.read::<f64>(name).map(|millis| Duration::from_secs_f64(millis / 1e3));
        let impairment = Impairment {
            delay: time("delayMilliseconds")?,
            jitter: time("jitterMilliseconds")?,
            flows: parameters.read::<f64>("flowsPercent")? / 100.0,
            ..Impairment::none(fault::seed())
        };
        let plan = Plan { filter: Filter::plan(object, parameters)?, impairment };
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let site = Site::of(&undo.object).map_err(|Refused(why)| Failed(why))?;
        let Impairment { flows: share, seed, .. } = plan.impairment;
        let probe = Probe::open(&site, &plan.filter, |flow| flow.place(seed) < share)?;
        let mut usual = Vec::new();
        for way in &plan.filter.ways {
            let times = probe.send(*way, probe.concerned(), EACH, ROUND_TRIP, &Abort::default())?;
            // The fastest, because that is what the link takes when nothing disturbs the measurement.
            usual.push(times.into_iter().flatten().min());
        }
        let (tables, engine) = network::open_engine(&site, &plan.filter, &probe, undo.token, plan.impairment, true)?;
        Ok(Box::new(Live { tables, engine, probe, usual, plan, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        network::undo_record(undo)
    }
}

/// What a datagram may take across a link of one machine, when nothing delays it.
const ROUND_TRIP: Duration = Duration::from_millis(200);
/// Datagrams per flow: a median of sixty.
const EACH: usize = 3;
/// What a busy machine may add to a median.
const BUSY: Duration = Duration::from_millis(5);

impl Live {
    /// Measures one direction: in words, and whether it is as it should be.
    fn measure(&self, way: Way, usual: Option<Duration>, abort: &Abort) -> Result<(String, bool), Failed> {
        let Impairment { delay, jitter, .. } = self.plan.impairment;
        let Some(usual) = usual else { return Ok((format!("{way}: no datagram arrived before the fault"), false)) };
        let shifts = |chosen: Range<usize>| -> Result<(Option<Duration>, Option<Duration>), Failed> {
            let times = self.probe.send(way, chosen, EACH, delay + jitter + ROUND_TRIP, abort)?;
            let times: Vec<_> = times.into_iter().flatten().map(|time| time.saturating_sub(usual)).collect();
            let most = times.iter().max().copied();
            Ok((median(times), most))
        };
        // Too short is never the machine's fault, because the fastest is what is subtracted; too long may be; the median of evenly spread times varies by their width.
        let (shortest, longest) =
            ((delay.mul_f64(0.95)).saturating_sub(jitter / 2), delay.mul_f64(1.05) + jitter / 2 + BUSY);
        let (concerned, most) = shifts(self.probe.concerned())?;
        // With as much jitter as delay a median of nothing would pass. Half of the delays are longer than the middle one, so
        // that at least one of sixty is, unless nothing is delayed.
        let mut holds = concerned.is_some_and(|shift| (shortest..=longest).contains(&shift))
            && most.is_some_and(|most| most >= delay.mul_f64(0.95));
        let mut words = vec![match concerned {
            Some(shift) => format!(
                "median +{} over {} {}",
                millis(shift),
                self.probe.concerned().len() * EACH,
                self.probe.medium()
            ),
            None => "no datagram arrived".to_owned(),
        }];
        if !self.probe.spared().is_empty() {
            let (spared, _) = shifts(self.probe.spared())?;
            holds &= spared.is_some_and(|shift| shift <= BUSY.max(delay / 4));
            words.push(format!(
                "+{} in flows that are not concerned",
                spared.map_or_else(|| "no answer".to_owned(), millis)
            ));
        }
        Ok((format!("{way}: {}", words.join(", ")), holds))
    }

    fn configured(&self) -> String {
        let Impairment { delay, jitter, flows, .. } = self.plan.impairment;
        let jitter = if jitter.is_zero() { String::new() } else { format!(" ± {}", millis(jitter)) };
        let share = if flows < 1.0 { format!(", {} % of flows", flows * 100.0) } else { String::new() };
        format!("latency {}{jitter} on {}{share}", millis(delay), self.plan.filter)
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let mut achieved = Vec::new();
        let mut holds = true;
        for (way, usual) in self.plan.filter.ways.iter().zip(&self.usual) {
            let (words, held) = network::patiently(abort, || self.measure(*way, *usual, abort));
            achieved.push(words);
            holds &= held;
        }
        Proof { configured: self.configured(), achieved: achieved.join("; "), holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        // No rule, no new packets; then what is held goes on; then the rest goes.
        let cleared = self.tables.iter_mut().all(|table| table.clear().is_ok());
        let report = self.engine.stop();
        let proof = Proof {
            configured,
            achieved: format!(
                "{} packets delayed, {} not concerned; {}",
                report.held,
                report.passed,
                report.punctuality()
            ),
            holds: cleared && report.closed,
        };
        let cleanliness = network::remove(self.tables, report.closed, &self.object)?;
        Ok(Undone { cleanliness, proof: Some(proof) })
    }
}
