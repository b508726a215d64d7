//! Where packets are caught: a table per network namespace, in it a chain per fault.
//!
//! Faults share a table because of what the kernel does when a chain goes: it drops what *all* packet queues of the namespace
//! hold, those of other faults too (`nf_queue_nf_hook_drop`). So the chain of a fault that has ended stays, empty, and serves
//! the next one, until no fault is left in the namespace; then all goes.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{
    fault::{self, Failed},
    sys::{
        namespace::NetworkNamespace,
        netlink::Error,
        nfqueue::Queue,
        nft::{Action, Hook, Match, Table},
    },
};

/// A place where the packets of one fault that go one way are caught. Dropping it lets them pass.
#[derive(Debug)]
pub(crate) struct Gate {
    hall: Arc<Mutex<Option<Hall>>>,
    key: Key,
    chain: usize,
    hook: Hook,
    comment: String,
    open: bool,
    /// Whether its rules are gone.
    cleared: bool,
}

/// Device and inode of a network namespace.
type Key = (u64, u64);

/// The table of a namespace.
#[derive(Debug)]
struct Hall {
    table: Table,
    chains: Vec<Chain>,
    /// What is left of queues that were filled from here.
    spent: Vec<Queue>,
}

#[derive(Debug)]
struct Chain {
    name: String,
    hook: Hook,
    taken: bool,
}

/// A hall, and how many gates it has or will have in a moment.
#[derive(Debug, Default)]
struct Users {
    count: usize,
    hall: Arc<Mutex<Option<Hall>>>,
}

/// The halls of this process.
static HALLS: Mutex<BTreeMap<Key, Users>> = Mutex::new(BTreeMap::new());

/// The priority of the first chain: after fragments are put together where they are (-400), before connection tracking
/// (-200), so that a packet held here leaves no half-open entry there.
const FIRST: i32 = -399;
const LAST: i32 = -201;
/// As many sockets of queues that have ended are kept: a quarter of what an ordinary user's process may have open.
const MOST_SPENT: usize = 256;
/// The same where connections are led elsewhere, which is done behind connection tracking, at -100 by custom: before others'.
const DETOUR: i32 = -150;
const LAST_DETOUR: i32 = -101;

/// What the rules of an injection are commented with.
pub(crate) fn comment(token: u64) -> String {
    format!("shaketable {token:016x}")
}

impl Gate {
    /// Opens a gate through which everything passes.
    pub(crate) fn open(network: &NetworkNamespace, hook: Hook, token: u64) -> Result<Self, Failed> {
        let key = rustix::fs::fstat(network).map_err(Failed::to("tell the network namespace"))?;
        let key = (key.st_dev, key.st_ino);
        let hall = {
            let mut halls = lock(&HALLS);
            let users = halls.entry(key).or_default();
            users.count += 1;
            Arc::clone(&users.hall)
        };
        let mut gate = Self { hall, key, chain: usize::MAX, hook, comment: comment(token), open: true, cleared: false };
        // On an error, dropping the gate gives the hall back.
        gate.chain = gate.take_chain(network).map_err(Failed::to("make the nf_tables chain"))?;
        Ok(gate)
    }

    fn take_chain(&self, network: &NetworkNamespace) -> io::Result<usize> {
        let mut hall = lock(&self.hall);
        let hall = match &mut *hall {
            Some(hall) => hall,
            none => {
                let name = format!("shaketable-{:016x}", fault::seed());
                let table = network.run(|| Ok(Table::create(&name)?))?;
                none.insert(Hall { table, chains: Vec::new(), spent: Vec::new() })
            }
        };
        if let Some(free) = hall.chains.iter().position(|chain| !chain.taken && chain.hook == self.hook) {
            hall.chains[free].taken = true;
            return Ok(free);
        }
        let number = hall.chains.len();
        let name = format!("fault-{number}");
        // Each behind those that are there: a packet that waits in a queue remembers the place of its chain, and would pass it
        // a second time if another came before.
        let (first, last) = if self.hook == Hook::Opened { (DETOUR, LAST_DETOUR) } else { (FIRST, LAST) };
        let priority = i32::try_from(number).map_or(last, |number| (first + number).min(last));
        hall.table.add_chain(&name, self.hook, priority)?;
        hall.chains.push(Chain { name, hook: self.hook, taken: true });
        Ok(number)
    }

    /// Adds rules for packets.
    pub(crate) fn catch(&self, rules: &[(Match, Action)]) -> Result<(), Failed> {
        self.at_chain(|table, chain| table.add((chain, self.hook), rules, &self.comment))
            .map_err(Failed::to("make the nf_tables rules"))
    }

    /// Its place in the row of those of its network: packets pass those of lower numbers first.
    pub(crate) const fn place(&self) -> usize {
        self.chain
    }

    /// Removes the rules; packets that wait go on waiting.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        self.at_chain(Table::clear)?;
        self.cleared = true;
        Ok(())
    }

    /// How many packets each rule that drops or rejects has met, in order.
    pub(crate) fn counted(&self) -> Result<Vec<u64>, Error> {
        self.at_chain(Table::counted)
    }

    /// Takes what is left of the queue that its packets waited in. It is dropped with the table: [before](Queue::unbind), everybody
    /// in the namespace would wait for that. Of too many the first is dropped all the same, because descriptors are few.
    pub(crate) fn keep(&self, spent: Queue) {
        let mut hall = lock(&self.hall);
        let too_many = hall.as_mut().and_then(|hall| {
            hall.spent.push(spent);
            (hall.spent.len() > MOST_SPENT).then(|| hall.spent.swap_remove(0))
        });
        drop(hall);
        drop(too_many);
    }

    fn at_chain<T>(&self, act: impl FnOnce(&mut Table, &str) -> Result<T, Error>) -> Result<T, Error> {
        let mut hall = lock(&self.hall);
        let gone = || Error::from(rustix::io::Errno::NOENT);
        let Hall { table, chains, .. } = hall.as_mut().ok_or_else(gone)?;
        act(table, &chains.get(self.chain).ok_or_else(gone)?.name)
    }

    /// Closes the gate, whose packets nobody may hold any more; says what is left of it.
    pub(crate) fn close(mut self) -> Option<String> {
        self.shut()
    }

    fn shut(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let cleared = if self.cleared { Ok(()) } else { self.clear() };
        let left = match (self.at_chain(Table::count), cleared) {
            (Ok(0), _) => None,
            // Never had a chain.
            (Err(_), _) if self.chain == usize::MAX => None,
            (Ok(rules), why) => Some(format!("{rules} nf_tables rules commented `{}` ({why:?})", self.comment)),
            (Err(why), _) => Some(format!("nf_tables rules commented `{}`, maybe ({why})", self.comment)),
        };
        let mut hall = lock(&self.hall);
        if let Some(chain) = hall.as_mut().and_then(|hall| hall.chains.get_mut(self.chain)) {
            // A chain that is not empty serves nobody else.
            chain.taken = left.is_some();
        }
        let last = {
            let mut halls = lock(&HALLS);
            let users = halls.get_mut(&self.key).filter(|users| Arc::ptr_eq(&users.hall, &self.hall))?;
            users.count -= 1;
            users.count == 0 && halls.remove(&self.key).is_some()
        };
        if !last {
            return left;
        }
        hall.take().and_then(remove)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(left) = self.shut() {
            tracing::warn!(left, "rules of a fault that was dropped");
        }
    }
}

/// Removes a table, and looks whether it is gone.
fn remove(hall: Hall) -> Option<String> {
    let Hall { mut table, spent, .. } = hall;
    let name = table.name().to_owned();
    // Gone already, by whatever: then the look says so.
    let deleted = table.delete();
    let left = match table.exists() {
        Ok(false) => None,
        Ok(true) => Some(format!("nf_tables table {name} ({deleted:?})")),
        Err(why) => Some(format!("nf_tables table {name}, maybe ({why})")),
    };
    // The kernel waits some milliseconds for its readers when the socket closes, which nobody else should. When no thread can
    // be had, it is dropped here and now.
    drop(thread::Builder::new().name("close".to_owned()).spawn(move || drop((table, spent))));
    left
}

/// Locks; a panic elsewhere does not keep anybody from undoing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::nft;

    #[test]
    fn gates_of_one_namespace_share_a_table_which_goes_with_the_last() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let network = NetworkNamespace::create().unwrap();
        let view = || network.run(|| Ok((nft::tables()?.len(), nft::comments()?))).unwrap();
        let rule = [(Match::default(), Action::Drop)];
        let first = Gate::open(&network, Hook::Arriving, 1).unwrap();
        first.catch(&rule).unwrap();
        let second = Gate::open(&network, Hook::Arriving, 2).unwrap();
        second.catch(&rule).unwrap();
        assert_eq!(view(), (1, vec![comment(1), comment(2)]));
        assert_ne!(first.chain, second.chain);
        let chain = first.chain;
        assert_eq!(first.close(), None);
        assert_eq!(view(), (1, vec![comment(2)]));
        // An empty chain serves the next, unless its packets come elsewhere.
        let third = Gate::open(&network, Hook::Sent, 3).unwrap();
        assert_ne!(third.chain, chain);
        let fourth = Gate::open(&network, Hook::Arriving, 4).unwrap();
        assert_eq!(fourth.chain, chain);
        assert_eq!(second.counted().unwrap(), [0]);
        for gate in [second, third, fourth] {
            assert_eq!(gate.close(), None);
        }
        assert_eq!(view(), (0, vec![]));
    }

    #[test]
    fn many_gates_open_and_close_at_once_and_nothing_is_left() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let network = NetworkNamespace::create().unwrap();
        thread::scope(|scope| {
            for token in 0..8 {
                let network = &network;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let gate = Gate::open(network, Hook::Arriving, token).unwrap();
                        gate.catch(&[(Match::default(), Action::Drop)]).unwrap();
                        assert_eq!(gate.close(), None);
                    }
                });
            }
        });
        assert!(network.run(|| Ok(nft::tables()?)).unwrap().is_empty());
    }
}
