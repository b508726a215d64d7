//! What a fault hits: one object on this host.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use model::event::Cleanliness;
use proxy::Course;
use serde::{Deserialize, Serialize};

use crate::{boot, fault::Refused, process::Process, sys::namespace::NetworkNamespace};

/// One object on this host: a process with all that belongs to it, and the network around it.
///
/// Whoever owns the object describes it; a fault takes what it needs and refuses, saying so, when that is missing. The parts
/// that are descriptors do not go into undo records: what they lead to dies with the processes that hold them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Object {
    /// Its name, for people.
    pub name: String,
    /// Its first process, as this process sees it. When it is the init of a pid namespace of its own, everything in that
    /// namespace belongs to the object; otherwise it and its descendants do.
    pub pid: Option<i32>,
    /// When that process was started, in clock ticks since boot: what tells it from a later one with the same id. Looked up
    /// when a fault is planned, if whoever owns the object does not know.
    #[serde(default, with = "boot::ticks::maybe")]
    pub started: Option<u64>,
    /// What it is.
    #[serde(default)]
    pub kind: Kind,
    /// The folder of the control group that has all its processes and no other: of a service, of a container.
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
    /// The network namespace it lives in.
    #[serde(skip)]
    pub network: Option<Arc<NetworkNamespace>>,
    /// Where its packets arrive when they leave it.
    #[serde(skip)]
    pub peer: Option<Peer>,
    /// The links over which its connections go, where these are carried in user space and it has no network to itself: of a
    /// lab on loopback addresses.
    #[serde(skip)]
    pub links: Vec<Path>,
    /// Its addresses. Faults in the network need one.
    pub addresses: Vec<IpAddr>,
    /// How much memory it has, nominally, in bytes: what percentages of memory refer to.
    pub memory_bytes: u64,
    /// A folder of the disk it has to itself, in its own sight: where faults of disks act that name none.
    #[serde(default)]
    pub disk: Option<PathBuf>,
}

/// What an object is, and so what belongs to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An instance of a lab: a process with a network, and mostly a pid namespace, of its own.
    #[default]
    Instance,
    /// A process of this host and its descendants.
    Process,
    /// A unit of the service manager: the processes of its control group.
    Service,
    /// A container: the processes of its pid namespace and control group.
    Container,
    /// This host itself.
    Machine,
}

/// The other end of an object's link: the next hop of what it sends.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The namespace of that end.
    pub network: Arc<NetworkNamespace>,
    /// The interface there at which the object's packets come in (of a bridge: the bridge).
    pub interface: String,
}

/// A link over which connections of an object go.
#[derive(Debug, Clone)]
pub struct Path {
    /// Which way they go there.
    pub course: Course,
    /// Whether they are connections to the object; otherwise those that it opens itself.
    pub inward: bool,
    /// The port to which they are: of the object, or of the other end.
    pub port: u16,
    /// All the other ends that there may be.
    pub others: Vec<IpAddr>,
}

impl Object {
    /// Its first process.
    ///
    /// # Errors
    ///
    /// When it has none, or that has ended.
    pub(crate) fn process(&self) -> Result<Process, Refused> {
        let pid = self.pid.ok_or_else(|| Refused(format!("{} has no process", self.name)))?;
        let process = Process::find(pid).map_err(|why| Refused(format!("{} is not running: {why}", self.name)))?;
        match self.started {
            Some(started) if started != process.started => Err(Refused(format!(
                "{} is not running: its process {pid} has ended, and another has the number now",
                self.name
            ))),
            _ => Ok(process),
        }
    }

    /// The process beside which a load is put, so that it ends with it. A machine has none that could end.
    ///
    /// # Errors
    ///
    /// When it has none though it should, or that has ended.
    pub(crate) fn company(&self) -> Result<Option<Process>, Refused> {
        if self.kind == Kind::Machine { Ok(None) } else { self.process().map(Some) }
    }

    /// Whether it had a process, and that has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.pid.is_some() && self.process().is_err()
    }

    /// What is said of it when nothing of a fault is left on it.
    pub(crate) fn bare(&self) -> Cleanliness {
        if self.has_ended() { Cleanliness::Gone } else { Cleanliness::Clean }
    }

    /// Whether this is the same object as another, by its process where both have one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self.pid, other.pid) {
            (Some(one), Some(another)) => (one, self.started) == (another, other.started),
            _ => self.name == other.name,
        }
    }

    /// The same object, with its process told from any other that may get its number. One that has ended stays as it is: to
    /// refuse it is the fault's business.
    pub(crate) fn identified(&self) -> Self {
        let started = self.process().ok().map(|process| process.started);
        Self { started: self.started.or(started), ..self.clone() }
    }

    /// Its processes that go by this name.
    ///
    /// # Errors
    ///
    /// When there are none; says which there are.
    pub(crate) fn processes_named(&self, name: &str) -> Result<Vec<Process>, Refused> {
        let members = self.process()?.members();
        let named: Vec<Process> =
            members.iter().copied().filter(|process| process.names().iter().any(|own| own == name)).collect();
        if named.is_empty() {
            let mut names: Vec<String> = members.into_iter().flat_map(Process::names).collect();
            names.sort();
            names.dedup();
            return Err(Refused(format!(
                "no process of {} is named `{name}`; there are {}",
                self.name,
                names.join(", ")
            )));
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Object {
        Object { name: "own".to_owned(), pid: i32::try_from(std::process::id()).ok(), ..Object::default() }
    }

    #[test]
    fn a_process_with_the_number_of_one_that_ended_is_not_hit() {
        let object = own().identified();
        let started = object.started.unwrap();
        assert_eq!(object.process().unwrap().started, started);
        let later = Object { started: Some(started - 1), ..object };
        assert!(later.process().unwrap_err().0.contains("another has the number"));
        assert!(later.has_ended());
        assert_eq!(later.identified().started, Some(started - 1));
    }

    #[test]
    fn a_record_from_before_these_fields_is_read() {
        let old = r#"{"name":"i-1","pid":4711,"addresses":["10.0.0.1"],"memory_bytes":0}"#;
        let read: Object = serde_json::from_str(old).unwrap();
        assert_eq!((read.started, read.kind, read.cgroup), (None, Kind::Instance, None));
    }
}
