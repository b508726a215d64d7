//! Other load generators: how they are called, and how their answers are read.

use std::{path::PathBuf, process::Command};

use super::process::on_path;

/// Arguments for connections, seconds, and requests per second of all of them.
type Paced = fn(u32, u32, u32) -> Vec<String>;

/// Another load generator.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// How to get it.
    pub(super) get: &'static str,
    /// Its arguments, without the URL, to send as much as it can.
    saturate: fn(connections: u32, seconds: u32) -> Vec<String>,
    /// Its arguments, without the URL, to send at a rate; none when it cannot.
    pub(super) paced: Option<Paced>,
}

/// Those we compare with, where they are installed.
pub(super) const PEERS: &[Peer] = &[
    Peer {
        name: "wrk",
        get: "apt-get install wrk",
        saturate: |connections, seconds| words(&format!("-t1 -c{connections} -d{seconds}s")),
        paced: None,
    },
    Peer {
        name: "oha",
        get: "cargo install oha",
        saturate: |connections, seconds| words(&format!("--no-tui -c {connections} -z {seconds}s")),
        paced: Some(|connections, seconds, rate| words(&format!("--no-tui -c {connections} -z {seconds}s -q {rate}"))),
    },
    Peer {
        name: "hey",
        get: "apt-get install hey",
        saturate: |connections, seconds| words(&format!("-c {connections} -z {seconds}s")),
        // Its rate is one of each connection.
        paced: Some(|connections, seconds, rate| {
            words(&format!("-c {connections} -z {seconds}s -q {}", rate / connections))
        }),
    },
];

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

impl Peer {
    /// Where it is, if it is installed.
    pub(super) fn find(&self) -> Option<PathBuf> {
        on_path(self.name)
    }

    pub(super) fn saturating(&self, program: &PathBuf, connections: u32, seconds: u32, url: &str) -> Command {
        let mut command = Command::new(program);
        command.args((self.saturate)(connections, seconds)).arg(url);
        command
    }
}

/// How many requests were answered: `123456 requests in 4.00s, 5.1MB read` of wrk, `[200] 123456 responses` of oha and hey.
pub(super) fn requests(text: &str) -> Option<u32> {
    text.lines().map(str::trim).find_map(|line| match line.strip_prefix("[200]") {
        Some(rest) => rest.trim().strip_suffix("responses")?.trim().parse().ok(),
        None => line.split_once(" requests in ")?.0.parse().ok(),
    })
}

/// The 99th percentile in milliseconds: `99% in 0.0012 secs` of hey, `99.00% in 1.2345 ms` of oha.
pub(super) fn p99_millis(text: &str) -> Option<f64> {
    let line =
        text.lines().map(str::trim).find(|line| line.starts_with("99% in ") || line.starts_with("99.00% in "))?;
    let mut words = line.split_whitespace().skip(2);
    let value: f64 = words.next()?.parse().ok()?;
    let factor = match words.next()? {
        "sec" | "secs" => 1e3,
        "ms" => 1.0,
        "us" => 1e-3,
        _ => return None,
    };
    Some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_print_is_read() {
        assert_eq!(
            requests("  Thread Stats\n  403214 requests in 4.00s, 15.00MB read\nRequests/sec: 1"),
            Some(403_214)
        );
        assert_eq!(requests("Status code distribution:\n  [200]\t20000 responses\n"), Some(20_000));
        assert_eq!(requests("Status code distribution:\n  [200] 123 responses\n"), Some(123));
        assert_eq!(requests("[503] 5 responses"), None);
        let millis = |text| p99_millis(text).unwrap();
        assert!((millis("  90% in 0.0005 secs\n  99% in 0.0012 secs") - 1.2).abs() < 1e-9);
        assert!((millis("  99.00% in 0.0021 sec") - 2.1).abs() < 1e-9);
        assert!((millis("  99.00% in 1.2345 ms\n  99.90% in 2 ms") - 1.2345).abs() < 1e-9);
        assert_eq!(p99_millis("nothing"), None);
    }
}
