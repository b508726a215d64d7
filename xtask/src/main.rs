//! All automation of the project: `cargo xtask ci | docs | graph | bench | guest | torture`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to a terminal")]

mod bench;
mod ci;
mod docs;
mod graph;
mod guest;
mod run;
mod suite;
mod torture;

use std::{path::PathBuf, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci      everything a change must pass: format, lints, crate graph, docs, tests, examples, end to end in the lab
  docs    writes the generated pages of docs/ anew (`docs --check` only compares)
  graph   holds the direction of the dependencies between our crates, and prints their sizes
  bench   compares Shaketable with its peers and with the truth; prints ratios from one run
  guest   boots Debian's kernel in a virtual machine and runs the tests of the faults there
  torture kills what injects, at random, --points N times; nothing may be left
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["ci"] => ci::ci(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["graph"] => graph::graph(),
        ["guest", rest @ ..] => guest::guest(rest).map(|passed| println!("{passed} passed in the guest")),
        [guest::SUBCOMMAND, rest @ ..] => guest::init(rest),
        ["bench", rest @ ..] => bench::bench(rest),
        ["torture", rest @ ..] => torture::torture(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
