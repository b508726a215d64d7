//! The kernel's own engine: sch_netem, where it is asked for.
//!
//! It stands at the root of the object's interface for what the object sends. What comes to it is led over an interface of ours
//! (`ifb`) first, which has netem at its root. Both are in the object's own network, so that the record leads to them; unlike
//! rules and queues they outlive the process that made them, and the guardian takes them away.

use std::{io, sync::Arc};

use model::claim::{Claim, Exclusive};
use serde::{Deserialize, Serialize};

use crate::{
    fault::Failed,
    network::{
        engine::{ENGINE, has_netem},
        filter::{DIRECTION, Filter, Way},
        site::Site,
    },
    packet::{
        delay::{Delay, Distribution},
        schedule::Effect,
    },
    sys::{
        link::Links,
        namespace::NetworkNamespace,
        qdisc::{Discipline, Disciplines, Netem},
    },
};

/// What those faults claim for which it is asked: of each way a link has one discipline at its root.
pub(crate) const CLAIMS: &[Claim] = &[
    Claim {
        what: Exclusive::OutgoingDiscipline,
        when: &[(ENGINE.name, &["netem"]), (DIRECTION.name, &["egress", "both"])],
        part: None,
    },
    Claim {
        what: Exclusive::IncomingDiscipline,
        when: &[(ENGINE.name, &["netem"]), (DIRECTION.name, &["ingress", "both"])],
        part: None,
    },
];

/// What netem does, where, and what was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The object's interface in its own network: its number, which it keeps, and its name.
    interface: u32,
    name: String,
    /// What is at its root, if netem will be there instead.
    before: Option<Discipline>,
    /// Whether what comes in is led over an interface of ours.
    inward: bool,
}

/// Disciplines that are made once more from what the kernel tells of them. Not those with classes or filters of their own, nor
/// `fq_codel`, whose times the kernel tells a microsecond short each time; where that is the kernel's own choice, it chooses it
/// again.
const REMADE: [&str; 3] = ["bfifo", "pfifo", "pfifo_fast"];
/// Our handles, told from others by their first half; the second is the injection's.
const OURS: u32 = 0x5300_0000;

impl Plan {
    /// What netem shall do to so many percent of flows, or why it cannot: a text that goes on from `netem`.
    pub(crate) fn of(site: &Site, filter: &Filter, flows_percent: f64, effect: &Effect) -> Result<Self, String> {
        options(effect)?;
        if !filter.is_everything() || flows_percent < 100.0 {
            return Err("is for all packets of a link, not some of them".to_owned());
        }
        let Some((network, _, address)) = site.own_link() else {
            return Err("needs a link whose both ends are known, to be measured along".to_owned());
        };
        if !has_netem() {
            return Err("is not in this kernel (`modprobe sch_netem`)".to_owned());
        }
        let sends = filter.ways.contains(&Way::Out);
        let inward = filter.ways.contains(&Way::In);
        let look = || {
            let mut disciplines = Disciplines::open()?;
            let Some(interface) = disciplines.interface_of(address)? else { return Ok(None) };
            let name = Links::open()?.name(interface)?;
            Ok(Some((interface, name, disciplines.root(interface)?, disciplines.ingress(interface)?)))
        };
        let found = network.run(look).map_err(|why| format!("cannot be put anywhere: {why}"))?;
        let Some((interface, name, root, ingress)) = found else {
            return Err(format!("finds no interface with the address {address}"));
        };
        let before = if sends { root } else { None };
        if sends && !before.as_ref().is_some_and(is_remade) {
            let kind = before.map_or_else(|| "discipline".to_owned(), |root| root.kind);
            return Err(format!("would replace the {kind} of {name}, which could not be restored"));
        }
        if inward && ingress.is_some() {
            return Err(format!("finds filters of others on what comes in by {name}"));
        }
        Ok(Self { interface, name, before, inward })
    }

    /// Puts netem where it shall be.
    pub(crate) fn put(&self, network: &Arc<NetworkNamespace>, token: u64, effect: &Effect) -> Result<Placed, Failed> {
        let netem = options(effect).map_err(Failed)?;
        let placed = Placed { plan: self.clone(), network: Arc::clone(network), token, whole: true };
        let put = || {
            let mut disciplines = Disciplines::open()?;
            if self.before.is_some() {
                disciplines.put_netem(self.interface, handle(token), &netem)?;
            }
            if self.inward {
                let name = inward_name(token);
                let mut links = Links::open()?;
                links.add_intermediate(&name)?;
                links.up(&name)?;
                let inward = links.index(&name)?;
                disciplines.put_netem(inward, handle(token), &netem)?;
                disciplines.redirect(self.interface, inward)?;
            }
            Ok(())
        };
        // On an error, dropping takes away what is there already.
        network.run(put).map_err(Failed::to("put netem on the link"))?;
        Ok(placed)
    }

    /// Restores what was there; says what is left. May be called twice.
    pub(crate) fn take(&self, network: &NetworkNamespace, token: u64) -> Option<String> {
        let take = || {
            let mut disciplines = Disciplines::open()?;
            let mut left = Vec::new();
            if let Some(before) = &self.before {
                if disciplines.root(self.interface)?.is_some_and(|root| is_ours(&root, token)) {
                    disciplines.put_back(self.interface, before)?;
                }
                let now = disciplines.root(self.interface)?;
                if now.as_ref() != Some(before) {
                    let now = now.map_or_else(|| "nothing".to_owned(), |now| now.kind);
                    left.push(format!("{now} at the root of {} instead of {}", self.name, before.kind));
                }
            }
            if self.inward {
                let name = inward_name(token);
                let mut links = Links::open()?;
                if links.index(&name).is_ok() {
                    // The filter goes with its discipline; there is none yet if the injection broke before.
                    drop(disciplines.delete_ingress(self.interface));
                    links.delete(&name)?;
                }
                if links.index(&name).is_ok() {
                    left.push(format!("interface {name}"));
                }
            }
            Ok(left)
        };
        match network.run(take) {
            Ok(left) if left.is_empty() => None,
            Ok(left) => Some(left.join(", ")),
            Err(why) => Some(format!("netem on {}, maybe ({why})", self.name)),
        }
    }

    /// What takes it away by hand, in the network of this process; the kernel chooses a discipline then.
    pub(crate) fn repair(&self, pid: Option<i32>, token: u64) -> String {
        let inside = pid.map(|pid| format!("nsenter --target {pid} --net ")).unwrap_or_default();
        let interface = &self.name;
        let mut words = Vec::new();
        if self.before.is_some() {
            words.push(format!("{inside}tc qdisc delete dev {interface} root"));
        }
        if self.inward {
            words.push(format!("{inside}tc qdisc delete dev {interface} ingress"));
            words.push(format!("{inside}ip link delete {}", inward_name(token)));
        }
        words.join("; ")
    }

    /// Whether netem is where it was put.
    fn stands(&self, network: &NetworkNamespace, token: u64) -> bool {
        let look = || {
            let mut disciplines = Disciplines::open()?;
            let mut ours = |interface| -> io::Result<bool> {
                Ok(disciplines.root(interface)?.is_some_and(|root| is_ours(&root, token)))
            };
            let sends = self.before.is_none() || ours(self.interface)?;
            let comes = !self.inward || ours(Links::open()?.index(&inward_name(token))?)?;
            Ok(sends && comes)
        };
        network.run(look).unwrap_or(false)
    }
}

/// Netem on a link; dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Placed {
    plan: Plan,
    network: Arc<NetworkNamespace>,
    token: u64,
    whole: bool,
}

impl Placed {
    /// Whether it is still there.
    pub(crate) fn stands(&self) -> bool {
        self.plan.stands(&self.network, self.token)
    }

    /// What takes it away by hand.
    pub(crate) fn repair(&self, pid: Option<i32>) -> String {
        self.plan.repair(pid, self.token)
    }

    /// Takes it away; says what is left.
    pub(crate) fn take(&mut self) -> Option<String> {
        if std::mem::take(&mut self.whole) { self.plan.take(&self.network, self.token) } else { None }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Some(left) = self.take() {
            tracing::warn!(left, "netem could not be taken away");
        }
    }
}

fn is_remade(root: &Discipline) -> bool {
    root.handle == 0 || REMADE.contains(&root.kind.as_str())
}

fn is_ours(root: &Discipline, token: u64) -> bool {
    root.kind == "netem" && root.handle == handle(token)
}

#[expect(clippy::cast_possible_truncation, reason = "eight bits of many: no two of ours are on one interface")]
const fn handle(token: u64) -> u32 {
    OURS | (token as u32 & 0xff) << 16
}

/// The name of an injection's interface for what comes in: at most fifteen bytes.
fn inward_name(token: u64) -> String {
    format!("shi{:012x}", token & 0xffff_ffff_ffff)
}

/// The same effect in netem's words, or why it has none.
fn options(effect: &Effect) -> Result<Netem, String> {
    let independent = |correlation: f64| {
        if correlation > 0.0 {
            return Err("draws correlated lots towards the middle, so that fewer are hit than was asked for".to_owned());
        }
        Ok(())
    };
    match effect {
        Effect::Delay(delay) => {
            independent(delay.correlation)?;
            let nanos = |time: std::time::Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            // Inside, it has the jitter in 32 bits.
            if nanos(delay.jitter) > i64::from(i32::MAX) {
                return Err("has no jitter of more than 2.1 s".to_owned());
            }
            let distribution = table(delay);
            Ok(Netem { latency: nanos(delay.base), jitter: nanos(delay.jitter), distribution, ..Netem::default() })
        }
        Effect::Lose(loss) => {
            let model = [loss.to_bad, loss.to_good, 1.0 - loss.when_bad, loss.when_good];
            Ok(Netem { loss: Some(model.map(of_whole)), ..Netem::default() })
        }
        Effect::Duplicate(chance) => {
            independent(chance.correlation)?;
            Ok(Netem { duplicate: of_whole(chance.share), ..Netem::default() })
        }
        Effect::Reorder(reorder) => {
            independent(reorder.chance.correlation)?;
            Ok(Netem {
                latency: i64::try_from(reorder.delay.as_nanos()).unwrap_or(i64::MAX),
                reorder: of_whole(reorder.chance.share),
                gap: reorder.gap.max(1),
                ..Netem::default()
            })
        }
        Effect::Corrupt(_) => Err("damages addresses and lengths too, not only what is in packets".to_owned()),
        Effect::Limit(_) => Err("has no bucket and no queue of its own for a rate".to_owned()),
    }
}

/// A share as netem has it: of 2^32 - 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the greatest")]
fn of_whole(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

/// The distribution of the jitter as a table; evenly spread it needs none.
#[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
fn table(delay: &Delay) -> Vec<i16> {
    /// As many as iproute2's own tables have.
    const ENTRIES: u16 = 4096;
    /// netem's unit.
    const SCALE: f64 = 8192.0;
    if delay.jitter.is_zero() || delay.distribution == Distribution::Uniform {
        return Vec::new();
    }
    let entry = |number: u16| {
        let lot = (f64::from(number) + 0.5) / f64::from(ENTRIES);
        let deviation = (delay.distribution.deviation(lot) * SCALE).round();
        deviation.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
    };
    (0..ENTRIES).map(entry).collect()
}
