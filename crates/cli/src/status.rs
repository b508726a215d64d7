//! `shaketable status`: what is injected on this host, until when, who watches it, and what earlier runs left behind.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use engine::report::columns::{Cell, Paint, row, widths, wrap};
use faults::{
    book::Book,
    boot,
    grant::Grant,
    journal::{Begun, Open, Replayed},
    process::Process,
    state::{Seen, State},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    args::{ListFormat, Status},
    terminal::{self, Style},
};

/// Says what there is. The exit code is 1 when something is left behind, so that a monitor can ask.
pub(crate) fn status(call: &Status, style: Style) -> Result<ExitCode> {
    let state = State::of_user()?;
    let journals: Vec<Journal> = state.look()?.into_iter().map(Journal::new).collect();
    terminal::out(&match call.format {
        ListFormat::Text => text(&journals, style),
        ListFormat::Json => json_text(&state, &journals)?,
    });
    Ok(ExitCode::from(u8::from(journals.iter().any(Journal::is_left_behind))))
}

/// A journal, and what is known of those who have it.
struct Journal {
    seen: Seen,
    book: Option<Book>,
    runner: Option<(Process, Standing)>,
    guardian: Option<(Process, Standing)>,
    /// When all this was looked at.
    now: Timestamp,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    AtWork,
    /// It lives, and shows no sign of it.
    Hangs,
    /// By a signal.
    Stopped,
    Dead,
}

/// A runner shows itself twice a second; on a busy machine it may be late.
const SILENT: Duration = Duration::from_secs(5);

impl Standing {
    fn of(process: Process) -> Self {
        match process.stat() {
            None => Self::Dead,
            Some(stat) if matches!(stat.state, 'T' | 't') => Self::Stopped,
            Some(_) => Self::AtWork,
        }
    }

    /// The same of one that should have shown itself.
    fn with_signs(self, book: Option<&Book>) -> Self {
        let silent = book.is_some_and(|book| book.age() > SILENT);
        if self == Self::AtWork && silent { Self::Hangs } else { self }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::AtWork => "alive",
            Self::Hangs => "hangs",
            Self::Stopped => "stopped",
            Self::Dead => "dead",
        }
    }

    const fn paint(self) -> Paint {
        match self {
            Self::AtWork => Paint::Good,
            Self::Hangs | Self::Stopped => Paint::Warn,
            Self::Dead => Paint::Bad,
        }
    }
}

impl Journal {
    fn new(seen: Seen) -> Self {
        let book = seen.book();
        let begun = seen.says.as_ref().ok().and_then(|says| says.begun.as_ref());
        let runner = begun.map(|begun| (begun.runner, Standing::of(begun.runner).with_signs(book.as_ref())));
        let guardian = book.as_ref().and_then(|book| book.guardian).map(|guardian| (guardian, Standing::of(guardian)));
        Self { seen, book, runner, guardian, now: Timestamp::now() }
    }

    /// Whether something in it waits for somebody to undo it.
    fn is_left_behind(&self) -> bool {
        !self.seen.held && self.seen.says.as_ref().map_or(true, |says| !says.open.is_empty())
    }

    /// Until when an injection may live.
    fn grant(&self, open: &Open) -> Option<Grant> {
        self.book.as_ref()?.grants.get(&open.undo.token).copied()
    }

    /// Who undoes what is in it, and when.
    fn outlook(&self) -> &'static str {
        use Standing::{AtWork, Dead, Hangs, Stopped};
        let guardian = self.guardian.map_or(Dead, |(_, standing)| standing);
        match (self.seen.held, self.runner.map_or(Dead, |(_, standing)| standing), guardian) {
            (false, ..) => "left behind; undone by the next start, or by `shaketable undo --all`",
            (true, AtWork, _) => "undone by the run, at the end of each fault",
            (true, Dead, AtWork) => "being undone by the guardian, because the run has died",
            (true, Dead, _) => "being undone, because the run has died",
            (true, Hangs | Stopped, AtWork) => "undone by the guardian, when a lease has ended: it ends the run first",
            (true, Hangs | Stopped, _) => {
                "undone by the next start, when a lease has ended: it ends the run first; or by `shaketable undo --all`"
            }
        }
    }
}

fn text(journals: &[Journal], style: Style) -> String {
    let journals: Vec<&Journal> = journals.iter().filter(|one| one.seen.held || one.is_left_behind()).collect();
    if journals.is_empty() {
        return "Nothing is injected, and nothing is left behind.\n".to_owned();
    }
    let shown: Vec<String> = journals.iter().map(|journal| one(journal, style)).collect();
    shown.join("\n")
}

fn one(journal: &Journal, style: Style) -> String {
    let mut page = Page { style, text: String::new() };
    let says = match &journal.seen.says {
        Ok(says) => says,
        Err(why) => {
            page.heading(&journal.seen.name);
            page.paragraph("  ", &why.to_string());
            return page.text;
        }
    };
    page.heading(says.begun.as_ref().map_or("an unknown run", |begun| begun.document.as_str()));
    page.rows(&[
        [plain("  journal"), plain(&journal.seen.name), plain("")],
        of_process("  runner", journal.runner, &since(journal, says)),
        of_process("  guardian", journal.guardian, ""),
    ]);
    if says.damaged > 0 {
        page.paragraph("  ", &format!("{} parts of {} cannot be read", says.damaged, journal.seen.path.display()));
    }
    if says.open.is_empty() {
        page.paragraph("  ", "nothing in effect");
        return page.text;
    }
    page.text.push('\n');
    page.faults(journal, &says.open);
    page.paragraph("  ", journal.outlook());
    page.text
}

/// Since when a run goes on, and when it was heard of last.
fn since(journal: &Journal, says: &Replayed) -> String {
    let Some(begun) = &says.begun else { return String::new() };
    let boot = if is_of_this_boot(begun) { "" } else { ", before this machine was booted" };
    let silent = journal.book.as_ref().filter(|_| journal.seen.held).map(Book::age).filter(|age| *age > SILENT);
    let silent = silent.map(|age| format!(", silent for {}", in_words(age))).unwrap_or_default();
    format!("since {}{boot}{silent}", time(begun.at))
}

fn is_of_this_boot(begun: &Begun) -> bool {
    begun.boot == boot::id()
}

fn of_process(role: &str, process: Option<(Process, Standing)>, more: &str) -> [Cell; 3] {
    let (pid, word, paint) = match process {
        Some((process, standing)) => (process.pid.to_string(), standing.word(), standing.paint()),
        None => ("-".to_owned(), "unknown", Paint::Dim),
    };
    let words = if more.is_empty() { word.to_owned() } else { format!("{word}, {more}") };
    [plain(role), plain(&pid), Cell::new(&words, paint)]
}

fn plain(text: &str) -> Cell {
    Cell::new(text, Paint::Plain)
}

/// What is being written.
struct Page {
    style: Style,
    text: String,
}

impl Page {
    fn heading(&mut self, words: &str) {
        for line in wrap(words, self.style.width) {
            self.line(&Paint::Bold.on(&line, self.style.colour));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn paragraph(&mut self, indent: &str, words: &str) {
        for line in wrap(words, self.style.width.saturating_sub(indent.len())) {
            self.line(&format!("{indent}{line}"));
        }
    }

    /// Rows that line up, as wide as they are.
    fn rows<const N: usize>(&mut self, rows: &[[Cell; N]]) {
        let widths = widths(rows);
        for cells in rows {
            let line = row(cells, &widths, self.style.colour);
            self.line(&line);
        }
    }

    /// The faults: a row each where that fits, else a few lines each.
    fn faults(&mut self, journal: &Journal, open: &[Open]) {
        let mut table = vec![["  #", "fault", "on", "since", "lease", "ends"].map(|head| Cell::new(head, Paint::Dim))];
        table.extend(open.iter().map(|one| Fault::new(journal, one).row()));
        // Two blanks between columns.
        let width = widths(&table).iter().sum::<usize>() + 2 * (table.first().map_or(0, |row| row.len()) - 1);
        if width <= self.style.width {
            self.rows(&table);
        } else {
            for one in open {
                let fault = Fault::new(journal, one);
                self.paragraph("  ", &format!("{} {} on {}", fault.id, fault.fault, fault.on));
                self.paragraph("    ", &format!("since {}; lease: {}; ends: {}", fault.since, fault.lease, fault.ends));
            }
        }
        for one in open {
            if let Some((residue, repair)) = &one.left {
                self.paragraph("  ", &format!("left of {}: {residue}; by hand: {repair}", one.id));
            } else if !journal.seen.held {
                self.paragraph("  ", &format!("to undo {}: {}", one.id, undone_by(&one.undo.fault)));
            }
        }
        self.text.push('\n');
    }
}

/// A fault on record, in words.
struct Fault {
    id: String,
    fault: String,
    on: String,
    since: String,
    lease: String,
    ends: String,
}

impl Fault {
    fn new(journal: &Journal, open: &Open) -> Self {
        let grant = journal.grant(open);
        let doubt = match (open.injected, journal.seen.held) {
            (true, _) => "",
            (false, true) => " (under way)",
            (false, false) => " (maybe)",
        };
        Self {
            id: open.id.to_string(),
            fault: open.undo.fault.clone(),
            on: format!("{}{doubt}", open.undo.object.name),
            since: clock(open.at, journal.now),
            lease: match (grant, journal.seen.held) {
                (Some(grant), true) => left(grant.until).map_or_else(|| "ended".to_owned(), in_words),
                _ => "-".to_owned(),
            },
            ends: match grant.map(|grant| grant.end) {
                Some(Some(end)) => {
                    left(end).map_or_else(|| "is past".to_owned(), |left| format!("in {}", in_words(left)))
                }
                Some(None) => "when told".to_owned(),
                None => "-".to_owned(),
            },
        }
    }

    fn row(&self) -> [Cell; 6] {
        let paint = |text: &str, bad: &str| Cell::new(text, if text == bad { Paint::Bad } else { Paint::Plain });
        [
            plain(&format!("  {}", self.id)),
            plain(&self.fault),
            plain(&self.on),
            plain(&self.since),
            paint(&self.lease, "ended"),
            paint(&self.ends, "is past"),
        ]
    }
}

/// The time until then, since boot; `None`: it is past.
fn left(then: Duration) -> Option<Duration> {
    then.checked_sub(boot::now())
}

/// `12 s`, `2 min 57 s`, `3 h 5 min`: rounded up, so that what is not over is not said to be.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn undone_by(fault: &str) -> &'static str {
    let entry = faults::catalogue().iter().find(|entry| entry.id == fault);
    entry.map_or("another version of shaketable knows how", |entry| entry.undone_by)
}

/// The time of the day, and the day where it is another.
fn clock(at: SystemTime, now: Timestamp) -> String {
    let (now, then) = (now.to_string(), time(at));
    match (now.split_once('T'), then.split_once('T')) {
        (Some((today, _)), Some((day, clock))) if today == day => clock.to_owned(),
        _ => then,
    }
}

fn time(at: SystemTime) -> String {
    let rounded = Timestamp::try_from(at).and_then(|at| at.round(jiff::Unit::Second));
    rounded.map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}

fn json_text(state: &State, journals: &[Journal]) -> Result<String> {
    let journals: Vec<Value> = journals.iter().map(as_json).collect();
    let whole = json!({ "state": state.folder(), "journals": journals });
    Ok(format!("{}\n", serde_json::to_string_pretty(&whole)?))
}

fn as_json(journal: &Journal) -> Value {
    let Journal { seen, book, runner, guardian, now: _ } = journal;
    let says = match &seen.says {
        Ok(says) => says,
        Err(why) => {
            return json!({ "name": seen.name, "path": seen.path, "held": seen.held, "error": why.to_string() });
        }
    };
    let begun = says.begun.as_ref();
    let process = |process: &Option<(Process, Standing)>| {
        process.map(|(process, standing)| json!({ "pid": process.pid, "state": standing.word() }))
    };
    let faults: Vec<Value> = says.open.iter().map(|open| open_fault(journal, open)).collect();
    json!({
        "name": seen.name,
        "path": seen.path,
        "held": seen.held,
        "leftBehind": journal.is_left_behind(),
        "document": begun.map(|begun| &begun.document),
        "pid": runner.map(|(runner, _)| runner.pid),
        "alive": runner.is_some_and(|(_, standing)| standing != Standing::Dead),
        "runner": process(runner),
        "guardian": process(guardian),
        "outlook": (!says.open.is_empty()).then(|| journal.outlook()),
        "thisBoot": begun.is_some_and(is_of_this_boot),
        "since": begun.map(|begun| time(begun.at)),
        "heardSecondsAgo": book.as_ref().filter(|_| seen.held).map(|book| book.age().as_secs_f64()),
        "damaged": says.damaged,
        "faults": faults,
    })
}

fn open_fault(journal: &Journal, open: &Open) -> Value {
    let grant = journal.grant(open);
    let seconds_to = |then: Duration| then.as_secs_f64() - boot::now().as_secs_f64();
    let end = grant.and_then(|grant| grant.end);
    json!({
        "injection": open.id,
        "fault": open.undo.fault,
        "object": open.undo.object.name,
        "pid": open.undo.object.pid,
        "since": time(open.at),
        "leaseSeconds": open.lease.as_secs_f64(),
        "leaseSecondsLeft": grant.filter(|_| journal.seen.held).map(|grant| seconds_to(grant.until)),
        "endsInSeconds": end.map(seconds_to),
        "injected": open.injected,
        "undoneBy": undone_by(&open.undo.fault),
        "residue": open.left.as_ref().map(|(residue, _)| residue),
        "repair": open.left.as_ref().map(|(_, repair)| repair),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use faults::{Object, Undo};
    use model::event::InjectionId;

    use super::*;

    fn open(id: u32, fault: &str, object: &str) -> Open {
        let object = Object { name: object.to_owned(), ..Object::default() };
        let undo = Undo { fault: fault.to_owned(), token: u64::from(id), object, plan: Value::Null };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(8 * 3600 + 62);
        Open { id: InjectionId(id), undo, lease: Duration::from_secs(15), at, injected: true, left: None }
    }

    /// A run with three faults; the times are far from where words change.
    fn journal() -> Journal {
        let runner = Process { pid: 4711, started: 1 };
        let begun = Begun {
            runner,
            boot: boot::id().to_owned(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(8 * 3600),
            document: "One of two instances is slow, and the other cannot open files any more".to_owned(),
        };
        let faults = [
            open(1, "network:latency", "i-0f3a9c"),
            open(2, "process:exhaust-descriptors", "host:process/4711"),
            Open { injected: false, ..open(3, "disk:fill", "i-0f3a9c") },
        ];
        let says = Replayed { begun: Some(begun), open: faults.into(), damaged: 0 };
        let seen = Seen { name: "4711-0".to_owned(), path: "/state/4711-0.journal".into(), held: true, says: Ok(says) };
        let after = |millis| boot::now() + Duration::from_millis(millis);
        let grants = BTreeMap::from([
            (1, Grant { until: after(11_500), end: Some(after(176_500)) }),
            (2, Grant { until: after(11_500), end: None }),
            (3, Grant { until: Duration::ZERO, end: Some(Duration::ZERO) }),
        ]);
        let book = Book::now(None, grants);
        Journal {
            seen,
            book: Some(book),
            runner: Some((runner, Standing::AtWork)),
            guardian: Some((Process { pid: 4713, started: 1 }, Standing::AtWork)),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn shown(width: usize) -> String {
        let text = one(&journal(), Style { colour: false, live: false, width });
        assert!(text.lines().all(|line| line.len() <= width && !line.ends_with(' ')), "{text}");
        text
    }

    #[test]
    fn where_there_is_room_each_fault_has_a_row() {
        let rows = "\
One of two instances is slow, and the other cannot open files any more
  journal   4711-0
  runner    4711    alive, since 1970-01-01T08:00:00Z
  guardian  4713    alive

  #   fault                        on                    since      lease  ends
  #1  network:latency              i-0f3a9c              08:01:02Z  12 s   in 2 min 57 s
  #2  process:exhaust-descriptors  host:process/4711     08:01:02Z  12 s   when told
  #3  disk:fill                    i-0f3a9c (under way)  08:01:02Z  ended  is past

  undone by the run, at the end of each fault
";
        assert_eq!(shown(90), rows);
    }

    #[test]
    fn at_sixty_columns_each_fault_has_lines_that_fit() {
        let lines = "\
One of two instances is slow, and the other cannot open
files any more
  journal   4711-0
  runner    4711    alive, since 1970-01-01T08:00:00Z
  guardian  4713    alive

  #1 network:latency on i-0f3a9c
    since 08:01:02Z; lease: 12 s; ends: in 2 min 57 s
  #2 process:exhaust-descriptors on host:process/4711
    since 08:01:02Z; lease: 12 s; ends: when told
  #3 disk:fill on i-0f3a9c (under way)
    since 08:01:02Z; lease: ended; ends: is past

  undone by the run, at the end of each fault
";
        assert_eq!(shown(60), lines);
    }

    #[test]
    fn who_undoes_depends_on_who_is_left() {
        let mut journal = journal();
        let stopped = journal.runner.map(|(runner, _)| (runner, Standing::Stopped));
        assert!(journal.outlook().contains("by the run"));
        journal.runner = stopped;
        assert!(journal.outlook().contains("by the guardian, when a lease has ended"));
        journal.guardian = None;
        assert!(journal.outlook().contains("by the next start, when a lease has ended"));
        journal.seen.held = false;
        assert!(journal.outlook().starts_with("left behind"));
    }

    #[test]
    fn times_are_rounded_up() {
        let words = [0, 1, 59_900, 60_000, 177_000, 11_100_000].map(|millis| in_words(Duration::from_millis(millis)));
        assert_eq!(words, ["0 s", "1 s", "1 min 0 s", "1 min 0 s", "2 min 57 s", "3 h 5 min"]);
    }
}
