//! The API's server: HTTP/1.1 on one address, every call answered at once.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, ORIGIN, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Error, call::Call, metrics::Metrics, proxies::Proxies};

/// The Toxiproxy whose API this is. Clients ask for 2.x; what came later than this is not there.
const TOXIPROXY: &str = "2.12.0";

/// The longest body: some ten thousand proxies.
const BODY_LIMIT: usize = 4 << 20;

/// How long a request may take to arrive, head and body, and how long a connection may be idle: Toxiproxy's times.
const READ_LIMIT: Duration = Duration::from_secs(15);
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Pause after a failed `accept`: it fails for want of file descriptors, and trying at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The API. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Api {
    proxies: Proxies,
    metrics: Metrics,
    requests: Arc<AtomicU64>,
}

/// An answer before it is one of HTTP.
#[derive(Debug, PartialEq)]
enum Answer {
    Json(StatusCode, Value),
    Version,
    Page(String),
    Nothing,
}

impl Api {
    /// An API to these proxies.
    #[must_use]
    pub fn new(proxies: Proxies, metrics: Metrics) -> Self {
        Self { proxies, metrics, requests: Arc::default() }
    }

    /// Serves until the token is cancelled.
    pub async fn serve(self, listener: TcpListener, until: CancellationToken) {
        let accept = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _client)) => {
                        let (this, until) = (self.clone(), until.clone());
                        tokio::spawn(async move { until.run_until_cancelled(this.connection(stream)).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection to the API");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        let _ended: Option<Infallible> = until.run_until_cancelled(accept).await;
    }

    async fn connection(&self, stream: TcpStream) {
        // If that fails, answers may be late; the connection will soon say why.
        let _set: io::Result<()> = stream.set_nodelay(true);
        let service = service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(IDLE_LIMIT);
        if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "a connection to the API was broken off");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let number = self.requests.fetch_add(1, Relaxed);
        let done = match guard(&parts.headers) {
            Ok(()) => match read(body).await {
                Ok(body) => self.perform(parts.method.as_str(), parts.uri.path(), &body).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let (status, kind, text) = match done {
            Ok(answer) => answer.written(),
            Err(error) => (error.status(), JSON, format!("{}\n", error.to_json())),
        };
        tracing::debug!(method = %parts.method, path = parts.uri.path(), status = status.as_u16(), "answered");
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        if status != StatusCode::NO_CONTENT {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Ok(id) = HeaderValue::try_from(format!("{number:016x}")) {
            response.headers_mut().insert("x-toxiproxy-request-id", id);
        }
        response
    }

    async fn perform(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Error> {
        let proxies = &self.proxies;
        let found = |value| Answer::Json(StatusCode::OK, value);
        let created = |value| Answer::Json(StatusCode::CREATED, value);
        let gone = |()| Answer::Nothing;
        match Call::read(method, path, body)? {
            Call::List => Ok(found(proxies.list())),
            Call::Create(proxy) => proxies.create(&proxy?).await.map(created),
            Call::Populate(list) => Ok(match proxies.populate(&list?).await {
                Ok(done) => created(json!({ "proxies": done })),
                Err((error, done)) => {
                    let mut body = error.to_json();
                    body["proxies"] = done.into();
                    Answer::Json(error.status(), body)
                }
            }),
            Call::Show(proxy) => proxies.show(&proxy).map(found),
            Call::Update(proxy, change) => {
                proxies.show(&proxy)?;
                proxies.update(&proxy, &change?).await.map(found)
            }
            Call::Delete(proxy) => proxies.delete(&proxy).map(gone),
            Call::ListToxics(proxy) => proxies.toxics(&proxy).map(found),
            Call::AddToxic(proxy, toxic) => proxies.add_toxic(&proxy, toxic).map(found),
            Call::ShowToxic(proxy, toxic) => proxies.toxic(&proxy, &toxic).map(found),
            Call::UpdateToxic(proxy, toxic, change) => proxies.update_toxic(&proxy, &toxic, change).map(found),
            Call::RemoveToxic(proxy, toxic) => proxies.remove_toxic(&proxy, &toxic).map(gone),
            Call::Reset => proxies.reset().await.map(gone),
            Call::Version => Ok(Answer::Version),
            Call::Metrics if self.metrics.any() => Ok(Answer::Page(self.metrics.page(&proxies.carried()))),
            Call::Metrics => Err(Error::NoSuchPath),
            Call::ListRules(proxy) => proxies.rules(&proxy).map(found),
            Call::SetRules(proxy, rules) => proxies.set_rules(&proxy, rules).map(found),
            Call::AddRule(proxy, rule) => proxies.put_rule(&proxy, rule, false).map(created),
            Call::LeaveHttp(proxy) => proxies.leave_http(&proxy).map(gone),
            Call::ShowRule(proxy, rule) => proxies.rule(&proxy, &rule).map(found),
            Call::PutRule(proxy, rule) => proxies.put_rule(&proxy, rule, true).map(found),
            Call::RemoveRule(proxy, rule) => proxies.remove_rule(&proxy, &rule).map(gone),
        }
    }
}

const JSON: &str = "application/json";

impl Answer {
    fn written(self) -> (StatusCode, &'static str, String) {
        match self {
            Self::Json(status, value) => (status, JSON, value.to_string()),
            Self::Version => {
                let body = json!({ "version": TOXIPROXY, "shaketable": env!("CARGO_PKG_VERSION") });
                (StatusCode::OK, "application/json;charset=utf-8", format!("{body}\n"))
            }
            Self::Page(page) => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page),
            Self::Nothing => (StatusCode::NO_CONTENT, "", String::new()),
        }
    }
}

/// Refuses browsers: any page that somebody visits could send requests to an address on this machine. Toxiproxy tells them by
/// what they call themselves; that a request comes from a page says `Origin` as well.
fn guard(headers: &HeaderMap) -> Result<(), Error> {
    let is_browser = headers.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    if is_browser || headers.contains_key(ORIGIN) { Err(Error::Browser) } else { Ok(()) }
}

/// Reads a body, which has to arrive, and not to be longer than any sensible one.
async fn read(body: Incoming) -> Result<Bytes, Error> {
    match timeout(READ_LIMIT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::TooLarge(BODY_LIMIT)),
        Ok(Err(error)) => Err(Error::BadBody(error.to_string())),
        Err(_elapsed) => Err(Error::TooSlow),
    }
}
