//! What threads share in `shaketable-patterns`, run in every order of their steps.
//!
//! The files of that crate are compiled here over the types of [loom](https://docs.rs/loom) instead of those of the
//! standard library, by another `sync` module; so the tests run with all the others, without special flags. Each model is
//! a few steps of two or three threads, of which loom tries all orders, and all values a relaxed load may see.

// The files come with unit tests, which know nothing of loom: as a test itself, this library is empty.
#![cfg(not(test))]
// What the models do not use of the files is not dead where the files live.
#![expect(dead_code, reason = "the models use a part of the crate's files")]

mod sync {
    use std::sync::PoisonError;

    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU32, AtomicU64, Ordering},
    };

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[path = "../../src/breaker/mod.rs"]
pub mod breaker;
#[path = "../../src/retry/budget.rs"]
pub mod budget;
#[path = "../../src/bulkhead/mod.rs"]
pub mod bulkhead;
#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/context.rs"]
pub mod context;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/rate_limit.rs"]
pub mod rate_limit;
#[path = "../../src/shed.rs"]
pub mod shed;

pub mod models;

use error::InvalidOption;
