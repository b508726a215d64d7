//! Faults where instances share the loopback interface: on the links between them. Those of the network are done here; those in
//! HTTP are the host's, which is told the links.
//!
//! ```text
//!   balancer ──▶ link to the instance ──▶ instance ──▶ link from it ──▶ another balancer
//!                ingress: forward                      ingress: backward
//!                egress: backward                      egress: forward
//! ```

mod probe;
mod proof;

use std::{net::IpAddr, sync::Arc, time::Duration};

use engine::provider::{InjectError, Order, Undone};
use faults::{Network, Path};
use model::{
    event::{Cleanliness, InjectionId, Proof},
    resource::ResourceId,
};
use proxy::{Faults, Impairment};
use tokio::runtime;
use tokio_util::task::AbortOnDropHandle;

use self::{
    probe::Probe,
    proof::{Effect, Finding},
};
use crate::{
    lab::Lab,
    loopback::{Loopback, Role},
    plane::Seen,
};

/// Whether an order is for links, where instances share a network: what is done to bytes.
pub(super) fn are_meant(order: &Order) -> bool {
    order.fault.starts_with("network:")
}

/// The links over which an instance's connections go.
pub(super) fn paths(loopback: &Loopback, seen: &Seen, lab: &Lab) -> Vec<Path> {
    let path = |(role, course)| match role {
        Role::To => {
            let (port, others) = (seen.instance.port, lab.inner.balancers_of(&seen.status.group));
            Some(Path { course, inward: true, port, others })
        }
        Role::From(balancer) => {
            let port = lab.inner.spec.balancers.get(&balancer)?.port;
            let others = lab.inner.address_of(&format!("{balancer}.lab")).into_iter().collect();
            Some(Path { course, inward: false, port, others })
        }
    };
    loopback.courses(&seen.status.id).into_iter().filter_map(path).collect()
}

/// What is needed to undo it: which links, and what was put on them.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    injection: InjectionId,
    instance: ResourceId,
    on: Vec<(Role, Faults)>,
    configured: String,
}

impl Undo {
    /// Decides what is put on which links.
    pub(super) fn plan(loopback: &Loopback, order: &Order, seen: &Seen, lab: &Lab) -> Result<Self, InjectError> {
        let decide = || {
            let impairment = impairment(order)?;
            let concerned = Concerned::of(order)?;
            let roles = loopback.roles(&seen.status.id).into_iter();
            let on: Vec<_> =
                roles.filter_map(|role| Some((role.clone(), concerned.on(&role, impairment, seen, lab)?))).collect();
            if on.is_empty() {
                return Err("no link of the instance carries such traffic".to_owned());
            }
            provable(&on)?;
            let configured = describe(&impairment, on.len());
            Ok(Self { injection: order.injection, instance: order.resource.clone(), on, configured })
        };
        decide().map_err(|why| InjectError::Refused(format!("{}: {why}", order.fault)))
    }

    /// Puts it on the links, and measures on each of them. When it is dropped meanwhile, so are the measurements; what it has
    /// put on the links stays until the undo.
    pub(super) async fn inject(&self, loopback: &Arc<Loopback>, on: &runtime::Handle) -> Result<Proof, InjectError> {
        let probes = self.probes(loopback)?;
        let before = measure(on, probes.iter().map(|(_, probe)| probe.clone().before())).await?;
        for (role, faults) in &self.on {
            loopback.put(&self.instance, role, self.injection, *faults);
        }
        let now = probes.iter().zip(before).map(|((_, probe), before)| probe.clone().now(before));
        match measure(on, now).await.map(|found| self.proof(&probes, &found)) {
            Ok(proof) if proof.holds => Ok(proof),
            spoilt => {
                self.undo(loopback);
                let Proof { configured, achieved, .. } = spoilt?;
                Err(InjectError::Failed(format!("{configured} was not achieved: {achieved}")))
            }
        }
    }

    fn probes(&self, loopback: &Loopback) -> Result<Vec<(&Role, Probe)>, InjectError> {
        let gone = || InjectError::Refused(format!("instance {} is terminated", self.instance));
        let concerned = self.on.iter().filter_map(|(role, faults)| Some((role, Effect::of(faults)?)));
        let probes = concerned.map(|(role, effect)| {
            let address = loopback.address(&self.instance, role).ok_or_else(gone)?;
            let question = if *role == Role::To { probe::ASK } else { probe::MISTAKE };
            Ok((role, Probe { address, question, effect }))
        });
        probes.collect()
    }

    fn proof(&self, probes: &[(&Role, Probe)], found: &[Finding]) -> Proof {
        let words = probes.iter().zip(found).map(|((role, _), one)| match role {
            Role::To => format!("to the instance: {}", one.achieved),
            Role::From(balancer) => format!("from it to {balancer}.lab: {}", one.achieved),
        });
        Proof {
            configured: self.configured.clone(),
            achieved: words.collect::<Vec<_>>().join("; "),
            holds: !found.is_empty() && found.iter().all(|one| one.holds),
        }
    }

    /// Takes it off the links; those of an instance that is gone are gone.
    pub(super) fn undo(&self, loopback: &Loopback) -> Undone {
        let mut there = false;
        for (role, _) in &self.on {
            there |= loopback.take_off(&self.instance, role, self.injection);
        }
        Undone { cleanliness: if there { Cleanliness::Clean } else { Cleanliness::Gone }, proof: None }
    }
}

/// Measures all links at once, in the lab's runtime.
async fn measure<T: Send + 'static>(
    on: &runtime::Handle,
    each: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Result<Vec<T>, InjectError> {
    let tasks: Vec<_> = each.map(|one| AbortOnDropHandle::new(on.spawn(one))).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.map_err(|why| InjectError::Failed(format!("the measurement broke off: {why}")))?);
    }
    Ok(done)
}

/// What an order wants of the traffic that it concerns.
fn impairment(order: &Order) -> Result<Impairment, String> {
    let text = |name: &str| order.parameters.get(name).map(String::as_str);
    if text("protocol").is_some_and(|protocol| protocol != "tcp") {
        return Err("links between loopback addresses carry TCP only; use `--network netns`".to_owned());
    }
    if text("flowsPercent").is_some_and(|share| share.parse() != Ok(100.0)) {
        return Err("a link impairs all its connections, not a share; use `--network netns`".to_owned());
    }
    let number = |name: &str, default: f64| {
        text(name).map_or(Ok(default), str::parse).map_err(|_| format!("`{name}` is no number"))
    };
    let millis = |value: f64| Duration::try_from_secs_f64(value / 1e3).map_err(|why| why.to_string());
    match order.fault.as_str() {
        "network:latency" => Ok(Impairment {
            delay: millis(number("delayMilliseconds", 200.0)?)?,
            jitter: millis(number("jitterMilliseconds", 0.0)?)?,
            ..Impairment::default()
        }),
        "network:loss" => Ok(Impairment { loss: number("lossPercent", 7.0)? / 100.0, ..Impairment::default() }),
        "network:blackhole" => Ok(Impairment { blackhole: true, ..Impairment::default() }),
        other => Err(format!("`{other}` cannot be done on loopback addresses; use `--network netns`")),
    }
}

/// Which traffic an order concerns, seen from the instance.
struct Concerned {
    ingress: bool,
    egress: bool,
    /// The port of ingress is the instance's, that of egress the other end's.
    port: Option<u16>,
    /// The other ends; none means all.
    sources: Vec<Network>,
}

impl Concerned {
    fn of(order: &Order) -> Result<Self, String> {
        let text = |name: &str| order.parameters.get(name).map(String::as_str);
        let (ingress, egress) = match text("direction").unwrap_or("ingress") {
            "egress" => (false, true),
            "both" => (true, true),
            _ => (true, false),
        };
        let port = text("port").map(str::parse).transpose().map_err(|_| "`port` is no port".to_owned())?;
        Ok(Self { ingress, egress, port, sources: sources(text("sources").unwrap_or("ALL"))? })
    }

    /// What is put on a link; nothing where it carries no such traffic.
    fn on(&self, role: &Role, impairment: Impairment, seen: &Seen, lab: &Lab) -> Option<Faults> {
        let (ingress, egress, port) = (self.ingress, self.egress, self.port);
        let (others, incoming, outgoing) = match role {
            Role::To => {
                let incoming = ingress && port.is_none_or(|port| port == seen.instance.port);
                (lab.inner.callers_of(&seen.status.group), incoming, egress && port.is_none())
            }
            Role::From(balancer) => {
                let theirs = lab.inner.spec.balancers.get(balancer).map(|one| one.port);
                let outgoing = egress && port.is_none_or(|port| Some(port) == theirs);
                let address = lab.inner.address_of(&format!("{balancer}.lab"));
                (address.into_iter().collect(), ingress && port.is_none(), outgoing)
            }
        };
        let way = |does: bool| if does { impairment } else { Impairment::default() };
        let faults = match role {
            Role::To => Faults { forward: way(incoming), backward: way(outgoing) },
            Role::From(_) => Faults { forward: way(outgoing), backward: way(incoming) },
        };
        (self.are_among(&others) && (incoming || outgoing)).then_some(faults)
    }

    fn are_among(&self, others: &[IpAddr]) -> bool {
        let is_other = |source: &Network| others.iter().any(|other| source.contains(*other));
        self.sources.is_empty() || self.sources.iter().any(is_other)
    }
}

/// Whether what is put on the links can be shown to be there: what is not believed must not be done.
fn provable(on: &[(Role, Faults)]) -> Result<(), String> {
    let needs = on.iter().filter_map(|(_, faults)| Effect::of(faults)).map(|effect| effect.exchanges());
    match needs.max() {
        Some(needs) if needs > proof::MOST => Err(format!(
            "so rare a loss shows in {needs} exchanges at the earliest, and at most {} are made to prove it; lose 1 % or \
             more, or use `--network netns`",
            proof::MOST
        )),
        _ => Ok(()),
    }
}

fn sources(text: &str) -> Result<Vec<Network>, String> {
    if text.trim().eq_ignore_ascii_case("ALL") {
        return Ok(Vec::new());
    }
    text.split(',').map(|one| one.trim().parse().map_err(|_| format!("`sources`: `{one}` is no address"))).collect()
}

fn describe(impairment: &Impairment, links: usize) -> String {
    let what = if impairment.blocks() {
        "blackhole".to_owned()
    } else if impairment.loss > 0.0 {
        format!("loss {} %", impairment.loss * 100.0)
    } else {
        format!("latency {} ms ± {} ms", impairment.delay.as_secs_f64() * 1e3, impairment.jitter.as_secs_f64() * 1e3)
    };
    format!("{what} on {links} link{}", if links == 1 { "" } else { "s" })
}
