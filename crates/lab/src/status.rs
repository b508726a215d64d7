//! What a lab looks like at one moment: for `shaketable lab status`, and for target filters.

use std::{
    fmt::{self, Write as _},
    net::SocketAddr,
};

use model::resource::ResourceId;
use serde::{Deserialize, Serialize};

/// The state of an instance, by the names of EC2 (`State.Name`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Its process is being started.
    Pending,
    /// Its process runs.
    Running,
    /// Its process is being replaced by another; for EC2 it runs.
    Rebooting,
    /// Its process is being ended, and may be started again.
    Stopping,
    /// It has no process, and may be started again.
    Stopped,
    /// Its process is being ended, for good.
    ShuttingDown,
    /// It is gone for good.
    Terminated,
}

impl InstanceState {
    /// The name EC2 has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running | Self::Rebooting => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }
}

/// A lab at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What it stands on, in words.
    pub network: String,
    /// The process that holds it.
    pub pid: u32,
    /// Its instances, in the order of their launch.
    pub instances: Vec<InstanceStatus>,
    /// Its load balancers, by name.
    pub balancers: Vec<BalancerStatus>,
}

/// An instance at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Its id.
    pub id: ResourceId,
    /// Its group.
    pub group: String,
    /// Its zone.
    pub zone: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its state.
    pub state: InstanceState,
    /// How often it has been started.
    pub boot: u32,
    /// Its process, when it has one.
    pub pid: Option<i32>,
    /// What the first of its balancers thinks, in AWS's words.
    pub health: Option<String>,
}

/// A load balancer at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BalancerStatus {
    /// Its name; within the lab it is called `NAME.lab`.
    pub name: String,
    /// The group it sends to.
    pub group: String,
    /// Where it listens within the lab.
    pub address: SocketAddr,
    /// Where it listens on this host.
    pub published: Option<SocketAddr>,
    /// How many of its targets are healthy.
    pub healthy: usize,
    /// How many targets it has.
    pub targets: usize,
}

impl fmt::Display for Status {
    /// Two tables, columns aligned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Lab {} (process {}; {})\n", self.name, self.pid, self.network)?;
        let mut balancers = vec![["BALANCER", "GROUP", "ADDRESS", "PUBLISHED", "HEALTHY"].map(str::to_owned)];
        balancers.extend(self.balancers.iter().map(|one| {
            let published = one.published.map_or_else(|| "-".to_owned(), |address| format!("http://{address}/"));
            let healthy = format!("{} of {}", one.healthy, one.targets);
            [format!("{}.lab", one.name), one.group.clone(), one.address.to_string(), published, healthy]
        }));
        f.write_str(&table(&balancers))?;
        f.write_char('\n')?;
        let mut instances = vec![["INSTANCE", "GROUP", "ZONE", "ADDRESS", "STATE", "HEALTH", "PID"].map(str::to_owned)];
        instances.extend(self.instances.iter().map(|one| {
            [
                one.id.to_string(),
                one.group.clone(),
                one.zone.clone(),
                one.address.to_string(),
                one.state.name().to_owned(),
                one.health.clone().unwrap_or_else(|| "-".to_owned()),
                one.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            ]
        }));
        f.write_str(&table(&instances))
    }
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_it_as_tables_and_a_program_as_json() {
        let status = Status {
            name: "two-zones".to_owned(),
            network: "a network per instance".to_owned(),
            pid: 42,
            instances: vec![InstanceStatus {
                id: ResourceId("i-0000000000000000a".to_owned()),
                group: "web".to_owned(),
                zone: "local-1a".to_owned(),
                address: ([10, 1, 0, 10], 8080).into(),
                state: InstanceState::Rebooting,
                boot: 1,
                pid: Some(77),
                health: Some("healthy".to_owned()),
            }],
            balancers: vec![BalancerStatus {
                name: "web".to_owned(),
                group: "web".to_owned(),
                address: ([10, 0, 0, 2], 80).into(),
                published: Some(([127, 0, 0, 1], 8080).into()),
                healthy: 1,
                targets: 2,
            }],
        };
        assert_eq!(
            status.to_string(),
            "Lab two-zones (process 42; a network per instance)\n\
             \n\
             BALANCER  GROUP  ADDRESS      PUBLISHED               HEALTHY\n\
             web.lab   web    10.0.0.2:80  http://127.0.0.1:8080/  1 of 2\n\
             \n\
             INSTANCE             GROUP  ZONE      ADDRESS         STATE    HEALTH   PID\n\
             i-0000000000000000a  web    local-1a  10.1.0.10:8080  running  healthy  77\n"
        );
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
