//! `network:reorder`: packets overtake each other.

use std::time::Duration;

use model::catalogue::{Entry, Parameter, ParameterKind};

use crate::{
    fault::{Failed, Refused},
    network::{
        Hits, Look, PacketFault,
        engine::ENGINE,
        enough,
        filter::{DIRECTION, DURATION, FLOWS, PORT, PROTOCOL, SOURCES},
        lots::{CORRELATION, HELD_ARE_RELEASED, MANY, PACKET_FAULT, chance},
        millis, percent,
        probe::Sending,
    },
    packet::{
        chance,
        engine::Report,
        schedule::{Effect, Reorder as Model},
    },
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:reorder",
    about: "Lets some packets of a target overtake the others, which are delayed.",
    parameters: &[
        DURATION,
        Parameter {
            name: "reorderPercent",
            kind: ParameterKind::Number { min: 0.1, max: 99.0 },
            required: false,
            default: Some("25"),
            about: "Of the packets that may overtake, the share that do: they go on at once.",
        },
        Parameter {
            name: "gap",
            kind: ParameterKind::Integer { min: 1, max: 1_000 },
            required: false,
            default: Some("1"),
            about: "Which may: every packet from so many after the last that did, as netem's `gap`.",
        },
        Parameter {
            name: "delayMilliseconds",
            kind: ParameterKind::Number { min: 5.0, max: 60_000.0 },
            required: false,
            default: Some("10"),
            about: "How much longer the others take, in milliseconds.",
        },
        CORRELATION,
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
        ENGINE,
    ],
    undone_by: HELD_ARE_RELEASED,
    proven_by: "Of many datagrams sent along the link, as many are not delayed as chance allows at this share, the others are.",
    chaos_mesh: Some("NetworkChaos delay.reorder"),
    ..PACKET_FAULT
};

pub(crate) struct Reorder;

impl PacketFault for Reorder {
    type Effect = Model;

    const ENTRY: &'static Entry = &ENTRY;

    fn read(parameters: Checked<'_>) -> Result<Model, Refused> {
        let delay = Duration::from_secs_f64(parameters.read::<f64>("delayMilliseconds")? / 1e3);
        let chance = chance(parameters, "reorderPercent")?;
        let model = Model { chance, gap: parameters.read("gap")?, delay };
        if model.share() < 0.001 {
            return Err(Refused(format!("so {} of all packets overtake: 0.1 % is the least", percent(model.share()))));
        }
        if model.gap > 1 && chance.correlation > 0.0 {
            return Err(Refused(
                "`correlationPercent` says nothing when `gap` keeps neighbours apart: choose one".to_owned(),
            ));
        }
        Ok(model)
    }

    fn effect(effect: Model) -> Effect {
        Effect::Reorder(effect)
    }

    fn words(model: &Model) -> String {
        format!("latency {} that {} of packets do not have", millis(model.delay), percent(model.share()))
    }

    fn before(_: &Model) -> Sending {
        Sending::unknown(MANY / 3)
    }

    fn measure(look: &Look<'_, Model>) -> Result<(String, bool), Failed> {
        let model = look.effect;
        let (chance, share) = (model.chance, model.share());
        let usual = look.before.fastest().unwrap_or_default();
        if look.before.median().is_some_and(|median| median - usual > model.delay / 4) {
            let why = "the link's own latency varies so much that it cannot be seen who overtakes whom";
            return Ok((why.to_owned(), false));
        }
        let patience = look.patience(model.delay);
        // Of a chain of waits of this share, the count varies less than that of independent lots.
        let regular = if model.gap > 1 {
            share.powi(2) * (1.0 - chance.share) / chance.share.powi(2) / (1.0 - share)
        } else {
            1.0
        };
        let inflation = chance::inflation(chance.correlation);
        let now = look.send(Sending { patience, rest: patience, ..Sending::unknown(enough(MANY, inflation)) })?;
        // What a busy machine delays by half of ours is taken for delayed; a second look will tell.
        let shifts: Vec<Duration> = now.times().into_iter().map(|time| time.saturating_sub(usual)).collect();
        let hits = Hits { hit: shifts.iter().filter(|shift| **shift < model.delay / 2).count(), of: now.arrived() };
        let early = shifts.iter().filter(|shift| (model.delay / 2..model.delay.mul_f64(0.95)).contains(*shift)).count();
        // One lot more, because a regular series has a beginning.
        let rounding = (1.0 / f64::from(u32::try_from(hits.of.max(1)).unwrap_or(u32::MAX))).powi(2);
        let holds = hits.within_chance(share, inflation * regular, rounding) && early * 20 <= hits.of;
        let words = format!(
            "{} of {} {} overtake the others, {}",
            hits.hit,
            hits.of,
            look.probe.medium(),
            percent(hits.share())
        );
        Ok((words, holds && !look.abort.is_aborted()))
    }

    fn whole(report: &Report) -> String {
        let counts = report.counts;
        format!("{} packets delayed, {} not; {}", counts.held, counts.passed, report.punctuality())
    }
}
