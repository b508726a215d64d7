//! The connection to the upstream that belongs to a client's connection.
//!
//! Each connection of a client has one of its own, made when its first request goes through, in the same version of HTTP.
//! They end together: so the upstream counts as many connections as without us, and clients notice its end as they would. (A
//! request that is under way when the upstream closes an idle connection gets another, and is the client's last.)

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_util::sync::CancellationToken;

use super::body::Body;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no connection. The next request may try again.
    #[error("cannot connect to {upstream}: {source}")]
    Connect {
        upstream: Arc<str>,
        #[source]
        source: io::Error,
    },
    /// The connection has ended.
    #[error("the connection to the upstream ended: {0}")]
    Lost(#[from] hyper::Error),
    /// The connection had ended before anything of the request was written; here it is back.
    #[error("the upstream closes its connections")]
    Unsent(Box<Request<Body>>),
}

/// The upstream, as one connection of a client sees it.
#[derive(Debug)]
pub(super) struct Upstream {
    /// `host:port`, looked up when it is connected to.
    address: Arc<str>,
    connection: Mutex<Option<Sender>>,
    /// Is cancelled when the connection has ended.
    pub(super) over: CancellationToken,
    /// Whether an upgrade of the connection is under way: then its end is not one.
    pub(super) upgrading: AtomicBool,
    /// When this is cancelled, the connection ends at once.
    until: CancellationToken,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }
}

impl Upstream {
    pub(super) fn new(address: Arc<str>, until: CancellationToken) -> Self {
        let over = CancellationToken::new();
        Self { address, connection: Mutex::default(), over, upgrading: AtomicBool::new(false), until }
    }

    /// Sends a request and waits for the head of its response. When the upstream has closed the connection before anything
    /// of the request was written (it was idle, or a rule has delayed the request for long), a new one takes it.
    pub(super) async fn send(&self, request: Request<Body>, http2: bool) -> Result<Response<Incoming>, Failure> {
        match self.attempt(request, http2).await {
            Err(Failure::Unsent(request)) => self.attempt(*request, http2).await,
            done => done,
        }
    }

    async fn attempt(&self, request: Request<Body>, http2: bool) -> Result<Response<Incoming>, Failure> {
        let mut connection = self.connection.lock().await;
        if connection.as_ref().is_some_and(Sender::is_closed) {
            *connection = None;
        }
        let sender = match &mut *connection {
            Some(sender) => sender,
            None => connection.insert(self.connect(http2).await?),
        };
        let sent = match sender {
            // One request after the other, as on the client's connection: the lock is held until the answer is there.
            Sender::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_closed) => return Err(Failure::Unsent(Box::new(request))),
            },
            Sender::Http2(sender) => {
                let mut sender = sender.clone();
                drop(connection);
                match sender.ready().await {
                    Ok(()) => sender.try_send_request(request).await,
                    Err(_closed) => return Err(Failure::Unsent(Box::new(request))),
                }
            }
        };
        sent.map_err(|mut failed| match failed.take_message() {
            Some(request) => Failure::Unsent(Box::new(request)),
            None => Failure::Lost(failed.into_error()),
        })
    }

    async fn connect(&self, http2: bool) -> Result<Sender, Failure> {
        let refused = |source| Failure::Connect { upstream: Arc::clone(&self.address), source };
        let stream = TcpStream::connect(&*self.address).await.map_err(refused)?;
        // What is sent has been decided by the client; waiting for more would only add delay.
        stream.set_nodelay(true).map_err(refused)?;
        let io = TokioIo::new(stream);
        if http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new()).handshake(io).await?;
            self.drive(connection);
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = http1::Builder::new().preserve_header_case(true).handshake(io).await?;
            self.drive(connection.with_upgrades());
            Ok(Sender::Http1(sender))
        }
    }

    /// Drives a connection to its end.
    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
        let (over, until) = (self.over.clone(), self.until.clone());
        tokio::spawn(async move {
            // What went wrong is told to the requests on it.
            let _ended = until.run_until_cancelled(connection).await;
            over.cancel();
        });
    }

    /// Whether the connection has ended for good.
    pub(super) fn has_ended(&self) -> bool {
        self.over.is_cancelled() && !self.upgrading.load(Relaxed)
    }
}
