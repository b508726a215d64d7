//! `cargo xtask docs`: pages generated from the code, and paths named in prose.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{root, run};

/// Pages whose every `path/like/this.rs` must exist.
const PROSE: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Writes the generated pages anew.
pub(crate) fn write() -> Result<()> {
    generate(&root().join("docs"))
}

/// Compares the generated pages with those in the tree, and checks that paths named in prose exist.
pub(crate) fn check() -> Result<()> {
    let fresh = root().join("target/docs-check");
    drop(fs::remove_dir_all(&fresh));
    generate(&fresh)?;
    let (wanted, found) = (pages(&fresh)?, generated_pages(&root().join("docs"))?);
    if wanted != found {
        let stale: Vec<_> = wanted
            .keys()
            .chain(found.keys())
            .filter(|page| wanted.get(*page) != found.get(*page))
            .map(|page| page.display().to_string())
            .collect();
        bail!("generated pages are out of date: {}; run `cargo xtask docs`", stale.join(", "));
    }
    let missing = missing_paths()?;
    if !missing.is_empty() {
        bail!("prose names paths that do not exist: {}", missing.join(", "));
    }
    Ok(())
}

fn generate(into: &Path) -> Result<()> {
    let root = root();
    let [into, root] = [into, &root].map(|path| path.to_str().context("the path is not UTF-8"));
    run::run("cargo", &["run", "--quiet", "--package", "shaketable-cli", "--", "__docs", into?, root?], &[])
}

/// Files under `folder` by relative path.
fn pages(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("cannot list {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(folder)?.to_owned();
                pages.insert(relative, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(pages)
}

/// Only pages that say of themselves that they are generated: the others are written by hand.
fn generated_pages(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut pages = pages(folder)?;
    pages.retain(|_, text| text.starts_with("<!-- generated"));
    Ok(pages)
}

fn missing_paths() -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for page in PROSE {
        let text = fs::read_to_string(root().join(page)).with_context(|| format!("cannot read {page}"))?;
        for word in text.split(|c: char| c.is_whitespace() || "`()[],;".contains(c)) {
            let looks_like_a_path =
                ["crates/", "examples/", "docs/", "xtask/", "fuzz/"].iter().any(|at| word.starts_with(at));
            if looks_like_a_path
                && !word.contains(['*', '{', '<'])
                && !root().join(word.trim_end_matches(['.', ':'])).exists()
            {
                missing.push(format!("{page}: {word}"));
            }
        }
    }
    Ok(missing)
}
