//! HTTP through a front: unchanged without rules, and what rules do to it.

use std::{
    convert::Infallible,
    future::Future,
    io::ErrorKind,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::http2,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use proxy::http::{Front, Rule, Rules};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// Anything on loopback that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

/// Longer than any test: what waits so long waits for something else.
const FOR_EVER: u64 = 3_600_000;

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(HANGS, what).await.expect("it hangs")
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn rule(value: &Value) -> Rule {
    Rule::from_json(value).unwrap()
}

/// A body that comes frame by frame, as a test sends them.
struct Frames(mpsc::UnboundedReceiver<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

type Answer = Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>;

/// An upstream that says what it was asked, and does what the path says.
#[derive(Clone, Default)]
struct Upstream {
    address: String,
    heard: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
    /// What a response of `/frames` is made of.
    frames: Arc<Mutex<Option<mpsc::UnboundedReceiver<Frame<Bytes>>>>>,
}

impl Upstream {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self { address: listener.local_addr().unwrap().to_string(), ..Self::default() };
        let serving = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                serving.connections.fetch_add(1, Relaxed);
                let this = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let this = this.clone();
                        async move { Ok::<_, Infallible>(this.answer(request).await) }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await);
                });
            }
        });
        this
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Answer {
        self.heard.fetch_add(1, Relaxed);
        match request.uri().path() {
            "/frames" => {
                let frames = self.frames.lock().unwrap().take().unwrap();
                let mut response = Response::new(BodyExt::boxed(Frames(frames)));
                response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
                response
            }
            "/upgrade" => {
                let upgraded = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let mut stream = TokioIo::new(upgraded.await.unwrap());
                    let mut line = [0; 5];
                    stream.read_exact(&mut line).await.unwrap();
                    line.reverse();
                    stream.write_all(&line).await.unwrap();
                });
                let upgrade = request.headers()["upgrade"].clone();
                let mut response = Response::new(Full::default().boxed());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert("connection", HeaderValue::from_static("upgrade"));
                response.headers_mut().insert("upgrade", upgrade);
                response
            }
            "/large" => Response::new(Full::from(vec![b'1'; 5 << 20]).boxed()),
            "/last" => {
                let mut response = Response::new(Full::from("last").boxed());
                response.headers_mut().insert("connection", HeaderValue::from_static("close"));
                response
            }
            _ => self.mirror(request).await,
        }
    }

    /// Says in JSON what the request was.
    async fn mirror(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let collected = body.collect().await.unwrap();
        let fields = |headers: &HeaderMap| -> Value {
            headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect()
        };
        let trailers = collected.trailers().map(fields);
        let body = json!({
            "method": parts.method.as_str(),
            "path": parts.uri.path_and_query().map(ToString::to_string),
            "http2": parts.version == Version::HTTP_2,
            "headers": fields(&parts.headers),
            "body": String::from_utf8_lossy(&collected.to_bytes()),
            "trailers": trailers,
        });
        let mut response = Response::new(Full::from(body.to_string()).boxed());
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("x-private", HeaderValue::from_static("1"));
        headers.insert("connection", HeaderValue::from_static("x-private"));
        response
    }

    fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }
}

/// A front to an upstream, and its rules.
struct Stage {
    front: Front,
    rules: Rules,
    upstream: Upstream,
}

impl Stage {
    async fn with(rules: &[Value]) -> Self {
        let upstream = Upstream::start().await;
        let in_force = Rules::new(7);
        in_force.set(rules.iter().map(rule).collect());
        let front = Front::start(anywhere(), &upstream.address, in_force.clone()).unwrap();
        Self { front, rules: in_force, upstream }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.front.address()).await.unwrap()
    }

    /// One request on a connection of its own: everything that comes back.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        in_time(stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// GET, with more fields: status, head and body.
    async fn get(&self, path: &str, fields: &str) -> (u16, String, String) {
        let answer =
            self.raw(&format!("GET {path} HTTP/1.1\r\nhost: web.test\r\nconnection: close\r\n{fields}\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    /// What the upstream says it was asked.
    async fn mirrored(&self, path: &str, fields: &str) -> Value {
        let (status, _, body) = self.get(path, fields).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn http2(&self) -> http2::SendRequest<Full<Bytes>> {
        let io = TokioIo::new(self.connect().await);
        let (sender, connection) = http2::Builder::new(TokioExecutor::new()).handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Waits until a rule has done something.
    async fn until(&self, holds: impl Fn(&proxy::http::Done) -> bool) {
        in_time(async {
            while !self.rules.list().iter().any(|(_, done)| holds(done)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn http2_get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://web.test{path}")).body(Full::default()).unwrap()
}

#[tokio::test]
async fn without_rules_everything_but_the_connections_own_passes_unchanged() {
    let stage = Stage::with(&[]).await;
    let fields = "X-Some-Header: a\r\nx-private: 1\r\nconnection: x-private, te\r\nte: trailers\r\nkeep-alive: 5\r\n\
                  content-length: 4\r\n\r\nbody";
    let answer =
        stage.raw(&format!("POST /a%20b?c=d HTTP/1.1\r\nhost: web.test\r\nconnection: close\r\n{fields}")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mirrored: Value = serde_json::from_str(body).unwrap();
    let expected = json!({
        "method": "POST", "path": "/a%20b?c=d", "http2": false, "body": "body", "trailers": null,
        "headers": { "host": "web.test", "x-some-header": "a", "content-length": "4", "te": "trailers",
            "connection": "close, te" },
    });
    assert_eq!(mirrored, expected);
    let head = head.to_lowercase();
    assert!(!head.contains("x-private") && head.contains("content-type: application/json"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
}

#[tokio::test]
async fn a_connection_of_a_client_has_one_upstream_for_all_its_requests() {
    let stage = Stage::with(&[]).await;
    let mut stream = stage.connect().await;
    for round in 0..3 {
        stream.write_all(format!("GET /{round} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut got = vec![0; 4096];
        let mut text = String::new();
        while !text.contains(&format!("\"/{round}\"")) {
            let count = in_time(stream.read(&mut got)).await.unwrap();
            assert!(count > 0, "it ended: {text}");
            text.push_str(std::str::from_utf8(&got[..count]).unwrap());
        }
    }
    assert_eq!((stage.upstream.heard(), stage.upstream.connections.load(Relaxed)), (3, 1));
    // The upstream ends its connection, and so the client's ends.
    stream.write_all(b"GET /last HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    in_time(stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.ends_with("last") && rest.to_lowercase().contains("connection: close"), "{rest}");
}

#[tokio::test]
async fn bodies_are_passed_on_as_they_come_with_their_trailers() {
    for http2 in [false, true] {
        let stage = Stage::with(&[]).await;
        let (send, frames) = mpsc::unbounded_channel();
        *stage.upstream.frames.lock().unwrap() = Some(frames);
        send.send(Frame::data("first".into())).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("42"));
        if http2 {
            let mut sender = stage.http2().await;
            let mut response = in_time(sender.send_request(http2_get("/frames"))).await.unwrap();
            let first = in_time(response.body_mut().frame()).await.unwrap().unwrap();
            assert_eq!(first.into_data().unwrap(), "first");
            // Only now does the rest exist.
            send.send(Frame::data("second".into())).unwrap();
            send.send(Frame::trailers(trailers)).unwrap();
            drop(send);
            let rest = in_time(response.into_body().collect()).await.unwrap();
            assert_eq!(rest.trailers().unwrap()["x-sum"], "42");
            assert_eq!(rest.to_bytes(), "second");
        } else {
            let mut stream = stage.connect().await;
            let request = b"GET /frames HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut text = String::new();
            let mut got = vec![0; 4096];
            while !text.contains("first") {
                let count = in_time(stream.read(&mut got)).await.unwrap();
                assert!(count > 0, "it ended: {text}");
                text.push_str(std::str::from_utf8(&got[..count]).unwrap());
            }
            send.send(Frame::data("second".into())).unwrap();
            send.send(Frame::trailers(trailers)).unwrap();
            drop(send);
            in_time(stream.read_to_string(&mut text)).await.unwrap();
            assert!(text.contains("second") && text.ends_with("0\r\nx-sum: 42\r\n\r\n"), "{text}");
        }
    }
}

#[tokio::test]
async fn an_upgraded_connection_becomes_a_tunnel() {
    let stage =
        Stage::with(&[json!({ "name": "seen", "match": { "path": "/upgrade" }, "delay": { "latency": 1 } })]).await;
    let mut stream = stage.connect().await;
    let request = "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nolleh"), "{answer}");
    assert!(answer.to_lowercase().contains("upgrade: websocket"), "{answer}");
    assert_eq!(stage.rules.list()[0].1.delayed, 1);
    // What is left of a tunnel goes with its front.
    let mut open = stage.connect().await;
    open.write_all(&request.as_bytes()[..request.len() - 5]).await.unwrap();
    let mut head = vec![0; 12];
    in_time(open.read_exact(&mut head)).await.unwrap();
    drop(stage);
    let mut rest = Vec::new();
    drop(in_time(open.read_to_end(&mut rest)).await);
}

#[tokio::test]
async fn a_client_of_http_2_reaches_the_upstream_in_http_2() {
    let stage = Stage::with(&[]).await;
    let mut sender = stage.http2().await;
    let response = in_time(sender.send_request(http2_get("/a?b"))).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let body = in_time(response.into_body().collect()).await.unwrap().to_bytes();
    let mirrored: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&mirrored["http2"], &mirrored["path"]), (&json!(true), &json!("/a?b")));
}

#[tokio::test]
async fn a_delay_is_served_in_full_and_measured() {
    let stage =
        Stage::with(&[json!({ "name": "slow", "match": { "path": "/slow*" }, "delay": { "latency": 60 } })]).await;
    for _ in 0..3 {
        stage.mirrored("/slow/a", "").await;
        stage.mirrored("/fast", "").await;
    }
    let (_, done) = stage.rules.list().remove(0);
    assert_eq!((done.matched, done.chosen, done.delayed), (3, 3, 3));
    assert!(done.delay >= Duration::from_millis(180), "{done:?}");
}

#[tokio::test]
async fn removing_or_changing_a_rule_ends_its_delays_under_way() {
    let slow = json!({ "name": "slow", "match": { "path": "*" }, "delay": { "latency": FOR_EVER }, "abort": { "status": 503 } });
    for http2 in [false, true] {
        let stage = Stage::with(std::slice::from_ref(&slow)).await;
        let request = async {
            if http2 {
                stage.http2().await.send_request(http2_get("/")).await.unwrap().status().as_u16()
            } else {
                stage.get("/", "").await.0
            }
        };
        let change = async {
            stage.until(|done| done.chosen == 1).await;
            if http2 {
                stage.rules.put(rule(&json!({ "name": "slow", "match": { "path": "*" }, "delay": { "latency": 1 } })));
            } else {
                assert!(stage.rules.remove("slow"));
            }
        };
        // A rule that has gone aborts nothing, either.
        assert_eq!(in_time(async { tokio::join!(request, change) }).await.0, 200);
    }
}

#[tokio::test]
async fn an_abort_answers_and_the_upstream_never_hears() {
    let stage = Stage::with(&[
        json!({ "name": "down", "match": { "method": "GET", "path": "/api/*", "headers": { "x-user": "test-*" } },
            "abort": { "status": 503, "headers": { "retry-after": "1" }, "body": "down\n" } }),
    ])
    .await;
    let (status, head, body) = stage.get("/api/a", "x-user: test-1\r\n").await;
    assert_eq!((status, body.as_str()), (503, "down\n"));
    assert!(head.contains("retry-after: 1") && head.contains("content-length: 5"), "{head}");
    assert_eq!(stage.upstream.heard(), 0);
    for (path, fields) in [("/api/a", ""), ("/api/a", "x-user: other\r\n"), ("/web", "x-user: test-1\r\n")] {
        stage.mirrored(path, fields).await;
    }
    assert_eq!(stage.upstream.heard(), 3);
}

#[tokio::test]
async fn an_abort_at_the_response_happens_after_the_upstream_has_done_its_work() {
    let stage = Stage::with(&[
        json!({ "name": "lost", "match": { "path": "/lost" }, "at": "response", "abort": { "status": 504 } }),
        json!({ "name": "found", "match": { "status": 200, "responseHeaders": { "content-type": "*/json" }, "path": "/f" },
            "at": "response", "abort": { "status": 418 } }),
    ])
    .await;
    assert_eq!(stage.get("/lost", "").await.0, 504);
    assert_eq!(stage.get("/f", "").await.0, 418);
    assert_eq!(stage.get("/other", "").await.0, 200);
    assert_eq!(stage.upstream.heard(), 3);
}

#[tokio::test]
async fn an_aborted_connection_is_reset_and_of_http_2_only_the_stream() {
    let stage = Stage::with(&[
        json!({ "name": "cut", "match": { "path": "/cut" }, "abort": { "connection": true } }),
        json!({ "name": "slow", "match": { "path": "/slow" }, "delay": { "latency": FOR_EVER } }),
    ])
    .await;
    let mut stream = stage.connect().await;
    stream.write_all(b"GET /cut HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let error = in_time(stream.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // A stream that waits does not hold up the others, nor does one that is cut.
    let mut sender = stage.http2().await;
    let slow = tokio::spawn(sender.send_request(http2_get("/slow")));
    stage.until(|done| done.chosen == 1 && done.aborted == 0).await;
    in_time(sender.send_request(http2_get("/cut"))).await.unwrap_err();
    assert_eq!(in_time(sender.send_request(http2_get("/"))).await.unwrap().status(), 200);
    assert!(stage.rules.remove("slow"));
    assert_eq!(in_time(slow).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_percentage_of_requests_is_chosen_by_the_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let quarter =
            json!({ "name": "quarter", "match": { "path": "*" }, "percentage": 25, "abort": { "status": 500 } });
        let stage = Stage::with(&[quarter]).await;
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(stage.get("/", "").await.0);
        }
        let failed = statuses.iter().filter(|status| **status == 500).count() as u64;
        let (_, done) = stage.rules.list().remove(0);
        assert_eq!((done.matched, done.chosen, done.aborted), (60, failed, failed));
        assert_eq!(stage.upstream.heard(), 60 - failed);
        // Four standard deviations of a binomial distribution (3.35 each) around 15.
        assert!((2..=28).contains(&failed), "{failed}");
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn fields_are_set_and_removed_both_ways() {
    let stage = Stage::with(&[json!({
        "name": "fields", "match": { "path": "*", "headers": { "host": "web.test" } },
        "request": { "setHeaders": { "X-User": "eve" }, "removeHeaders": ["authorization"] },
        "response": { "status": 202, "setHeaders": { "cache-control": "no-store" }, "removeHeaders": ["content-type"] },
    })])
    .await;
    let (status, head, body) = stage.get("/", "x-user: adam\r\nauthorization: secret\r\n").await;
    assert_eq!(status, 202);
    assert!(head.contains("cache-control: no-store") && !head.contains("content-type"), "{head}");
    let mirrored: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(mirrored["headers"]["x-user"], "eve");
    assert_eq!(mirrored["headers"].get("authorization"), None);
}

#[tokio::test]
async fn bodies_are_replaced_and_patched_both_ways() {
    let stage = Stage::with(&[
        json!({ "name": "replace", "match": { "path": "/replace" },
            "request": { "body": { "replace": "other" } }, "response": { "body": { "replace": "gone" } } }),
        json!({ "name": "request", "match": { "path": "/request" }, "request": { "body": { "patch": { "price": 0 } } } }),
        json!({ "name": "response", "match": { "path": "/response" },
            "response": { "body": { "patch": { "headers": null, "body": "patched" } } } }),
        json!({ "name": "large", "match": { "path": "/large" }, "response": { "body": { "patch": { "a": 1 } } } }),
    ])
    .await;
    let (_, head, body) = stage.get("/replace", "content-length: 2\r\n\r\n{}").await;
    assert_eq!(body, "gone");
    assert!(head.contains("content-length: 4"), "{head}");
    let fields = "content-length: 24\r\n\r\n{\"item\": 1, \"price\": 99}";
    let mirrored = stage.mirrored("/request", fields).await;
    assert_eq!(
        (&mirrored["body"], &mirrored["headers"]["content-length"]),
        (&json!(r#"{"item":1,"price":0}"#), &json!("20"))
    );
    // What is sent in pieces has no length beforehand; the patched body has.
    let chunked = "transfer-encoding: chunked\r\n\r\n9\r\n{\"item\": \r\n2\r\n1}\r\n0\r\n\r\n";
    let mirrored = stage.mirrored("/request", chunked).await;
    assert_eq!(mirrored["body"], r#"{"item":1,"price":0}"#);
    let mirrored = stage.mirrored("/response", "").await;
    assert_eq!((mirrored.get("headers"), &mirrored["body"]), (None, &json!("patched")));
    let (_, _, large) = stage.get("/large", "").await;
    assert_eq!(large.len(), 5 << 20);
    let done: Vec<_> = stage.rules.list().into_iter().map(|(_, done)| (done.changed, done.unchanged)).collect();
    assert_eq!(done, [(2, 0), (2, 0), (1, 0), (0, 1)]);
}

#[tokio::test]
async fn a_response_to_head_keeps_having_no_body() {
    let stage = Stage::with(&[json!({ "name": "r", "match": { "method": "head", "path": "*" },
        "response": { "setHeaders": { "x-a": "1" }, "body": { "replace": "body" } } })])
    .await;
    let answer = stage.raw("HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("x-a: 1") && answer.ends_with("\r\n\r\n"), "{answer}");
    let (_, done) = stage.rules.list().remove(0);
    assert_eq!((done.changed, done.unchanged), (1, 1));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_said_to_be_so() {
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rules = Rules::new(1);
    let front = Front::start(anywhere(), &nowhere.to_string(), rules.clone()).unwrap();
    let stage = Stage { front, rules, upstream: Upstream::default() };
    let (status, _, body) = stage.get("/", "").await;
    assert!(status == 502 && body.contains("shaketable proxy: cannot connect to"), "{body}");
    // A rule answers without it.
    stage
        .rules
        .put(rule(&json!({ "name": "a", "match": { "path": "*" }, "abort": { "status": 200, "body": "stub" } })));
    assert_eq!(stage.get("/", "").await.2, "stub");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_breaks_off_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            let mut request = [0; 1024];
            let _count = stream.read(&mut request).await.unwrap();
        }
    });
    let front = Front::start(anywhere(), &address, Rules::new(1)).unwrap();
    let mut stream = TcpStream::connect(front.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    drop(in_time(stream.read_to_end(&mut answer)).await);
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn a_request_that_was_delayed_beyond_the_upstreams_patience_gets_a_new_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rules = Rules::new(1);
    let front = Front::start(anywhere(), &listener.local_addr().unwrap().to_string(), rules.clone()).unwrap();
    let mut client = TcpStream::connect(front.address()).await.unwrap();
    let answers = |mut upstream: TcpStream| async move {
        let _count = in_time(upstream.read(&mut [0; 1024])).await.unwrap();
        upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        upstream
    };
    let mut answer = [0; 27];
    client.write_all(b"GET /first HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut first = answers(in_time(listener.accept()).await.unwrap().0).await;
    in_time(client.read_exact(&mut answer)).await.unwrap();
    rules.put(rule(&json!({ "name": "slow", "match": { "path": "*" }, "delay": { "latency": FOR_EVER } })));
    client.write_all(b"GET /second HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let stage = Stage { front, rules, upstream: Upstream::default() };
    stage.until(|done| done.chosen == 1).await;
    // The end of what the front sends on it shows that it knows.
    first.shutdown().await.unwrap();
    assert_eq!(in_time(first.read(&mut [0])).await.unwrap(), 0);
    stage.rules.clear();
    let second = answers(in_time(listener.accept()).await.unwrap().0).await;
    // It is the client's last, and says so.
    let mut last = String::new();
    in_time(client.read_to_string(&mut last)).await.unwrap();
    assert!(last.starts_with("HTTP/1.1 204") && last.to_lowercase().contains("connection: close"), "{last}");
    drop(second);
}

#[tokio::test]
async fn a_front_that_is_dropped_leaves_nobody_waiting() {
    let stage =
        Stage::with(&[json!({ "name": "slow", "match": { "path": "*" }, "delay": { "latency": FOR_EVER } })]).await;
    let mut stream = stage.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    stage.until(|done| done.chosen == 1).await;
    let address = stage.front.address();
    drop(stage);
    let mut answer = Vec::new();
    drop(in_time(stream.read_to_end(&mut answer)).await);
    assert_eq!(answer, b"");
    in_time(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_no_http_is_refused() {
    let stage = Stage::with(&[]).await;
    for nonsense in ["\0\0\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx"] {
        let answer = stage.raw(nonsense).await;
        assert!(answer.starts_with("HTTP/1.1 400") || answer.is_empty(), "{answer}");
    }
    assert_eq!(stage.upstream.heard(), 0);
    assert_eq!(stage.mirrored("/", "").await["method"], Method::GET.as_str());
}
