//! Network faults where instances share the loopback interface: on the links between them.
//!
//! ```text
//!   balancer ──▶ link to the instance ──▶ instance ──▶ link from it ──▶ another balancer
//!                ingress: forward                      ingress: backward
//!                egress: backward                      egress: forward
//! ```

use std::{net::IpAddr, sync::Arc, time::Duration};

use engine::provider::{InjectError, Order, Undone};
use faults::Network;
use model::{
    event::{Cleanliness, InjectionId, Proof},
    resource::ResourceId,
};
use proxy::{Faults, Impairment};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    time::timeout,
};

use crate::{
    lab::Lab,
    loopback::{Loopback, Role},
    plane::Seen,
};

/// How long an exchange over a link may take besides what the fault adds.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is needed to undo it: which links, and what was put on them.
#[derive(Debug, Clone)]
pub(super) struct Undo {
    injection: InjectionId,
    instance: ResourceId,
    on: Vec<(Role, Faults)>,
    configured: String,
    impairment: Impairment,
}

impl Undo {
    /// Decides what is put on which links.
    pub(super) fn plan(loopback: &Loopback, order: &Order, seen: &Seen, lab: &Lab) -> Result<Self, InjectError> {
        let refuse = |why: String| InjectError::Refused(format!("{}: {why}", order.fault));
        let text = |name: &str| order.parameters.get(name).map(String::as_str);
        if text("protocol").is_some_and(|protocol| protocol != "tcp") {
            return Err(refuse("links between loopback addresses carry TCP only; use `--network netns`".to_owned()));
        }
        if text("flowsPercent").is_some_and(|share| share.parse() != Ok(100.0)) {
            return Err(refuse("a link impairs all its connections, not a share; use `--network netns`".to_owned()));
        }
        let number = |name: &str, default: f64| {
            let value = text(name).map_or(Ok(default), str::parse);
            value.map_err(|_| refuse(format!("`{name}` is no number")))
        };
        let millis = |value: f64| Duration::try_from_secs_f64(value / 1e3).map_err(|why| refuse(why.to_string()));
        let impairment = match order.fault.as_str() {
            "network:latency" => Impairment {
                delay: millis(number("delayMilliseconds", 200.0)?)?,
                jitter: millis(number("jitterMilliseconds", 0.0)?)?,
                ..Impairment::default()
            },
            "network:loss" => Impairment { loss: number("lossPercent", 7.0)? / 100.0, ..Impairment::default() },
            "network:blackhole" => Impairment { blackhole: true, ..Impairment::default() },
            other => {
                return Err(refuse(format!("`{other}` cannot be done on loopback addresses; use `--network netns`")));
            }
        };
        let (ingress, egress) = match text("direction").unwrap_or("ingress") {
            "egress" => (false, true),
            "both" => (true, true),
            _ => (true, false),
        };
        let port =
            text("port").map(str::parse::<u16>).transpose().map_err(|_| refuse("`port` is no port".to_owned()))?;
        let sources = sources(text("sources").unwrap_or("ALL")).map_err(&refuse)?;
        let concerned = |others: &[IpAddr]| {
            sources.is_empty() || sources.iter().any(|source| others.iter().any(|other| source.contains(*other)))
        };
        let way = |does: bool| if does { impairment } else { Impairment::default() };
        let mut on = Vec::new();
        for role in loopback.roles(&seen.status.id) {
            // The port of ingress is the instance's, that of egress the other end's.
            let (others, incoming, outgoing) = match &role {
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
            if concerned(&others) && (incoming || outgoing) {
                let faults = match role {
                    Role::To => Faults { forward: way(incoming), backward: way(outgoing) },
                    Role::From(_) => Faults { forward: way(outgoing), backward: way(incoming) },
                };
                on.push((role, faults));
            }
        }
        if on.is_empty() {
            return Err(refuse("no link of the instance carries such traffic".to_owned()));
        }
        let configured = describe(&impairment, on.len());
        Ok(Self { injection: order.injection, instance: order.resource.clone(), on, configured, impairment })
    }

    /// Puts it on the links, and measures on the first of them.
    pub(super) async fn inject(&self, loopback: &Arc<Loopback>, on: &runtime::Handle) -> Result<Proof, InjectError> {
        let gone = || InjectError::Refused(format!("instance {} is terminated", self.instance));
        let Some((first, faults)) = self.on.first() else { return Err(gone()) };
        let address = loopback.address(&self.instance, first).ok_or_else(gone)?;
        let usual = on.spawn(exchange(address, PATIENCE)).await.ok().flatten();
        for (role, faults) in &self.on {
            loopback.put(&self.instance, role, self.injection, *faults);
        }
        let blocks = self.impairment.blocks();
        let expected = [faults.forward, faults.backward].iter().map(|one| one.delay).sum::<Duration>();
        // Loss shows as waiting for retransmissions.
        let patience = if blocks { PATIENCE } else { PATIENCE + 8 * expected + 4 * proxy::HANDSHAKE_RETRANSMISSION };
        let now = on.spawn(exchange(address, patience)).await.ok().flatten();
        let show = |time: Option<Duration>| {
            time.map_or_else(
                || "no answer".to_owned(),
                |time| format!("an answer after {:.1} ms", time.as_secs_f64() * 1e3),
            )
        };
        let holds = match (usual, now) {
            (Some(_), None) => blocks,
            (Some(usual), Some(now)) => !blocks && now + self.impairment.jitter * 4 >= usual + expected.mul_f64(0.9),
            (None, _) => false,
        };
        let proof = Proof {
            configured: self.configured.clone(),
            achieved: format!("before: {}; now: {}", show(usual), show(now)),
            holds,
        };
        if holds {
            return Ok(proof);
        }
        self.undo(loopback);
        Err(InjectError::Failed(format!("{} was not achieved: {}", proof.configured, proof.achieved)))
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

/// How long it takes until whoever listens there says anything to an HTTP request, be it that it does not understand.
async fn exchange(address: std::net::SocketAddr, patience: Duration) -> Option<Duration> {
    let began = tokio::time::Instant::now();
    let answer = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n").await.ok()?;
        stream.read(&mut [0; 1]).await.ok().filter(|&read| read > 0)
    };
    timeout(patience, answer).await.ok().flatten().map(|_| began.elapsed())
}
