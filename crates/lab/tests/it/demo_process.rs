//! The demo application as a process of its own: this test executable, run again with nothing but one "test" to do.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    str::FromStr,
    time::Duration,
};

use lab::demo_app::{self, HOSTS_ENV, Hosts, Options};
use model::lab::{Breaker, DemoApp, Downstream};
use tokio::{net::TcpStream, time::interval};

use crate::client::nowhere;

const ARGS: &str = "SHAKETABLE_TEST_DEMO_ARGS";

/// Not a test but a process: see [`Demo::start`].
#[test]
#[ignore = "it is what other tests start"]
fn serve() {
    let Ok(args) = std::env::var(ARGS) else { return };
    let hosts = std::env::var(HOSTS_ENV).unwrap().parse().unwrap();
    demo_app::run(parse(&args, hosts)).unwrap();
}

/// Reads back what [`Options::to_args`] writes.
fn parse(args: &str, hosts: Hosts) -> Options {
    fn value<T: FromStr<Err: std::fmt::Debug>>(values: &BTreeMap<&str, &str>, name: &str) -> Option<T> {
        values.get(name).map(|value| value.parse().unwrap())
    }
    let (args, fallback) = match args.strip_suffix(" --fallback") {
        Some(args) => (args, true),
        None => (args, false),
    };
    let args = args.strip_suffix(" --no-timeout").unwrap_or(args);
    let words: Vec<_> = args.split(' ').collect();
    let values: BTreeMap<_, _> =
        words.chunks_exact(2).map(|pair| (pair[0].trim_start_matches("--"), pair[1])).collect();
    let breaker = value(&values, "breaker-failures")
        .map(|failures| Breaker { failures, open_for: value(&values, "breaker-open-for").unwrap() });
    let downstream = value(&values, "downstream").map(|url| Downstream {
        url,
        timeout: value(&values, "timeout"),
        retries: value(&values, "retries").unwrap(),
        breaker,
        fallback,
    });
    Options {
        host: value(&values, "host").unwrap(),
        port: value(&values, "port").unwrap(),
        id: value(&values, "id").unwrap(),
        zone: value(&values, "zone").unwrap(),
        app: DemoApp {
            work: value(&values, "work").unwrap(),
            startup: value(&values, "startup").unwrap(),
            downstream,
            spool: value(&values, "spool"),
        },
        hosts,
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) id: String,
}

impl Demo {
    pub(crate) async fn start(app: DemoApp) -> Self {
        Self::start_among(app, Hosts::default()).await
    }

    /// Starts it among these hosts, and waits until it listens.
    pub(crate) async fn start_among(app: DemoApp, hosts: Hosts) -> Self {
        let address = nowhere().await;
        let id = format!("i-{}", address.port());
        let options = Options {
            host: address.ip(),
            port: address.port(),
            id: id.clone(),
            zone: "local-1a".to_owned(),
            app,
            hosts,
        };
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "demo_process::serve", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ARGS, options.to_args().join(" "))
            .env(HOSTS_ENV, options.hosts.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Asking without a pause would take the CPU it needs to start.
        let mut ticks = interval(Duration::from_millis(2));
        while TcpStream::connect(address).await.is_err() {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "the demo application ended with {ended:?}");
            ticks.tick().await;
        }
        Self { process, address, id }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have been killed by the test already.
        let _killed = self.process.kill();
        self.process.wait().unwrap();
    }
}
