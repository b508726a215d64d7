//! The lab: a data centre in a box, as its file describes it.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{alarm::Alarm, period::Period};

/// A lab file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lab {
    /// Its name; the file's stem unless it says otherwise.
    pub name: String,
    /// How instances get addresses.
    pub network: Network,
    /// Regions and their zones.
    pub regions: Vec<Region>,
    /// Groups of instances by name.
    pub groups: BTreeMap<String, Group>,
    /// Load balancers by name; `NAME.lab` resolves to each within the lab.
    pub balancers: BTreeMap<String, Balancer>,
    /// Alarms the environment already has; an experiment's stop conditions may name them.
    pub alarms: BTreeMap<String, Alarm>,
}

/// How instances get addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The best that this machine and user allow: `netns`, else `loopback`.
    #[default]
    Auto,
    /// One network namespace and address per instance.
    Netns,
    /// Loopback addresses; links between them are carried by a proxy.
    Loopback,
}

/// A region and its zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// For example `local-1`.
    pub name: String,
    /// Full zone names, for example `local-1a`.
    pub zones: Vec<String>,
}

/// Where an instance that has a disk to itself sees it.
pub const DISK: &str = "/mnt";

/// A group of like instances (an Auto Scaling group).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Zones the instances are spread over, evenly.
    pub zones: Vec<String>,
    /// Fewest instances.
    pub min: u32,
    /// Most instances.
    pub max: u32,
    /// How many there should be.
    pub desired: u32,
    /// Whether an instance that dies is replaced.
    pub replace: bool,
    /// How long a new instance may take before its health counts.
    pub grace_period: Period,
    /// Time between an instance's end and the launch of its replacement: what a real group needs to notice and boot.
    pub launch_delay: Period,
    /// What each instance runs.
    pub run: Run,
    /// Nominal memory of an instance in bytes: what a memory stress of so many percent refers to.
    pub memory: u64,
    /// Size in bytes of a disk that each instance has to itself, at [`DISK`]; none: it sees the disks of the machine it runs on.
    pub disk: Option<u64>,
    /// The port it listens on.
    pub port: u16,
    /// Environment; `HOST`, `PORT`, `INSTANCE_ID`, `ZONE`, `GROUP` are set besides.
    pub env: BTreeMap<String, String>,
    /// Tags every instance carries.
    pub tags: BTreeMap<String, String>,
}

/// What an instance runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Run {
    /// The built-in demo application.
    DemoApp(DemoApp),
    /// Any command; no shell. `{host}` and `{port}` are replaced.
    Command(Vec<String>),
}

/// Options of the built-in demo application.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoApp {
    /// How long it takes to answer `/` (work, not CPU).
    pub work: Period,
    /// How long it takes from start to healthy.
    pub startup: Period,
    /// The service it calls for `/`, if any.
    pub downstream: Option<Downstream>,
    /// The folder in which it keeps each request for `/` until it is answered, if any.
    pub spool: Option<PathBuf>,
}

/// A call to another service, and what protects the caller.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Downstream {
    /// `http://` URL, usually of a balancer: `http://api.lab/`.
    pub url: String,
    /// Longest wait for one attempt; none: as long as it takes.
    pub timeout: Option<Period>,
    /// Attempts after the first.
    pub retries: u32,
    /// Circuit breaker; none: every request tries.
    pub breaker: Option<Breaker>,
    /// Whether a failed call is answered with the last good answer, if there was one, and status 200 instead of 503.
    pub fallback: bool,
}

/// A circuit breaker: opens after consecutive failures, lets one trial through after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// Consecutive failures that open it.
    pub failures: u32,
    /// How long it stays open before a trial.
    pub open_for: Period,
}

/// A layer-7 load balancer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balancer {
    /// The group it sends to.
    pub group: String,
    /// The port it listens on.
    pub port: u16,
    /// An address of the host (`127.0.0.1:8080`) on which it listens as well, so that a browser can look.
    pub publish: Option<String>,
    /// How targets are found healthy.
    pub health_check: HealthCheck,
    /// Whether a client sticks to a target by cookie, and how long.
    pub sticky: Option<Period>,
    /// How long requests in flight may take when a target leaves (deregistration delay).
    pub draining: Period,
    /// How long a target may take to answer (idle timeout: 504).
    pub timeout: Period,
    /// How often an idempotent request that got no response because its connection failed is tried on another target.
    pub retries: u32,
}

/// How a balancer finds targets healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// Path asked for.
    pub path: String,
    /// How often.
    pub interval: Period,
    /// How long an answer may take.
    pub timeout: Period,
    /// Consecutive good answers that make a target healthy.
    pub healthy_threshold: u32,
    /// Consecutive bad answers that make it unhealthy.
    pub unhealthy_threshold: u32,
    /// Statuses that are good, as inclusive ranges.
    pub codes: Vec<(u16, u16)>,
}

impl Default for HealthCheck {
    /// The figures of an ALB target group are 30 s, 5 s, 5 and 2; a lab is watched by a person, so ours are shorter.
    fn default() -> Self {
        Self {
            path: "/health".to_owned(),
            interval: Period::from_secs(1),
            timeout: Period::from_millis(500),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            codes: vec![(200, 299)],
        }
    }
}
