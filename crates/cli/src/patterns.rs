//! `shaketable patterns`: what pipelines do to the load on a dependency, and whether their documents are right.

use std::{fs, path::Path, process::ExitCode};

use ::patterns::simulate::{Simulation, svg, text};
use anyhow::{Context, Result, bail};

use crate::{
    args::{Patterns, Simulate},
    terminal::{self, Style},
};

/// Obeys one of its commands.
pub(crate) fn patterns(call: &Patterns, style: Style) -> Result<ExitCode> {
    match call {
        Patterns::Simulate(call) => simulate(call, style),
        Patterns::Schema { simulation } => {
            let schema =
                if *simulation { Simulation::json_schema() } else { ::patterns::registry::Document::json_schema() };
            terminal::out(&schema);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn simulate(call: &Simulate, style: Style) -> Result<ExitCode> {
    let name = call.file.display();
    let text = read(&call.file)?;
    let mut simulation = match Simulation::from_yaml(&text) {
        Ok(simulation) => simulation,
        Err(problems) => {
            let lines: String = problems.iter().map(|problem| format!("{name}: {problem}\n")).collect();
            terminal::err(&lines);
            bail!("{name} was not simulated");
        }
    };
    if let Some(seed) = call.seed {
        simulation.scenario.seed = seed;
    }
    let report = simulation.run().with_context(|| format!("{name} was not simulated to its end"))?;
    if let Some(file) = &call.svg {
        fs::write(file, svg::render(&report)).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if call.json {
        terminal::out(&(serde_json::to_string_pretty(&report)? + "\n"));
    } else {
        terminal::out(&text::render(&report, style.width));
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of a file, or of standard input for `-`.
fn read(file: &Path) -> Result<String> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin().lock()).context("cannot read standard input");
    }
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
