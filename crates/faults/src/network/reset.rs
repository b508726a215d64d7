//! `network:reset`: connections break off.

use std::{collections::BTreeSet, sync::Arc};

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    network::{
        filter::{DIRECTION, Filter, PORT, SOURCES, Way},
        owner::sockets,
        site::network,
    },
    object::{Kind, Object},
    parameters::Checked,
    sys::{
        connection::{Connection, States, connections, destroy},
        namespace::NetworkNamespace,
        nft::Protocol,
    },
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "network:reset",
    about: "Breaks established TCP connections of a target, once: the other ends get a reset, its processes an error.",
    targets: TARGETS,
    parameters: &[
        Parameter {
            name: "resetPercent",
            kind: ParameterKind::Number { min: 0.1, max: 100.0 },
            required: false,
            default: Some("100"),
            about: "The share of the connections concerned that are broken, at least one.",
        },
        SOURCES,
        PORT,
        Parameter {
            default: Some("both"),
            about: "Connections that others opened to the target, that it opened to others, or both.",
            ..DIRECTION
        },
    ],
    reversibility: Reversibility::Irreversible,
    undone_by: "Nothing: whoever wants to go on talking has to connect again.",
    proven_by: "The kernel does not have the connections any more that it had before.",
    needs: &[Need::NetworkNamespace],
    exclusive: &[],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct Reset;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    filter: Filter,
    /// From above 0 to 1.
    share: f64,
    /// Of all in the namespace, only those of the object's own processes.
    own: bool,
    /// Also those over the loopback.
    #[serde(default)]
    loopback: bool,
    seed: u64,
}

/// What was broken.
struct Broken {
    network: Arc<NetworkNamespace>,
    connections: Vec<Connection>,
    of: usize,
    configured: String,
}

impl Fault for Reset {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let filter = Filter::read(parameters)?.of_tcp();
        let own = match object.kind {
            Kind::Instance | Kind::Container => false,
            Kind::Process | Kind::Service => true,
            Kind::Machine if filter.is_narrow() => false,
            Kind::Machine => {
                let why = "all connections of the host would break, yours too: name `sources` or `port`";
                return Err(Refused(why.to_owned()));
            }
        };
        let network = network(object)?;
        let shared = NetworkNamespace::current().is_ok_and(|ours| ours.is_same(&network));
        if shared && !own && object.kind != Kind::Machine {
            let why =
                format!("{} has no network of its own: its connections cannot be told from the host's", object.name);
            return Err(Refused(why));
        }
        let share = parameters.read::<f64>("resetPercent")? / 100.0;
        // Who has a network to itself has the loopback for its own affairs.
        let loopback = shared || own || filter.names_loopback();
        fault::written(&Plan { filter, share, own, loopback, seed: fault::seed() })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let network = network(&undo.object).map_err(|Refused(why)| Failed(why))?;
        let list = |states| network.run(|| Ok(connections(states)?)).map_err(Failed::to("list the connections"));
        let listening = list(States::LISTENING)?;
        let doors: BTreeSet<u16> = listening.iter().map(|socket| socket.local.port()).collect();
        let own = if plan.own { Some(own_sockets(&undo.object)?) } else { None };
        let is_own = |connection: &Connection| {
            own.as_ref().is_none_or(|own| {
                let door = |socket: &&Connection| socket.local.port() == connection.local.port();
                // A connection that waits to be accepted belongs to nobody but the port.
                let waits = connection.inode == 0;
                own.contains(&connection.inode)
                    || waits && listening.iter().filter(door).any(|door| own.contains(&door.inode))
            })
        };
        let mut concerned: Vec<Connection> = Vec::new();
        for connection in list(States::ESTABLISHED)? {
            // Of a connection over the loopback both ends are here; one is enough.
            let is_other_end = |one: &Connection| (one.local, one.remote) == (connection.remote, connection.local);
            if is_own(&connection) && plan.concerns(&connection, &doors) && !concerned.iter().any(is_other_end) {
                concerned.push(connection);
            }
        }
        let of = concerned.len();
        if of == 0 {
            return Err(Failed(format!("{} has no established connection of that kind", undo.object.name)));
        }
        let mut random = SmallRng::seed_from_u64(plan.seed);
        while concerned.len() > plan.count(of) {
            concerned.swap_remove(random.random_range(0..concerned.len()));
        }
        network.run(|| Ok(destroy(&concerned)?)).map_err(Failed::to("break the connections"))?;
        Ok(Box::new(Broken { network, connections: concerned, of, configured: plan.words() }))
    }

    fn undo(&self, _: &Undo) -> Result<Cleanliness, UndoError> {
        Ok(Cleanliness::Gone)
    }
}

impl Plan {
    /// Whether a connection is one of these; `doors`: the ports on which somebody listens.
    fn concerns(&self, connection: &Connection, doors: &BTreeSet<u16>) -> bool {
        let Connection { local, remote, .. } = connection;
        if remote.ip().is_loopback() && !self.loopback {
            return false;
        }
        let (way, port) =
            if doors.contains(&local.port()) { (Way::In, local.port()) } else { (Way::Out, remote.port()) };
        self.filter.ways.contains(&way) && self.filter.covers(remote.ip(), Protocol::Tcp, port)
    }

    /// How many of so many are broken.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count is between none and all of it"
    )]
    fn count(&self, of: usize) -> usize {
        ((of as f64 * self.share).round() as usize).clamp(1, of)
    }

    fn words(&self) -> String {
        let share = if self.share < 1.0 { format!("{} % of ", self.share * 100.0) } else { String::new() };
        format!("reset of {share}the connections with {}", self.filter)
    }
}

/// The numbers of the sockets that the object's processes have.
fn own_sockets(object: &Object) -> Result<BTreeSet<u32>, Failed> {
    let first = object.process().map_err(|Refused(why)| Failed(why))?;
    Ok(sockets(&first.members()))
}

impl Injection for Broken {
    fn prove(&mut self, _: &Abort) -> Proof {
        let left = self.network.run(|| Ok(connections(States::ESTABLISHED)?));
        let count = self.connections.len();
        let (achieved, holds) = match left {
            Err(why) => (format!("the connections cannot be listed: {why}"), false),
            Ok(left) => {
                let alive = self.connections.iter().filter(|one| left.contains(one)).count();
                (format!("{} of {} established connections are broken", count - alive, self.of), alive == 0)
            }
        };
        Proof { configured: self.configured.clone(), achieved, holds }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        Ok(Undone { cleanliness: Cleanliness::Gone, proof: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_some_is_one_at_least_and_all_at_most() {
        let plan = |share| Plan { filter: Filter::default(), share, own: false, loopback: false, seed: 0 };
        assert_eq!([0.001, 0.5, 1.0].map(|share| plan(share).count(10)), [1, 5, 10]);
        assert_eq!(plan(0.5).count(1), 1);
    }
}
