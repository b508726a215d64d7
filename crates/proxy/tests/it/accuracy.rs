//! How exact delays are. A measurement, not a test: it depends on what else the machine does.
//!
//! `cargo nextest run -p shaketable-proxy --run-ignored only --no-capture accuracy`

use std::time::{Duration, Instant};

use proxy::{Faults, Impairment, Link, Statistics};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const DELAY: Duration = Duration::from_millis(100);
const ROUNDS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by hand on a quiet machine"]
async fn round_trips_with_a_delay_of_100_ms() {
    for connections in [1, 16, 64] {
        let (mut without, _) = round_trips(connections, Faults::default()).await;
        let impairment = Impairment { delay: DELAY, ..Impairment::default() };
        let (mut with, measured) = round_trips(connections, Faults { forward: impairment, ..Faults::default() }).await;
        without.sort_unstable();
        with.sort_unstable();
        let at = |sorted: &[Duration], percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
        println!(
            "{connections} connections: without {:?} / {:?}, with delay {:?} / {:?} (median, p99)",
            at(&without, 50),
            at(&without, 99),
            at(&with, 50),
            at(&with, 99)
        );
        println!("{connections} connections: {:?}", measured.forward);
    }
}

async fn round_trips(connections: usize, faults: Faults) -> (Vec<Duration>, Statistics) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut message = [0; 100];
                while stream.read_exact(&mut message).await.is_ok() && stream.write_all(&message).await.is_ok() {}
            });
        }
    });
    let link = Link::start("127.0.0.1:0".parse().unwrap(), target, 1).await.unwrap();
    link.set(faults);
    let (report, mut reports) = mpsc::unbounded_channel();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        let report = report.clone();
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            let mut message = [7; 100];
            for round in 0..=ROUNDS {
                let begin = Instant::now();
                stream.write_all(&message).await.unwrap();
                stream.read_exact(&mut message).await.unwrap();
                // The first pays for the handshake.
                if round > 0 {
                    report.send(begin.elapsed()).unwrap();
                }
            }
        });
    }
    drop(report);
    let mut all = Vec::new();
    while let Some(one) = reports.recv().await {
        all.push(one);
    }
    (all, link.statistics())
}
