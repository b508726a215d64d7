//! How a load's thread is told to stop.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use rustix::event::{EventfdFlags, eventfd};

/// Tells a thread that waits for descriptors to stop. It only ever rises.
#[derive(Debug)]
pub(super) struct Signal {
    level: AtomicU8,
    wake: OwnedFd,
}

/// What the thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Go on.
    Run,
    /// Begin nothing new and come to an end.
    Drain,
    /// End now.
    Stop,
}

impl Signal {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { level: AtomicU8::new(Level::Run as u8), wake }))
    }

    pub(super) fn raise(&self, level: Level) {
        self.level.fetch_max(level as u8, Ordering::Release);
        // Only a counter that is already full refuses, and that one wakes as well.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    pub(super) fn level(&self) -> Level {
        match self.level.load(Ordering::Acquire) {
            0 => Level::Run,
            1 => Level::Drain,
            _ => Level::Stop,
        }
    }

    /// Empties the descriptor after it has woken the thread; the level says the rest.
    pub(super) fn acknowledge(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
    }
}

impl AsFd for Signal {
    /// Readable when the level has risen.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
