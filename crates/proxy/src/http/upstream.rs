//! The connection to the upstream that belongs to a client's connection.
//!
//! Each connection of a client has one of its own, made when its first request goes through, in the same version of HTTP.
//! They end together: so the upstream counts as many connections as without us, and clients notice its end as they would. (A
//! request that is under way when the upstream closes an idle connection gets another, and is the client's last.)

use std::{
    fmt, io,
    net::SocketAddr,
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
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;

use super::body::Body;

/// How connections that are taken on their way to somewhere else go on to there.
pub trait Road: fmt::Debug + Send + Sync + 'static {
    /// Where a client's connection was going.
    ///
    /// # Errors
    ///
    /// When that cannot be told, or it was going nowhere else: then it is closed.
    fn destination(&self, client: &TcpStream) -> io::Result<SocketAddr>;

    /// A socket from which to connect there, such as one that is not led back here.
    ///
    /// # Errors
    ///
    /// When there is none to be had.
    fn socket(&self, to: SocketAddr) -> io::Result<TcpSocket>;
}

/// Where a client's connection leads.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// To this `host:port`, looked up when it is connected to.
    To(Arc<str>),
    /// On to where it was going.
    On(SocketAddr, Arc<dyn Road>),
}

impl Way {
    async fn connect(&self) -> io::Result<TcpStream> {
        match self {
            Self::To(address) => TcpStream::connect(&**address).await,
            Self::On(address, road) => road.socket(*address)?.connect(*address).await,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To(address) => f.write_str(address),
            Self::On(address, _) => address.fmt(f),
        }
    }
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no connection. The next request may try again.
    #[error("cannot connect to {upstream}: {source}")]
    Connect {
        upstream: Way,
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
    way: Way,
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
    pub(super) fn new(way: Way, until: CancellationToken) -> Self {
        let over = CancellationToken::new();
        Self { way, connection: Mutex::default(), over, upgrading: AtomicBool::new(false), until }
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
        let refused = |source| Failure::Connect { upstream: self.way.clone(), source };
        let stream = self.way.connect().await.map_err(refused)?;
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

    /// Whether the client believes that it is connected to the upstream itself.
    pub(super) const fn is_unseen(&self) -> bool {
        matches!(self.way, Way::On(..))
    }

    /// Whether the connection has ended for good.
    pub(super) fn has_ended(&self) -> bool {
        self.over.is_cancelled() && !self.upgrading.load(Relaxed)
    }
}
