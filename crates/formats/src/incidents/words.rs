//! Lengths of time and shares in the words of people: `45 minutes`, `99.85%`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use model::stated::Stated;

use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// A length of time: `PT45M`, `45 minutes`, `1h 30m`, `2 days`. Days have 24 hours.
pub(crate) fn length(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Duration> {
    read_length(reader, node, what, false)
}

/// A length of time that may be long, such as the time between failures: as [`length`], and also in months of 30 and years of
/// 365 days, as availability is told of.
pub(crate) fn long_length(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Duration> {
    read_length(reader, node, what, true)
}

fn read_length(reader: &mut Reader<'_>, node: &Node, what: &str, years: bool) -> Option<Duration> {
    let text = reader.text(node, what)?;
    let length = parse_length(&text, years);
    if length.is_none() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("{what}: `{text}` is not a length of time"));
        reader.report(finding.help("write for example 45 minutes, 1h 30m or PT45M"));
    }
    length
}

fn parse_length(text: &str, years: bool) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let days = i64::from(span.get_years()) * 365 + i64::from(span.get_months()) * 30;
    if days != 0 && !years {
        return None;
    }
    let rest = span.try_years(0).ok()?.try_months(0).ok()?;
    let rest: SignedDuration = rest.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(rest.checked_add(SignedDuration::from_hours(days * 24))?).ok()
}

/// A share of a whole: `99.85%`, or `0.9985`. A number above 1 without its sign is refused: `99.85` could be meant as percent, and
/// `1` could not be told from `1%`.
pub(crate) fn share(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Stated> {
    let text = reader.text(node, what)?;
    let share = parse(&text).filter(|share| (0.0..=1.0).contains(&share.value));
    if share.is_none() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("{what}: `{text}` is not a share"));
        reader.report(finding.help("write percent with their sign, such as 99.9%, or a number from 0 to 1"));
    }
    share
}

/// Whether a text is a share.
pub(crate) fn is_share(text: &str) -> bool {
    parse(text).is_some_and(|share| (0.0..=1.0).contains(&share.value))
}

/// A figure that somebody computed: a number, or percent.
pub(crate) fn figure(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Stated> {
    let text = reader.text(node, what)?;
    let figure = parse(&text);
    if figure.is_none() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("{what}: `{text}` is not a number"));
        reader.report(finding.help("write digits alone, such as 1125 or 84%"));
    }
    figure
}

/// A number with how exactly it was written; with a percent sign, a hundredth of it.
fn parse(text: &str) -> Option<Stated> {
    let (digits, per) = match text.trim().strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // A text has far fewer digits than this saturates at.
    let last = i32::try_from(decimals).map_or(0.0, |decimals| 10_f64.powi(-decimals));
    let value = digits.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(Stated { value: value / per, rounding: last / per / 2.0 })
}
