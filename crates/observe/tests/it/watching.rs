//! Probes and scrapes of small real servers.
//!
//! `tls/` has an authority whose key was thrown away, and the certificate for web.lab that it signed, with a key that is of no
//! use for anything else.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use model::{
    Moment, Period,
    load::{Ask, Probe, Scrape, Series},
    metric::Metric,
};
use observe::{
    Clock, Measurements,
    probe::{ProbeError, Prober},
    scrape::Scraper,
    url::Hosts,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// Longest that any of these tests waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers every connection with what `answer` holds at the time.
async fn serve(answer: watch::Receiver<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.borrow().clone();
            reply(stream, &answer).await;
        }
    });
    address
}

async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    // A client that has gone meanwhile is no concern of the server.
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}

fn response(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn http(url: String) -> Ask {
    Ask::Http { url, status: Vec::new(), body_contains: None, ca_file: None }
}

fn probe(ask: Ask) -> Probe {
    Probe { ask, every: Period::from_millis(10), timeout: Period::from_secs(5) }
}

fn prober(ask: Ask) -> Prober {
    Prober::new("front", &probe(ask), Hosts::new()).unwrap()
}

#[tokio::test]
async fn an_answer_is_good_by_status_and_body() {
    let (answer, answers) = watch::channel(response(200, "all is well"));
    let address = serve(answers).await;
    let url = format!("http://{address}/health");
    let with = |status: &[u16], text: Option<&str>| Ask::Http {
        url: url.clone(),
        status: status.to_vec(),
        body_contains: text.map(str::to_owned),
        ca_file: None,
    };
    assert_eq!(prober(with(&[], None)).ask().await, Ok(()));
    assert_eq!(prober(with(&[200], Some("is well"))).ask().await, Ok(()));
    let bad = prober(with(&[], Some("is ill"))).ask().await.unwrap_err();
    assert!(bad.contains("is ill"), "{bad}");
    answer.send(response(503, "")).unwrap();
    assert_eq!(prober(with(&[], None)).ask().await, Err("status 503 instead of 200 to 299".to_owned()));
    assert_eq!(prober(with(&[200, 204], None)).ask().await, Err("status 503 instead of 200 or 204".to_owned()));
    assert_eq!(prober(with(&[503], None)).ask().await, Ok(()));
    answer.send("nonsense\r\n\r\n".to_owned()).unwrap();
    let bad = prober(with(&[], None)).ask().await.unwrap_err();
    assert!(bad.contains("not an HTTP/1.1 response"), "{bad}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_bad_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut silent = probe(http(format!("http://{}/", listener.local_addr().unwrap())));
    silent.timeout = Period::from_millis(50);
    let answer = Prober::new("silent", &silent, Hosts::new()).unwrap().ask().await;
    assert_eq!(answer, Err("no complete response within 50ms".to_owned()));
}

#[tokio::test]
async fn tcp_and_commands_are_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tcp = |address: String| probe(Ask::Tcp { address });
    let hosts = Hosts::from([("db.lab".to_owned(), IpAddr::from([127, 0, 0, 1]).into())]);
    let by_name = Prober::new("db", &tcp(format!("db.lab:{port}")), hosts).unwrap();
    assert_eq!(by_name.ask().await, Ok(()));
    drop(listener);
    assert!(by_name.ask().await.unwrap_err().contains("refused"));
    for address in ["db.lab", "db.lab:0", ":80", "db.lab:http"] {
        let error = Prober::new("db", &tcp(address.to_owned()), Hosts::new()).unwrap_err();
        assert!(matches!(error, ProbeError::Address { .. }), "{address}");
    }

    let command = |words: &[&str]| Ask::Command { command: words.iter().map(|&word| word.to_owned()).collect() };
    assert_eq!(prober(command(&["true"])).ask().await, Ok(()));
    assert!(prober(command(&["false"])).ask().await.unwrap_err().contains("exit status: 1"));
    let mut slow = probe(command(&["sleep", "1000"]));
    slow.timeout = Period::from_millis(50);
    let answer = Prober::new("slow", &slow, Hosts::new()).unwrap().ask().await;
    assert_eq!(answer, Err("no answer within 50ms".to_owned()));
    assert!(matches!(Prober::new("none", &probe(command(&[])), Hosts::new()), Err(ProbeError::NoCommand)));
}

#[tokio::test]
async fn tls_is_spoken_with_those_whose_authority_is_known() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/tls");
    let certificates = CertificateDer::pem_file_iter(data.join("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(data.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                reply(stream, &response(200, "secret")).await;
            }
        }
    });
    let ask = |host: &str, ca_file: Option<PathBuf>| {
        let ask = Ask::Http {
            url: format!("https://{host}:{port}/"),
            status: Vec::new(),
            body_contains: Some("secret".to_owned()),
            ca_file: ca_file.map(|path| path.display().to_string()),
        };
        let hosts = ["web.lab", "other.lab"].map(|name| (name.to_owned(), IpAddr::from([127, 0, 0, 1]).into()));
        Prober::new("tls", &probe(ask), Hosts::from(hosts))
    };
    let authority = Some(data.join("ca.pem"));
    assert_eq!(ask("web.lab", authority.clone()).unwrap().ask().await, Ok(()));
    let unknown = ask("web.lab", None).unwrap().ask().await.unwrap_err();
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let elsewhere = ask("other.lab", authority).unwrap().ask().await.unwrap_err();
    assert!(elsewhere.contains("not valid for name"), "{elsewhere}");
    assert!(matches!(ask("web.lab", Some(data.join("none.pem"))), Err(ProbeError::Trust(_))));
    assert!(matches!(ask("web.lab", Some(data.join("server.key"))), Err(ProbeError::Trust(_))));
}

/// Waits until a gauge has a level.
async fn wait_for(measurements: &Measurements, metric: &Metric, clock: Clock, wanted: impl Fn(f64) -> bool) {
    let mut changed = measurements.changed();
    let waiting = async {
        while !measurements.read(metric, clock.now(), clock.now()).value().is_some_and(&wanted) {
            changed.changed().await.unwrap();
        }
    };
    let end = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(end.is_ok(), "{metric} within {PATIENCE:?}");
}

#[tokio::test]
async fn a_probe_writes_gauges_and_tells_of_changes() {
    let (answer, answers) = watch::channel(response(200, ""));
    let prober = prober(http(format!("http://{}/", serve(answers).await)));
    let (clock, measurements) = (Clock::start(), Measurements::new());
    let changes: Arc<Mutex<Vec<Result<(), String>>>> = Arc::default();
    let told = Arc::clone(&changes);
    let changed = move |_: Moment, answer| told.lock().unwrap().push(answer);
    let running = tokio::spawn(prober.run(clock, measurements.clone(), changed));
    let success = Metric::of("probe.success", "front");
    wait_for(&measurements, &success, clock, |level| level > 0.5).await;
    answer.send(response(500, "")).unwrap();
    wait_for(&measurements, &success, clock, |level| level < 0.5).await;
    answer.send(response(200, "")).unwrap();
    wait_for(&measurements, &success, clock, |level| level > 0.5).await;
    wait_for(&measurements, &Metric::of("probe.latency", "front"), clock, |seconds| seconds > 0.0).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let bad = Err("status 500 instead of 200 to 299".to_owned());
    assert_eq!(*changes.lock().unwrap(), [Ok(()), bad, Ok(())]);
}

#[tokio::test]
async fn a_scrape_follows_an_endpoint_and_knows_nothing_when_it_is_gone() {
    let (answer, answers) =
        watch::channel(response(200, "# TYPE queue gauge\nqueue{name=\"in\"} 7\nqueue{name=\"out\"} 2\n"));
    let series =
        Series { name: "queue".to_owned(), labels: [("name".to_owned(), "in".to_owned())].into(), rate: false };
    let scrape = Scrape {
        url: format!("http://{}/metrics", serve(answers).await),
        every: Period::from_millis(100),
        metrics: [("queued".to_owned(), series)].into(),
    };
    let (clock, measurements) = (Clock::start(), Measurements::new());
    let changes: Arc<Mutex<Vec<Result<(), String>>>> = Arc::default();
    let told = Arc::clone(&changes);
    let changed = move |_: Moment, read| told.lock().unwrap().push(read);
    let scraper = Scraper::new(&scrape, Hosts::new()).unwrap();
    let running = tokio::spawn(scraper.run(clock, measurements.clone(), changed));
    let queued = Metric::new("scrape.queued");
    wait_for(&measurements, &queued, clock, |level| (level - 7.0).abs() < f64::EPSILON).await;
    answer.send(response(200, "<html>")).unwrap();
    let mut changed = measurements.changed();
    let lost = async {
        while measurements.read(&queued, clock.now(), clock.now()).value().is_some() {
            changed.changed().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(PATIENCE, lost).await.is_ok(), "the level becomes unknown");
    answer.send(response(200, "queue{name=\"in\"} 8\n")).unwrap();
    wait_for(&measurements, &queued, clock, |level| (level - 8.0).abs() < f64::EPSILON).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let changes = changes.lock().unwrap();
    assert_eq!(changes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true], "{changes:?}");
}
