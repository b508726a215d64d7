//! Pages to work with, filled from the review, with blanks where it says nothing.

use std::time::Duration;

use assess::review::{change::unproven, month::Expiring};
use jiff::{ToSpan as _, civil::Date};
use model::{Period, figures::span, review::Subject};

use super::{
    args::Page,
    month,
    report::Report,
    sheet::{Block, Sheet},
};

/// One of the pages.
pub(super) fn page(page: Page, report: &Report<'_>) -> Sheet {
    match page {
        Page::Preparation => preparation(report),
        Page::Validation => validation(report),
        Page::Month => monthly(report),
        Page::Playbook => playbook(report),
    }
}

/// What the review says, or a blank to fill in.
fn or_blank(text: Option<&str>) -> String {
    text.unwrap_or(BLANK).to_owned()
}

/// To be filled in by hand.
const BLANK: &str = "__________";

fn contact(subject: &Subject, part: &str) -> String {
    or_blank(subject.contacts.get(part).map(String::as_str))
}

fn objective(name: &str, value: Option<&str>) -> String {
    format!("{name}: {}", or_blank(value))
}

/// The objectives in a line.
fn objectives(subject: &Subject) -> String {
    let availability = objective("availability", subject.availability.map(|share| format!("{share} %")).as_deref());
    let rto = objective("time to recover", subject.rto.map(long).as_deref());
    let rpo = objective("permitted data loss", subject.rpo.map(long).as_deref());
    format!("{availability}; {rto}; {rpo}.")
}

/// A length of time as people read it.
fn long(period: Period) -> String {
    span(period.as_secs_f64())
}

fn preparation(report: &Report<'_>) -> Sheet {
    let subject = &report.review.workload;
    let mut page = Sheet::new(format!("Preparing the review of {}", subject.name));
    let questions = report.standing.counts.total();
    page.text(format!("{} {questions} questions of {}.", objectives(subject), report.lens_name()));
    page.head("At hand before the first meeting");
    let components =
        if subject.components.is_empty() { "every component".to_owned() } else { subject.components.join(", ") };
    page.boxes([
        format!("A drawing of the architecture with all dependencies of {components}"),
        "The functions that the business cannot do without, and what an hour without each costs".to_owned(),
        "The incidents of the last twelve months with their durations (`shaketable history`)".to_owned(),
        "What is monitored, which alarms there are, and whom they reach".to_owned(),
        "Backup plans, the last restores, and the recovery procedure".to_owned(),
        format!(
            "Quotas and their use in {}",
            if subject.regions.is_empty() { "every region".to_owned() } else { subject.regions.join(", ") }
        ),
        "The people below, with the time that they can give".to_owned(),
        "Dates for all meetings".to_owned(),
    ]);
    page.head("Who takes part");
    let people = [
        (
            "Review lead",
            or_blank(subject.owner.as_deref()),
            "leads through the questions, writes answers and evidence down",
        ),
        ("Operations", contact(subject, "on-call"), "how it really runs: alarms, incidents, procedures"),
        ("Development", contact(subject, "development"), "how it is built and changed, and what is planned"),
        ("Business", contact(subject, "business"), "objectives, cost of outages, priorities"),
        ("When needed", BLANK.to_owned(), "security, network, databases"),
    ];
    let rows = people.into_iter().map(|(part, who, brings)| vec![part.to_owned(), who, brings.to_owned()]);
    page.table(&["part", "who", "brings"], rows.collect());
    page.head("Four weeks");
    let monday = next_monday(report.today);
    let day = |offset: i32| monday.saturating_add(offset.days()).to_string();
    let rows = FOUR_WEEKS.iter().map(|(first, last, what)| vec![day(*first), day(*last), (*what).to_owned()]);
    page.table(&["from", "to", "what"], rows.collect());
    page.text("Meetings: kickoff 2 h; every day 15 to 30 min; deep dives 2 to 4 h; stakeholders 1 h; results 2 h.");
    page
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

fn validation(report: &Report<'_>) -> Sheet {
    let subject = &report.review.workload;
    let mut page = Sheet::new(format!("Validating an improvement of {}", subject.name));
    page.text(objectives(subject));
    page.text(format!("What: {BLANK} By whom: {BLANK} When: {BLANK}"));
    page.head("Does it do what it did?");
    page.boxes([
        "All functions work, by the functional tests and by hand for the most important one",
        "Data is whole: counts and samples agree with before",
        "Users notice nothing worse, or what is worse was agreed on",
        "Neighbouring systems get and give what they did",
        "Access, encryption and audit are as strict as before",
    ]);
    page.head("Does it do it as well?");
    let rto = subject.rto.map_or_else(|| "the time to recover".to_owned(), long);
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
    page.boxes(report.items.iter().take(10).map(|item| format!("{} {}", item.label, item.title)));
    page
}

fn monthly(report: &Report<'_>) -> Sheet {
    let (subject, monthly) = (&report.review.workload, &report.monthly);
    let mut page = Sheet::new(format!("Monthly review of {}, {}", subject.name, report.today.strftime("%B %Y")));
    page.head(match monthly.month {
        Some(month) => format!("Figures of {}", month.strftime("%B %Y")),
        None => "Figures".to_owned(),
    });
    page.table(&["", "measured", "month before", "promised", "kept"], figures(report));
    page.text(month::trend(monthly).unwrap_or_default());
    page.add(Block::Points(monthly.remarks.clone()));
    let incidents = month::incidents(monthly);
    if !incidents.is_empty() {
        page.head("Incidents of the month");
        page.boxes(incidents);
    }
    page.head("Agenda (60 minutes)");
    page.add(Block::Steps(AGENDA.iter().map(|(minutes, what)| format!("{what} ({minutes} min)")).collect()));
    list(&mut page, "Ends within a month", &monthly.due, report);
    list(&mut page, "Late", &monthly.late, report);
    if !monthly.expiring.is_empty() {
        page.head("Evidence that expires within a month");
        let line = |expiring: &Expiring| {
            format!("{}: {} for `{}`", expiring.expires.strftime("%Y-%m-%d"), expiring.source, expiring.choice)
        };
        page.add(Block::Points(monthly.expiring.iter().map(line).collect()));
    }
    page.head("Each month, in this order");
    page.boxes(EACH_MONTH);
    page.head("Decisions");
    page.table(&["what", "who", "until when"], vec![vec![BLANK.to_owned(); 3]; 3]);
    page
}

/// The figures of the month, and those of the review.
fn figures(report: &Report<'_>) -> Vec<Vec<String>> {
    let kept = |kept: Option<bool>| match kept {
        Some(true) => "✓ yes",
        Some(false) => "✗ no",
        None => "",
    };
    let mut rows: Vec<Vec<String>> = report
        .monthly
        .figures
        .iter()
        .map(|figure| {
            let (value, before, promised) =
                (month::shown(figure.value), month::before(figure), month::promised(figure));
            vec![figure.name.to_owned(), value, before, promised, kept(figure.kept).to_owned()]
        })
        .collect();
    let high = report.standing.counts.high;
    let mut own = |cells: [&str; 5]| rows.push(cells.map(str::to_owned).to_vec());
    own(["Questions of high risk", &high.to_string(), "", "0", kept(Some(high == 0))]);
    let (without, followed) = unproven(&report.standing);
    own(["Practices shown by evidence", &format!("{} of {followed}", followed - without), "", "", ""]);
    if let Some((milestone, comparison)) = &report.since {
        let count = |way: bool| comparison.changes.iter().filter(|change| change.better() == Some(way)).count();
        let said = format!("{} better, {} worse", count(true), count(false));
        own([&format!("Questions since {}", milestone.name), &said, "", "", ""]);
    }
    rows
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

fn list(page: &mut Sheet, title: &str, labels: &[String], report: &Report<'_>) {
    if labels.is_empty() {
        return;
    }
    page.head(title);
    let tasks = report.schedule.tasks.iter().filter(|task| labels.contains(&task.label));
    page.boxes(
        tasks.map(|task| format!("{}: {} {} ({})", task.end, task.label, task.title, or_blank(task.owner.as_deref()))),
    );
}

fn playbook(report: &Report<'_>) -> Sheet {
    let subject = &report.review.workload;
    let mut page = Sheet::new(format!("Incidents of {}", subject.name));
    page.text(objectives(subject));
    let contacts = subject.contacts.iter().map(|(part, who)| vec![part.clone(), who.clone()]);
    page.table(&["part", "who"], contacts.collect());
    page.head("How severe it is");
    let (on_call, manager) = (contact(subject, "on-call"), contact(subject, "manager"));
    let severities = [
        (
            "1, critical",
            "it is down for all, data is lost or wrong, or somebody broke in",
            long(first_answer(subject)),
            format!("{on_call} and {manager}"),
        ),
        ("2, high", "a part is down, objectives are missed, or redundancy is gone", "1 h".to_owned(), on_call),
        (
            "3, medium",
            "something is slower or missing that few need, or an alarm without effect on users",
            "4 h".to_owned(),
            "in working hours".to_owned(),
        ),
    ];
    let rows = severities
        .into_iter()
        .map(|(severity, when, within, who)| vec![severity.to_owned(), when.to_owned(), within, who]);
    page.table(&["severity", "when", "answer within", "who"], rows.collect());
    for (title, steps) in STEPS {
        page.head(*title);
        page.boxes(steps.iter().copied());
    }
    messages(&mut page, subject);
    page
}

/// By when somebody answers when all is down: in a quarter of an hour, as is usual, and in no more than a third of the time to
/// recover, because finding and repairing take the rest.
fn first_answer(subject: &Subject) -> Period {
    let usual = Duration::from_secs(15 * 60);
    Period::new(subject.rto.map_or(usual, |rto| usual.min(rto.get() / 3)))
}

/// What to write to whom.
fn messages(page: &mut Sheet, subject: &Subject) {
    const LONG_BLANK: &str = "____________________";
    let name = &subject.name;
    let mut message = |title: &str, lines: &[String]| {
        page.head(title);
        page.add(Block::Message(lines.to_vec()));
    };
    let next = format!("Next message: ____ UTC, at {}.", contact(subject, "status page"));
    message(
        "What to write: first message",
        &[
            format!("{name}: severity ___, {LONG_BLANK}"),
            format!("Since: ____ UTC. Effect: {LONG_BLANK}."),
            format!("We are looking for the cause. {next}"),
        ],
    );
    message(
        "What to write: while it lasts",
        &[
            format!("{name}: {LONG_BLANK}"),
            "State: looking for the cause / repairing / repaired.".to_owned(),
            format!("Done so far: {LONG_BLANK}. Next: {LONG_BLANK}."),
            next,
        ],
    );
    message(
        "What to write: when it is over",
        &[
            format!("{name} works again"),
            format!(
                "From ____ to ____ UTC ({} was promised). Cause: {LONG_BLANK}.",
                objective("time to recover", subject.rto.map(long).as_deref())
            ),
            format!("So that it does not happen again: {LONG_BLANK}. We look back on it on ____."),
        ],
    );
}

const STEPS: &[(&str, &[&str])] = &[
    (
        "First of all",
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

    #[test]
    fn an_answer_comes_early_enough_to_recover_in_time() {
        let answer = |rto| first_answer(&Subject { rto, ..Subject::default() });
        assert_eq!(answer(Some(Period::from_secs(15 * 60))), Period::from_secs(5 * 60));
        assert_eq!(answer(Some(Period::from_secs(4 * 3600))), Period::from_secs(15 * 60));
        assert_eq!(answer(None), Period::from_secs(15 * 60));
    }
}
