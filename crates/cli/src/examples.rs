//! The example experiments, as the generated pages show them.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use formats::{Options, fis::translate};

use crate::actions;

/// Where they are in the repository.
pub(crate) const FOLDER: &str = "examples/experiments";

/// An example experiment.
#[derive(Debug)]
pub(crate) struct Example {
    /// Its file's name.
    pub(crate) file: String,
    /// What its first comment says, without the verdict.
    pub(crate) about: String,
    /// The verdict that it promises, and why.
    pub(crate) verdict: String,
    /// The native actions that it uses, be it under their names in AWS FIS.
    actions: Vec<String>,
    /// Its targets and actions, as they stand in the file.
    pub(crate) excerpt: String,
}

/// How the line begins that promises a verdict.
const VERDICT: &str = "Verdict: ";

impl Example {
    fn parse(file: &str, text: &str) -> Result<Self> {
        let comment = text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
        let comment = comment.collect::<Vec<_>>().join(" ");
        let (about, verdict) =
            comment.split_once(VERDICT).with_context(|| format!("{file} does not promise a verdict"))?;
        let catalogue = actions::native();
        let read = formats::read_experiment(file, text.as_bytes(), &Options::new(&catalogue));
        let Some(experiment) = read.experiment else {
            bail!("{file} has errors:\n{}", formats::render::terminal(&read.findings, &read.source, false));
        };
        let natives = experiment.actions.values().map(|action| Ok(translate(action)?.fault));
        Ok(Self {
            file: file.to_owned(),
            about: about.trim().to_owned(),
            verdict: verdict.trim().to_owned(),
            actions: natives.collect::<Result<_>>()?,
            excerpt: ["targets:", "actions:"].map(|key| block(text, key)).concat(),
        })
    }

    /// Whether it uses a native action.
    pub(crate) fn uses(&self, action: &str) -> bool {
        self.actions.iter().any(|used| used == action)
    }
}

/// The lines of a key at the top of a document and of what is under it.
fn block(text: &str, key: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with(key));
    let under = |(at, line): &(usize, &str)| *at == 0 || line.starts_with([' ', '-']);
    lines.enumerate().take_while(under).map(|(_, line)| format!("{line}\n")).collect()
}

/// All that are in a folder, by name.
pub(crate) fn read(folder: &Path) -> Result<Vec<Example>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut examples = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        examples.push(Example::parse(&name, &text)?);
    }
    examples.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(examples)
}

/// Those that use an action: the one that is about it first, which has its name, or else the fewest actions besides.
pub(crate) fn of<'a>(action: &str, examples: &'a [Example]) -> Vec<&'a Example> {
    let mut using: Vec<&Example> = examples.iter().filter(|example| example.uses(action)).collect();
    let own = format!("{}.yaml", action.replace(':', "-"));
    using.sort_by_key(|example| (example.file != own, example.actions.len()));
    using
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_found_by_what_its_actions_are_here() {
        let text = "# It goes.\n# And comes.\n# Verdict: green. Why not.\ndescription: x\ntargets:\n  t: { resourceType: \"aws:ec2:instance\", \
                    resourceTags: { a: b }, selectionMode: ALL }\nactions:\n  a: { actionId: \"aws:ec2:terminate-instances\", targets: { Instances: t } }\n\
                    stopConditions:\n  - { source: none, why: x }\n";
        let example = Example::parse("x.yaml", text).unwrap();
        assert_eq!((example.about.as_str(), example.verdict.as_str()), ("It goes. And comes.", "green. Why not."));
        assert!(example.uses("instance:terminate") && !example.uses("instance:reboot"));
        assert!(example.excerpt.starts_with("targets:\n  t:") && example.excerpt.ends_with("Instances: t } }\n"));
        assert!(Example::parse("x.yaml", "# Nothing.\n").is_err());
    }

    #[test]
    fn every_native_action_has_an_example() {
        let all = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FOLDER)).unwrap();
        let without: Vec<&str> =
            actions::native().iter().map(|entry| entry.id).filter(|id| of(id, &all).is_empty()).collect();
        assert!(without.is_empty(), "no example in {FOLDER} uses {}", without.join(", "));
    }
}
