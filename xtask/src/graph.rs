//! `cargo xtask graph`: which crate may depend on which.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::root;

/// The layers, lowest first: a crate may depend on crates of lower layers only. (`lab` draws on `engine`'s seams.)
const LAYERS: &[&[&str]] = &[
    &["model", "patterns"],
    // Below `faults`, whose faults in HTTP are carried out by its engine.
    &["proxy"],
    &["formats", "assess", "faults", "dns", "observe"],
    &["engine"],
    &["lab", "agent", "server"],
    &["cli"],
];

/// A crate larger than this is worth a second look.
const LOOK_AGAIN_AT: usize = 12_000;

/// Checks the direction of every dependency and prints each crate's size.
pub(crate) fn graph() -> Result<()> {
    let crates = crates()?;
    let mut wrong = Vec::new();
    for (name, dependencies) in &crates {
        let layer = layer(name).with_context(|| format!("crate `{name}` has no layer in xtask/src/graph.rs"))?;
        for dependency in dependencies {
            if crate::graph::layer(dependency).is_none_or(|below| below >= layer) {
                wrong.push(format!("{name} -> {dependency}"));
            }
        }
        let lines = lines(&root().join("crates").join(name).join("src"))?;
        let note = if lines > LOOK_AGAIN_AT { "  (large: look for the second noun)" } else { "" };
        println!("{name:<10} {lines:>6} lines  <- {}{note}", dependencies.join(" "));
    }
    if !wrong.is_empty() {
        bail!("dependencies against the direction of the layers: {}", wrong.join(", "));
    }
    Ok(())
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Our crates by folder name, each with those of our crates it depends on (normal dependencies only).
fn crates() -> Result<BTreeMap<String, Vec<String>>> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .context("cannot run cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let short = |name: &Value| name.as_str().and_then(|name| name.strip_prefix("shaketable-")).map(str::to_owned);
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    Ok(packages
        .iter()
        .filter_map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap_or(&empty);
            let ours = dependencies.iter().filter(|d| d["kind"].is_null()).filter_map(|d| short(&d["name"])).collect();
            Some((short(&package["name"])?, ours))
        })
        .collect())
}

fn lines(folder: &Path) -> Result<usize> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            total += lines(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            total += fs::read_to_string(&path)?.lines().count();
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    #[test]
    fn our_crates_depend_downwards_only() {
        super::graph().unwrap();
    }
}
