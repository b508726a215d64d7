//! Measurements, run by hand: `cargo test --release -p shaketable-faults --test it measure -- --ignored --nocapture --test-threads=1`.
//! They print and judge nothing, for what a machine can do depends on what else it does.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Mutex,
    time::{Duration, Instant},
};

use faults::sys::cpu_clock;
use model::event::InjectionId;

use crate::harness::{FIRST, INSTANCE, LEASE, World, parameters};

fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some hundred times"
    )]
    let rank = (times.len() as f64 * share) as usize;
    times[rank.min(times.len() - 1)]
}

#[test]
#[ignore = "a measurement"]
fn latency_of_100_ms() {
    let world = World::new();
    let mut usual: Vec<Duration> = (0..200).map(|_| world.round_trip()).collect();
    let host = world.host();
    let started = Instant::now();
    let proof = host
        .inject(FIRST, "network:latency", &parameters([("delayMilliseconds", "100")]), &world.object, LEASE)
        .unwrap();
    println!("injected and proven in {:?}: {}", started.elapsed(), proof.achieved);
    let mut times: Vec<Duration> = (0..100).map(|_| world.round_trip()).collect();
    let usual = quantile(&mut usual, 0.5);
    let mut error = |share| quantile(&mut times, share).saturating_sub(usual).as_secs_f64() * 1e3 - 100.0;
    println!("usual {usual:?}; error of the median {:.3} ms, p99 {:.3} ms", error(0.5), error(0.99));
    println!("{}", host.undo(FIRST).unwrap().proof.unwrap().achieved);
}

#[test]
#[ignore = "a measurement"]
fn cpu_stress_of_50_percent() {
    let world = World::new();
    let host = world.host();
    let proof = host.inject(FIRST, "cpu:stress", &parameters([("percent", "50")]), &world.object, LEASE).unwrap();
    println!("{}: {}", proof.configured, proof.achieved);
    std::thread::sleep(Duration::from_secs(5));
    println!("{}", host.undo(FIRST).unwrap().proof.unwrap().achieved);
    println!("this process used {:?}", cpu_clock::of_process(i32::try_from(std::process::id()).unwrap()).unwrap());
}

#[test]
#[ignore = "a measurement"]
fn undo_of_20_faults() {
    let worlds: Vec<World> = (0..20).map(|_| World::new()).collect();
    let host = worlds[0].host();
    let faults = ["network:latency", "network:loss", "network:blackhole", "process:pause", "cpu:stress"];
    let mut times = Vec::new();
    for round in 0..30u32 {
        std::thread::scope(|scope| {
            for (number, world) in (0..).zip(&worlds) {
                let host = &host;
                let fault = faults[number as usize % faults.len()];
                scope.spawn(move || {
                    let given = if fault == "cpu:stress" {
                        parameters([("percent", "1"), ("workers", "1")])
                    } else {
                        parameters([])
                    };
                    host.inject(InjectionId(round * 20 + number), fault, &given, &world.object, LEASE).unwrap();
                });
            }
        });
        let started = Instant::now();
        let each = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for number in 0..20 {
                let (host, each) = (&host, &each);
                scope.spawn(move || {
                    let begun = Instant::now();
                    host.undo(InjectionId(round * 20 + number)).unwrap();
                    each.lock().unwrap().push((faults[number as usize % faults.len()], begun.elapsed()));
                });
            }
        });
        times.push(started.elapsed());
        if round == 0 {
            println!("{:?}", each.lock().unwrap());
        }
    }
    println!("20 undone: median {:?}, worst {:?}", quantile(&mut times, 0.5), quantile(&mut times, 1.0));
}

#[test]
#[ignore = "a measurement"]
fn throughput_under_latency() {
    let world = World::new();
    let host = world.host();
    for delay in ["1", "5", "20"] {
        let listener = world.instance.run(|| TcpListener::bind((INSTANCE, 5201))).unwrap();
        host.inject(FIRST, "network:latency", &parameters([("delayMilliseconds", delay)]), &world.object, LEASE)
            .unwrap();
        let mut from = world.router.run(|| TcpStream::connect((INSTANCE, 5201))).unwrap();
        let (mut to, _) = listener.accept().unwrap();
        let sender = std::thread::spawn(move || {
            let block = vec![0; 1 << 16];
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end && from.write_all(&block).is_ok() {}
        });
        let (mut block, mut bytes, started) = (vec![0; 1 << 16], 0u64, Instant::now());
        while let Ok(length @ 1..) = to.read(&mut block) {
            bytes += length as u64;
        }
        sender.join().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
        let rate = bytes as f64 * 8.0 / started.elapsed().as_secs_f64() / 1e6;
        println!("{delay} ms: {rate:.0} Mbit/s; {}", host.undo(FIRST).unwrap().proof.unwrap().achieved);
    }
}
