//! What prose and reports promise: objectives, and figures that should follow from others.

use super::quantity;
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    source::{Source, Span},
};

/// What the whole of a file says that matters for its parts: objectives in its prose, in seconds, and what it speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Goals {
    /// Within which time the service is back.
    pub(crate) rto: Option<f64>,
    /// How much of the newest data may be lost.
    pub(crate) rpo: Option<f64>,
    /// Whether names are spoken of.
    pub(crate) dns: bool,
    /// Whether a health check looks for a text in answers.
    pub(crate) reads_content: bool,
    /// Whether an experiment has an alarm to stop it.
    pub(crate) stops: bool,
}

impl Goals {
    /// Of a text, whose objectives count where it is `prose`: `RTO < 5 minutes`, `RPO ≤ 1 分鐘`. An objective that is stated
    /// twice and differently is none.
    pub(crate) fn of(text: &str, prose: bool) -> Self {
        let objective = |name| stated(text, name).filter(|_| prose);
        Self {
            rto: objective("RTO"),
            rpo: objective("RPO"),
            dns: text.as_bytes().windows(3).any(|word| word.eq_ignore_ascii_case(b"dns")),
            reads_content: text.contains("STR_MATCH"),
            stops: text.contains("aws:cloudwatch:alarm"),
        }
    }
}

fn stated(text: &str, name: &str) -> Option<f64> {
    let mut found: Option<f64> = None;
    for (at, _) in text.match_indices(name) {
        let rest = text[at + name.len()..].trim_start();
        let Some(rest) = rest.strip_prefix(['<', '≤', '＜']) else { continue };
        let rest = rest.strip_prefix('=').unwrap_or(rest);
        let end = rest.char_indices().nth(24).map_or(rest.len(), |(at, _)| at);
        let Some(seconds) = quantity::seconds(&rest[..end]) else { continue };
        if found.is_some_and(|before| (before - seconds).abs() > f64::EPSILON) {
            return None;
        }
        found = Some(seconds);
    }
    found
}

/// A report in plain text: the availability it states against the incidents it lists.
pub(super) fn report(reader: &mut Reader<'_>, source: &Source, span: Span) {
    let text = source.slice(span);
    let Some(days) = text.lines().find_map(days) else { return };
    let mut minutes = 0.0;
    let mut incidents = 0;
    for line in text.lines().filter(|line| line.trim_start().starts_with(['-', '*'])) {
        let Some(seconds) = line.rsplit_once('(').and_then(|(_, within)| quantity::seconds(within)) else { continue };
        incidents += 1;
        minutes += seconds / 60.0;
    }
    let Some((line, stated)) = text.lines().find_map(|line| {
        let lower = line.to_lowercase();
        let states = lower.contains("availability") && !lower.contains("target") && !lower.contains("report");
        Some((line, states.then(|| quantity::percent(line))??))
    }) else {
        return;
    };
    if incidents == 0 {
        return;
    }
    let computed = (1.0 - minutes / (days * 1_440.0)) * 100.0;
    // A figure with two decimals may be off by half of the last.
    if (computed - stated).abs() > 0.006 {
        let start = span.start + text.find(line).unwrap_or_default();
        let message =
            format!("{incidents} incidents of {minutes} minutes in {days} days are {computed:.3} %, not {stated} %");
        let help = "say with which weight a partial outage counts, and compute: shaketable history";
        reader.report(
            Finding::new(&codes::STATED_AVAILABILITY, Span::new(start, start + line.len()), message).help(help),
        );
    }
}

/// `30-Day`, `90 days`
fn days(line: &str) -> Option<f64> {
    let lower = line.to_lowercase();
    let at = lower.find("-day").or_else(|| lower.find(" days"))?;
    let digits = lower[..at].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    lower[digits..at].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_where_they_are_promised() {
        let goals = Goals::of("- 99.9% (RTO < 5分鐘)\n- RPO < 1分鐘，資料損失", true);
        assert_eq!(goals, Goals { rto: Some(300.0), rpo: Some(60.0), ..Goals::default() });
        assert_eq!(Goals::of("the RTO is important; RPO: later", true).rto, None);
        assert_eq!(Goals::of("RPO < 1 min here, RPO < 5 min there", true).rpo, None);
        assert_eq!(Goals::of("rto: RTO < 5 min", false), Goals::default());
    }
}
