//! Which engine carries out what happens to packets, and how exact each is here.
//!
//! Ours goes first wherever it can be had, and `auto` says so, because it ends with its process by itself (netem stays until somebody
//! takes it away), spares what a filter spares, draws correlated lots as they were asked for, and hits what is a packet on the wire
//! (netem loses a sender's 64 KiB piece as one). It is as exact: late by some 50 us. What netem has before it is that a packet costs
//! no process anything, where ours takes 7 us for each; `engine: netem` is for that, and `auto` takes it where owned tables or packet
//! queues are missing.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::OnceLock,
    time::{Duration, Instant},
};

use model::catalogue::{Parameter, ParameterKind};

use crate::{
    fault::Refused,
    network::{filter::Filter, netem, site::Site},
    packet::{
        delay::Delay,
        engine::{Engine, Source},
        schedule::{Effect, Impairment},
    },
    parameters::Checked,
    sys::{
        link::Links,
        namespace::NetworkNamespace,
        nfqueue::{Mode, Queue},
        nft::{Action, Hook, Match, Table},
        qdisc::{Disciplines, Netem},
        realtime,
    },
};

/// Which engine carries a fault out.
pub(crate) const ENGINE: Parameter = Parameter {
    name: "engine",
    kind: ParameterKind::OneOf { values: &["auto", "own", "netem"] },
    required: false,
    default: Some("auto"),
    about: "Who carries it out: our own engine, which ends with its process; or the kernel's sch_netem, for all packets of the \
            instance's link alone, which the guardian takes away again. `auto` is our own where it can be had, and netem elsewhere, if \
            it can do the same.",
};

/// Netem's plan, if netem is to do it.
pub(crate) fn choose(
    parameters: Checked<'_>,
    site: &Site,
    filter: &Filter,
    effect: &Effect,
) -> Result<Option<netem::Plan>, Refused> {
    let share = parameters.read::<f64>("flowsPercent")?;
    decide(parameters.text(ENGINE.name), own, || netem::Plan::of(site, filter, share, effect))
}

/// Which it is, of what is asked for and what can be had: our own, or netem with this plan.
fn decide<P>(
    asked: Option<&str>,
    own: impl FnOnce() -> Result<(), String>,
    netem: impl FnOnce() -> Result<P, String>,
) -> Result<Option<P>, Refused> {
    match asked {
        Some("own") => Ok(None),
        Some("netem") => netem().map(Some).map_err(|why| Refused(format!("netem {why}: leave `engine` out"))),
        // Or nothing: some faults are never netem's, which says why.
        _ => match own() {
            Ok(()) => Ok(None),
            Err(own) => netem()
                .map(Some)
                .map_err(|why| Refused(format!("our own packet engine cannot be had here ({own}), and netem {why}"))),
        },
    }
}

/// Whether this kernel has what our own engine needs; found out once, in a throw-away network.
fn own() -> Result<(), String> {
    static OWN: OnceLock<Result<(), String>> = OnceLock::new();
    OWN.get_or_init(|| {
        // Where no network can be made, the target's own will tell.
        NetworkNamespace::create().map_or(Ok(()), |network| network.run(try_own).map_err(|why| why.to_string()))
    })
    .clone()
}

/// Whether it has sch_netem; found out once, in a throw-away network.
pub(crate) fn has_netem() -> bool {
    static NETEM: OnceLock<bool> = OnceLock::new();
    *NETEM.get_or_init(|| NetworkNamespace::create().map_or(true, |network| network.run(try_netem).is_ok()))
}

/// Makes a queue and an owned table that fills it, in the network of the calling thread, and takes them away.
fn try_own() -> io::Result<()> {
    let mut queue = Queue::open(MODE)?;
    let mut table = filling(&queue)?;
    table.delete()?;
    Ok(queue.unbind()?)
}

/// Puts a netem that does nothing on the loopback of the calling thread's network.
fn try_netem() -> io::Result<()> {
    Ok(Disciplines::open()?.put_netem(LOOPBACK, HANDLE, &Netem::default())?)
}

fn filling(queue: &Queue) -> io::Result<Table> {
    let mut table = Table::create("shaketable-engine")?;
    table.add_chain("in", Hook::Arriving, 0)?;
    let loopback = Match { interface: Some("lo".to_owned()), ..Match::default() };
    table.add(("in", Hook::Arriving), &[(loopback, Action::Queue(queue.number()))], "engine")?;
    Ok(table)
}

const MODE: Mode = Mode { whole_segments: true, all_bytes: false };
/// The loopback is the first interface of any network.
const LOOPBACK: u32 = 1;
const HANDLE: u32 = 0x5300_0000;

/// The delay by which engines are tried: a short one, since it is waited for.
const DELAY: Duration = Duration::from_millis(10);
/// So many datagrams are sent for it.
const DATAGRAMS: u8 = 50;

/// How much later than asked for delayed datagrams came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lateness {
    median: Duration,
    most: Duration,
}

impl Lateness {
    /// For people: `what is delayed by 10 ms comes 58 us later than that (median of 50; at most 130 us)`.
    pub(crate) fn words(&self) -> String {
        format!(
            "what is delayed by {} ms comes {} us later than that (median of {DATAGRAMS}; at most {} us)",
            DELAY.as_millis(),
            self.median.as_micros(),
            self.most.as_micros()
        )
    }

    /// Measures our own engine, in the network of the calling thread, which must be nobody else's.
    pub(crate) fn of_own() -> io::Result<Self> {
        Links::open()?.up("lo")?;
        let queue = Queue::open(MODE)?;
        let mut table = filling(&queue)?;
        let effect = Effect::Delay(Delay::constant(DELAY));
        let engine = Engine::start(vec![Source { queue, copier: None }], Impairment { effect, flows: 1.0, seed: 0 })?;
        let measured = Self::measure();
        table.delete()?;
        drop(engine.stop());
        measured
    }

    /// Measures netem, likewise.
    pub(crate) fn of_netem() -> io::Result<Self> {
        Links::open()?.up("lo")?;
        let latency = i64::try_from(DELAY.as_nanos()).map_err(io::Error::other)?;
        Disciplines::open()?.put_netem(LOOPBACK, HANDLE, &Netem { latency, ..Netem::default() })?;
        Self::measure()
    }

    fn measure() -> io::Result<Self> {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sender.connect(receiver.local_addr()?)?;
        receiver.set_read_timeout(Some(100 * DELAY))?;
        let mut late = realtime::measure(|| {
            let mut sent = Vec::new();
            for number in 0..DATAGRAMS {
                sent.push(Instant::now());
                sender.send(&[number])?;
            }
            // In the order in which they were sent.
            let arrived = |sent: &Instant| {
                receiver.recv(&mut [0])?;
                Ok(sent.elapsed().saturating_sub(DELAY))
            };
            sent.iter().map(arrived).collect::<io::Result<Vec<Duration>>>()
        })?;
        late.sort_unstable();
        let most = late.last().copied().unwrap_or_default();
        Ok(Self { median: late[late.len() / 2], most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_our_own_where_it_can_be_had_and_netem_elsewhere_if_it_does_the_same() {
        let (had, lacking) = (|| Ok(()), || Err("no queues".to_owned()));
        let (fits, does_not) = (|| Ok(7), || Err("is for all packets".to_owned()));
        assert_eq!(decide(Some("auto"), had, fits), Ok(None));
        assert_eq!(decide(Some("auto"), lacking, fits), Ok(Some(7)));
        let Refused(why) = decide::<u8>(None, lacking, does_not).unwrap_err();
        assert!(why.contains("no queues") && why.contains("all packets"), "{why}");
    }

    #[test]
    fn what_is_asked_for_is_done_or_refused() {
        let (lacking, does_not) = (|| Err("no queues".to_owned()), || Err("is for all packets".to_owned()));
        assert_eq!(decide(Some("own"), lacking, || Ok(7)), Ok(None), "its injection will tell");
        assert_eq!(decide(Some("netem"), || Ok(()), || Ok(7)), Ok(Some(7)));
        assert!(decide::<u8>(Some("netem"), || Ok(()), does_not).unwrap_err().0.contains("leave `engine` out"));
    }

    #[test]
    fn an_engine_is_measured_by_how_late_it_is() {
        let Ok(network) = NetworkNamespace::create() else { return };
        let words = network.run(Lateness::of_own).unwrap().words();
        assert!(words.starts_with("what is delayed by 10 ms comes "), "{words}");
    }
}
