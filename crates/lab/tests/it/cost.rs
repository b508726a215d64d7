//! What a request through the balancer costs. A measurement, not a test: it depends on what else the machine does.
//!
//! `cargo nextest run --release -p shaketable-lab --run-ignored only --no-capture cost`

use std::{
    net::SocketAddr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use engine::Recorder;
use lab::balancer::{self, Listener, Target};
use model::{
    Period,
    lab::{Balancer, HealthCheck},
    resource::ResourceId,
};
use observe::{Clock, Measurements};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Handle};

use crate::client::{Client, named};

const REQUESTS: u32 = 4000;

/// A runtime with one thread of its own, as long as the process lives.
fn runtime() -> Handle {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        sender.send(runtime.handle().clone()).unwrap();
        runtime.block_on(std::future::pending::<()>());
    });
    receiver.recv().unwrap()
}

async fn cpu_time_of(runtime: &Handle) -> Duration {
    runtime.spawn(async { Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap() }).await.unwrap()
}

/// Round trips at a rate, each from the moment it was sent, over one connection.
async fn round_trips(address: SocketAddr, rate: u32) -> Vec<Duration> {
    let mut client = Client::connect(address).await;
    let begin = tokio::time::Instant::now();
    let mut trips = Vec::new();
    for number in 0..REQUESTS {
        tokio::time::sleep_until(begin + Duration::from_secs(1) * number / rate).await;
        let sent = Instant::now();
        client.get("/").await;
        trips.push(sent.elapsed());
    }
    trips.sort_unstable();
    trips
}

#[tokio::test]
#[ignore = "a measurement: run it by hand on a quiet machine"]
async fn of_a_request_through_the_balancer() {
    let (targets, balancing) = (runtime(), runtime());
    let spec = Balancer {
        group: "web".to_owned(),
        port: 80,
        publish: None,
        health_check: HealthCheck::default(),
        sticky: None,
        draining: Period::from_secs(1),
        timeout: Period::from_secs(10),
        retries: 1,
    };
    let handle = balancing
        .spawn(async move {
            let listeners = vec![Listener::Address("127.0.0.1:0".parse().unwrap())];
            let recorder = Recorder::new(Clock::start());
            balancer::start("web", &spec, listeners, recorder, Measurements::new()).await.unwrap()
        })
        .await
        .unwrap();
    let mut direct = None;
    for name in ["a", "b"] {
        let address = targets.spawn(named(name)).await.unwrap();
        handle.add(Target { id: ResourceId(name.to_owned()), address, zone: "local-1a".to_owned() });
        direct = Some(address);
    }
    handle.healthy().wait_for(|healthy| *healthy == 2).await.unwrap();
    let at = |sorted: &[Duration], permille: usize| sorted[sorted.len() * permille / 1000];
    for rate in [200, 1000, 2000] {
        let without = round_trips(direct.unwrap(), rate).await;
        let before = cpu_time_of(&balancing).await;
        let with = round_trips(handle.addresses()[0], rate).await;
        let cpu = (cpu_time_of(&balancing).await - before) / REQUESTS;
        println!(
            "{rate}/s: direct {:?} / {:?}, balanced {:?} / {:?} (median, p99); {cpu:?} CPU per request",
            at(&without, 500),
            at(&without, 990),
            at(&with, 500),
            at(&with, 990)
        );
    }
}
