//! `cargo xtask ci`: everything a change must pass, cheapest first.

use anyhow::{Context, Result};

use crate::{docs, graph, guest, run, suite};

/// Runs every check and closes with the count of tests.
pub(crate) fn ci() -> Result<()> {
    step("format", || run::run("cargo", &["fmt", "--all", "--check"], &[]))?;
    step("crate graph", graph::graph)?;
    step("lints", || {
        run::run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], &[])
    })?;
    let mut passed = 0;
    step("tests", || {
        passed += suite::suite()?;
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
        passed += suite::count_cargo(&run::run_and_read("cargo", &arguments, &[])?);
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
    step("patterns alone", patterns_alone)?;
    step("fuzz targets", fuzz_targets)?;
    // A step that fails ends the run above, and so does a test that fails: what is left to count has passed.
    println!("\n{passed} passed, 0 failed");
    Ok(())
}

fn step(name: &str, what: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    what().with_context(|| name.to_owned())
}

/// The fuzz targets, a workspace of their own, compile against the readers as they are. A stable compiler can see that; running
/// them takes a nightly one and cargo-fuzz, and more time than a change has.
fn fuzz_targets() -> Result<()> {
    let fuzz = ["--manifest-path", "fuzz/Cargo.toml"];
    // libFuzzer is in C++. What is only looked at is not linked: with a library named, wherever it is, it is not compiled.
    let not_linked = [("CUSTOM_LIBFUZZER_PATH", "target/libfuzzer.a")];
    run::run("cargo", &[&["fmt"], &fuzz[..], &["--check"]].concat(), &[])?;
    run::run("cargo", &[&["clippy"], &fuzz[..], &["--quiet", "--", "-D", "warnings"]].concat(), &not_linked)
}

/// The crate that is published compiles with each of its features alone, and makes a package. In the workspace, and in its own
/// tests, all its features are on, and those of its dependencies that others ask for: what it forgets to ask for is there.
fn patterns_alone() -> Result<()> {
    let patterns = ["--package", "shaketable-patterns"];
    for features in ["", "tokio", "tower,tracing", "registry", "json", "toml", "yaml", "simulate"] {
        let alone = ["--lib", "--quiet", "--no-default-features", "--features", features, "--", "-D", "warnings"];
        run::run("cargo", &[&["clippy"], &patterns[..], &alone].concat(), &[])
            .with_context(|| format!("with the features `{features}` alone"))?;
    }
    // A library; without a lock file nothing need be asked of the registry.
    let package = ["--no-verify", "--allow-dirty", "--offline", "--exclude-lockfile", "--quiet"];
    run::run("cargo", &[&["package"], &patterns[..], &package].concat(), &[])
}
