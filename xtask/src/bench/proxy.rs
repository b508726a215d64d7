//! The proxy, beside the barest relays there are and beside HAProxy: what it costs, how fast it is, and how exact its toxics are.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    Size,
    process::{Running, Server, built, cpu_of, free_address, number, on_path, until_it_listens},
    sheet::{Sheet, note, quantile},
};
use crate::root;

const CONNECTIONS: u32 = 64;

/// A bare epoll relay takes 7.9 us here, HAProxy 10.5, Toxiproxy 22 to 28.
const AT_MOST_CPU_US: f64 = 9.5;
/// Ahead of HAProxy.
const AT_MOST_OF_HAPROXY: f64 = 1.0;
/// Toxiproxy adds 64.
const AT_MOST_ADDED_US: f64 = 30.0;
/// 0.8 of the splice relay's throughput.
const AT_MOST_SLOWER: f64 = 1.25;
/// Toxiproxy is off by 1.08 ms with as many connections.
const AT_MOST_LATE_MS: f64 = 0.2;
const AT_MOST_OFF_PERCENT: f64 = 2.0;
const AT_MOST_REMOVAL_MS: f64 = 100.0;

const LATENCY_MS: f64 = 100.0;
/// 10 Mbit/s, in Toxiproxy's units of 1000 bytes.
const RATE: f64 = 1250.0;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let server = Server::start()?;
    let web = server.url.trim_start_matches("http://").trim_end_matches('/').parse()?;
    let bulk = free_address()?;
    small_requests(size, sheet, web)?;
    let ours = Ours::start(&[("web", web), ("bulk", bulk)])?;
    round_trips(size, sheet, &ours, bulk)?;
    many_bytes(size, sheet, &ours, bulk)?;
    toxics(size, sheet, &ours, bulk)?;
    removals(size, sheet, &ours)
}

/// CPU of the relays' processes and requests per second, in turns.
fn small_requests(size: Size, sheet: &mut Sheet, server: SocketAddr) -> Result<()> {
    let mut ways = vec![Way { name: "direct", address: server, process: None }];
    ways.push(Way::bare("bare relay", "copy", server)?);
    ways.extend(Way::haproxy(server)?);
    let ours = Ours::start(&[("web", server)])?;
    ways.push(Way { name: "ours", address: ours.address("web")?, process: Some(ours.process) });
    let mut results: BTreeMap<&str, Vec<[f64; 4]>> = BTreeMap::new();
    for _ in 0..size.pick(4, 1) {
        for way in &ways {
            let pid = way.process.as_ref().map(Running::pid);
            let cpu = || pid.and_then(cpu_of).unwrap_or_default().as_secs_f64() * 1e6;
            let before = cpu();
            let report = load(way.address, size.pick(4, 1))?.json()?;
            let requests = number(&report, "succeeded")?.max(1.0);
            let (rate, p99) = (number(&report, "perSecond")?, number(&report, "p99Millis")?);
            let cost = (cpu() - before) / requests;
            results.entry(way.name).or_default().push([cost, rate, number(&report, "p50Millis")?, p99]);
        }
    }
    let column = |name: &str, which: usize| results[name].iter().map(|row| row[which]).collect::<Vec<_>>();
    for way in &ways {
        let of = |which| quantile(&column(way.name, which), 0.5);
        if way.process.is_some() {
            let aim = (way.name == "ours").then_some(AT_MOST_CPU_US);
            sheet.figure(&format!("{}, CPU per request", way.name), of(0)?, "us", aim)?;
        }
        sheet.figure(&format!("{}, requests/s of {CONNECTIONS} connections", way.name), of(1)?, "/s", None)?;
        sheet.figure(&format!("{}, median at saturation", way.name), of(2)?, "ms", None)?;
        sheet.figure(&format!("{}, p99 at saturation", way.name), of(3)?, "ms", None)?;
    }
    for way in ways.iter().filter(|way| !["direct", "ours"].contains(&way.name)) {
        let ratios: Vec<f64> =
            column("ours", 0).iter().zip(column(way.name, 0)).map(|(our, their)| our / their).collect();
        let aim = (way.name == "HAProxy").then_some(AT_MOST_OF_HAPROXY);
        sheet.figure(&format!("ours / {}, CPU per request", way.name), quantile(&ratios, 0.5)?, "", aim)?;
    }
    Ok(())
}

/// What a relay adds to a round trip when nothing else happens.
fn round_trips(size: Size, sheet: &mut Sheet, ours: &Ours, upstream: SocketAddr) -> Result<()> {
    let mut ways = vec![Way { name: "direct", address: upstream, process: None }];
    ways.push(Way::bare("bare relay", "copy", upstream)?);
    ways.extend(Way::haproxy(upstream)?);
    ways.push(Way { name: "ours", address: ours.address("bulk")?, process: None });
    let mut results: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for _ in 0..size.pick(5, 1) {
        for way in &ways {
            let report = measure("trips", upstream, way.address, &["1", "5000"])?;
            let both = [number(&report, "p50Micros")?, number(&report, "p99Micros")?];
            results.entry(way.name).or_default().push(both);
        }
    }
    for way in &ways {
        for (which, what) in ["median", "p99"].into_iter().enumerate() {
            let added = results[way.name].iter().zip(&results["direct"]).map(|(through, direct)| {
                if way.name == "direct" { direct[which] } else { through[which] - direct[which] }
            });
            let name = if way.name == "direct" { "round trip, direct" } else { "added to a round trip by" };
            let relay = if way.name == "direct" { "" } else { way.name };
            let aim = (way.name == "ours" && which == 0).then_some(AT_MOST_ADDED_US);
            let value = quantile(&added.collect::<Vec<_>>(), 0.5)?;
            sheet.figure(&format!("{name} {relay}, {what}").replace(" ,", ","), value, "us", aim)?;
        }
    }
    Ok(())
}

/// One connection that carries as much as it can.
fn many_bytes(size: Size, sheet: &mut Sheet, ours: &Ours, upstream: SocketAddr) -> Result<()> {
    let mut ways = vec![Way { name: "direct", address: upstream, process: None }];
    ways.push(Way::bare("splice relay", "splice", upstream)?);
    ways.extend(Way::haproxy(upstream)?);
    ways.push(Way { name: "ours", address: ours.address("bulk")?, process: None });
    let mut results: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..size.pick(7, 1) {
        for way in &ways {
            let report = measure("bulk", upstream, way.address, &["1"])?;
            results.entry(way.name).or_default().push(number(&report, "bytesPerSecond")? * 8e-9);
        }
    }
    for way in &ways {
        sheet.figure(&format!("{}, one stream", way.name), quantile(&results[way.name], 0.5)?, "Gbit/s", None)?;
    }
    let slower: Vec<f64> =
        results["splice relay"].iter().zip(&results["ours"]).map(|(theirs, ours)| theirs / ours).collect();
    sheet.figure("splice relay / ours, one stream", quantile(&slower, 0.5)?, "", Some(AT_MOST_SLOWER))
}

/// How exact toxics are.
fn toxics(size: Size, sheet: &mut Sheet, ours: &Ours, upstream: SocketAddr) -> Result<()> {
    let through = ours.address("bulk")?;
    ours.add("bulk", "latency", &json!({ "latency": LATENCY_MS }))?;
    for connections in [1, CONNECTIONS] {
        let rounds = size.pick(50, 5).to_string();
        let report = measure("trips", upstream, through, &[&connections.to_string(), &rounds])?;
        let late = |key| Ok::<_, anyhow::Error>(number(&report, key)? / 1e3 - LATENCY_MS);
        let aim = (connections > 1).then_some(AT_MOST_LATE_MS);
        let what = format!("{LATENCY_MS} ms of latency, {connections} connection(s)");
        sheet.figure(&format!("{what}, median late by"), late("p50Micros")?, "ms", aim)?;
        sheet.figure(&format!("{what}, p99 late by"), late("p99Micros")?, "ms", None)?;
    }
    ours.remove("bulk", "latency")?;
    ours.add("bulk", "bandwidth", &json!({ "rate": RATE }))?;
    let report = measure("bulk", upstream, through, &[&size.pick(8, 2).to_string()])?;
    ours.remove("bulk", "bandwidth")?;
    let off = (number(&report, "bytesPerSecond")? / (RATE * 1000.0) - 1.0).abs() * 100.0;
    sheet.figure("bandwidth of 10 Mbit/s, off by", off, "%", Some(AT_MOST_OFF_PERCENT))
}

/// How long the API takes to answer when all connections are busy, or stuck.
fn removals(size: Size, sheet: &mut Sheet, ours: &Ours) -> Result<()> {
    let rounds = size.pick(300, 20);
    // Each toxic lets nothing pass, so that every removal finds all connections stuck.
    let mut times = Vec::new();
    let load = load(ours.address("web")?, 3600)?;
    for _ in 0..rounds {
        ours.add("web", "bandwidth", &json!({ "rate": 0 }))?;
        thread::sleep(Duration::from_millis(10));
        let begun = Instant::now();
        ours.remove("web", "bandwidth")?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        thread::sleep(Duration::from_millis(10));
    }
    drop(load);
    sheet.figure("DELETE of a toxic under load, median", quantile(&times, 0.5)?, "ms", None)?;
    sheet.figure("DELETE of a toxic under load, p99", quantile(&times, 0.99)?, "ms", Some(AT_MOST_REMOVAL_MS))
}

/// Saturating load on a server or what lies in front of it.
fn load(address: SocketAddr, seconds: u32) -> Result<Running> {
    let url = format!("http://{address}/");
    let arguments = [&url, &CONNECTIONS.to_string(), &seconds.to_string(), "max"];
    Running::start(Command::new(built("examples/load")?).args(arguments))
}

/// One run of the measuring program, which listens where a relay leads.
fn measure(what: &str, upstream: SocketAddr, through: SocketAddr, how: &[&str]) -> Result<Value> {
    let mut command = Command::new(built("examples/measure")?);
    let mut program = Running::start(command.args([what, &upstream.to_string(), &through.to_string()]).args(how))?;
    let report = program.json()?;
    program.finish()?;
    Ok(report)
}

/// A way to a server.
struct Way {
    name: &'static str,
    address: SocketAddr,
    process: Option<Running>,
}

impl Way {
    fn bare(name: &'static str, how: &str, upstream: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let arguments = [how, &address.to_string(), &upstream.to_string()];
        let process = Running::start(Command::new(built("examples/bare_relay")?).args(arguments))?;
        until_it_listens(address)?;
        Ok(Self { name, address, process: Some(process) })
    }

    /// HAProxy in TCP mode, with as many threads as there are cores, if it is installed.
    fn haproxy(upstream: SocketAddr) -> Result<Option<Self>> {
        let Some(program) = on_path("haproxy") else {
            note("HAProxy is not installed and skipped; to get it: apt-get install haproxy");
            return Ok(None);
        };
        let (address, path) = (free_address()?, root().join("target/bench-haproxy.cfg"));
        let configuration = format!(
            "defaults\n mode tcp\n option splice-auto\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen relay\n bind {address}\n server one {upstream}\n"
        );
        fs::write(&path, configuration).with_context(|| format!("cannot write {}", path.display()))?;
        // It says what it thinks of so short a configuration.
        let process = Running::start(Command::new(program).arg("-f").arg(&path).arg("-q").stderr(Stdio::null()))?;
        until_it_listens(address)?;
        Ok(Some(Self { name: "HAProxy", address, process: Some(process) }))
    }
}

/// Our proxy, and its API.
struct Ours {
    process: Running,
    api: SocketAddr,
}

impl Ours {
    fn start(proxies: &[(&str, SocketAddr)]) -> Result<Self> {
        let api = free_address()?;
        let mut command = Command::new(built("shaketable")?);
        let process = Running::start(command.args(["proxy", "--port", &api.port().to_string()]))?;
        until_it_listens(api)?;
        let ours = Self { process, api };
        for (name, upstream) in proxies {
            let body = json!({ "name": name, "listen": "127.0.0.1:0", "upstream": upstream });
            ours.call("POST", "/proxies", &body)?;
        }
        Ok(ours)
    }

    fn address(&self, proxy: &str) -> Result<SocketAddr> {
        let shown = self.call("GET", &format!("/proxies/{proxy}"), &Value::Null)?;
        shown["listen"].as_str().context("a proxy says where it listens")?.parse().context("it listens at an address")
    }

    /// Adds a toxic, downstream.
    fn add(&self, proxy: &str, kind: &str, attributes: &Value) -> Result<()> {
        let body = json!({ "name": kind, "type": kind, "attributes": attributes });
        self.call("POST", &format!("/proxies/{proxy}/toxics"), &body).map(drop)
    }

    fn remove(&self, proxy: &str, toxic: &str) -> Result<()> {
        self.call("DELETE", &format!("/proxies/{proxy}/toxics/{toxic}"), &Value::Null).map(drop)
    }

    /// One call, on a connection of its own.
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(self.api)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.api,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, content) = answer.split_once("\r\n\r\n").context("the API gave no answer")?;
        if !head.starts_with("HTTP/1.1 2") {
            bail!("{method} {path}: {head}\n{content}");
        }
        Ok(serde_json::from_str(content).unwrap_or(Value::Null))
    }
}
