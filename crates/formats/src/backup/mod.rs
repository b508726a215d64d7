//! Plans and selections of AWS Backup.

mod form;
mod schedule;

use crate::{codes, decode::Reader, finding::Finding, node::Node, source::Span};

/// Days that a backup stays in cold storage at least, by the service's rule.
const COLD_DAYS: f64 = 90.0;

/// Looks at a plan as the API and its files have it, or at a selection.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    form::check(reader, root);
    plan(reader, root.get("BackupPlan").unwrap_or(root));
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
        continuous(reader, rule);
        windows(reader, rule);
        schedule::check(reader, rule);
    }
}

/// Longest that continuous backups are kept, in days: as far back as restores to a point in time go.
const CONTINUOUS_DAYS: f64 = 35.0;

/// A continuous backup that is kept too long, or moved to cold storage.
fn continuous(reader: &mut Reader<'_>, rule: &Node) {
    let on = rule.get("EnableContinuousBackup").and_then(Node::as_text) == Some("true");
    let Some(lifecycle) = rule.get("Lifecycle").filter(|_| on) else { return };
    let report = |reader: &mut Reader<'_>, span: Span, message: String| {
        let finding = Finding::new(&codes::CONTINUOUS_BACKUP, span, message);
        reader.report(finding.help("keep them for 35 days at most; a second rule with snapshots keeps what is older"));
    };
    if let Some((kept, span)) = days(lifecycle, "DeleteAfterDays").filter(|(kept, _)| *kept > CONTINUOUS_DAYS) {
        report(
            reader,
            span,
            format!("continuous backups are kept for at most {CONTINUOUS_DAYS} days, and not for {kept}"),
        );
    }
    if let Some((_, span)) = days(lifecycle, "MoveToColdStorageAfterDays") {
        report(reader, span, "continuous backups cannot go to cold storage".to_owned());
    }
}

/// A window that ends before it can begin.
fn windows(reader: &mut Reader<'_>, rule: &Node) {
    /// Minutes that a start window has at least, by the service's rule.
    const LEAST: f64 = 60.0;
    let start = days(rule, "StartWindowMinutes");
    if let Some((minutes, span)) = start.filter(|(minutes, _)| *minutes < LEAST) {
        let message = format!("a start window has at least {LEAST} minutes, and not {minutes}");
        reader.report(Finding::new(&codes::WRONG_VALUE, span, message).help("write 60 or more"));
    }
    if let (Some((start, _)), Some((end, span))) = (start, days(rule, "CompletionWindowMinutes"))
        && end <= start
    {
        let message = format!("a backup may start after {start} minutes, and must be complete after {end}");
        let finding = Finding::new(&codes::WRONG_VALUE, span, message);
        reader
            .report(finding.help("make CompletionWindowMinutes longer than StartWindowMinutes by what a backup takes"));
    }
}

/// A number under a key, with its place.
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
