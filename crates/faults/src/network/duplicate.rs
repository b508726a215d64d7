//! `network:duplicate`: packets come twice.

use std::time::Duration;

use model::catalogue::Entry;

use crate::{
    fault::{Failed, Refused},
    network::{
        Hits, Look, PacketFault, REST,
        engine::ENGINE,
        enough,
        filter::{DIRECTION, DURATION, FLOWS, PORT, PROTOCOL, SOURCES},
        lots::{CORRELATION, MANY, PACKET_FAULT, chance, hit},
        percent,
        probe::Sending,
    },
    packet::{
        chance::{self, Chance},
        engine::Report,
        schedule::Effect,
    },
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:duplicate",
    about: "Sends some packets of a target twice; the copy comes at once, and other faults do not change it.",
    parameters: &[
        DURATION,
        hit("duplicatePercent", "5", "The share of packets that come twice."),
        CORRELATION,
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
        ENGINE,
    ],
    proven_by: "Of many datagrams sent along the link, as many arrive twice as chance allows at this share.",
    chaos_mesh: Some("NetworkChaos duplicate"),
    ..PACKET_FAULT
};

pub(crate) struct Duplicate;

impl PacketFault for Duplicate {
    type Effect = Chance;

    const ENTRY: &'static Entry = &ENTRY;

    fn read(parameters: Checked<'_>) -> Result<Chance, Refused> {
        chance(parameters, "duplicatePercent")
    }

    fn effect(effect: Chance) -> Effect {
        Effect::Duplicate(effect)
    }

    fn words(chance: &Chance) -> String {
        format!("a copy of {}", percent(chance.share))
    }

    fn before(_: &Chance) -> Sending {
        Sending { linger: LINGER, ..Sending::unknown(MANY / 3) }
    }

    fn measure(look: &Look<'_, Chance>) -> Result<(String, bool), Failed> {
        let inflation = chance::inflation(look.effect.correlation);
        let patience = look.patience(REST / 2);
        // A copy is not delayed by another fault, its original may be, and the other way round.
        let linger = LINGER + look.before.slowest().unwrap_or_default();
        let count = enough(MANY, inflation);
        let now = look.send(Sending { patience, rest: patience, linger, ..Sending::unknown(count) })?;
        let doubled = Hits { hit: now.doubled(), of: now.sent() };
        let before = Hits { hit: look.before.doubled(), of: look.before.sent() };
        let (share, lost) = (look.effect.share, Hits { hit: look.before.lost(), of: look.before.sent() }.share());
        // Another fault may double some, or lose some: then one of two is left, or we never see it.
        let expected = before.share() + (1.0 - before.share()) * share * (1.0 - lost);
        let holds = doubled.within_chance(expected, inflation, before.doubt());
        let words = format!(
            "{} of {} {} arrive twice, {}",
            doubled.hit,
            doubled.of,
            look.probe.medium(),
            percent(doubled.share())
        );
        Ok((words, holds && !look.abort.is_aborted()))
    }

    fn whole(report: &Report) -> String {
        let uncopied =
            if report.uncopied > 0 { format!(", {} could not be copied", report.uncopied) } else { String::new() };
        format!("{} packets doubled{uncopied}, {} passed", report.counts.doubled, report.counts.passed)
    }
}

/// How long is waited for copies when all originals have arrived.
const LINGER: Duration = Duration::from_millis(20);
