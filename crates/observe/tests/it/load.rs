//! The load against small real servers.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use model::{
    Moment, Period,
    load::{HttpLoad, HttpRequest},
    metric::Metric,
};
use observe::{
    Clock, Measurements,
    load::{
        ErrorKind, Summary, answered_until as answered,
        http::{DUE_METRIC, LoadError, RunningLoad, Surroundings},
    },
    url::Hosts,
};

/// Longest that any of these tests waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of one thread per connection, which answers each request with what a function returns for its number.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicU64>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` gets the request's head and the server-wide number of the request; an empty answer closes the connection.
    fn start(answer: impl Fn(&str, u64) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, open) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, streams, answer) = (Arc::clone(&connections), Arc::clone(&open), Arc::new(answer));
        let requests = Arc::new(AtomicU64::new(0));
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                // An empty list of open streams that is never filled again is the end: see `drop`.
                let mut open = streams.lock().unwrap();
                if count.fetch_add(1, Ordering::Relaxed) == u64::MAX / 2 {
                    return;
                }
                open.push(stream.try_clone().unwrap());
                drop(open);
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                std::thread::spawn(move || serve(stream, &*answer, &requests));
            }
        });
        Self { address, connections, open, acceptor: Some(acceptor) }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connections.store(u64::MAX / 2, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        self.acceptor.take().map(JoinHandle::join);
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str, u64) -> Vec<u8>, requests: &AtomicU64) {
    let mut buffer = [0_u8; 4096];
    let mut head = String::new();
    while let Ok(length) = stream.read(&mut buffer) {
        head.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if length == 0 {
            return;
        }
        while let Some(end) = head.find("\r\n\r\n") {
            let rest = head.split_off(end + 4);
            let bytes = answer(&head, requests.fetch_add(1, Ordering::Relaxed));
            let closes = head.contains("Connection: close");
            if bytes.is_empty() || stream.write_all(&bytes).is_err() || closes {
                // The list of open streams has a copy of this one: only this closes the connection.
                drop(stream.shutdown(Shutdown::Both));
                return;
            }
            head = rest;
        }
    }
}

fn ok() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
}

fn get(url: String, weight: u32) -> HttpRequest {
    HttpRequest { url, method: "GET".to_owned(), headers: BTreeMap::new(), body: None, weight }
}

fn load(url: String, rate: f64) -> HttpLoad {
    HttpLoad {
        requests: vec![get(url, 1)],
        rate,
        ramp: Vec::new(),
        keep_alive: true,
        timeout: Period::from_secs(10),
        connections: 64,
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        clock: Clock::start(),
        measurements: Measurements::new(),
        hosts: Hosts::new(),
        enter: None,
        seed: 1,
        place: 1,
    }
}

/// Waits until a condition on the measurements holds.
fn wait_until(measurements: &Measurements, what: &str, holds: impl Fn(&Measurements) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut changed = measurements.changed();
    let waiting = async {
        while !holds(measurements) {
            changed.changed().await.unwrap();
        }
    };
    let end = runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
    assert!(end.is_ok(), "{what} within {PATIENCE:?}");
}

fn total(measurements: &Measurements, name: &str) -> u64 {
    measurements.events(&Metric::new(name), Moment::ZERO, Moment::from_secs(3_600)).unwrap_or(0)
}

/// Runs a load until so many requests have come to an end, then drains it.
fn run(load: &HttpLoad, outcomes: u64, surroundings: Surroundings) -> Summary {
    let measurements = surroundings.measurements.clone();
    let running = RunningLoad::start(load, surroundings).unwrap();
    wait_until(&measurements, "outcomes", |all| total(all, "http.success") + total(all, "http.errors") >= outcomes);
    running.drain();
    running.wait().unwrap()
}

#[test]
fn every_request_is_answered_and_counted_once() {
    let server = Server::start(|_, _| ok());
    let around = surroundings();
    let measurements = around.measurements.clone();
    let summary = run(&load(server.url(), 2_000.0), 400, around);
    assert_eq!((summary.failed(), summary.unfinished), (0, 0), "{:?}", summary.examples);
    assert_eq!(summary.sent, summary.succeeded);
    assert_eq!(summary.latency.len(), summary.sent);
    assert_eq!(total(&measurements, "http.success"), summary.succeeded);
    assert_eq!(total(&measurements, "http.requests"), summary.sent);
    let p50 = measurements.read(&Metric::new("http.latency.p50"), Moment::ZERO, Moment::from_secs(3_600));
    assert_eq!(p50.samples(), summary.sent);
}

#[test]
fn responses_of_every_shape_are_understood() {
    let server = Server::start(|_, number| match number % 5 {
        0 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec(),
        1 => [&b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"[..], &vec![b'x'; 200_000]].concat(),
        2 => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        3 => b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let summary = run(&load(server.url(), 500.0), 100, surroundings());
    assert_eq!(summary.failed(), 0, "{:?}", summary.examples);
    assert!(summary.succeeded >= 100);
}

#[test]
fn errors_are_told_apart() {
    let server = Server::start(|_, number| match number % 5 {
        0 => ok(),
        1 => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        2 => b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec(),
        3 => b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        _ => Vec::new(),
    });
    let around = surroundings();
    let measurements = around.measurements.clone();
    let summary = run(&load(server.url(), 500.0), 100, around);
    for kind in [ErrorKind::Status4xx, ErrorKind::Status5xx, ErrorKind::Protocol, ErrorKind::Connect] {
        let errors = summary.errors.get(&kind).copied().unwrap_or(0);
        assert!(errors >= 15, "{kind}: {errors} of {:?}", summary.errors);
        assert_eq!(total(&measurements, kind.metric()), errors, "{kind}");
        assert!(summary.examples.contains_key(&kind), "{kind}");
    }
    assert_eq!(total(&measurements, "http.errors"), summary.failed());
    assert_eq!(summary.sent, summary.succeeded + summary.failed());
}

#[test]
fn refused_connections_are_errors_and_names_come_from_the_given_map() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut around = surroundings();
    around.hosts.insert("web.lab".to_owned(), IpAddr::from([127, 0, 0, 1]).into());
    let summary = run(&load(format!("http://web.lab:{port}/"), 200.0), 20, around);
    assert_eq!(summary.errors.keys().copied().collect::<Vec<_>>(), [ErrorKind::Connect]);
    assert!(summary.examples[&ErrorKind::Connect].contains("refused"), "{:?}", summary.examples);
    assert_eq!(summary.latency.len(), 0, "a refusal says nothing about response times");
}

#[test]
fn silence_is_a_timeout_and_what_finds_no_connection_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // So many that more become due than the two connections can be given up in the meantime.
    let mut load = load(format!("http://{}/", listener.local_addr().unwrap()), 20_000.0);
    load.timeout = Period::from_millis(100);
    load.connections = 2;
    let summary = run(&load, 2_000, surroundings());
    assert_eq!(summary.succeeded, 0);
    assert_eq!(summary.errors.keys().copied().collect::<Vec<_>>(), [ErrorKind::Timeout, ErrorKind::Unsent]);
    assert!(summary.errors[&ErrorKind::Timeout] >= 2, "{:?}", summary.errors);
    assert!(
        summary.latency.min() >= 99_900,
        "each waited the timeout (buckets are 0.1 % wide): {} us",
        summary.latency.min()
    );
    assert_eq!(summary.sent, summary.errors[&ErrorKind::Timeout]);
}

#[test]
fn kept_connections_are_used_again_and_others_are_not() {
    let kept = Server::start(|_, _| ok());
    run(&load(kept.url(), 500.0), 100, surroundings());
    assert!(kept.connections() < 65, "{} connections", kept.connections());

    let closed = Server::start(|head, _| {
        assert!(head.contains("Connection: close\r\n"), "{head}");
        ok()
    });
    let mut load = load(closed.url(), 500.0);
    load.keep_alive = false;
    let summary = run(&load, 100, surroundings());
    assert_eq!(summary.failed(), 0, "{:?}", summary.examples);
    assert_eq!(closed.connections(), summary.sent);
}

#[test]
fn requests_are_weighted_over_several_servers_that_share_the_connections() {
    let often = Server::start(|_, _| ok());
    let rarely = Server::start(|_, _| ok());
    let mut load = load(often.url(), 1_000.0);
    load.requests = vec![get(often.url(), 9), get(rarely.url(), 1)];
    // One connection for two servers: it has to change sides, again and again.
    load.connections = 1;
    let summary = run(&load, 300, surroundings());
    assert_eq!(summary.failed(), 0, "{:?}", summary.examples);
    assert!(rarely.connections() > 1, "{} connections", rarely.connections());
}

#[test]
fn a_frozen_server_is_charged_for_every_request_that_was_due() {
    const RATE: f64 = 1_000.0;
    // Frozen: answers wait until the lock is free.
    let frozen = Arc::new(Mutex::new(()));
    let gate = Arc::clone(&frozen);
    let server = Server::start(move |_, _| {
        drop(gate.lock().unwrap());
        ok()
    });
    let around = surroundings();
    let measurements = around.measurements.clone();
    let running = RunningLoad::start(&load(server.url(), RATE), around).unwrap();
    wait_until(&measurements, "a second of load", |all| total(all, "http.success") >= 1_000);
    let freezing = frozen.lock().unwrap();
    let start = Instant::now();
    // The length of the freeze is measured, not assumed.
    let (sender, never) = std::sync::mpsc::channel::<()>();
    assert!(never.recv_timeout(Duration::from_millis(500)).is_err());
    drop((sender, freezing));
    let length = start.elapsed().as_secs_f64();
    wait_until(&measurements, "another second and a half", |all| total(all, "http.success") >= 3_000);
    running.drain();
    let summary = running.wait().unwrap();

    assert_eq!(summary.failed(), 0, "{:?}", summary.examples);
    // Due at t into the freeze means waiting for length - t: of all requests, rate * (length - x) wait longer than x.
    let all = summary.sent as f64;
    for (name, quantile) in [("p90", 0.90), ("p95", 0.95), ("p99", 0.99)] {
        let truth = length - (1.0 - quantile) * all / RATE;
        let measured = summary.latency.value_at_quantile(quantile) as f64 / 1e6;
        // Waking up and answering the backlog costs a little more, and so does a machine too busy to run the generator.
        let more = 0.1 + 2.0 * summary.late.as_secs_f64();
        assert!(measured >= truth - 0.02 && measured <= truth + more, "{name} is {measured}, the truth {truth}");
    }
    let asked_once = summary.latency.value_at_quantile(1.0 - 65.0 / all) as f64 / 1e6;
    assert!(asked_once > length / 2.0, "not only the 64 requests on the connections are charged: {asked_once}");
}

#[test]
fn a_ramp_sends_the_area_under_it() {
    let server = Server::start(|_, _| ok());
    let mut load = load(server.url(), 0.0);
    load.ramp =
        vec![(Period::from_millis(400), 500.0), (Period::from_millis(200), 500.0), (Period::from_millis(400), 0.0)];
    let around = surroundings();
    let measurements = around.measurements.clone();
    let running = RunningLoad::start(&load, around).unwrap();
    // 100 + 100 + 100; the very last one is due when the rate has reached zero.
    wait_until(&measurements, "all of the ramp", |all| total(all, "http.success") >= 299);
    running.drain();
    let summary = running.wait().unwrap();
    assert!((299..=300).contains(&summary.sent), "{}", summary.sent);
}

#[test]
fn stopping_leaves_what_is_in_flight_out_of_the_count() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let around = surroundings();
    let measurements = around.measurements.clone();
    let running =
        RunningLoad::start(&load(format!("http://{}/", listener.local_addr().unwrap()), 100.0), around).unwrap();
    wait_until(&measurements, "some requests", |all| total(all, "http.requests") >= 5);
    assert!(!running.has_ended());
    running.stop();
    while !running.has_ended() {
        std::thread::yield_now();
    }
    let summary = running.wait().unwrap();
    assert_eq!(summary.unfinished, summary.sent);
    assert_eq!(summary.failed(), 0, "{:?}", summary.errors);
}

/// The moment before when every request of a load has come to an end, in seconds.
fn answered_until(measurements: &Measurements, place: usize, clock: Clock) -> f64 {
    measurements.read(&answered(place), clock.now(), clock.now()).value().unwrap()
}

#[test]
fn a_request_that_hangs_holds_back_the_moment_until_when_all_are_answered() {
    // One request hangs, from when the server is told until it is given up; all others are answered at once.
    let (hang, hung) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(())));
    let holding = hung.lock().unwrap();
    let (hanging, gate) = (Arc::clone(&hang), Arc::clone(&hung));
    let server = Server::start(move |_, _| {
        if hanging.compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            drop(gate.lock().unwrap());
        }
        ok()
    });
    let around = surroundings();
    let (measurements, clock) = (around.measurements.clone(), around.clock);
    let mut load = load(server.url(), 200.0);
    load.timeout = Period::from_secs(1);
    let running = RunningLoad::start(&load, around).unwrap();
    let until = |all: &Measurements| answered_until(all, 1, clock);
    wait_until(&measurements, "some answers", |all| total(all, "http.success") >= 100 && until(all) > 0.3);
    hang.store(1, Ordering::SeqCst);
    wait_until(&measurements, "a request that hangs", |_| hang.load(Ordering::SeqCst) == 2);
    let after = clock.now().as_secs_f64();
    // Whenever it has moved past the request that hangs, that one is counted as an error; not before.
    wait_until(&measurements, "the end of the request that hangs", |all| until(all) > after);
    let levels = measurements.series(&answered(1), Duration::from_secs(1));
    assert!(levels.is_sorted_by_key(|&(_, level)| level), "it never goes back: {levels:?}");
    let (freed, _) = levels.into_iter().find(|(_, level)| *level > after).unwrap();
    let given_up = measurements.events(&Metric::new("http.errors.timeout"), Moment::ZERO, freed);
    assert!(given_up >= Some(1), "what it moves past is counted before");
    drop(holding);
    running.drain();
    running.wait().unwrap();
    assert_eq!(until(&measurements), f64::INFINITY, "nothing is left that could be due");
}

#[test]
fn two_loads_say_apart_what_they_wait_for_and_together_what_was_due() {
    let (server, silent) = (Server::start(|_, _| ok()), TcpListener::bind("127.0.0.1:0").unwrap());
    let around = surroundings();
    let (measurements, clock) = (around.measurements.clone(), around.clock);
    let first = RunningLoad::start(&load(server.url(), 200.0), around.clone()).unwrap();
    let address = format!("http://{}/", silent.local_addr().unwrap());
    let second = RunningLoad::start(&load(address, 200.0), Surroundings { place: 2, ..around }).unwrap();
    // The second's first request is due at once.
    let begun = clock.now().as_secs_f64() + 0.1;
    wait_until(&measurements, "the first load moves on", |all| answered_until(all, 1, clock) > begun);
    assert!(answered_until(&measurements, 2, clock) < begun, "nothing of the second was ever answered");
    first.stop();
    second.stop();
    let all = [first.wait().unwrap(), second.wait().unwrap()];
    let unsent = |one: &Summary| one.errors.get(&ErrorKind::Unsent).copied().unwrap_or(0);
    let due: u64 = all.iter().map(|one| one.sent + unsent(one)).sum();
    assert_eq!(total(&measurements, DUE_METRIC), due, "what is due is sent, or is not sent in time");
}

#[test]
fn the_thread_enters_its_surroundings_first() {
    let mut around = surroundings();
    around.enter = Some(Arc::new(|| Err(std::io::Error::other("no such namespace"))));
    let error = RunningLoad::start(&load("http://127.0.0.1:1/".to_owned(), 1.0), around).unwrap_err();
    assert!(matches!(error, LoadError::Thread(_)), "{error:?}");

    let server = Server::start(|_, _| ok());
    let mut around = surroundings();
    let entered = Arc::new(Mutex::new(None));
    let told = Arc::clone(&entered);
    around.enter = Some(Arc::new(move || {
        *told.lock().unwrap() = std::thread::current().name().map(str::to_owned);
        Ok(())
    }));
    run(&load(server.url(), 100.0), 1, around);
    assert_eq!(entered.lock().unwrap().as_deref(), Some("load"));
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is() {
    let refuse =
        |url: &str, rate: f64| RunningLoad::start(&load(url.to_owned(), rate), surroundings()).unwrap_err().to_string();
    assert!(refuse("https://127.0.0.1/", 1.0).contains("http:// only"));
    assert!(refuse("http://127.0.0.1/", f64::NAN).contains("requests per second"));
    assert!(refuse("http://no-such-host.invalid/", 1.0).contains("no-such-host.invalid"));
}

#[test]
fn a_closed_loop_keeps_every_connection_busy() {
    let server = Server::start(|_, _| ok());
    let around = surroundings();
    let measurements = around.measurements.clone();
    let mut load = load(server.url(), 0.0);
    load.connections = 4;
    let running = RunningLoad::saturate(&load, around).unwrap();
    wait_until(&measurements, "a thousand answers", |all| total(all, "http.success") >= 1_000);
    running.drain();
    let summary = running.wait().unwrap();
    assert_eq!((summary.failed(), server.connections()), (0, 4), "{:?}", summary.examples);
}
