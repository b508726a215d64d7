//! The listening side: accepts connections, in HTTP/1.1 or HTTP/2, and carries their exchanges.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime,
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    exchange::Connection,
    rules::Rules,
    upstream::{Road, Upstream, Way},
};

/// Pause after a failed `accept`: it fails for want of file descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How long a connection of a front that retires may have for its first request: it was accepted because one is coming.
const FIRST_REQUEST: Duration = Duration::from_millis(50);

/// Carries HTTP from the address it listens on to its upstream, and does to it what its rules say. Understands HTTP/1.1 and
/// HTTP/2 with prior knowledge, without TLS, and speaks to the upstream what the client speaks to it. When it is dropped
/// it stops listening, and its connections end at once.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    retiring: CancellationToken,
    carried: Arc<AtomicUsize>,
    _until: DropGuard,
}

impl Front {
    /// Listens on `listen` (port 0: any that is free) and carries exchanges to `upstream`, a host and a port, which is looked
    /// up for each connection. Its tasks run on the present runtime.
    ///
    /// # Errors
    ///
    /// When it cannot listen there.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(listen: SocketAddr, upstream: &str, rules: Rules) -> io::Result<Self> {
        Self::of(vec![TcpListener::bind(listen)?], Lead::To(upstream.into()), rules)
    }

    /// Carries exchanges of connections that are led to `listeners` on their way to somewhere else, and go on to there by
    /// `road`. Whoever cannot be carried on is reset, as without us. Its tasks run on the present runtime.
    ///
    /// # Errors
    ///
    /// When the listeners cannot be used, or there is none.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn between(listeners: Vec<TcpListener>, road: Arc<dyn Road>, rules: Rules) -> io::Result<Self> {
        Self::of(listeners, Lead::On(road), rules)
    }

    fn of(listeners: Vec<TcpListener>, lead: Lead, rules: Rules) -> io::Result<Self> {
        let first = listeners.first().ok_or(io::ErrorKind::InvalidInput)?;
        let address = first.local_addr()?;
        let (until, retiring) = (CancellationToken::new(), CancellationToken::new());
        let carried = Arc::<AtomicUsize>::default();
        let accepting = Arc::new(Accepting {
            lead,
            rules,
            until: until.clone(),
            retiring: retiring.clone(),
            carried: Arc::clone(&carried),
        });
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let accepting = Arc::clone(&accepting);
            runtime::Handle::current().spawn(async move {
                accepting.until.run_until_cancelled(accepting.run(listener)).await;
            });
        }
        Ok(Self { address, retiring, carried, _until: until.drop_guard() })
    }

    /// Where it listens: the first of its listeners.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends its connections one by one: each when it has no exchange under way. Such as come all the same have one exchange.
    pub fn retire(&self) {
        self.retiring.cancel();
    }

    /// How many connections it carries; those that have become tunnels do not count.
    #[must_use]
    pub fn carried(&self) -> usize {
        self.carried.load(Relaxed)
    }
}

/// Where its connections lead.
#[derive(Debug, Clone)]
enum Lead {
    To(Arc<str>),
    On(Arc<dyn Road>),
}

impl Lead {
    /// Where this connection of a client does.
    fn of(&self, client: &TcpStream) -> io::Result<Way> {
        match self {
            Self::To(address) => Ok(Way::To(Arc::clone(address))),
            Self::On(road) => Ok(Way::On(road.destination(client)?, Arc::clone(road))),
        }
    }
}

#[derive(Debug)]
struct Accepting {
    lead: Lead,
    rules: Rules,
    until: CancellationToken,
    retiring: CancellationToken,
    carried: Arc<AtomicUsize>,
}

impl Accepting {
    #[expect(clippy::infinite_loop, reason = "it ends when its future is dropped")]
    async fn run(&self, listener: tokio::net::TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => match self.lead.of(&stream) {
                    Ok(way) => self.welcome(stream, way),
                    Err(error) => tracing::debug!(%peer, %error, "a connection that leads nowhere"),
                },
                Err(error) => {
                    tracing::warn!(lead = ?self.lead, %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn welcome(&self, stream: TcpStream, way: Way) {
        let connection = Connection {
            rules: self.rules.clone(),
            upstream: Upstream::new(way, self.until.clone()),
            reset: Arc::new(AtomicBool::new(false)),
            until: self.until.clone(),
            begun: AtomicU64::new(0),
        };
        let (retiring, carried) = (self.retiring.clone(), Carried::new(&self.carried));
        tokio::spawn(async move {
            serve(stream, Arc::new(connection), retiring).await;
            drop(carried);
        });
    }
}

/// A connection that counts, until it is dropped.
#[derive(Debug)]
struct Carried(Arc<AtomicUsize>);

impl Carried {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Carries the exchanges of a connection, until it or the upstream's has ended.
async fn serve(stream: TcpStream, connection: Arc<Connection>, retiring: CancellationToken) {
    // If that fails, answers may be late; the connection will soon say why.
    let _set = stream.set_nodelay(true);
    let socket = Socket { stream, reset: Arc::clone(&connection.reset) };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().preserve_header_case(true).auto_date_header(false).header_read_timeout(None);
    builder.http2().auto_date_header(false);
    let service = service_fn(|request| {
        let connection = Arc::clone(&connection);
        async move { connection.exchange(request).await }
    });
    let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(socket), service));
    let retired = async {
        retiring.cancelled().await;
        if connection.begun.load(Relaxed) == 0 {
            sleep(FIRST_REQUEST).await;
        }
    };
    let mut retired = pin!(retired);
    let (mut closing, mut retires) = (false, false);
    loop {
        tokio::select! {
            biased;
            () = connection.until.cancelled() => return,
            served = serving.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(error, "a connection was broken off");
                }
                return;
            }
            () = connection.upstream.over.cancelled(), if !closing => {
                closing = true;
                if connection.upstream.has_ended() {
                    serving.as_mut().graceful_shutdown();
                }
            }
            () = retired.as_mut(), if !retires => {
                retires = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A client's socket, which says RST when it is closed if it has been told to.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Relaxed) {
            // If that fails the client sees an ordinary end instead of an answer.
            let _set = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Relaxed) {
            // An end in order would come before the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
