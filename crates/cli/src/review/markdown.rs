//! A review as Markdown, for pull requests and wikis.

use std::fmt::Write;

use assess::review::plan::matrix;

use super::report::Report;

/// Text of the review inside a line or a table's cell.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Where the workload stands, and what to improve.
pub(super) fn review(report: &Report<'_>) -> String {
    let mut text = format!(
        "# {}\n\n{}, on {}. **{}**\n\n",
        inline(&report.review.workload.name),
        inline(&report.lens_name()),
        report.today,
        report.headline()
    );
    text += "| question | risk | |\n|---|---|---|\n";
    for question in report.standing.questions() {
        add(
            &mut text,
            format_args!("| {} | {} | {} |\n", inline(question.label()), question.risk.name(), inline(&question.title)),
        );
    }
    let anew: Vec<String> = report
        .standing
        .questions()
        .flat_map(|question| &question.choices)
        .filter_map(|choice| {
            let label = choice.practice.as_deref().unwrap_or(&choice.id);
            Some(format!("- {} {}: {}\n", inline(label), inline(&choice.title), inline(&choice.why_anew()?)))
        })
        .collect();
    if !anew.is_empty() {
        add(&mut text, format_args!("\n## To be answered anew\n\n{}", anew.concat()));
    }
    if let Some((milestone, comparison)) = &report.since {
        add(&mut text, format_args!("\n## Since {}\n\n", inline(&milestone.name)));
        if comparison.changes.is_empty() {
            text += "Nothing has changed.\n";
        }
        for change in &comparison.changes {
            let (before, after) = (change.before.name(), change.after.name());
            let (gained, lost) = (change.gained.len(), change.lost.len());
            add(
                &mut text,
                format_args!("- {}: {before} → {after}; {gained} gained, {lost} lost\n", inline(&change.label)),
            );
        }
    }
    text += "\n## What to improve\n";
    for (field, items) in matrix(&report.items) {
        add(&mut text, format_args!("\n### {}\n\n", field.name()));
        for item in items {
            let owner = item.owner.as_deref().unwrap_or("no owner yet");
            add(
                &mut text,
                format_args!(
                    "- [ ] **{}** {} (risk {}, impact {}, effort {}; {})\n",
                    inline(&item.label),
                    inline(&item.title),
                    item.risk,
                    item.impact,
                    item.effort,
                    inline(owner)
                ),
            );
            if let Some(what) = &item.text {
                add(&mut text, format_args!("  {}\n", inline(what)));
            }
        }
    }
    text + "\n" + &plan(report)
}

/// The plan of 90 days.
pub(super) fn plan(report: &Report<'_>) -> String {
    let schedule = &report.schedule;
    let mut text = format!("## 90 days from {} to {}\n", schedule.first, schedule.last);
    for phase in 1..=4_u8 {
        let tasks: Vec<_> = schedule.tasks.iter().filter(|task| task.phase == phase).collect();
        if tasks.is_empty() {
            continue;
        }
        match schedule.checkpoints.get(usize::from(phase) - 1) {
            Some(day) => add(&mut text, format_args!("\n### By {day}\n\n")),
            None => text += "\n### After the 90 days\n\n",
        }
        text += "| from | to | practice | who | after |\n|---|---|---|---|---|\n";
        for task in tasks {
            let owner = task.owner.as_deref().unwrap_or("nobody yet");
            add(
                &mut text,
                format_args!(
                    "| {} | {}{} | {} {} | {} | {} |\n",
                    task.start,
                    task.end,
                    if task.late { " (late)" } else { "" },
                    inline(&task.label),
                    inline(&task.title),
                    inline(owner),
                    inline(&task.after.join(", "))
                ),
            );
        }
    }
    if !schedule.circular.is_empty() {
        add(
            &mut text,
            format_args!(
                "\nNot planned, because they wait for each other: {}\n",
                inline(&schedule.circular.join(", "))
            ),
        );
    }
    text
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes all text");
}
