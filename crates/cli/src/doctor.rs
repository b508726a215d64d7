//! `shaketable doctor`: what this machine and this user can and cannot do, fault by fault, and why.

use std::{fmt::Write, process::ExitCode};

use anyhow::Result;
use faults::doctor::{Ability, Diagnosis, Fact};
use model::{catalogue::Entry, lab::Network};
use serde_json::json;

use crate::{
    actions,
    args::{Doctor, ListFormat},
    terminal,
};

/// Examines and reports. What is missing is no failure of this command.
pub(crate) fn doctor(call: &Doctor) -> Result<ExitCode> {
    let diagnosis = faults::doctor::doctor()?;
    // After the diagnosis: it may move this process into a user namespace.
    let lab = lab::prepare(Network::Auto)?;
    terminal::out(&match call.format {
        ListFormat::Text => text(&diagnosis, &lab),
        ListFormat::Json => json_text(&diagnosis, &lab)?,
    });
    Ok(ExitCode::SUCCESS)
}

fn text(diagnosis: &Diagnosis, lab: &lab::Prepared) -> String {
    let mut text = String::from("This machine and user\n");
    let width = diagnosis.facts.iter().map(|fact| fact.name.len()).max().unwrap_or_default();
    for Fact { name, available, detail, remedy } in &diagnosis.facts {
        line(&mut text, *available, name, width, detail);
        if let (false, Some(remedy)) = (available, remedy) {
            writeln!(text, "       {:width$}  {remedy}", "").expect("a String takes all text");
        }
    }
    text.push_str("\nFaults\n");
    let width =
        diagnosis.faults.iter().map(|ability| ability.fault.id.len()).chain(lab_actions().map(|e| e.id.len())).max();
    let width = width.unwrap_or_default();
    for Ability { fault, missing } in &diagnosis.faults {
        let why = if missing.is_empty() { fault.about.to_owned() } else { missing.join("; ") };
        line(&mut text, missing.is_empty(), fault.id, width, &why);
    }
    for entry in lab_actions() {
        line(&mut text, true, entry.id, width, entry.about);
    }
    text.push_str("\nLabs\n");
    line(&mut text, true, "lab", 3, &lab_text(lab));
    text
}

fn line(text: &mut String, good: bool, name: &str, width: usize, detail: &str) {
    let mark = if good { "yes" } else { "no" };
    writeln!(text, "  {mark:<3}  {name:<width$}  {detail}").expect("a String takes all text");
}

/// Actions on the lab's own objects: they work wherever a lab does.
fn lab_actions() -> impl Iterator<Item = &'static Entry> {
    lab::catalogue().iter().copied()
}

fn lab_text(lab: &lab::Prepared) -> String {
    match lab {
        lab::Prepared::Networks { user_namespace: false } => "a network namespace per instance".to_owned(),
        lab::Prepared::Networks { user_namespace: true } => {
            "a network namespace per instance, inside a user namespace".to_owned()
        }
        lab::Prepared::Loopback { because } => format!("loopback addresses with links through a proxy: {because}"),
    }
}

fn json_text(diagnosis: &Diagnosis, lab: &lab::Prepared) -> Result<String> {
    let mut rows: Vec<_> = diagnosis
        .facts
        .iter()
        .map(|fact| {
            json!({ "kind": "fact", "name": fact.name, "available": fact.available, "detail": fact.detail, "remedy": fact.remedy })
        })
        .collect();
    rows.extend(diagnosis.faults.iter().map(|ability| {
        json!({
            "kind": "fault",
            "name": ability.fault.id,
            "available": ability.missing.is_empty(),
            "detail": ability.missing.join("; "),
            "serves": ability.fault.fis,
        })
    }));
    rows.extend(lab_actions().map(
        |entry| json!({ "kind": "fault", "name": entry.id, "available": true, "detail": "", "serves": entry.fis }),
    ));
    let networks = matches!(lab, lab::Prepared::Networks { .. });
    rows.push(json!({ "kind": "lab", "name": if networks { "netns" } else { "loopback" }, "available": true, "detail": lab_text(lab) }));
    debug_assert!(rows.len() > actions::native().iter().count());
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}
