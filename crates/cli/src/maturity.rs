//! `shaketable maturity`: how far a team has come with experiments.

mod html;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use assess::{
    history::{Comparison, USUAL_CONFIDENCE},
    maturity::{CheckState, Phase, Reached, Report, State, assess},
};
use engine::report::columns::{Cell, Paint};
use formats::{
    incidents::{Given, read_history},
    suite::read_suite,
};
use jiff::Timestamp;
use model::{suite::RunRecord, verdict::Verdict};
use serde_json::Value;

use crate::{
    args::Maturity,
    page::Page,
    terminal::{self, Style},
};

/// Deepest folder within the one that is named in which records are sought: reports keep them two folders down.
const DEEPEST: usize = 6;

/// Reads a suite, records and incidents, computes and prints.
pub(crate) fn maturity(call: &Maturity, style: Style) -> Result<ExitCode> {
    let name = call.suite.display().to_string();
    let bytes = fs::read(&call.suite).with_context(|| format!("cannot read {name}"))?;
    let read = read_suite(&name, &bytes);
    terminal::err(&formats::render::terminal(&read.findings, &read.source, style.colour));
    let Some(suite) = read.suite else { bail!("{name} has errors; nothing was computed") };
    let mut records = Vec::new();
    for folder in &call.records {
        collect(folder, DEEPEST, &mut records)?;
    }
    let incidents = call.history.as_deref().map(|file| comparison(file, style)).transpose()?;
    let report = assess(&suite, &records, incidents.as_ref(), Timestamp::now());
    if let Some(page) = &call.html {
        fs::write(page, html::page(&name, &report)).with_context(|| format!("cannot write {}", page.display()))?;
    }
    if call.json {
        terminal::out(&(serde_json::to_string_pretty(&report)? + "\n"));
    } else {
        terminal::out(&page(&report, style));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads every `report.json` in a folder. What is called so and is none is told, and passed over.
fn collect(folder: &Path, deepest: usize, records: &mut Vec<RunRecord>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            if deepest > 0 {
                collect(&path, deepest - 1, records)?;
            }
        } else if path.file_name().is_some_and(|name| name == "report.json") {
            match fs::read_to_string(&path).ok().as_deref().and_then(record) {
                Some(record) => records.push(record),
                None => terminal::err(&format!("shaketable: {} is no record of a run\n", path.display())),
            }
        }
    }
    Ok(())
}

/// What there is to know of a run in its `report.json`.
fn record(text: &str) -> Option<RunRecord> {
    let report: Value = serde_json::from_str(text).ok()?;
    let verdict = match report["verdict"].as_str()? {
        "green" => Verdict::Green,
        "yellow" => Verdict::Yellow,
        "red" => Verdict::Red,
        "invalid" => Verdict::Invalid,
        "inconclusive" => Verdict::Inconclusive,
        _ => return None,
    };
    Some(RunRecord {
        document: report["document"]["name"].as_str()?.to_owned(),
        hash: report["document"]["hash"].as_str()?.to_owned(),
        started: report["started"].as_str()?.parse().ok()?,
        verdict,
    })
}

/// Before and after the change that a history names.
fn comparison(file: &Path, style: Style) -> Result<Comparison> {
    let name = file.display().to_string();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let read = read_history(&name, &bytes, &Given::default());
    terminal::err(&formats::render::terminal(&read.findings, &read.source, style.colour));
    let Some(history) = read.history else { bail!("{name} has errors; nothing was computed") };
    let report = assess::history::analyse(&history, None, USUAL_CONFIDENCE);
    report.change.with_context(|| {
        format!("{name} does not say since when there are experiments; write change: {{ at: 2024-04-01, what: experiments }}")
    })
}

fn page(report: &Report, style: Style) -> String {
    let mut page = Page::new(style);
    page.head(&report.name);
    let stages = report.stages.iter().map(|stage| format!("{} {} of {}", stage.stage, stage.passed, stage.checks));
    page.paragraph("passed:", Paint::Bold, &stages.collect::<Vec<_>>().join(", "));
    for system in &report.systems {
        page.part(&system.name);
        if !system.question.is_empty() {
            page.paragraph("", Paint::Plain, &system.question);
        }
        let rows: Vec<[Cell; 4]> = system.checks.iter().map(line).collect();
        page.table(&rows);
        for check in system.checks.iter().filter(|check| check.state == State::NotWritten) {
            let how = check.yours.as_deref().unwrap_or("nobody has written the experiment");
            page.paragraph(&format!("{} is yours to write:", check.name), Paint::Plain, how);
        }
    }
    page.part("Phases of adoption");
    for phase in &report.phases {
        page.phase(phase);
    }
    page.into_text()
}

fn line(check: &CheckState) -> [Cell; 4] {
    let paint = match check.state {
        State::Passed => Paint::Good,
        State::Stale => Paint::Warn,
        State::Failed => Paint::Bad,
        State::Undecided | State::NeverRun | State::NotWritten => Paint::Unknown,
    };
    let last = check.last.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    [
        Cell::new(&check.name, Paint::Plain),
        Cell::new(check.stage.word(), Paint::Dim),
        Cell::new(word(check.state), paint),
        Cell::new(&last, Paint::Dim),
    ]
}

/// Where a check stands.
const fn word(state: State) -> &'static str {
    match state {
        State::Passed => "passed",
        State::Stale => "passed, over a year ago",
        State::Failed => "failed",
        State::Undecided => "undecided",
        State::NeverRun => "never run",
        State::NotWritten => "no experiment",
    }
}

impl Page {
    fn phase(&mut self, phase: &Phase) {
        let paint = if phase.is_reached() { Paint::Good } else { Paint::Bold };
        let state = if phase.is_reached() { "reached" } else { "not reached" };
        self.paragraph(phase.name, paint, state);
        for measure in &phase.measures {
            let (word, paint) = match measure.reached {
                Reached::Yes => ("- yes:", Paint::Good),
                Reached::No => ("- no:", Paint::Bad),
                Reached::Unknown => ("- unknown:", Paint::Unknown),
                Reached::Impossible => ("- impossible:", Paint::Warn),
            };
            self.paragraph(word, paint, &format!("{} ({})", measure.wanted, measure.found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(document: &str, hash: &str, started: &str, verdict: &str) -> String {
        let document = serde_json::json!({ "name": document, "hash": hash });
        serde_json::json!({ "document": document, "started": started, "verdict": verdict, "more": 1 }).to_string()
    }

    #[test]
    fn records_are_found_in_the_folders_of_reports() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("history/20260101T000000Z-aaaa");
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("report.json"), report("a.yaml", "1", "2026-01-01T00:00:00Z", "red")).unwrap();
        fs::write(folder.path().join("report.json"), report("a.yaml", "1", "2026-01-02T00:00:00Z", "green")).unwrap();
        fs::write(kept.join("other.json"), "{}").unwrap();
        let mut records = Vec::new();
        collect(folder.path(), DEEPEST, &mut records).unwrap();
        let verdicts: Vec<_> = records.iter().map(|record| record.verdict).collect();
        assert_eq!(verdicts, [Verdict::Red, Verdict::Green]);
        assert!(collect(&folder.path().join("none"), 1, &mut records).is_err());
    }

    #[test]
    fn what_is_no_record_is_passed_over() {
        for text in
            ["", "{}", &report("a", "1", "yesterday", "green"), &report("a", "1", "2026-01-01T00:00:00Z", "blue")]
        {
            assert_eq!(record(text), None, "{text}");
        }
    }

    #[test]
    fn the_yearly_check_up_is_told_by_system_with_experiments_that_exist() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/suites/check-up.yaml");
        let read = read_suite(&path.to_string_lossy(), &fs::read(&path).unwrap());
        assert_eq!(read.findings, []);
        let suite = read.suite.unwrap();
        for check in suite.systems.iter().flat_map(|system| &system.checks) {
            match (&check.experiment, &check.yours) {
                (Some(experiment), None) => {
                    assert!(path.parent().unwrap().join(experiment).is_file(), "{experiment}");
                }
                (None, Some(how)) => assert!(how.contains("aws:") || how.contains("requests"), "{how}"),
                _ => panic!("{} is neither there nor said to be yours", check.name),
            }
        }
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        let green = record(&report("instance-termination.yaml", "1", "2026-01-01T00:00:00Z", "green")).unwrap();
        let page = page(&assess(&suite, &[green], None, now), Style { colour: false, live: false, width: 100 });
        for part in [
            "passed: crawl 1 of ",
            "2026-01-01",
            "never run",
            "no experiment",
            "cardiac arrest is yours to write:",
            "- no: 3 experiments completed (1:",
        ] {
            assert!(page.contains(part), "no `{part}` in\n{page}");
        }
    }
}
