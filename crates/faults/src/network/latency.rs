//! `network:latency`: packets take longer.

use std::{ops::Range, time::Duration};

use model::catalogue::{Entry, Parameter, ParameterKind};

use crate::{
    fault::{Failed, Refused},
    network::{
        FEW, Look, PacketFault,
        engine::ENGINE,
        enough,
        filter::{DIRECTION, DURATION, FLOWS, PORT, PROTOCOL, SOURCES},
        lots::{CORRELATION, HELD_ARE_RELEASED, PACKET_FAULT, share},
        millis, percent,
        probe::{Sending, Survey},
    },
    packet::{
        chance,
        delay::{Delay, Distribution},
        engine::Report,
        schedule::Effect,
    },
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:latency",
    about: "Delays the packets of a target, all or those of some flows, with jitter.",
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
            about: "By how much that varies, both ways; packets overtake each other then.",
        },
        Parameter {
            name: "distribution",
            kind: ParameterKind::OneOf { values: &["uniform", "normal", "pareto"] },
            required: false,
            default: Some("uniform"),
            about: "How it varies, as in netem's tables: evenly within the jitter; normally, the jitter being the standard deviation \
                    (at most four of them); by Pareto's law, most a little less and few up to four jitters more.",
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
    proven_by: "Datagrams sent along the link: their median way is longer by the delay; those of other flows are not.",
    fis: &[
        "aws:ssm:send-command AWSFIS-Run-Network-Latency",
        "aws:ssm:send-command AWSFIS-Run-Network-Latency-Sources",
    ],
    chaos_mesh: Some("NetworkChaos delay"),
    ..PACKET_FAULT
};

pub(crate) struct Latency;

/// Of so many datagrams the median is taken where delays differ; it takes fewer where they do not.
const COUNT: usize = 60;
const COUNT_IF_CONSTANT: usize = 20;
/// What a busy machine may add to a median.
const BUSY: Duration = Duration::from_millis(5);

impl PacketFault for Latency {
    type Effect = Delay;

    const ENTRY: &'static Entry = &ENTRY;

    fn read(parameters: Checked<'_>) -> Result<Delay, Refused> {
        let time = |name| parameters.read::<f64>(name).map(|millis| Duration::from_secs_f64(millis / 1e3));
        Ok(Delay {
            base: time("delayMilliseconds")?,
            jitter: time("jitterMilliseconds")?,
            distribution: match parameters.text("distribution") {
                Some("normal") => Distribution::Normal,
                Some("pareto") => Distribution::Pareto,
                _ => Distribution::Uniform,
            },
            correlation: share(parameters, CORRELATION.name)?,
        })
    }

    fn effect(effect: Delay) -> Effect {
        Effect::Delay(effect)
    }

    fn words(delay: &Delay) -> String {
        let latency = format!("latency {}", millis(delay.base));
        if delay.jitter.is_zero() {
            return latency;
        }
        let shape = match delay.distribution {
            Distribution::Uniform => "",
            Distribution::Normal => " (normal)",
            Distribution::Pareto => " (Pareto)",
        };
        let correlated = match delay.correlation {
            some if some > 0.0 => format!(", correlated by {}", percent(some)),
            _ => String::new(),
        };
        format!("{latency} ± {}{shape}{correlated}", millis(delay.jitter))
    }

    fn before(_: &Delay) -> Sending {
        Sending::unknown(FEW)
    }

    fn measure(look: &Look<'_, Delay>) -> Result<(String, bool), Failed> {
        let Delay { base, jitter, correlation, .. } = *look.effect;
        let usual = Usual::of(look.before);
        let count = if jitter.is_zero() { COUNT_IF_CONSTANT } else { enough(COUNT, chance::inflation(correlation)) };
        let patience = look.patience(look.effect.longest());
        let shifts = |chosen: Range<usize>| -> Result<(Option<Duration>, Option<Duration>), Failed> {
            let sending = Sending { patience, rest: patience, ..Sending::unknown(count) };
            let survey = look.probe.send(look.way, chosen, sending, look.abort)?;
            let shift = |time: Duration| time.saturating_sub(usual.time);
            Ok((survey.median().map(shift), survey.slowest().map(shift)))
        };
        // Where half of the delays are shorter. A median of sixty lots varies by a sixth of the jitter, of fewer by more.
        let middle = look.effect.of(0.5);
        let doubt = jitter.mul_f64((chance::inflation(correlation).sqrt() / 2.0).min(1.0)) + usual.varies;
        // Too short is never the machine's fault, because the fastest is what is subtracted; too long may be.
        let (shortest, longest) = (middle.mul_f64(0.95).saturating_sub(doubt), middle.mul_f64(1.05) + doubt + BUSY);
        let (concerned, most) = shifts(look.probe.concerned())?;
        // With as much jitter as delay a median of nothing would pass. Half of the delays are longer than the middle one, so
        // that at least one of sixty is, unless nothing is delayed.
        let mut holds = concerned.is_some_and(|shift| (shortest..=longest).contains(&shift))
            && most.is_some_and(|most| most >= middle.mul_f64(0.95));
        let mut words = vec![match concerned {
            Some(shift) => format!("median +{} over {count} {}", millis(shift), look.probe.medium()),
            None => "no datagram arrived".to_owned(),
        }];
        if !look.probe.spared().is_empty() {
            let (spared, _) = shifts(look.probe.spared())?;
            holds &= spared.is_some_and(|shift| shift <= BUSY.max(base / 4) + usual.varies);
            words.push(format!(
                "+{} in flows that are not concerned",
                spared.map_or_else(|| "no answer".to_owned(), millis)
            ));
        }
        Ok((words.join(", "), holds))
    }

    fn whole(report: &Report) -> String {
        let counts = report.counts;
        format!("{} packets delayed, {} not concerned; {}", counts.held, counts.passed, report.punctuality())
    }
}

/// What the link took before.
struct Usual {
    time: Duration,
    /// By how much that varied on its own: it has another latency with jitter.
    varies: Duration,
}

impl Usual {
    fn of(before: &Survey) -> Self {
        let (fastest, median) = (before.fastest().unwrap_or_default(), before.median().unwrap_or_default());
        let varies = median - fastest;
        if varies > BUSY { Self { time: median, varies } } else { Self { time: fastest, varies: Duration::ZERO } }
    }
}
