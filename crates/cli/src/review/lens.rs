//! `shaketable review lens`: what a lens asks, and what is wrong with its rules.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use assess::review::rules::analyse;
use formats::ReadLens;
use model::lens::{Lens, Question};

use crate::{
    check,
    terminal::{self, Style},
};

/// Reads a lens with what an analysis of its rules finds; the built-in one where no file is named.
fn read(file: Option<&Path>) -> Result<ReadLens> {
    let (name, bytes) = match file {
        Some(file) => {
            let name = file.display().to_string();
            let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
            (name, bytes)
        }
        None => ("reliability.json".to_owned(), formats::lens::RELIABILITY.as_bytes().to_vec()),
    };
    Ok(analysed(&name, &bytes))
}

/// Reads a lens with what an analysis of its rules finds.
pub(crate) fn analysed(name: &str, bytes: &[u8]) -> ReadLens {
    let read = formats::read_lens(name, bytes);
    let flaws = analyse(&read.sound);
    read.with_flaws(&flaws)
}

/// The lens to answer; shows what is wrong with it if it cannot be used.
pub(super) fn open(file: Option<&Path>, style: Style) -> Result<Option<Lens>> {
    let read = read(file)?;
    if read.lens.is_none() {
        check::show(&read.findings, &read.source, style);
    }
    Ok(read.lens)
}

/// Prints what a lens asks and what is wrong with it; exports it.
pub(super) fn look(
    file: Option<&Path>,
    export: Option<&Path>,
    as_read: bool,
    json: bool,
    style: Style,
) -> Result<ExitCode> {
    let read = read(file)?;
    if json {
        let findings = formats::render::json(&read.findings, &read.source);
        terminal::out(&(serde_json::to_string_pretty(&findings)? + "\n"));
    } else {
        terminal::out(&formats::render::terminal(&read.findings, &read.source, style.colour));
    }
    let Some(lens) = read.lens else { return super::wrong() };
    if !json {
        terminal::out(&summary(&lens));
    }
    let Some(to) = export else { return Ok(ExitCode::SUCCESS) };
    let text = if as_read {
        formats::lens::print(&lens)
    } else {
        match formats::lens::export(&to.display().to_string(), &lens) {
            Ok(text) => text,
            Err(refused) => {
                let (findings, source) = *refused;
                check::show(&findings, &source, style);
                terminal::err("not exported: AWS would refuse it; --as-read exports it as it was read\n");
                return super::wrong();
            }
        }
    };
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// How much a lens asks, pillar by pillar.
fn summary(lens: &Lens) -> String {
    let count = |questions: usize| format!("{questions} question{}", if questions == 1 { "" } else { "s" });
    let choices = |questions: &[Question]| questions.iter().map(|question| question.choices.len()).sum::<usize>();
    let pillars: String = lens
        .pillars
        .iter()
        .map(|pillar| {
            let questions = &pillar.questions;
            format!("  {}: {}, {} choices\n", pillar.name, count(questions.len()), choices(questions))
        })
        .collect();
    let edition = lens.edition().map(|edition| format!(", edition {edition}")).unwrap_or_default();
    let (questions, all) = (lens.questions().count(), lens.pillars.iter().map(|pillar| choices(&pillar.questions)));
    format!("{}{edition}: {}, {} choices\n{pillars}", lens.name, count(questions), all.sum::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_analysis_finds_nothing_wrong_with_the_built_in_lens() {
        let read = read(None).unwrap();
        assert_eq!(read.findings, []);
        let lens = read.lens.unwrap();
        assert!(summary(&lens).starts_with("Shaketable reliability lens, edition 2026.1: 13 questions, 78 choices\n"));
    }
}
