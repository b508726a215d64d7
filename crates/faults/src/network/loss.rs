//! `network:loss`: packets get lost.

use model::catalogue::{Entry, Parameter, ParameterKind};

use crate::{
    fault::{Failed, Refused},
    network::{
        Hits, Look, PacketFault, REST,
        engine::ENGINE,
        enough,
        filter::{DIRECTION, DURATION, FLOWS, PORT, PROTOCOL, SOURCES},
        lots::{CORRELATION, MANY, PACKET_FAULT, hit, share},
        percent,
        probe::Sending,
    },
    packet::{engine::Report, loss::Loss as Model, schedule::Effect},
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:loss",
    about: "Loses packets of a target, at random or in bursts.",
    parameters: &[
        DURATION,
        hit("lossPercent", "7", "The share of packets that are lost at random; not with `burstPercent`."),
        CORRELATION,
        percent_parameter(
            "burstPercent",
            None,
            "Loss in bursts (Gilbert and Elliott, netem's `loss gemodel`): how often, per packet, a good link turns bad (p).",
        ),
        percent_parameter(
            "burstEndPercent",
            Some("25"),
            "How often, per packet, a bad link turns good again (r): bursts of 100 divided by this many packets.",
        ),
        percent_parameter("burstLossPercent", Some("100"), "The share of packets that a bad link loses (1-h)."),
        percent_parameter("goodLossPercent", Some("0"), "The share of packets that a good link loses (1-k)."),
        FLOWS,
        SOURCES,
        PORT,
        PROTOCOL,
        DIRECTION,
        ENGINE,
    ],
    proven_by: "Of many datagrams sent along the link, as many are lost as chance allows at this share.",
    fis: &[
        "aws:ssm:send-command AWSFIS-Run-Network-Packet-Loss",
        "aws:ssm:send-command AWSFIS-Run-Network-Packet-Loss-Sources",
    ],
    chaos_mesh: Some("NetworkChaos loss"),
    ..PACKET_FAULT
};

const fn percent_parameter(name: &'static str, default: Option<&'static str>, about: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::Number { min: 0.0, max: 100.0 }, required: false, default, about }
}

pub(crate) struct Loss;

impl PacketFault for Loss {
    type Effect = Model;

    const ENTRY: &'static Entry = &ENTRY;

    fn read(parameters: Checked<'_>) -> Result<Model, Refused> {
        let Some(burst) = parameters.maybe::<f64>("burstPercent")? else {
            let given = |name: &&&str| parameters.is_given(name);
            if let Some(name) = ["burstEndPercent", "burstLossPercent", "goodLossPercent"].iter().find(given) {
                return Err(Refused(format!("`{name}` is for loss in bursts: give `burstPercent` too")));
            }
            return Ok(Model::random(share(parameters, "lossPercent")?, share(parameters, CORRELATION.name)?));
        };
        if let Some(name) = ["lossPercent", CORRELATION.name].iter().find(|name| parameters.is_given(name)) {
            return Err(Refused(format!("`{name}` is for random loss, `burstPercent` for loss in bursts: choose one")));
        }
        let model = Model {
            to_bad: burst / 100.0,
            to_good: share(parameters, "burstEndPercent")?,
            when_bad: share(parameters, "burstLossPercent")?,
            when_good: share(parameters, "goodLossPercent")?,
        };
        // Rarer is not seen by a proof of some thousand datagrams.
        if model.share() < 0.001 {
            return Err(Refused(format!(
                "bursts like these lose {} of all packets: 0.1 % is the least",
                percent(model.share())
            )));
        }
        Ok(model)
    }

    fn effect(effect: Model) -> Effect {
        Effect::Lose(effect)
    }

    fn words(loss: &Model) -> String {
        let memory = 1.0 - loss.to_bad - loss.to_good;
        let Model { to_bad, to_good, when_bad, when_good } = loss;
        if memory.abs() < 1e-9 && *when_bad >= 1.0 && *when_good <= 0.0 {
            return format!("loss {}", percent(loss.share()));
        }
        format!(
            "loss {} in bursts (a good link turns bad with {} and loses {}, a bad one turns good with {} and loses {})",
            percent(loss.share()),
            percent(*to_bad),
            percent(*when_good),
            percent(*to_good),
            percent(*when_bad)
        )
    }

    fn before(_: &Model) -> Sending {
        Sending::unknown(MANY / 3)
    }

    fn measure(look: &Look<'_, Model>) -> Result<(String, bool), Failed> {
        let loss = look.effect;
        let (share, inflation) = (loss.share(), loss.inflation());
        let patience = look.patience(REST / 2);
        let sending = Sending { patience, rest: patience, ..Sending::unknown(enough(MANY, inflation)) };
        let now = look.send(sending)?;
        let lost = Hits { hit: now.lost(), of: now.sent() };
        // Another fault may lose some already; of the rest, ours loses its share.
        let before = Hits { hit: look.before.lost(), of: look.before.sent() };
        let expected = before.share() + (1.0 - before.share()) * share;
        let holds = lost.within_chance(expected, inflation, before.doubt() * (1.0 - share).powi(2));
        let already =
            if before.hit > 0 { format!(", of which {} were before", percent(before.share())) } else { String::new() };
        let words =
            format!("{} of {} {} lost, {}{already}", lost.hit, lost.of, look.probe.medium(), percent(lost.share()));
        Ok((words, holds && !look.abort.is_aborted()))
    }

    fn whole(report: &Report) -> String {
        format!("{} packets dropped, {} passed", report.counts.dropped, report.counts.passed)
    }
}
