//! Fallbacks and retries of dependencies: what they catch, and whether they last long enough.

use std::collections::{HashMap, HashSet};

use super::{Line, Program, name_before, retry::catches_all};
use crate::{codes, decode::Reader, finding::Finding};

/// Seconds that a managed database's failover takes at least; the services say 30 to 120.
const FAILOVER: f64 = 30.0;

/// Looks at a whole program.
pub(super) fn check(reader: &mut Reader<'_>, program: &Program<'_>) {
    modules(reader, program);
    let guarded: Vec<(usize, &str)> = functions(program, |decorator| {
        decorator.starts_with("@circuit") || decorator.to_lowercase().contains("breaker")
    });
    for (index, _) in &guarded {
        statuses(reader, program.block(*index));
    }
    hides(reader, program, &guarded.iter().map(|(_, name)| *name).collect::<Vec<_>>());
    for (index, line) in program.lines.iter().enumerate() {
        if line.text.starts_with("@retry(") {
            too_short(reader, program, index, line);
        }
    }
}

/// Functions with such a decorator: index of the `def`, and name.
fn functions<'t>(program: &Program<'t>, wanted: impl Fn(&str) -> bool) -> Vec<(usize, &'t str)> {
    let mut found = Vec::new();
    for (index, line) in program.lines.iter().enumerate() {
        if !line.text.starts_with('@') || !wanted(line.text) {
            continue;
        }
        let name = |text: &'t str| text.trim_start_matches("async ").strip_prefix("def ")?.split('(').next();
        if let Some((at, name)) = program.decorated(index).and_then(|at| Some((at, name(program.lines[at].text)?))) {
            found.push((at, name));
        }
    }
    found
}

/// Clients of HTTP that are used and not imported.
fn modules(reader: &mut Reader<'_>, program: &Program<'_>) {
    // A part of a program that imports nothing at all leaves its imports to the reader.
    if !program.lines.iter().any(|line| line.text.starts_with("import ") || line.text.starts_with("from ")) {
        return;
    }
    for module in ["httpx", "requests", "aiohttp", "urllib3"] {
        let call = |line: &Line<'_>| {
            let place = ["get(", "post(", "put(", "Client(", "request("]
                .iter()
                .find_map(|name| line.place(&format!("{module}.{name}")))?;
            let before = line.text[..place.start - line.start].chars().next_back();
            (!before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '\''))).then_some(place)
        };
        let defined = program.lines.iter().any(|line| line.text.starts_with(&format!("{module} = ")));
        if !program.imports(module)
            && !defined
            && let Some(place) = program.lines.iter().find_map(call)
        {
            let message = format!("`{module}` is not imported: the call raises NameError");
            reader.report(Finding::new(&codes::UNDEFINED_MODULE, place, message).help(format!("add import {module}")));
        }
    }
}

/// Every status but 200 as a failure of the dependency.
fn statuses(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    for (at, line) in body.iter().enumerate() {
        let raises = body.get(at + 1).is_some_and(|next| next.indent > line.indent && next.text.starts_with("raise"));
        if raises && line.text.starts_with("if ") && line.text.contains("status_code != 200") {
            let message = "a redirect or a wrong request of one client counts as a failure of the dependency";
            reader.report(
                Finding::new(&codes::EVERY_STATUS_TRIPS, line.span(), message)
                    .help("count 5xx, 429 and timeouts; pass on the rest"),
            );
        }
    }
}

/// A fallback for every exception of a guarded call.
fn hides(reader: &mut Reader<'_>, program: &Program<'_>, guarded: &[&str]) {
    let guarded: HashSet<&str> = guarded.iter().copied().collect();
    // The last `try:` at every indentation, and whether a guarded function is called in it, once that is known.
    let mut attempts: HashMap<usize, (usize, Option<bool>)> = HashMap::new();
    for (index, line) in program.lines.iter().enumerate() {
        if line.text == "try:" {
            attempts.insert(line.indent, (index, None));
        }
        if !catches_all(line.text) {
            continue;
        }
        let handler = program.block(index);
        let raises = handler.iter().any(|inner| inner.text.starts_with("raise"));
        let returns = handler.iter().any(|inner| inner.text.starts_with("return "));
        let Some((attempt, calls)) = attempts.get_mut(&line.indent) else { continue };
        let calls =
            *calls.get_or_insert_with(|| program.block(*attempt).iter().any(|inner| calls_one(inner.text, &guarded)));
        if calls && returns && !raises {
            let message = "bugs get the fallback as well, and nobody sees them";
            reader.report(
                Finding::new(&codes::HIDES_BUGS, line.span(), message)
                    .help("catch the open breaker, timeouts and 5xx, and say how old a cached answer may be"),
            );
        }
    }
}

/// Whether a line calls one of these functions: their name stands before a bracket.
fn calls_one(text: &str, functions: &HashSet<&str>) -> bool {
    text.match_indices('(')
        .any(|(at, _)| functions.contains(name_before(text, at).rsplit('.').next().unwrap_or_default()))
}

/// A number behind a name: 3 of `stop_after_attempt(3)`, 10 of `max=10`.
fn number(text: &str, name: &str) -> Option<f64> {
    let rest = &text[text.find(name)? + name.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Retries of a connection that are over before a failover is.
fn too_short(reader: &mut Reader<'_>, program: &Program<'_>, index: usize, line: &Line<'_>) {
    let Some(attempts) = number(line.text, "stop_after_attempt(") else { return };
    let body = program.block(program.decorated(index).unwrap_or(index));
    let connects = body.iter().find(|inner| {
        ["psycopg2.connect(", "psycopg.connect(", "pymysql.connect(", "mysql.connector.connect(", "asyncpg.connect("]
            .iter()
            .any(|call| inner.text.contains(call))
    });
    let Some(timeout) = connects.and_then(|inner| number(inner.text, "connect_timeout=")) else { return };
    let (multiplier, least, most) = (
        number(line.text, "multiplier=").unwrap_or(1.0),
        number(line.text, "min=").unwrap_or(0.0),
        number(line.text, "max=").unwrap_or(f64::MAX),
    );
    let mut worst = attempts * timeout;
    let mut wait = multiplier;
    let mut left = attempts - 1.0;
    // Beyond a minute it is long enough.
    while left >= 1.0 && worst < 60.0 {
        worst += if line.text.contains("wait_exponential") {
            wait.clamp(least, most.max(least))
        } else {
            number(line.text, "wait_fixed(").unwrap_or(0.0)
        };
        wait *= 2.0;
        left -= 1.0;
    }
    if worst < FAILOVER
        && let Some(place) = line.place("stop_after_attempt(")
    {
        let message =
            format!("after at most {worst} s it gives up; a managed database's failover takes {FAILOVER} s and more");
        reader.report(
            Finding::new(&codes::RETRY_SHORTER_THAN_FAILOVER, place, message)
                .help("measure the failover, retry for longer than that with a deadline, and have the fallback ready"),
        );
    }
}
