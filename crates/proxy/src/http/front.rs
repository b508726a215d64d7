//! The listening side: accepts connections, in HTTP/1.1 or HTTP/2, and carries their exchanges.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
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

use super::{exchange::Connection, rules::Rules, upstream::Upstream};

/// Pause after a failed `accept`: it fails for want of file descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Carries HTTP from the address it listens on to its upstream, and does to it what its rules say. Understands HTTP/1.1 and
/// HTTP/2 with prior knowledge, without TLS, and speaks to the upstream what the client speaks to it. When it is dropped
/// it stops listening, and its connections end at once.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
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
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let until = CancellationToken::new();
        let accepting = Accepting { upstream: upstream.into(), rules, until: until.clone() };
        runtime::Handle::current().spawn(async move {
            let until = accepting.until.clone();
            until.run_until_cancelled(accepting.run(listener)).await;
        });
        Ok(Self { address, _until: until.drop_guard() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

#[derive(Debug)]
struct Accepting {
    upstream: Arc<str>,
    rules: Rules,
    until: CancellationToken,
}

impl Accepting {
    #[expect(clippy::infinite_loop, reason = "it ends when its future is dropped")]
    async fn run(self, listener: tokio::net::TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    let upstream = Upstream::new(Arc::clone(&self.upstream), self.until.clone());
                    let (reset, until) = (Arc::new(AtomicBool::new(false)), self.until.clone());
                    let connection = Connection { rules: self.rules.clone(), upstream, reset, until };
                    tokio::spawn(serve(stream, Arc::new(connection)));
                }
                Err(error) => {
                    tracing::warn!(upstream = %self.upstream, %error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Carries the exchanges of a connection, until it or the upstream's has ended.
async fn serve(stream: TcpStream, connection: Arc<Connection>) {
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
    let mut closing = false;
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
