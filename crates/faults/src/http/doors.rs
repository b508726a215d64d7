//! Which connections are concerned: those to the ports at which an object listens, or those that it opens itself.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};

use crate::{
    fault::Refused,
    network::owner::{Owner, sockets},
    object::{Object, Path},
    parameters::Network,
    process::Process,
    sys::{
        connection::{Connection, States, connections},
        namespace::NetworkNamespace,
        nft::{ControlGroup, Match, Protocol},
    },
};

/// Which connections are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Concern {
    /// Those to these doors of the object, from these other ends; none named: from any.
    To { doors: BTreeSet<Door>, others: Vec<Network> },
    /// Those from the object to these ports of these other ends; none named: of any.
    From { ports: Vec<RangeInclusive<u16>>, others: Vec<Network>, group: Option<ControlGroup> },
    /// Those that go over links of the object, to it or from it, to these ports, and are from or to these other ends; none
    /// named: all of them.
    Over { inward: bool, ports: Vec<RangeInclusive<u16>>, others: Vec<Network> },
}

/// Where somebody listens. The address may be the unspecified one: all that the host has, of IPv6 those of IPv4 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Door {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

pub(crate) const ANY_FOUR: Network = Network { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 };
pub(crate) const ANY_SIX: Network = Network { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 };

impl Concern {
    /// Connections to an object: to the ports named, or to its only one.
    pub(crate) fn to(
        object: &Object,
        network: &NetworkNamespace,
        ports: &[RangeInclusive<u16>],
        others: Vec<Network>,
    ) -> Result<Self, Refused> {
        let all = doors(object, network)?;
        let listed: BTreeSet<u16> = all.iter().map(|door| door.port).collect();
        let listed: Vec<String> = listed.iter().map(u16::to_string).collect();
        let (name, listed) = (&object.name, listed.join(", "));
        if all.is_empty() {
            return Err(Refused(format!("{name} listens on no TCP port")));
        }
        let only = all.iter().all(|door| Some(door.port) == all.first().map(|first| first.port));
        if ports.is_empty() && !only {
            return Err(Refused(format!("{name} listens on the ports {listed}: say which `port` serves HTTP")));
        }
        if let Some(none) = ports.iter().find(|ports| !all.iter().any(|door| ports.contains(&door.port))) {
            let none = Ports(std::slice::from_ref(none));
            return Err(Refused(format!("{name} does not listen on port {none}, but on {listed}")));
        }
        let chosen = |door: &Door| ports.is_empty() || ports.iter().any(|ports| ports.contains(&door.port));
        Ok(Self::To { doors: all.into_iter().filter(chosen).collect(), others })
    }

    /// Connections that an object opens.
    pub(crate) fn from(
        object: &Object,
        network: &NetworkNamespace,
        ports: Vec<RangeInclusive<u16>>,
        others: Vec<Network>,
    ) -> Result<Self, Refused> {
        if ports.is_empty() {
            return Err(Refused("say to which `port` of others the requests go".to_owned()));
        }
        let group = match Owner::of(object, network)? {
            Owner::Namespace | Owner::Host => None,
            Owner::Group(group) => Some(group),
            Owner::Doors(_) => {
                return Err(Refused(format!(
                    "what {} asks cannot be told from what others of its network ask: choose a service or a container",
                    object.name
                )));
            }
        };
        Ok(Self::From { ports, others, group })
    }

    /// Connections that go over links of an object: those to it, to the ports named or all, or those that it opens.
    pub(crate) fn over(
        object: &Object,
        inward: bool,
        ports: Vec<RangeInclusive<u16>>,
        others: &[Network],
    ) -> Result<Self, Refused> {
        let name = &object.name;
        if !inward && ports.is_empty() {
            return Err(Refused("say to which `port` of others the requests go".to_owned()));
        }
        let listed: BTreeSet<u16> =
            object.links.iter().filter(|path| path.inward == inward).map(|path| path.port).collect();
        let is_one = |ports: &RangeInclusive<u16>| listed.iter().any(|port| ports.contains(port));
        if let Some(none) = ports.iter().find(|ports| !is_one(ports)) {
            let none = Ports(std::slice::from_ref(none));
            let listed: Vec<String> = listed.iter().map(u16::to_string).collect();
            let listed = listed.join(", ");
            return Err(Refused(if inward {
                format!("{name} does not listen on port {none}, but on {listed}")
            } else {
                format!("no link leads from {name} to port {none} of others, but to {listed}")
            }));
        }
        let concern = Self::Over { inward, ports, others: others.to_vec() };
        let chosen = concern.paths(object);
        let among = |end: &IpAddr| others.is_empty() || others.iter().any(|other| other.contains(*end));
        if let Some(shared) = chosen.iter().find(|path| !path.others.iter().all(among)) {
            let ends: Vec<String> = shared.others.iter().map(ToString::to_string).collect();
            return Err(Refused(format!(
                "`sources`: a link of {name} carries requests of {} alike, and some of these are not named",
                ends.join(", ")
            )));
        }
        if chosen.is_empty() {
            return Err(Refused(format!("no link of {name} carries such requests")));
        }
        Ok(concern)
    }

    /// The links that are concerned, also in part.
    pub(crate) fn paths<'a>(&self, object: &'a Object) -> Vec<&'a Path> {
        let Self::Over { inward, ports, others } = self else { return Vec::new() };
        let is_meant = |path: &&Path| {
            path.inward == *inward
                && (ports.is_empty() || ports.iter().any(|ports| ports.contains(&path.port)))
                && (others.is_empty() || path.others.iter().any(|end| others.iter().any(|other| other.contains(*end))))
        };
        object.links.iter().filter(is_meant).collect()
    }

    /// The packets concerned that are of this version of IP (`family`: all addresses of it), but for those of ours with one
    /// of these marks.
    pub(crate) fn packets(&self, family: Network, unless: &RangeInclusive<u32>) -> Vec<Match> {
        let base = Match { protocol: Some(Protocol::Tcp), unless_marks: Some(unless.clone()), ..Match::default() };
        let mut found = Vec::new();
        match self {
            Self::To { doors, others } => {
                for door in doors {
                    let Some(destination) = door.within(family) else { continue };
                    for source in of_family(others, family) {
                        let ports = Some(door.port..=door.port);
                        let packets =
                            Match { source, destination: Some(destination), destination_ports: ports, ..base.clone() };
                        found.push(Match { local: true, ..packets });
                    }
                }
            }
            Self::From { ports, others, group } => {
                for ports in ports {
                    for destination in of_family(others, family) {
                        let destination = destination.or(Some(family));
                        let packets = Match { destination, destination_ports: Some(ports.clone()), ..base.clone() };
                        found.push(Match { opening: true, cgroup: *group, ..packets });
                    }
                }
            }
            // Links lead them by themselves.
            Self::Over { .. } => {}
        }
        // A match without an interface leaves out the loopback.
        let inside = found.iter().map(|packets| Match { interface: Some("lo".to_owned()), ..packets.clone() });
        let inside: Vec<_> = inside.collect();
        found.extend(inside);
        found
    }

    /// Whether a connection of the object's network is concerned; `own`: the numbers of the object's sockets.
    pub(crate) fn covers(&self, connection: &Connection, own: &BTreeSet<u32>) -> bool {
        let among =
            |others: &[Network]| others.is_empty() || others.iter().any(|other| other.contains(connection.remote.ip()));
        match self {
            Self::To { doors, others } => doors.iter().any(|door| door.leads(connection.local)) && among(others),
            Self::From { ports, others, group } => {
                let mine = group.is_none() || own.contains(&connection.inode);
                mine && ports.iter().any(|ports| ports.contains(&connection.remote.port())) && among(others)
            }
            Self::Over { .. } => false,
        }
    }
}

/// Of other ends those of a version of IP, each as a condition; no condition, if none are named.
fn of_family(others: &[Network], family: Network) -> Vec<Option<Network>> {
    if others.is_empty() {
        return vec![None];
    }
    others.iter().filter(|other| other.address.is_ipv4() == family.address.is_ipv4()).copied().map(Some).collect()
}

impl Door {
    /// The addresses of it that are of a version of IP.
    fn within(self, family: Network) -> Option<Network> {
        let same = self.address.is_ipv4() == family.address.is_ipv4();
        match self.address {
            // Those who want IPv6 alone say so, and are few; to them nobody comes by IPv4.
            IpAddr::V6(address) if address.is_unspecified() => Some(family),
            _ if !same => None,
            address if address.is_unspecified() => Some(family),
            address => Some(Network::only(address)),
        }
    }

    fn leads(self, to: SocketAddr) -> bool {
        self.port == to.port() && (self.address.is_unspecified() || self.address == to.ip())
    }

    /// Where it can be reached from inside its network.
    pub(crate) fn inside(self) -> Vec<SocketAddr> {
        let (four, six) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let addresses = match self.address {
            IpAddr::V4(address) if address.is_unspecified() => vec![four],
            // Most such doors take those who come by IPv4 as well.
            IpAddr::V6(address) if address.is_unspecified() => vec![four, six],
            address => vec![address],
        };
        addresses.into_iter().map(|address| SocketAddr::new(address, self.port)).collect()
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = match self {
            Self::To { doors, others } => {
                let ports: BTreeSet<u16> = doors.iter().map(|door| door.port).collect();
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                write!(f, "requests to port {}", ports.join(","))?;
                others
            }
            Self::From { ports, others, .. } => {
                write!(f, "requests from it to port {}", Ports(ports))?;
                others
            }
            Self::Over { inward, ports, others } => {
                match (inward, ports.as_slice()) {
                    (true, []) => f.write_str("requests to it")?,
                    (true, ports) => write!(f, "requests to port {}", Ports(ports))?,
                    (false, ports) => write!(f, "requests from it to port {}", Ports(ports))?,
                }
                others
            }
        };
        match others.as_slice() {
            [] => Ok(()),
            [one] => write!(f, " (other end {one})"),
            [one, rest @ ..] => write!(f, " (other end {one} or {} more)", rest.len()),
        }
    }
}

/// `80,8000-8100`.
struct Ports<'a>(&'a [RangeInclusive<u16>]);

impl fmt::Display for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, ports) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match (ports.start(), ports.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// Where an object listens.
fn doors(object: &Object, network: &NetworkNamespace) -> Result<Vec<Door>, Refused> {
    let why = |why: io::Error| Refused(format!("the ports of {} cannot be looked up: {why}", object.name));
    let listening = network.run(|| Ok(connections(States::LISTENING)?)).map_err(why)?;
    let own = match Owner::of(object, network)? {
        Owner::Namespace | Owner::Host => None,
        Owner::Group(_) | Owner::Doors(_) => Some(own_sockets(object)?),
    };
    // What this process listens at there, it does for faults.
    let ours = Process::own().map(|process| sockets(&[process])).map_err(why)?;
    let is_own = |socket: &&Connection| {
        !ours.contains(&socket.inode) && own.as_ref().is_none_or(|own| own.contains(&socket.inode))
    };
    Ok(listening
        .iter()
        .filter(is_own)
        .map(|socket| Door { address: socket.local.ip(), port: socket.local.port() })
        .collect())
}

/// The numbers of the sockets that an object's processes have.
pub(crate) fn own_sockets(object: &Object) -> Result<BTreeSet<u32>, Refused> {
    Ok(sockets(&object.process()?.members()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(text: &str) -> Door {
        let address: SocketAddr = text.parse().unwrap();
        Door { address: address.ip(), port: address.port() }
    }

    fn to(doors: &[&str], others: &[&str]) -> Concern {
        Concern::To {
            doors: doors.iter().map(|text| door(text)).collect(),
            others: others.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_door_is_open_to_each_version_of_ip_that_reaches_it() {
        let count = |concern: &Concern, family| concern.packets(family, &(1..=1)).len();
        // Through the loopback and otherwise.
        assert_eq!(count(&to(&["0.0.0.0:80"], &[]), ANY_FOUR), 2);
        assert_eq!(count(&to(&["0.0.0.0:80"], &[]), ANY_SIX), 0);
        assert_eq!([ANY_FOUR, ANY_SIX].map(|family| count(&to(&["[::]:80"], &[]), family)), [2, 2]);
        assert_eq!([ANY_FOUR, ANY_SIX].map(|family| count(&to(&["[::1]:80"], &[]), family)), [0, 2]);
        let some = to(&["[::]:80", "[::]:81"], &["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"]);
        assert_eq!([ANY_FOUR, ANY_SIX].map(|family| count(&some, family)), [8, 4]);
        assert!(some.packets(ANY_FOUR, &(1..=1)).iter().all(|packets| packets.local && packets.source.is_some()));
    }

    /// An object to which one link leads, and from which another does.
    fn linked() -> Object {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let path = |inward, port, others: &[&str]| {
            let anywhere = "127.0.0.1:0".parse().unwrap();
            let course = runtime.block_on(proxy::Link::start(anywhere, anywhere, 1)).unwrap().course();
            Path { course, inward, port, others: others.iter().map(|end| end.parse().unwrap()).collect() }
        };
        let links = vec![path(true, 8080, &["127.1.0.2", "127.1.0.3"]), path(false, 80, &["127.1.0.4"])];
        Object { name: "i-1".to_owned(), links, ..Object::default() }
    }

    #[test]
    fn links_are_concerned_whole_or_not_at_all() {
        let object = linked();
        let over = |inward, ports: &[u16], others: &[&str]| {
            let ports = ports.iter().map(|port| *port..=*port).collect();
            let others: Vec<Network> = others.iter().map(|text| text.parse().unwrap()).collect();
            Concern::over(&object, inward, ports, &others)
        };
        for (inward, ports, others, words) in [
            (true, &[][..], &[][..], "requests to it"),
            (true, &[8080], &["127.1.0.0/24"], "requests to port 8080 (other end 127.1.0.0/24)"),
            (false, &[80], &[], "requests from it to port 80"),
        ] {
            let concern = over(inward, ports, others).unwrap();
            assert_eq!(concern.to_string(), words);
            assert_eq!(concern.paths(&object).len(), 1);
        }
        for (inward, ports, others, why) in [
            (true, &[][..], &["127.1.0.2"][..], "requests of 127.1.0.2, 127.1.0.3 alike"),
            (true, &[81], &[], "does not listen on port 81, but on 8080"),
            (true, &[], &["127.2.0.0/16"], "no link of i-1 carries such requests"),
            (false, &[], &[], "say to which `port`"),
            (false, &[8080], &[], "no link leads from i-1 to port 8080 of others, but to 80"),
        ] {
            let Refused(text) = over(inward, ports, others).unwrap_err();
            assert!(text.contains(why), "{text}");
        }
    }

    #[test]
    fn a_concern_is_told_in_words() {
        assert_eq!(to(&["0.0.0.0:80", "[::]:80"], &[]).to_string(), "requests to port 80");
        let from = Concern::From {
            ports: vec![80..=80, 8000..=8100],
            others: vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
            group: None,
        };
        assert_eq!(from.to_string(), "requests from it to port 80,8000-8100 (other end 10.0.0.1/32 or 1 more)");
    }
}
