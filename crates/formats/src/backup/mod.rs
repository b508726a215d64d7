//! Plans and selections of AWS Backup.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    source::{Source, Span},
};

/// Days that a backup stays in cold storage at least, by the service's rule.
const COLD_DAYS: f64 = 90.0;

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

/// Looks at a plan as the API and its files have it, or at a selection.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let body = root.get("BackupPlan").unwrap_or(root);
    plan(reader, body);
    selection(reader, root.get("BackupSelection").unwrap_or(root));
}

/// Looks at a plan: `Rules` in the API, `BackupPlanRule` in CloudFormation.
pub(crate) fn plan(reader: &mut Reader<'_>, plan: &Node) {
    let rules =
        plan.get("Rules").or_else(|| plan.get("BackupPlanRule")).and_then(Node::as_sequence).unwrap_or_default();
    for rule in rules {
        if let Some(lifecycle) = rule.get("Lifecycle") {
            cold(reader, lifecycle);
        }
        for copy in rule.get("CopyActions").and_then(Node::as_sequence).unwrap_or_default() {
            if let Some(lifecycle) = copy.get("Lifecycle") {
                cold(reader, lifecycle);
            }
        }
        schedule(reader, rule);
    }
}

fn days(lifecycle: &Node, key: &str) -> Option<(f64, Span)> {
    let node = lifecycle.get(key)?;
    Some((node.as_text()?.parse().ok()?, node.span))
}

/// Deleted too early after going cold.
fn cold(reader: &mut Reader<'_>, lifecycle: &Node) {
    let (Some((cold, span)), Some((delete, _))) =
        (days(lifecycle, "MoveToColdStorageAfterDays"), days(lifecycle, "DeleteAfterDays"))
    else {
        return;
    };
    if cold >= 0.0 && delete >= 0.0 && delete < cold + COLD_DAYS {
        let message = format!(
            "cold after {cold} days and deleted after {delete} leaves {} days in cold storage; at least {COLD_DAYS} are needed",
            delete - cold
        );
        let help = format!("set DeleteAfterDays to at least {}, or leave cold storage out", cold + COLD_DAYS);
        reader.report(Finding::new(&codes::COLD_STORAGE, span, message).help(help));
    }
}

/// The day and the time that people say, against the expression.
fn schedule(reader: &mut Reader<'_>, rule: &Node) {
    let Some(node) = rule.get("ScheduleExpression") else { return };
    let Some(text) = node.as_text() else { return };
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

/// Looks at a selection.
pub(crate) fn selection(reader: &mut Reader<'_>, selection: &Node) {
    let (Some(tags), Some(resources)) = (selection.entry("ListOfTags"), selection.get("Resources")) else { return };
    let all = resources.as_sequence().is_some_and(|items| items.iter().any(|item| item.as_text() == Some("*")));
    if all && tags.value.as_sequence().is_some_and(|items| !items.is_empty()) {
        let message = "entries of ListOfTags are alternatives, next to a list of resources that names everything";
        reader.report(
            Finding::new(&codes::TAGS_ARE_ALTERNATIVES, tags.key_span, message)
                .help("use Conditions: { StringEquals: [...] }, which must all hold for what Resources names"),
        );
    }
}
