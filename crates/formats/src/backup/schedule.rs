//! Schedules: whether the service takes them, and whether they run when people say they do.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    semantics::placeholder,
    source::{Source, Span},
};

/// Days of the week by the words people use for them, with AWS cron's number.
const DAYS: &[(u8, &[&str])] = &[
    (1, &["sunday", "日曜", "週日", "星期日", "周日"]),
    (2, &["monday", "月曜", "週一", "星期一", "周一"]),
    (3, &["tuesday", "火曜", "週二", "星期二", "周二"]),
    (4, &["wednesday", "水曜", "週三", "星期三", "周三"]),
    (5, &["thursday", "木曜", "週四", "星期四", "周四"]),
    (6, &["friday", "金曜", "週五", "星期五", "周五"]),
    (7, &["saturday", "土曜", "週六", "星期六", "周六"]),
];

/// The day and the time that people say, against the expression.
pub(super) fn check(reader: &mut Reader<'_>, rule: &Node) {
    let Some(node) = rule.get("ScheduleExpression") else { return };
    let Some(text) = node.as_text().filter(|_| node.tag.is_none()) else { return };
    expression(reader, node, text);
    let fields: Vec<&str> = text.trim_start_matches("cron(").trim_end_matches(')').split_whitespace().collect();
    let [_, hour, _, _, day, _] = fields[..] else { return };
    let said = said(reader.source, rule, node);
    let named = DAYS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word)));
    if let (Ok(number), Some((right, words))) = (day.parse::<u8>(), named)
        && number != *right
    {
        let runs = DAYS.iter().find(|(known, _)| *known == number).map_or("no day", |(_, words)| words[0]);
        let message = format!("in AWS cron {number} is {runs}, not {}", words[0]);
        let at = node.span.start + reader.source.slice(node.span).rfind(day).unwrap_or_default();
        let short = words[0].get(..3).unwrap_or_default().to_uppercase();
        reader.report(
            Finding::new(&codes::CRON_DAY, Span::new(at, at + day.len()), message)
                .help(format!("write {short}, or {right}")),
        );
    }
    let zoned = rule.entry("ScheduleExpressionTimezone").is_some() || said.contains("utc") || said.contains("gmt");
    if !zoned && hour.parse::<u8>().is_ok() && names_time(&said) {
        let message = format!("{hour}:00 is meant in UTC; the rule has no time zone");
        reader.report(
            Finding::new(&codes::UTC_SCHEDULE, node.span, message).help("set ScheduleExpressionTimezone, or say UTC"),
        );
    }
}

/// What people say about the rule: the rest of its line, and its name.
fn said(source: &Source, rule: &Node, node: &Node) -> String {
    let (line, _) = source.position(node.span.end);
    let line = source.line(line);
    let rest = source.slice(Span::new(node.span.end.min(line.end), line.end));
    let comment = rest.split_once('#').map_or("", |(_, comment)| comment);
    let name = rule.get("RuleName").and_then(Node::as_text).unwrap_or_default();
    format!("{comment} {name}").to_lowercase()
}

/// Whether a time of day is named: `午前5時`, `5 am`, `05:00`.
fn names_time(said: &str) -> bool {
    const WORDS: &[&str] = &["午前", "午後", "凌晨", "早上", "上午", "下午", "a.m.", "p.m."];
    let clock = said
        .as_bytes()
        .windows(4)
        .any(|four| four[1] == b':' && [four[0], four[2], four[3]].iter().all(u8::is_ascii_digit));
    let hour =
        |word: &str| said.find(word).is_some_and(|at| said[..at].trim_end().ends_with(|c: char| c.is_ascii_digit()));
    clock || WORDS.iter().any(|word| said.contains(word)) || hour("am") || hour("pm")
}

/// An expression that AWS refuses.
fn expression(reader: &mut Reader<'_>, node: &Node, text: &str) {
    if placeholder(text) || text.starts_with("rate(") || text.starts_with("at(") {
        return;
    }
    let mut refuse = |message: String, help: &str| {
        reader.report(Finding::new(&codes::WRONG_VALUE, node.span, message).help(help));
    };
    let Some(inner) = text.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) else {
        refuse(format!("`{text}` is no schedule of AWS"), "write cron(0 5 ? * * *), or rate(12 hours)");
        return;
    };
    let fields: Vec<&str> = inner.split_whitespace().collect();
    let [_, _, day, _, weekday, _] = fields[..] else {
        let message = format!("cron of AWS has six fields, and this one {}", fields.len());
        refuse(message, "write minutes, hours, day of the month, month, day of the week, year: cron(0 5 ? * * *)");
        return;
    };
    match (day == "?", weekday == "?") {
        (false, false) => refuse(
            "of the day of the month and the day of the week one must be `?`".to_owned(),
            "write cron(0 5 ? * * *) for every day, cron(0 5 ? * MON *) for Mondays",
        ),
        (true, true) => refuse(
            "the day of the month and the day of the week are both `?`: the schedule names no day".to_owned(),
            "write cron(0 5 ? * * *) for every day",
        ),
        _ => {}
    }
}
