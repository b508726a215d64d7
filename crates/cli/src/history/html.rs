//! What incidents say as a page that one can hand over.

use assess::history::{
    By, Comparison, Direction, Estimate, FailureTrend, Figures, Period, Ratio, RepairTrend, Report, analyse,
};
use jiff::{Timestamp, tz::TimeZone};
use model::{
    figures::{chance, number, part, percent, span},
    incident::History,
};

use super::{ends, intervals, left_out, timeline};
use crate::paper::{Badge, Bar, Bars, Glance, Markup, Paper, Shade, Table, Td, Tone};

/// The page. Its periods are those that were asked for, else those that suit the length of the stretch.
pub(super) fn page(file: &str, history: &History, report: &Report) -> String {
    let zone = &history.time_zone;
    let mut paper = Paper::new(&report.name, "history", file);
    let day = |at: Timestamp| zone.to_datetime(at).strftime("%Y-%m-%d").to_string();
    let stretch = format!("{} to {}", day(report.observed.from), day(report.observed.to));
    let (tone, word, headline) = verdict(report);
    paper.banner(tone, word, &headline, &meaning(report, &stretch));
    glance(&mut paper, report);
    stated(&mut paper, report);
    let by = suitable(report, zone);
    let calendar = analyse(history, Some(by), report.confidence).periods;
    calendar_section(&mut paper, report, &calendar, by, zone);
    let periods = if report.periods.is_empty() { &calendar } else { &report.periods };
    periods_section(&mut paper, report, periods);
    incidents(&mut paper, report, zone);
    trends(&mut paper, report);
    if let Some(comparison) = &report.change {
        change(&mut paper, comparison, &day(comparison.change.at));
    }
    method(&mut paper, report);
    paper.finish("Incidents that overlap or follow without a gap are one interruption, and count once.")
}

/// Periods of which a stretch has few enough rows to be read, and more than one.
fn suitable(report: &Report, zone: &TimeZone) -> By {
    let rows = |by: By| by.divide(report.observed, zone).len();
    // Ten weeks are a page of weeks; longer stretches are told in months, as budgets are.
    [(By::Day, 3), (By::Week, 10)].into_iter().find(|(by, most)| rows(*by) <= *most).map_or(By::Month, |(by, _)| by)
}

fn verdict(report: &Report) -> (Tone, &'static str, String) {
    let found = report.whole.availability.value.map_or_else(|| "–".to_owned(), percent);
    let name = &report.name;
    match &report.target {
        _ if report.misses_all() => {
            (Tone::Unknown, "nothing to judge by", format!("No incident of {name} lies in what was observed."))
        }
        Some(target) if target.reached == Some(true) => (
            Tone::Good,
            "target reached",
            format!("{name} was available {found} of the time; {} was aimed at.", percent(target.availability)),
        ),
        Some(target) => (
            Tone::Bad,
            "target missed",
            format!("{name} was available {found} of the time, and {} was aimed at.", percent(target.availability)),
        ),
        None => (Tone::Neutral, "no target", format!("{name} was available {found} of the time.")),
    }
}

fn meaning(report: &Report, stretch: &str) -> Vec<String> {
    let whole = &report.whole;
    let allowed = report.target.map(|target| format!(" The target allowed {}.", span(target.budget_seconds)));
    let mut texts = vec![format!(
        "{} of {} were lost, {stretch}, in {}.{}",
        span(whole.lost_seconds),
        span(whole.observed_seconds),
        super::count(whole),
        allowed.unwrap_or_default()
    )];
    if let Some(outside) = super::outside(report) {
        texts.push(outside);
    }
    if let Some(check) = report.stated.as_ref().filter(|check| !check.agrees) {
        texts.push(format!("{} was stated; that is wrong.", percent(check.stated)));
    }
    texts
}

fn with_interval(estimate: &Estimate, confidence: f64, shown: fn(f64) -> String) -> (String, String) {
    let value = estimate.value.map_or_else(|| "–".to_owned(), shown);
    (value, super::interval(estimate, confidence, shown))
}

fn glance(paper: &mut Paper, report: &Report) {
    let whole = &report.whole;
    let mut figures = Vec::new();
    let mut add = |name, estimate: &Estimate, shown: fn(f64) -> String| {
        let (value, interval) = with_interval(estimate, report.confidence, shown);
        figures.push(Glance::new(name, value, interval));
    };
    add("Availability", &whole.availability, percent);
    add("Between failures (MTBF)", &whole.mtbf, span);
    add("To restore (MTTR)", &whole.mttr, span);
    if whole.mttd.value.is_some() {
        add("To detect (MTTD)", &whole.mttd, span);
    }
    figures.push(Glance::new("Lost", span(whole.lost_seconds), super::count(whole)));
    if let Some(target) = report.target.filter(|target| target.budget_seconds > 0.0) {
        figures.push(Glance::new("Error budget", part(target.spent_seconds / target.budget_seconds), "is used"));
    }
    paper.glance(&figures);
}

fn stated(paper: &mut Paper, report: &Report) {
    let Some(check) = &report.stated else { return };
    let mut table = Table::new(["", "Availability", "Lost", ""]);
    let lost = |availability: f64| span((1.0 - availability) * report.whole.observed_seconds);
    let judged = if check.agrees { Td::state(Tone::Good, "right") } else { Td::state(Tone::Bad, "wrong") };
    table.row([Td::text("stated"), Td::figure(&percent(check.stated)), Td::figure(&lost(check.stated)), judged]);
    table.row([
        Td::text("computed from the incidents"),
        Td::strong(&percent(check.computed)),
        Td::figure(&lost(check.computed)),
        Td::default(),
    ]);
    let without = left_out(check, report).map(|sets| format!("The stated figure comes out only without {sets}."));
    paper.section("stated", "Stated and computed", without.as_deref().unwrap_or_default(), |paper| {
        paper.add(format_args!("{table}"));
    });
}

fn calendar_section(paper: &mut Paper, report: &Report, periods: &[Period], by: By, zone: &TimeZone) {
    if periods.is_empty() || periods.len() > timeline::MOST_ROWS {
        return;
    }
    let lead = "A bar for each incident, as high as the share of the service that was lost. Shaded: what was observed.";
    paper.section("calendar", "Incidents in the calendar", lead, |paper| {
        paper.add(format_args!("{}", timeline::drawing(report, periods, by, zone)));
    });
}

fn periods_section(paper: &mut Paper, report: &Report, periods: &[Period]) {
    let mut table =
        Table::new(["Period", "Availability", "Lost", "Incidents", "Between failures", "To restore", "To detect"]);
    for period in periods {
        let Figures { availability, lost_seconds, incidents, mtbf, mttr, mttd, .. } = &period.figures;
        let mean = |estimate: &Estimate| estimate.value.map_or_else(Td::default, |value| Td::figure(&span(value)));
        let (value, interval) = with_interval(availability, report.confidence, percent);
        let missed =
            report.target.is_some_and(|target| availability.value.is_some_and(|value| value < target.availability));
        let available = Td::strong(&value).note(&interval);
        table.row([
            Td::text(&period.name),
            if missed { available.and(Tone::Bad, "missed") } else { available },
            Td::figure(&span(*lost_seconds)),
            Td::figure(&incidents.to_string()),
            mean(mtbf),
            mean(mttr),
            mean(mttd),
        ]);
    }
    let lead = format!(
        "Dots are what was measured; the truth lies within the lines with a confidence of {}. The dashed line is the target.",
        percent(report.confidence)
    );
    let drawn = intervals::drawing(report, if periods.len() > timeline::MOST_ROWS { &[] } else { periods });
    if drawn.is_none() && table.is_empty() {
        return;
    }
    paper.section("availability", "Availability and its interval", if drawn.is_some() { &lead } else { "" }, |paper| {
        paper.add(format_args!("{}", drawn.unwrap_or_default()));
        if !table.is_empty() {
            paper.add(format_args!("{table}"));
        }
    });
}

fn incidents(paper: &mut Paper, report: &Report, zone: &TimeZone) {
    if report.counted().next().is_none() {
        return;
    }
    let mut table = Table::new(["Incident", "Began", "Lasted", "Lost", "Availability without it"]);
    for share in report.counted() {
        table.row([
            Td::text(&share.title).note(&share.kind.to_string()),
            Td::text(&zone.to_datetime(share.stretch.from).strftime("%Y-%m-%d %H:%M").to_string()),
            Td::figure(&span(share.seconds)),
            Td::figure(&part(share.lost)),
            Td::figure(&percent(share.without)),
        ]);
    }
    let mut most: Vec<_> = report.counted().filter(|share| share.seconds * share.lost > 0.0).collect();
    most.sort_by(|one, other| (other.seconds * other.lost).total_cmp(&(one.seconds * one.lost)));
    let bars: Vec<Bar> = most
        .iter()
        .take(10)
        .map(|share| Bar {
            label: share.title.clone(),
            value: share.seconds * share.lost,
            text: span(share.seconds * share.lost),
            shade: Shade::Plain,
        })
        .collect();
    let about = bars.iter().map(|bar| format!("{}: {}", bar.label, bar.text)).collect::<Vec<_>>().join("; ");
    let bars = Bars { title: "What incidents took".to_owned(), about, bars, mark: None };
    paper.section(
        "incidents",
        "What the incidents took",
        "Time, weighted by the share of the service that was lost.",
        |paper| {
            if bars.bars.len() > 1 {
                paper.add(format_args!("{bars}"));
            }
            paper.add(format_args!("{table}"));
        },
    );
}

const fn tone(direction: Direction) -> Tone {
    match direction {
        Direction::Better => Tone::Good,
        Direction::Worse => Tone::Bad,
        Direction::Unclear => Tone::Neutral,
    }
}

fn point(paper: &mut Paper, direction: Option<Direction>, word: &str, sentence: &str, figures: &str) {
    let tone = direction.map_or(Tone::Unknown, tone);
    paper.add(format_args!(
        "<li><strong>{} {}</strong><span class=\"soft\">{}</span></li>\n",
        Badge(tone, word),
        Markup(sentence),
        Markup(figures)
    ));
}

fn trends(paper: &mut Paper, report: &Report) {
    let few = "Too few interruptions for a trend, which takes four.";
    paper.section("trend", "Is it getting better?", "", |paper| {
        paper.add(format_args!("<ul class=\"points\">\n"));
        match &report.failures {
            None => point(paper, None, "failures", few, ""),
            Some(FailureTrend { failures, shape, shape_low, shape_high, p, direction, .. }) => {
                let words = match direction {
                    Direction::Better => "They become rarer.",
                    Direction::Worse => "They become more frequent.",
                    Direction::Unclear => "No trend that luck would not explain.",
                };
                let [shape, low, high] = [shape, shape_low, shape_high].map(|value| number(*value));
                let figures =
                    format!("{failures} failures; shape {shape}, {low} to {high}, where 1 is steady; {}", chance(*p));
                point(paper, Some(*direction), "failures", words, &figures);
            }
        }
        match &report.repairs {
            None => point(paper, None, "repairs", few, ""),
            Some(RepairTrend { repairs, tau, p, direction }) => {
                let words = match direction {
                    Direction::Better => "They become shorter.",
                    Direction::Worse => "They become longer.",
                    Direction::Unclear => "No trend that luck would not explain.",
                };
                let figures = format!("{repairs} repairs; Kendall's tau {}; {}", number(*tau), chance(*p));
                point(paper, Some(*direction), "repairs", words, &figures);
            }
        }
        paper.add(format_args!("</ul>\n"));
    });
}

fn change(paper: &mut Paper, comparison: &Comparison, at: &str) {
    let title = format!("Since {at}: {}", comparison.change.what);
    paper.section("change", &title, "", |paper| {
        let mut table = Table::new(["", "Before", "After"]);
        let [before, after] = comparison.availability.map(|value| Td::strong(&percent(value)));
        table.row([Td::text("Availability"), before, after]);
        let [before, after] = comparison.interruptions.map(|count| Td::figure(&count.to_string()));
        table.row([Td::text("Interruptions"), before, after]);
        let [before, after] = comparison.up_seconds.map(|seconds| Td::figure(&span(seconds)));
        table.row([Td::text("Time up"), before, after]);
        paper.add(format_args!("{table}<ul class=\"points\">\n"));
        ratio(paper, "failures", "for each that there was in the same time", &comparison.failures);
        match &comparison.repairs {
            Some(repairs) => ratio(paper, "repairs", "of the time that one took", repairs),
            None => point(paper, None, "repairs", "None on one of the sides, so nothing can be compared.", ""),
        }
        paper.add(format_args!("</ul>\n"));
    });
}

fn ratio(paper: &mut Paper, word: &str, of_what: &str, ratio: &Ratio) {
    let words = match ratio.direction {
        Direction::Better => "An improvement, and more than luck.",
        Direction::Worse => "Worse, and more than bad luck.",
        Direction::Unclear => "Luck would explain the difference.",
    };
    let (value, low, high) = ends(ratio);
    let figures = format!("{value} {of_what}, {low} to {high}; {}", chance(ratio.p));
    point(paper, Some(ratio.direction), word, words, &figures);
}

fn method(paper: &mut Paper, report: &Report) {
    paper.section("method", "How it was computed, and what is not known", "", |paper| {
        paper.paragraph(&format!(
            "Availability is one minus the share that was lost, each incident weighted by the share of the service that it took. The true \
             value lies within an interval with a confidence of {}; the intervals are exact where failures come at random and lengths \
             are exponential. Repairs often have a longer tail: then the interval of MTTR is too narrow.",
            percent(report.confidence)
        ));
        paper.paragraph(
            "Nothing is known but what was written down: an incident that nobody noticed is in none of these figures. A chance p is that of a \
             difference as great, either way, if nothing had changed; below 0.05 it is called more than luck.",
        );
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use assess::history::USUAL_CONFIDENCE;
    use formats::incidents::{Given, read_history};

    use super::*;
    use crate::paper::well_formed::{flaw, words};

    fn page_of(path: &str, text: &str, given: &Given) -> String {
        let history = read_history(path, text.as_bytes(), given).history.unwrap();
        let page = page(path, &history, &analyse(&history, None, USUAL_CONFIDENCE));
        assert_eq!(flaw(&page), None, "{page}");
        page
    }

    fn example(name: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/incidents").join(name))
            .unwrap()
    }

    #[test]
    fn the_verdict_comes_first_and_says_what_was_stated_wrongly() {
        let page = page_of("thirty-days.yaml", &example("thirty-days.yaml"), &Given::default());
        let said = words(&page);
        let verdict = said.find("shop was available 99.711 % of the time, and 99.9 % was aimed at.").unwrap();
        let wrong = said.find("99.85 % was stated; that is wrong.").unwrap();
        assert!(verdict < wrong && wrong < said.rfind("Incidents in the calendar").unwrap());
        assert!(page.contains("comes out only without &quot;External API"), "{page}");
        assert_eq!(page.matches("<rect class=\"incident").count(), 3 * crate::paper::SHEETS.len());
    }

    #[test]
    fn a_year_is_told_in_months_and_stretches_with_nothing_in_them_too() {
        let given = |from: &str, to: &str| Given {
            from: Some(from.parse().unwrap()),
            to: Some(to.parse().unwrap()),
            target: Some(0.9995),
            time_zone: None,
        };
        let page = page_of("year.csv", &example("year.csv"), &given("2024-01-01", "2025-01-01"));
        assert!(page.contains("2024-12") && page.contains("class=\"whisker\""));
        for (from, to) in [("2024-01-01", "2024-01-02"), ("2030-01-01", "2060-01-01")] {
            let page = page_of("year.csv", "title,began,restored\n", &given(from, to));
            assert!(page.contains("100 %"), "{page}");
        }
    }
}
