//! Circuit breakers that are written by hand.

use super::{Line, Program, retry::catches_all};
use crate::{codes, decode::Reader, finding::Finding};

/// Looks at every class that is a breaker by its name and its states.
pub(super) fn check(reader: &mut Reader<'_>, program: &Program<'_>) {
    for (index, line) in program.lines.iter().enumerate() {
        let body = program.block(index);
        let breaker = line.text.starts_with("class ")
            && line.text.contains("Breaker")
            && body.iter().any(|line| line.text.contains("HALF_OPEN"));
        if breaker {
            class(reader, body);
        }
    }
    clock(reader, program);
}

fn class(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    forgets(reader, body);
    probes(reader, body);
    stuck(reader, body);
    let rejects = body.iter().find(|line| line.text.starts_with("raise Exception("));
    if let Some(line) = rejects {
        let message = "the rejection is a bare Exception, which nobody can tell from a failure of the call";
        reader.report(
            Finding::new(&codes::UNTYPED_REJECTION, line.span(), message)
                .help("raise a type of its own, such as CircuitOpen with the time until the next probe"),
        );
    }
}

/// A count of failures that only a half-open success takes back.
fn forgets(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    let Some((name, raise)) = body.iter().find_map(|line| {
        let name = line.text.strip_suffix(" += 1")?;
        (name.contains("fail") || name.contains("error")).then_some((name, line))
    }) else {
        return;
    };
    let reset = format!("{name} = 0");
    let closed = reset_while_closed(body, &reset);
    let windowed =
        body.iter().any(|line| ["deque", "window", "timestamps"].iter().any(|word| line.text.contains(word)));
    if !closed && !windowed {
        let message = format!(
            "`{name}` is set back by a half-open success only: failures among any number of successes add up until it opens"
        );
        reader.report(
            Finding::new(&codes::NEVER_FORGETS, raise.span(), message)
                .help("set it to 0 on every success while closed, or count within a sliding window"),
        );
    }
}

/// Whether a line resets the count elsewhere than where it begins, and than on a half-open success.
fn reset_while_closed(body: &[Line<'_>], reset: &str) -> bool {
    // The conditions and functions that the line stands in, from the outside.
    let mut around: Vec<&Line<'_>> = Vec::new();
    for line in body {
        while around.last().is_some_and(|outer| outer.indent >= line.indent) {
            around.pop();
        }
        let begins = |line: &&Line<'_>| line.text.contains("HALF_OPEN") || line.text.starts_with("def __init__");
        if line.text == reset && !around.iter().any(begins) {
            return true;
        }
        around.push(line);
    }
    false
}

/// A half-open state without a limit of calls.
fn probes(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    let limited = body.iter().any(|line| {
        let text = line.text.to_lowercase();
        ["half_open_", "probe", "semaphore", "permit", "trial", "in_flight", "generation"]
            .iter()
            .any(|word| text.contains(word))
    });
    let opens = body.iter().find(|line| line.text.starts_with("self.state =") && line.text.contains("HALF_OPEN"));
    if let (Some(line), false) = (opens, limited) {
        let message = "once it is half-open every caller is let through, and a slow call from before decides as well";
        reader.report(
            Finding::new(&codes::UNLIMITED_PROBES, line.span(), message)
                .help("let a few through at a time, and number the states so that stale results are ignored"),
        );
    }
}

/// Outcomes that no branch deals with.
fn stuck(reader: &mut Reader<'_>, body: &[Line<'_>]) {
    let total = body.iter().any(|line| catches_all(line.text) || line.text == "finally:");
    let only = body.iter().find(|line| line.text.starts_with("except self."));
    if let (Some(line), false) = (only, total) {
        let message =
            "an exception of another kind passes by: half-open stays half-open, with every caller let through";
        reader.report(
            Finding::new(&codes::STUCK_HALF_OPEN, line.span(), message)
                .help("decide for every outcome, in `finally` if need be"),
        );
    }
}

/// `time.time() - since >= timeout`
fn clock(reader: &mut Reader<'_>, program: &Program<'_>) {
    for line in &program.lines {
        let compares =
            line.text.starts_with("if ") || line.text.starts_with("while ") || line.text.starts_with("elif ");
        if compares
            && line.text.contains(['<', '>'])
            && let Some(place) = line.place("time.time() -")
        {
            let message = "the wall clock may be set back or forward; a length of time is not what it measures";
            reader.report(
                Finding::new(&codes::WALL_CLOCK, place, message)
                    .help("use time.monotonic() here and where the beginning is kept"),
            );
        }
    }
}
