//! `shaketable history`: what incidents say about availability, and whether it gets better.

mod html;
mod intervals;
mod timeline;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail};
use assess::history::{
    Comparison, Direction, Estimate, FailureTrend, Figures, Ratio, RepairTrend, Report, StatedCheck,
};
use engine::report::columns::{Cell, Paint};
use formats::incidents::{Given, read_history};
use jiff::tz::TimeZone;
use model::figures::{chance, number, part, percent, span};

use crate::{
    args::History,
    page::Page,
    terminal::{self, Style},
};

/// Reads incidents, computes and prints.
pub(crate) fn history(call: &History, style: Style) -> Result<ExitCode> {
    let name = call.file.display().to_string();
    let bytes = fs::read(&call.file).with_context(|| format!("cannot read {name}"))?;
    let given = Given { from: call.from, to: call.to, target: call.target, time_zone: call.time_zone.clone() };
    let read = read_history(&name, &bytes, &given);
    terminal::err(&formats::render::terminal(&read.findings, &read.source, style.colour));
    let Some(history) = read.history else { bail!("{name} has errors; nothing was computed") };
    let report = assess::history::analyse(&history, call.by.map(Into::into), call.confidence);
    if let Some(page) = &call.html {
        fs::write(page, html::page(&name, &history, &report))
            .with_context(|| format!("cannot write {}", page.display()))?;
    }
    if call.json {
        terminal::out(&(serde_json::to_string_pretty(&report)? + "\n"));
    } else {
        terminal::out(&page(&report, &history.time_zone, style));
    }
    Ok(ExitCode::SUCCESS)
}

fn page(report: &Report, zone: &TimeZone, style: Style) -> String {
    let mut page = Page::new(style);
    let day = |at| zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
    let (from, to) = (day(report.observed.from), day(report.observed.to));
    let length = span(report.whole.observed_seconds);
    page.head(&format!("{}: {length}, {from} to {to}", report.name));
    if let Some(outside) = outside(report) {
        page.paragraph("outside:", Paint::Unknown, &outside);
    }
    page.figures(report);
    page.incidents(report, day);
    page.periods(report);
    page.trends(report);
    if let Some(comparison) = &report.change {
        page.change(comparison, &day(comparison.change.at));
    }
    page.into_text()
}

/// A figure: its name, its value, its interval, and what else there is to say.
type Line = [Cell; 4];

impl Page {
    fn figures(&mut self, report: &Report) {
        let whole = &report.whole;
        let interval = |estimate: &Estimate, shown: fn(f64) -> String| interval(estimate, report.confidence, shown);
        let lost = format!("{} lost", span(whole.lost_seconds));
        let mut lines =
            vec![figure("availability", &whole.availability, percent, &interval(&whole.availability, percent), &lost)];
        lines.push(figure("MTBF", &whole.mtbf, span, &interval(&whole.mtbf, span), &count(whole)));
        lines.push(figure("MTTR", &whole.mttr, span, &interval(&whole.mttr, span), ""));
        if whole.mttd.value.is_some() {
            lines.push(figure("MTTD", &whole.mttd, span, &interval(&whole.mttd, span), ""));
        }
        self.table(&lines);
        self.line("");
        if let Some(target) = &report.target {
            let (word, paint) = match target.reached {
                None => ("not known:", Paint::Unknown),
                Some(true) => ("reached:", Paint::Good),
                Some(false) => ("missed:", Paint::Bad),
            };
            let text = format!(
                "target {}, which is {} of {}; {} was lost, {:+.3} percentage points",
                percent(target.availability),
                span(target.budget_seconds),
                span(whole.observed_seconds),
                span(target.spent_seconds),
                target.gap_points,
            );
            self.paragraph(word, paint, &text);
        }
        if let Some(stated) = &report.stated {
            self.stated(stated, report);
        }
    }

    fn stated(&mut self, check: &StatedCheck, report: &Report) {
        let stated = percent(check.stated);
        if check.agrees {
            return self.paragraph(
                "right:",
                Paint::Good,
                &format!("{stated} was stated, and is what the incidents give"),
            );
        }
        let mut text = format!(
            "{stated} was stated; the incidents give {}, {:+.3} percentage points",
            percent(check.computed),
            (check.computed - check.stated) * 100.0
        );
        if let Some(sets) = left_out(check, report) {
            text.push_str(". The stated figure comes out only without ");
            text.push_str(&sets);
        }
        self.paragraph("wrong:", Paint::Bad, &text);
    }

    fn incidents(&mut self, report: &Report, day: impl Fn(jiff::Timestamp) -> String) {
        if report.counted().next().is_none() {
            return;
        }
        self.part("Incidents");
        let rows: Vec<[Cell; 5]> = report
            .counted()
            .map(|share| {
                let began = day(share.stretch.from);
                let cells = [&began, &span(share.seconds), &part(share.lost), &percent(share.without), &share.title];
                cells.map(|text| Cell::new(text, Paint::Plain))
            })
            .collect();
        self.headed(["began", "lasted", "lost", "without it", "what"], &rows);
    }

    fn periods(&mut self, report: &Report) {
        if report.periods.is_empty() {
            return;
        }
        self.part("Periods");
        let mut rows = Vec::new();
        for period in &report.periods {
            let Figures { availability, lost_seconds, incidents, mttr, .. } = &period.figures;
            let available = availability.value.unwrap_or(1.0);
            let missed = report.target.is_some_and(|target| available < target.availability);
            rows.push([
                Cell::new(&period.name, Paint::Plain),
                Cell::new(&percent(available), if missed { Paint::Bad } else { Paint::Plain }),
                Cell::new(&span(*lost_seconds), Paint::Plain),
                Cell::new(&incidents.to_string(), Paint::Plain),
                Cell::new(&mttr.value.map_or_else(|| "-".to_owned(), span), Paint::Plain),
            ]);
        }
        self.headed(["period", "availability", "lost", "incidents", "MTTR"], &rows);
    }

    fn trends(&mut self, report: &Report) {
        self.part("Trend");
        let few = "too few interruptions for a trend, which takes four";
        match &report.failures {
            None => self.paragraph("failures:", Paint::Unknown, few),
            Some(FailureTrend { shape, shape_low, shape_high, p, direction, .. }) => {
                let words = match direction {
                    Direction::Better => "become rarer",
                    Direction::Worse => "become more frequent",
                    Direction::Unclear => "no trend that luck would not explain",
                };
                let [shape, low, high] = [shape, shape_low, shape_high].map(|value| number(*value));
                let text = format!("{words} ({}; shape {shape}, {low} to {high}; 1 is steady)", chance(*p));
                self.paragraph("failures:", paint(*direction), &text);
            }
        }
        match &report.repairs {
            None => self.paragraph("repairs:", Paint::Unknown, few),
            Some(RepairTrend { tau, p, direction, .. }) => {
                let words = match direction {
                    Direction::Better => "become shorter",
                    Direction::Worse => "become longer",
                    Direction::Unclear => "no trend that luck would not explain",
                };
                let text = format!("{words} ({}; Kendall's tau {})", chance(*p), number(*tau));
                self.paragraph("repairs:", paint(*direction), &text);
            }
        }
    }

    fn change(&mut self, comparison: &Comparison, at: &str) {
        self.part(&format!("Since {at}: {}", comparison.change.what));
        let [before, after] = comparison.availability.map(percent);
        let [few, many] = comparison.interruptions;
        self.paragraph(
            "availability:",
            Paint::Plain,
            &format!("{before} before with {few} interruptions, {after} after with {many}"),
        );
        self.ratio("failures:", "for each that there was in the same time", &comparison.failures);
        match &comparison.repairs {
            Some(ratio) => self.ratio("repairs:", "of the time that one took", ratio),
            None => self.paragraph("repairs:", Paint::Unknown, "none on one of the sides, so nothing can be compared"),
        }
    }

    fn ratio(&mut self, first: &str, of_what: &str, ratio: &Ratio) {
        let (value, low, high) = ends(ratio);
        let words = match ratio.direction {
            Direction::Better => "an improvement, and more than luck",
            Direction::Worse => "worse, and more than bad luck",
            Direction::Unclear => "luck would explain it",
        };
        let text = format!("{value} {of_what} ({low} to {high}, {}): {words}", chance(ratio.p));
        self.paragraph(first, paint(ratio.direction), &text);
    }
}

/// How many incidents lie outside of the stretch; none where all lie in it.
fn outside(report: &Report) -> Option<String> {
    let (outside, all) = (report.outside(), report.incidents.len());
    (outside > 0).then(|| {
        format!("{outside} of {all} incidents lie before or after what was observed, and count nothing; is it the stretch that was meant?")
    })
}

/// Which incidents must be left out for the stated figure to come out; none where no set of them does it.
fn left_out(check: &StatedCheck, report: &Report) -> Option<String> {
    let names = |set: &Vec<usize>| {
        let titles = set.iter().map(|at| format!("\"{}\"", report.incidents[*at].title));
        titles.collect::<Vec<_>>().join(" and ")
    };
    let sets: Vec<String> = check.left_out.iter().map(names).collect();
    (!sets.is_empty()).then(|| sets.join(", or without "))
}

/// A ratio and its interval in words.
fn ends(ratio: &Ratio) -> (String, String, String) {
    let end = |value: Option<f64>| value.map_or_else(|| "any number".to_owned(), number);
    let value = ratio.ratio.value.map_or_else(|| "more".to_owned(), number);
    (value, end(ratio.ratio.low), end(ratio.ratio.high))
}

const fn paint(direction: Direction) -> Paint {
    match direction {
        Direction::Better => Paint::Good,
        Direction::Worse => Paint::Bad,
        Direction::Unclear => Paint::Unknown,
    }
}

fn figure(name: &str, estimate: &Estimate, shown: fn(f64) -> String, interval: &str, more: &str) -> Line {
    let value = estimate.value.map_or_else(|| "-".to_owned(), shown);
    [
        Cell::new(name, Paint::Plain),
        Cell::new(&value, Paint::Bold),
        Cell::new(interval, Paint::Dim),
        Cell::new(more, Paint::Plain),
    ]
}

/// `95 %: 99.1 to 99.9 %`
fn interval(estimate: &Estimate, confidence: f64, shown: fn(f64) -> String) -> String {
    let confidence = percent(confidence);
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{confidence}: {} to {}", shown(low), shown(high)),
        (Some(low), None) => format!("{confidence}: at least {}", shown(low)),
        (None, _) => String::new(),
    }
}

fn count(figures: &Figures) -> String {
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let incidents = plural(figures.incidents, "incident");
    if figures.incidents == figures.interruptions {
        return incidents;
    }
    format!("{incidents} in {}", plural(figures.interruptions, "interruption"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use assess::history::{By, USUAL_CONFIDENCE, analyse};

    use super::*;

    const PLAIN: Style = Style { colour: false, live: false, width: 90 };

    fn shown(example: &str, given: &Given, by: Option<By>) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/incidents").join(example);
        let read = read_history(&path.to_string_lossy(), &fs::read(&path).unwrap(), given);
        assert_eq!(read.findings, []);
        let history = read.history.unwrap();
        page(&analyse(&history, by, USUAL_CONFIDENCE), &history.time_zone, PLAIN)
    }

    /// Without columns and line breaks.
    fn flat(page: &str) -> String {
        page.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn thirty_days_give_what_their_incidents_give_and_not_what_was_stated() {
        let page = shown("thirty-days.yaml", &Given::default(), None);
        for part in [
            "shop: 30 d, 2024-01-05 00:00 to 2024-02-04 00:00",
            "availability 99.711 %",
            "2 h 5 min lost",
            "MTTR 41 min 40 s",
            "missed: target 99.9 %, which is 43 min 12 s of 30 d",
            "wrong: 99.85 % was stated; the incidents give 99.711 %",
            "only without \"External",
            "too few interruptions for a trend",
        ] {
            assert!(flat(&page).contains(part), "no `{part}` in\n{page}");
        }
        assert!(page.lines().all(|line| line.chars().count() <= PLAIN.width), "{page}");
    }

    #[test]
    fn a_table_of_a_year_is_told_month_by_month() {
        let given = Given {
            from: Some("2024-01-01".parse().unwrap()),
            to: Some("2025-01-01".parse().unwrap()),
            target: Some(0.9995),
            time_zone: None,
        };
        let page = shown("year.csv", &given, Some(By::Month));
        assert!(flat(&page).contains("10 incidents in 9"), "{page}");
        for month in ["2024-01", "2024-06", "2024-12"] {
            assert!(page.lines().any(|line| line.trim_start().starts_with(month)), "no {month} in\n{page}");
        }
        assert!(page.contains("MTTD") && page.contains("failures: ") && page.contains("repairs: "), "{page}");
    }

    #[test]
    fn a_stretch_with_none_of_the_incidents_reaches_no_target() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/incidents/year.csv");
        let given = Given {
            from: Some("2025-11-01".parse().unwrap()),
            to: Some("2026-11-01".parse().unwrap()),
            target: Some(0.999),
            time_zone: None,
        };
        let history = read_history("year.csv", &fs::read(path).unwrap(), &given).history.unwrap();
        let report = analyse(&history, None, USUAL_CONFIDENCE);
        assert_eq!(report.target.unwrap().reached, None);
        let said = flat(&page(&report, &history.time_zone, PLAIN));
        assert!(said.contains("outside: 10 of 10 incidents lie before or after what was observed"), "{said}");
        assert!(said.contains("not known: target 99.9 %") && !said.contains("reached:"), "{said}");
        let page = html::page("year.csv", &history, &report);
        assert!(page.contains("10 of 10 incidents") && !page.contains("-0 %"), "{page}");
    }
}
