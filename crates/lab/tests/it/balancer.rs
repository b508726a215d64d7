//! The balancer over loopback.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use engine::Recorder;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use lab::balancer::{self, Handle, Listener, State, Target};
use model::{
    Moment, Period,
    event::What,
    lab::{Balancer, DemoApp, HealthCheck},
    metric::Metric,
    resource::ResourceId,
};
use observe::{Clock, Measurements};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    client::{Client, get, named, nowhere, post, target},
    demo_process::Demo,
};

/// Anything on loopback that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

struct Stage {
    handle: Handle,
    recorder: Recorder,
    measurements: Measurements,
}

fn spec() -> Balancer {
    Balancer {
        group: "web".to_owned(),
        port: 80,
        publish: None,
        health_check: HealthCheck { interval: Period::from_millis(20), ..HealthCheck::default() },
        sticky: None,
        draining: Period::from_secs(10),
        timeout: Period::from_secs(10),
        retries: 1,
    }
}

impl Stage {
    async fn with(spec: Balancer) -> Self {
        let recorder = Recorder::new(Clock::start());
        let measurements = Measurements::new();
        let listeners = vec![Listener::Address("127.0.0.1:0".parse().unwrap())];
        let handle = balancer::start("web", &spec, listeners, recorder.clone(), measurements.clone()).await.unwrap();
        Self { handle, recorder, measurements }
    }

    fn add(&self, id: &str, address: SocketAddr) {
        self.handle.add(Target { id: ResourceId(id.to_owned()), address, zone: "local-1a".to_owned() });
    }

    async fn until_healthy(&self, count: usize) {
        let mut healthy = self.handle.healthy();
        timeout(HANGS, healthy.wait_for(|now| *now == count)).await.expect("in time").unwrap();
    }

    async fn until_targets(&self, holds: impl Fn(&[balancer::TargetStatus]) -> bool) {
        let begin = Instant::now();
        while !holds(&self.handle.targets()) {
            assert!(begin.elapsed() < HANGS, "{:?}", self.handle.targets());
            tokio::task::yield_now().await;
        }
    }

    async fn client(&self) -> Client {
        Client::connect(self.handle.addresses()[0]).await
    }

    fn count(&self, metric: &str) -> Option<u64> {
        self.measurements.events(&Metric::of(metric, "web"), Moment::ZERO, self.recorder.clock().now())
    }
}

/// Answers of `requests` requests, counted.
async fn tally(client: &mut Client, requests: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..requests {
        *tally.entry(client.get("/").await.text()).or_default() += 1;
    }
    tally
}

#[tokio::test]
async fn requests_are_spread_evenly_over_the_healthy_targets() {
    let stage = Stage::with(spec()).await;
    stage.add("a", named("a").await);
    stage.add("b", named("b").await);
    stage.add("dead", nowhere().await);
    stage.until_healthy(2).await;
    let tally = tally(&mut stage.client().await, 20).await;
    assert_eq!(tally, BTreeMap::from([("a".to_owned(), 10), ("b".to_owned(), 10)]));
    let statuses = stage.handle.targets();
    let of = |id: &str| statuses.iter().find(|status| status.target.id.0 == id).unwrap();
    assert_eq!((of("a").requests, of("a").responses, of("a").in_flight), (10, [0, 10, 0, 0, 0], 0));
    assert!(of("a").mean.unwrap() <= of("a").p99.unwrap());
    assert_eq!((of("dead").requests, of("dead").mean), (0, None));
}

/// 200 requests per second for two seconds, each sent when its time has come whatever became of those before it.
async fn load(address: SocketAddr, halfway: &Notify) -> Vec<Result<StatusCode, String>> {
    const REQUESTS: u32 = 400;
    let begin = Instant::now();
    let (done, mut replies) = mpsc::unbounded_channel();
    for number in 0..REQUESTS {
        sleep_until(begin + Duration::from_millis(5) * number).await;
        if number == REQUESTS / 2 {
            halfway.notify_one();
        }
        let done = done.clone();
        tokio::spawn(async move {
            let reply = Client::connect(address).await.send(get("/")).await;
            done.send(reply.map(|reply| reply.status).map_err(|error| error.to_string())).unwrap();
        });
    }
    drop(done);
    let mut all = Vec::new();
    while let Some(reply) = replies.recv().await {
        all.push(reply);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_of_two_processes_under_load_is_not_seen_by_clients() {
    let stage = Stage::with(spec()).await;
    let busy = || DemoApp { work: Period::from_millis(20), ..DemoApp::default() };
    // 20 ms of work at 100 requests per second each: when one dies, it has about two requests in flight.
    let mut demos = [Demo::start(busy()).await, Demo::start(busy()).await];
    for demo in &demos {
        stage.add(&demo.id, demo.address);
    }
    stage.until_healthy(2).await;
    let halfway = Arc::new(Notify::new());
    let loading = {
        let (address, halfway) = (stage.handle.addresses()[0], Arc::clone(&halfway));
        tokio::spawn(async move { load(address, &halfway).await })
    };
    halfway.notified().await;
    // SIGKILL: its kernel resets the connections it had.
    demos[0].process.kill().unwrap();
    let replies = timeout(HANGS, loading).await.expect("in time").unwrap();
    let failed: Vec<_> = replies.iter().filter(|reply| **reply != Ok(StatusCode::OK)).collect();
    assert!(failed.is_empty(), "{} of {} failed: {failed:?}", failed.len(), replies.len());
    stage.until_healthy(1).await;
    let statuses = stage.handle.targets();
    let dead = statuses.iter().find(|status| status.target.id.0 == demos[0].id).unwrap();
    assert!(dead.failures > 0, "the test has killed nothing that mattered: {dead:?}");
}

#[tokio::test]
async fn what_it_thinks_of_a_target_is_on_record_and_measured() {
    let mut rule = spec();
    rule.health_check.path = "/ready".to_owned();
    let stage = Stage::with(rule).await;
    let up = Arc::new(AtomicBool::new(true));
    let health = Arc::clone(&up);
    let address = target(move |request| {
        let status = match (request.uri().path(), health.load(Relaxed)) {
            ("/ready", false) => StatusCode::SERVICE_UNAVAILABLE,
            ("/broken", _) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::OK,
        };
        async move { Response::builder().status(status).body(Full::default()).unwrap() }
    })
    .await;
    stage.add("a", address);
    stage.until_healthy(1).await;
    let mut client = stage.client().await;
    client.get("/").await;
    assert_eq!(client.get("/broken").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    up.store(false, Relaxed);
    stage.until_healthy(0).await;
    assert_eq!(client.get("/").await.status, StatusCode::OK, "it fails open");
    up.store(true, Relaxed);
    stage.until_healthy(1).await;
    stage.handle.remove(&ResourceId("a".to_owned()));
    stage.until_targets(<[_]>::is_empty).await;
    assert_eq!(client.get("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    stage.handle.stop().await;

    let events: Vec<_> = stage.recorder.since(0).into_iter().map(|event| event.what).collect();
    let expected = [
        (true, "its first health check passed"),
        (false, "health check answered 503"),
        (true, "2 health checks in a row passed"),
        (false, "deregistered"),
    ];
    let expected = expected.map(|(healthy, reason)| What::Target {
        balancer: "web".to_owned(),
        instance: ResourceId("a".to_owned()),
        healthy,
        reason: reason.to_owned(),
    });
    assert_eq!(events, expected);
    let counts = ["requests", "errors.5xx", "errors.target_5xx", "errors.own_5xx"];
    assert_eq!(counts.map(|name| stage.count(&format!("balancer.{name}"))), [Some(4), Some(2), Some(1), Some(1)]);
    let p99 = Metric::of("balancer.target_response_time.p99", "web");
    assert_eq!(stage.measurements.spread(&p99, Moment::ZERO, stage.recorder.clock().now()).count(), 3);
}

#[tokio::test]
async fn without_a_target_the_answer_is_503_and_without_a_reachable_one_502() {
    let stage = Stage::with(spec()).await;
    let mut client = stage.client().await;
    assert_eq!(client.get("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    stage.add("dead", nowhere().await);
    assert_eq!(client.get("/").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_target_that_takes_too_long_is_answered_for_with_504() {
    let stage = Stage::with(Balancer { timeout: Period::from_millis(50), ..spec() }).await;
    stage.add("slow", target(|_request| std::future::pending()).await);
    stage.until_healthy(1).await;
    assert_eq!(stage.client().await.get("/").await.status, StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_stalls_ends_the_connection_instead_of_hanging() {
    let stage = Stage::with(Balancer { timeout: Period::from_millis(50), ..spec() }).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.add("stalls", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
                let _closed_by_the_balancer = stream.read(&mut request).await;
            });
        }
    });
    let reply = timeout(HANGS, stage.client().await.send(get("/"))).await.expect("in time");
    assert!(reply.is_err(), "{reply:?}");
}

/// A target that answers one request per connection and closes when the second arrives, without a word: what a request
/// sees that races with the target's closing of an idle connection.
async fn once_per_connection() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.unwrap_or(0) > 0 {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                    let _second = stream.read(&mut request).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_kept_connection_that_turns_out_closed_is_no_error_unless_repeating_could_do_harm() {
    // No retries on other targets: there is none.
    let stage = Stage::with(Balancer { retries: 0, ..spec() }).await;
    stage.add("a", once_per_connection().await);
    stage.until_healthy(1).await;
    let mut client = stage.client().await;
    for _ in 0..6 {
        assert_eq!(client.get("/").await.status, StatusCode::OK);
    }
    assert_eq!(client.send(post("/", "pay 10")).await.unwrap().status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_request_that_never_left_goes_elsewhere_whatever_its_method_and_body() {
    let stage = Stage::with(spec()).await;
    stage.add("dead", nowhere().await);
    stage.add("echo", echo().await);
    // None is healthy yet or one is: in either case each request ends at the one that lives.
    let mut client = stage.client().await;
    for _ in 0..8 {
        let reply = client.send(post("/", "pay 10")).await.unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (StatusCode::OK, "pay 10"));
    }
}

async fn echo() -> SocketAddr {
    target(|request| async move { Response::new(Full::from(request.into_body().collect().await.unwrap().to_bytes())) })
        .await
}

#[tokio::test]
async fn large_bodies_pass_unchanged_in_both_directions() {
    let stage = Stage::with(spec()).await;
    stage.add("echo", echo().await);
    stage.until_healthy(1).await;
    // 8 MiB with a period that is no power of two, so that a lost or doubled block would show.
    let body: Bytes = (0..8 << 20).map(|place: u32| (place % 251) as u8).collect();
    let request = Request::put("/").header("host", "web.lab").body(Full::from(body.clone())).unwrap();
    let reply = stage.client().await.send(request).await.unwrap();
    assert!(reply.body == body, "{} of {} bytes came back", reply.body.len(), body.len());
}

#[tokio::test]
async fn a_client_sticks_to_its_target_as_long_as_that_is_there() {
    let stage = Stage::with(Balancer { sticky: Some(Period::from_secs(60)), ..spec() }).await;
    stage.add("a", named("a").await);
    stage.add("b", named("b").await);
    stage.until_healthy(2).await;
    let mut client = stage.client().await;
    let first = client.get("/").await;
    let set = first.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.starts_with("SHAKETABLELB=") && set.contains("; Max-Age=60;"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let bound = || {
        let mut request = get("/");
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        request
    };
    for _ in 0..6 {
        assert_eq!(client.send(bound()).await.unwrap().body, first.body);
    }
    stage.handle.remove(&ResourceId(first.text()));
    let moved = client.send(bound()).await.unwrap();
    assert_ne!(moved.body, first.body);
    assert_ne!(moved.headers["set-cookie"].to_str().unwrap(), set);
}

#[tokio::test]
async fn a_removed_target_finishes_what_it_has_and_gets_nothing_new() {
    let stage = Stage::with(spec()).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (says_begun, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = target(move |_request| {
        let (says_begun, waits) = (Arc::clone(&says_begun), Arc::clone(&waits));
        async move {
            says_begun.notify_one();
            waits.notified().await;
            Response::new(Full::from("slow"))
        }
    })
    .await;
    stage.add("slow", slow);
    stage.until_healthy(1).await;
    let mut early = stage.client().await;
    let in_flight = tokio::spawn(async move { early.get("/").await });
    begun.notified().await;
    stage.handle.remove(&ResourceId("slow".to_owned()));
    stage.until_targets(|targets| targets[0].state == State::Draining).await;
    stage.add("b", named("b").await);
    stage.until_healthy(1).await;
    assert_eq!(tally(&mut stage.client().await, 4).await, BTreeMap::from([("b".to_owned(), 4)]));
    go_on.notify_one();
    assert_eq!(in_flight.await.unwrap().text(), "slow");
    stage.until_targets(|targets| targets.len() == 1).await;
}

#[tokio::test]
async fn after_the_draining_time_what_is_still_in_flight_is_cut_off_and_repeated_elsewhere() {
    let stage = Stage::with(Balancer { draining: Period::from_millis(50), ..spec() }).await;
    let begun = Arc::new(Notify::new());
    let says_begun = Arc::clone(&begun);
    let never = target(move |_request| {
        says_begun.notify_one();
        std::future::pending()
    });
    stage.add("never", never.await);
    stage.until_healthy(1).await;
    let mut client = stage.client().await;
    let in_flight = tokio::spawn(async move { client.get("/").await });
    begun.notified().await;
    stage.add("b", named("b").await);
    stage.until_healthy(2).await;
    stage.handle.remove(&ResourceId("never".to_owned()));
    assert_eq!(timeout(HANGS, in_flight).await.expect("in time").unwrap().text(), "b");
}

/// Writes `request` and reads until the peer closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    timeout(HANGS, stream.read_to_string(&mut reply)).await.expect("in time").unwrap();
    reply
}

#[tokio::test]
async fn the_target_sees_the_client_and_no_header_of_its_connection() {
    let stage = Stage::with(spec()).await;
    let shows = target(|request| async move {
        let mut lines: Vec<_> =
            request.headers().iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        lines.push(format!("{:?} {}", request.version(), request.uri()));
        Response::builder().header("keep-alive", "timeout=5").body(Full::from(lines.join("\n"))).unwrap()
    });
    stage.add("a", shows.await);
    stage.until_healthy(1).await;
    let reply = raw(
        stage.handle.addresses()[0],
        "GET http://web.lab/a?b HTTP/1.0\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n\r\n",
    )
    .await;
    let (head, seen) = reply.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("keep-alive: timeout"), "{head}");
    let mut seen: Vec<_> = seen.lines().collect();
    seen.sort_unstable();
    let expected =
        ["HTTP/1.1 /a?b", "host=web.lab", "x-forwarded-for=127.0.0.1", "x-forwarded-port=80", "x-forwarded-proto=http"];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn pipelined_requests_heads_chunks_and_expectations_are_understood() {
    let stage = Stage::with(spec()).await;
    stage.add("echo", echo().await);
    stage.until_healthy(1).await;
    let reply = raw(
        stage.handle.addresses()[0],
        "HEAD /1 HTTP/1.1\r\nHost: web.lab\r\n\r\n\
         POST /2 HTTP/1.1\r\nHost: web.lab\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
         POST /3 HTTP/1.1\r\nHost: web.lab\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz",
    )
    .await;
    let bodies: Vec<_> = reply.split("\r\n\r\n").collect();
    assert_eq!(reply.matches("HTTP/1.1 200 OK").count(), 3, "{reply}");
    assert!(bodies[2].starts_with("abcde") && bodies[2].contains("HTTP/1.1"), "{reply}");
    assert_eq!(bodies.last(), Some(&"xyz"), "{reply}");
}

#[tokio::test]
async fn the_connections_to_a_target_are_reused() {
    let stage = Stage::with(spec()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let mut first = true;
                while let Ok(1..) = stream.read(&mut request).await {
                    if first && !request.starts_with(b"GET /health") {
                        counted.fetch_add(1, Relaxed);
                    }
                    first = false;
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                }
            });
        }
    });
    stage.add("a", address);
    stage.until_healthy(1).await;
    let mut client = stage.client().await;
    for _ in 0..50 {
        client.get("/").await;
    }
    // One request at a time needs one connection; another is made if one is asked for before the first is seen ready.
    assert!(connections.load(Relaxed) <= 5, "{connections:?} connections for 50 requests in a row");
}

#[tokio::test]
async fn why_a_target_is_unhealthy_is_said_in_words() {
    let mut rule = spec();
    rule.health_check.path = "/ready".to_owned();
    rule.health_check.timeout = Period::from_millis(30);
    let stage = Stage::with(rule).await;
    stage.add("refuses", nowhere().await);
    stage.add("hangs", target(|_request| std::future::pending()).await);
    stage.add(
        "fails",
        target(|_request| async { Response::builder().status(404).body(Full::default()).unwrap() }).await,
    );
    stage.until_targets(|targets| targets.iter().all(|target| target.state == State::Unhealthy)).await;
    let reasons: Vec<_> = stage.handle.targets().into_iter().map(|target| target.reason).collect();
    let expected =
        ["health check: connection refused", "health check did not answer within 30 ms", "health check answered 404"];
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn stopping_lets_what_is_in_flight_finish_and_leaves_no_listener() {
    let stage = Stage::with(spec()).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (says_begun, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = target(move |_request| {
        let (says_begun, waits) = (Arc::clone(&says_begun), Arc::clone(&waits));
        async move {
            says_begun.notify_one();
            waits.notified().await;
            Response::new(Full::from("slow"))
        }
    });
    stage.add("slow", slow.await);
    stage.until_healthy(1).await;
    let mut client = stage.client().await;
    let in_flight = tokio::spawn(async move { client.get("/").await });
    begun.notified().await;
    let (address, handle) = (stage.handle.addresses()[0], stage.handle.clone());
    let stopping = tokio::spawn(async move { handle.stop().await });
    timeout(HANGS, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("in time");
    go_on.notify_one();
    assert_eq!(in_flight.await.unwrap().text(), "slow");
    timeout(HANGS, stopping).await.expect("in time").unwrap();
}
