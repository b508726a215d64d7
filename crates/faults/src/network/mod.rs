//! What the faults in the network share: the life of those that the packet engine carries out, and how measurements are judged.

pub mod bandwidth;
pub mod blackhole;
pub(crate) mod both;
pub mod corrupt;
pub mod duplicate;
pub(crate) mod engine;
pub(crate) mod filter;
pub(crate) mod gate;
pub mod latency;
pub(crate) mod link;
pub mod loss;
pub(crate) mod lots;
pub(crate) mod netem;
pub(crate) mod owner;
pub mod partition;
pub(crate) mod probe;
pub mod refuse;
pub mod reorder;
pub mod reset;
pub(crate) mod site;
pub(crate) mod turn;

use std::{fmt, time::Duration};

use model::{
    catalogue::Entry,
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    measure::patiently,
    network::{
        both::Both,
        filter::{Course, Filter, Over, Way},
        gate::Gate,
        link::{Link, wire_name},
        netem::Placed,
        probe::{Probe, SMALLEST, Sending, Survey},
        site::Site,
        turn::Turn,
    },
    object::Object,
    packet::{
        copier::Copier,
        engine::{Engine, Report, Source},
        flow::Flow,
        schedule::{Effect, Impairment},
    },
    parameters::Checked,
    sys::{
        nfqueue::{Mode, Queue},
        nft::{self, Action, Match},
        realtime,
    },
};

pub(crate) use crate::network::filter::DURATION;

/// A fault that the packet engine carries out: what happens to packets, how it is told, and how it is seen.
pub(crate) trait PacketFault: Sync + 'static {
    /// What happens to packets.
    type Effect: Copy + fmt::Debug + Send + Serialize + DeserializeOwned;

    /// Its entry in the catalogue.
    const ENTRY: &'static Entry;

    /// Reads what shall happen from the parameters.
    fn read(parameters: Checked<'_>) -> Result<Self::Effect, Refused>;

    /// The same, as the engine knows it.
    fn effect(effect: Self::Effect) -> Effect;

    /// The same, in words: `latency 100.0 ms`.
    fn words(effect: &Self::Effect) -> String;

    /// What is sent along the link before, to know what it does without the fault.
    fn before(effect: &Self::Effect) -> Sending;

    /// Measures one direction: in words, and whether it is as it should be.
    fn measure(look: &Look<'_, Self::Effect>) -> Result<(String, bool), Failed>;

    /// What happened over its whole life, in words.
    fn whole(report: &Report) -> String;
}

/// What a measurement of one direction has at hand.
pub(crate) struct Look<'a, E> {
    /// What should happen.
    pub(crate) effect: &'a E,
    pub(crate) probe: &'a Probe,
    pub(crate) way: Way,
    /// What the link did before, to the flows that are concerned.
    pub(crate) before: &'a Survey,
    engine: Option<&'a Engine>,
    /// The number of the direction in the engine.
    source: usize,
    pub(crate) abort: &'a Abort,
}

impl<E> Look<'_, E> {
    /// Sends datagrams in the flows that are concerned.
    pub(crate) fn send(&self, sending: Sending) -> Result<Survey, Failed> {
        self.probe.send(self.way, self.probe.concerned(), sending, self.abort)
    }

    /// How long to wait for datagrams that the fault keeps for `longer` at most: the link itself may be slow, by another
    /// fault.
    pub(crate) fn patience(&self, longer: Duration) -> Duration {
        longer + 2 * self.before.slowest().unwrap_or_default() + REST
    }

    /// How many bytes of packets the engine has let go on in this direction.
    pub(crate) fn bytes(&self) -> u64 {
        self.engine.map_or(0, |engine| engine.bytes(self.source))
    }
}

/// After which a datagram does not arrive any more across a link of one machine, however busy, that nothing delays.
pub(crate) const REST: Duration = Duration::from_millis(100);
/// How often a link is looked at before the fault.
const MOMENTS: usize = 3;
/// How often more, if it is not the same: one that loses in bursts never is.
const MORE_MOMENTS: usize = 6;
/// Datagrams that show how long a link takes, or whether anything arrives.
pub(crate) const FEW: usize = 8;
/// What a first datagram may take because of other faults on the link.
const SLOW_LINK: Duration = Duration::from_secs(3);

impl Sending {
    /// So many small datagrams, along a link of which nothing is known.
    pub(crate) const fn unknown(count: usize) -> Self {
        Self { count, size: SMALLEST, patience: SLOW_LINK, rest: Duration::from_millis(200), linger: Duration::ZERO }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan<E> {
    filter: Filter,
    effect: E,
    /// The share of flows that are concerned, from 0 to 1.
    flows: f64,
    seed: u64,
    /// Where netem does it, if that was asked for.
    #[serde(default)]
    netem: Option<netem::Plan>,
}

impl<E: Copy> Plan<E> {
    fn words<F: PacketFault<Effect = E>>(&self) -> String {
        let share = if self.flows < 1.0 { format!(", {} of flows", percent(self.flows)) } else { String::new() };
        let engine = if self.netem.is_some() { "netem" } else { "our own engine" };
        format!("{} on {}{share}, by {engine}", F::words(&self.effect), self.filter)
    }
}

struct Live<F: PacketFault> {
    mechanism: Mechanism,
    probes: Both<Probe>,
    courses: Vec<Course>,
    /// What each of them did before.
    before: Vec<Survey>,
    plan: Plan<F::Effect>,
    object: Object,
    /// Until it is proven.
    turn: Option<Turn>,
}

/// What does it.
enum Mechanism {
    /// Rules that queue packets, and our engine that decides on them.
    Own { gates: Vec<Gate>, engine: Engine },
    /// The kernel.
    Netem(Placed),
}

impl<F: PacketFault> Fault for F {
    fn entry(&self) -> &'static Entry {
        F::ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let effect = F::read(parameters)?;
        let filter = Filter::plan(object, parameters)?;
        let netem = engine::choose(parameters, &Site::of(object, &filter)?, &filter, &F::effect(effect))?;
        if F::effect(effect).holds() {
            refuse_holding(&filter, object)?;
        }
        let flows = parameters.read::<f64>("flowsPercent")? / 100.0;
        fault::written(&Plan { filter, effect, flows, seed: fault::seed(), netem })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan<F::Effect> = undo.plan()?;
        let (site, courses) = scene(undo, &plan.filter)?;
        let turn = Some(Turn::wait(site.network())?);
        let probes = Both::open(&courses, |over| {
            let link = Link::open(&site, undo.token, over)?;
            Probe::open(link, &plan.filter, plan.flows, |flow: &Flow| flow.place(plan.seed))
        })?;
        let sending = F::before(&plan.effect);
        let look = |course: &Course| look_before(probes.of(*course), course.way, sending);
        let before = realtime::measure(|| courses.iter().map(look).collect::<Result<Vec<_>, Failed>>())?;
        let mechanism = match &plan.netem {
            Some(netem) => Mechanism::Netem(netem.put(site.network(), undo.token, &F::effect(plan.effect))?),
            None => queue::<F>(&plan, &site, &courses, &probes, undo.token)?,
        };
        Ok(Box::new(Live::<F> { mechanism, probes, courses, before, plan, object: undo.object.clone(), turn }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let repair = "look for what it left with `tc qdisc` and `nft list ruleset` in the network of its target";
        let unread = |Failed(why)| UndoError { why, repair: repair.to_owned() };
        let plan: Plan<F::Effect> = undo.plan().map_err(unread)?;
        match plan.netem {
            Some(netem) if !undo.object.has_ended() => undo_netem(undo, &netem),
            _ => undo_record(undo),
        }
    }
}

/// What a link does before the fault: at several moments, because the machine may be busy at any of them, or another fault on the
/// link may not be done with its own measurement; and again, if it was not the same at all of them.
fn look_before(probe: &Probe, way: Way, sending: Sending) -> Result<Survey, Failed> {
    let look = || probe.send(way, probe.concerned(), sending, &Abort::default());
    let mut moments = (0..MOMENTS).map(|_| look()).collect::<Result<Vec<_>, Failed>>()?;
    let mut more = 0;
    while !Survey::agree(&moments) && more < MORE_MOMENTS {
        moments.remove(0);
        moments.push(look()?);
        more += 1;
    }
    Ok(moments.into_iter().fold(Survey::default(), |mut all, one| {
        all.add(one);
        all
    }))
}

/// Where the object of a record is, and on which courses packets concerned come there now.
pub(crate) fn scene(undo: &Undo, filter: &Filter) -> Result<(Site, Vec<Course>), Failed> {
    let site = Site::of(&undo.object, filter).map_err(|Refused(why)| Failed(why))?;
    let courses = filter.courses(&site);
    // Since it was planned: what nobody would come by could not be shown to be hit.
    if courses.is_empty() {
        return Err(Failed(format!("{} listens where none of the sources comes any more", site.name)));
    }
    Ok((site, courses))
}

/// Makes the rules and starts our engine.
fn queue<F: PacketFault>(
    plan: &Plan<F::Effect>,
    site: &Site,
    courses: &[Course],
    probes: &Both<Probe>,
    token: u64,
) -> Result<Mechanism, Failed> {
    let impairment = Impairment { effect: F::effect(plan.effect), flows: plan.flows, seed: plan.seed };
    // The engine comes first: rules whose queue nobody has bound let packets pass, but not all at once.
    let sources: Vec<Source> =
        courses.iter().map(|course| open_source(site, *course, &impairment.effect)).collect::<Result<_, _>>()?;
    let numbers: Vec<u16> = sources.iter().map(|source| source.queue.number()).collect();
    let engine = Engine::start(sources, impairment).map_err(Failed::to("start the packet engine"))?;
    let gates = courses.iter().zip(numbers).map(|(course, number)| {
        let probe = probes.of(*course).rule(course.way);
        open_gate(site, *course, &plan.filter, probe, token, Action::Queue(number))
    });
    Ok(Mechanism::Own { gates: gates.collect::<Result<_, _>>()?, engine })
}

/// Takes away what an injection of a process that died has left.
fn undo_netem(undo: &Undo, netem: &netem::Plan) -> Result<Cleanliness, UndoError> {
    let repair = || netem.repair(undo.object.pid, undo.token);
    let network = site::network(&undo.object).map_err(|Refused(why)| UndoError { why, repair: repair() })?;
    Ok(match netem.take(&network, undo.token) {
        None => Cleanliness::Clean,
        Some(residue) => Cleanliness::Dirty { residue, repair: repair() },
    })
}

impl<F: PacketFault> Injection for Live<F> {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let Self { mechanism, probes, plan, .. } = self;
        let engine = match mechanism {
            Mechanism::Own { engine, .. } => Some(&*engine),
            Mechanism::Netem(_) => None,
        };
        let measured: Vec<_> = (0..)
            .zip(self.courses.iter().zip(&self.before))
            .map(|(source, (course, before))| {
                let (probe, way) = (probes.of(*course), course.way);
                let look = Look { effect: &plan.effect, probe, way, before, engine, source, abort };
                let (words, held) = patiently(abort, || {
                    if before.arrived() == 0 {
                        return Ok(("no datagram arrived before the fault".to_owned(), false));
                    }
                    realtime::measure(|| F::measure(&look))
                });
                (format!("{course}: {words}"), held)
            })
            .collect();
        self.turn = None;
        proof(self.plan.words::<F>(), measured)
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.plan.words::<F>();
        match self.mechanism {
            Mechanism::Own { mut gates, engine } => {
                // No rule, no new packets; then what is held goes on; then the rest goes.
                let cleared = gates.iter_mut().all(|gate| gate.clear().is_ok());
                let (report, spent) = engine.stop();
                for (gate, queue) in gates.iter().zip(spent) {
                    gate.keep(queue);
                }
                let proof = Proof { configured, achieved: F::whole(&report), holds: cleared && report.closed };
                let unclosed = (!report.closed).then(|| "a packet queue that did not close in order".to_owned());
                let left = self.probes.into_iter().map(Probe::close).chain([unclosed]);
                let cleanliness = close(gates, left, &self.object);
                Ok(Undone { cleanliness, proof: Some(proof) })
            }
            Mechanism::Netem(mut placed) => {
                let gone = self.object.has_ended();
                let holds = gone || placed.stands();
                let achieved = if holds { "netem was there until the end" } else { "netem was not there any more" };
                let proof = Proof { configured, achieved: achieved.to_owned(), holds };
                let cleanliness = match placed.take().filter(|_| !gone) {
                    Some(residue) => Cleanliness::Dirty { residue, repair: placed.repair(self.object.pid) },
                    None => close(Vec::new(), self.probes.into_iter().map(Probe::close), &self.object),
                };
                Ok(Undone { cleanliness, proof: Some(proof) })
            }
        }
    }
}

pub(crate) fn open_source(site: &Site, course: Course, effect: &Effect) -> Result<Source, Failed> {
    let (network, _) = site.hook(course);
    let open = || {
        let queue = Queue::open(effect.mode())?;
        let copier = matches!(effect, Effect::Duplicate(_)).then(Copier::open).transpose()?;
        Ok(Source { queue, copier })
    };
    network.run(open).map_err(Failed::to("open a packet queue"))
}

/// Refuses to hold packets where that would stop their senders.
fn refuse_holding(filter: &Filter, object: &Object) -> Result<(), Refused> {
    let site = Site::of(object, filter)?;
    let courses = filter.courses(&site);
    let (held, stopping): (Vec<Course>, Vec<Course>) = courses.iter().partition(|course| site.may_hold(**course));
    if stopping.is_empty() {
        return Ok(());
    }
    let inside = held.iter().any(|course| course.over == Over::Loopback);
    let or = if inside { ", or `sources: 127.0.0.0/8,::1` for what comes over the loopback alone" } else { "" };
    Err(Refused(format!(
        "nothing is known of the other end of the link of {}, and packets that are held where they are sent stop their sender (TCP \
         small queues: 5 ms of delay leave 9 Mbit/s): choose the direction ingress{or}",
        object.name
    )))
}

impl Effect {
    /// Whether packets wait for it.
    const fn holds(&self) -> bool {
        match self {
            Self::Delay(_) | Self::Reorder(_) | Self::Limit(_) => true,
            Self::Lose(_) | Self::Corrupt(_) | Self::Duplicate(_) => false,
        }
    }

    /// How packets must come for it.
    fn mode(&self) -> Mode {
        Mode {
            // Losing or damaging one of the sender's 64 KiB pieces would hit 45 packets in a row; delaying it does no harm,
            // and at high rates it is not seen either.
            whole_segments: match self {
                Self::Delay(_) => true,
                Self::Limit(rate) => rate.bits_per_second >= WHOLE_FROM,
                Self::Lose(_) | Self::Corrupt(_) | Self::Duplicate(_) | Self::Reorder(_) => false,
            },
            all_bytes: matches!(self, Self::Corrupt(_) | Self::Duplicate(_)),
        }
    }
}

/// A rate at which 64 KiB take half a millisecond, and single packets would be too many for one thread.
const WHOLE_FROM: u64 = 1_000_000_000;

/// Opens a gate that does this to packets of the filter on this course, and to those of a probe that it leaves out.
pub(crate) fn open_gate(
    site: &Site,
    course: Course,
    filter: &Filter,
    probe: Option<Match>,
    token: u64,
    action: Action,
) -> Result<Gate, Failed> {
    let (network, hook) = site.hook(course);
    let gate = Gate::open(network, hook, token)?;
    let rules: Vec<_> =
        filter.matches(course, site).into_iter().chain(probe).map(|packets| (packets, action)).collect();
    gate.catch(&rules)?;
    Ok(gate)
}

/// Closes gates whose packets nobody holds any more, and says what is left: of them, and of what else was found left.
pub(crate) fn close(
    gates: Vec<Gate>,
    else_left: impl IntoIterator<Item = Option<String>>,
    object: &Object,
) -> Cleanliness {
    let residue: Vec<String> =
        gates.into_iter().filter_map(Gate::close).chain(else_left.into_iter().flatten()).collect();
    if residue.is_empty() {
        return if object.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean };
    }
    Cleanliness::Dirty {
        residue: residue.join(", "),
        repair: format!("end process {}: the kernel removes them with it", std::process::id()),
    }
}

/// Looks whether an injection of a process that died has left rules, or an interface to measure along, which goes.
pub(crate) fn undo_record(undo: &Undo) -> Result<Cleanliness, UndoError> {
    if undo.object.has_ended() {
        return Ok(Cleanliness::Gone);
    }
    let comment = gate::comment(undo.token);
    let inside = undo.object.pid.map(|pid| format!("nsenter --target {pid} --net ")).unwrap_or_default();
    let repair = || format!("end the process that has the rules commented `{comment}` (`{inside}nft list ruleset`)");
    let look = || -> Result<(Vec<String>, Option<String>), String> {
        let network = site::network(&undo.object).map_err(|Refused(why)| why)?;
        let wire = link::cut(&network, &wire_name(undo.token));
        Ok((network.run(|| Ok(nft::comments()?)).map_err(|why| why.to_string())?, wire))
    };
    match look() {
        Ok((comments, _)) if comments.contains(&comment) => Ok(Cleanliness::Dirty {
            residue: format!("nf_tables rules commented `{comment}`: the process that made them lives"),
            repair: repair(),
        }),
        Ok((_, Some(wire))) => {
            let repair = format!("{inside}ip link delete {}", wire_name(undo.token));
            Ok(Cleanliness::Dirty { residue: wire, repair })
        }
        Ok((_, None)) => Ok(Cleanliness::Clean),
        Err(why) => Err(UndoError {
            why: format!("cannot look into the network of {}: {why}", undo.object.name),
            repair: repair(),
        }),
    }
}

/// A proof of what was measured in each direction.
pub(crate) fn proof(configured: String, measured: Vec<(String, bool)>) -> Proof {
    let holds = measured.iter().all(|(_, held)| *held);
    let achieved: Vec<String> = measured.into_iter().map(|(words, _)| words).collect();
    Proof { configured, achieved: achieved.join("; "), holds }
}

/// So many hits among so many tries, where each is hit with a probability that is itself known from a measurement only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hits {
    pub(crate) hit: usize,
    pub(crate) of: usize,
}

impl Hits {
    /// The share that was hit.
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    pub(crate) fn share(self) -> f64 {
        self.hit as f64 / (self.of as f64).max(1.0)
    }

    /// Whether there are as many as at the same probability as those of a whole that they are a part of: at most four standard
    /// deviations apart, and `rounding`.
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    pub(crate) fn is_like(self, whole: Self, rounding: f64) -> bool {
        let (hit, of, share) = (self.hit as f64, self.of as f64, whole.share());
        (hit - of * share).abs() <= 4.0 * (of * share * (1.0 - share)).sqrt() + rounding
    }

    /// Whether there are as many as chance gives at this probability: at most four standard deviations apart (it is not so in
    /// one of 16,000 cases), and at least one. `inflation`: by how much the variance of the count is greater than that of
    /// independent hits; `doubt`: the variance of the probability, if it was measured.
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    pub(crate) fn within_chance(self, probability: f64, inflation: f64, doubt: f64) -> bool {
        let (hit, of) = (self.hit as f64, self.of as f64);
        let deviation = (of * probability * (1.0 - probability) * inflation + of * of * doubt).sqrt();
        // A rounding for the case that all are to be hit.
        hit > 0.0 && (hit - of * probability).abs() <= 4.0 * deviation + 1e-6
    }

    /// The variance of the share as a measurement of a probability. With no hit at all it may be that of one in as many.
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    pub(crate) fn doubt(self) -> f64 {
        let share = self.share();
        share * (1.0 - share) / (self.of as f64).max(1.0)
    }
}

/// How many datagrams show a count of hits whose variance is inflated so much as well as `plain` show an ordinary
/// one; up to ten times as many.
pub(crate) fn enough(plain: usize, inflation: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 10")]
    let factor = inflation.clamp(1.0, 10.0).ceil() as usize;
    plain * factor
}

/// `100.2 ms`.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `7.25 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_in_the_network_can_be_narrowed() {
        let actions: Vec<_> = crate::catalogue().iter().filter(|entry| entry.id.starts_with("network:")).collect();
        assert!(actions.len() >= 10);
        for entry in actions {
            let takes = |name: &str| entry.parameters.iter().any(|parameter| parameter.name == name);
            assert!(takes("sources") && takes("direction"), "{}", entry.id);
            // A partition is of hosts; one of ports is a blackhole with sources.
            assert!(takes("port") || entry.id == "network:partition", "{}", entry.id);
            // Those without are for connections, which only TCP has.
            let for_connections = ["network:partition", "network:refuse", "network:reset"].contains(&entry.id);
            assert!(takes("protocol") || for_connections, "{}", entry.id);
        }
    }

    #[test]
    fn chance_is_allowed_for_and_no_more() {
        let within = |hit, probability| Hits { hit, of: 1000 }.within_chance(probability, 1.0, 0.0);
        assert!(within(70, 0.07));
        assert!(within(100, 0.07));
        assert!(!within(110, 0.07));
        assert!(!within(30, 0.07));
        assert!(!within(0, 0.001));
        assert!(within(1000, 1.0));
        assert!(!within(999, 1.0));
    }

    #[test]
    fn what_depends_on_each_other_or_on_a_measurement_may_differ_more() {
        let hits = Hits { hit: 110, of: 1000 };
        assert!(hits.within_chance(0.07, 2.0, 0.0));
        let measured = Hits { hit: 70, of: 1000 };
        assert!(hits.within_chance(0.07, 1.0, measured.doubt()));
        assert!(!Hits { hit: 150, of: 1000 }.within_chance(0.07, 1.0, measured.doubt()));
    }
}
