//! A review on the terminal, at any width from 60 columns on.

use assess::review::{
    plan::matrix,
    standing::{Known, QuestionRisk, QuestionStanding},
    upgrade::{Fate, QuestionChange},
};
use engine::report::columns::{Cell, Paint, row, widths, wrap};
use model::review::Progress;

use super::{month, report::Report};
use crate::terminal::Style;

/// Lines under construction.
struct Page {
    text: String,
    style: Style,
}

impl Page {
    fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn head(&mut self, title: &str) {
        self.text.push('\n');
        self.line(&Paint::Head.on(title, self.style.colour));
    }

    /// A paragraph, every line of it indented.
    fn say(&mut self, indent: usize, text: &str, paint: Paint) {
        for line in wrap(text, self.style.width.saturating_sub(indent)) {
            self.line(&format!("{:indent$}{}", "", paint.on(&line, self.style.colour)));
        }
    }

    /// Rows whose last cell is broken into lines, below each other.
    fn table<const N: usize>(&mut self, rows: &[([(&str, Paint); N], &str)]) {
        let cells: Vec<[Cell; N]> =
            rows.iter().map(|(cells, _)| cells.map(|(text, paint)| Cell::new(text, paint))).collect();
        let widths = widths(&cells);
        let indent = 2 + widths.iter().map(|width| width + 2).sum::<usize>();
        for (cells, (_, last)) in cells.iter().zip(rows) {
            let blank = std::array::from_fn(|_| Cell::new("", Paint::Plain));
            for (n, part) in wrap(last, self.style.width.saturating_sub(indent)).iter().enumerate() {
                // The cell behind the last column takes none of its width; it only keeps the padding before it.
                let before = if n == 0 { row(cells, &widths, self.style.colour) } else { row(&blank, &widths, false) };
                let used: usize = if n == 0 { visible(cells, &widths) } else { 0 };
                let line = format!("  {before}{:gap$}{part}", "", gap = indent - 2 - used);
                self.line(line.trim_end());
            }
        }
    }
}

/// Columns that a row takes on the terminal, without its paint.
fn visible<const N: usize>(cells: &[Cell; N], columns: &[usize; N]) -> usize {
    let plain = row(cells, columns, false);
    widths(&[[Cell::new(&plain, Paint::Plain)]])[0]
}

const fn paint(risk: QuestionRisk) -> Paint {
    match risk {
        QuestionRisk::High => Paint::Bad,
        QuestionRisk::Medium => Paint::Warn,
        QuestionRisk::None => Paint::Good,
        QuestionRisk::Unanswered => Paint::Unknown,
        QuestionRisk::NotApplicable => Paint::Dim,
    }
}

/// Where the workload stands, and what comes first.
pub(super) fn review(report: &Report<'_>, style: Style) -> String {
    let mut page = Page::new(style);
    page.say(0, &report.review.workload.name, Paint::Bold);
    page.say(0, &format!("{}, on {}", report.lens_name(), report.today), Paint::Dim);
    page.say(0, &report.headline(), Paint::Plain);
    questions(&mut page, report);
    evidence(&mut page, report);
    since(&mut page, report);
    figures(&mut page, report);
    first_steps(&mut page, report);
    page.text
}

/// The figures of the month.
fn figures(page: &mut Page, report: &Report<'_>) {
    let monthly = &report.monthly;
    let Some(first) = monthly.month else { return };
    page.head(&first.strftime("%B %Y").to_string());
    let told: Vec<(String, String)> = monthly
        .figures
        .iter()
        .map(|figure| {
            let promised = match (figure.kept, figure.target) {
                (Some(true), Some(target)) => format!("kept: {}", month::shown(target)),
                (Some(false), Some(target)) => format!("not kept: {}", month::shown(target)),
                _ => String::new(),
            };
            let before = match month::before(figure) {
                before if before.is_empty() => None,
                before => Some(format!("month before {before}")),
            };
            let more = [Some(promised).filter(|text| !text.is_empty()), before];
            (month::shown(figure.value), more.into_iter().flatten().collect::<Vec<_>>().join("; "))
        })
        .collect();
    let rows: Vec<_> = monthly
        .figures
        .iter()
        .zip(&told)
        .map(|(figure, (value, more))| {
            let paint = match figure.kept {
                Some(true) => Paint::Good,
                Some(false) => Paint::Bad,
                None => Paint::Plain,
            };
            ([(figure.name, Paint::Plain), (value.as_str(), paint)], more.as_str())
        })
        .collect();
    page.table(&rows);
    for line in month::trend(monthly).iter().chain(&month::incidents(monthly)).chain(&monthly.remarks) {
        page.say(2, line, Paint::Plain);
    }
}

fn questions(page: &mut Page, report: &Report<'_>) {
    for pillar in &report.standing.pillars {
        page.head(&pillar.name);
        let rows: Vec<_> = pillar
            .questions
            .iter()
            .map(|question| {
                let cells = [(question.label(), Paint::Plain), (question.risk.name(), paint(question.risk))];
                (cells, question.title.as_str())
            })
            .collect();
        page.table(&rows);
    }
    let counts = report.standing.counts;
    let known = |known| report.standing.practices(known);
    page.line("");
    page.say(
        0,
        &format!(
            "{} high, {} medium, {} without risk, {} unanswered, {} not applicable",
            counts.high, counts.medium, counts.none, counts.unanswered, counts.not_applicable
        ),
        Paint::Bold,
    );
    page.say(
        0,
        &format!(
            "Practices: {} shown by evidence, {} said, {} with expired evidence, {} contradicted, {} missing",
            known(Known::Shown),
            known(Known::Said),
            known(Known::Stale),
            known(Known::Contradicted),
            known(Known::Missing)
        ),
        Paint::Plain,
    );
}

fn evidence(page: &mut Page, report: &Report<'_>) {
    let reopened: Vec<&QuestionStanding> = report.standing.questions().filter(|question| question.reopened()).collect();
    if reopened.is_empty() {
        return;
    }
    page.head("To be answered anew");
    for question in reopened {
        for choice in &question.choices {
            let Some(why) = choice.why_anew() else { continue };
            let label = choice.practice.as_deref().unwrap_or(&choice.id);
            page.say(2, &format!("{label} {}: {why}", choice.title), Paint::Plain);
        }
    }
}

fn since(page: &mut Page, report: &Report<'_>) {
    let Some((milestone, comparison)) = &report.since else { return };
    page.head(&format!("Since the milestone \"{}\"", milestone.name));
    if comparison.changes.is_empty() {
        page.say(2, "Nothing has changed.", Paint::Plain);
    }
    let said: Vec<String> = comparison
        .changes
        .iter()
        .map(|change| {
            format!(
                "{} -> {}; {} gained, {} lost",
                change.before.name(),
                change.after.name(),
                change.gained.len(),
                change.lost.len()
            )
        })
        .collect();
    let rows: Vec<_> = comparison
        .changes
        .iter()
        .zip(&said)
        .map(|(change, said)| {
            let way = match change.better() {
                Some(true) => ("better", Paint::Good),
                Some(false) => ("worse", Paint::Bad),
                None => ("changed", Paint::Plain),
            };
            ([(change.label.as_str(), Paint::Plain), way], said.as_str())
        })
        .collect();
    page.table(&rows);
}

fn first_steps(page: &mut Page, report: &Report<'_>) {
    let matrix = matrix(&report.items);
    if matrix.is_empty() {
        return;
    }
    page.head("What to improve");
    for (field, items) in matrix {
        page.say(2, &format!("{} ({})", field.name(), items.len()), Paint::Bold);
        // The first few of each field; everything is in the plan, the page and the tables.
        for item in items.iter().take(3) {
            let owner = item.owner.as_deref().map(|owner| format!(" [{owner}]")).unwrap_or_default();
            page.say(4, &format!("{} {}{owner}", item.label, item.title), Paint::Plain);
        }
        if items.len() > 3 {
            page.say(4, &format!("and {} more", items.len() - 3), Paint::Dim);
        }
    }
}

/// The plan of 90 days.
pub(super) fn plan(report: &Report<'_>, style: Style) -> String {
    let mut page = Page::new(style);
    let schedule = &report.schedule;
    page.say(0, &format!("{}: {} to {}", report.review.workload.name, schedule.first, schedule.last), Paint::Bold);
    for phase in 1..=4_u8 {
        let tasks: Vec<_> = schedule.tasks.iter().filter(|task| task.phase == phase).collect();
        if tasks.is_empty() {
            continue;
        }
        page.head(&match schedule.checkpoints.get(usize::from(phase) - 1) {
            Some(day) => format!("By {day}"),
            None => "After the 90 days".to_owned(),
        });
        let said: Vec<String> = tasks
            .iter()
            .map(|task| {
                let after =
                    if task.after.is_empty() { String::new() } else { format!(" (after {})", task.after.join(", ")) };
                let owner = task.owner.as_deref().unwrap_or("nobody yet");
                let late = if task.late { "; late" } else { "" };
                let stage = if task.progress == Progress::InProgress { "; under way" } else { "" };
                format!("{}{after}: {owner}{stage}{late}", task.title)
            })
            .collect();
        let days: Vec<String> = tasks.iter().map(|task| format!("{} to {}", task.start, task.end)).collect();
        let rows: Vec<_> = tasks
            .iter()
            .zip(&days)
            .zip(&said)
            .map(|((task, days), said)| {
                ([(days.as_str(), Paint::Plain), (task.label.as_str(), Paint::Plain)], said.as_str())
            })
            .collect();
        page.table(&rows);
    }
    if !schedule.circular.is_empty() {
        page.head("Not planned");
        page.say(2, &format!("These wait for each other: {}", schedule.circular.join(", ")), Paint::Bad);
    }
    page.text
}

/// What becomes of a question, in a few lines.
pub(super) fn question_change(change: &QuestionChange) -> String {
    let fate = match change.fate {
        Fate::New => "NEW",
        Fate::Updated => "UPDATED",
        Fate::Unchanged => "UNCHANGED",
        Fate::Deleted => "DELETED",
    };
    let mut text = format!("{fate:<9} {}: {}\n", change.id, change.title);
    if change.fate != Fate::Deleted {
        text.extend(change.new_choices.iter().map(|id| format!("          + {id}\n")));
        text.extend(change.deleted_choices.iter().map(|id| format!("          - {id}\n")));
        text.extend(change.renamed_choices.iter().map(|(from, to)| format!("          {from} -> {to}\n")));
    }
    text
}
