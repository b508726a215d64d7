//! `shaketable actions`: the catalogue, listed or explained.

use std::fmt::Write;

use anyhow::{Result, bail};
use model::{
    catalogue::{Catalogue, Entry, Need, Parameter, ParameterKind, Reversibility},
    nearest::nearest,
};

use crate::args::{Actions, ListFormat};

/// What this build can carry out: actions of its own, by their native ids.
pub(crate) fn native() -> Catalogue {
    Catalogue::new(faults::catalogue().iter().chain(lab::catalogue()).chain(engine::catalogue()).copied())
}

/// What documents may name: native actions and those of AWS FIS.
pub(crate) fn all() -> Catalogue {
    Catalogue::new(native().iter().chain(formats::fis::catalogue::catalogue().iter()))
}

/// The native action that carries out a FIS action, if there is one. For `aws:ssm:send-command` it depends on the document.
fn native_for(fis: &str) -> Vec<&'static str> {
    native()
        .iter()
        .filter(|entry| entry.fis.iter().any(|id| id.split(' ').next() == Some(fis)))
        .map(|entry| entry.id)
        .collect()
}

/// Lists or explains.
pub(crate) fn actions(call: &Actions) -> Result<String> {
    let catalogue = all();
    match (&call.id, call.format) {
        (None, ListFormat::Json) => Ok(serde_json::to_string_pretty(&catalogue.iter().collect::<Vec<_>>())? + "\n"),
        (None, ListFormat::Text) => Ok(list(&catalogue)),
        (Some(id), format) => {
            let Some(entry) = catalogue.get(id) else {
                let hint = nearest(id, catalogue.iter().map(|entry| entry.id)).map_or_else(
                    || "`shaketable actions` lists all".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                bail!("there is no action `{id}`: {hint}");
            };
            match format {
                ListFormat::Json => Ok(serde_json::to_string_pretty(entry)? + "\n"),
                ListFormat::Text => Ok(explain(entry)),
            }
        }
    }
}

fn list(catalogue: &Catalogue) -> String {
    let (fis, native): (Vec<&Entry>, Vec<&Entry>) = catalogue.iter().partition(|entry| entry.id.starts_with("aws:"));
    let (here, elsewhere): (Vec<&Entry>, Vec<&Entry>) =
        fis.into_iter().partition(|entry| !native_for(entry.id).is_empty());
    let mut text = String::new();
    section(&mut text, "Native actions", &native, |entry| entry.about.to_owned());
    section(&mut text, "Actions of AWS FIS that run here", &here, |entry| {
        format!("as {}", native_for(entry.id).join(", "))
    });
    let title = "Actions of AWS FIS that are checked, but carried out by no provider here";
    section(&mut text, title, &elsewhere, |entry| entry.about.to_owned());
    text.push_str("`shaketable actions ID` explains one.\n");
    text
}

fn section(text: &mut String, title: &str, entries: &[&Entry], about: impl Fn(&Entry) -> String) {
    let width = entries.iter().map(|entry| entry.id.len()).max().unwrap_or_default();
    writeln!(text, "{title}").expect("a String takes all text");
    for entry in entries {
        writeln!(text, "  {:<width$}  {}", entry.id, about(entry)).expect("a String takes all text");
    }
    text.push('\n');
}

fn explain(entry: &Entry) -> String {
    let mut text = format!("{}\n  {}\n", entry.id, entry.about);
    let mut part = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            write!(text, "\n{title}\n  {}\n", lines.join("\n  ")).expect("a String takes all text");
        }
    };
    part(
        "Hits",
        entry.targets.iter().map(|kind| format!("{}: {}", kind.key, kind.resource_types.join(", "))).collect(),
    );
    part("Parameters", entry.parameters.iter().map(parameter).collect());
    part("Carried out here as", native_for(entry.id).into_iter().map(str::to_owned).collect());
    part("Ends", vec![format!("{}: {}", reversibility(entry.reversibility), entry.undone_by)]);
    part("Proven by", vec![entry.proven_by.to_owned()]);
    part("Needs", entry.needs.iter().map(|need| need_text(*need).to_owned()).collect());
    part("Has to itself", entry.exclusive.iter().map(ToString::to_string).collect());
    let equivalents = entry.fis.iter().map(|id| format!("AWS FIS: {id}"));
    part("Equivalents", equivalents.chain(entry.chaos_mesh.map(|kind| format!("Chaos Mesh: {kind}"))).collect());
    text
}

/// One line about a parameter.
pub(crate) fn parameter(parameter: &Parameter) -> String {
    let need = match (parameter.required, parameter.default) {
        (true, _) => "required".to_owned(),
        (false, Some(default)) => format!("default {default}"),
        (false, None) => "optional".to_owned(),
    };
    format!("{} ({}, {need}): {}", parameter.name, kind(&parameter.kind), parameter.about)
}

/// What the text of a parameter must be, in words.
pub(crate) fn kind(kind: &ParameterKind) -> String {
    match kind {
        ParameterKind::Text => "text".to_owned(),
        ParameterKind::OneOf { values } => format!("one of {}", values.join(", ")),
        ParameterKind::ListOf { values } => format!("list of {}", values.join(", ")),
        ParameterKind::Boolean => "true or false".to_owned(),
        ParameterKind::Integer { min, max } if *max == i64::MAX => format!("whole number from {min}"),
        ParameterKind::Integer { min, max } => format!("whole number, {min} to {max}"),
        ParameterKind::Number { min, max } => format!("number, {min} to {max}"),
        ParameterKind::Duration { .. } => "duration such as PT5M".to_owned(),
        ParameterKind::Size => "size such as 512MiB, or share such as 80%".to_owned(),
        ParameterKind::Addresses => "addresses, CIDR blocks or names, comma-separated".to_owned(),
        ParameterKind::Ports => "ports and ranges such as 80,8000-8100, comma-separated".to_owned(),
        ParameterKind::SignedDuration { .. } => "duration with a sign, such as PT1H or -PT24H".to_owned(),
        ParameterKind::IpAddresses { or } => format!("addresses, comma-separated, or {or}"),
        ParameterKind::Names => "names such as example.com or *.example.com, comma-separated".to_owned(),
        ParameterKind::Folder => "absolute path of a folder".to_owned(),
        ParameterKind::Json => "a JSON object as text".to_owned(),
        ParameterKind::Arn => "an ARN".to_owned(),
    }
}

/// The class in words.
pub(crate) const fn reversibility(class: Reversibility) -> &'static str {
    match class {
        Reversibility::SelfEnding => "self-ending",
        Reversibility::Undoable => "undoable",
        Reversibility::Irreversible => "irreversible",
        Reversibility::Harmless => "harmless",
    }
}

/// What is needed, in words.
pub(crate) const fn need_text(need: Need) -> &'static str {
    match need {
        Need::NetworkNamespace => "a network namespace that may be administered (root, or a user namespace)",
        Need::NftablesOwner => "nf_tables with tables that die with their owner (Linux 5.12)",
        Need::Nfqueue => "NFQUEUE, through nft_compat",
        Need::Diversion => "nf_tables that divert connections to a listener (nft_tproxy, nft_fib_inet)",
        Need::Signal => "permission to signal the target's processes",
        Need::Ptrace => "permission to trace the target's processes",
        Need::SystemCalls => "system calls that can be intercepted (ptrace, Linux 5.3, x86-64)",
        Need::CpuController => "control groups with the controller `cpu`, which may be made",
        Need::MemoryController => "control groups with the controller `memory`, which may be made",
        Need::PidsController => "control groups with the controller `pids`, which may be made",
        Need::Freezer => "control groups that can be frozen",
        Need::ServiceManager => "systemd, and permission to have it start and stop units",
        Need::ContainerRuntime => "the socket of Docker's API, or of podman's",
    }
}
