//! The documents of a run: the experiment, the lab it runs in, and the policies it is held to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use engine::{Bound, record::Document};
use model::{experiment::Experiment, lab::Lab};

use super::ground;
use crate::{actions, args::Run, check, terminal::Style};

/// The documents of a run, read and free of errors.
pub(crate) struct Documents {
    /// The experiment's file name, for messages.
    pub(crate) name: String,
    pub(crate) experiment: Experiment,
    pub(crate) document: Document,
    /// None where everything that is hit belongs to this host.
    pub(crate) lab: Option<Lab>,
    pub(crate) policies: Vec<Bound>,
}

/// The policy of the machine: who runs experiments on it can add to it, and not get round it.
const MACHINE_POLICY: &str = "/etc/shaketable/policy.yaml";

/// Reads what a call names. Findings are shown; none if one of them is an error.
pub(crate) fn read(call: &Run, style: Style) -> Result<Option<Documents>> {
    let name = call.file.display().to_string();
    let bytes = fs::read(&call.file).with_context(|| format!("cannot read {name}"))?;
    let catalogue = actions::native();
    let read = formats::read_experiment(&name, &bytes, &check::options(&call.reading, &catalogue));
    let usable = check::show(&read.findings, &read.source, style);
    let Some(experiment) = read.experiment.filter(|_| usable) else { return Ok(None) };
    let lab = match lab_path(call, &experiment)? {
        None => None,
        Some(path) => match read_lab(&path, style)? {
            None => return Ok(None),
            lab => lab,
        },
    };
    let Some(policies) = policies(&call.policies, style)? else { return Ok(None) };
    // Without the lab: whoever mends the system and runs the same experiment again wants the two compared.
    let mut canonical = bytes;
    for (name, value) in &call.reading.params {
        canonical.extend_from_slice(format!("\n{name}={value}").as_bytes());
    }
    let document = Document::new(&name, &canonical);
    Ok(Some(Documents { name, experiment, document, lab, policies }))
}

/// The machine's policy and those of the call. One that cannot be read is no reason to do without.
fn policies(named: &[PathBuf], style: Style) -> Result<Option<Vec<Bound>>> {
    let machine = Path::new(MACHINE_POLICY);
    let machine = machine.try_exists().with_context(|| format!("cannot look for {MACHINE_POLICY}"))?.then_some(machine);
    let mut bounds = Vec::new();
    for path in machine.into_iter().chain(named.iter().map(PathBuf::as_path)) {
        let source = path.display().to_string();
        let bytes = fs::read(path).with_context(|| format!("cannot read the policy {source}"))?;
        let read = formats::read_policy(&source, &bytes);
        let usable = check::show(&read.findings, &read.source, style);
        let Some(policy) = read.policy.filter(|_| usable) else { return Ok(None) };
        bounds.push(Bound { source, policy });
    }
    Ok(Some(bounds))
}

fn read_lab(path: &Path, style: Style) -> Result<Option<Lab>> {
    let name = path.display().to_string();
    let bytes = fs::read(path).with_context(|| format!("cannot read the lab file {name}"))?;
    let read = formats::read_lab(&name, &bytes);
    let usable = check::show(&read.findings, &read.source, style);
    Ok(read.lab.filter(|_| usable))
}

/// The lab of the call, else the document's own, which is relative to the document; none, where this host is all that is hit.
fn lab_path(call: &Run, experiment: &Experiment) -> Result<Option<PathBuf>> {
    match (&call.lab, &experiment.lab) {
        (Some(path), _) => Ok(Some(path.clone())),
        (None, Some(path)) => Ok(Some(call.file.parent().unwrap_or_else(|| Path::new("")).join(path))),
        (None, None) if ground::is_on_host(experiment) => Ok(None),
        (None, None) => bail!(
            "{} names no lab to run in; name one with `--lab FILE`, for example --lab examples/labs/staging.yaml",
            call.file.display()
        ),
    }
}
