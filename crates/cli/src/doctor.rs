//! `shaketable doctor`: what this machine and this user can and cannot do, fault by fault, and why.

mod page;

use std::process::ExitCode;

use anyhow::Result;
use faults::doctor::{Ability, Diagnosis};
use model::{
    catalogue::{Entry, Need},
    experiment::Experiment,
    lab::Network,
};
use serde_json::json;

use self::page::Page;
use crate::{
    actions,
    args::{Doctor, ListFormat},
    terminal::{self, Style},
};

/// Examines and reports. What is missing is no failure of this command.
pub(crate) fn doctor(call: &Doctor, style: Style) -> Result<ExitCode> {
    let diagnosis = faults::doctor::doctor()?;
    // After the diagnosis: it may move this process into a user namespace.
    let lab = lab::prepare(Network::Auto)?;
    terminal::out(&match call.format {
        ListFormat::Text => page(&diagnosis, &lab, style),
        ListFormat::Json => json_text(&diagnosis, &lab)?,
    });
    Ok(ExitCode::SUCCESS)
}

fn page(diagnosis: &Diagnosis, lab: &lab::Prepared, style: Style) -> String {
    let faults: Vec<Ability> = diagnosis.faults.iter().cloned().chain(lab_abilities(diagnosis, lab)).collect();
    Page { facts: &diagnosis.facts, faults: &faults, lab: &lab_text(lab), style }.to_string()
}

/// Actions on the lab's own objects. Some are made of faults, and need what these need.
fn lab_actions() -> impl Iterator<Item = &'static Entry> {
    lab::catalogue().iter().copied()
}

/// What becomes of them here.
fn lab_abilities(diagnosis: &Diagnosis, lab: &lab::Prepared) -> Vec<Ability> {
    let on_links = matches!(lab, lab::Prepared::Loopback { .. });
    let ability = |fault: &'static Entry| {
        // On loopback addresses links carry what there is of it.
        if on_links && is_carried_by_links(fault) {
            return Ability { fault, missing: Vec::new(), less: Vec::new() };
        }
        diagnosis.ability(fault)
    };
    lab_actions().map(ability).collect()
}

/// Whether an action is on the network alone, so that where a lab's links carry faults it needs nothing of the kernel: the lab
/// says what they cannot carry.
fn is_carried_by_links(entry: &Entry) -> bool {
    let of_network = |need: &Need| {
        matches!(need, Need::NetworkNamespace | Need::NftablesOwner | Need::Nfqueue | Need::Diversion | Need::Signal)
    };
    entry.needs.iter().all(of_network)
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
    let lab_abilities = lab_abilities(diagnosis, lab);
    rows.extend(diagnosis.faults.iter().chain(&lab_abilities).map(|ability| {
        json!({
            "kind": "fault",
            "name": ability.fault.id,
            "available": ability.missing.is_empty(),
            "less": !ability.less.is_empty(),
            "detail": ability.missing.iter().chain(&ability.less).cloned().collect::<Vec<_>>().join("; "),
            "serves": ability.fault.fis,
        })
    }));
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

/// The actions that need something of the machine, be they faults or made of faults.
fn in_need(experiment: &Experiment, on_links: bool) -> Vec<(&str, &'static Entry)> {
    let entry = |id: &str| faults::catalogue().iter().copied().chain(lab_actions()).find(|entry| entry.id == id);
    experiment
        .actions
        .iter()
        .filter_map(|(name, action)| Some((name.as_str(), entry(&formats::fis::translate(action).ok()?.fault)?)))
        .filter(|(_, entry)| !(entry.needs.is_empty() || on_links && is_carried_by_links(entry)))
        .collect()
}

fn against(wanted: &[(&str, &'static Entry)], diagnosis: &Diagnosis) -> Vec<String> {
    let cannot = |(name, entry): &(&str, &'static Entry)| {
        let missing = diagnosis.ability(entry).missing;
        (!missing.is_empty())
            .then(|| format!("actions.{name}: `{}` cannot be done here: {}", entry.id, missing.join("; ")))
    };
    wanted.iter().filter_map(cannot).collect()
}

#[cfg(test)]
mod tests {
    use faults::doctor::Fact;
    use model::experiment::Action;

    use super::*;

    #[test]
    fn what_this_machine_cannot_do_is_said_with_the_remedy_before_anything_starts() {
        let action = |id: &str| Action { action_id: id.to_owned(), ..Action::default() };
        let experiment = Experiment {
            actions: [
                ("Dark".to_owned(), action("zone:power-off")),
                ("Slow".to_owned(), action("network:latency")),
                ("Stop".to_owned(), action("process:pause")),
                ("Wait".to_owned(), action("aws:fis:wait")),
            ]
            .into(),
            ..Experiment::default()
        };
        let ids = |on_links| {
            in_need(&experiment, on_links).into_iter().map(|(name, entry)| (name, entry.id)).collect::<Vec<_>>()
        };
        assert_eq!(ids(true), [("Stop", "process:pause")], "links carry the others");
        assert_eq!(
            ids(false),
            [("Dark", "zone:power-off"), ("Slow", "network:latency"), ("Stop", "process:pause")],
            "also what is made of faults"
        );

        let fact = |name: &str, available: bool| Fact {
            name: name.to_owned(),
            available,
            detail: "no such module".to_owned(),
            remedy: Some("load it".to_owned()),
        };
        let facts = |owner: bool, queue: bool| Diagnosis {
            facts: vec![
                fact("network-namespace", true),
                fact("nftables-owner", owner),
                fact("nfqueue", queue),
                fact("ptrace", true),
            ],
            faults: Vec::new(),
        };
        let wanted = in_need(&experiment, false);
        assert!(against(&wanted, &facts(true, true)).is_empty());
        assert_eq!(
            against(&wanted, &facts(true, false)),
            ["actions.Slow: `network:latency` cannot be done here: nfqueue: no such module; load it"]
        );
        let said = against(&wanted, &facts(false, true));
        assert!(said[0].starts_with("actions.Dark: `zone:power-off` cannot be done here: nftables-owner"), "{said:?}");
    }
}
