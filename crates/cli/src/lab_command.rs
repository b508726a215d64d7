//! `shaketable lab up | status | down`: a lab by hand.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use engine::Recorder;
use lab::{LabOptions, control};
use observe::{Clock, Measurements};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    WRONG,
    args::{Lab, ListFormat, Network},
    check,
    run::any_seed,
    terminal::{self, Style},
};

/// Does what the call says.
pub(crate) fn lab(call: &Lab, style: Style) -> Result<ExitCode> {
    let (Lab::Up { file, .. } | Lab::Status { file, .. } | Lab::Down { file }) = call;
    let Some(spec) = read(file, style)? else { return Ok(ExitCode::from(WRONG)) };
    match call {
        Lab::Up { network, .. } => up(&spec, *network),
        Lab::Status { format, .. } => {
            let status = runtime()?.block_on(control::status(&spec.name))?;
            terminal::out(&match format {
                ListFormat::Text => status.to_string(),
                ListFormat::Json => serde_json::to_string_pretty(&status)? + "\n",
            });
            Ok(ExitCode::SUCCESS)
        }
        Lab::Down { .. } => {
            runtime()?.block_on(control::down(&spec.name))?;
            terminal::out(&format!("Lab {} is down\n", spec.name));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read(file: &Path, style: Style) -> Result<Option<model::lab::Lab>> {
    let name = file.display().to_string();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let read = formats::read_lab(&name, &bytes);
    let usable = check::show(&read.findings, &read.source, style);
    Ok(read.lab.filter(|_| usable))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")
}

fn up(spec: &model::lab::Lab, network: Option<Network>) -> Result<ExitCode> {
    // Before any thread is started: an ordinary user can enter a user namespace only now.
    let prepared = lab::prepare(network.map_or(spec.network, Into::into))?;
    runtime()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let options = LabOptions {
            seed: any_seed(),
            recorder: Recorder::new(Clock::start()),
            measurements: Measurements::default(),
            program: None,
        };
        let lab = lab::Lab::up(spec, &prepared, options).await?;
        let control = control::serve(&lab).await?;
        terminal::out(&format!(
            "{}\nLab {} is up; Ctrl-C or `shaketable lab down` ends it\n",
            lab.status().await,
            spec.name
        ));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = control.down_requested() => {}
        }
        lab.down().await;
        drop(control);
        Ok(ExitCode::SUCCESS)
    })
}
