//! `cargo xtask ci`: everything a change must pass, cheapest first.

use anyhow::{Context, Result};

use crate::{docs, graph, guest, run};

/// Runs every check and closes with the count of tests.
pub(crate) fn ci() -> Result<()> {
    step("format", || run::run("cargo", &["fmt", "--all", "--check"], &[]))?;
    step("crate graph", graph::graph)?;
    step("lints", || {
        run::run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], &[])
    })?;
    let mut passed = 0;
    step("tests", || {
        passed += tests()?;
        Ok(())
    })?;
    step("guest", || {
        passed += guest::guest(&[])?;
        Ok(())
    })?;
    step("doctests", || {
        // The models of interleavings compile files of `patterns` over other types: their examples are that crate's.
        let but = ["--exclude", "patterns-interleavings"];
        let arguments = [["test", "--workspace", "--doc", "--quiet"].as_slice(), &but].concat();
        passed += count_cargo(&run::run_and_read("cargo", &arguments, &[])?);
        Ok(())
    })?;
    step("rustdoc", || {
        run::run(
            "cargo",
            &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )
    })?;
    step("generated docs", docs::check)?;
    // A step that fails ends the run above, and so does a test that fails: what is left to count has passed.
    println!("\n{passed} passed, 0 failed");
    Ok(())
}

fn step(name: &str, what: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    what().with_context(|| name.to_owned())
}

/// All unit, integration and end-to-end tests; gives back how many passed.
///
/// cargo-nextest runs each test in its own process, so that tests which enter namespaces cannot disturb each other; where
/// it is not installed, cargo's own runner does (such tests fork for themselves).
fn tests() -> Result<u64> {
    if run::run("cargo", &["nextest", "--version"], &[]).is_ok() {
        let text = run::run_and_read(
            "cargo",
            &["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail", "--color", "never"],
            &[],
        )?;
        // Summary [  12.3s] 345 tests run: 345 passed, 2 skipped
        Ok(text
            .lines()
            .filter(|line| line.trim_start().starts_with("Summary ["))
            .filter_map(|line| number_before(line, " passed"))
            .sum())
    } else {
        let text = run::run_and_read("cargo", &["test", "--workspace", "--all-targets", "--no-fail-fast"], &[])?;
        Ok(count_cargo(&text))
    }
}

/// The sum over `test result: ok. 12 passed; …`.
pub(crate) fn count_cargo(text: &str) -> u64 {
    text.lines().filter(|line| line.starts_with("test result:")).filter_map(|line| number_before(line, " passed")).sum()
}

fn number_before(line: &str, word: &str) -> Option<u64> {
    let before = &line[..line.find(word)?];
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_both_runners() {
        assert_eq!(
            number_before("     Summary [  12.3s] 345 tests run: 343 passed (2 slow), 2 skipped", " passed"),
            Some(343)
        );
        assert_eq!(count_cargo("test result: ok. 12 passed; 0 failed\nx\ntest result: ok. 3 passed; 0 failed"), 15);
        assert_eq!(number_before("nothing here", " passed"), None);
    }
}
