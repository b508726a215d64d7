//! A review as a page that one can hand over: one file without scripts, for screens in light and dark, and for paper.
//!
//! The style is that of the reports of experiments, and a little of its own.

use std::fmt::{self, Write};

use assess::review::{
    plan::{Item, matrix},
    schedule::{DAYS, Task},
    standing::{ChoiceStanding, Known, QuestionRisk, QuestionStanding},
};
use engine::report::STYLE;
use jiff::civil::Date;
use model::{Period, figures::span, lens::Level, review::Progress};

use super::{month, report::Report};

const OWN_STYLE: &str = include_str!("review.css");

/// The page.
pub(super) fn page(report: &Report<'_>) -> String {
    let mut page = Page(String::new());
    page.banner(report);
    page.glance(report);
    page.reopened(report);
    page.questions(report);
    page.since(report);
    page.matrix(report);
    page.schedule(report);
    page.months(report);
    page.practices(report);
    let title = format!("{}: reliability review", report.review.workload.name);
    frame(&title, &format!("{} · {}", report.lens_name(), report.today), &page.0)
}

/// A page around its parts: one file, and no script may run in it.
pub(super) fn frame(title: &str, lead: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n\
         <header class=\"top\"><strong>Shaketable review</strong><span>{lead}</span></header>\n<main>\n{body}\
         </main>\n<footer>Risks follow from the lens's rules and the answers; evidence counts until it expires. \
         Made by shaketable {version}.</footer>\n</body>\n</html>\n",
        title = Text(title),
        lead = Text(lead),
        version = env!("CARGO_PKG_VERSION")
    )
}

/// Text of a review within the page, made harmless.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The class of a colour, and a sign that says the same without it.
const fn look(risk: QuestionRisk) -> (&'static str, &'static str) {
    match risk {
        QuestionRisk::High => ("red", "▲"),
        QuestionRisk::Medium => ("yellow", "◆"),
        QuestionRisk::None => ("green", "●"),
        QuestionRisk::Unanswered => ("invalid", "?"),
        QuestionRisk::NotApplicable => ("inconclusive", "–"),
    }
}

const fn sign(known: Known) -> (&'static str, &'static str) {
    match known {
        Known::Shown => ("ok", "✓ shown"),
        Known::Said => ("ok", "✓ said"),
        Known::Stale => ("warn", "✓ stale"),
        Known::Contradicted => ("bad", "✗ contradicted"),
        Known::Missing => ("bad", "✗ missing"),
        Known::NotApplicable => ("unknown", "– not applicable"),
        Known::Open => ("unknown", "? open"),
    }
}

/// A length of time as people read it.
fn length(period: Option<Period>) -> String {
    period.map_or_else(|| "–".to_owned(), |period| span(period.as_secs_f64()))
}

struct Page(String);

impl Page {
    fn add(&mut self, arguments: fmt::Arguments<'_>) {
        self.0.write_fmt(arguments).expect("a String takes all text");
    }

    fn section(&mut self, id: &str, title: &str, lead: &str) {
        self.add(format_args!("<section id=\"{id}\"><h2>{}</h2>\n", Text(title)));
        if !lead.is_empty() {
            self.add(format_args!("<p class=\"lead\">{}</p>\n", Text(lead)));
        }
    }

    fn banner(&mut self, report: &Report<'_>) {
        let counts = report.standing.counts;
        let (class, word) = match (counts.high, counts.medium, counts.unanswered) {
            (1.., _, _) => ("red", "high risk"),
            (0, 1.., _) => ("yellow", "medium risk"),
            (0, 0, 1..) => ("invalid", "not finished"),
            (0, 0, 0) => ("green", "no risk"),
        };
        let subject = &report.review.workload;
        self.add(format_args!(
            "<div class=\"banner {class}\"><p class=\"verdict\">{word}</p><h1>{}</h1><p class=\"what\">{}{}</p></div>\n",
            Text(&subject.name),
            Text(&report.headline()),
            subject.description.as_deref().map(|text| format!(" {}", Text(text))).unwrap_or_default()
        ));
    }

    fn glance(&mut self, report: &Report<'_>) {
        let subject = &report.review.workload;
        let followed: usize =
            [Known::Shown, Known::Said, Known::Stale].map(|known| report.standing.practices(known)).iter().sum();
        let all: usize = report.standing.practices.values().sum();
        let cells = [
            (
                "Questions",
                report.standing.counts.total().to_string(),
                format!("{} unanswered", report.standing.counts.unanswered),
            ),
            ("High risk", report.standing.counts.high.to_string(), format!("{} medium", report.standing.counts.medium)),
            (
                "Practices followed",
                format!("{followed} of {all}"),
                format!("{} shown by evidence", report.standing.practices(Known::Shown)),
            ),
            (
                "Availability promised",
                subject.availability.map_or_else(|| "–".to_owned(), |share| format!("{share} %")),
                String::new(),
            ),
            ("Time to recover", length(subject.rto), String::new()),
            ("Permitted data loss", length(subject.rpo), String::new()),
        ];
        self.add(format_args!("<dl class=\"glance\">\n"));
        for (name, value, note) in cells {
            self.add(format_args!("<div><dt>{name}</dt><dd>{}</dd>", Text(&value)));
            if !note.is_empty() {
                self.add(format_args!("<dd class=\"note\">{}</dd>", Text(&note)));
            }
            self.add(format_args!("</div>\n"));
        }
        self.add(format_args!("</dl>\n"));
    }

    fn reopened(&mut self, report: &Report<'_>) {
        let reopened: Vec<_> = report.standing.questions().filter(|question| question.reopened()).collect();
        if reopened.is_empty() {
            return;
        }
        self.section(
            "anew",
            "To be answered anew",
            "Evidence for these practices has expired, or says the opposite of the answer.",
        );
        self.add(format_args!("<div class=\"card rows\"><table><tbody>\n"));
        for choice in reopened.iter().flat_map(|question| &question.choices) {
            if matches!(choice.known, Known::Stale | Known::Contradicted) {
                self.practice(choice);
            }
        }
        self.add(format_args!("</tbody></table></div></section>\n"));
    }

    fn questions(&mut self, report: &Report<'_>) {
        self.section("questions", "Where it stands", "");
        for pillar in &report.standing.pillars {
            let counts = pillar.counts;
            self.add(format_args!("<div class=\"card rows\"><div class=\"risks\" role=\"img\" aria-label=\"{} high, {} medium, {} none, {} unanswered\">", counts.high, counts.medium, counts.none, counts.unanswered));
            for (class, count) in [
                ("red", counts.high),
                ("yellow", counts.medium),
                ("green", counts.none),
                ("invalid", counts.unanswered),
                ("inconclusive", counts.not_applicable),
            ] {
                if count > 0 {
                    self.add(format_args!("<span class=\"{class}\" style=\"flex-grow: {count}\">{count}</span>"));
                }
            }
            self.add(format_args!("</div><table><tbody>\n"));
            for question in &pillar.questions {
                self.question(question);
            }
            self.add(format_args!("</tbody></table></div>\n"));
        }
        self.add(format_args!("</section>\n"));
    }

    fn question(&mut self, question: &QuestionStanding) {
        let (class, sign) = look(question.risk);
        self.add(format_args!(
            "<tr><th scope=\"row\">{}</th><td><span class=\"risk {class}\">{sign} {}</span></td><td>{}",
            Text(question.label()),
            question.risk.name(),
            Text(&question.title)
        ));
        let nearest = question.nearest.as_ref().map(|(ids, then)| {
            let label = |id: &String| {
                let choice = question.choices.iter().find(|choice| choice.id == *id);
                choice.and_then(|choice| choice.practice.clone()).unwrap_or_else(|| id.clone())
            };
            let labels: Vec<String> = ids.iter().map(label).collect();
            format!("With {}: {}.", labels.join(", "), then.name())
        });
        let why = question
            .not_applicable
            .as_ref()
            .map(|why| why.notes.clone().unwrap_or_else(|| why.reason.name().to_owned()));
        for text in nearest.iter().chain(&why).chain(&question.notes) {
            self.add(format_args!("<span class=\"why\">{}</span>", Text(text)));
        }
        self.add(format_args!("</td></tr>\n"));
    }

    fn since(&mut self, report: &Report<'_>) {
        let Some((milestone, comparison)) = &report.since else { return };
        let day = milestone.at.strftime("%Y-%m-%d");
        self.section(
            "since",
            &format!("Since \"{}\" ({day})", milestone.name),
            if comparison.changes.is_empty() { "Nothing has changed." } else { "" },
        );
        if !comparison.changes.is_empty() {
            self.add(format_args!("<div class=\"card scroll\"><table class=\"changes\"><thead><tr><th>Question</th><th>Then</th><th>Now</th><th>Practices</th></tr></thead><tbody>\n"));
            for change in &comparison.changes {
                let (before, after) = (look(change.before), look(change.after));
                self.add(format_args!(
                    "<tr><th scope=\"row\">{}</th><td><span class=\"risk {}\">{} {}</span></td><td><span class=\"risk {}\">{} {}</span></td><td>{} gained, {} lost</td></tr>\n",
                    Text(&change.label), before.0, before.1, change.before.name(), after.0, after.1, change.after.name(),
                    change.gained.len(), change.lost.len()
                ));
            }
            self.add(format_args!("</tbody></table></div>\n"));
        }
        self.add(format_args!("</section>\n"));
    }

    fn matrix(&mut self, report: &Report<'_>) {
        let matrix = matrix(&report.items);
        if matrix.is_empty() {
            return;
        }
        self.section(
            "improve",
            "What to improve",
            "By risk, impact and effort. A practice in bold belongs to the fewest that lower its question's risk.",
        );
        self.grid(report);
        self.add(format_args!("<div class=\"matrix\">\n"));
        for (field, items) in matrix {
            self.add(format_args!(
                "<div class=\"card field\"><h3>{} <span class=\"number\">{}</span></h3><ul>\n",
                field.name(),
                items.len()
            ));
            for item in items {
                self.item(item);
            }
            self.add(format_args!("</ul></div>\n"));
        }
        self.add(format_args!("</div></section>\n"));
    }

    /// Risk against impact, with what is little work marked: everything at a glance.
    fn grid(&mut self, report: &Report<'_>) {
        const DOWN: [Level; 3] = [Level::High, Level::Medium, Level::Low];
        const ACROSS: [Level; 3] = [Level::Low, Level::Medium, Level::High];
        self.add(format_args!("<div class=\"card scroll\"><table class=\"grid\"><thead><tr><td></td>"));
        for impact in ACROSS {
            self.add(format_args!("<th scope=\"col\">impact {impact}</th>"));
        }
        self.add(format_args!("</tr></thead><tbody>\n"));
        let open = |item: &&Item| !matches!(item.progress, Progress::Complete | Progress::RiskAccepted);
        for risk in DOWN {
            self.add(format_args!("<tr><th scope=\"row\">risk {risk}</th>"));
            for impact in ACROSS {
                self.add(format_args!("<td>"));
                let mut items: Vec<&Item> = report.items.iter().filter(open).collect();
                items.retain(|item| item.risk == risk && item.impact == impact);
                items.sort_by_key(|item| item.effort);
                for item in items {
                    let (effort, title) = (item.effort, Text(&item.title));
                    self.add(format_args!(
                        "<span class=\"chip {effort}\" title=\"{title} (effort {effort})\">{}</span> ",
                        Text(&item.label)
                    ));
                }
                self.add(format_args!("</td>"));
            }
            self.add(format_args!("</tr>\n"));
        }
        self.add(format_args!(
            "</tbody></table><p class=\"legend\"><span class=\"chip low\">effort low</span> \
             <span class=\"chip medium\">medium</span> <span class=\"chip high\">high</span></p></div>\n"
        ));
    }

    fn item(&mut self, item: &Item) {
        let (open, close) = if item.nearest { ("<strong>", "</strong>") } else { ("", "") };
        self.add(format_args!("<li>{open}{} {}{close}", Text(&item.label), Text(&item.title)));
        let owner = item.owner.as_deref().unwrap_or("no owner yet");
        self.add(format_args!(
            "<span class=\"why\">risk {}, impact {}, effort {} · {}</span>",
            item.risk,
            item.impact,
            item.effort,
            Text(owner)
        ));
        if let Some(text) = &item.text {
            self.add(format_args!("<span class=\"why\">{}</span>", Text(text)));
        }
        self.add(format_args!("</li>\n"));
    }

    fn schedule(&mut self, report: &Report<'_>) {
        let schedule = &report.schedule;
        if schedule.tasks.is_empty() {
            return;
        }
        let within = schedule.tasks.iter().filter(|task| task.phase < 4).count();
        let lead = format!(
            "{} to {}: {within} of {} improvements are done within the {DAYS} days. It is looked at what was reached on {}, {} and {}.",
            schedule.first,
            schedule.last,
            schedule.tasks.len(),
            schedule.checkpoints[0],
            schedule.checkpoints[1],
            schedule.checkpoints[2]
        );
        self.section("plan", "90 days", &lead);
        self.add(format_args!("<figure>"));
        self.chart(&schedule.tasks, schedule.first, schedule.checkpoints);
        self.add(format_args!("</figure>\n<div class=\"card scroll\" style=\"margin-top: 1rem\"><table><thead><tr><th>From</th><th>To</th><th>What</th><th>Who</th><th>After</th></tr></thead><tbody>\n"));
        for task in schedule.tasks.iter().filter(|task| task.phase < 4) {
            let late = if task.late { " <span class=\"state bad\">late</span>" } else { "" };
            self.add(format_args!(
                "<tr><td class=\"day\">{}</td><td class=\"day\">{}{late}</td><td><strong>{}</strong> {}</td><td>{}</td><td>{}</td></tr>\n",
                task.start, task.end, Text(&task.label), Text(&task.title),
                Text(task.owner.as_deref().unwrap_or("–")), Text(&task.after.join(", "))
            ));
        }
        self.add(format_args!("</tbody></table></div></section>\n"));
    }

    /// Bars of the tasks that begin within the 90 days.
    fn chart(&mut self, tasks: &[Task], first: Date, checkpoints: [Date; 3]) {
        const ROW: i32 = 18;
        const LEFT: i32 = 120;
        const DAY: i32 = 9;
        let days = |date: Date| (date - first).get_days();
        let shown: Vec<&Task> = tasks.iter().filter(|task| days(task.start) < DAYS).collect();
        let rows = i32::try_from(shown.len()).unwrap_or(i32::MAX / ROW - 3);
        let (width, height) = (LEFT + DAYS * DAY + 20, rows * ROW + 34);
        self.add(format_args!("<svg class=\"plot\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"The plan as bars; the table below says the same\">\n"));
        for day in checkpoints {
            let x = LEFT + (days(day) + 1) * DAY;
            self.add(format_args!("<path class=\"boundary\" d=\"M{x} 20V{}\"/><text class=\"axis\" x=\"{x}\" y=\"13\" text-anchor=\"end\">{day}</text>\n", height - 6));
        }
        self.add(format_args!("<text class=\"axis\" x=\"{LEFT}\" y=\"13\">{first}</text>\n"));
        for (n, task) in (0..).zip(&shown) {
            let y = 26 + n * ROW;
            let from = days(task.start);
            let length = (days(task.end) + 1).min(DAYS) - from;
            let class = if task.late { "late" } else { "task" };
            self.add(format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect class=\"{class}\" x=\"{}\" y=\"{y}\" width=\"{}\" height=\"12\" rx=\"3\"><title>{} ({} to {})</title></rect>\n",
                LEFT - 8, y + 10, Text(&task.label), LEFT + from * DAY, length * DAY - 2, Text(&task.title), task.start, task.end
            ));
        }
        self.add(format_args!("</svg>"));
    }

    fn months(&mut self, report: &Report<'_>) {
        let monthly = &report.monthly;
        let Some(first) = monthly.month else { return };
        self.section(
            "month",
            &first.strftime("%B %Y").to_string(),
            month::trend(monthly).as_deref().unwrap_or_default(),
        );
        self.add(format_args!("<div class=\"card scroll\"><table><thead><tr><th></th><th>Measured</th><th>Month before</th><th>Promised</th><th>Kept</th></tr></thead><tbody>\n"));
        for figure in &monthly.figures {
            let kept = match figure.kept {
                Some(true) => "<span class=\"state ok\">✓ yes</span>",
                Some(false) => "<span class=\"state bad\">✗ no</span>",
                None => "",
            };
            self.add(format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{kept}</td></tr>\n",
                figure.name,
                Text(&month::shown(figure.value)),
                Text(&month::before(figure)),
                Text(&month::promised(figure))
            ));
        }
        self.add(format_args!("</tbody></table></div>\n"));
        self.list("Incidents", &month::incidents(monthly));
        self.list("To know", &monthly.remarks);
        self.add(format_args!("</section>\n"));
    }

    fn list(&mut self, title: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.add(format_args!("<div class=\"card lines\"><h3>{}</h3><ul>\n", Text(title)));
        for item in items {
            self.add(format_args!("<li>{}</li>\n", Text(item)));
        }
        self.add(format_args!("</ul></div>\n"));
    }

    fn practices(&mut self, report: &Report<'_>) {
        self.section("practices", "Every practice", "");
        self.add(format_args!("<div class=\"card rows\"><table>\n"));
        for question in report.standing.questions() {
            self.add(format_args!(
                "<tbody><tr class=\"group\"><th colspan=\"3\">{} {}</th></tr>\n",
                Text(question.label()),
                Text(&question.title)
            ));
            for choice in question.choices.iter().filter(|choice| !choice.none_of_these || choice.known.followed()) {
                self.practice(choice);
            }
            self.add(format_args!("</tbody>\n"));
        }
        self.add(format_args!("</table></div></section>\n"));
    }

    fn practice(&mut self, choice: &ChoiceStanding) {
        let (class, word) = sign(choice.known);
        self.add(format_args!(
            "<tr><td class=\"day\">{}</td><td><span class=\"state {class}\">{word}</span></td><td>{}",
            Text(choice.practice.as_deref().unwrap_or("")),
            Text(&choice.title)
        ));
        for evidence in &choice.evidence {
            let until =
                evidence.expires.map(|expires| format!(", until {}", expires.strftime("%Y-%m-%d"))).unwrap_or_default();
            let against = if evidence.contradicts { " speaks against it" } else { "" };
            let says = evidence.says.as_deref().map(|says| format!(": {says}")).unwrap_or_default();
            let seen = evidence.at.strftime("%Y-%m-%d");
            self.add(format_args!(
                "<span class=\"why\">{}{against}, seen {seen}{until}{}</span>",
                Text(&evidence.source),
                Text(&says)
            ));
        }
        if let Some(notes) = &choice.notes {
            self.add(format_args!("<span class=\"why\">{}</span>", Text(notes)));
        }
        self.add(format_args!("</td></tr>\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn text_of_a_review_cannot_leave_its_place() {
        let text = Text("<b onclick='x'>\"&\u{1b}").to_string();
        assert_eq!(text, "&lt;b onclick=&#39;x&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
