//! CPU time per request of the load generator at saturation, in turns with its peers.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{
    Size,
    peer::{self, PEERS, Peer},
    process::{Server, built, number, run_and_weigh},
    sheet::{Sheet, note, quantile},
};

const CONNECTIONS: u32 = 64;
/// A bare loop takes 8.5 us here, wrk 10.8, oha 15.8; ours shall be ahead of oha, at 13 or less: wherever wrk takes longer or
/// shorter, that is 1.2 times as much.
const AT_MOST_US: f64 = 13.0;
const AT_MOST_OF_WRK: f64 = 1.2;

pub(super) fn run(size: Size, sheet: &mut Sheet) -> Result<()> {
    let (rounds, seconds) = (size.pick(4, 1), size.pick(4, 1));
    let peers: Vec<(&Peer, PathBuf)> = PEERS.iter().filter_map(|peer| Some((peer, peer.find()?))).collect();
    for peer in PEERS.iter().filter(|peer| peer.find().is_none()) {
        note(&format!("{} is not installed and skipped; to get it: {}", peer.name, peer.get));
    }
    let server = Server::start()?;
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); peers.len()];
    // In turns, so that whatever else the machine does meets all alike.
    for _ in 0..rounds {
        let (connections, time) = (CONNECTIONS.to_string(), seconds.to_string());
        let (text, cpu) =
            run_and_weigh(Command::new(built("examples/load")?).args([&server.url, &connections, &time, "max"]))?;
        let report = serde_json::from_str(&text).context("the load generator printed no JSON")?;
        ours.push(per_request(cpu, number(&report, "succeeded")?));
        for ((peer, program), costs) in peers.iter().zip(&mut theirs) {
            let (text, cpu) = run_and_weigh(&mut peer.saturating(program, CONNECTIONS, seconds, &server.url))?;
            let requests = peer::requests(&text).with_context(|| format!("{} printed {text}", peer.name))?;
            costs.push(per_request(cpu, f64::from(requests)));
        }
    }
    sheet.figure("ours, CPU per request", quantile(&ours, 0.5)?, "us", Some(AT_MOST_US))?;
    for ((peer, _), costs) in peers.iter().zip(&theirs) {
        sheet.figure(&format!("{}, CPU per request", peer.name), quantile(costs, 0.5)?, "us", None)?;
        let ratios: Vec<f64> = ours.iter().zip(costs).map(|(our, their)| our / their).collect();
        let aim = (peer.name == "wrk").then_some(AT_MOST_OF_WRK);
        sheet.figure(&format!("ours / {}", peer.name), quantile(&ratios, 0.5)?, "", aim)?;
    }
    Ok(())
}

/// Microseconds.
fn per_request(cpu: Duration, requests: f64) -> f64 {
    cpu.as_secs_f64() * 1e6 / requests.max(1.0)
}
