//! `shaketable review`: where a workload stands with a lens, and what to do about it.

pub(crate) mod args;
mod ask;
mod csv;
mod html;
mod lens;
mod markdown;
mod month;
mod pages;
mod report;
mod saved;
mod sheet;
mod text;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use assess::review::upgrade::{Fate, upgrade};
use jiff::{Timestamp, civil::Date};
use model::{
    incident::History,
    lens::Lens,
    review::{Milestone, Review},
};

pub(crate) use self::lens::analysed;
use self::{
    args::{Form, PageForm, Show, Verb},
    report::Report,
    saved::Saved,
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
            let report = opened.report(Timestamp::now(), None, None)?;
            print(&report, form, style, text::plan, markdown::plan, csv::plan)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Verb::Page { page, file, at, month, form }) => {
            let Some(opened) = open_with(file, month.history.as_deref(), style)? else { return wrong() };
            let report = opened.report(at.unwrap_or_else(Timestamp::now), None, month.month)?;
            let sheet = pages::page(*page, &report);
            terminal::out(&match form {
                PageForm { html: true, .. } => sheet.html(&format!("{} · {}", report.lens_name(), report.today)),
                PageForm { json: true, .. } => serde_json::to_string_pretty(&sheet.json())? + "\n",
                PageForm { csv: true, .. } => sheet.csv(),
                PageForm { html: false, json: false, csv: false } => sheet.markdown(),
            });
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

/// A review with its lens, and with the incidents of its workload where they are known.
struct Opened {
    review: Review,
    lens: Lens,
    history: Option<History>,
}

impl Opened {
    /// What is to be said about it at a time, compared with a milestone (the last one if none is named), with the figures
    /// of a month (see [`assess::review::month::monthly`] for which).
    fn report(&self, at: Timestamp, since: Option<&str>, month: Option<Date>) -> Result<Report<'_>> {
        let since = match since {
            None => self.review.milestones.last(),
            Some(name) => Some(&self.review.milestones[self.milestone(name)?]),
        };
        Ok(Report::new(&self.review, &self.lens, (self.history.as_ref(), month), at, since))
    }
}

impl Opened {
    /// Which milestone is meant.
    fn milestone(&self, name: &str) -> Result<usize> {
        let milestones = &self.review.milestones;
        milestones.iter().position(|milestone| milestone.name == name).with_context(|| {
            let names: Vec<&str> = milestones.iter().map(|milestone| milestone.name.as_str()).collect();
            match names.as_slice() {
                [] => format!("there is no milestone `{name}`, nor any other; `shaketable review milestone` makes one"),
                names => format!("there is no milestone `{name}`; there is: {}", names.join(", ")),
            }
        })
    }

    /// Goes back to a milestone, which says when that was.
    fn back_to(&mut self, name: &str) -> Result<Timestamp> {
        let at = self.milestone(name)?;
        let milestone = self.review.milestones.swap_remove(at);
        self.review.milestones.truncate(at);
        self.review.answers = milestone.answers;
        Ok(milestone.at)
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
    Ok(read.review.map(|review| Opened { review, lens, history: None }))
}

/// The same with incidents: of the file that is named, or of the one that the review names.
fn open_with(file: &Path, history: Option<&Path>, style: Style) -> Result<Option<Opened>> {
    let Some(mut opened) = open(file, style)? else { return Ok(None) };
    let own = opened.review.history.as_deref().map(|own| beside(file, own));
    if let Some(history) = history.map(Path::to_owned).or(own) {
        opened.history = month::read(&history, style)?;
        if opened.history.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(opened))
}

/// A path that is written relative to a file.
fn beside(file: &Path, other: &str) -> PathBuf {
    file.parent().unwrap_or_else(|| Path::new("")).join(other)
}

fn show(call: &Show, style: Style) -> Result<ExitCode> {
    let file = call.file.as_deref().context("name the review")?;
    let Some(mut opened) = open_with(file, call.month.history.as_deref(), style)? else { return wrong() };
    let back = call.of.as_deref().map(|name| opened.back_to(name)).transpose()?;
    let at = call.at.or(back).unwrap_or_else(Timestamp::now);
    let report = opened.report(at, call.since.as_deref(), call.month.month)?;
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
    let mut saved = Saved::new(file, &Review::default());
    let mut opened = if file.exists() {
        if lens.is_some() {
            bail!("{} is there and says itself which lens it answers; leave --lens away", file.display());
        }
        let Some(opened) = open(file, style)? else { return wrong() };
        saved = Saved::new(file, &opened.review);
        opened
    } else {
        let Some(of) = lens::open(lens.map(|lens| beside(file, lens)).as_deref(), style)? else { return wrong() };
        let mut review = Review::default();
        review.lens.file = lens.map(str::to_owned);
        review.lens.edition = of.edition().map(str::to_owned);
        Opened { review, lens: of, history: None }
    };
    let mut dialogue = ask::Dialogue::new(std::io::stdin().lock(), std::io::stdout(), style.width);
    dialogue.hold(&mut opened.review, &opened.lens, all, Timestamp::now(), |review| saved.save(review))?;
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
    let mut saved = Saved::new(file, &opened.review);
    opened.review.milestones.push(Milestone {
        name: name.to_owned(),
        at,
        edition: opened.lens.edition().map(str::to_owned),
        answers: opened.review.answers.clone(),
    });
    saved.save(&opened.review)?;
    terminal::out(&format!("milestone \"{name}\" keeps the answers of {at}\n"));
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
        let mut saved = Saved::new(file, &review);
        (review.answers, review.retired) = (upgrade.answers, upgrade.retired);
        review.lens.file = to.map(str::to_owned);
        review.lens.edition = new.edition().map(str::to_owned);
        saved.save(&review)?;
    }
    Ok(ExitCode::SUCCESS)
}
