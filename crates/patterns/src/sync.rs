//! What is shared between threads: the standard library's types, in one place, so that the interleaving tests
//! (`tests/interleavings`) can compile the same files over those of loom.

pub(crate) use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

/// The lock, whatever happened to its last holder: every critical section in this crate leaves its data whole at each
/// step, so a panic in one (a waker of the caller that panics) is no reason to fail all later calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
