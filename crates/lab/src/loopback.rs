//! Where namespaces are refused: instances on addresses of the loopback network, with links of our own between them.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::{linux::net::SocketAddrExt, unix::net},
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::{event::InjectionId, resource::ResourceId};
use proxy::{Course, Faults, Impairment, Link};
use tokio::runtime;

use crate::addresses::Addresses;

/// The loopback addresses of a lab, and the links between them.
#[derive(Debug)]
pub(crate) struct Loopback {
    slot: u8,
    seed: u64,
    carriers: Mutex<BTreeMap<ResourceId, BTreeMap<Role, Carrier>>>,
    /// Holds the slot as long as the lab lives: an abstract socket has no file, and goes with its process.
    _claim: net::UnixListener,
}

/// Which of an instance's links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// From balancers to the instance.
    To,
    /// From the instance to this balancer.
    From(String),
}

/// A link, and what injections have put on it.
#[derive(Debug)]
struct Carrier {
    link: Link,
    faults: BTreeMap<InjectionId, Faults>,
}

impl Loopback {
    /// Claims a /16 of the loopback network that no other lab uses.
    pub(crate) fn claim(seed: u64) -> io::Result<Self> {
        // 127.0 is what everybody uses.
        for slot in 1..=254 {
            let name = net::SocketAddr::from_abstract_name(format!("shaketable-lab-127.{slot}"))?;
            match net::UnixListener::bind_addr(&name) {
                Ok(claim) => return Ok(Self { slot, seed, carriers: Mutex::default(), _claim: claim }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("254 labs use the loopback network already"))
    }

    /// The second byte of the lab's addresses.
    pub(crate) const fn slot(&self) -> u8 {
        self.slot
    }

    /// Starts the links of an instance: one to it, and one from it to each balancer. Returns where it reaches the balancers.
    /// To be called by a thread of the lab's runtime that may block.
    pub(crate) fn connect(
        &self,
        id: &ResourceId,
        at: (Ipv4Addr, u16),
        balancers: &[(String, SocketAddr)],
        addresses: &mut Addresses,
    ) -> io::Result<Vec<(String, SocketAddr)>> {
        let runtime = runtime::Handle::current();
        let start = |address: SocketAddr, to: SocketAddr| -> io::Result<Carrier> {
            let link = match runtime.block_on(Link::start(address, to, self.seed)) {
                // A low port, which is not for ordinary users.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    runtime.block_on(Link::start((address.ip(), 0).into(), to, self.seed))?
                }
                started => started?,
            };
            Ok(Carrier { link, faults: BTreeMap::new() })
        };
        let (address, port) = at;
        let to = start((Addresses::link_to(address), port).into(), (address, port).into())?;
        let mut carriers = BTreeMap::from([(Role::To, to)]);
        let mut reached = Vec::new();
        for (name, balancer) in balancers {
            let from = start((addresses.link_from(), balancer.port()).into(), *balancer)?;
            reached.push((name.clone(), from.link.address()));
            carriers.insert(Role::From(name.clone()), from);
        }
        self.carriers().insert(id.clone(), carriers);
        Ok(reached)
    }

    /// Where balancers reach an instance.
    pub(crate) fn reached_at(&self, id: &ResourceId) -> Option<SocketAddr> {
        self.address(id, &Role::To)
    }

    /// Ends the links of an instance.
    pub(crate) fn disconnect(&self, id: &ResourceId) {
        self.carriers().remove(id);
    }

    /// The links that an instance has.
    pub(crate) fn roles(&self, id: &ResourceId) -> Vec<Role> {
        self.carriers().get(id).map(|carriers| carriers.keys().cloned().collect()).unwrap_or_default()
    }

    /// Where a link listens.
    pub(crate) fn address(&self, id: &ResourceId, role: &Role) -> Option<SocketAddr> {
        Some(self.carriers().get(id)?.get(role)?.link.address())
    }

    /// Which way connections go over the links that an instance has.
    pub(crate) fn courses(&self, id: &ResourceId) -> Vec<(Role, Course)> {
        let all = self.carriers();
        let of = all.get(id).into_iter().flatten();
        of.map(|(role, carrier)| (role.clone(), carrier.link.course())).collect()
    }

    /// Puts faults on a link, besides those of other injections.
    pub(crate) fn put(&self, id: &ResourceId, role: &Role, injection: InjectionId, faults: Faults) {
        if let Some(carrier) = self.carriers().get_mut(id).and_then(|carriers| carriers.get_mut(role)) {
            carrier.faults.insert(injection, faults);
            carrier.apply();
        }
    }

    /// Takes the faults of an injection off a link; whether the link is still there.
    pub(crate) fn take_off(&self, id: &ResourceId, role: &Role, injection: InjectionId) -> bool {
        let mut all = self.carriers();
        let carrier = all.get_mut(id).and_then(|carriers| carriers.get_mut(role));
        carrier.is_some_and(|carrier| {
            if carrier.faults.remove(&injection).is_some() {
                carrier.apply();
            }
            true
        })
    }

    fn carriers(&self) -> MutexGuard<'_, BTreeMap<ResourceId, BTreeMap<Role, Carrier>>> {
        self.carriers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier {
    fn apply(&self) {
        let together = self.faults.values().fold(Faults::default(), |one, other| Faults {
            forward: both(one.forward, other.forward),
            backward: both(one.backward, other.backward),
        });
        // What it has measured so far belongs to what it had before.
        let _measured = self.link.set(together);
    }
}

/// What two impairments in a row do.
fn both(one: Impairment, other: Impairment) -> Impairment {
    Impairment {
        delay: one.delay + other.delay,
        jitter: one.jitter + other.jitter,
        loss: 1.0 - (1.0 - one.loss) * (1.0 - other.loss),
        blackhole: one.blackhole || other.blackhole,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_labs_never_share_addresses() {
        let (one, other) = (Loopback::claim(1).unwrap(), Loopback::claim(1).unwrap());
        assert_ne!(one.slot(), other.slot());
    }

    #[test]
    fn impairments_in_a_row_add_up() {
        let slow = Impairment { delay: Duration::from_millis(10), loss: 0.5, ..Impairment::default() };
        let dark = Impairment { blackhole: true, ..slow };
        let together = both(slow, dark);
        assert_eq!((together.delay, together.blackhole), (Duration::from_millis(20), true));
        assert!((together.loss - 0.75).abs() < 1e-9);
    }
}
