//! `shaketable review`: where a workload stands with a lens, and what to do about it.

pub(crate) mod args;
mod ask;
mod csv;
mod html;
mod lens;
mod markdown;
mod pages;
mod report;
mod text;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use assess::review::upgrade::{Fate, upgrade};
use jiff::Timestamp;
use model::{
    lens::Lens,
    review::{Milestone, Review},
};

pub(crate) use self::lens::analysed;
use self::{
    args::{Form, Show, Verb},
    report::Report,
};
use crate::{
    check,
    terminal::{self, Style},
};

/// Obeys one of its commands.
pub(crate) fn review(call: &args::Review, style: Style) -> Result<ExitCode> {
    match &call.command {
        None => show(&call.show, style),
        Some(Verb::Lens { file, export, as_read, json }) => {
            lens::look(file.as_deref(), export.as_deref(), *as_read, *json, style)
        }
        Some(Verb::Ask { file, lens, all }) => ask(file, lens.as_deref(), *all, style),
        Some(Verb::Milestone { file, name }) => milestone(file, name, style),
        Some(Verb::Upgrade { file, from, to, dry_run }) => carry_over(file, from, to.as_deref(), *dry_run, style),
        Some(Verb::Plan { file, from, form }) => {
            let Some(mut opened) = open(file, style)? else { return wrong() };
            opened.review.plan.start = from.or(opened.review.plan.start);
            let report = opened.report(Timestamp::now(), None)?;
            print(&report, form, style, text::plan, markdown::plan, csv::plan)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Verb::Page { page, file, at }) => {
            let Some(opened) = open(file, style)? else { return wrong() };
            let report = opened.report(at.unwrap_or_else(Timestamp::now), None)?;
            terminal::out(&pages::page(*page, &report));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A review with what does not fit its lens; none where the lens cannot be read, which only matters when it is used.
pub(crate) fn fitting(name: &str, bytes: &[u8]) -> Option<formats::ReadReview> {
    let read = formats::read_review(name, bytes);
    let lens = match &read.review.as_ref()?.lens.file {
        None => formats::lens::reliability(),
        Some(file) => formats::read_lens(file, &fs::read(beside(Path::new(name), file)).ok()?).lens?,
    };
    Some(read.against(&lens))
}

/// The document is wrong.
fn wrong() -> Result<ExitCode> {
    Ok(ExitCode::from(crate::WRONG))
}

/// A review with its lens.
struct Opened {
    review: Review,
    lens: Lens,
}

impl Opened {
    /// What is to be said about it at a time, compared with a milestone (the last one if none is named).
    fn report(&self, at: Timestamp, since: Option<&str>) -> Result<Report<'_>> {
        let milestones = &self.review.milestones;
        let since = match since {
            None => milestones.last(),
            Some(name) => Some(milestones.iter().find(|milestone| milestone.name == name).with_context(|| {
                let names: Vec<&str> = milestones.iter().map(|milestone| milestone.name.as_str()).collect();
                format!("the review has no milestone `{name}`; it has: {}", names.join(", "))
            })?),
        };
        Ok(Report::new(&self.review, &self.lens, at, since))
    }
}

/// Reads a review and its lens, and shows what is wrong with them; none where something is.
fn open(file: &Path, style: Style) -> Result<Option<Opened>> {
    let name = file.display().to_string();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let read = formats::read_review(&name, &bytes);
    let Some(chosen) = read.review.as_ref().map(|review| review.lens.file.clone()) else {
        check::show(&read.findings, &read.source, style);
        return Ok(None);
    };
    let Some(lens) = lens::open(chosen.as_deref().map(|lens| beside(file, lens)).as_deref(), style)? else {
        return Ok(None);
    };
    let read = read.against(&lens);
    check::show(&read.findings, &read.source, style);
    Ok(read.review.map(|review| Opened { review, lens }))
}

/// A path that is written relative to a file.
fn beside(file: &Path, other: &str) -> PathBuf {
    file.parent().unwrap_or_else(|| Path::new("")).join(other)
}

fn show(call: &Show, style: Style) -> Result<ExitCode> {
    let file = call.file.as_deref().context("name the review")?;
    let Some(opened) = open(file, style)? else { return wrong() };
    let report = opened.report(call.at.unwrap_or_else(Timestamp::now), call.since.as_deref())?;
    if let Some(page) = &call.html {
        fs::write(page, html::page(&report)).with_context(|| format!("cannot write {}", page.display()))?;
    }
    print(&report, &call.form, style, text::review, markdown::review, csv::review)?;
    let counts = report.standing.counts;
    Ok(ExitCode::from(match (counts.high, counts.medium + counts.unanswered) {
        (1.., _) => 1,
        (0, 1..) => 3,
        (0, 0) => 0,
    }))
}

/// Prints a report in the form that was chosen.
fn print(
    report: &Report<'_>,
    form: &Form,
    style: Style,
    text: fn(&Report<'_>, Style) -> String,
    markdown: fn(&Report<'_>) -> String,
    csv: fn(&Report<'_>) -> String,
) -> Result<()> {
    terminal::out(&match form {
        Form { json: true, .. } => serde_json::to_string_pretty(&report.json())? + "\n",
        Form { csv: true, .. } => csv(report),
        Form { markdown: true, .. } => markdown(report),
        Form { json: false, csv: false, markdown: false } => text(report, style),
    });
    Ok(())
}

fn ask(file: &Path, lens: Option<&str>, all: bool, style: Style) -> Result<ExitCode> {
    let mut opened = if file.exists() {
        if lens.is_some() {
            bail!("{} is there and says itself which lens it answers; leave --lens away", file.display());
        }
        let Some(opened) = open(file, style)? else { return wrong() };
        opened
    } else {
        let Some(of) = lens::open(lens.map(|lens| beside(file, lens)).as_deref(), style)? else { return wrong() };
        let mut review = Review::default();
        review.lens.file = lens.map(str::to_owned);
        review.lens.edition = of.edition().map(str::to_owned);
        Opened { review, lens: of }
    };
    let mut dialogue = ask::Dialogue::new(std::io::stdin().lock(), std::io::stdout(), style.width);
    dialogue.hold(&mut opened.review, &opened.lens, all, Timestamp::now(), |review| save(file, review))?;
    Ok(ExitCode::SUCCESS)
}

fn milestone(file: &Path, name: &str, style: Style) -> Result<ExitCode> {
    let Some(mut opened) = open(file, style)? else { return wrong() };
    if opened.review.milestones.iter().any(|milestone| milestone.name == name) {
        bail!(
            "{} has a milestone `{name}` already; milestones are never changed, so give another name",
            file.display()
        );
    }
    // To the second: what a person reads in a file.
    let at = Timestamp::from_second(Timestamp::now().as_second())?;
    opened.review.milestones.push(Milestone {
        name: name.to_owned(),
        at,
        edition: opened.lens.edition().map(str::to_owned),
        answers: opened.review.answers.clone(),
    });
    save(file, &opened.review)?;
    Ok(ExitCode::SUCCESS)
}

fn carry_over(file: &Path, from: &Path, to: Option<&str>, dry_run: bool, style: Style) -> Result<ExitCode> {
    let name = file.display().to_string();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let read = formats::read_review(&name, &bytes);
    check::show(&read.findings, &read.source, style);
    let Some(mut review) = read.review else { return wrong() };
    let (Some(old), Some(new)) =
        (lens::open(Some(from), style)?, lens::open(to.map(|to| beside(file, to)).as_deref(), style)?)
    else {
        return wrong();
    };
    let upgrade = upgrade(&old, &new, &review.answers, &review.retired);
    let mut said = String::new();
    for change in upgrade.changes.iter().filter(|change| change.fate != Fate::Unchanged) {
        said.push_str(&text::question_change(change));
    }
    terminal::out(if said.is_empty() { "the two editions ask the same\n" } else { &said });
    if !dry_run {
        (review.answers, review.retired) = (upgrade.answers, upgrade.retired);
        review.lens.file = to.map(str::to_owned);
        review.lens.edition = new.edition().map(str::to_owned);
        save(file, &review)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a review beside its file and moves it there, so that a crash leaves the old one or the new one.
fn save(file: &Path, review: &Review) -> Result<()> {
    let mut name = file.file_name().context("the review needs a file name")?.to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    fs::write(&new, formats::review::print(review)).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, file).with_context(|| format!("cannot write {}", file.display()))
}
