//! The `shaketable` binary.
//!
//! `main` is small on purpose: it decides, while the process has one thread, what the machine allows a lab (see
//! [`lab::prepare()`]), and hands over to one file per command.

mod actions;
mod args;
mod availability;
mod check;
mod cost;
mod docs;
mod doctor;
mod examples;
mod explain;
mod history;
mod install_recovery;
mod lab_command;
mod live;
mod maturity;
mod page;
mod paper;
mod patterns;
mod proxy;
mod review;
mod run;
mod status;
mod terminal;
mod undo;

use std::{ffi::OsStr, process::ExitCode};

use anyhow::Result;
use clap::{CommandFactory, Parser};

use crate::{
    args::{Command, DemoApp, Proxy, Shaketable},
    terminal::Style,
};

/// The exit code when the document or the call is wrong.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    // The processes that we start ourselves know what they are called by; a lab has dozens, and they stay small.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(OsStr::to_str) {
        Some(lab::shim::SUBCOMMAND) => return lab::shim::main(arguments),
        Some(faults::helper::SUBCOMMAND) => return faults::helper::main(),
        Some(faults::guardian::SUBCOMMAND) => return faults::guardian::main(),
        Some(run::TIE) => return run::become_tied(arguments),
        _ => {}
    }
    let call = Shaketable::parse_from(args::with_two_dashes(std::env::args_os()));
    let style = Style::of(call.color);
    listen_to_ourselves(level(&call), style);
    match obey(call.command, style) {
        Ok(code) => code,
        Err(error) => {
            terminal::err(&format!("shaketable: {error:#}\n"));
            ExitCode::from(WRONG)
        }
    }
}

fn obey(command: Command, style: Style) -> Result<ExitCode> {
    match command {
        Command::Run(call) => run::run(&call, style),
        Command::Check(call) => check::check(&call, style),
        Command::Explain(call) => explain::explain(&call),
        Command::Actions(call) => {
            terminal::out(&actions::actions(&call)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor(call) => doctor::doctor(&call, style),
        Command::Status(call) => status::status(&call, style),
        Command::Undo(call) => undo::undo(&call),
        Command::InstallRecovery(call) => install_recovery::install_recovery(&call),
        Command::Lab(call) => lab_command::lab(&call, style),
        Command::Proxy(call) => proxy::proxy(&call),
        Command::DemoApp(call) => demo_app(call),
        Command::Review(call) => review::review(&call, style),
        Command::Patterns(call) => patterns::patterns(&call, style),
        Command::Cost(call) => cost::cost(&call, style),
        Command::Maturity(call) => maturity::maturity(&call, style),
        Command::History(call) => history::history(&call, style),
        Command::Availability(call) => availability::availability(&call, style),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Shaketable::command(), "shaketable", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(Shaketable::command()).render(&mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Docs { into, root } => {
            docs::write(&into, &root)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// How much is said: warnings always, more when asked.
fn level(call: &Shaketable) -> &'static str {
    match (&call.command, call.verbose) {
        (Command::Proxy(Proxy { log_level: Some(level), .. }), 0) => level.filter(),
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    }
}

/// Diagnostics of our own go to standard error; `RUST_LOG` says in detail which.
fn listen_to_ourselves(level: &str, style: Style) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(style.colour).init();
}

fn demo_app(call: DemoApp) -> Result<ExitCode> {
    let hosts = std::env::var(lab::demo_app::HOSTS_ENV).unwrap_or_default().parse()?;
    lab::demo_app::run(call.options(hosts))?;
    Ok(ExitCode::SUCCESS)
}
