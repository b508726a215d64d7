//! A lab in one page: brings one up from a few arguments, prints its status as one line of JSON whenever it reads a line, and
//! takes it down at the end of its input. The crate's tests use it as the program of their instances, and as a lab that can be
//! killed or belong to somebody else.
//!
//! ```text
//! cargo run -p shaketable-lab --example stage -- auto 4
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for the terminal")]

mod support;

use std::{
    env,
    error::Error,
    io::{self, BufRead},
    process::ExitCode,
};

use engine::Recorder;
use lab::{Lab, LabOptions, demo_app, prepare, shim};
use model::lab::{DemoApp, Network};
use observe::{Clock, Measurements};

use crate::support::web;

fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let Some(first) = args.next() else {
        return said(&"usage: stage auto|netns|loopback INSTANCES");
    };
    if first == shim::SUBCOMMAND {
        return shim::main(args);
    }
    if first == faults::helper::SUBCOMMAND {
        return faults::helper::main();
    }
    if first == faults::guardian::SUBCOMMAND {
        return faults::guardian::main();
    }
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let outcome = if first == "demo-app" { demo_app(&args) } else { stage(&first.to_string_lossy(), &args) };
    outcome.map_or_else(|error| said(&error), |()| ExitCode::SUCCESS)
}

fn said(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("stage: {error}");
    ExitCode::FAILURE
}

/// The arguments that a lab gives its demo applications, without a downstream.
fn demo_app(args: &[String]) -> Result<(), Box<dyn Error>> {
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name).ok_or_else(|| format!("{name} is missing"))?;
        args.get(at + 1).ok_or_else(|| format!("{name} has no value"))
    };
    let app = DemoApp { work: value("--work")?.parse()?, startup: value("--startup")?.parse()?, ..DemoApp::default() };
    Ok(demo_app::run(demo_app::Options {
        host: value("--host")?.parse()?,
        port: value("--port")?.parse()?,
        id: value("--id")?.clone(),
        zone: value("--zone")?.clone(),
        app,
        hosts: demo_app::Hosts::default(),
    })?)
}

fn stage(network: &str, args: &[String]) -> Result<(), Box<dyn Error>> {
    let network = match network {
        "netns" => Network::Netns,
        "loopback" => Network::Loopback,
        _ => Network::Auto,
    };
    let instances = args.first().map_or(Ok(2), |count| count.parse())?;
    // First thing: an ordinary user needs it done while there is one thread.
    let prepared = prepare(network)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = Clock::start();
        let options =
            LabOptions { seed: 1, recorder: Recorder::new(clock), measurements: Measurements::new(), program: None };
        let lab = Lab::up(&web("stage", instances), &prepared, options).await?;
        eprintln!("stage: up after {}", clock.now());
        for line in io::stdin().lock().lines() {
            line?;
            println!("{}", serde_json::to_string(&lab.status().await)?);
        }
        lab.down().await;
        Ok(())
    })
}
