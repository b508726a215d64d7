//! Tables for spreadsheets (RFC 4180).

use std::fmt::Write;

use super::report::Report;

/// A row for each practice that is not followed.
pub(super) fn review(report: &Report<'_>) -> String {
    let mut text = row(&[
        "practice",
        "title",
        "question",
        "question risk",
        "risk",
        "impact",
        "effort",
        "field",
        "owner",
        "progress",
        "due",
        "what to do",
        "more",
    ]);
    for item in &report.items {
        let due = item.due.map(|due| due.to_string()).unwrap_or_default();
        text += &row(&[
            &item.label,
            &item.title,
            &item.question,
            item.question_risk.name(),
            &item.risk.to_string(),
            &item.impact.to_string(),
            &item.effort.to_string(),
            item.field.name(),
            item.owner.as_deref().unwrap_or_default(),
            item.progress.name(),
            &due,
            item.text.as_deref().unwrap_or_default(),
            item.url.as_deref().unwrap_or_default(),
        ]);
    }
    text
}

/// A row for each task of the plan.
pub(super) fn plan(report: &Report<'_>) -> String {
    let mut text = row(&["practice", "title", "start", "end", "phase", "owner", "after", "progress", "late"]);
    for task in &report.schedule.tasks {
        text += &row(&[
            &task.label,
            &task.title,
            &task.start.to_string(),
            &task.end.to_string(),
            &task.phase.to_string(),
            task.owner.as_deref().unwrap_or_default(),
            &task.after.join(" "),
            task.progress.name(),
            if task.late { "yes" } else { "no" },
        ]);
    }
    text
}

/// A row whose fields are quoted where they must be. A field that a spreadsheet would take for a formula begins with an
/// apostrophe, which spreadsheets hide: names in a review come from whoever may write to it.
pub(super) fn row(fields: &[&str]) -> String {
    let mut line = String::new();
    for (n, field) in fields.iter().enumerate() {
        let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let field = if formula { format!("'{field}") } else { (*field).to_owned() };
        let separator = if n > 0 { "," } else { "" };
        let result = if field.contains([',', '"', '\n', '\r']) {
            write!(line, "{separator}\"{}\"", field.replace('"', "\"\""))
        } else {
            write!(line, "{separator}{field}")
        };
        result.expect("a String takes all text");
    }
    line + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn fields_are_quoted_where_they_must_be_and_are_never_formulas() {
        assert_eq!(row(&["a", "b, c", "say \"x\"", "=1+1", ""]), "a,\"b, c\",\"say \"\"x\"\"\",'=1+1,\r\n");
    }
}
