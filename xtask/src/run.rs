//! Child processes: run, shown and, where wanted, read.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

use crate::root;

/// Runs a program in the root of the repository, with its output on ours; fails unless it succeeds.
pub(crate) fn run(program: &str, arguments: &[&str], env: &[(&str, &str)]) -> Result<()> {
    let status = command(program, arguments, env).status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("`{program} {}` failed: {status}", arguments.join(" "));
    }
    Ok(())
}

/// Like [`run`], and gives back what it printed, both streams.
pub(crate) fn run_and_read(program: &str, arguments: &[&str], env: &[(&str, &str)]) -> Result<String> {
    let (text, succeeded) = attempt(program, arguments, env)?;
    if !succeeded {
        bail!("`{program} {}` failed", arguments.join(" "));
    }
    Ok(text)
}

/// Like [`run_and_read`], and leaves it to the caller what a failure means: what it printed, and whether it succeeded.
pub(crate) fn attempt(program: &str, arguments: &[&str], env: &[(&str, &str)]) -> Result<(String, bool)> {
    let mut child = command(program, arguments, env)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let stderr = child.stderr.take().context("stderr was piped")?;
    let stdout = child.stdout.take().context("stdout was piped")?;
    let errors = thread::spawn(move || tee(stderr, std::io::stderr()));
    let mut text = tee(stdout, std::io::stdout());
    text.push_str(&errors.join().unwrap_or_default());
    Ok((text, child.wait()?.success()))
}

fn command(program: &str, arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).envs(env.iter().copied()).current_dir(root()).stdin(Stdio::null());
    command
}

/// Copies line by line, and gives back all of it.
pub(crate) fn tee(from: impl Read, mut to: impl Write) -> String {
    let mut text = String::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // A closed terminal is no reason to fail the run.
        drop(writeln!(to, "{line}"));
        text.push_str(&line);
        text.push('\n');
    }
    text
}
