//! `shaketable status`: what is injected on this host, by whom, and what earlier runs left behind.

use std::{
    fmt::Write,
    fs,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use faults::{
    boot,
    journal::{Begun, Open, Replayed},
    state::{Seen, State},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    args::{ListFormat, Status},
    terminal,
};

/// Says what there is. The exit code is 1 when something is left behind, so that a monitor can ask.
pub(crate) fn status(call: &Status) -> Result<ExitCode> {
    let state = State::of_user()?;
    let journals = state.look()?;
    terminal::out(&match call.format {
        ListFormat::Text => text(&journals),
        ListFormat::Json => json_text(&state, &journals)?,
    });
    Ok(ExitCode::from(u8::from(journals.iter().any(is_left_behind))))
}

/// Whether something in a journal waits for somebody to undo it.
fn is_left_behind(seen: &Seen) -> bool {
    !seen.held && seen.says.as_ref().map_or(true, |says| !says.open.is_empty())
}

fn text(journals: &[Seen]) -> String {
    let journals: Vec<&Seen> = journals.iter().filter(|seen| seen.held || is_left_behind(seen)).collect();
    if journals.is_empty() {
        return "Nothing is injected, and nothing is left behind.\n".to_owned();
    }
    let mut text: String = journals.iter().map(|seen| one(seen)).collect();
    if journals.iter().any(|seen| is_left_behind(seen)) {
        text.push_str("To undo what is left behind: shaketable undo --all\n");
    }
    text
}

fn one(seen: &Seen) -> String {
    let says = match &seen.says {
        Ok(says) => says,
        Err(why) => return format!("{}  {why}\n", seen.name),
    };
    let mut text = format!("{}  {}\n", seen.name, heading(seen, says));
    if says.damaged > 0 {
        line(&mut text, &format!("{} parts of {} cannot be read", says.damaged, seen.path.display()));
    }
    for open in &says.open {
        line(&mut text, &fault(open, seen.held));
        if let Some((residue, repair)) = &open.left {
            line(&mut text, &format!("    left of it: {residue}; by hand: {repair}"));
        }
    }
    text
}

fn heading(seen: &Seen, says: &Replayed) -> String {
    let who = says.begun.as_ref().map_or_else(|| "an unknown process".to_owned(), who);
    match (seen.held, says.begun.as_ref().is_some_and(|begun| begun.runner.is_alive())) {
        (true, true) => format!("{who} injects{}", last_heard(seen)),
        (true, false) => format!("{who} has died; its guardian is undoing"),
        (false, _) => format!("left behind by {who}"),
    }
}

fn who(begun: &Begun) -> String {
    let boot = if begun.boot == boot::id() { "" } else { ", before this machine was booted" };
    format!("`{}` (process {}, since {}{boot})", begun.document, begun.runner.pid, time(begun.at))
}

/// When the runner last renewed its leases.
fn last_heard(seen: &Seen) -> String {
    match age(seen) {
        Some(age) => format!(", last renewed {} s ago", age.as_secs()),
        None => String::new(),
    }
}

fn age(seen: &Seen) -> Option<Duration> {
    fs::metadata(&seen.path).ok()?.modified().ok()?.elapsed().ok()
}

fn fault(open: &Open, held: bool) -> String {
    let Open { id, undo, lease, at, injected, .. } = open;
    let doubt = if *injected { "" } else { ", maybe" };
    let next = if held {
        format!("lease {} s", lease.as_secs_f64())
    } else {
        format!("to undo it: {}", undone_by(&undo.fault))
    };
    format!("  {id} {} on {}{doubt}, since {}; {next}", undo.fault, undo.object.name, time(*at))
}

fn undone_by(fault: &str) -> &'static str {
    let entry = faults::catalogue().iter().find(|entry| entry.id == fault);
    entry.map_or("another version of shaketable knows how", |entry| entry.undone_by)
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "  {words}").expect("a String takes all text");
}

fn time(at: SystemTime) -> String {
    let rounded = Timestamp::try_from(at).and_then(|at| at.round(jiff::Unit::Second));
    rounded.map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}

fn json_text(state: &State, journals: &[Seen]) -> Result<String> {
    let journals: Vec<Value> = journals.iter().map(journal).collect();
    let whole = json!({ "state": state.folder(), "journals": journals });
    Ok(format!("{}\n", serde_json::to_string_pretty(&whole)?))
}

fn journal(seen: &Seen) -> Value {
    let says = match &seen.says {
        Ok(says) => says,
        Err(why) => {
            return json!({ "name": seen.name, "path": seen.path, "held": seen.held, "error": why.to_string() });
        }
    };
    let begun = says.begun.as_ref();
    let faults: Vec<Value> = says.open.iter().map(open_fault).collect();
    json!({
        "name": seen.name,
        "path": seen.path,
        "held": seen.held,
        "leftBehind": is_left_behind(seen),
        "document": begun.map(|begun| &begun.document),
        "pid": begun.map(|begun| begun.runner.pid),
        "alive": begun.is_some_and(|begun| begun.runner.is_alive()),
        "thisBoot": begun.is_some_and(|begun| begun.boot == boot::id()),
        "since": begun.map(|begun| time(begun.at)),
        "renewedSecondsAgo": age(seen).filter(|_| seen.held).map(|age| age.as_secs_f64()),
        "damaged": says.damaged,
        "faults": faults,
    })
}

fn open_fault(open: &Open) -> Value {
    json!({
        "injection": open.id,
        "fault": open.undo.fault,
        "object": open.undo.object.name,
        "pid": open.undo.object.pid,
        "since": time(open.at),
        "leaseSeconds": open.lease.as_secs_f64(),
        "injected": open.injected,
        "undoneBy": undone_by(&open.undo.fault),
        "residue": open.left.as_ref().map(|(residue, _)| residue),
        "repair": open.left.as_ref().map(|(_, repair)| repair),
    })
}
