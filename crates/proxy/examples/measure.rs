//! Measures what lies between two addresses, one of which this program listens on.
//!
//! - `measure bulk LISTEN CONNECT SECONDS`: as many bytes as go through one connection, from the listening side to the other.
//! - `measure trips LISTEN CONNECT CONNECTIONS ROUNDS`: round trips of 100 bytes, one at a time on each connection.
//!
//! Prints one line of JSON.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Written and read at a time: large enough that calls do not count.
const BLOCK: usize = 256 * 1024;

/// Not counted at the beginning: windows have to grow first.
const WARM_UP: Duration = Duration::from_millis(300);

/// Connections begin at random places of so much time, as they do in life; all at once they would only measure how long this
/// machine takes to wake so many threads.
const SPREAD: Duration = Duration::from_millis(100);

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [what, listen, connect, ..] = words[..] else { return Err("usage: see the source".into()) };
    let listener = TcpListener::bind(listen)?;
    let report = match (what, &words[3..]) {
        ("bulk", [seconds]) => bulk(&listener, connect, Duration::try_from_secs_f64(seconds.parse()?)?)?,
        ("trips", [connections, rounds]) => trips(&listener, connect, connections.parse()?, rounds.parse()?)?,
        _ => return Err("usage: see the source".into()),
    };
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

/// Bytes per second from the listening side to the other.
fn bulk(listener: &TcpListener, connect: &str, time: Duration) -> Outcome<Value> {
    let mut reader = TcpStream::connect(connect)?;
    let (mut writer, _) = listener.accept()?;
    let writing = thread::spawn(move || {
        let block = vec![0; BLOCK];
        while writer.write_all(&block).is_ok() {}
    });
    let mut block = vec![0; BLOCK];
    let begun = Instant::now();
    let (mut counted_from, mut bytes) = (begun, 0);
    while counted_from.elapsed() < time {
        bytes += reader.read(&mut block)?;
        if counted_from == begun && begun.elapsed() >= WARM_UP {
            (counted_from, bytes) = (Instant::now(), 0);
        }
    }
    let rate = bytes as f64 / counted_from.elapsed().as_secs_f64();
    drop(reader);
    writing.join().map_err(|_| "the writer panicked")?;
    Ok(json!({ "bytesPerSecond": rate }))
}

/// Quantiles of round trips.
fn trips(listener: &TcpListener, connect: &str, connections: u32, rounds: u32) -> Outcome<Value> {
    let mut clients = Vec::new();
    for number in 0..connections {
        let mut client = TcpStream::connect(connect)?;
        let (mut server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        thread::spawn(move || {
            let mut message = [0; 100];
            while server.read_exact(&mut message).is_ok() && server.write_all(&message).is_ok() {}
        });
        // The golden ratio: however many there are, no two begin close to each other.
        let place = (f64::from(number) * 0.618_034).fract();
        clients.push(thread::spawn(move || -> Outcome<Vec<f64>> {
            thread::sleep(SPREAD.mul_f64(place));
            let (mut message, mut micros) = ([7; 100], Vec::new());
            for _ in 0..rounds {
                let begin = Instant::now();
                client.write_all(&message)?;
                client.read_exact(&mut message)?;
                micros.push(begin.elapsed().as_secs_f64() * 1e6);
            }
            Ok(micros)
        }));
    }
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().map_err(|_| "a client panicked")??);
    }
    all.sort_by(f64::total_cmp);
    let at = |percent: usize| all[(all.len() * percent / 100).min(all.len() - 1)];
    Ok(json!({ "p50Micros": at(50), "p99Micros": at(99) }))
}
