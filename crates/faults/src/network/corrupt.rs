//! `network:corrupt`: packets are damaged on the way.

use model::catalogue::Entry;

use crate::{
    fault::{Failed, Refused},
    network::{
        Hits, Look, PacketFault, REST, enough,
        filter::{DIRECTION, DURATION, FLOWS, PORT, PROTOCOL, SOURCES},
        lots::{CORRELATION, MANY, PACKET_FAULT, chance, hit},
        percent,
        probe::{SMALLEST, Sending},
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
    id: "network:corrupt",
    about: "Flips one bit in some packets of a target, behind the network header, and leaves the checksum as it was: who \
            receives TCP or UDP drops them, so that TCP sends again and a UDP datagram is lost.",
    parameters: &[
        DURATION,
        hit("corruptPercent", "5", "The share of packets that are damaged."),
        CORRELATION,
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
    ],
    proven_by: "Of many datagrams without a checksum, as many arrive with a wrong bit as chance allows at this share.",
    exclusive: &[],
    chaos_mesh: Some("NetworkChaos corrupt"),
    ..PACKET_FAULT
};

pub(crate) struct Corrupt;

/// So large that few bits are flipped elsewhere than in what we compare.
const SIZE: usize = 1_000;
/// What of a datagram can be hit and arrive so that we see it: not the UDP header (eight bytes), not our own.
#[expect(clippy::cast_precision_loss, reason = "about a thousand")]
const SEEN: f64 = (SIZE - SMALLEST) as f64 / (SIZE + 8) as f64;

impl PacketFault for Corrupt {
    type Effect = Chance;

    const ENTRY: &'static Entry = &ENTRY;

    fn read(parameters: Checked<'_>) -> Result<Chance, Refused> {
        chance(parameters, "corruptPercent")
    }

    fn effect(effect: Chance) -> Effect {
        Effect::Corrupt(effect)
    }

    fn words(chance: &Chance) -> String {
        format!("a flipped bit in {}", percent(chance.share))
    }

    fn before(_: &Chance) -> Sending {
        Sending { size: SIZE, ..Sending::unknown(MANY / 3) }
    }

    fn measure(look: &Look<'_, Chance>) -> Result<(String, bool), Failed> {
        let inflation = chance::inflation(look.effect.correlation);
        let patience = look.patience(REST / 2);
        let count = enough(MANY, inflation);
        let now = look.send(Sending { size: SIZE, patience, rest: patience, ..Sending::unknown(count) })?;
        let damaged = Hits { hit: now.damaged(), of: now.arrived() };
        let before = Hits { hit: look.before.damaged(), of: look.before.arrived() };
        // Those that are hit elsewhere do not arrive; those that another fault had hit are hardly ever mended.
        let share = look.effect.share;
        let fresh = SEEN * share / (SEEN * share + (1.0 - share));
        let expected = before.share() + (1.0 - before.share()) * fresh;
        let holds = damaged.within_chance(expected, inflation, before.doubt());
        let words = format!(
            "{} of {} {} without a checksum arrive damaged, {}",
            damaged.hit,
            damaged.of,
            look.probe.medium(),
            percent(damaged.share())
        );
        Ok((words, holds && !look.abort.is_aborted()))
    }

    fn whole(report: &Report) -> String {
        format!("{} packets damaged, {} passed", report.counts.damaged, report.counts.passed)
    }
}
