//! What a fault hits: one object on this host.

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{fault::Refused, process::Process, sys::namespace::NetworkNamespace};

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
    /// The network namespace it lives in.
    #[serde(skip)]
    pub network: Option<Arc<NetworkNamespace>>,
    /// Where its packets arrive when they leave it.
    #[serde(skip)]
    pub peer: Option<Peer>,
    /// Its addresses. Faults in the network need one.
    pub addresses: Vec<IpAddr>,
    /// How much memory it has, nominally, in bytes: what percentages of memory refer to.
    pub memory_bytes: u64,
}

/// The other end of an object's link: the next hop of what it sends.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The namespace of that end.
    pub network: Arc<NetworkNamespace>,
    /// The interface there at which the object's packets come in (of a bridge: the bridge).
    pub interface: String,
}

impl Object {
    /// Its first process.
    ///
    /// # Errors
    ///
    /// When it has none, or that has ended.
    pub(crate) fn process(&self) -> Result<Process, Refused> {
        let pid = self.pid.ok_or_else(|| Refused(format!("{} has no process", self.name)))?;
        Process::find(pid).map_err(|why| Refused(format!("{} is not running: {why}", self.name)))
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
