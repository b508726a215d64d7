//! What a worker is told by others.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
};

use rustix::event::{EventfdFlags, eventfd};

use crate::{relay::Core, toxic::Applied};

/// Something a worker is to do. Messages are obeyed in the order in which they were posted.
#[derive(Debug)]
pub(crate) enum Message {
    /// There is this relay.
    Serve(Arc<Core>),
    /// Accept connections for the relay of that number.
    Listen(u64),
    /// Carry this connection of a relay.
    Adopt {
        /// The relay.
        relay: Arc<Core>,
        /// The connection.
        number: u64,
        /// Its client.
        client: OwnedFd,
    },
    /// The addresses of a relay's upstream have been looked up.
    Found(u64, io::Result<Vec<SocketAddr>>),
    /// Put these toxics in the place of those that a relay had.
    Toxics(u64, Arc<[Applied]>),
    /// Reset all connections of a relay.
    Reset(u64),
    /// A relay is gone.
    Close(u64),
    /// No relay is left, and nobody who could open one.
    Stop,
}

/// Where a worker finds its messages.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pending: AtomicBool,
    messages: Mutex<Vec<Message>>,
    wake: OwnedFd,
    /// Connections the worker has, or is about to get.
    load: AtomicUsize,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            pending: AtomicBool::new(false),
            messages: Mutex::default(),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            load: AtomicUsize::new(0),
        })
    }

    /// What becomes readable with every message that may be the first: to be watched for edges, never read.
    pub(super) const fn wake(&self) -> &OwnedFd {
        &self.wake
    }

    /// Leaves a message. The lock is only ever held to push or to take.
    pub(crate) fn post(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if !self.pending.swap(true, AcqRel) {
            // It fails only when the counter is full, and then the worker has been woken often enough.
            let _woken = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Whether there are messages. Whatever reaches a worker after a message was posted finds this true.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Acquire)
    }

    /// All messages there are.
    pub(super) fn take(&self) -> Vec<Message> {
        // In this order: what is posted in between is found now, and announced once more for nothing.
        self.pending.store(false, Relaxed);
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    pub(super) fn loaded(&self) {
        self.load.fetch_add(1, Relaxed);
    }

    pub(super) fn unloaded(&self) {
        self.load.fetch_sub(1, Relaxed);
    }
}
