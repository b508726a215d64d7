//! Pages to work with, as Markdown: filled from the review, with blanks where it says nothing.

use std::fmt::Write;

use assess::review::change::unproven;
use jiff::{ToSpan as _, civil::Date};
use model::review::Subject;

use super::{args::Page, markdown::inline, report::Report};

/// One of the pages.
pub(super) fn page(page: Page, report: &Report<'_>) -> String {
    match page {
        Page::Preparation => preparation(report),
        Page::Validation => validation(report),
        Page::Month => month(report),
        Page::Playbook => playbook(report),
    }
}

/// A page under construction.
struct Markdown(String);

impl Markdown {
    fn new(title: &str) -> Self {
        Self(format!("# {}\n", inline(title)))
    }

    fn head(&mut self, title: &str) {
        self.add(format_args!("\n## {title}\n\n"));
    }

    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.0.write_fmt(arguments).expect("a String takes all text");
    }

    fn boxes<T: AsRef<str>>(&mut self, items: impl IntoIterator<Item = T>) {
        for item in items {
            self.add(format_args!("- [ ] {}\n", item.as_ref()));
        }
    }
}

/// What the review says, or a blank to fill in.
fn or_blank(text: Option<&str>) -> String {
    text.map_or_else(|| "__________".to_owned(), inline)
}

fn contact(subject: &Subject, part: &str) -> String {
    or_blank(subject.contacts.get(part).map(String::as_str))
}

fn objective(name: &str, value: Option<String>) -> String {
    format!("{name}: {}", value.unwrap_or_else(|| "__________".to_owned()))
}

/// The objectives in a line.
fn objectives(subject: &Subject) -> String {
    let availability = objective("availability", subject.availability.map(|share| format!("{share} %")));
    let rto = objective("time to recover", subject.rto.map(|rto| rto.to_string()));
    let rpo = objective("permitted data loss", subject.rpo.map(|rpo| rpo.to_string()));
    format!("{availability}; {rto}; {rpo}")
}

fn preparation(report: &Report<'_>) -> String {
    let subject = &report.review.workload;
    let mut page = Markdown::new(&format!("Preparing the review of {}", subject.name));
    page.add(format_args!(
        "\n{}. {} questions of {}.\n",
        objectives(subject),
        report.standing.counts.total(),
        inline(&report.lens_name())
    ));
    page.head("At hand before the first meeting");
    let components = if subject.components.is_empty() {
        "every component".to_owned()
    } else {
        inline(&subject.components.join(", "))
    };
    page.boxes([
        format!("A drawing of the architecture with all dependencies of {components}"),
        "The functions that the business cannot do without, and what an hour without each costs".to_owned(),
        "The incidents of the last twelve months with their durations (`shaketable history`)".to_owned(),
        "What is monitored, which alarms there are, and whom they reach".to_owned(),
        "Backup plans, the last restores, and the recovery procedure".to_owned(),
        format!(
            "Quotas and their use in {}",
            if subject.regions.is_empty() { "every region".to_owned() } else { inline(&subject.regions.join(", ")) }
        ),
        "The people below, with the time that they can give".to_owned(),
        "Dates for all meetings".to_owned(),
    ]);
    page.head("Who takes part");
    page.add(format_args!("| part | who | brings |\n|---|---|---|\n"));
    for (part, who, brings) in [
        (
            "Review lead",
            or_blank(subject.owner.as_deref()),
            "leads through the questions, writes answers and evidence down",
        ),
        ("Operations", contact(subject, "on-call"), "how it really runs: alarms, incidents, procedures"),
        ("Development", contact(subject, "development"), "how it is built and changed, and what is planned"),
        ("Business", contact(subject, "business"), "objectives, cost of outages, priorities"),
        ("When needed", "__________".to_owned(), "security, network, databases"),
    ] {
        page.add(format_args!("| {part} | {who} | {brings} |\n"));
    }
    page.head("Four weeks");
    page.add(format_args!("| from | to | what |\n|---|---|---|\n"));
    let monday = next_monday(report.today);
    for (first, last, what) in FOUR_WEEKS {
        let day = |offset: i32| monday.saturating_add(offset.days());
        page.add(format_args!("| {} | {} | {what} |\n", day(*first), day(*last)));
    }
    page.add(format_args!(
        "\nMeetings: kickoff 2 h; every day 15 to 30 min; deep dives 2 to 4 h; stakeholders 1 h; results 2 h.\n"
    ));
    page.0
}

/// Days from the first Monday on, and what is done on them.
const FOUR_WEEKS: &[(i32, i32, &str)] = &[
    (0, 1, "kickoff; everybody knows what it is for"),
    (2, 3, "documents are collected"),
    (4, 4, "incidents of the past and known risks are looked at"),
    (7, 7, "the workload and its objectives are defined"),
    (8, 9, "questions about foundations: limits, network"),
    (10, 11, "questions about architecture: services, interactions"),
    (14, 15, "questions about change: monitoring, demand, deployment"),
    (16, 17, "questions about failure: backup, isolation, components, tests, recovery"),
    (18, 18, "gaps are closed: what could not be answered, what has no evidence"),
    (21, 22, "improvements are chosen (`shaketable review`)"),
    (23, 24, "the plan gets owners and dates (`shaketable review plan`)"),
    (25, 25, "results are presented; a milestone keeps them"),
];

/// The day itself if it is one.
fn next_monday(day: Date) -> Date {
    let ahead = (7 - i32::from(day.weekday().to_monday_zero_offset())) % 7;
    day.saturating_add(ahead.days())
}

fn validation(report: &Report<'_>) -> String {
    let subject = &report.review.workload;
    let mut page = Markdown::new(&format!("Validating an improvement of {}", subject.name));
    page.add(format_args!("\n{}.\n\nWhat: __________  By whom: __________  When: __________\n", objectives(subject)));
    page.head("Does it do what it did?");
    page.boxes([
        "All functions work, by the functional tests and by hand for the most important one",
        "Data is whole: counts and samples agree with before",
        "Users notice nothing worse, or what is worse was agreed on",
        "Neighbouring systems get and give what they did",
        "Access, encryption and audit are as strict as before",
    ]);
    page.head("Does it do it as well?");
    let rto = subject.rto.map_or_else(|| "the time to recover".to_owned(), |rto| rto.to_string());
    page.boxes([
        "Response times are within their objectives at usual and at peak load".to_owned(),
        "It takes the required load".to_owned(),
        "Processors, memory, connections and quotas have room".to_owned(),
        "It scales out and in by itself".to_owned(),
        format!("Recovery takes at most {rto}, measured"),
    ]);
    page.head("Does it withstand more?");
    page.boxes([
        "The fault that it is meant for was injected, and the hypothesis held (`shaketable run`)",
        "Failover happened by itself, and the way back was tried",
        "A restore brought the data back whole",
        "The alarm fired, reached the right person, and led to the right page",
        "The steps of the playbook were followed by someone who did not write them",
    ]);
    page.head("Practices that this may answer");
    for item in report.items.iter().take(10) {
        page.boxes([format!("{} {}", inline(&item.label), inline(&item.title))]);
    }
    page.0
}

fn month(report: &Report<'_>) -> String {
    let (subject, monthly) = (&report.review.workload, &report.monthly);
    let mut page = Markdown::new(&format!("Monthly review of {}, {}", subject.name, report.today.strftime("%B %Y")));
    page.head("Figures");
    match monthly.month {
        Some(month) => page.add(format_args!("Measured in {}.\n\n", month.strftime("%B %Y"))),
        None => page.add(format_args!("No month has been measured yet; add one under `months`.\n\n")),
    }
    page.add(format_args!("| | measured | promised | kept |\n|---|---|---|---|\n"));
    for figure in &monthly.figures {
        let kept = match figure.kept {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        page.add(format_args!(
            "| {} | {} | {} | {kept} |\n",
            figure.name,
            figure.value,
            figure.target.as_deref().unwrap_or("")
        ));
    }
    let counts = report.standing.counts;
    page.add(format_args!(
        "| Questions of high risk | {} | 0 | {} |\n",
        counts.high,
        if counts.high == 0 { "yes" } else { "**no**" }
    ));
    let (without, followed) = unproven(&report.standing);
    page.add(format_args!("| Practices shown by evidence | {} of {followed} | | |\n", followed - without));
    if let Some((milestone, comparison)) = &report.since {
        let better = comparison.changes.iter().filter(|change| change.better() == Some(true)).count();
        let worse = comparison.changes.iter().filter(|change| change.better() == Some(false)).count();
        page.add(format_args!("| Since {} | {better} better, {worse} worse | | |\n", inline(&milestone.name)));
    }
    page.head("Agenda (60 minutes)");
    for (n, (minutes, what)) in AGENDA.iter().enumerate() {
        page.add(format_args!("{}. {what} ({minutes} min)\n", n + 1));
    }
    list(&mut page, "Ends within a month", &monthly.due, report);
    list(&mut page, "Late", &monthly.late, report);
    if !monthly.expiring.is_empty() {
        page.head("Evidence that expires within a month");
        for expiring in &monthly.expiring {
            let day = expiring.expires.strftime("%Y-%m-%d");
            page.add(format_args!("- {day}: {} for `{}`\n", inline(&expiring.source), expiring.choice));
        }
    }
    page.head("Each month, in this order");
    page.boxes(EACH_MONTH);
    page.0
}

/// Minutes, and what they are for.
const AGENDA: [(u32, &str); 6] = [
    (10, "Figures: what was promised, what was kept"),
    (15, "Incidents since last time: causes, and what became of the actions"),
    (10, "Improvements: done, due, late"),
    (10, "Evidence: what expires, and who renews it"),
    (10, "What has changed: new components, dependencies, limits; questions to answer anew"),
    (5, "Decisions, each with an owner and a date"),
];

/// High priority first.
const EACH_MONTH: [&str; 9] = [
    "High: look for new single points of failure (`shaketable availability`)",
    "High: bring what incidents taught into playbooks and alarms",
    "High: go through the recovery plan, and name the day of the next rehearsal",
    "Medium: remove alarms that led to nothing, and add those that were missing",
    "Medium: bring runbooks and drawings up to date",
    "Medium: choose the next experiments",
    "Low: look at what redundancy costs",
    "Low: see which new services would replace work of your own",
    "Low: plan training and the next game day",
];

fn list(page: &mut Markdown, title: &str, labels: &[String], report: &Report<'_>) {
    if labels.is_empty() {
        return;
    }
    page.head(title);
    for task in report.schedule.tasks.iter().filter(|task| labels.contains(&task.label)) {
        let owner = or_blank(task.owner.as_deref());
        page.add(format_args!("- [ ] {}: {} {} ({owner})\n", task.end, inline(&task.label), inline(&task.title)));
    }
}

fn playbook(report: &Report<'_>) -> String {
    let subject = &report.review.workload;
    let name = inline(&subject.name);
    let mut page = Markdown::new(&format!("Incidents of {}", subject.name));
    page.add(format_args!("\n{}.\n\n| part | who |\n|---|---|\n", objectives(subject)));
    for (part, who) in &subject.contacts {
        page.add(format_args!("| {} | {} |\n", inline(part), inline(who)));
    }
    page.head("How severe it is");
    let on_call = contact(subject, "on-call");
    let manager = contact(subject, "manager");
    page.add(format_args!(
        "| severity | when | answer within | who |\n|---|---|---|---|\n\
         | 1, critical | it is down for all, data is lost or wrong, or somebody broke in | 15 min | {on_call} and {manager} |\n\
         | 2, high | a part is down, objectives are missed, or redundancy is gone | 1 h | {on_call} |\n\
         | 3, medium | something is slower or missing that few need, or an alarm without effect on users | 4 h | in working hours |\n"
    ));
    for (title, steps) in STEPS {
        page.head(title);
        page.boxes(*steps);
    }
    page.head("What to write: first message");
    page.add(format_args!(
        "> **{name}: severity ___, ____________________**\n> Since: ____ UTC. Effect: ____________________.\n\
         > We are looking for the cause. Next message: ____ UTC, at {}.\n",
        contact(subject, "status page")
    ));
    page.head("What to write: while it lasts");
    page.add(format_args!(
        "> **{name}: ____________________**\n> State: looking for the cause / repairing / repaired.\n\
         > Done so far: ____________________. Next: ____________________.\n> Next message: ____ UTC.\n"
    ));
    page.head("What to write: when it is over");
    page.add(format_args!(
        "> **{name} works again**\n> From ____ to ____ UTC ({} was promised). Cause: ____________________.\n\
         > So that it does not happen again: ____________________. We look back on it on ____.\n",
        objective("time to recover", subject.rto.map(|rto| rto.to_string()))
    ));
    page.0
}

const STEPS: &[(&str, &[&str])] = &[
    (
        "The first 15 minutes",
        &[
            "Say that you have it, so that nobody else looks for who has",
            "See what users see, and choose the severity",
            "Write the first message",
            "Call whom the severity says; one leads, another writes",
            "Begin with what stops the harm, even before the cause is known: undo the last change, move the traffic",
        ],
    ),
    (
        "Finding and repairing",
        &[
            "Collect what is known: alarms, changes of the last hours, traces, logs",
            "Name the most probable cause and what would disprove it; look at that first",
            "Work around it, so that users are served",
            "Repair it",
            "Watch the figures that users feel until they are as before",
        ],
    ),
    (
        "Afterwards",
        &[
            "Make sure that it is over, and that what was worked around is as it should be",
            "Write the last message",
            "Keep timeline, messages and graphs before they are gone",
            "Set the day of the look back, within a week",
            "Give each action an owner and a date, and bring it into the review",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        assert_eq!(next_monday(day("2026-11-22")), day("2026-11-23"));
        assert_eq!(next_monday(day("2026-11-23")), day("2026-11-23"));
        assert_eq!(next_monday(day("2026-11-24")), day("2026-11-30"));
    }
}
