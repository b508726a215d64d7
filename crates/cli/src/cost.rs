//! `shaketable cost`: what outages cost, and what it is worth to prevent them.

mod html;

use std::{fs, process::ExitCode};

use anyhow::{Context, Result, bail};
use assess::cost::{Check, Choice, Figure, Found, OutageCost, ProgrammeValue, Report};
use engine::report::columns::{Cell, Paint};
use formats::cost::read_costs;
use model::figures::{number, part, percent, span};

use crate::{
    args::Cost,
    page::Page,
    terminal::{self, Style},
};

/// Reads a calculation, computes and prints.
pub(crate) fn cost(call: &Cost, style: Style) -> Result<ExitCode> {
    let name = call.file.display().to_string();
    let bytes = fs::read(&call.file).with_context(|| format!("cannot read {name}"))?;
    let read = read_costs(&name, &bytes);
    terminal::err(&formats::render::terminal(&read.findings, &read.source, style.colour));
    let Some(costs) = read.costs else { bail!("{name} has errors; nothing was computed") };
    let report = assess::cost::assess(&costs);
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

fn page(report: &Report, style: Style) -> String {
    let money = Money(&report.currency);
    let mut page = Page::new(style);
    page.head(&format!("{}: an hour of downtime costs {}", report.name, money.of(report.hour)));
    if let Some(outage) = &report.outage {
        page.outage(outage, report.programme.as_ref(), money);
    }
    page.options(&report.options, money);
    page.found(&report.findings, money);
    page.into_text()
}

/// How amounts are written.
#[derive(Clone, Copy)]
struct Money<'c>(&'c str);

impl Money<'_> {
    /// `$204,000`, `-$1.50`, `JPY 300`: whole above a hundred, since it is all estimated.
    fn of(self, amount: f64) -> String {
        let size = amount.abs();
        let text = if size >= 100.0 || size.fract() == 0.0 { format!("{size:.0}") } else { format!("{size:.2}") };
        let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, part)| (whole, Some(part)));
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        let fraction = fraction.map(|part| format!(".{part}")).unwrap_or_default();
        let gap = if self.0.ends_with(char::is_alphabetic) { " " } else { "" };
        let sign = if amount < 0.0 && text != "0" { "-" } else { "" };
        format!("{sign}{}{gap}{grouped}{fraction}", self.0)
    }
}

/// What a figure is of, as it was stated, and as it is.
fn figure_of(what: Figure, stated: f64, computed: f64, money: Money<'_>) -> (&'static str, String, String) {
    match what {
        Figure::Monthly => ("a month", money.of(stated), money.of(computed)),
        Figure::SavedHours => ("hours saved a year", number(stated), number(computed)),
        Figure::SavedPerYear => ("saved a year", money.of(stated), money.of(computed)),
        Figure::Roi => ("return", part(stated), part(computed)),
    }
}

/// How often something happens: `0.5 times a year`, or `once in 102 years`.
fn often(per_year: f64) -> String {
    if per_year > 0.0 && per_year < 1.0 {
        format!("once in {} years", number(1.0 / per_year))
    } else {
        format!("{} times a year", number(per_year))
    }
}

impl Page {
    fn outage(&mut self, outage: &OutageCost, programme: Option<&ProgrammeValue>, money: Money<'_>) {
        let text = format!("of {} costs {}", span(outage.hours * 3600.0), money.of(outage.cost));
        self.paragraph("an outage", Paint::Bold, &text);
        let Some(value) = programme else { return };
        let paint = if value.net >= 0.0 { Paint::Good } else { Paint::Bad };
        let back = value.roi.map(|roi| format!(", a return of {}", part(roi))).unwrap_or_default();
        let text = format!(
            "avoids outages of {} a year and costs {}: {} are left{back}",
            money.of(value.avoided),
            money.of(value.spent),
            money.of(value.net),
        );
        self.paragraph("the programme", paint, &text);
        if let Some(break_even) = value.break_even {
            self.paragraph(
                "",
                Paint::Plain,
                &format!("it pays for itself if it avoids such an outage {}", often(break_even)),
            );
        }
    }

    fn options(&mut self, options: &[Choice], money: Money<'_>) {
        if options.is_empty() {
            return;
        }
        self.part("Options");
        let head = ["", "availability", "a month", "down a year", "a year in all", "gain", "return"];
        let least = options.iter().map(|choice| choice.yearly).fold(f64::INFINITY, f64::min);
        let mut rows = Vec::new();
        for choice in options {
            let plain = |text: &str| Cell::new(text, Paint::Plain);
            let none = || "-".to_owned();
            let best = choice.yearly <= least;
            rows.push([
                plain(&choice.name),
                plain(&percent(choice.availability)),
                plain(&money.of(choice.monthly)),
                plain(&span(choice.down_hours * 3600.0)),
                Cell::new(&money.of(choice.yearly), if best { Paint::Good } else { Paint::Plain }),
                plain(&choice.gain.map_or_else(none, |gain| money.of(gain.net))),
                plain(&choice.gain.and_then(|gain| gain.roi).map_or_else(none, part)),
            ]);
        }
        self.headed(head, &rows);
        for choice in options {
            self.remarks(choice, money);
        }
    }

    fn remarks(&mut self, choice: &Choice, money: Money<'_>) {
        if let Some(other) = &choice.beaten_by {
            let text = format!("\"{}\" is as good or better in everything than \"{}\"", other, choice.name);
            self.paragraph("beaten:", Paint::Warn, &text);
        }
        if let Some(gain) = choice.gain.filter(|_| choice.once > 0.0) {
            let text = match gain.payback_months {
                Some(months) => format!("what \"{}\" costs once is back after {} months", choice.name, number(months)),
                None => format!("what \"{}\" costs once never comes back", choice.name),
            };
            self.paragraph("once:", Paint::Plain, &text);
        }
        for Check { what, stated, computed, agrees } in &choice.checks {
            let (what, stated, computed) = figure_of(*what, *stated, *computed, money);
            let subject = format!("\"{}\", {what}", choice.name);
            if *agrees {
                self.paragraph("right:", Paint::Good, &format!("{subject}: {stated}"));
            } else {
                self.paragraph("wrong:", Paint::Bad, &format!("{subject}: {stated} was stated; it is {computed}"));
            }
        }
    }

    fn found(&mut self, found: &[Found], money: Money<'_>) {
        if found.is_empty() {
            return;
        }
        self.part("Found by experiments");
        for one in found {
            let text = format!(
                "found in production, it would have meant {} of downtime and {} lost, each time; the experiment and the \
                 repair took {} hours, which cost {}. Over the time that the repair helps {} are saved{}",
                span(one.outage_hours * 3600.0),
                money.of(one.outage_cost),
                number(one.hours),
                money.of(one.spent),
                money.of(one.net),
                one.roi.map(|roi| format!(", a return of {}", part(roi))).unwrap_or_default(),
            );
            self.paragraph(&format!("{}:", one.name), Paint::Bold, &text);
            if let Some(break_even) = one.break_even {
                let text = format!("the work is paid if it would have happened {}", often(break_even));
                self.paragraph("", Paint::Plain, &text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn amounts_are_grouped_and_have_cents_where_these_matter() {
        let dollars = [204_000.0, 87_600.4, 999.0, 1_234_567.0, 12.5, -1.5, 0.0].map(|amount| Money("$").of(amount));
        assert_eq!(dollars, ["$204,000", "$87,600", "$999", "$1,234,567", "$12.50", "-$1.50", "$0"]);
        assert_eq!(Money("JPY").of(3000.0), "JPY 3,000");
    }

    #[test]
    fn frequencies_are_told_as_people_would() {
        assert_eq!([often(2.0), often(1.0 / 102.0)], ["2 times a year", "once in 102 years"]);
    }

    fn shown(example: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/costs").join(example);
        let read = read_costs(&path.to_string_lossy(), &fs::read(&path).unwrap());
        assert_eq!(read.findings, []);
        page(&assess::cost::assess(&read.costs.unwrap()), Style { colour: false, live: false, width: 120 })
    }

    #[test]
    fn an_outage_of_two_hours_costs_what_the_example_says() {
        let page = shown("outage.yaml");
        for part in ["an outage of 2 h costs $204,000", "a return of 240 %", "once in 102 years"] {
            assert!(page.contains(part), "no `{part}` in\n{page}");
        }
    }

    #[test]
    fn sums_that_somebody_wrote_are_put_right() {
        let page = shown("high-availability.yaml");
        for part in [
            "a month: $1,125 was stated; it is $1,150",
            "hours saved a year: 13 was stated; it is 8.76",
            "saved a year: $130,000 was stated; it is $87,600",
            "return: 1963 % was stated; it is 1290 %",
            "beaten: \"one zone for the database\" is as good or better",
        ] {
            assert!(page.contains(part), "no `{part}` in\n{page}");
        }
    }
}
