//! The demo application's process: one thread, one listener, its pages.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write as _,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use observe::Clock;
use patterns::breaker::Mode;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::yield_now,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    downstream::{Answer, Caller},
    options::Options,
    spool::Spool,
};

/// Work is never longer than this: a minute is more than any client waits.
const LONGEST_WORK: Duration = Duration::from_secs(60);

/// CPU time is burnt in slices of this length, between which other requests (health checks, for one) get their turn.
const BURN_SLICE: Duration = Duration::from_millis(1);

/// Pause after a failed `accept`: it fails for want of file descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Runs the demo application until SIGTERM or SIGINT, then finishes what is in flight.
///
/// # Errors
///
/// When it cannot listen or does not know where its downstream is.
pub fn run(options: Options) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopped.cancel();
        });
        serve(listen(SocketAddr::new(options.host, options.port)).await?, options, stop).await
    })
}

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let cannot = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"));
    TcpListener::bind(address).await.map_err(cannot)
}

/// Serves until `stop` is cancelled and everything in flight is answered.
pub(super) async fn serve(listener: TcpListener, options: Options, stop: CancellationToken) -> io::Result<()> {
    let app = Arc::new(App::new(options).await?);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _peer)) => {
                connections.spawn(connection(Arc::clone(&app), stream, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection(app: Arc<App>, stream: TcpStream, stop: CancellationToken) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(app.answer(&request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection failed");
    }
}

type Page = Response<Full<Bytes>>;

#[derive(Debug)]
struct App {
    options: Options,
    clock: Clock,
    /// Told to fail its health checks.
    failing: AtomicBool,
    downstream: Option<Caller>,
    spool: Option<Spool>,
    in_flight: AtomicU32,
    /// Requests by page and status.
    answered: Mutex<BTreeMap<(&'static str, u16), u64>>,
}

impl App {
    async fn new(options: Options) -> io::Result<Self> {
        let clock = Clock::start();
        let downstream = match &options.app.downstream {
            Some(rule) => Some(Caller::new(rule, &options.hosts).await?),
            None => None,
        };
        let spool = options.app.spool.clone().map(|folder| Spool::new(folder, &options.id));
        Ok(Self {
            options,
            clock,
            failing: AtomicBool::new(false),
            downstream,
            spool,
            in_flight: AtomicU32::new(0),
            answered: Mutex::default(),
        })
    }

    async fn answer(&self, request: &Request<Incoming>) -> Page {
        self.in_flight.fetch_add(1, Relaxed);
        let (name, page) = self.page(request).await;
        self.in_flight.fetch_sub(1, Relaxed);
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        *answered.entry((name, page.status().as_u16())).or_default() += 1;
        drop(answered);
        page
    }

    /// The page's name in the metrics, and the page.
    async fn page(&self, request: &Request<Incoming>) -> (&'static str, Page) {
        let query = request.uri().query().unwrap_or_default();
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/") => ("/", self.front().await),
            (&Method::GET | &Method::HEAD, "/health") => ("/health", self.health()),
            (&Method::POST, "/health") => ("/health", self.set_health(query)),
            (&Method::GET | &Method::HEAD, "/work") => ("/work", work(query).await),
            (&Method::GET | &Method::HEAD, "/metrics") => ("/metrics", text(StatusCode::OK, self.metrics())),
            (_, "/" | "/health" | "/work" | "/metrics") => {
                ("method", text(StatusCode::METHOD_NOT_ALLOWED, "this page does not take that method\n"))
            }
            _ => ("other", text(StatusCode::NOT_FOUND, "pages: /, /health, /work?ms=, /work?cpu=, /metrics\n")),
        }
    }

    async fn front(&self) -> Page {
        let kept = match &self.spool {
            Some(spool) => match spool.keep().await {
                Ok(kept) => Some(kept),
                Err(why) => {
                    return text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot keep the request: {why}\n"));
                }
            },
            None => None,
        };
        let work = self.options.app.work.get();
        if !work.is_zero() {
            sleep(work).await;
        }
        let answer = self.compose().await;
        if let Some(kept) = kept {
            // The answer is right all the same; that the disk is not is seen at the next request.
            kept.forget().await.ok();
        }
        answer
    }

    async fn compose(&self) -> Page {
        let mut body = json!({ "instance": self.options.id, "zone": self.options.zone });
        let mut status = StatusCode::OK;
        if let Some(caller) = &self.downstream {
            body["downstream"] = match caller.call().await {
                Ok(Answer::Fresh(said)) => json!({ "outcome": "ok", "said": said_by(&said) }),
                Ok(Answer::Instead { said: Some(said), why }) => {
                    json!({ "outcome": "fallback", "why": why, "saidBefore": said_by(&said) })
                }
                Ok(Answer::Instead { said: None, why }) => json!({ "outcome": "fallback", "why": why }),
                Err(error) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    json!({ "outcome": "failed", "why": error.to_string() })
                }
            };
        }
        page(status, "application/json", body.to_string())
    }

    fn health(&self) -> Page {
        if self.failing.load(Relaxed) {
            text(StatusCode::SERVICE_UNAVAILABLE, "told to fail\n")
        } else if self.clock.now().since_start() < self.options.app.startup.get() {
            text(StatusCode::SERVICE_UNAVAILABLE, "starting\n")
        } else {
            text(StatusCode::OK, "ok\n")
        }
    }

    fn set_health(&self, query: &str) -> Page {
        let failing = match parameter(query, "fail") {
            Some("true") => true,
            Some("false") => false,
            _ => return text(StatusCode::BAD_REQUEST, "write /health?fail=true or /health?fail=false\n"),
        };
        self.failing.store(failing, Relaxed);
        text(StatusCode::OK, if failing { "failing\n" } else { "no longer failing\n" })
    }

    /// Prometheus's text format.
    fn metrics(&self) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _written = writeln!(out, "{text}");
        };
        line(format_args!("# TYPE demo_requests_total counter"));
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((page, code), count) in answered {
            line(format_args!("demo_requests_total{{page=\"{page}\",code=\"{code}\"}} {count}"));
        }
        line(format_args!("# TYPE demo_requests_in_flight gauge"));
        line(format_args!("demo_requests_in_flight {}", self.in_flight.load(Relaxed)));
        if let Some(caller) = &self.downstream {
            let outcomes = &caller.outcomes;
            let counts = [
                ("ok", &outcomes.ok),
                ("timeout", &outcomes.timeout),
                ("error", &outcomes.error),
                ("refused", &outcomes.refused),
            ];
            let sent = outcomes.sent.load(Relaxed);
            line(format_args!(
                "# HELP demo_downstream_requests_total Requests sent, also those that have not ended yet."
            ));
            line(format_args!("# TYPE demo_downstream_requests_total counter"));
            line(format_args!("demo_downstream_requests_total {sent}"));
            line(format_args!("# HELP demo_downstream_attempts_total Attempts; refused: by the circuit breaker."));
            line(format_args!("# TYPE demo_downstream_attempts_total counter"));
            for (outcome, count) in counts {
                line(format_args!("demo_downstream_attempts_total{{outcome=\"{outcome}\"}} {}", count.load(Relaxed)));
            }
        }
        if let Some(mode) = self.downstream.as_ref().and_then(Caller::breaker) {
            let state = match mode {
                Mode::Closed | Mode::ForcedClosed => 0,
                Mode::Open | Mode::ForcedOpen => 1,
                Mode::HalfOpen => 2,
            };
            line(format_args!("# HELP demo_breaker_state 0 closed, 1 open, 2 half-open."));
            line(format_args!("# TYPE demo_breaker_state gauge"));
            line(format_args!("demo_breaker_state {state}"));
        }
        if let Some(caller) = &self.downstream {
            out.push_str(&caller.metrics());
        }
        out
    }
}

/// What a downstream said, as JSON when it is that.
fn said_by(body: &str) -> serde_json::Value {
    serde_json::from_str(body).unwrap_or_else(|_| body.into())
}

async fn work(query: &str) -> Page {
    let length = |name| parameter(query, name).map(|text| text.parse().map(Duration::from_millis));
    match (length("ms"), length("cpu")) {
        (Some(Ok(time)), None) if time <= LONGEST_WORK => {
            sleep(time).await;
            text(StatusCode::OK, format!("slept {} ms\n", time.as_millis()))
        }
        (None, Some(Ok(time))) if time <= LONGEST_WORK => {
            burn(time).await;
            text(StatusCode::OK, format!("burnt {} ms of CPU time\n", time.as_millis()))
        }
        _ => text(StatusCode::BAD_REQUEST, "write /work?ms=50 to sleep or /work?cpu=50 to burn CPU; at most 60000\n"),
    }
}

/// Uses up this much CPU time of the thread.
async fn burn(time: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let slice = left.min(BURN_SLICE);
        let begin = cpu_time();
        while cpu_time().saturating_sub(begin) < slice {
            std::hint::spin_loop();
        }
        left -= slice;
        yield_now().await;
    }
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// The value of a parameter of a query such as `ms=50&fail=true`. Values here need no percent-decoding.
fn parameter<'query>(query: &'query str, name: &str) -> Option<&'query str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find_map(|(known, value)| (known == name).then_some(value))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Page {
    page(status, "text/plain; charset=utf-8", body)
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(body.into()));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    page
}
