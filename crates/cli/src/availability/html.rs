//! The availability of a design as a page that one can hand over.

mod causes;
mod simulated;

use assess::availability::{Assessment, Cause, Doubt, Expected, Verdict, downtime::Downtime, simulate::Simulated};
use model::{
    figures::{number, part, span},
    workload::{Availability, Workload},
};

use super::{drawing::drawing, headline};
use crate::paper::{Badge, Bar, Bars, Glance, Markup, Paper, Shade, Table, Td, Tone};

/// Rows of a table or bars of a drawing that are still read; `--json` has all.
const ROWS: usize = 12;
/// Names in a cell of a table that are still read.
const NAMES: usize = 8;

/// One workload of a file, and what there is to say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) workload: &'a Workload,
    pub(super) now: &'a Assessment,
    /// With other figures, if somebody asked for that.
    pub(super) then: Option<&'a Assessment>,
    /// These.
    pub(super) supposed: &'a [(String, Availability)],
    /// What was seen in simulated years, if somebody asked for that.
    pub(super) seen: Option<&'a Simulated>,
}

/// The page about all workloads of a file.
pub(super) fn page(file: &str, subjects: &[Subject<'_>]) -> String {
    let title = match subjects {
        [one] => one.workload.name.as_str(),
        _ => file,
    };
    let mut paper = Paper::new(title, "availability", file);
    if let [one] = subjects {
        paper.banner(tone(one.now), word(one.now), &headline(one.now), &meaning(one));
        one.body(&mut paper);
    } else {
        overview(&mut paper, subjects);
        for (at, one) in subjects.iter().enumerate().filter(|(_, one)| one.now.expected.is_some()) {
            paper.chapter(&format!("workload-{}", at + 1), &one.workload.name);
            for text in std::iter::once(headline(one.now)).chain(meaning(one)) {
                paper.paragraph(&text);
            }
            one.body(&mut paper);
        }
    }
    paper.finish("Downtime is told of a year of 365 days, a month of 30, and a week.")
}

/// What stands before the sentence.
const fn word(now: &Assessment) -> &'static str {
    match (now.verdict, &now.expected) {
        (Verdict::Missed, _) => "promise missed",
        (Verdict::Met, _) => "promise kept",
        (Verdict::Open, Some(_)) => "not everything is known",
        (Verdict::Open, None) => "only promised",
        (Verdict::NothingPromised, _) => "nothing promised",
    }
}

fn tone(now: &Assessment) -> Tone {
    match now.verdict {
        _ if now.doubts.iter().any(Doubt::is_contradiction) => Tone::Bad,
        Verdict::Missed => Tone::Bad,
        Verdict::Met => Tone::Good,
        Verdict::Open if now.expected.is_some() => Tone::Unknown,
        Verdict::Open | Verdict::NothingPromised => Tone::Neutral,
    }
}

/// What the verdict means, and where to look first: a sentence each.
fn meaning(subject: &Subject<'_>) -> Vec<String> {
    let Some(expected) = &subject.now.expected else { return Vec::new() };
    let budget = expected.budget.filter(|budget| budget.used.is_finite()).map(|budget| {
        let (used, allowed) = (part(budget.used), span(budget.allowed.month));
        format!(" {used} of the error budget of {allowed} a month is used.")
    });
    let Downtime { year, month, week } = expected.downtime;
    let mut texts = vec![format!(
        "That is {}{} of downtime a year, {} a month, {} a week.{}",
        if expected.unknown.is_empty() { "" } else { "at least " },
        span(year),
        span(month),
        span(week),
        budget.unwrap_or_default()
    )];
    if let Some(first) = expected.contributions.first().filter(|one| one.accounts_for > 0.0) {
        let share = first.importance.criticality;
        texts.push(format!("Most of it comes from {}: without its failures {} would go.", first.cause, part(share)));
    }
    let best = expected.improvements.iter().find(|gain| gain.saves > 0.0);
    if let Some(gain) = best {
        let enough = if gain.enough && subject.now.target.is_some() { ", which is enough" } else { "" };
        texts.push(format!(
            "What helps most for its cost: {}. It saves {} a year{enough}.",
            gain.name,
            span(gain.saves)
        ));
    }
    texts
}

/// Several workloads side by side.
fn overview(paper: &mut Paper, subjects: &[Subject<'_>]) {
    let bad = subjects.iter().filter(|one| tone(one.now) == Tone::Bad).count();
    let open = subjects.iter().filter(|one| one.now.verdict == Verdict::Open && one.now.expected.is_some()).count();
    let all = subjects.len();
    let (tone_of_all, word, sentence) = match (bad, open) {
        (1.., _) => (Tone::Bad, "promises to look at", format!("{bad} of {all} promises cannot be kept as they are")),
        (0, 1..) => {
            (Tone::Unknown, "not everything is known", format!("of {open} of {all} workloads not everything is known"))
        }
        (0, 0) => (Tone::Good, "no contradiction", format!("none of {all} promises contradicts itself")),
    };
    paper.banner(tone_of_all, word, &sentence_case(&sentence), &[]);
    let mut table = Table::new([
        "Workload",
        "Verdict",
        "Promised",
        "Expected",
        "Allowed a year",
        "A month",
        "RTO",
        "Outages in a month",
    ]);
    for one in subjects {
        let (promised, downtime) = (one.now.target, one.now.target.map(Downtime::of));
        let or_none = |text: Option<String>| Td::figure(&text.unwrap_or_default());
        let about = one.workload.criticality.as_deref().unwrap_or_default();
        table.row([
            Td::text(&one.workload.name).note(about),
            Td::state(tone(one.now), word_in_table(one.now)),
            or_none(promised.map(|promised| promised.to_string())),
            or_none(one.now.expected.as_ref().map(|expected| expected.availability.to_string())),
            or_none(downtime.map(|down| span(down.year))),
            or_none(downtime.map(|down| span(down.month))),
            or_none(one.workload.objectives.rto.map(|rto| span(rto.as_secs_f64()))),
            or_none(one.now.outages_in_a_month.map(number)),
        ]);
    }
    let lead = "What each promise allows, and how many outages as long as the RTO fit into a month's budget.";
    paper.section("promises", "Promises", lead, |paper| {
        paper.add(format_args!("{table}"));
        let doubtful = subjects.iter().filter(|one| one.now.expected.is_none() && !one.now.doubts.is_empty());
        for one in doubtful {
            paper.add(format_args!("<h3 class=\"aside\">{}</h3>\n", Markup(&one.workload.name)));
            doubts(paper, one.now);
        }
    });
}

fn word_in_table(now: &Assessment) -> &'static str {
    match now.verdict {
        Verdict::Missed => "missed",
        _ if now.doubts.iter().any(Doubt::is_contradiction) => "contradiction",
        Verdict::Met => "kept",
        Verdict::Open if now.expected.is_some() => "open",
        Verdict::Open => "promised",
        Verdict::NothingPromised => "nothing promised",
    }
}

fn doubts(paper: &mut Paper, now: &Assessment) {
    paper.add(format_args!("<ul class=\"points\">\n"));
    for doubt in &now.doubts {
        let (class, badge) = if doubt.is_contradiction() {
            ("red", Badge(Tone::Bad, "contradiction"))
        } else {
            ("yellow", Badge(Tone::Warn, "worth knowing"))
        };
        paper.add(format_args!(
            "<li class=\"{class}\"><strong>{badge} {}</strong><span class=\"soft\">{}</span></li>\n",
            Markup(sentence_case(&doubt.sentence())),
            Markup(sentence_case(doubt.cure()))
        ));
    }
    paper.add(format_args!("</ul>\n"));
}

fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

impl Subject<'_> {
    fn body(&self, paper: &mut Paper) {
        if let Some(expected) = &self.now.expected {
            self.glance(paper, expected);
            self.downtime(paper, expected);
        }
        if !self.now.doubts.is_empty() {
            let lead = "What is promised and cannot be kept, or contradicts something else that is promised.";
            paper.section("promises", "Promises", lead, |paper| doubts(paper, self.now));
        }
        self.blocks(paper);
        if let Some(expected) = &self.now.expected {
            self.supposition(paper, expected);
            self.simulated(paper);
            causes::sources(paper, expected);
            causes::together(paper, expected);
            self.improvements(paper, expected);
            causes::importance(paper, expected);
            self.method(paper, expected);
        }
    }

    fn glance(&self, paper: &mut Paper, expected: &Expected) {
        let bound = if expected.unknown.is_empty() { "" } else { "at most: not everything is known" };
        let mut figures = vec![Glance::new("Expected", expected.availability.to_string(), bound)];
        if let Some(target) = self.now.target {
            figures.push(Glance::new(
                "Promised",
                target.to_string(),
                format!("allows {} a year", span(Downtime::of(target).year)),
            ));
        }
        figures.push(Glance::new("Down a year", span(expected.downtime.year), ""));
        figures.push(Glance::new("Down a month", span(expected.downtime.month), ""));
        figures.push(Glance::new("Down a week", span(expected.downtime.week), ""));
        if let Some(budget) = expected.budget.filter(|budget| budget.used.is_finite()) {
            figures.push(Glance::new("Error budget", part(budget.used), "is used"));
        }
        if let Some(outages) = expected.outages {
            let mean = format!("{} each on average", span(outages.mean));
            figures.push(Glance::new("Outages a year", number(outages.per_year), mean));
        }
        if let Some(fit) = self.now.outages_in_a_month {
            figures.push(Glance::new("Outages in a month's budget", number(fit), "each as long as the RTO allows"));
        }
        let singles = expected.single_points.len();
        figures.push(Glance::new("Single points", singles.to_string(), "take all down alone"));
        paper.glance(&figures);
    }

    /// What is promised, expected and possible, side by side.
    fn downtime(&self, paper: &mut Paper, expected: &Expected) {
        let allowed = self.now.target.map_or(f64::INFINITY, Availability::down);
        let then = self.then.and_then(|then| then.expected.as_ref()).map(|then| then.availability);
        let rows = [
            ("promised", self.now.target, Shade::Aim, ""),
            ("to be expected", Some(expected.availability), Shade::Plain, ""),
            ("to be expected in full", expected.in_full, Shade::Plain, "with everything that it could do without"),
            ("what others allow", expected.ceiling, Shade::Other, "with everything perfect that others do not run"),
            ("what if", then, Shade::Other, "with the figures that were supposed"),
        ];
        let mut table = Table::new(["", "Availability", "Down a year", "A month", "A week"]);
        let mut bars = Vec::new();
        for (name, availability, shade, note) in rows {
            let Some(availability) = availability else { continue };
            let down = Downtime::of(availability);
            let shade = if shade == Shade::Plain && availability.down() > allowed { Shade::Bad } else { shade };
            bars.push(Bar { label: name.to_owned(), value: down.year, text: span(down.year), shade });
            table.row([
                Td::text(name).note(note),
                Td::strong(&availability.to_string()),
                Td::figure(&span(down.year)),
                Td::figure(&span(down.month)),
                Td::figure(&span(down.week)),
            ]);
        }
        let said: Vec<String> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.text)).collect();
        let mark = self.now.target.map(|target| (Downtime::of(target).year, "what the promise allows".to_owned()));
        let bars = Bars { title: "Downtime a year".to_owned(), about: said.join("; "), bars, mark };
        paper.section("downtime", "Downtime", "How long it does not work, on average over many years.", |paper| {
            if table_is_worth_bars(&bars) {
                paper.add(format_args!("{bars}"));
            }
            paper.add(format_args!("{table}"));
        });
    }

    fn blocks(&self, paper: &mut Paper) {
        let Some(svg) = drawing(self.workload, self.now) else {
            if let Some(expected) = &self.now.expected {
                let text = format!(
                    "{} causes of failure are too many for a diagram that one could read.",
                    expected.contributions.len()
                );
                paper.section("design", "How it hangs together", "", |paper| paper.paragraph(&text));
            }
            return;
        };
        let lead = "It works as long as a way leads from the left to the right through parts that work: what stands in a row \
                    is all needed, what stands below each other are alternatives.";
        paper.section("design", "How it hangs together", lead, |paper| {
            paper.add(format_args!("{svg}"));
            self.places(paper);
        });
    }

    /// Zones and regions: what lies in them, and what they do to the whole.
    fn places(&self, paper: &mut Paper) {
        let mut table = Table::new(["Zone or region", "In", "Availability", "What lies in it", "By itself"]);
        let causes: &[Cause] = self.now.expected.as_ref().map_or(&[], |expected| &expected.single_points);
        for place in &self.workload.places {
            let inside = |name: &String| {
                let zone =
                    |zone: &model::workload::Place| zone.name == *name && zone.region.as_deref() == Some(&place.name);
                *name == place.name || self.workload.places.iter().any(zone)
            };
            let components = self.workload.components.iter().filter(|component| component.places.iter().any(inside));
            let mut names: Vec<&str> = components.map(|component| component.name.as_str()).collect();
            let more = names.len().saturating_sub(NAMES);
            names.truncate(NAMES);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let single = causes.iter().any(|cause| matches!(cause, Cause::Place(name) if *name == place.name));
            table.row([
                Td::text(&place.name),
                Td::text(place.region.as_deref().unwrap_or_default()),
                place.figures.map_or_else(
                    || Td::state(Tone::Unknown, "not known"),
                    |figures| Td::figure(&figures.availability.to_string()),
                ),
                Td::text(&(names.join(", ") + &more)),
                if single { Td::state(Tone::Bad, "takes all down") } else { Td::default() },
            ]);
        }
        if !table.is_empty() {
            paper.add(format_args!("{table}"));
        }
    }

    /// The what-if beside the present.
    fn supposition(&self, paper: &mut Paper, expected: &Expected) {
        let Some(then) = self.then else { return };
        let Some(with) = &then.expected else { return };
        let supposed: Vec<String> =
            self.supposed.iter().map(|(name, availability)| format!("{name} at {availability}")).collect();
        let saves = expected.downtime.year - with.downtime.year;
        let change = if saves < 0.0 { "costs" } else { "saves" };
        let lead = format!("With {}: it {change} {} a year.", supposed.join(" and "), span(saves.abs()));
        let mut table = Table::new(["", "Now", "What if"]);
        let mut row = |name: &str, of: &dyn Fn(&Assessment, &Expected) -> String| {
            table.row([Td::text(name), Td::figure(&of(self.now, expected)), Td::strong(&of(then, with))]);
        };
        row("Verdict", &|of, _| word_in_table(of).to_owned());
        row("Availability", &|_, of| of.availability.to_string());
        row("Down a year", &|_, of| span(of.downtime.year));
        row("Down a month", &|_, of| span(of.downtime.month));
        row("Error budget used", &|_, of| {
            of.budget
                .filter(|budget| budget.used.is_finite())
                .map_or_else(|| "–".to_owned(), |budget| part(budget.used))
        });
        row("Outages a year", &|_, of| {
            of.outages.map_or_else(|| "not known".to_owned(), |outages| number(outages.per_year))
        });
        row("Single points of failure", &|_, of| of.single_points.len().to_string());
        paper.section("what-if", "What if", &lead, |paper| paper.add(format_args!("{table}")));
    }

    fn improvements(&self, paper: &mut Paper, expected: &Expected) {
        if expected.improvements.is_empty() && expected.levers.is_empty() {
            return;
        }
        let aims = self.now.target.is_some() && self.now.verdict != Verdict::Met;
        let lead = "Each by itself, compared with the present.";
        paper.section("improve", "What would help", lead, |paper| {
            let mut table = Table::new(["Improvement", "Then", "Saves a year", "Costs a month", "Saves for each", ""]);
            for gain in &expected.improvements {
                table.row([
                    Td::text(&gain.name),
                    Td::figure(&gain.availability.to_string()),
                    Td::strong(&span(gain.saves)),
                    gain.cost.map_or_else(|| Td::state(Tone::Unknown, "not known"), |cost| Td::figure(&number(cost))),
                    gain.saves_per_cost.map_or_else(Td::default, |per| Td::figure(&span(per.max(0.0)))),
                    if gain.saves < 0.0 {
                        Td::state(Tone::Bad, "makes it worse")
                    } else if gain.enough && aims {
                        Td::state(Tone::Good, "enough alone")
                    } else {
                        Td::default()
                    },
                ]);
            }
            if !table.is_empty() {
                paper.add(format_args!(
                    "<h3 class=\"aside\">Planned improvements, the most for their cost first</h3>\n{table}"
                ));
            }
            let shown: Vec<Bar> = expected.levers.iter().take(ROWS).map(lever).collect();
            if !shown.is_empty() {
                let about =
                    shown.iter().map(|bar| format!("{}: {}", bar.label, bar.text)).collect::<Vec<_>>().join("; ");
                let bars = Bars { title: "What single changes would save".to_owned(), about, bars: shown, mark: None };
                paper.add(format_args!("<h3 class=\"aside\">What one change would save in a year</h3>\n{bars}"));
            }
        });
    }

    /// How it was computed, and what is not known.
    fn method(&self, paper: &mut Paper, expected: &Expected) {
        paper.section("method", "How it was computed, and what is not known", "", |paper| {
            if !expected.unknown.is_empty() {
                let text = format!(
                    "Not known, and taken for perfect: {}. So the availability is an upper bound.",
                    expected.unknown.join(", ")
                );
                paper.paragraph(&text);
            }
            let alone: Vec<&str> = self.workload.components.iter().filter(|c| c.count > 1 && c.beta <= 0.0).map(|c| c.name.as_str()).collect();
            if !alone.is_empty() {
                paper.paragraph(&format!(
                    "Taken for independent, since no share of common causes (beta) is given: the units of {}. Bad releases and shared \
                     configuration hit all units at once, so the truth is lower.",
                    alone.join(", ")
                ));
            }
            if expected.outages.is_none() {
                paper.paragraph("How often it goes down, and for how long, cannot be told: for that every part needs a time to restore.");
            }
            if let Some(beyond) = expected.cut_sets_beyond {
                paper.paragraph(&format!(
                    "Sets of more than {beyond} failures were not listed, though they are counted in the availability."
                ));
            }
            paper.paragraph(&format!(
                "The design was turned into a fault tree of {} causes, each counted once wherever it is met, and that into a binary \
                 decision diagram. Probabilities are exact for these figures: nothing is taken for rare, and nothing is multiplied \
                 that depends on each other. They are as good as the figures that were written down; an MTBF is a mean of few events.",
                expected.contributions.len()
            ));
        });
    }
}

/// One bar says nothing that its figure does not.
fn table_is_worth_bars(bars: &Bars) -> bool {
    bars.bars.len() > 1 && bars.bars.iter().any(|bar| bar.value > 0.0)
}

fn lever(lever: &assess::availability::Lever) -> Bar {
    Bar {
        label: format!("{} {}", lever.component, lever.change),
        value: lever.saves,
        text: format!("{} → {}", span(lever.saves), lever.availability),
        shade: Shade::Plain,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use assess::availability::{Limits, assess};

    use super::*;
    use crate::paper::well_formed::{flaw, words};

    fn page_of(text: &str, supposed: &[(String, Availability)]) -> String {
        let read = formats::read_workloads("shop.yaml", text.as_bytes());
        assert!(
            !formats::has_errors(&read.findings),
            "{}",
            formats::render::terminal(&read.findings, &read.source, false)
        );
        let of = |workload: &Workload| assess(workload, &Limits::default()).unwrap();
        let assessed: Vec<_> = read
            .workloads
            .iter()
            .map(|workload| {
                let then = (!supposed.is_empty()).then(|| of(&super::super::supposed(workload, supposed).unwrap()));
                (workload, of(workload), then)
            })
            .collect();
        let subjects: Vec<_> = assessed
            .iter()
            .map(|(workload, now, then)| Subject { workload, now, then: then.as_ref(), supposed, seen: None })
            .collect();
        let page = page("shop.yaml", &subjects);
        assert_eq!(flaw(&page), None, "{page}");
        page
    }

    #[test]
    fn the_verdict_comes_first_with_its_figures() {
        let text = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workloads/web-shop.yaml"),
        );
        let page = page_of(&text.unwrap(), &[("payment".to_owned(), "99.99%".parse().unwrap())]);
        let verdict = page.find("Web shop will miss its promise").unwrap();
        assert!(words(&page).contains("With payment at 99.99 %: it saves"), "{page}");
        for part in
            ["id=\"design\"", "id=\"downtime\"", "id=\"sources\"", "id=\"what-if\"", "id=\"improve\"", "id=\"method\""]
        {
            assert!(page.find(part).is_some_and(|at| at > verdict), "{part}");
        }
    }

    #[test]
    fn what_is_hardly_described_makes_a_page_all_the_same() {
        for text in [
            "components: { web: {} }",
            "components: { web: { availability: 100% } }",
            "{ objectives: { availability: 100% }, components: { web: { availability: 0% } } }",
            "services: { a: { availability_target: \"99.9%\", rto: 1 hour, rpo: 1 hour } }",
            "services: { a: { availability_target: \"99.9%\", rto: 1 hour, rpo: 1 hour }, b: { availability_target: \"99%\", rto: 1 hour, rpo: 1 hour } }",
        ] {
            page_of(text, &[]);
        }
    }
}
