//! Questions asked all the time, whose answers are good or bad.
//!
//! A [`Prober`] asks at its interval and writes two gauges of the probe's name: `probe.success` (1 or 0) and `probe.latency` (how
//! long the answer, or giving up, took). It asks from the network of the runtime it runs on.

use std::{path::Path, process::Stdio, time::Duration};

use model::{
    Moment,
    load::{Ask, Probe},
    metric::Metric,
};
use tokio::{
    net::TcpStream,
    process::Command,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    Clock, Measurements,
    get::{Trust, TrustError, address, get, in_full},
    url::{Hosts, Url, UrlError},
};

/// Shortest interval of a probe: what takes longer to ask than to wait is a load.
const SHORTEST: Duration = Duration::from_millis(10);

/// Why a probe cannot be asked as it is written.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The certificates.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The address.
    #[error("`{address}` is not an address of a TCP port; write host:port, such as db.lab:5432")]
    Address {
        /// As written.
        address: String,
    },
    /// There is no command.
    #[error("the probe's command is empty; give a program and its arguments")]
    NoCommand,
}

/// Asks one probe's question.
#[derive(Debug)]
pub struct Prober {
    name: String,
    question: Question,
    every: Duration,
    timeout: Duration,
    hosts: Hosts,
}

#[derive(Debug)]
enum Question {
    Http { url: Url, status: Vec<u16>, body_contains: Option<String>, trust: Option<Trust> },
    Tcp { host: String, port: u16 },
    Command { program: String, arguments: Vec<String> },
}

impl Prober {
    /// Reads what is to be asked.
    ///
    /// # Errors
    ///
    /// When the URL, the address, the command or the certificate file cannot be used.
    pub fn new(name: impl Into<String>, probe: &Probe, hosts: Hosts) -> Result<Self, ProbeError> {
        let question = match &probe.ask {
            Ask::Http { url, status, body_contains, ca_file } => {
                let url: Url = url.parse()?;
                let trust = if url.tls { Some(Trust::load(ca_file.as_deref().map(Path::new))?) } else { None };
                Question::Http { url, status: status.clone(), body_contains: body_contains.clone(), trust }
            }
            Ask::Tcp { address } => {
                let wrong = || ProbeError::Address { address: address.clone() };
                let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
                let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(wrong)?;
                if host.is_empty() {
                    return Err(wrong());
                }
                Question::Tcp { host: host.to_owned(), port }
            }
            Ask::Command { command } => {
                let (program, arguments) = command.split_first().ok_or(ProbeError::NoCommand)?;
                Question::Command { program: program.clone(), arguments: arguments.to_vec() }
            }
        };
        let (every, timeout) = (probe.every.get().max(SHORTEST), probe.timeout.get());
        Ok(Self { name: name.into(), question, every, timeout, hosts })
    }

    /// Asks until it is dropped, the first time at once. `changed` hears when the answers turn from good to bad (and why)
    /// or from bad to good, and the first answer.
    #[expect(clippy::infinite_loop, reason = "whoever runs it drops it: there is nothing to finish or to undo")]
    pub async fn run(
        self,
        clock: Clock,
        measurements: Measurements,
        mut changed: impl FnMut(Moment, Result<(), String>),
    ) {
        let success = Metric::of("probe.success", &self.name);
        let latency = Metric::of("probe.latency", &self.name);
        let mut ticks = interval(self.every);
        // After an answer that took long the next question is asked at its usual time, not several at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut good = None;
        loop {
            ticks.tick().await;
            let asked = Instant::now();
            let answer = self.ask().await;
            let (took, now) = (asked.elapsed(), clock.now());
            measurements.gauge(&success, now, if answer.is_ok() { 1.0 } else { 0.0 });
            measurements.gauge(&latency, now, took.as_secs_f64());
            if good.replace(answer.is_ok()) != Some(answer.is_ok()) {
                changed(now, answer);
            }
        }
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// What is wrong with the answer, or why there is none.
    pub async fn ask(&self) -> Result<(), String> {
        match &self.question {
            Question::Http { url, status, body_contains, trust } => {
                let answer = get(url, "*/*", &self.hosts, trust.as_ref(), self.timeout).await;
                let answer = answer.map_err(|error| in_full(&error))?;
                check_status(answer.status, status)?;
                match body_contains {
                    Some(text) if !String::from_utf8_lossy(&answer.body).contains(text) => {
                        Err(format!("the body does not contain {text:?}"))
                    }
                    _ => Ok(()),
                }
            }
            Question::Tcp { host, port } => self.within_timeout(self.connect(host, *port)).await,
            Question::Command { program, arguments } => self.within_timeout(run(program, arguments)).await,
        }
    }

    async fn within_timeout(&self, asking: impl Future<Output = Result<(), String>>) -> Result<(), String> {
        let late = |_| Err(format!("no answer within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, asking).await.unwrap_or_else(late)
    }

    async fn connect(&self, host: &str, port: u16) -> Result<(), String> {
        let address = address(host, port, &self.hosts).await.map_err(|error| in_full(&error))?;
        match TcpStream::connect(address).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot connect to {address}: {error}")),
        }
    }
}

fn check_status(status: u16, good: &[u16]) -> Result<(), String> {
    match good {
        [] if (200..=299).contains(&status) => Ok(()),
        [] => Err(format!("status {status} instead of 200 to 299")),
        good if good.contains(&status) => Ok(()),
        good => {
            let good: Vec<String> = good.iter().map(u16::to_string).collect();
            Err(format!("status {status} instead of {}", good.join(" or ")))
        }
    }
}

async fn run(program: &str, arguments: &[String]) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // One that takes too long is not left behind.
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} ended with {status}")) }
}
