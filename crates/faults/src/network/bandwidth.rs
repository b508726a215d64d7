//! `network:bandwidth`: packets share a slow link.

use std::time::Duration;

use model::catalogue::{Entry, Parameter, ParameterKind};

use crate::{
    fault::{Failed, Refused},
    network::{
        Look, PacketFault,
        filter::{DIRECTION, DURATION, FLOWS, PORT, PROTOCOL, SOURCES},
        lots::{HELD_ARE_RELEASED, PACKET_FAULT},
        probe::{Flood, Sending},
    },
    packet::{bucket::Rate, engine::Report, schedule::Effect},
    parameters::{Checked, Size},
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:bandwidth",
    about: "Limits the bandwidth of a target's link by a token bucket with a queue; each direction has its own.",
    parameters: &[
        DURATION,
        Parameter {
            name: "megabitsPerSecond",
            kind: ParameterKind::Number { min: 0.064, max: 1_000.0 },
            required: false,
            default: Some("10"),
            about: "How fast the link is, in millions of bits of IP packets per second.",
        },
        Parameter {
            name: "burst",
            kind: ParameterKind::Size,
            required: false,
            default: None,
            about: "What passes at once after a rest; without it, what takes 10 ms, at least two packets (3 kB).",
        },
        Parameter {
            name: "queue",
            kind: ParameterKind::Size,
            required: false,
            default: None,
            about: "What waits at most, more is lost; without it, what takes 100 ms, at least ten packets (15 kB).",
        },
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
    ],
    undone_by: HELD_ARE_RELEASED,
    proven_by: "More datagrams are sent than the link takes: what goes through it, they and others, is the rate within 5 %.",
    exclusive: &[],
    chaos_mesh: Some("NetworkChaos bandwidth"),
    ..PACKET_FAULT
};

pub(crate) struct Bandwidth;

/// The largest packet of an ordinary link.
const PACKET: u64 = 1_500;
/// By how much a probe offers more than the link takes.
const MORE_PERCENT: u64 = 30;
/// By how much the measured rate may differ.
const TOLERANCE: f64 = 0.05;

impl PacketFault for Bandwidth {
    type Effect = Rate;

    const ENTRY: &'static Entry = &ENTRY;

    fn read(parameters: Checked<'_>) -> Result<Rate, Refused> {
        let megabits: f64 = parameters.read("megabitsPerSecond")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 64,000 to a thousand million"
        )]
        let bits_per_second = (megabits * 1e6).round() as u64;
        let bytes_in = |millis: u64| bits_per_second * millis / 8_000;
        let size = |name: &str, without: u64| match parameters.maybe::<Size>(name)? {
            None => Ok(without),
            Some(Size::Bytes(bytes)) if bytes >= PACKET => Ok(bytes),
            Some(Size::Bytes(_)) => Err(Refused(format!("`{name}` must have room for a packet of {PACKET} bytes"))),
            Some(Size::Percent(_)) => Err(Refused(format!("`{name}` is a number of bytes, such as 64KiB"))),
        };
        Ok(Rate {
            bits_per_second,
            burst_bytes: size("burst", bytes_in(10).max(2 * PACKET))?,
            queue_bytes: size("queue", bytes_in(100).max(10 * PACKET))?,
        })
    }

    fn effect(effect: Rate) -> Effect {
        Effect::Limit(effect)
    }

    fn words(rate: &Rate) -> String {
        format!(
            "bandwidth {} (burst {}, queue {} bytes)",
            megabits(rate.bits_per_second),
            rate.burst_bytes,
            rate.queue_bytes
        )
    }

    fn before(_: &Rate) -> Sending {
        Sending::unknown(60)
    }

    fn measure(look: &Look<'_, Rate>) -> Result<(String, bool), Failed> {
        let rate = look.effect.bits_per_second;
        // What another fault loses on the way is offered on top.
        let [sent, arrived] = [look.before.sent(), look.before.arrived()].map(|count| count as u64);
        let offered = (rate + rate * MORE_PERCENT / 100).saturating_mul(sent) / arrived.max(1);
        // Until the bucket is empty, what is offered passes at once.
        let empty = Duration::from_nanos(look.effect.time_of(look.effect.burst_bytes * 100 / MORE_PERCENT));
        let warm_up = empty + Duration::from_millis(20) + look.before.slowest().unwrap_or_default();
        // Small packets on slow links, so that there are enough of them to count: a hundred per second.
        let size = (rate / 8 / 100).clamp(100, 1_400);
        let forty = Duration::from_nanos(look.effect.time_of(40 * (size + 28)));
        let lasts = warm_up + forty.max(Duration::from_millis(300));
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let flood = Flood { size, bits_per_second: offered, lasts, warm_up };
        let flooded = look.probe.flood(look.way, flood, || look.bytes(), look.abort)?;
        #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
        let speed = |bytes: u64| bytes as f64 * 8.0 / flooded.time.as_secs_f64().max(1e-9);
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand million")]
        let ratio = |bytes: u64| speed(bytes) / rate as f64;
        let (arrived, through) = (ratio(flooded.arrived), ratio(flooded.through));
        // Copies that another fault makes go round the link.
        let no_more = arrived <= 1.0 + TOLERANCE || look.before.doubled() > 0;
        let holds = (through - 1.0).abs() <= TOLERANCE && arrived > 0.0 && no_more;
        let words = format!(
            "{:.3} Mbit/s went through, {:.3} of them {} of the probe, when more was offered",
            speed(flooded.through) / 1e6,
            speed(flooded.arrived) / 1e6,
            look.probe.medium()
        );
        Ok((words, holds && !look.abort.is_aborted()))
    }

    fn whole(report: &Report) -> String {
        let counts = report.counts;
        format!(
            "{} packets waited, {} did not, {} found no room and were lost; {}",
            counts.held,
            counts.passed,
            counts.dropped,
            report.punctuality()
        )
    }
}

fn megabits(bits_per_second: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "at most a thousand million")]
    let megabits = bits_per_second as f64 / 1e6;
    format!("{megabits} Mbit/s")
}
