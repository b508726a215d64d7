//! A relay: from the address it listens on to its upstream, with toxics on the way.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use crate::toxic::{Applied, Stream};

/// The threads that carry connections. Relays share them; a clone is another handle to the same.
#[derive(Debug, Clone)]
pub struct Workers;

impl Workers {
    /// Starts one thread for each core.
    ///
    /// # Errors
    ///
    /// When the system refuses threads or descriptors.
    pub const fn start() -> io::Result<Self> {
        Ok(Self)
    }
}

/// Carries TCP connections from one address to another, and does to them what its toxics say. When it is dropped it is
/// closed.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A connection that is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Unique among those of its relay; later ones have higher numbers.
    pub number: u64,
    /// Whose it is.
    pub client: SocketAddr,
}

/// What went through a stream of all connections, those that have ended included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes read from the source.
    pub received: u64,
    /// Bytes written to the sink.
    pub sent: u64,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    closed: AtomicBool,
    toxics: Mutex<Vec<Applied>>,
    live: Mutex<Vec<(Connection, TcpStream)>>,
    bytes: [AtomicU64; 2],
    next: AtomicU64,
}

impl Relay {
    /// Listens on `listen` (port 0: any that is free) and carries every connection to `upstream`, a host and a port, which is
    /// looked up for each connection that is made.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, or when `upstream` is no `host:port`.
    pub fn open(_workers: &Workers, listen: SocketAddr, upstream: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            closed: AtomicBool::new(false),
            toxics: Mutex::default(),
            live: Mutex::default(),
            bytes: Default::default(),
            next: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().spawn(move || accepting.accept(&listener))?;
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Puts these toxics, in this order, in the place of those it had, on live connections too. What a toxic that is gone held
    /// back goes on its way. Never waits for anything; whatever is sent after it returns meets the new toxics.
    pub fn set_toxics(&self, toxics: Vec<Applied>) {
        *lock(&self.shared.toxics) = toxics;
    }

    /// The connections that it carries at present.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        lock(&self.shared.live).iter().map(|(connection, _)| connection.clone()).collect()
    }

    /// What has been carried in a stream so far.
    #[must_use]
    pub fn transferred(&self, stream: Stream) -> Transferred {
        let bytes = self.shared.bytes[stream as usize].load(Relaxed);
        Transferred { received: bytes, sent: bytes }
    }

    /// Resets all its connections, stuck ones too. It goes on listening.
    pub fn reset_connections(&self) {
        for (_, stream) in lock(&self.shared.live).drain(..) {
            // It may have ended meanwhile.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }

    /// Stops listening, and closes all its connections. The port is free when it returns.
    pub fn close(&self) {
        self.shared.closed.store(true, Relaxed);
        let _woken = TcpStream::connect(self.address);
        self.reset_connections();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((client, peer)) = listener.accept() {
            if self.closed.load(Relaxed) {
                return;
            }
            let Ok(upstream) = TcpStream::connect(&self.upstream) else { continue };
            let number = self.next.fetch_add(1, Relaxed);
            if let Ok(handle) = client.try_clone() {
                lock(&self.live).push((Connection { number, client: peer }, handle));
            }
            for stream in Stream::ALL {
                let (Ok(client), Ok(upstream)) = (client.try_clone(), upstream.try_clone()) else { continue };
                let this = Arc::clone(self);
                let carry = move || {
                    let (mut from, mut to) =
                        if stream == Stream::Upstream { (client, upstream) } else { (upstream, client) };
                    if let Ok(bytes) = io::copy(&mut from, &mut to) {
                        this.bytes[stream as usize].fetch_add(bytes, Relaxed);
                    }
                    let _ended = to.shutdown(Shutdown::Write);
                    lock(&this.live).retain(|(connection, _)| connection.number != number);
                };
                drop(thread::Builder::new().spawn(carry));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
