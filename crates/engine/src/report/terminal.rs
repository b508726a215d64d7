//! The summary at the end of a run, for a terminal or a build log.
//!
//! Everything is plain lines: no boxes, no glyphs beyond what the document itself contains. What fits is a table; below the width it
//! needs, each clause gets two lines instead. Colours repeat words, never replace them.

use std::fmt::{self, Formatter};

use model::{event::Cleanliness, verdict::Verdict};

use super::{
    columns::{Cell, Paint, row, widths, wrap},
    words::{seconds, wanted, whole_seconds},
};
use crate::record::{Claim, ClauseResult, Held, InjectionRecord, Record, WindowValue};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether it takes colours.
    pub colour: bool,
    /// Its width in columns; lines are broken there.
    pub width: usize,
}

/// Lines longer than this are hard to read, however wide the terminal is.
const WIDEST: usize = 120;

/// The summary of a record; prints as lines, the last one ended.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    record: &'a Record,
    style: Style,
}

impl<'a> Summary<'a> {
    /// The summary of a record for a terminal of this style.
    #[must_use]
    pub const fn new(record: &'a Record, style: Style) -> Self {
        Self { record, style }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.verdict(f)?;
        self.clauses(f)?;
        self.times(f)?;
        self.hits(f)?;
        self.suggestions(f)?;
        self.previous(f)
    }
}

impl Summary<'_> {
    fn width(&self) -> usize {
        self.style.width.clamp(20, WIDEST)
    }

    fn head(&self, f: &mut Formatter<'_>, title: &str) -> fmt::Result {
        writeln!(f)?;
        wrap(title, self.width()).iter().try_for_each(|line| writeln!(f, "{}", Paint::Head.on(line, self.style.colour)))
    }

    /// A paragraph whose first line begins with `lead` and whose others are indented as far.
    fn paragraph(&self, f: &mut Formatter<'_>, lead: &str, text: &str, paint: Paint) -> fmt::Result {
        let blank = " ".repeat(lead.len());
        for (number, line) in wrap(text, self.width().saturating_sub(lead.len())).iter().enumerate() {
            writeln!(f, "{}{}", if number == 0 { lead } else { &blank }, paint.on(line, self.style.colour))?;
        }
        Ok(())
    }

    fn verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let paint = paint_of(record.verdict);
        let word = format!("{}: ", record.verdict);
        for (number, line) in wrap(&format!("{word}{}", record.reason), self.width()).iter().enumerate() {
            // The word is painted, the sentence is bold.
            match line.strip_prefix(word.trim_end()).filter(|_| number == 0) {
                Some(rest) => writeln!(
                    f,
                    "{}{}",
                    paint.on(word.trim_end(), self.style.colour),
                    Paint::Bold.on(rest, self.style.colour)
                )?,
                None => writeln!(f, "{}", Paint::Bold.on(line, self.style.colour))?,
            }
        }
        let took = seconds(record.ended.as_secs_f64().round());
        let facts = format!("{}, seed {}, took {took}", record.document.name, record.seed);
        self.paragraph(f, "  ", &facts, Paint::Dim)?;
        if let Some(statement) = &record.experiment.hypothesis.statement {
            self.paragraph(f, "  ", statement, Paint::Dim)?;
        }
        if record.interrupted {
            self.paragraph(f, "  ", &format!("interrupted: {}", record.status_reason), Paint::Bad)?;
        }
        for residue in &record.residue {
            self.paragraph(
                f,
                "  ",
                &format!("not clean: {} is left on {}", residue.what, residue.resource),
                Paint::Bad,
            )?;
            self.paragraph(f, "  ", &format!("repair it by: {}", residue.repair), Paint::Bold)?;
        }
        Ok(())
    }

    fn clauses(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let clauses = &self.record.clauses;
        if clauses.is_empty() {
            return Ok(());
        }
        let named = |name: &str| Cell::new(name, if name == "Clauses" { Paint::Head } else { Paint::Dim });
        let mut rows = vec![["Clauses", "wanted", "baseline", "fault", "recovery", "held"].map(named)];
        rows.extend(clauses.iter().map(clause_row));
        if fits(&rows, self.width()) {
            return self.table(f, &rows);
        }
        // What is wanted directly behind what is measured saves the padding between them.
        let mut rows = vec![["Clauses", "baseline", "fault", "recovery", "held"].map(named)];
        rows.extend(clauses.iter().map(|clause| {
            let [_, _, baseline, fault, recovery, held] = clause_row(clause);
            let clause = Cell::new(&format!("    {} {}", clause.metric, wanted(clause)), Paint::Plain);
            [clause, baseline, fault, recovery, held]
        }));
        if fits(&rows, self.width()) { self.table(f, &rows) } else { self.stacked_clauses(f) }
    }

    /// The clauses in columns; the first of the rows has their names.
    fn table<const N: usize>(&self, f: &mut Formatter<'_>, rows: &[[Cell; N]]) -> fmt::Result {
        let widths = widths(rows);
        let mut rows = rows.iter();
        if let Some(heads) = rows.next() {
            writeln!(f, "\n{}", row(heads, &widths, self.style.colour))?;
        }
        let mut claim = None;
        for (clause, cells) in self.record.clauses.iter().zip(rows) {
            self.claim(f, &mut claim, clause)?;
            writeln!(f, "{}", row(cells, &widths, self.style.colour))?;
            self.why(f, clause)?;
        }
        Ok(())
    }

    /// Two lines for each clause, for terminals that are too narrow for the table.
    fn stacked_clauses(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f, "Clauses")?;
        let mut claim = None;
        for clause in &self.record.clauses {
            self.claim(f, &mut claim, clause)?;
            self.paragraph(f, "    ", &format!("{} {}", clause.metric, wanted(clause)), Paint::Plain)?;
            let (held, paint) = held(clause.held);
            let values = [("baseline", &clause.baseline), ("fault", &clause.fault), ("recovery", &clause.recovery)]
                .map(|(window, value)| format!("{window} {}", text(value.as_ref())));
            self.paragraph(f, "      ", &values.join(", "), Paint::Dim)?;
            writeln!(f, "      held: {}", paint.on(held, self.style.colour))?;
            self.why(f, clause)?;
        }
        Ok(())
    }

    /// The claim a clause belongs to, once for all of its clauses.
    fn claim(&self, f: &mut Formatter<'_>, current: &mut Option<Claim>, clause: &ClauseResult) -> fmt::Result {
        if current.replace(clause.claim) == Some(clause.claim) {
            return Ok(());
        }
        writeln!(f, "  {}", Paint::Bold.on(&clause.claim.to_string(), self.style.colour))
    }

    /// Why a clause did not simply hold.
    fn why(&self, f: &mut Formatter<'_>, clause: &ClauseResult) -> fmt::Result {
        if clause.held == Some(Held::Yes) || clause.why.is_empty() {
            return Ok(());
        }
        self.paragraph(f, "      ", &clause.why, Paint::Dim)
    }

    fn times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let times = &self.record.times;
        let rows: Vec<_> = [
            ("detect (balancer)", &times.detect_by_balancer),
            ("detect (alarm)", &times.detect_by_alarm),
            ("replace", &times.replace),
            ("recover", &times.recover),
            ("abort", &times.abort),
        ]
        .into_iter()
        .filter_map(|(name, took)| took.as_ref().map(|took| (name, took)))
        .collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.head(f, "Times to")?;
        let cells: Vec<_> = rows
            .iter()
            .map(|(name, took)| {
                [
                    Cell::new(&format!("  {name}"), Paint::Plain),
                    Cell::new(&seconds(took.seconds), Paint::Bold),
                    Cell::new("", Paint::Plain),
                ]
            })
            .collect();
        let columns = widths(&cells);
        let indent = columns[0] + columns[1] + 4;
        for (mut cells, (_, took)) in cells.into_iter().zip(rows) {
            // Words one below the other are no sentence: a narrow terminal gets it on lines of its own.
            if indent * 2 > self.width() {
                writeln!(f, "{}", row(&cells, &columns, self.style.colour))?;
                self.paragraph(f, "    ", &took.what, Paint::Dim)?;
                continue;
            }
            let mut lines = wrap(&took.what, self.width().saturating_sub(indent)).into_iter();
            cells[2] = Cell::new(&lines.next().unwrap_or_default(), Paint::Dim);
            writeln!(f, "{}", row(&cells, &columns, self.style.colour))?;
            for line in lines {
                writeln!(f, "{}{}", " ".repeat(indent), Paint::Dim.on(&line, self.style.colour))?;
            }
        }
        Ok(())
    }

    fn hits(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f, "Hit")?;
        if self.record.injections.is_empty() {
            return writeln!(f, "  nothing was injected");
        }
        for injection in &self.record.injections {
            self.hit(f, injection)?;
        }
        Ok(())
    }

    fn hit(&self, f: &mut Formatter<'_>, injection: &InjectionRecord) -> fmt::Result {
        let colour = self.style.colour;
        self.paragraph(
            f,
            "  ",
            &format!("{} {}: {} into {}", injection.id, injection.action, injection.fault, injection.resource),
            Paint::Plain,
        )?;
        if let Some(proof) = &injection.proof {
            self.paragraph(f, "     configured  ", &proof.configured, Paint::Plain)?;
            let achieved = injection.life_proof.as_ref().map_or_else(
                || proof.achieved.clone(),
                |life| format!("{}; over its whole life: {}", proof.achieved, life.achieved),
            );
            self.paragraph(f, "     achieved    ", &achieved, Paint::Plain)?;
        }
        let life_holds = injection.life_proof.as_ref().is_none_or(|life| life.holds);
        let (took_hold, paint) = match &injection.proof {
            Some(proof) if proof.holds && life_holds => ("took hold", Paint::Good),
            Some(_) => ("not what was asked for", Paint::Bad),
            None => ("not injected", Paint::Bad),
        };
        let (clean, clean_paint) = match &injection.cleanliness {
            Some(Cleanliness::Clean) => ("clean", Paint::Good),
            Some(Cleanliness::Gone) => ("gone with what it hit", Paint::Good),
            Some(Cleanliness::Dirty { .. }) => ("not clean", Paint::Bad),
            None => ("cleanliness unknown", Paint::Unknown),
        };
        writeln!(f, "     {}, {}", paint.on(took_hold, colour), clean_paint.on(clean, colour))?;
        injection.failure.as_ref().map_or(Ok(()), |failure| self.paragraph(f, "     ", failure, Paint::Bad))
    }

    fn suggestions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.record.suggestions.is_empty() {
            return Ok(());
        }
        self.head(f, "Next")?;
        for (number, suggestion) in (1..).zip(&self.record.suggestions) {
            let lead = format!("  {number}. ");
            let blank = " ".repeat(lead.len());
            self.paragraph(f, &lead, &suggestion.what, Paint::Bold)?;
            self.paragraph(f, &blank, &suggestion.why, Paint::Plain)?;
            if let Some(change) = &suggestion.change {
                self.paragraph(f, &format!("{blank}> "), change, Paint::Plain)?;
            }
        }
        Ok(())
    }

    fn previous(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(changes) = &self.record.previous else { return Ok(()) };
        self.head(f, &format!("Since the run of {} ({})", whole_seconds(&changes.started), changes.verdict))?;
        if changes.lines.is_empty() {
            writeln!(f, "  nothing is different")?;
        }
        for line in &changes.lines {
            self.paragraph(f, "  ", &format!("{}: {} -> {}", line.what, line.before, line.now), Paint::Plain)?;
        }
        match &changes.report {
            Some(report) => self.paragraph(f, "  ", &format!("its report: {report}"), Paint::Dim),
            None => Ok(()),
        }
    }
}

const fn paint_of(verdict: Verdict) -> Paint {
    match verdict {
        Verdict::Green => Paint::Good,
        Verdict::Yellow => Paint::Warn,
        Verdict::Red => Paint::Bad,
        Verdict::Invalid | Verdict::Inconclusive => Paint::Unknown,
    }
}

const fn held(held: Option<Held>) -> (&'static str, Paint) {
    match held {
        Some(Held::Yes) => ("yes", Paint::Good),
        Some(Held::Late) => ("late", Paint::Warn),
        Some(Held::No) => ("NO", Paint::Bad),
        Some(Held::NotEnough) => ("too few samples", Paint::Unknown),
        None => ("-", Paint::Dim),
    }
}

/// Whether a table with these rows fits into so many columns.
fn fits<const N: usize>(rows: &[[Cell; N]], width: usize) -> bool {
    // Two blanks between each two columns.
    widths(rows).iter().sum::<usize>() + 2 * (N - 1) <= width
}

fn text(value: Option<&WindowValue>) -> &str {
    value.map_or("-", |value| value.text.as_str())
}

fn clause_row(clause: &ClauseResult) -> [Cell; 6] {
    let (held, paint) = held(clause.held);
    let cell = |value: &Option<WindowValue>, decides: bool| {
        Cell::new(text(value.as_ref()), if decides { Paint::Bold } else { Paint::Plain })
    };
    [
        Cell::new(&format!("    {}", clause.metric), Paint::Plain),
        Cell::new(&wanted(clause), Paint::Plain),
        cell(&clause.baseline, clause.claim == Claim::SteadyState),
        cell(&clause.fault, clause.claim == Claim::During),
        cell(&clause.recovery, clause.claim != Claim::SteadyState),
        Cell::new(held, paint),
    ]
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::report::sample;

    fn plain(record: &Record, width: usize) -> String {
        Summary::new(record, Style { colour: false, width }).to_string()
    }

    #[test]
    fn a_green_run_at_100_columns() {
        insta::assert_snapshot!(plain(&sample::green(), 100));
    }

    #[test]
    fn a_red_run_at_80_columns() {
        insta::assert_snapshot!(plain(&sample::red(), 80));
    }

    #[test]
    fn a_yellow_run_at_44_columns() {
        insta::assert_snapshot!(plain(&sample::yellow(), 44));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for (name, record) in sample::all() {
            for width in [40, 60, 80, 100, 200] {
                let text = plain(&record, width);
                let widest = text.lines().max_by_key(|line| line.width()).unwrap();
                assert!(widest.width() <= width, "{name} at {width}: {widest}");
                assert!(
                    text.lines().all(|line| line.trim_end() == line),
                    "{name} at {width} has blanks at the end of a line"
                );
            }
        }
    }

    #[test]
    fn colours_add_nothing_but_colours() {
        for (_, record) in sample::all() {
            let coloured = Summary::new(&record, Style { colour: true, width: 90 }).to_string();
            let mut bare = String::new();
            for (number, part) in coloured.split('\u{1b}').enumerate() {
                bare.push_str(if number == 0 { part } else { part.split_once('m').unwrap().1 });
            }
            assert_eq!(bare, plain(&record, 90));
        }
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let mut record = sample::green();
        record.document.name = "a\u{1b}[2Jb.yaml".to_owned();
        record.reason = "x\u{7}\u{1b}]0;title\u{7}".to_owned();
        assert!(!plain(&record, 80).contains(['\u{1b}', '\u{7}']));
    }
}
