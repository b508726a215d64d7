//! A real load, a real server, and a request that hangs since the fault.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use model::{
    event::What,
    experiment::Windows,
    load::{HttpLoad, HttpRequest, Load},
    period::Period,
    verdict::Verdict,
};
use observe::{
    load::http::{RunningLoad, Surroundings},
    url::Hosts,
};

use crate::simulated::{Behaviour, Simulated, Stage, latency_on_all};

/// Answers every request at once, but the one that comes when it is told to hang. It ends with its clients.
fn server(hang: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let hang = Arc::clone(&hang);
            std::thread::spawn(move || serve(stream.unwrap(), &hang));
        }
    });
    address
}

fn serve(mut stream: TcpStream, hang: &AtomicBool) {
    let mut head = [0; 4096];
    while stream.read(&mut head).is_ok_and(|length| length > 0) {
        // Without an answer nothing more comes, until the client gives up.
        let hangs = hang.swap(false, Ordering::SeqCst);
        if !hangs && stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_request_that_hangs_since_the_fault_counts_although_the_fault_was_over_long_before() {
    let hang = Arc::new(AtomicBool::new(false));
    let url = format!("http://{}/", server(Arc::clone(&hang)));
    let request = HttpRequest { url, method: "GET".to_owned(), headers: BTreeMap::new(), body: None, weight: 1 };
    let load = HttpLoad {
        requests: vec![request],
        rate: 100.0,
        ramp: Vec::new(),
        keep_alive: true,
        // Longer than everything from the injection until the recovery clauses have held for long enough.
        timeout: Period::from_secs(4),
        connections: 16,
    };
    let mut experiment = latency_on_all();
    experiment.load = vec![Load::Http(load.clone())];
    experiment.windows = Windows {
        baseline: Period::from_millis(500),
        fault: Period::from_millis(500),
        recovery: Period::from_secs(30),
        settle: Period::from_millis(500),
    };
    let delay = experiment.actions.get_mut("Delay").unwrap();
    delay.parameters.insert("duration".to_owned(), "PT1S".to_owned());
    let stage = Stage::new(experiment, Simulated::new(2, Behaviour::default()));
    let surroundings = Surroundings {
        clock: stage.recorder.clock(),
        measurements: stage.measurements.clone(),
        hosts: Hosts::new(),
        enter: None,
        seed: 1,
        place: 1,
    };
    let load = RunningLoad::start(&load, surroundings).unwrap();
    let recorder = stage.recorder.clone();
    tokio::spawn(async move {
        Stage::until(recorder, |what| matches!(what, What::Injected { .. })).await;
        hang.store(true, Ordering::SeqCst);
    });
    let record = stage.run(|_| 0).await.record;
    load.stop();
    assert_eq!(record.verdict, Verdict::Red, "{}", record.reason);
    let wanted =
        record.reason.starts_with("http.errors == 0: it was ") && record.reason.contains("in the recovery window");
    assert!(wanted, "{}", record.reason);
}
