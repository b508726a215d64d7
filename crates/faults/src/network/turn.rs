//! Faults on one link begin one after another.
//!
//! What a fault adds is what the link does after it, compared with what it did before. Two that begin at once would each see
//! the other's effect, or the datagrams by which the other is measured.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{fault::Failed, sys::namespace::NetworkNamespace};

/// The right to begin a fault on the links of one network namespace. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn((u64, u64));

/// The namespaces, by device and inode, in which a fault begins.
static TAKEN: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());
static ENDED: Condvar = Condvar::new();

impl Turn {
    /// Waits for its turn: as long as the measurements of others take, which are seconds at most.
    pub(crate) fn wait(network: &NetworkNamespace) -> Result<Self, Failed> {
        let identity = rustix::fs::fstat(network).map_err(Failed::to("tell the network namespace"))?;
        let key = (identity.st_dev, identity.st_ino);
        let mut taken = lock();
        while !taken.insert(key) {
            taken = ENDED.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Self(key))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock().remove(&self.0);
        ENDED.notify_all();
    }
}

/// Locks; a panic elsewhere keeps nobody from a turn.
fn lock() -> MutexGuard<'static, BTreeSet<(u64, u64)>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn one_at_a_time_has_the_turn() {
        let network = NetworkNamespace::current().unwrap();
        let having = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let turn = Turn::wait(&network).unwrap();
                        assert_eq!(having.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        having.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
    }
}
