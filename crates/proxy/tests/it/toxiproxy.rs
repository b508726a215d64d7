//! The API as clients see it, over real sockets.

use std::{future::Future, io::ErrorKind, time::Duration};

use proxy::{
    Workers,
    toxiproxy::{Api, Metrics, Proxies},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Anything on loopback that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(20);

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(HANGS, what).await.expect("it hangs")
}

/// An API that is up.
struct Server {
    address: String,
    _until: DropGuard,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let until = CancellationToken::new();
        let proxies = Proxies::new(Workers::start().unwrap(), 1);
        let api = Api::new(proxies, Metrics { proxies: true, runtime: false });
        tokio::spawn(api.serve(listener, until.clone()));
        Self { address, _until: until.drop_guard() }
    }

    /// Sends bytes on a new connection, and gives back everything that comes.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        in_time(stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// One call: its status and its body.
    async fn text(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let answer = self.raw(format!("{head}{body}").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, text) = self.text(method, path, &body).await;
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    /// Waits until the metrics say so: bytes arrive a moment before they are counted.
    async fn until_counted(&self, row: &str) {
        let counted = async {
            loop {
                let (status, page) = self.text("GET", "/metrics", "").await;
                assert_eq!(status, 200, "{page}");
                if page.contains(row) {
                    return;
                }
            }
        };
        in_time(counted).await;
    }

    /// Creates a proxy, and says where it listens.
    async fn create(&self, proxy: Value) -> String {
        let (status, shown) = self.call("POST", "/proxies", proxy).await;
        assert_eq!(status, 201, "{shown}");
        shown["listen"].as_str().unwrap().to_owned()
    }
}

/// Sends back what it gets.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    address
}

/// A message goes there and comes back.
async fn carries(stream: &mut TcpStream) {
    stream.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    in_time(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
}

/// The connection ends, in order or not, without a byte.
async fn ends(mut stream: TcpStream) {
    match in_time(stream.read(&mut [0])).await {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

/// The connection has ended.
async fn closed(stream: TcpStream) {
    let ended = || stream.try_read(&mut [0]).is_ok_and(|count| count == 0) || stream.take_error().unwrap().is_some();
    in_time(async {
        while !ended() && stream.try_write(&[0]).map_err(|error| error.kind()) != Err(ErrorKind::ConnectionReset) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_proxy_is_created_shown_and_deleted() {
    let (server, upstream) = (Server::start().await, echo().await);
    assert_eq!(server.call("GET", "/proxies", Value::Null).await, (200, json!({})));
    let listen = server.create(json!({ "name": "a", "listen": "localhost:0", "upstream": upstream })).await;
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"), "{listen}");
    let shown = json!({ "name": "a", "listen": listen, "upstream": upstream, "enabled": true, "toxics": [] });
    assert_eq!(server.call("GET", "/proxies/a", Value::Null).await, (200, shown.clone()));
    assert_eq!(server.call("GET", "/proxies", Value::Null).await, (200, json!({ "a": shown })));
    let mut client = TcpStream::connect(&listen).await.unwrap();
    carries(&mut client).await;
    assert_eq!(server.call("DELETE", "/proxies/a", Value::Null).await, (204, Value::Null));
    ends(client).await;
    assert!(TcpStream::connect(&listen).await.is_err());
    let gone = json!({ "error": "proxy not found", "status": 404 });
    assert_eq!(server.call("DELETE", "/proxies/a", Value::Null).await, (404, gone));
}

#[tokio::test]
async fn what_is_wrong_is_answered_as_by_toxiproxy() {
    let (server, upstream) = (Server::start().await, echo().await);
    server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    let again = json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream });
    let latency = json!({ "type": "latency" });
    assert_eq!(server.call("POST", "/proxies/a/toxics", latency.clone()).await.0, 200);
    for (method, path, body, status, error) in [
        ("POST", "/proxies", again, 409, "proxy already exists"),
        ("POST", "/proxies", json!({ "name": "b" }), 400, "missing required field: upstream"),
        ("POST", "/proxies", json!({}), 400, "missing required field: name"),
        ("GET", "/proxies/b", Value::Null, 404, "proxy not found"),
        ("POST", "/proxies/b", json!([]), 404, "proxy not found"),
        (
            "PATCH",
            "/proxies/a",
            json!({ "enabled": 1 }),
            400,
            "bad request body: `enabled` of proxy must be true or false, not 1",
        ),
        ("GET", "/proxies/b/toxics", Value::Null, 404, "proxy not found"),
        ("POST", "/proxies/b/toxics", json!([]), 404, "proxy not found"),
        ("POST", "/proxies/a/toxics", latency, 409, "toxic already exists"),
        ("POST", "/proxies/a/toxics", json!({ "type": "none" }), 400, "invalid toxic type"),
        (
            "POST",
            "/proxies/a/toxics",
            json!({ "type": "latency", "stream": "left" }),
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        ("GET", "/proxies/a/toxics/none", Value::Null, 404, "toxic not found"),
        ("POST", "/proxies/a/toxics/none", json!([]), 404, "toxic not found"),
        ("DELETE", "/proxies/a/toxics/none", Value::Null, 404, "toxic not found"),
    ] {
        let answer = server.call(method, path, body).await;
        assert_eq!(answer, (status, json!({ "error": error, "status": status })), "{method} {path}");
    }
    for (method, path, status) in [("GET", "/nothing", 404), ("PUT", "/proxies", 405), ("OPTIONS", "/proxies", 405)] {
        assert_eq!(server.call(method, path, Value::Null).await.0, status, "{method} {path}");
    }
}

#[tokio::test]
async fn browsers_are_refused() {
    let server = Server::start().await;
    for field in ["User-Agent: Mozilla/5.0 (X11)", "Origin: https://evil.test"] {
        let request = format!("GET /proxies HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{field}\r\n\r\n");
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.to_lowercase().contains("access-control"), "{answer}");
    }
    let request = b"GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: curl/8\r\n\r\n";
    let answer = server.raw(request).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("x-toxiproxy-request-id: "), "{answer}");
    assert!(answer.contains("content-type: application/json;charset=utf-8"), "{answer}");
    assert!(answer.contains("\"version\":\"2."), "{answer}");
}

#[tokio::test]
async fn disabling_drops_connections_and_enabling_takes_the_same_port() {
    let (server, upstream) = (Server::start().await, echo().await);
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    let mut client = TcpStream::connect(&listen).await.unwrap();
    carries(&mut client).await;
    for method in ["POST", "PATCH"] {
        let (status, shown) = server.call(method, "/proxies/a", json!({ "enabled": false })).await;
        assert_eq!((status, &shown["enabled"], shown["listen"].as_str()), (200, &json!(false), Some(&*listen)));
        assert!(TcpStream::connect(&listen).await.is_err());
        let (_, shown) = server.call(method, "/proxies/a", json!({ "enabled": true })).await;
        assert_eq!((&shown["enabled"], shown["listen"].as_str()), (&json!(true), Some(&*listen)));
        carries(&mut TcpStream::connect(&listen).await.unwrap()).await;
    }
    ends(client).await;
}

#[tokio::test]
async fn leading_elsewhere_drops_connections_and_leading_to_the_same_does_not() {
    let (server, upstream, other) = (Server::start().await, echo().await, echo().await);
    let listen = server.create(json!({ "name": "a", "listen": "localhost:0", "upstream": upstream })).await;
    let mut client = TcpStream::connect(&listen).await.unwrap();
    carries(&mut client).await;
    for same in [json!({}), json!({ "listen": listen, "upstream": upstream }), json!({ "listen": "localhost:0" })] {
        assert_eq!(server.call("PATCH", "/proxies/a", same).await.1["listen"], json!(listen));
        carries(&mut client).await;
    }
    let (_, shown) = server.call("PATCH", "/proxies/a", json!({ "upstream": other })).await;
    assert_eq!((&shown["upstream"], &shown["listen"]), (&json!(other), &json!(listen)));
    ends(client).await;
    carries(&mut TcpStream::connect(&listen).await.unwrap()).await;
    // Where it cannot listen, it is as asked for, but off.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
    let elsewhere = taken.local_addr().unwrap().to_string();
    let (status, error) = server.call("PATCH", "/proxies/a", json!({ "listen": elsewhere })).await;
    assert!(status == 500 && error["error"].as_str().unwrap().contains("cannot listen on"), "{error}");
    let (_, shown) = server.call("GET", "/proxies/a", Value::Null).await;
    assert_eq!((&shown["enabled"], &shown["listen"]), (&json!(false), &json!(elsewhere)));
    for wrong in ["nowhere", "127.0.0.1:x", "127.0.0.1:70000"] {
        assert_eq!(
            server.call("PATCH", "/proxies/a", json!({ "listen": wrong, "enabled": true })).await.0,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn populate_leaves_what_is_right_and_replaces_what_is_not() {
    let (server, upstream, other) = (Server::start().await, echo().await, echo().await);
    let list = json!([
        { "name": "a", "listen": "localhost:0", "upstream": upstream },
        { "name": "b", "listen": "127.0.0.1:0", "upstream": upstream, "enabled": false },
    ]);
    let (status, first) = server.call("POST", "/populate", list.clone()).await;
    assert_eq!(status, 201);
    let listen = first["proxies"][0]["listen"].as_str().unwrap();
    let mut client = TcpStream::connect(listen).await.unwrap();
    server.call("POST", "/proxies/a/toxics", json!({ "type": "slicer" })).await;
    carries(&mut client).await;
    // As often as one likes, also with the address it has got.
    let (_, second) = server.call("POST", "/populate", list).await;
    let again = json!([{ "name": "a", "listen": listen, "upstream": upstream }]);
    let (_, third) = server.call("POST", "/populate", again).await;
    for shown in [&second["proxies"][0], &third["proxies"][0]] {
        assert_eq!((&shown["listen"], shown["toxics"].as_array().unwrap().len()), (&json!(listen), 1));
    }
    assert_eq!(second["proxies"][1]["enabled"], false);
    carries(&mut client).await;
    let moved = json!([{ "name": "a", "listen": listen, "upstream": other }]);
    let (status, moved) = server.call("POST", "/populate", moved).await;
    let expected = json!({ "name": "a", "listen": listen, "upstream": other, "enabled": true, "toxics": [] });
    assert_eq!((status, moved), (201, json!({ "proxies": [expected] })));
    ends(client).await;
}

#[tokio::test]
async fn populate_changes_nothing_when_the_list_is_wrong_and_says_what_is_there_when_it_fails() {
    let server = Server::start().await;
    let wrong = json!([{ "name": "a", "listen": "127.0.0.1:0", "upstream": "b:1" }, { "name": "b" }]);
    let (status, error) = server.call("POST", "/populate", wrong).await;
    assert_eq!((status, &error["error"]), (400, &json!("missing required field: upstream at proxy 2")));
    let unknown = json!([
        { "name": "a", "listen": "127.0.0.1:0", "upstream": "b:1" },
        { "name": "b", "listen": "no.such.host.invalid:0", "upstream": "b:1" },
    ]);
    let (status, error) = server.call("POST", "/populate", unknown).await;
    assert!(status == 400 && error["error"].as_str().unwrap().contains("no.such.host.invalid"), "{error}");
    assert_eq!(server.call("GET", "/proxies", Value::Null).await.1, json!({}));
    let list = json!([
        { "name": "a", "listen": "127.0.0.1:0", "upstream": "b:1" },
        { "name": "b", "listen": server.address, "upstream": "b:1" },
    ]);
    let (status, error) = server.call("POST", "/populate", list).await;
    assert_eq!((status, &error["status"], &error["proxies"][0]["name"]), (500, &json!(500), &json!("a")));
    assert_eq!(error["proxies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn toxics_are_listed_upstream_first_and_change_on_live_connections() {
    let (server, upstream) = (Server::start().await, echo().await);
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    let mut client = TcpStream::connect(&listen).await.unwrap();
    carries(&mut client).await;
    let down = json!({ "type": "latency", "attributes": { "latency": 3_600_000 } });
    let (status, shown) = server.call("POST", "/proxies/a/toxics", down).await;
    let expected = json!({ "attributes": { "latency": 3_600_000, "jitter": 0 }, "name": "latency_downstream",
        "type": "latency", "stream": "downstream", "toxicity": 1 });
    assert_eq!((status, &shown), (200, &expected));
    let up = json!({ "type": "slicer", "stream": "upstream", "toxicity": 0.25, "attributes": { "average_size": 2 } });
    let (_, sliced) = server.call("POST", "/proxies/a/toxics", up).await;
    let (_, listed) = server.call("GET", "/proxies/a/toxics", Value::Null).await;
    assert_eq!(listed, json!([sliced, expected]));
    assert_eq!(server.call("GET", "/proxies/a", Value::Null).await.1["toxics"], listed);
    client.write_all(b"hello").await.unwrap();
    let (_, changed) =
        server.call("PATCH", "/proxies/a/toxics/latency_downstream", json!({ "attributes": { "jitter": 1 } })).await;
    assert_eq!(changed["attributes"], json!({ "latency": 3_600_000, "jitter": 1 }));
    let (_, same) = server.call("GET", "/proxies/a/toxics/latency_downstream", Value::Null).await;
    assert_eq!(same, changed);
    assert_eq!(server.call("DELETE", "/proxies/a/toxics/latency_downstream", Value::Null).await, (204, Value::Null));
    let mut got = [0; 5];
    in_time(client.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"hello");
}

#[tokio::test]
async fn a_proxy_can_have_its_toxics_from_the_first_connection_on() {
    let (server, upstream) = (Server::start().await, echo().await);
    let toxics = json!([{ "type": "limit_data", "stream": "upstream", "attributes": { "bytes": 0 } }]);
    let proxy = json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream, "toxics": toxics });
    let listen = server.create(proxy).await;
    let mut client = TcpStream::connect(&listen).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    ends(client).await;
}

#[tokio::test]
async fn reset_takes_everything_away_and_starts_what_is_off() {
    let (server, upstream) = (Server::start().await, echo().await);
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    let off =
        server.create(json!({ "name": "b", "listen": "127.0.0.1:0", "upstream": upstream, "enabled": false })).await;
    assert_eq!(off, "127.0.0.1:0");
    let rule = json!({ "rules": [{ "name": "r", "match": { "path": "*" }, "abort": { "status": 500 } }] });
    assert_eq!(server.call("PUT", "/shaketable/v1/proxies/b/http", rule).await.0, 200);
    server.call("POST", "/proxies/a/toxics", json!({ "type": "timeout" })).await;
    let mut stuck = TcpStream::connect(&listen).await.unwrap();
    stuck.write_all(b"hello").await.unwrap();
    assert_eq!(server.call("POST", "/reset", Value::Null).await, (204, Value::Null));
    let (_, proxies) = server.call("GET", "/proxies", Value::Null).await;
    for name in ["a", "b"] {
        assert_eq!((&proxies[name]["enabled"], &proxies[name]["toxics"]), (&json!(true), &json!([])));
    }
    assert_eq!(server.call("GET", "/shaketable/v1/proxies/b/http", Value::Null).await.1, json!({ "rules": [] }));
    // It may have missed the toxic; then it carries. If it has met it, it has lost bytes, and is closed.
    let mut got = [0; 5];
    match in_time(stuck.read(&mut got)).await {
        Ok(5) => assert_eq!(&got, b"hello"),
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    carries(&mut TcpStream::connect(&listen).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_for_connections_that_are_stuck() {
    let server = Server::start().await;
    // An upstream that reads nothing: what is sent to it stays in the proxy, and then in the client.
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = upstream.local_addr().unwrap().to_string();
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": to })).await;
    let mut ends = Vec::new();
    for _ in 0..32 {
        let client = TcpStream::connect(&listen).await.unwrap();
        let (far, _peer) = in_time(upstream.accept()).await.unwrap();
        let flood = vec![7; 1 << 20];
        while client.try_write(&flood).is_ok() {}
        ends.push((client, far));
    }
    for kind in ["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop"] {
        let attributes = json!({ "bytes": u32::MAX, "timeout": 3_600_000, "delay": 3_600_000 });
        let toxic = json!({ "name": "t", "type": kind, "stream": "upstream", "attributes": attributes });
        let calls = async {
            assert_eq!(server.call("POST", "/proxies/a/toxics", toxic).await.0, 200, "{kind}");
            assert_eq!(server.call("PATCH", "/proxies/a/toxics/t", json!({ "toxicity": 0.5 })).await.0, 200, "{kind}");
            assert_eq!(server.call("GET", "/proxies/a", Value::Null).await.0, 200, "{kind}");
            assert_eq!(server.call("DELETE", "/proxies/a/toxics/t", Value::Null).await.0, 204, "{kind}");
        };
        in_time(calls).await;
    }
    in_time(server.call("POST", "/reset", Value::Null)).await;
    in_time(server.call("PATCH", "/proxies/a", json!({ "enabled": false }))).await;
    for (client, _far) in ends {
        closed(client).await;
    }
    in_time(server.call("DELETE", "/proxies/a", Value::Null)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_at_the_same_time_see_one_order_of_changes() {
    let (server, upstream) = (Server::start().await, echo().await);
    let server = std::sync::Arc::new(server);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..8 {
        let (server, upstream) = (std::sync::Arc::clone(&server), upstream.clone());
        clients.spawn(async move {
            let proxy = json!({ "name": "one", "listen": "127.0.0.1:0", "upstream": upstream });
            let (created, _) = server.call("POST", "/proxies", proxy).await;
            let path = format!("/proxies/one/toxics/{client}");
            for round in 0..10 {
                let toxic = json!({ "name": client.to_string(), "type": "latency" });
                assert_eq!(server.call("POST", "/proxies/one/toxics", toxic).await.0, 200);
                let change = json!({ "attributes": { "latency": round } });
                assert_eq!(server.call("PATCH", &path, change).await.1["attributes"]["latency"], round);
                assert_eq!(server.call("GET", &path, Value::Null).await.1["attributes"]["latency"], round);
                assert_eq!(server.call("DELETE", &path, Value::Null).await.0, 204);
            }
            created
        });
    }
    let mut created: Vec<u16> = in_time(clients.join_all()).await;
    created.sort_unstable();
    assert_eq!(created, [201, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(server.call("GET", "/proxies/one/toxics", Value::Null).await.1, json!([]));
}

#[tokio::test]
async fn what_is_carried_is_counted() {
    let (server, upstream) = (Server::start().await, echo().await);
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    carries(&mut TcpStream::connect(&listen).await.unwrap()).await;
    for (name, direction) in
        [("received", "upstream"), ("sent", "upstream"), ("received", "downstream"), ("sent", "downstream")]
    {
        let row = format!(
            "toxiproxy_proxy_{name}_bytes_total{{direction=\"{direction}\",listener=\"{listen}\",proxy=\"a\",upstream=\"{upstream}\"}} 5\n"
        );
        server.until_counted(&row).await;
    }
    // Off and on, it goes on counting.
    server.call("PATCH", "/proxies/a", json!({ "enabled": false })).await;
    server.call("PATCH", "/proxies/a", json!({ "enabled": true })).await;
    carries(&mut TcpStream::connect(&listen).await.unwrap()).await;
    server.until_counted("} 10\n").await;
}

/// Answers every request with `ok`.
async fn web() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while let Ok(1..) = stream.read(&mut request).await {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The status of `GET /`.
async fn status(stream: &mut TcpStream) -> Result<u16, std::io::Error> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let mut answer = vec![0; 4096];
    let count = in_time(stream.read(&mut answer)).await?;
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    Ok(answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_rules_change_on_live_connections() {
    let (server, upstream) = (Server::start().await, web().await);
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    let mut plain = TcpStream::connect(&listen).await.unwrap();
    assert_eq!(status(&mut plain).await.unwrap(), 200);
    let http = "/shaketable/v1/proxies/a/http";
    assert_eq!(server.call("GET", http, Value::Null).await, (200, json!({ "rules": [] })));
    // With its first rule it is a proxy of HTTP; what went past the rules is dropped.
    let down = json!({ "name": "down", "match": { "path": "*" }, "abort": { "status": 503 } });
    let shown = json!({ "name": "down", "match": { "path": "*" }, "percentage": 100.0, "at": "request", "abort": { "status": 503 } });
    assert_eq!(server.call("POST", http, down.clone()).await, (201, shown));
    assert_eq!(server.call("POST", http, down).await.0, 409);
    ends(plain).await;
    let mut client = TcpStream::connect(&listen).await.unwrap();
    assert_eq!(status(&mut client).await.unwrap(), 503);
    let (_, shown) = server.call("GET", &format!("{http}/down"), Value::Null).await;
    assert_eq!((&shown["done"]["matched"], &shown["done"]["aborted"]), (&json!(1), &json!(1)));
    // From now on the connection stays.
    let teapot = json!({ "match": { "path": "/" }, "response": { "status": 418 } });
    assert_eq!(server.call("PUT", &format!("{http}/down"), teapot.clone()).await.0, 200);
    assert_eq!(status(&mut client).await.unwrap(), 418);
    assert_eq!(server.call("DELETE", &format!("{http}/down"), Value::Null).await, (204, Value::Null));
    assert_eq!(status(&mut client).await.unwrap(), 200);
    assert_eq!(server.call("DELETE", &format!("{http}/down"), Value::Null).await.0, 404);
    let cut = json!({ "rules": [{ "name": "cut", "match": { "path": "*" }, "abort": { "connection": true } }] });
    assert_eq!(server.call("PUT", http, cut).await.0, 200);
    assert_eq!(status(&mut client).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    // Toxics go with rules.
    let toxic = json!({ "type": "limit_data", "stream": "upstream" });
    assert_eq!(server.call("POST", "/proxies/a/toxics", toxic).await.0, 200);
    let mut limited = TcpStream::connect(&listen).await.unwrap();
    limited.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    ends(limited).await;
    assert_eq!(server.call("POST", "/reset", Value::Null).await.0, 204);
    let mut client = TcpStream::connect(&listen).await.unwrap();
    assert_eq!(status(&mut client).await.unwrap(), 200);
    assert_eq!(server.call("DELETE", http, Value::Null).await, (204, Value::Null));
    ends(client).await;
    for (method, path, body, expected) in [
        ("PUT", http, json!({ "rules": [{ "name": "x", "match": {} }] }), 400),
        ("PUT", http, json!({}), 400),
        ("POST", http, teapot, 400),
        ("POST", "/shaketable/v1/proxies/b/http", json!([]), 404),
        ("GET", "/shaketable/v1/proxies/b/http", Value::Null, 404),
        ("GET", "/shaketable/v1/proxies/a/http/none", Value::Null, 404),
    ] {
        assert_eq!(server.call(method, path, body).await.0, expected, "{method} {path}");
    }
    // What was refused has not made it a proxy of HTTP.
    let mut plain = TcpStream::connect(&listen).await.unwrap();
    assert_eq!(status(&mut plain).await.unwrap(), 200);
}

#[tokio::test]
async fn hostile_requests_are_refused_and_others_go_on_being_answered() {
    let server = Server::start().await;
    let deep = "[".repeat(100_000);
    for (body, status) in [(deep, 400), ("{\"name\":\"\u{0}".to_owned(), 400), ("x".repeat((4 << 20) + 1), 413)] {
        assert_eq!(server.text("POST", "/populate", &body).await.0, status);
    }
    for nonsense in [
        &b"\x00\xff\xfe\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /%00%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        let answer = server.raw(nonsense).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.is_empty(), "{answer}");
    }
    assert_eq!(server.call("GET", "/proxies", Value::Null).await, (200, json!({})));
}

/// A measurement, not a test: it depends on what else the machine does.
///
/// `cargo nextest run -p shaketable-proxy --release --run-ignored only --no-capture toxics_under_load`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by hand on a quiet machine"]
async fn deleting_toxics_under_load() {
    let (server, upstream) = (Server::start().await, echo().await);
    let listen = server.create(json!({ "name": "a", "listen": "127.0.0.1:0", "upstream": upstream })).await;
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(&listen).await.unwrap();
        load.spawn(async move {
            let mut message = [7; 1000];
            while stream.write_all(&message).await.is_ok() && stream.read_exact(&mut message).await.is_ok() {}
        });
    }
    let mut times = Vec::new();
    for round in 0..300 {
        let kind = ["latency", "bandwidth", "slicer"][round % 3];
        let attributes = json!({ "latency": 10, "rate": 10, "average_size": 100 });
        let toxic = json!({ "name": "t", "type": kind, "attributes": attributes });
        assert_eq!(server.call("POST", "/proxies/a/toxics", toxic).await.0, 200);
        let begin = std::time::Instant::now();
        assert_eq!(server.call("DELETE", "/proxies/a/toxics/t", Value::Null).await.0, 204);
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    println!(
        "DELETE of a toxic, 64 connections: {:?} median, {:?} p99, {:?} worst",
        times[150], times[297], times[299]
    );
}
