//! Plans of so many days that are told in weeks.

use crate::{codes, decode::Reader, finding::Finding, source::Span};

/// Days by which the weeks of a plan may miss what it is called without a word: four weeks are called a month of 30 days, and
/// nobody is misled. A working week is more than that.
const ROUNDING: u32 = 5;

/// A plan whose weeks are being read.
struct Plan {
    days: u32,
    headline: Span,
    /// How deep its headline is; a line in bold stands below all headings.
    level: usize,
    /// The last week so far.
    weeks: u32,
}

/// Looks at the plans of a Markdown text, whose fenced blocks stand at `blocks` in their order: `90-day plan` with 12 weeks
/// under it, up to the next headline.
pub(super) fn check(reader: &mut Reader<'_>, text: &str, span: Span, blocks: &[Span]) {
    let mut blocks = blocks.iter().peekable();
    let mut plan: Option<Plan> = None;
    let mut at = span.start;
    for written in text[span.range()].split_inclusive('\n') {
        let (start, line) = (at, written.trim());
        at += written.len();
        while blocks.next_if(|block| block.end <= start).is_some() {}
        if blocks.peek().is_none_or(|block| start < block.start) {
            let level = level(line);
            if let Some(days) = days_of_plan(line) {
                let headline = Span::new(start, start + written.trim_end().len());
                let next = Plan { days, headline, level: level.unwrap_or(usize::MAX), weeks: 0 };
                report(reader, plan.replace(next).as_ref());
                continue;
            }
            if level.is_some_and(|level| plan.as_ref().is_some_and(|plan| level <= plan.level)) {
                report(reader, plan.take().as_ref());
            }
        }
        if let (Some(plan), Some(week)) = (&mut plan, last_week(line)) {
            plan.weeks = plan.weeks.max(week);
        }
    }
    report(reader, plan.as_ref());
}

fn report(reader: &mut Reader<'_>, plan: Option<&Plan>) {
    let Some(&Plan { days, headline, weeks, .. }) = plan else { return };
    if weeks > 1 && weeks * 7 + ROUNDING < days {
        let message = format!("the plan is called one of {days} days, and its {weeks} weeks are {} days", weeks * 7);
        let help = format!("plan {} weeks, or call it a plan of {} days", days.div_ceil(7), weeks * 7);
        reader.report(Finding::new(&codes::WEEKS_OF_PLAN, headline, message).help(help));
    }
}

/// How deep a heading is; a line in bold is none.
fn level(line: &str) -> Option<usize> {
    let signs = line.chars().take_while(|c| *c == '#').count();
    (signs > 0 && line[signs..].starts_with(' ')).then_some(signs)
}

/// 90 of the headline `**90-Day Implementation Plan:**`.
fn days_of_plan(line: &str) -> Option<u32> {
    let is_headline = level(line).is_some() || line.starts_with("**");
    let lower = line.to_ascii_lowercase();
    if !is_headline || !["plan", "roadmap"].iter().any(|word| lower.contains(word)) {
        return None;
    }
    let at = ["-day", " day"].iter().find_map(|word| lower.find(word))?;
    let before = &lower[..at];
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    before[before.len() - digits..].parse().ok().filter(|days| (7..=1000).contains(days))
}

/// 12 of `## Phase 3 (Weeks 9-12)`, `| Week 12 |` or `- Weeks 11 to 12: …`.
fn last_week(line: &str) -> Option<u32> {
    if !line.starts_with(['#', '|', '-', '*', '+']) {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    let behind = lower.split("week").skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let (first, rest) = number(rest.strip_prefix(' ')?)?;
        let to = ["-", "–", " - ", " – ", " to "].iter().find_map(|sign| number(rest.strip_prefix(sign)?));
        Some(to.map_or(first, |(last, _)| last))
    });
    behind.max()
}

/// The number that a text begins with, of at most three digits, and what follows it.
fn number(text: &str) -> Option<(u32, &str)> {
    let length = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = text[..length].parse().ok().filter(|_| length <= 3)?;
    Some((number, &text[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn found(text: &str) -> Vec<String> {
        let source = Source::new("plan.md", text);
        let mut reader = Reader::new(&source, &[]);
        let fence = text.find("```").map(|start| Span::new(start, text.rfind("```").unwrap_or(start)));
        check(&mut reader, text, Span::new(0, text.len()), fence.as_slice());
        reader.findings.iter().map(|finding| finding.message.clone()).collect()
    }

    #[test]
    fn weeks_are_held_against_the_days_of_the_headline() {
        let twelve = "the plan is called one of 90 days, and its 12 weeks are 84 days";
        assert_eq!(found("## A 90-day plan\n\n### Weeks 1-4\n\n### Weeks 5 to 12: more\n"), [twelve]);
        assert_eq!(found("**90-Day Plan:**\n```\n## Phase 3 (Weeks 9-12)\n### Week 10\n```\n## Week 13\n"), [twelve]);
        assert_eq!(found("# 90-day roadmap\n| Week 1 | a |\n| Weeks 11–12 | b |\n"), [twelve]);
    }

    #[test]
    fn what_is_right_or_nearly_so_is_left_alone() {
        for text in [
            "# 90-day plan\n- Week 1: a\n- Week 13: b\n",
            "# 30-day plan\n- Weeks 1-2\n- Weeks 3-4\n",
            "# 90-day plan\nWe meet each week 12 times.\n# Later\n- Week 12\n",
            "A 90-day plan.\n- Week 12\n",
            "# 90-day plan\n- week one\n- Week 12345\n",
            "# Plan\n- Week 12\n",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }
}
