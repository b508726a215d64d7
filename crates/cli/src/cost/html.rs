//! What outages cost as a page that one can hand over.

use assess::cost::{Check, Choice, Found, Report};
use model::figures::{number, part, percent, span};

use super::{Money, figure_of, often};
use crate::paper::{Bar, Bars, Glance, Paper, Shade, Table, Td, Tone};

/// The page.
pub(super) fn page(file: &str, report: &Report) -> String {
    let money = Money(&report.currency);
    let mut paper = Paper::new(&report.name, "cost", file);
    banner(&mut paper, report, money);
    glance(&mut paper, report, money);
    programme(&mut paper, report, money);
    options(&mut paper, report, money);
    checks(&mut paper, &report.options, money);
    found(&mut paper, &report.findings, money);
    method(&mut paper, report);
    paper.finish("A year has 8,760 hours. Trust, reputation and sleep are not in the sums; they are not zero.")
}

/// The option that costs least in all, of several.
fn cheapest(options: &[Choice]) -> Option<&Choice> {
    options.iter().filter(|_| options.len() > 1).min_by(|one, other| one.yearly.total_cmp(&other.yearly))
}

fn banner(paper: &mut Paper, report: &Report, money: Money<'_>) {
    let hour = format!("An hour of downtime of {} costs {}.", report.name, money.of(report.hour));
    let mut texts = Vec::new();
    if let Some(best) = cheapest(&report.options) {
        let gain = best.gain.filter(|gain| gain.net > 0.0);
        let saves = gain.map(|gain| format!(", {} less than the first", money.of(gain.net))).unwrap_or_default();
        texts.push(format!("\"{}\" costs least: {} a year in all{saves}.", best.name, money.of(best.yearly)));
    }
    if let Some(outage) = &report.outage {
        texts.push(format!("An outage of {} costs {}.", span(outage.hours * 3600.0), money.of(outage.cost)));
    }
    if let Some(value) = &report.programme {
        let back = value.roi.map(|roi| format!(", a return of {}", part(roi))).unwrap_or_default();
        texts.push(format!("Of what the programme avoids in a year {} are left{back}.", money.of(value.net)));
    }
    let wrong = report.options.iter().flat_map(|option| &option.checks).filter(|check| !check.agrees).count();
    let loss = report.programme.is_some_and(|value| value.net < 0.0);
    let (tone, word) = match (wrong, loss) {
        (1.., _) => (Tone::Warn, "sums to correct"),
        (0, true) => (Tone::Warn, "does not pay"),
        (0, false) => (Tone::Neutral, "what it costs"),
    };
    if wrong > 0 {
        texts.push(format!(
            "{wrong} of the figures that somebody stated {} wrong.",
            if wrong == 1 { "is" } else { "are" }
        ));
    }
    paper.banner(tone, word, &hour, &texts);
}

fn glance(paper: &mut Paper, report: &Report, money: Money<'_>) {
    let mut figures = vec![Glance::new("An hour of downtime", money.of(report.hour), "")];
    if let Some(outage) = &report.outage {
        figures.push(Glance::new("An outage", money.of(outage.cost), span(outage.hours * 3600.0)));
    }
    if let Some(value) = &report.programme {
        figures.push(Glance::new("Avoided a year", money.of(value.avoided), format!("for {}", money.of(value.spent))));
        figures.push(Glance::new("Return", value.roi.map_or_else(|| "–".to_owned(), part), ""));
    }
    if let Some(best) = cheapest(&report.options) {
        figures.push(Glance::new("Costs least a year", money.of(best.yearly), best.name.clone()));
    }
    paper.glance(&figures);
}

fn programme(paper: &mut Paper, report: &Report, money: Money<'_>) {
    let Some(value) = &report.programme else { return };
    let bar =
        |label: &str, amount: f64, shade| Bar { label: label.to_owned(), value: amount, text: money.of(amount), shade };
    let bars = vec![
        bar("outages avoided a year", value.avoided, Shade::Aim),
        bar("the programme costs a year", value.spent, Shade::Plain),
    ];
    let about = bars.iter().map(|bar| format!("{}: {}", bar.label, bar.text)).collect::<Vec<_>>().join("; ");
    let bars = Bars { title: "What the programme avoids and costs".to_owned(), about, bars, mark: None };
    let lead = value
        .break_even
        .map(|often_enough| format!("It pays for itself if it avoids such an outage {}.", often(often_enough)));
    paper.section("programme", "Is the programme worth it?", lead.as_deref().unwrap_or_default(), |paper| {
        paper.add(format_args!("{bars}"));
    });
}

fn options(paper: &mut Paper, report: &Report, money: Money<'_>) {
    if report.options.is_empty() {
        return;
    }
    let least = cheapest(&report.options).map(|best| best.yearly);
    let mut table = Table::new([
        "Option",
        "Availability",
        "Runs for, a month",
        "Down a year",
        "A year in all",
        "Gain a year",
        "Return",
    ]);
    let mut bars = Vec::new();
    for choice in &report.options {
        let best = least.is_some_and(|least| choice.yearly <= least);
        let once = match choice.gain.filter(|_| choice.once > 0.0) {
            Some(gain) => match gain.payback_months {
                Some(months) => format!("once {}, back after {} months", money.of(choice.once), number(months)),
                None => format!("once {}, which never comes back", money.of(choice.once)),
            },
            None => String::new(),
        };
        let beaten = choice.beaten_by.as_ref().map(|other| format!("\"{other}\" is as good or better in everything"));
        let name = Td::text(&choice.name).note(&once).note(beaten.as_deref().unwrap_or_default());
        let whole = Td::strong(&money.of(choice.yearly));
        table.row([
            name,
            Td::figure(&percent(choice.availability)),
            Td::figure(&money.of(choice.monthly)),
            Td::figure(&span(choice.down_hours * 3600.0)).note(&money.of(choice.down_cost)),
            if best { whole.and(Tone::Good, "least") } else { whole },
            choice.gain.map_or_else(Td::default, |gain| Td::figure(&money.of(gain.net))),
            choice.gain.and_then(|gain| gain.roi).map_or_else(Td::default, |roi| Td::figure(&part(roi))),
        ]);
        let text = format!("{} ({} of it downtime)", money.of(choice.yearly), money.of(choice.down_cost));
        let shade = if best { Shade::Aim } else { Shade::Plain };
        bars.push(Bar { label: choice.name.clone(), value: choice.yearly, text, shade });
    }
    let about = bars.iter().map(|bar| format!("{}: {}", bar.label, bar.text)).collect::<Vec<_>>().join("; ");
    let bars = Bars { title: "A year of each option in all".to_owned(), about, bars, mark: None };
    let lead = "What each costs to run, and the downtime that is to be expected at what an hour of it costs; compared with the first.";
    paper.section("options", "Which of these designs?", lead, |paper| {
        if bars.bars.len() > 1 {
            paper.add(format_args!("{bars}"));
        }
        paper.add(format_args!("{table}"));
    });
}

fn checks(paper: &mut Paper, options: &[Choice], money: Money<'_>) {
    let mut table = Table::new(["Figure", "Stated", "Is", ""]);
    for (option, check) in options.iter().flat_map(|option| option.checks.iter().map(move |check| (option, check))) {
        let Check { what, stated, computed, agrees } = check;
        let (what, stated, computed) = figure_of(*what, *stated, *computed, money);
        let judged = if *agrees { Td::state(Tone::Good, "right") } else { Td::state(Tone::Bad, "wrong") };
        table.row([Td::text(what).note(&option.name), Td::figure(&stated), Td::strong(&computed), judged]);
    }
    if !table.is_empty() {
        paper.section("stated", "Stated and computed", "", |paper| paper.add(format_args!("{table}")));
    }
}

fn found(paper: &mut Paper, findings: &[Found], money: Money<'_>) {
    let mut table = Table::new(["Weakness", "An outage costs", "Prevented", "Spent", "Left", "Return"]);
    for one in findings {
        let paid = one.break_even.map(|often_enough| format!("paid if it would have happened {}", often(often_enough)));
        table.row([
            Td::text(&one.name).note(paid.as_deref().unwrap_or_default()),
            Td::figure(&money.of(one.outage_cost)).note(&span(one.outage_hours * 3600.0)),
            Td::figure(&money.of(one.prevented)),
            Td::figure(&money.of(one.spent)).note(&format!("{} h of work", number(one.hours))),
            Td::strong(&money.of(one.net)),
            one.roi.map_or_else(Td::default, |roi| Td::figure(&part(roi))),
        ]);
    }
    if !table.is_empty() {
        let lead = "What experiments found before an outage did: the outages that it would have led to, less the work.";
        paper.section("found", "What were the experiments worth?", lead, |paper| paper.add(format_args!("{table}")));
    }
}

fn method(paper: &mut Paper, report: &Report) {
    paper.section("method", "How it was computed, and what is not known", "", |paper| {
        paper.paragraph(
            "Downtime is one minus the availability, times a year. A return is what is saved less what is spent, divided by what is spent; \
             what is paid once is not in it, but told in months until it is back.",
        );
        if report.programme.is_some() || !report.findings.is_empty() {
            paper.paragraph("Nobody knows how often something would have happened: so it is told how often it must for the money to be well spent.");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::paper::well_formed::{flaw, words};

    fn page_of(example: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/costs").join(example);
        let read = formats::cost::read_costs(example, &std::fs::read(path).unwrap());
        let page = page(example, &assess::cost::assess(&read.costs.unwrap()));
        assert_eq!(flaw(&page), None, "{page}");
        words(&page)
    }

    #[test]
    fn an_outage_and_a_programme_are_told_in_a_sentence_each() {
        let page = page_of("outage.yaml");
        for part in ["An outage of 2 h costs $204,000.", "a return of 240 %", "once in 3.4 years"] {
            assert!(page.contains(part), "no `{part}` in {page}");
        }
    }

    #[test]
    fn options_stand_beside_each_other_and_wrong_sums_beside_right_ones() {
        let page = page_of("high-availability.yaml");
        for part in ["sums to correct", "$1,125", "$1,150", "is as good or better in everything", "costs least"] {
            assert!(page.contains(part), "no `{part}` in {page}");
        }
    }
}
