//! Sums and savings that a script prints: totals that do not follow from their items.

use super::lex::{Command, Script};
use crate::{
    check::quantity,
    codes,
    decode::Reader,
    finding::Finding,
    source::{Source, Span},
};

/// Hours of a year of 365 days.
const YEAR: f64 = 8_760.0;

/// A line that is printed, in lower case.
struct Printed {
    text: String,
    span: Span,
}

/// Looks at what a script prints.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, script: &Script) {
    let echoed = |command: &&Command| command.name() == "echo";
    let lines: Vec<Printed> = script
        .commands
        .iter()
        .filter(echoed)
        .map(|command| Printed { text: source.slice(command.span).to_lowercase(), span: command.span })
        .collect();
    totals(reader, &lines);
    savings(reader, &lines);
}

/// The amounts of a text: `$1,125 (+$525`.
fn amounts(text: &str) -> Vec<f64> {
    text.split('$')
        .skip(1)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|rest| quantity::number(rest).map(|(number, _)| number))
        .collect()
}

/// A total with its increase, against the total before.
fn totals(reader: &mut Reader<'_>, lines: &[Printed]) {
    let mut before: Option<f64> = None;
    for line in lines.iter().filter(|line| line.text.contains("total")) {
        let amounts = amounts(&line.text);
        if let (Some(before), [total, increase]) = (before, &amounts[..])
            && line.text.contains("(+$")
            && (before + increase - total).abs() > 0.5
        {
            let message = format!("{before} and an increase of {increase} are {}, not {total}", before + increase);
            reader.report(Finding::new(&codes::WRONG_SUM, line.span, message).help(
                "add the items again; one of the old ones is missing in the new sum, or the increase is another",
            ));
        }
        before = amounts.first().copied();
    }
}

/// The first line that has all words.
fn find<'l>(lines: &'l [Printed], words: &[&str]) -> Option<&'l Printed> {
    lines.iter().find(|line| words.iter().all(|word| line.text.contains(word)))
}

/// What a higher availability saves: hours, money, return.
fn savings(reader: &mut Reader<'_>, lines: &[Printed]) {
    let percent = |words: &[&str]| find(lines, words).and_then(|line| quantity::percent(&line.text));
    let (Some(current), Some(target)) = (percent(&["current", "availability"]), percent(&["target", "availability"]))
    else {
        return;
    };
    let hours = (target - current) / 100.0 * YEAR;
    if let Some(line) = find(lines, &["reduction", "hour"])
        && let Some((stated, _)) = quantity::number(&line.text)
        && (stated - hours).abs() > 0.05 * hours
    {
        let message = format!("from {current} % to {target} % are {hours:.2} hours a year, not {stated}");
        reader
            .report(Finding::new(&codes::WRONG_SAVING, line.span, message).help(
                "multiply the difference of the availabilities with 8,760 hours; all downtime of before is more",
            ));
    }
    let per_hour = find(lines, &["per hour", "$"]).and_then(|line| amounts(&line.text).first().copied());
    let Some(saving) = per_hour.map(|per_hour| per_hour * hours) else { return };
    if let Some(line) = find(lines, &["savings", "$"])
        && let Some(stated) = amounts(&line.text).first()
        && (stated - saving).abs() > 0.05 * saving
    {
        let message = format!("{hours:.2} hours are worth {saving:.0}, not {stated}");
        reader.report(
            Finding::new(&codes::WRONG_SAVING, line.span, message)
                .help("multiply the hours that are saved with what an hour costs: shaketable cost"),
        );
        // What is computed from it is wrong with it.
        if let Some(line) = find(lines, &["roi", &format!("{stated:.0}")]) {
            let message = format!("this return is computed from {stated}, and {saving:.0} is what is saved");
            reader.report(
                Finding::new(&codes::WRONG_SAVING, line.span, message)
                    .help("compute it anew, and count what the change costs once"),
            );
        }
    }
}
