//! Which packets a fault in the network is for.

use std::{
    fmt,
    net::{IpAddr, ToSocketAddrs},
    ops::RangeInclusive,
};

use model::catalogue::{Parameter, ParameterKind};
use serde::{Deserialize, Serialize};

use crate::{
    fault::Refused,
    network::site::Site,
    object::Object,
    parameters::{Checked, Network, ports},
    sys::nft::{Match, Protocol},
};

/// How long a fault may last, in seconds: AWS FIS's limits for actions.
pub(crate) const DURATION: Parameter = Parameter {
    name: "duration",
    kind: ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 },
    required: false,
    default: None,
    about: "How long the fault lasts.",
};
pub(crate) const SOURCES: Parameter = Parameter {
    name: "sources",
    kind: ParameterKind::Addresses,
    required: false,
    default: Some("ALL"),
    about: "The other ends of the traffic concerned: addresses, networks, host names (looked up once, when it begins); ALL for any. What \
            shares the host's network is hit over the loopback too; an instance with a network of its own only if `127.0.0.0/8`, a part \
            of it or `::1` is named.",
};
pub(crate) const PORT: Parameter = Parameter {
    name: "port",
    kind: ParameterKind::Ports,
    required: false,
    default: None,
    about: "Only packets to these ports: of the target for ingress, of the other end for egress. What a process answers (egress) comes \
            from its own port.",
};
pub(crate) const PROTOCOL: Parameter = Parameter {
    name: "protocol",
    kind: ParameterKind::OneOf { values: &["tcp", "udp"] },
    required: false,
    default: None,
    about: "Only packets of this protocol; without it, of all (with a port: TCP and UDP).",
};
pub(crate) const DIRECTION: Parameter = Parameter {
    name: "direction",
    kind: ParameterKind::OneOf { values: &["ingress", "egress", "both"] },
    required: false,
    default: Some("ingress"),
    about: "Packets to the target, from it, or both; a round trip passes each direction once. Of a process that shares its network, only \
            connections to the ports it listens on can be told: egress is what it answers.",
};
pub(crate) const FLOWS: Parameter = Parameter {
    name: "flowsPercent",
    kind: ParameterKind::Number { min: 0.1, max: 100.0 },
    required: false,
    default: Some("100"),
    about: "The share of flows (connections) that are concerned.",
};

/// Which way packets go, seen from the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Way {
    /// To it: caught where they arrive.
    In,
    /// From it: caught where they arrive at the other end of its link, because a sender whose packets are held at home stops.
    Out,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "to it",
            Self::Out => "from it",
        })
    }
}

/// Over what packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The links to other machines and networks.
    Links,
    /// The loopback: they come from where they go to. Each is seen where it arrives, whoever sends it, because there it belongs
    /// to its sender no more, and may be held without stopping that.
    Loopback,
}

/// Packets that go one way over the same: what is caught at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) way: Way,
    pub(crate) over: Over,
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.over {
            Over::Links => write!(f, "{}", self.way),
            Over::Loopback => write!(f, "{} over the loopback", self.way),
        }
    }
}

/// Which packets a fault is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    pub(crate) ways: Vec<Way>,
    /// The other ends; empty means any.
    others: Vec<Other>,
    pub(crate) protocol: Option<Protocol>,
    /// Empty means any.
    pub(crate) ports: Vec<RangeInclusive<u16>>,
}

/// Another end, as it was written and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Other {
    /// The name, if it was one: its addresses may be others tomorrow.
    name: Option<String>,
    network: Network,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.network.address),
            None => write!(f, "{}", self.network),
        }
    }
}

/// A rule per combination; far more than documents have, and few enough to be walked for every packet.
const MOST_RULES: usize = 512;

impl Filter {
    /// Reads the parameters.
    pub(crate) fn read(parameters: Checked<'_>) -> Result<Self, Refused> {
        let ways = match parameters.text("direction") {
            Some("egress") => vec![Way::Out],
            Some("both") => vec![Way::In, Way::Out],
            _ => vec![Way::In],
        };
        let protocol = match parameters.text("protocol") {
            Some("tcp") => Some(Protocol::Tcp),
            Some("udp") => Some(Protocol::Udp),
            _ => None,
        };
        let ports = parameters.text("port").map_or(Ok(Vec::new()), ports);
        let ports = ports.map_err(|why| Refused(format!("`port`: {why}")))?;
        Ok(Self { ways, others: others(parameters.text("sources").unwrap_or("ALL"))?, protocol, ports })
    }

    /// Reads the parameters, and checks that the object's network is known well enough.
    pub(crate) fn plan(object: &Object, parameters: Checked<'_>) -> Result<Self, Refused> {
        let filter = Self::read(parameters)?;
        let site = Site::of(object, &filter)?;
        let courses = filter.courses(&site);
        if courses.is_empty() {
            return Err(Refused(format!(
                "none of the sources can reach {}: they are of another address family, or on the loopback where it listens to others \
                 alone, or the other way round",
                object.name
            )));
        }
        for course in courses {
            let rules = filter.matches(course, &site).len();
            if rules > MOST_RULES {
                return Err(Refused(format!(
                    "{rules} rules would be needed for these sources and ports; {MOST_RULES} are allowed: name networks and ranges"
                )));
            }
        }
        Ok(filter)
    }

    /// Whether packets of this kind between the object and `other` are concerned.
    pub(crate) fn covers(&self, other: IpAddr, protocol: Protocol, port: u16) -> bool {
        self.reaches(other)
            && self.protocol.is_none_or(|only| only == protocol)
            && (self.ports.is_empty() || self.ports.iter().any(|ports| ports.contains(&port)))
    }

    /// Whether this other end is concerned.
    pub(crate) fn reaches(&self, other: IpAddr) -> bool {
        self.others.is_empty() || self.others.iter().any(|one| one.network.contains(other))
    }

    /// The same, for TCP alone.
    pub(crate) fn of_tcp(self) -> Self {
        Self { protocol: Some(Protocol::Tcp), ..self }
    }

    /// Whether it leaves out anything but protocols.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.others.is_empty() || !self.ports.is_empty()
    }

    /// Whether it leaves out nothing that goes its ways.
    pub(crate) fn is_everything(&self) -> bool {
        !self.is_narrow() && self.protocol.is_none()
    }

    /// Checks that the ports are among these.
    pub(crate) fn within(&self, doors: &[u16]) -> Result<(), String> {
        match self.ports.iter().find(|ports| !(*ports).clone().all(|port| doors.contains(&port))) {
            None => Ok(()),
            Some(other) => {
                let doors: Vec<String> = doors.iter().map(u16::to_string).collect();
                Err(format!("its processes do not listen on {}, but on {}", range(other), doors.join(", ")))
            }
        }
    }

    /// Whether one of these is named among the other ends by itself: not as one of a network.
    pub(crate) fn names_any(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|own| self.others.iter().any(|other| other.network == Network::only(*own)))
    }

    /// Whether some of the loopback are named among the other ends.
    pub(crate) fn names_loopback(&self) -> bool {
        self.others.iter().any(|other| other.network.address.is_loopback())
    }

    /// Whether the other ends are named.
    pub(crate) fn names_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// The other ends; none means any.
    pub(crate) fn other_ends(&self) -> Vec<Network> {
        self.others.iter().map(|other| other.network).collect()
    }

    /// The only port, if there is exactly one.
    pub(crate) fn only_port(&self) -> Option<u16> {
        match self.ports.as_slice() {
            [ports] if ports.start() == ports.end() => Some(*ports.start()),
            _ => None,
        }
    }

    /// The courses on which packets are concerned.
    pub(crate) fn courses(&self, site: &Site) -> Vec<Course> {
        let all = self.ways.iter().flat_map(|way| [Over::Links, Over::Loopback].map(|over| Course { way: *way, over }));
        let mut courses: Vec<Course> = all.filter(|course| !self.matches(*course, site).is_empty()).collect();
        if site.is_its_own_other_end() {
            let first = courses.iter().find(|course| course.over == Over::Loopback).copied();
            // What goes from it and to it at once is hit once.
            courses.retain(|course| course.over == Over::Links || Some(*course) == first);
        }
        courses
    }

    /// The packets on this course, one match per combination.
    pub(crate) fn matches(&self, course: Course, site: &Site) -> Vec<Match> {
        let Some(ports) = self.ports_at(course.over, site) else { return Vec::new() };
        let protocols = match (self.protocol, ports.as_slice()) {
            (None, [Some(_), ..]) => vec![Some(Protocol::Tcp), Some(Protocol::Udp)],
            (protocol, _) => vec![protocol],
        };
        let mut matches = Vec::new();
        for other in self.others_over(course.over, site) {
            for protocol in &protocols {
                for ports in &ports {
                    let base = Match { protocol: *protocol, ..site.between(course, other) };
                    matches.push(if site.answers(course.way) {
                        Match { source_ports: ports.clone(), ..base }
                    } else {
                        Match { destination_ports: ports.clone(), ..base }
                    });
                }
            }
        }
        matches
    }

    /// The ports that tell packets, each as a condition; no condition, if all are meant. `None`: nobody comes there over this.
    fn ports_at(&self, over: Over, site: &Site) -> Option<Vec<Option<RangeInclusive<u16>>>> {
        let Some(doors) = site.doors(over) else {
            let ports = self.ports.iter().cloned().map(Some);
            return Some(if self.ports.is_empty() { vec![None] } else { ports.collect() });
        };
        let wanted = |port: &u16| self.ports.is_empty() || self.ports.iter().any(|ports| ports.contains(port));
        let ports: Vec<_> = doors.into_iter().filter(wanted).map(|port| Some(port..=port)).collect();
        (!ports.is_empty()).then_some(ports)
    }

    /// The other ends that can be met over this, each as a condition; no condition, if all are meant.
    fn others_over(&self, over: Over, site: &Site) -> Vec<Option<Network>> {
        if self.others.is_empty() {
            return if site.meets_all(over) { vec![None] } else { Vec::new() };
        }
        let networks = self.others.iter().map(|other| other.network);
        networks.filter(|network| site.meets(*network, over)).map(Some).collect()
    }
}

/// Reads a list of addresses, networks and names; none means all.
fn others(text: &str) -> Result<Vec<Other>, Refused> {
    let text = text.trim();
    let refused = |why: String| Refused(format!("`sources`: {why}"));
    if text.is_empty() {
        return Err(refused("it is empty; write ALL or addresses".to_owned()));
    }
    if text.eq_ignore_ascii_case("ALL") {
        return Ok(Vec::new());
    }
    let mut others = Vec::new();
    for item in text.split(',').map(str::trim) {
        match item.parse::<Network>() {
            Ok(network) => others.push(Other { name: None, network }),
            Err(why) if !is_name(item) => return Err(refused(why)),
            Err(_) => {
                let addresses = look_up(item).map_err(refused)?;
                others.extend(
                    addresses
                        .into_iter()
                        .map(|address| Other { name: Some(item.to_owned()), network: Network::only(address) }),
                );
            }
        }
    }
    Ok(others)
}

/// Whether it may be the name of a host (RFC 1123): no address gone wrong.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    // The last label of a name is never a number (RFC 3696), that of an address is.
    name.len() <= 253
        && name.split('.').all(label)
        && name.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The addresses of a name as this host knows them now.
fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = (name, 0).to_socket_addrs().map_err(|why| format!("`{name}` cannot be looked up: {why}"))?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() { Err(format!("`{name}` has no address")) } else { Ok(addresses) }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.protocol {
            Some(Protocol::Tcp) => "TCP packets",
            Some(Protocol::Udp) => "UDP packets",
            None => "packets",
        };
        let ways: Vec<String> = self.ways.iter().map(Way::to_string).collect();
        write!(f, "{kind} {}", ways.join(" and "))?;
        let ports: Vec<String> = self.ports.iter().map(range).collect();
        if !ports.is_empty() {
            write!(f, ", port {}", ports.join(","))?;
        }
        match self.others.as_slice() {
            [] => Ok(()),
            [one] => write!(f, ", other end {one}"),
            [one, rest @ ..] => write!(f, ", other end {one} or {} more", rest.len()),
        }
    }
}

fn range(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() { ports.start().to_string() } else { format!("{}-{}", ports.start(), ports.end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_addresses_gone_wrong() {
        for name in ["web", "api.example.com", "a-1.b_2.example", "example.com."] {
            assert!(is_name(name), "{name}");
        }
        for wrong in ["", "10.0.0", "10.0.0.300", "10.0.0.1/40", "fe80::g", "-a.example", "a..b", "web lab", "1"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        assert!(others("ALL").unwrap().is_empty());
        assert_eq!(others("10.0.0.1, 10.1.0.0/16").unwrap().len(), 2);
        for text in ["", " ", "10.0.0.1,", "10.0.0.1,10.0.0", "10.0.0.1 10.0.0.2"] {
            assert!(others(text).is_err(), "{text}");
        }
    }
}
