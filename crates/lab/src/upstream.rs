//! Keep-alive HTTP/1.1 connections to one address, and the requests sent over them.
//!
//! The balancer keeps a [`Pool`] per target and the demo application one for its downstream. A pool hands out a [`Lease`];
//! when the response has been read to its end, the lease gives the connection back.
//!
//! Every socket is made by the task that asks for it. A runtime whose threads live in another network namespace therefore
//! connects from that namespace.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Idle connections are closed after this long. Common servers close theirs after 5 s (Node.js, Apache): staying below
/// keeps a request from racing with the target's close.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// Idle connections kept per address: more than a lab's load keeps busy at once; those beyond it are closed.
const IDLE_CONNECTIONS: usize = 256;

/// The body of a request to an upstream: nothing, or what a client is sending.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// No body.
    Empty,
    /// A client's body, passed on as it comes.
    Stream(Incoming),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection came about; nothing was sent.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Whom it should have reached.
        address: SocketAddr,
        /// Refused, unreachable, timed out.
        #[source]
        source: io::Error,
    },
    /// The connection was found closed before the request was written; here it is back.
    #[error("the connection had been closed before the request was sent")]
    Unsent(Box<Request<Outgoing>>),
    /// The connection failed after the request was written, at least in part, and before a whole response head arrived.
    #[error("the connection failed before the response: {0}")]
    Lost(#[source] hyper::Error),
}

/// One connection, ready for a request.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Outgoing>,
    /// Whether it has served a request before: then its peer may have closed it in the meantime through no fault of its
    /// own.
    pub(crate) reused: bool,
}

impl Connection {
    /// Connects, waiting at most `limit`, and drives the connection in a task of its own until it ends or `until` is
    /// cancelled.
    pub(crate) async fn open(address: SocketAddr, limit: Duration, until: CancellationToken) -> Result<Self, Failure> {
        let refused = |source| Failure::Connect { address, source };
        let stream = timeout(limit, TcpStream::connect(address))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(refused)?;
        // Requests are written whole; waiting for more to send would only add delay.
        stream.set_nodelay(true).map_err(refused)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Failure::Lost)?;
        tokio::spawn(async move {
            tokio::select! {
                // How it ended reaches whoever waits for a response on it.
                _ended = connection => {}
                () = until.cancelled() => {}
            }
        });
        Ok(Self { sender, reused: false })
    }

    /// Sends a request and waits for the head of its response.
    pub(crate) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Failure> {
        self.sender.try_send_request(request).await.map_err(|mut failed| match failed.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None => Failure::Lost(failed.into_error()),
        })
    }
}

/// Idle connections to one address, the most recently used first. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    address: SocketAddr,
    connect_limit: Duration,
    until: CancellationToken,
    idle: Arc<Mutex<VecDeque<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    sender: SendRequest<Outgoing>,
}

impl Pool {
    /// An empty pool. All its connections end, whatever they are doing, when `until` is cancelled.
    pub(crate) fn new(address: SocketAddr, connect_limit: Duration, until: CancellationToken) -> Self {
        Self { address, connect_limit, until, idle: Arc::default() }
    }

    /// An idle connection, else a new one.
    pub(crate) async fn lease(&self) -> Result<Lease, Failure> {
        match self.take_idle() {
            Some(sender) => Ok(self.lend(Connection { sender, reused: true })),
            None => self.lease_fresh().await,
        }
    }

    /// A new connection, even when there are idle ones: they may be as stale as the one that has just failed.
    pub(crate) async fn lease_fresh(&self) -> Result<Lease, Failure> {
        let connection = Connection::open(self.address, self.connect_limit, self.until.clone()).await?;
        Ok(self.lend(connection))
    }

    /// Closes all idle connections.
    pub(crate) fn clear(&self) {
        self.idle().clear();
    }

    fn lend(&self, connection: Connection) -> Lease {
        Lease { connection, pool: self.clone() }
    }

    fn take_idle(&self) -> Option<SendRequest<Outgoing>> {
        let mut idle = self.idle();
        let oldest = Instant::now().checked_sub(IDLE_LIMIT);
        while idle.back().is_some_and(|last| oldest.is_some_and(|oldest| last.since < oldest)) {
            idle.pop_back();
        }
        idle.retain(|one| !one.sender.is_closed());
        // One that was given back an instant ago may not be ready yet: its task has still to see the end of the response.
        let ready = idle.iter().position(|one| one.sender.is_ready())?;
        idle.remove(ready).map(|one| one.sender)
    }

    fn give_back(&self, sender: SendRequest<Outgoing>) {
        if sender.is_closed() || self.until.is_cancelled() {
            return;
        }
        let mut idle = self.idle();
        idle.push_front(Idle { since: Instant::now(), sender });
        idle.truncate(IDLE_CONNECTIONS);
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan from a pool. Dropping it closes the connection; [`Lease::finish`] gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The connection.
    pub(crate) connection: Connection,
    pool: Pool,
}

impl Lease {
    /// The response has been read to its end: the next request may have the connection.
    pub(crate) fn finish(self) {
        self.pool.give_back(self.connection.sender);
    }
}
