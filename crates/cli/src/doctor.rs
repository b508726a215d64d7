//! `shaketable doctor`: what this machine and this user can and cannot do, fault by fault, and why.

use std::{fmt::Write, process::ExitCode};

use anyhow::Result;
use faults::doctor::{Ability, Diagnosis, Fact};
use model::{catalogue::Entry, experiment::Experiment, lab::Network};
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
        line(&mut text, if *available { "yes" } else { "no" }, name, width, detail);
        if let (false, Some(remedy)) = (available, remedy) {
            writeln!(text, "        {:width$}  {remedy}", "").expect("a String takes all text");
        }
    }
    text.push_str("\nFaults\n");
    let width =
        diagnosis.faults.iter().map(|ability| ability.fault.id.len()).chain(lab_actions().map(|e| e.id.len())).max();
    let width = width.unwrap_or_default();
    for Ability { fault, missing, less } in &diagnosis.faults {
        let (mark, why) = match (missing.is_empty(), less.is_empty()) {
            (true, true) => ("yes", fault.about.to_owned()),
            (true, false) => ("less", less.join("; ")),
            (false, _) => ("no", missing.join("; ")),
        };
        line(&mut text, mark, fault.id, width, &why);
    }
    for entry in lab_actions() {
        line(&mut text, "yes", entry.id, width, entry.about);
    }
    text.push_str("\nLabs\n");
    line(&mut text, "yes", "lab", 3, &lab_text(lab));
    text
}

fn line(text: &mut String, mark: &str, name: &str, width: usize, detail: &str) {
    writeln!(text, "  {mark:<4}  {name:<width$}  {detail}").expect("a String takes all text");
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
            "less": !ability.less.is_empty(),
            "detail": ability.missing.iter().chain(&ability.less).cloned().collect::<Vec<_>>().join("; "),
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

/// What keeps this machine and user from carrying out an experiment, one line per action. Asked before anything starts.
pub(crate) fn objections(experiment: &Experiment, prepared: Option<&lab::Prepared>) -> Result<Vec<String>> {
    // On loopback addresses links carry the faults of the network, and the lab says what they cannot carry.
    let on_links = matches!(prepared, Some(lab::Prepared::Loopback { .. }));
    let wanted = in_need(experiment, on_links);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    Ok(against(&wanted, &faults::doctor::doctor()?))
}

/// The actions that need something of the machine, each with its fault.
fn in_need(experiment: &Experiment, on_links: bool) -> Vec<(&str, String)> {
    let in_need = |fault: &str| faults::catalogue().iter().any(|entry| entry.id == fault && !entry.needs.is_empty());
    experiment
        .actions
        .iter()
        .filter_map(|(name, action)| Some((name.as_str(), formats::fis::translate(action).ok()?.fault)))
        .filter(|(_, fault)| in_need(fault) && !(on_links && fault.starts_with("network:")))
        .collect()
}

fn against(wanted: &[(&str, String)], diagnosis: &Diagnosis) -> Vec<String> {
    let cannot = |(name, fault): &(&str, String)| {
        let ability =
            diagnosis.faults.iter().find(|ability| ability.fault.id == fault && !ability.missing.is_empty())?;
        Some(format!("actions.{name}: `{fault}` cannot be done here: {}", ability.missing.join("; ")))
    };
    wanted.iter().filter_map(cannot).collect()
}

#[cfg(test)]
mod tests {
    use model::experiment::Action;

    use super::*;

    #[test]
    fn what_this_machine_cannot_do_is_said_with_the_remedy_before_anything_starts() {
        let action = |id: &str| Action { action_id: id.to_owned(), ..Action::default() };
        let experiment = Experiment {
            actions: [("Slow".to_owned(), action("network:latency")), ("Wait".to_owned(), action("aws:fis:wait"))]
                .into(),
            ..Experiment::default()
        };
        assert!(in_need(&experiment, true).is_empty(), "links carry it");
        let wanted = in_need(&experiment, false);
        assert_eq!(wanted, [("Slow", "network:latency".to_owned())]);

        let fault = faults::catalogue().iter().find(|entry| entry.id == "network:latency").unwrap();
        let mut ability = Ability { fault, missing: Vec::new(), less: vec!["later".to_owned()] };
        let diagnosis = |ability: &Ability| Diagnosis { facts: Vec::new(), faults: vec![ability.clone()] };
        assert!(against(&wanted, &diagnosis(&ability)).is_empty());
        ability.missing.push("nfqueue: no such module; load it".to_owned());
        assert_eq!(
            against(&wanted, &diagnosis(&ability)),
            ["actions.Slow: `network:latency` cannot be done here: nfqueue: no such module; load it"]
        );
    }
}
