//! The demo application as its clients see it.

use std::{net::SocketAddr, time::Duration};

use http::{Request, StatusCode};
use http_body_util::Full;
use lab::demo_app::Hosts;
use model::{
    Period,
    lab::{Breaker, DemoApp, Downstream},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    client::{Client, nowhere, post},
    demo_process::Demo,
};

/// Anything on loopback that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

fn calling(url: &str) -> Downstream {
    Downstream {
        url: url.to_owned(),
        timeout: Some(Period::from_millis(30)),
        retries: 1,
        breaker: None,
        fallback: false,
    }
}

async fn caller(downstream: Downstream, api: SocketAddr) -> (Demo, Client) {
    let mut hosts = Hosts::default();
    hosts.insert("api.lab", api.ip(), Some(api.port()));
    let demo = Demo::start_among(DemoApp { downstream: Some(downstream), ..DemoApp::default() }, hosts).await;
    let client = Client::connect(demo.address).await;
    (demo, client)
}

/// The value of a metric.
async fn metric(client: &mut Client, name: &str) -> Option<u64> {
    let text = client.get("/metrics").await.text();
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().parse().unwrap())
}

async fn attempts(client: &mut Client) -> [Option<u64>; 4] {
    let mut counts = [None; 4];
    for (count, outcome) in counts.iter_mut().zip(["ok", "timeout", "error", "refused"]) {
        *count = metric(client, &format!("demo_downstream_attempts_total{{outcome=\"{outcome}\"}}")).await;
    }
    counts
}

/// An address that accepts connections and never says a word.
async fn blackhole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _peer)) = listener.accept().await {
            held.push(stream);
            assert!(held.len() < 1000, "more callers than any test here has");
        }
    });
    address
}

#[tokio::test]
async fn every_page_answers_as_documented() {
    let demo = Demo::start(DemoApp { work: Period::from_millis(1), ..DemoApp::default() }).await;
    let mut client = Client::connect(demo.address).await;
    let front: Value = serde_json::from_slice(&client.get("/").await.body).unwrap();
    assert_eq!(front, json!({ "instance": demo.id, "zone": "local-1a" }));
    let table = [
        ("/health", 200),
        ("/work?ms=1", 200),
        ("/work?cpu=1", 200),
        ("/work", 400),
        ("/work?ms=1&cpu=1", 400),
        ("/work?ms=-1", 400),
        ("/work?ms=60001", 400),
        ("/nowhere", 404),
    ];
    for (path, status) in table {
        assert_eq!(client.get(path).await.status.as_u16(), status, "{path}");
    }
    let delete = Request::delete("/").header("host", "web.lab").body(Full::default()).unwrap();
    assert_eq!(client.send(delete).await.unwrap().status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(metric(&mut client, "demo_requests_total{page=\"/work\",code=\"400\"}").await, Some(4));
    assert_eq!(metric(&mut client, "demo_requests_in_flight").await, Some(1));
}

#[tokio::test]
async fn health_is_what_it_is_told_to_be_and_bad_while_starting() {
    let demo = Demo::start(DemoApp::default()).await;
    let mut client = Client::connect(demo.address).await;
    for (told, status) in [("true", 503), ("false", 200)] {
        let reply = client.send(post(&format!("/health?fail={told}"), "")).await.unwrap();
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(client.get("/health").await.status.as_u16(), status);
    }
    assert_eq!(client.send(post("/health?fail=maybe", "")).await.unwrap().status, StatusCode::BAD_REQUEST);

    let starting = Demo::start(DemoApp { startup: Period::from_secs(3600), ..DemoApp::default() }).await;
    let reply = Client::connect(starting.address).await.get("/health").await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (503, "starting\n"));
}

#[tokio::test]
async fn the_answer_of_the_downstream_is_part_of_its_own() {
    let api = Demo::start(DemoApp::default()).await;
    let (_web, mut client) = caller(calling("http://api.lab/"), api.address).await;
    let front: Value = serde_json::from_slice(&client.get("/").await.body).unwrap();
    assert_eq!(front["downstream"], json!({ "outcome": "ok", "said": { "instance": api.id, "zone": "local-1a" } }));
    assert_eq!(attempts(&mut client).await, [Some(1), Some(0), Some(0), Some(0)]);
}

#[tokio::test]
async fn a_failed_call_is_503_unless_there_is_a_fallback() {
    let api = nowhere().await;
    let (_web, mut client) = caller(calling("http://api.lab/"), api).await;
    assert_eq!(client.get("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(attempts(&mut client).await, [Some(0), Some(0), Some(2), Some(0)]);

    let (_web, mut client) = caller(Downstream { fallback: true, ..calling("http://api.lab/") }, api).await;
    let reply = client.get("/").await;
    let front: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &front["downstream"]["outcome"]), (StatusCode::OK, &json!("fallback")));
    assert_eq!(front["downstream"].get("saidBefore"), None, "it never said anything");
}

#[tokio::test]
async fn the_fallback_is_the_last_good_answer() {
    let mut api = Demo::start(DemoApp::default()).await;
    let (_web, mut client) = caller(Downstream { fallback: true, ..calling("http://api.lab/") }, api.address).await;
    assert_eq!(client.get("/").await.status, StatusCode::OK);
    api.process.kill().unwrap();
    api.process.wait().unwrap();
    let reply = client.get("/").await;
    let front: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &front["downstream"]["outcome"]), (StatusCode::OK, &json!("fallback")));
    assert_eq!(front["downstream"]["saidBefore"], json!({ "instance": api.id, "zone": "local-1a" }));
    assert_eq!(metric(&mut client, "patterns_fallbacks_total{pipeline=\"downstream\",served=\"true\"}").await, Some(1));
}

#[tokio::test]
async fn without_a_time_limit_it_waits_as_long_as_its_client() {
    let api = blackhole().await;
    let (_web, mut client) = caller(Downstream { timeout: None, retries: 0, ..calling("http://api.lab/") }, api).await;
    let mut other = Client::connect(_web.address).await;
    let waiting = client.get("/");
    tokio::pin!(waiting);
    let sent = async { while metric(&mut other, "demo_downstream_requests_total").await != Some(1) {} };
    tokio::select! {
        reply = &mut waiting => panic!("it answered {}", reply.status),
        sent = timeout(HANGS, sent) => sent.expect("in time"),
    }
}

#[tokio::test]
async fn a_breaker_spares_callers_the_wait_for_a_blackholed_downstream() {
    let api = blackhole().await;
    let plain = calling("http://api.lab/");
    let (_web, mut without) = caller(plain.clone(), api).await;
    let breaker = Breaker { failures: 2, open_for: Period::from_secs(3600) };
    let (_web2, mut with) = caller(Downstream { breaker: Some(breaker), ..plain }, api).await;
    for client in [&mut without, &mut with] {
        for _ in 0..5 {
            assert_eq!(client.get("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
        }
    }
    // Five requests with two attempts each, all of which wait; with the breaker only those of the first do.
    assert_eq!(attempts(&mut without).await, [Some(0), Some(10), Some(0), Some(0)]);
    assert_eq!(attempts(&mut with).await, [Some(0), Some(2), Some(0), Some(4)]);
    assert_eq!(metric(&mut without, "demo_breaker_state").await, None);
    assert_eq!(metric(&mut with, "demo_breaker_state").await, Some(1));
}

#[tokio::test]
async fn a_breaker_closes_again_when_the_downstream_is_back() {
    let address = nowhere().await;
    let breaker = Breaker { failures: 1, open_for: Period::from_millis(20) };
    let downstream = Downstream { breaker: Some(breaker), retries: 0, ..calling("http://api.lab/") };
    let (_web, mut client) = caller(downstream, address).await;
    assert_eq!(client.get("/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let api = Demo::start(DemoApp::default()).await;
    let front = async {
        // The api came up elsewhere: a link of sockets brings callers there.
        let listener = TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut from, _peer)) = listener.accept().await {
                let mut to = TcpStream::connect(api.address).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut from, &mut to).await });
            }
        });
        while client.get("/").await.status != StatusCode::OK {}
        client
    };
    let mut client = timeout(HANGS, front).await.expect("in time");
    assert_eq!(metric(&mut client, "demo_breaker_state").await, Some(0));
}

#[tokio::test]
async fn sigterm_lets_it_finish_what_is_in_flight_and_ends_it_in_order() {
    let mut demo = Demo::start(DemoApp::default()).await;
    let mut working = Client::connect(demo.address).await;
    let work = tokio::spawn(async move { working.get("/work?ms=200").await });
    let mut watching = Client::connect(demo.address).await;
    // The work and the question itself.
    while metric(&mut watching, "demo_requests_in_flight").await != Some(2) {}
    kill_process(Pid::from_child(&demo.process), Signal::TERM).unwrap();
    assert_eq!(timeout(HANGS, work).await.expect("in time").unwrap().status, StatusCode::OK);
    let status = tokio::task::spawn_blocking(move || demo.process.wait().map(|status| (status, demo))).await.unwrap();
    let (status, demo) = status.unwrap();
    assert!(status.success(), "{status:?}");
    assert!(TcpStream::connect(demo.address).await.is_err());
}
