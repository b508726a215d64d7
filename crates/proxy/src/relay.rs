//! A relay: from the address it listens on to its upstream, with toxics on the way.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rustix::net::{Shutdown, shutdown};

use crate::{
    engine::{Message, Workers},
    toxic::{Applied, Stream},
    upstream::Upstream,
};

/// Carries TCP connections from one address to another, and does to them what its toxics say. When it is dropped it is
/// closed.
///
/// Ends of one side reach the other in their turn, one direction at a time; a side that resets the connection resets the
/// other side. An upstream that cannot be reached shows to the client as a reset right after connecting.
///
/// No call waits for a connection or for the threads that carry them.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    workers: Workers,
    core: Arc<Core>,
    /// Held while workers are told, so that all of them hear of changes in the same order.
    telling: Mutex<()>,
}

/// A connection that is carried, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Unique among those of its relay; later ones have higher numbers.
    pub number: u64,
    /// Whose it is.
    pub client: SocketAddr,
}

/// What went through a stream of all connections of a relay, those that have ended included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes read from the source.
    pub received: u64,
    /// Bytes written to the sink.
    pub sent: u64,
}

impl Relay {
    /// Listens on `listen` (port 0: any that is free) and carries every connection to `upstream`: a host and a port, such as
    /// `localhost:80`, `10.0.0.1:80` or `[::1]:80`. A host's addresses are looked up for each connection, and tried one after the
    /// other.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, or when `upstream` is no host and port.
    pub fn open(workers: &Workers, listen: SocketAddr, upstream: &str) -> io::Result<Self> {
        Self::open_with(workers, listen, upstream, Vec::new())
    }

    /// The same with toxics that are on it before its first connection: none escapes them.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(workers: &Workers, listen: SocketAddr, upstream: &str, toxics: Vec<Applied>) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let upstream = Upstream::parse(upstream)?;
        let listener = TcpListener::bind(listen)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}")))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let core = Arc::new(Core {
            id: NEXT.fetch_add(1, Relaxed),
            listener,
            upstream,
            live: Mutex::default(),
            numbers: AtomicU64::new(0),
            seed: RandomState::new().hash_one(address),
            counters: (0..workers.count()).map(|_| Counters::default()).collect(),
        });
        tracing::debug!(%address, seed = core.seed, "a relay listens");
        let toxics: Arc<[Applied]> = toxics.into();
        workers.tell(|| Message::Serve(Arc::clone(&core)));
        workers.tell(|| Message::Toxics(core.id, Arc::clone(&toxics)));
        workers.tell_one(core.id, Message::Listen(core.id));
        Ok(Self { address, workers: workers.clone(), core, telling: Mutex::default() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Puts these toxics, in this order, in the place of those it had, on live connections too. What a toxic that is gone held
    /// back goes on its way. Whatever is sent after this call has returned meets the new toxics.
    pub fn set_toxics(&self, toxics: Vec<Applied>) {
        let toxics: Arc<[Applied]> = toxics.into();
        let _telling = lock(&self.telling);
        self.workers.tell(|| Message::Toxics(self.core.id, Arc::clone(&toxics)));
    }

    /// The connections that it has at present, the oldest first.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.core.live).iter().map(|(&number, &client)| Connection { number, client }).collect()
    }

    /// What has been carried in a stream so far.
    #[must_use]
    pub fn transferred(&self, stream: Stream) -> Transferred {
        let counters = self.core.counters.iter().map(|both| both.of(stream));
        counters.fold(Transferred::default(), |sum, counter| Transferred {
            received: sum.received + counter.received.load(Relaxed),
            sent: sum.sent + counter.sent.load(Relaxed),
        })
    }

    /// Resets all its connections, stuck ones too. It goes on listening.
    pub fn reset_connections(&self) {
        let _telling = lock(&self.telling);
        self.workers.tell(|| Message::Reset(self.core.id));
    }

    /// Stops listening, and closes all its connections. When it returns, new connections are refused and another relay can listen
    /// on its address. May be called again.
    pub fn close(&self) {
        // It was closed already, if this fails.
        let _stopped = shutdown(&self.core.listener, Shutdown::Read);
        let _telling = lock(&self.telling);
        self.workers.tell(|| Message::Close(self.core.id));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the handle of a relay and the workers share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) id: u64,
    pub(crate) listener: TcpListener,
    pub(crate) upstream: Upstream,
    live: Mutex<BTreeMap<u64, SocketAddr>>,
    numbers: AtomicU64,
    /// Where chance comes from, connection by connection.
    seed: u64,
    /// One for each worker, so that they do not get into each other's way.
    counters: Box<[Counters]>,
}

impl Core {
    /// A connection of that client has begun. Gives back its number.
    pub(crate) fn has_begun(&self, client: SocketAddr) -> u64 {
        let number = self.numbers.fetch_add(1, Relaxed);
        lock(&self.live).insert(number, client);
        number
    }

    /// A connection has ended.
    pub(crate) fn has_ended(&self, number: u64) {
        lock(&self.live).remove(&number);
    }

    /// Where chance comes from for a stream of a connection.
    pub(crate) const fn seed(&self, number: u64, stream: Stream) -> u64 {
        self.seed.wrapping_add(2 * number).wrapping_add(stream as u64)
    }

    /// What a worker counts.
    pub(crate) fn counter(&self, worker: usize, stream: Stream) -> &Counter {
        self.counters[worker].of(stream)
    }
}

/// What one worker has carried. On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counters {
    up: Counter,
    down: Counter,
}

impl Counters {
    const fn of(&self, stream: Stream) -> &Counter {
        match stream {
            Stream::Upstream => &self.up,
            Stream::Downstream => &self.down,
        }
    }
}

/// What went through one stream.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Counter {
    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
