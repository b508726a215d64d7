//! Histories of incidents, as YAML, JSON or CSV.
//!
//! A table has the incidents only, one in each line; what else there is to know about a history is given by the caller, who
//! may also overrule what a document says.

mod columns;
mod csv;
pub(crate) mod words;

use std::{collections::HashSet, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use model::incident::{Change, History, Incident, Kind, Stretch, When};

use self::columns::{Cell, Cells};
use crate::{
    codes,
    decode::{Fields, Reader},
    finding::{Finding, Severity},
    node::Node,
    read::{Done, open, open_with},
    source::{Source, Span},
};

/// The keys of a history.
pub(crate) const KEYS: &[&str] =
    &["name", "timeZone", "observed", "target", "stated", "weights", "change", "incidents"];

/// Keys that people put at the wrong level, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("from", "`observed`"),
    ("to", "`observed`"),
    ("outage", "`weights`"),
    ("partial", "`weights`"),
    ("degraded", "`weights`"),
    ("at", "`change`"),
];

/// A history that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadHistory {
    /// The history; none where a finding is an error.
    pub history: Option<History>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// What a caller says about a history; it overrules what the document says.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The beginning of what was observed.
    pub from: Option<When>,
    /// Its end.
    pub to: Option<When>,
    /// The availability that was aimed at, from 0 to 1.
    pub target: Option<f64>,
    /// Whose midnights divide days.
    pub time_zone: Option<TimeZone>,
}

/// Reads a history: a table if the path ends in `.csv` or `.tsv`, else a document. `path` is used in messages, and its stem is
/// the history's name unless the file gives one.
#[must_use]
pub fn read_history(path: &str, bytes: &[u8], given: &Given) -> ReadHistory {
    read(path, bytes, given, true)
}

/// Reads a history to see what is wrong with it. What a call may add to it may be missing.
pub(crate) fn check(path: &str, bytes: &[u8]) -> ReadHistory {
    read(path, bytes, &Given::default(), false)
}

fn read(path: &str, bytes: &[u8], given: &Given, to_run: bool) -> ReadHistory {
    let is_table = [".csv", ".tsv"].iter().any(|end| path.to_ascii_lowercase().ends_with(end));
    let opened = if is_table {
        open_with(path, bytes, |source, findings| csv::parse(source.text(), findings))
    } else {
        open(path, bytes)
    };
    let Done { value: history, findings, source } = opened.read(MISPLACED, |reader, root| {
        reader.to_run = to_run;
        if is_table { table(reader, root, given) } else { document(reader, root, given) }
    });
    ReadHistory { history, findings, source }
}

/// Whether a document is a history: incidents that began, or incidents within what was observed.
pub(crate) fn is_history(root: &Node) -> bool {
    let incidents = root.get("incidents").and_then(Node::as_sequence);
    let of_incidents = |item: &Node| {
        let keys = item.as_mapping().unwrap_or_default().iter().map(|entry| entry.key.as_str());
        columns::are_of_incidents(&keys.collect::<Vec<_>>())
    };
    incidents.is_some_and(|items| root.entry("observed").is_some() || items.iter().any(of_incidents))
}

/// Whether a table is one of incidents by its first line.
pub(crate) fn is_table_of_incidents(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let names: Vec<&str> = first.split([',', ';', '\t']).map(|name| name.trim_matches(['"', ' '])).collect();
    columns::are_of_incidents(&names)
}

/// A point in time with what is known of it: of a day alone, the time is not.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: Timestamp,
    day_only: bool,
}

fn table(reader: &mut Reader<'_>, root: &Node, given: &Given) -> Option<History> {
    reader.native_scalars = true;
    let time_zone = given.time_zone.clone().unwrap_or(TimeZone::UTC);
    let rows = root.as_sequence().unwrap_or_default();
    let began = columns::lacks(
        reader,
        root.head,
        rows,
        &["began"],
        "no column says when the incidents began",
        "name it `began`, or `started`, `start time`, `created at`",
    );
    let over = columns::lacks(
        reader,
        root.head,
        rows,
        &["restored", "duration"],
        "no column says how long the incidents lasted",
        "name it `restored` (or `resolved`, `end`), a point in time, or `duration`",
    );
    let read = if began || over { Vec::new() } else { incidents(reader, root, &time_zone, &Weights::default(), true) };
    let (mut incidents, told): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    let observed = observed(reader, None, root.head, &time_zone, given)?;
    for (incident, _) in incidents.iter_mut().zip(&told).filter(|(_, told)| told.open) {
        // It lasts to the end of what was observed, at least.
        incident.restored = incident.began.max(observed.to);
    }
    let name = reader.source.stem().to_owned();
    let history = History { name, time_zone, observed, target: given.target, stated: None, change: None, incidents };
    remark(reader, &history, &told);
    Some(history)
}

/// Reads a document.
pub(crate) fn document(reader: &mut Reader<'_>, root: &Node, given: &Given) -> Option<History> {
    reader.native_scalars = true;
    let fields = reader.fields(root, "a history", KEYS)?;
    let name = fields.get("name").and_then(|node| reader.text(node, "name"));
    let zone = given.time_zone.clone().or_else(|| time_zone(reader, fields.get("timeZone")?)).unwrap_or(TimeZone::UTC);
    let observed = observed(reader, Some(&fields), root.head, &zone, given);
    let target = fields.get("target").and_then(|node| words::share(reader, node, "target"));
    let stated = fields.get("stated").and_then(|node| words::share(reader, node, "stated"));
    let weights = fields.get("weights").map_or_else(Weights::default, |node| weights(reader, node));
    let change = fields.get("change").and_then(|node| change(reader, node, &zone));
    let list = fields.required("incidents", reader);
    let read = list.map(|node| incidents(reader, node, &zone, &weights, false)).unwrap_or_default();
    let (incidents, told): (_, Vec<_>) = read.into_iter().unzip();
    let history = History {
        name: name.unwrap_or_else(|| reader.source.stem().to_owned()),
        time_zone: zone,
        observed: observed?,
        target: given.target.or_else(|| Some(target?.value)),
        stated,
        change,
        incidents,
    };
    remark(reader, &history, &told);
    Some(history)
}

/// Says what can be said only when everything is known.
fn remark(reader: &mut Reader<'_>, history: &History, told: &[Told]) {
    let Stretch { from, to } = history.observed;
    let mut days = HashSet::new();
    for (incident, told) in history.incidents.iter().zip(told) {
        if incident.began < from || incident.restored > to {
            let message = format!("`{}` lies at least partly outside of what was observed", incident.title);
            let finding = Finding::new(&codes::NOT_OBSERVED, told.place, message);
            reader.report(
                finding.help(format!("only what lies from {from} to {to} counts; correct `observed`, or leave it")),
            );
        }
        if told.day_only && !days.insert(incident.began) {
            let message = "two incidents began on this day, and of neither the time is known";
            let finding = Finding::new(&codes::SAME_DAY, told.place, message);
            reader.report(
                finding.help("write the times; without, both begin at midnight, and what overlaps counts once"),
            );
        }
    }
}

fn time_zone(reader: &mut Reader<'_>, node: &Node) -> Option<TimeZone> {
    let name = reader.text(node, "timeZone")?;
    let zone = TimeZone::get(&name);
    if zone.is_err() {
        let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{name}` is not a time zone"));
        reader.report(finding.help("write an IANA name such as Europe/Berlin, or UTC"));
    }
    zone.ok()
}

/// From the caller, or from `observed: { from, to }` or `observed: { from, length }`.
fn observed(
    reader: &mut Reader<'_>,
    fields: Option<&Fields<'_>>,
    place: Span,
    zone: &TimeZone,
    given: &Given,
) -> Option<Stretch> {
    let instant = |when: Option<When>| when.and_then(|when| when.in_zone(zone));
    let (mut from, mut to) = (instant(given.from), instant(given.to));
    let node = fields.and_then(|fields| fields.get("observed"));
    if let Some(node) = node {
        let fields = reader.fields(node, "`observed`", &["from", "to", "length"])?;
        let begins = fields.get("from").and_then(|node| point(reader, node, "from", zone));
        let ends = fields.get("to").and_then(|node| point(reader, node, "to", zone));
        let length = fields.get("length").and_then(|node| words::length(reader, node, "length"));
        if fields.get("to").is_some() && fields.get("length").is_some() {
            reader.wrong_value(node.head, "`observed` has `to` or `length`, not both");
        }
        from = from.or_else(|| Some(begins?.at));
        to = to.or_else(|| Some(ends?.at)).or_else(|| later(reader, fields.get("length")?, "length", from?, length?));
        let missing = |key: &str| fields.get(key).is_none();
        if from.is_none() && missing("from") || to.is_none() && missing("to") && missing("length") {
            not_said(reader, node.head, true);
        }
    } else if from.is_none() || to.is_none() {
        not_said(reader, place, fields.is_some());
    }
    let stretch = Stretch { from: from?, to: to? };
    if stretch.from >= stretch.to {
        reader.wrong_value(node.map_or(place, |node| node.head), "what was observed ends before it begins");
        return None;
    }
    Some(stretch)
}

/// Says that the stretch is missing. The call of a command may give it, and of a table it must.
fn not_said(reader: &mut Reader<'_>, place: Span, can_say: bool) {
    if !reader.to_run && !can_say {
        return;
    }
    let message = "it is not said from when to when incidents were written down, so there is no availability";
    let finding = Finding::new(&codes::MISSING_KEY, place, message).help(
        "write observed: { from: 2024-01-01, to: 2024-02-01 }; `shaketable history` takes --from and --to as well",
    );
    reader.report(if reader.to_run { finding } else { finding.severity(Severity::Note) });
}

fn point(reader: &mut Reader<'_>, node: &Node, what: &str, zone: &TimeZone) -> Option<Point> {
    let when: When = reader.parsed(node, what)?;
    let at = when.in_zone(zone);
    if at.is_none() {
        beyond(reader, node, what);
    }
    Some(Point { at: at?, day_only: matches!(when, When::Day(_)) })
}

/// A point in time so much later.
fn later(reader: &mut Reader<'_>, node: &Node, what: &str, from: Timestamp, length: Duration) -> Option<Timestamp> {
    let at = from.checked_add(length).ok();
    if at.is_none() {
        beyond(reader, node, what);
    }
    at
}

fn beyond(reader: &mut Reader<'_>, node: &Node, what: &str) {
    reader.wrong_value(node.span, format!("{what} lies beyond the years that can be counted"));
}

fn change(reader: &mut Reader<'_>, node: &Node, zone: &TimeZone) -> Option<Change> {
    let fields = reader.fields(node, "`change`", &["at", "what"])?;
    let at = fields.required("at", reader).and_then(|node| point(reader, node, "at", zone));
    let what = fields.required("what", reader).and_then(|node| reader.text(node, "what"));
    Some(Change { at: at?.at, what: what? })
}

/// What share of the service is lost in an incident that does not say it.
struct Weights([(Kind, f64); Kind::ALL.len()]);

impl Default for Weights {
    fn default() -> Self {
        Self(Kind::ALL.map(|kind| (kind, 1.0)))
    }
}

fn weights(reader: &mut Reader<'_>, node: &Node) -> Weights {
    let mut weights = Weights::default();
    let Some(fields) = reader.fields(node, "`weights`", &Kind::ALL.map(Kind::word)) else { return weights };
    for (kind, weight) in &mut weights.0 {
        let share = fields.get(kind.word()).and_then(|node| words::share(reader, node, kind.word()));
        *weight = share.map_or(*weight, |share| share.value);
    }
    weights
}

/// What is known of an incident as it was told.
struct Told {
    /// Whether it is not over, as far as is told.
    open: bool,
    place: Span,
    day_only: bool,
}

fn incidents(
    reader: &mut Reader<'_>,
    node: &Node,
    zone: &TimeZone,
    weights: &Weights,
    is_table: bool,
) -> Vec<(Incident, Told)> {
    let items = reader.items(node, "incidents").unwrap_or_default();
    let mut read = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let Some(entries) = reader.entries(item, "an incident") else { continue };
        let cells = Cells::of(item, entries);
        cells.leave_the_rest(reader, is_table);
        let open = is_table && cells.get("restored").is_none() && cells.get("duration").is_none();
        read.extend(incident(reader, &cells, n + 1, zone, weights, open));
    }
    read
}

/// Reads the incident that is the `n`th of its list. One that is `open` is as if it were over at once; its end is found when it is known
/// how long it was observed.
fn incident(
    reader: &mut Reader<'_>,
    cells: &Cells<'_>,
    n: usize,
    zone: &TimeZone,
    weights: &Weights,
    open: bool,
) -> Option<(Incident, Told)> {
    let title =
        cells.get("title").map_or_else(|| Some(format!("incident {n}")), |cell| reader.text(cell.node, "title"));
    let kinds = Kind::ALL.map(|kind| (kind.word(), kind));
    let kind = cells.get("kind").map_or(Some(Kind::Outage), |cell| reader.one_of(cell.node, "kind", &kinds));
    if cells.get("began").is_none() {
        let finding = Finding::new(&codes::MISSING_KEY, cells.node.head, "it is not said when the incident began");
        reader.report(finding.help("add `began`, a point in time or a day"));
    }
    let began = cells.get("began").and_then(|cell| point(reader, cell.node, "began", zone));
    let restored = if open { began.map(|began| began.at) } else { end(reader, cells, began, zone) };
    if open && let Some(title) = &title {
        let message = format!("`{title}` has no end; it is taken to last to the end of what was observed");
        reader.report(Finding::new(&codes::NOT_OVER, cells.node.head, message).help("if it is over, write when"));
    }
    let detected = detected(reader, cells, began, zone);
    let cause = cells.get("cause").and_then(|cell| reader.text(cell.node, "cause"));
    let kind = kind?;
    let lost = lost(reader, cells, kind, weights);
    let began = began?;
    let incident =
        Incident { title: title?, kind: lost?.0, began: began.at, detected, restored: restored?, lost: lost?.1, cause };
    Some((incident, Told { open, place: cells.node.head, day_only: began.day_only }))
}

/// What share was lost: said by the incident, else by its kind. `impact` of other people's lists may be either.
fn lost(reader: &mut Reader<'_>, cells: &Cells<'_>, kind: Kind, weights: &Weights) -> Option<(Kind, f64)> {
    let weight = |kind: Kind| weights.0.iter().find(|(known, _)| *known == kind).map_or(1.0, |(_, weight)| *weight);
    let Some(cell) = cells.get("lost") else { return Some((kind, weight(kind))) };
    if cell.called != "lost" && !cell.node.as_text().is_some_and(words::is_share) {
        let word = cell.node.as_text().unwrap_or_default().trim().to_lowercase();
        let known = Kind::ALL.into_iter().find(|kind| kind.word() == word);
        if known.is_none() && word != "down" {
            let message =
                format!("`{}` says neither a share nor what kind of incident it was, so it counts wholly", cell.called);
            let finding = Finding::new(&codes::WRONG_VALUE, cell.node.span, message).severity(Severity::Note);
            reader.report(finding.help("write percent, such as 30%, or one of outage, partial, degraded"));
        }
        let kind = known.unwrap_or(kind);
        return Some((kind, weight(kind)));
    }
    words::share(reader, cell.node, cell.called).map(|share| (kind, share.value))
}

/// A length of time; a number alone where the name of its column has the unit.
fn length(reader: &mut Reader<'_>, cell: Cell<'_>) -> Option<Duration> {
    let number = cell.node.as_text().and_then(|text| text.trim().parse::<f64>().ok());
    match (number, cell.unit) {
        (Some(number), Some(unit)) if number >= 0.0 => {
            let length = Duration::try_from_secs_f64(number * f64::from(unit)).ok();
            if length.is_none() {
                beyond(reader, cell.node, cell.called);
            }
            length
        }
        _ => words::length(reader, cell.node, cell.called),
    }
}

/// `restored`, or `duration`; both where they agree.
fn end(reader: &mut Reader<'_>, cells: &Cells<'_>, began: Option<Point>, zone: &TimeZone) -> Option<Timestamp> {
    let (restored, duration) = (cells.get("restored"), cells.get("duration"));
    if restored.is_none() && duration.is_none() {
        let finding = Finding::new(&codes::MISSING_KEY, cells.node.head, "it is not said how long the incident lasted");
        reader.report(finding.help("add `restored`, a point in time, or `duration`"));
        return None;
    }
    let by_length = duration.map(|cell| {
        let length = length(reader, cell)?;
        later(reader, cell.node, cell.called, began?.at, length)
    });
    let Some(cell) = restored else { return by_length? };
    let restored = point(reader, cell.node, "restored", zone)?.at;
    let restored = not_before(reader, cell.node, "the service was restored", restored, began?)?;
    if let (Some(by_length), Some(duration)) = (by_length.flatten(), duration)
        && by_length.duration_since(restored).unsigned_abs() > ROUNDING
    {
        let message = format!("`{}` and `{}` contradict each other", cell.called, duration.called);
        let finding = Finding::new(&codes::INCIDENT_TIMES, duration.node.span, message);
        reader.report(finding.help("correct one of them, or remove it"));
        return None;
    }
    Some(restored)
}

/// By how much a length of time and two points in time may differ that say the same: times are told to the minute.
const ROUNDING: Duration = Duration::from_secs(60);

/// `detected`, or `detectedAfter`.
fn detected(reader: &mut Reader<'_>, cells: &Cells<'_>, began: Option<Point>, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(cell) = cells.get("detectedAfter") {
        let length = length(reader, cell)?;
        return later(reader, cell.node, cell.called, began?.at, length);
    }
    let node = cells.get("detected")?.node;
    let detected = point(reader, node, "detected", zone)?.at;
    not_before(reader, node, "the incident was noticed", detected, began?)
}

fn not_before(reader: &mut Reader<'_>, node: &Node, what: &str, at: Timestamp, began: Point) -> Option<Timestamp> {
    if at < began.at {
        let message = format!("{what} before it began");
        let finding = Finding::new(&codes::INCIDENT_TIMES, node.span, message);
        reader.report(finding.help(format!("it began at {}; correct one of the two", began.at)));
        return None;
    }
    Some(at)
}

#[cfg(test)]
mod tests;
