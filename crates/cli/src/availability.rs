//! `shaketable availability`: what a design promises, what is to be expected of it, and what would help.

mod blocks;
mod drawing;
mod html;
mod layout;
mod lengths;
mod simulated;

use std::{fs, num::NonZeroUsize, path::PathBuf, process::ExitCode, thread};

use anyhow::{Context, Result, bail};
use assess::{
    availability::{
        Assessment, Contribution, Expected, Gain, Limits, Verdict, assess,
        downtime::{Downtime, YEAR},
        simulate::{Plan, Simulated, simulate},
    },
    history::USUAL_CONFIDENCE,
};
use engine::report::columns::{Cell, Paint, table, wrap};
use model::{
    figures::{number, part, span},
    nearest::nearest,
    workload::{Availability, Figures, Workload},
};
use serde_json::json;

use crate::terminal::{self, Style};

/// Something is promised that does not hold.
const MISSED: u8 = 1;
/// Not enough is known to say whether it does.
const OPEN: u8 = 4;
/// Most rows of a table; `--json` has all.
const ROWS: usize = 10;

/// `shaketable availability`
#[derive(Debug, clap::Args)]
pub(crate) struct Call {
    /// A workload: a document of docs/availability.md, an architecture inventory, or a list of services.
    pub(crate) file: PathBuf,
    /// Compute with this availability of a component, zone or region instead of the file's; may be repeated.
    #[arg(long = "what-if", value_name = "NAME=PERCENT", value_parser = supposition)]
    pub(crate) suppositions: Vec<(String, Availability)>,
    /// Most failures at a time that are looked at together in search of minimal cut sets.
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) order: u8,
    /// Follow the workload through so many years, failure by failure, and tell how long outages are and what begins them.
    #[arg(long, value_name = "YEARS", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) simulate: Option<u32>,
    /// Which of all possible years; the same seed gives the same.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "simulate")]
    pub(crate) seed: u64,
    /// Print all figures as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a page for people: one file, for screen and paper.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

fn supposition(text: &str) -> Result<(String, Availability), String> {
    let (name, value) = text.rsplit_once('=').ok_or_else(|| format!("`{text}` has no `=`; write database=99.99%"))?;
    Ok((name.to_owned(), value.parse().map_err(|error| format!("{error}"))?))
}

/// Assesses every workload of a file and prints what there is to say.
pub(crate) fn availability(call: &Call, style: Style) -> Result<ExitCode> {
    let name = call.file.display().to_string();
    let bytes = fs::read(&call.file).with_context(|| format!("cannot read {name}"))?;
    let read = formats::read_workloads(&name, &bytes);
    terminal::err(&formats::render::terminal(&read.findings, &read.source, style.colour));
    if formats::has_errors(&read.findings) {
        bail!("{name} has errors; nothing was computed");
    }
    let limits = Limits { order: usize::from(call.order), ..Limits::default() };
    let mut assessments = Vec::new();
    for workload in &read.workloads {
        let now = assess(workload, &limits).with_context(|| format!("{name}: {}", workload.name))?;
        let then = if call.suppositions.is_empty() {
            None
        } else {
            Some(assess(&supposed(workload, &call.suppositions)?, &limits)?)
        };
        let seen = in_years(call, &supposed(workload, &call.suppositions)?)
            .with_context(|| format!("{name}: {} cannot be simulated", workload.name))?;
        assessments.push((now, then, seen));
    }
    if let Some(page) = &call.html {
        let subjects: Vec<_> = read
            .workloads
            .iter()
            .zip(&assessments)
            .map(|(workload, (now, then, seen))| {
                let (then, seen) = (then.as_ref(), seen.as_ref());
                html::Subject { workload, now, then, supposed: &call.suppositions, seen }
            })
            .collect();
        fs::write(page, html::page(&name, &subjects)).with_context(|| format!("cannot write {}", page.display()))?;
    }
    if call.json {
        let all = assessments.iter().map(|(now, then, seen)| json!({ "now": now, "whatIf": then, "simulated": seen }));
        terminal::out(&(serde_json::to_string_pretty(&all.collect::<Vec<_>>())? + "\n"));
    } else {
        let texts: Vec<String> =
            assessments.iter().map(|(now, then, seen)| Text::of(now, then.as_ref(), seen.as_ref(), style)).collect();
        terminal::out(&texts.join("\n"));
    }
    let judged = assessments.iter().map(|(now, then, _)| exit(then.as_ref().unwrap_or(now)));
    Ok(ExitCode::from(judged.max_by_key(|code| [0, OPEN, MISSED].iter().position(|known| known == code)).unwrap_or(0)))
}

/// What is seen in simulated years, if that was asked for.
fn in_years(call: &Call, workload: &Workload) -> Result<Option<Simulated>> {
    let Some(years) = call.simulate else { return Ok(None) };
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let plan = Plan { years, seed: call.seed, confidence: USUAL_CONFIDENCE, threads };
    Ok(Some(simulate(workload, &plan)?))
}

/// What a workload's assessment makes of the exit code.
fn exit(assessment: &Assessment) -> u8 {
    let contradicts = assessment.doubts.iter().any(assess::availability::Doubt::is_contradiction);
    match assessment.verdict {
        _ if contradicts => MISSED,
        Verdict::Missed => MISSED,
        // Of a service that is only promised, not described, nothing was to be computed.
        Verdict::Open if assessment.expected.is_some() => OPEN,
        Verdict::Open | Verdict::Met | Verdict::NothingPromised => 0,
    }
}

/// The workload with other figures.
fn supposed(workload: &Workload, suppositions: &[(String, Availability)]) -> Result<Workload> {
    let mut changed = workload.clone();
    for (name, availability) in suppositions {
        // It takes as long to restore as before, and fails more or less often.
        let with = |figures: Option<Figures>| Figures {
            availability: *availability,
            ..figures.unwrap_or_else(|| Figures::of(*availability))
        };
        if let Some(component) = changed.components.iter_mut().find(|component| component.name == *name) {
            component.figures = Some(with(component.figures));
        } else if let Some(place) = changed.places.iter_mut().find(|place| place.name == *name) {
            place.figures = Some(with(place.figures));
        } else {
            let names = workload.components.iter().map(|component| component.name.as_str());
            let known = names.chain(workload.places.iter().map(|place| place.name.as_str()));
            let hint = nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            bail!("`{}` has no component, zone or region `{name}`{hint}", workload.name);
        }
    }
    Ok(changed)
}

/// What becomes of the promise, in a sentence with the figures.
fn headline(now: &Assessment) -> String {
    let name = &now.workload;
    let promised = now.target.map(|target| target.to_string()).unwrap_or_default();
    let expected = now.expected.as_ref().map(|expected| {
        let bound = if expected.unknown.is_empty() { "" } else { "at most " };
        format!("{bound}{}", expected.availability)
    });
    match (now.verdict, expected) {
        (Verdict::Met, Some(expected)) => {
            format!("{name} keeps its promise: {expected} is to be expected, {promised} is promised.")
        }
        (Verdict::Missed, Some(expected)) => {
            format!("{name} will miss its promise: {expected} is to be expected, {promised} is promised.")
        }
        (Verdict::Open, Some(expected)) => {
            format!("Whether {name} keeps its promise is open: {expected} is to be expected, {promised} is promised.")
        }
        (Verdict::NothingPromised, Some(expected)) => {
            format!("{expected} is to be expected of {name}; nothing is promised.")
        }
        (Verdict::NothingPromised, None) => format!("Nothing is promised of {name}, and nothing is described."),
        (_, None) => format!("{promised} is promised of {name}; what it is made of is not described."),
    }
}

/// A page of text about one workload.
struct Text {
    text: String,
    style: Style,
}

impl Text {
    fn of(now: &Assessment, then: Option<&Assessment>, seen: Option<&Simulated>, style: Style) -> String {
        let mut text = Self { text: String::new(), style };
        text.verdict(now);
        if let Some(expected) = &now.expected {
            text.expected(expected, then.and_then(|then| then.expected.as_ref()));
        }
        if let Some(seen) = seen {
            text.simulated(seen);
        }
        text.doubts(now);
        if let Some(expected) = &now.expected {
            text.causes(expected);
            text.help(expected);
        }
        text.text
    }

    fn line(&mut self, text: &str, paint: Paint, indent: usize) {
        for line in wrap(text, self.style.width.saturating_sub(indent)) {
            let painted = paint.on(&line, self.style.colour);
            self.text.push_str(&" ".repeat(indent));
            self.text.push_str(&painted);
            self.text.push('\n');
        }
    }

    fn part(&mut self, title: &str) {
        self.text.push('\n');
        self.line(title, Paint::Head, 0);
    }

    fn table<const N: usize>(&mut self, heads: Option<[&str; N]>, rows: &[[Cell; N]]) {
        for line in table(heads, rows, self.style.width.saturating_sub(2), self.style.colour) {
            self.text.push_str("  ");
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn verdict(&mut self, now: &Assessment) {
        self.line(&now.workload, Paint::Head, 0);
        let promised = now.target.map(|target| target.to_string()).unwrap_or_default();
        let expected = now.expected.as_ref().map(|expected| {
            let bound = if expected.unknown.is_empty() { "" } else { "at most " };
            format!("{bound}{}", expected.availability)
        });
        let (paint, text) = match (now.verdict, expected) {
            (Verdict::Met, Some(expected)) => {
                (Paint::Good, format!("met: {expected} is to be expected, {promised} is promised"))
            }
            (Verdict::Missed, Some(expected)) => {
                (Paint::Bad, format!("missed: {expected} is to be expected, {promised} is promised"))
            }
            (Verdict::NothingPromised, Some(expected)) => (Paint::Plain, format!("{expected} is to be expected")),
            (Verdict::NothingPromised, None) => (Paint::Plain, "nothing is promised".to_owned()),
            (_, Some(expected)) => (
                Paint::Unknown,
                format!("open: {expected} is to be expected, {promised} is promised; not everything is known"),
            ),
            (_, None) => (Paint::Plain, format!("{promised} is promised; what it is made of is not described")),
        };
        self.line(&text, paint, 2);
        if let Some(fit) = now.outages_in_a_month {
            self.line(
                &format!("{} outages as long as the RTO fit into a month's budget", number(fit)),
                Paint::Plain,
                2,
            );
        }
    }

    fn expected(&mut self, expected: &Expected, then: Option<&Expected>) {
        let mut rows = Vec::new();
        let mut add = |name: &str, availability: Availability| {
            let down = Downtime::of(availability);
            rows.push([
                Cell::new(name, Paint::Plain),
                Cell::new(&availability.to_string(), Paint::Bold),
                Cell::new(&span(down.year), Paint::Plain),
                Cell::new(&span(down.month), Paint::Plain),
                Cell::new(&span(down.week), Paint::Plain),
            ]);
        };
        add("to be expected", expected.availability);
        if let Some(full) = expected.in_full {
            add("in full", full);
        }
        if let Some(ceiling) = expected.ceiling {
            add("what others allow", ceiling);
        }
        if let Some(then) = then {
            add("what if", then.availability);
        }
        self.text.push('\n');
        self.table(Some(["", "availability", "down a year", "a month", "a week"]), &rows);
        if let Some(budget) = expected.budget.filter(|budget| budget.used.is_finite()) {
            let text =
                format!("{} of the error budget is used ({} a month)", part(budget.used), span(budget.allowed.month));
            self.line(&text, if budget.used > 1.0 { Paint::Bad } else { Paint::Plain }, 2);
        }
        if let Some(outages) = expected.outages {
            self.line(
                &format!("{} outages a year, of {} on average", number(outages.per_year), span(outages.mean)),
                Paint::Plain,
                2,
            );
        }
        if !expected.unknown.is_empty() {
            let text = format!("not known, and taken for perfect: {}", expected.unknown.join(", "));
            self.line(&text, Paint::Unknown, 2);
        }
    }

    fn doubts(&mut self, now: &Assessment) {
        if now.doubts.is_empty() {
            return;
        }
        self.part("Promises");
        for doubt in &now.doubts {
            let paint = if doubt.is_contradiction() { Paint::Bad } else { Paint::Warn };
            self.line(&doubt.sentence(), paint, 2);
            self.line(doubt.cure(), Paint::Dim, 4);
        }
    }

    fn causes(&mut self, expected: &Expected) {
        if !expected.single_points.is_empty() {
            self.part("Single points of failure");
            let names: Vec<String> = expected.single_points.iter().map(ToString::to_string).collect();
            self.line(&names.join(", "), Paint::Plain, 2);
        }
        let counted = expected.contributions.iter().filter(|one| one.accounts_for > 0.0);
        let contribution = |one: &Contribution| {
            [
                Cell::new(&one.cause.to_string(), Paint::Plain),
                Cell::new(&span(one.down * YEAR), Paint::Plain),
                Cell::new(&span(one.accounts_for), Paint::Bold),
                Cell::new(&part(one.importance.fussell_vesely), Paint::Plain),
                Cell::new(&format!("x {}", number(one.importance.achievement_worth)), Paint::Plain),
            ]
        };
        let rows: Vec<_> = counted.clone().take(ROWS).map(contribution).collect();
        if !rows.is_empty() {
            self.part("What contributes");
            self.table(Some(["what fails", "down", "costs a year", "in outages", "risk if down"]), &rows);
            self.more(counted.count());
        }
        let several: Vec<_> = expected.cut_sets.iter().filter(|set| set.causes.len() > 1).collect();
        if !several.is_empty() {
            self.part("What together is enough");
            let rows: Vec<_> = several
                .iter()
                .take(ROWS)
                .map(|set| {
                    let names: Vec<String> = set.causes.iter().map(ToString::to_string).collect();
                    [
                        Cell::new(&names.join(" + "), Paint::Plain),
                        Cell::new(&format!("{} a year", span(set.probability * YEAR)), Paint::Plain),
                    ]
                })
                .collect();
            self.table(None, &rows);
            let all: f64 = expected.cut_sets_by_order.iter().skip(2).sum();
            if all > ROWS as f64 {
                self.line(&format!("… and {:.0} more", all - ROWS as f64), Paint::Dim, 2);
            }
        }
        if let Some(beyond) = expected.cut_sets_beyond {
            self.line(
                &format!("more than {beyond} failures at a time were not listed, though they are counted; see --order"),
                Paint::Dim,
                2,
            );
        }
    }

    fn more(&mut self, count: usize) {
        if count > ROWS {
            self.line(&format!("… and {} more; see --json", count - ROWS), Paint::Dim, 2);
        }
    }

    fn help(&mut self, expected: &Expected) {
        if !expected.improvements.is_empty() {
            self.part("Improvements, by gain for their cost");
            let gain = |gain: &Gain| {
                [
                    Cell::new(&gain.name, if gain.enough { Paint::Good } else { Paint::Plain }),
                    Cell::new(&gain.availability.to_string(), Paint::Plain),
                    Cell::new(&span(gain.saves), Paint::Bold),
                    Cell::new(
                        &gain.cost.map_or_else(|| "not known".to_owned(), |cost| format!("{cost}")),
                        Paint::Plain,
                    ),
                    Cell::new(&gain.saves_per_cost.map_or_else(String::new, |per| span(per.max(0.0))), Paint::Plain),
                ]
            };
            let rows: Vec<_> = expected.improvements.iter().map(gain).collect();
            self.table(Some(["", "then", "saves a year", "costs a month", "saves for each"]), &rows);
        }
        if !expected.levers.is_empty() {
            self.part("What would help");
            let rows: Vec<_> = expected
                .levers
                .iter()
                .take(ROWS)
                .map(|lever| {
                    [
                        Cell::new(&lever.component, Paint::Plain),
                        Cell::new(&lever.change.to_string(), Paint::Plain),
                        Cell::new(&format!("saves {} a year", span(lever.saves)), Paint::Plain),
                        Cell::new(&lever.availability.to_string(), Paint::Bold),
                    ]
                })
                .collect();
            self.table(None, &rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const PLAIN: Style = Style { colour: false, live: false, width: 100 };

    fn assessed(path: &str, text: &str) -> Vec<Assessment> {
        let read = formats::read_workloads(path, text.as_bytes());
        let shown = formats::render::terminal(&read.findings, &read.source, false);
        assert!(!formats::has_errors(&read.findings), "{shown}");
        read.workloads.iter().map(|workload| assess(workload, &Limits::default()).unwrap()).collect()
    }

    /// A block of the fifth seed between two lines, where the seeds are there.
    fn seed(from: &str, to: &str) -> Option<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/seeds");
        let file =
            fs::read_dir(folder).ok()?.flatten().find(|e| e.file_name().to_string_lossy().starts_with("004_"))?;
        let text = fs::read_to_string(file.path()).ok()?;
        let start = text.find(from)? + from.len();
        Some(text[start..start + text[start..].find(to)?].to_owned())
    }

    /// Rows "M-125", "M-126", "M-127", "N-37" and "N-38" from the document itself.
    #[test]
    fn the_fifth_seeds_inventory_cannot_keep_its_promise() {
        let Some(text) = seed("cat > architecture_inventory.yaml << 'EOF'\n", "\nEOF") else { return };
        let assessment = &assessed("architecture_inventory.yaml", &text)[0];
        let sentences: Vec<String> = assessment.doubts.iter().map(assess::availability::Doubt::sentence).collect();
        assert_eq!(
            sentences,
            [
                "99.9 % is promised, but Payment Gateway, Email Service allow together 99.85005 % at best (of 99.95 % and 99.9 %)",
                "one outage of the 1 h that the RTO allows breaks the month: 99.9 % leaves 43 min 12 s",
                "a call to Payment Gateway may take 2 min, 4 attempts of 30 s, and the pauses between them",
            ]
        );
        assert_eq!((assessment.verdict, exit(assessment)), (Verdict::Missed, MISSED));
        let shown = Text::of(assessment, None, None, PLAIN);
        assert!(shown.contains("missed: at most 99.85005 % is to be expected, 99.9 % is promised"), "{shown}");
        assert!(shown.contains("database_tier"), "{shown}");
    }

    /// Row "M-126": of four services one promises what its RTO breaks.
    #[test]
    fn of_the_fifth_seeds_services_one_contradicts_itself() {
        let Some(text) = seed("**Service Classification:**\n```yaml\n", "\n```") else { return };
        let judged: Vec<_> = assessed("services.yaml", &text)
            .iter()
            .map(|service| {
                (service.workload.clone(), format!("{:.2}", service.outages_in_a_month.unwrap()), exit(service))
            })
            .collect();
        let wanted = [
            ("customer_facing_web", "1.44", 0),
            ("admin_portal", "0.72", MISSED),
            ("batch_processing", "1.80", 0),
            ("reporting_system", "1.50", 0),
        ];
        assert_eq!(judged, wanted.map(|(name, fit, code)| (name.to_owned(), fit.to_owned(), code)));
    }

    #[test]
    fn every_example_is_read_and_says_in_its_first_line_what_comes_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/workloads");
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let promised = text.lines().next().unwrap().trim_start_matches("# ").to_owned();
            for assessment in assessed(&path.to_string_lossy(), &text) {
                let shown = Text::of(&assessment, None, None, PLAIN);
                assert!(shown.contains(&promised), "{promised}\n{shown}");
            }
            files += 1;
        }
        assert!(files >= 2);
    }

    #[test]
    fn a_supposition_changes_one_component_and_names_the_one_that_was_meant() {
        let text = "components: { web: { availability: 99% }, database: { availability: 99% } }";
        let read = formats::read_workloads("shop.yaml", text.as_bytes());
        let with = |name: &str| supposed(&read.workloads[0], &[supposition(name).unwrap()]);
        let better = assess(&with("database=100%").unwrap(), &Limits::default()).unwrap();
        assert_eq!(better.expected.unwrap().availability.to_string(), "99 %");
        assert!(with("databse=99%").unwrap_err().to_string().ends_with("did you mean `database`?"));
        assert!(supposition("database").is_err() && supposition("database=much").is_err());
    }
}
