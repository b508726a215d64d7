//! What people call the columns of their lists of incidents.
//!
//! Lists come from trackers, pagers and spreadsheets, and each has words of its own: `started_at`, `Resolved`, `duration
//! (min)`. The same is meant by them, so that they are read as they are. What a list has besides is said to be left out.

use model::nearest::{is_slip, nearest};

use crate::{
    codes,
    decode::Reader,
    finding::{Finding, Severity},
    node::{Entry, Node},
    source::Span,
};

/// What an incident is made of, by our own names.
pub(super) const NAMES: [&str; 9] =
    ["title", "kind", "began", "detected", "detectedAfter", "restored", "duration", "lost", "cause"];

/// Other words for the same, without case, spaces and signs, and without `at`, `time` or `date` behind them. Of several that a
/// list has, the first one here counts: a service is restored before its ticket is closed.
const OTHERS: [&[&str]; NAMES.len()] = [
    &["summary", "name", "incident", "description", "id", "key", "number"],
    &[],
    &["start", "started", "begin", "begun", "occurred", "opened", "created"],
    &["noticed", "discovered", "alerted"],
    &["timetodetect", "ttd"],
    &["recovered", "mitigated", "resolved", "end", "ended", "finish", "finished", "fixed", "closed"],
    &["downtime", "outagelength", "length", "timetorestore", "timetoresolve", "ttr"],
    &["loss", "impact"],
    &["rootcause", "reason"],
];

/// Units behind the name of a column of numbers, and their seconds.
const UNITS: [(&str, u32); 9] = [
    ("seconds", 1),
    ("secs", 1),
    ("sec", 1),
    ("minutes", 60),
    ("mins", 60),
    ("min", 60),
    ("hours", 3600),
    ("hrs", 3600),
    ("h", 3600),
];

/// Which of [`NAMES`] a word stands for, how far down the list of words for it, and the seconds of a unit in it.
fn meaning(word: &str) -> Option<(usize, usize, Option<u32>)> {
    if let Some(at) = NAMES.iter().position(|name| *name == word) {
        return Some((at, 0, None));
    }
    let plain: String = word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let find = |text: &str| {
        let of_name = |at: usize| (NAMES[at].to_lowercase() == text).then_some(0);
        let of_others = |at: usize| OTHERS[at].iter().position(|other| *other == text).map(|place| place + 1);
        (0..NAMES.len()).find_map(|at| Some((at, of_name(at).or_else(|| of_others(at))?)))
    };
    let cut = |ends: &[&str]| ends.iter().find_map(|end| find(plain.strip_suffix(end)?));
    if let Some((at, place)) = find(&plain).or_else(|| cut(&["datetime", "timestamp", "time", "date", "at", "on"])) {
        return Some((at, place, None));
    }
    let (stem, seconds) = UNITS.iter().find_map(|(unit, seconds)| Some((plain.strip_suffix(unit)?, *seconds)))?;
    find(stem)
        .filter(|(at, _)| ["duration", "detectedAfter"].contains(&NAMES[*at]))
        .map(|(at, place)| (at, place, Some(seconds)))
}

/// A value of an incident.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'n> {
    pub(super) node: &'n Node,
    /// What the list calls it.
    pub(super) called: &'n str,
    /// The seconds of the unit that stands in the name.
    pub(super) unit: Option<u32>,
}

/// An incident with its values by our own names.
pub(super) struct Cells<'n> {
    pub(super) node: &'n Node,
    cells: [Option<(usize, Cell<'n>)>; NAMES.len()],
    rest: Vec<&'n Entry>,
}

impl<'n> Cells<'n> {
    pub(super) fn of(node: &'n Node, entries: &'n [Entry]) -> Self {
        let mut of = Self { node, cells: [None; NAMES.len()], rest: Vec::new() };
        let mut found: Vec<_> = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.value.is_null()) {
            match meaning(&entry.key) {
                Some((at, place, unit)) => found.push((at, place, unit, entry)),
                None => of.rest.push(entry),
            }
        }
        for (at, place, unit, entry) in found {
            let cell = Cell { node: &entry.value, called: &entry.key, unit };
            match of.cells[at] {
                Some((better, _)) if better <= place => {}
                _ => of.cells[at] = Some((place, cell)),
            }
        }
        of
    }

    pub(super) fn get(&self, name: &str) -> Option<Cell<'n>> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.cells[at].map(|(_, cell)| cell)
    }

    /// Says what is not read. In a document of ours a name that is nearly one of ours is a mistake; a table has columns of its
    /// own.
    pub(super) fn leave_the_rest(&self, reader: &mut Reader<'_>, is_table: bool) {
        for entry in &self.rest {
            let near = nearest(&entry.key, NAMES.iter().copied().filter(|name| self.get(name).is_none()));
            let finding = match near {
                Some(near) if !is_table => {
                    let message = format!("an incident has no key `{}`", entry.key);
                    Finding::new(&codes::UNKNOWN_KEY, entry.key_span, message).help(format!("did you mean `{near}`?"))
                }
                _ => {
                    let what = if is_table { "column" } else { "key" };
                    let message = format!("the {what} `{}` is not read", entry.key);
                    // Of a column of one's own a word is enough; one that differs by a letter is more probably a slip.
                    let slip = near.is_some_and(|near| is_slip(&entry.key, near));
                    let severity = if slip { Severity::Warning } else { Severity::Note };
                    let finding = Finding::new(&codes::UNKNOWN_KEY, entry.key_span, message).severity(severity);
                    finding.help(match near {
                        Some(near) => format!("if it means `{near}`, name it so"),
                        None => format!("read here: {}", NAMES.join(", ")),
                    })
                }
            };
            reader.report(finding);
        }
    }
}

/// Whether words that stand together are of an incident: when it began, when or after what time it was over, and what only
/// incidents have.
pub(super) fn are_of_incidents(words: &[&str]) -> bool {
    if words.contains(&"began") || words.iter().filter(|word| NAMES.contains(word)).count() >= 3 {
        return true;
    }
    let has =
        |names: &[&str]| words.iter().any(|word| meaning(word).is_some_and(|(at, ..)| names.contains(&NAMES[at])));
    let says_so =
        |word: &&str| ["incident", "outage", "severity"].iter().any(|said| word.to_lowercase().contains(said));
    has(&["began"])
        && has(&["restored", "duration"])
        && (has(&["kind", "detected", "detectedAfter", "lost", "cause"]) || words.iter().any(says_so))
}

/// Says once of a table that a column is missing in it; whether it is.
pub(super) fn lacks(
    reader: &mut Reader<'_>,
    place: Span,
    rows: &[Node],
    names: &[&str],
    message: &str,
    help: &str,
) -> bool {
    let mut entries = rows.iter().filter_map(Node::as_mapping).flatten();
    let lacks = !rows.is_empty()
        && !entries.any(|entry| meaning(&entry.key).is_some_and(|(at, ..)| names.contains(&NAMES[at])));
    if lacks {
        reader.report(Finding::new(&codes::MISSING_KEY, place, message).help(help));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_trackers_and_spreadsheets_mean_what_ours_do() {
        for (word, name) in [
            ("began", "began"),
            ("Started At", "began"),
            ("start_time", "began"),
            ("created_at", "began"),
            ("Start Date", "began"),
            ("resolved_at", "restored"),
            ("End", "restored"),
            ("closed-on", "restored"),
            ("Summary", "title"),
            ("ID", "title"),
            ("Root Cause", "cause"),
            ("Impact", "lost"),
            ("detected_time", "detected"),
            ("detected_after", "detectedAfter"),
        ] {
            assert_eq!(meaning(word).map(|(at, _, unit)| (NAMES[at], unit)), Some((name, None)), "{word}");
        }
        for (word, name, seconds) in [
            ("duration (min)", "duration", 60),
            ("Duration_Minutes", "duration", 60),
            ("downtime [h]", "duration", 3600),
            ("ttd_sec", "detectedAfter", 1),
        ] {
            assert_eq!(meaning(word).map(|(at, _, unit)| (NAMES[at], unit)), Some((name, Some(seconds))), "{word}");
        }
        for word in ["service", "severity", "date", "at", "minutes", "cost", "assignee", "", "é", "startmin"] {
            assert_eq!(meaning(word), None, "{word}");
        }
    }

    #[test]
    fn tables_are_of_incidents_by_more_than_a_beginning_and_an_end() {
        assert!(are_of_incidents(&["began", "x"]));
        assert!(are_of_incidents(&["Started", "Resolved", "Severity"]));
        assert!(are_of_incidents(&["start", "duration (min)", "root cause"]));
        assert!(!are_of_incidents(&["name", "start", "end"]), "a rota");
        assert!(!are_of_incidents(&["id", "cause"]));
    }
}
