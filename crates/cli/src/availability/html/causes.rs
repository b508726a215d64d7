//! What takes a design down: one cause, several together, and how important each is.

use assess::availability::{Contribution, Expected, downtime::YEAR};
use model::figures::{number, part, span};

use super::ROWS;
use crate::paper::{Bar, Bars, Markup, Paper, Shade, Table, Td};

/// Where the downtime comes from.
pub(super) fn sources(paper: &mut Paper, expected: &Expected) {
    let counted: Vec<&Contribution> = expected.contributions.iter().filter(|one| one.accounts_for > 0.0).collect();
    if counted.is_empty() {
        return;
    }
    let bars: Vec<Bar> = counted
        .iter()
        .take(ROWS)
        .map(|one| Bar {
            label: one.cause.to_string(),
            value: one.accounts_for,
            text: format!("{} ({})", span(one.accounts_for), part(one.importance.criticality)),
            shade: if expected.single_points.contains(&one.cause) { Shade::Bad } else { Shade::Plain },
        })
        .collect();
    let about = bars.iter().map(|bar| format!("{}: {}", bar.label, bar.text)).collect::<Vec<_>>().join("; ");
    let more = counted.len().saturating_sub(ROWS);
    let bars = Bars { title: "Where the downtime comes from".to_owned(), about, bars, mark: None };
    let lead = "Downtime a year that would go if a cause never occurred, and its share of the whole. Causes that must meet count \
                with each of them, so the shares add up to more than the whole. Red: a single point of failure.";
    paper.section("sources", "Where the downtime comes from", lead, |paper| {
        paper.add(format_args!("{bars}"));
        if more > 0 {
            paper.paragraph(&format!("… and {more} more that count less."));
        }
    });
}

/// What takes it down: alone, and together.
pub(super) fn together(paper: &mut Paper, expected: &Expected) {
    let several: Vec<_> = expected.cut_sets.iter().filter(|set| set.causes.len() > 1).collect();
    if several.is_empty() && expected.single_points.is_empty() {
        return;
    }
    paper.section("failures", "What takes it down", "", |paper| {
        if !expected.single_points.is_empty() {
            paper.add(format_args!("<h3 class=\"aside\">Single points of failure</h3>\n<ul class=\"names\">"));
            for cause in &expected.single_points {
                paper.add(format_args!("<li><span aria-hidden=\"true\">▲</span> {}</li>", Markup(cause)));
            }
            paper.add(format_args!("</ul>\n"));
        }
        let mut table = Table::new(["What together is enough", "At a time", "All of it lasts, a year"]);
        for set in several.iter().take(ROWS) {
            let names: Vec<String> = set.causes.iter().map(ToString::to_string).collect();
            table.row([
                Td::text(&names.join(" + ")),
                Td::figure(&names.len().to_string()),
                Td::strong(&span(set.probability * YEAR)),
            ]);
        }
        if !table.is_empty() {
            paper.add(format_args!(
                "<h3 class=\"aside\">Minimal cut sets of several failures, most probable first</h3>\n{table}"
            ));
        }
        let all: f64 = expected.cut_sets_by_order.iter().skip(2).sum();
        let left = all - several.len().min(ROWS) as f64;
        if left >= 1.0 {
            paper.paragraph(&format!("… and {left:.0} more that are less probable."));
        }
    });
}

/// The measures of importance.
pub(super) fn importance(paper: &mut Paper, expected: &Expected) {
    let mut table = Table::new([
        "Cause",
        "Down",
        "Birnbaum",
        "Criticality",
        "Fussell-Vesely",
        "Risk achievement",
        "Risk reduction",
    ]);
    for one in expected.contributions.iter().take(ROWS) {
        let importance = &one.importance;
        let worth =
            |value: f64| if value.is_finite() { format!("× {}", number(value)) } else { "all of it".to_owned() };
        table.row([
            Td::text(&one.cause.to_string()),
            Td::figure(&part(one.down)),
            Td::figure(&number(importance.birnbaum)),
            Td::figure(&part(importance.criticality)),
            Td::figure(&part(importance.fussell_vesely)),
            Td::figure(&worth(importance.achievement_worth)),
            Td::figure(&worth(importance.reduction_worth)),
        ]);
    }
    let lead = "Birnbaum: how much more probably it fails while the cause lasts. Criticality: the share of the downtime that \
                would go without it. Fussell-Vesely: the share of the downtime in which it is down. Risk achievement: how many \
                times more probable failure is while it lasts; risk reduction: how many times less without it.";
    if !table.is_empty() {
        paper.section("importance", "Importance", lead, |paper| paper.add(format_args!("{table}")));
    }
}
