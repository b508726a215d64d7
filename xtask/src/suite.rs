//! All unit, integration and end-to-end tests, with a second look at what a starved machine disturbed.
//!
//! Machines that build are often shared, and neighbours take their processors for a second now and then. A test that
//! measures in that second fails, and says nothing of the product. So: where something fails although the machine stood
//! still meanwhile, it is run once more, by itself, and the end names it. On a machine that was calm, and for more than a
//! few failures, there is no second look.

use std::{
    collections::BTreeSet,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{root, run};

/// How long a thread that only sleeps may oversleep on a calm machine: what the measuring tests are content with.
const STALL: Duration = Duration::from_millis(100);

/// How often it wakes up.
const BEAT: Duration = Duration::from_millis(10);

/// Names the file in which end-to-end tests note what they made a second time (`crates/cli/tests/e2e/calm.rs`).
const SECOND_TRIES: &str = "SHAKETABLE_SECOND_TRIES";

/// More than this many tests do not fail by a machine that stood still for moments: one in forty of all there are.
const MOST_DISTURBED: usize = 32;

/// Runs all tests; gives back how many passed.
///
/// cargo-nextest runs each test in its own process, so that tests which enter namespaces cannot disturb each other; where
/// it is not installed, cargo's own runner does (such tests fork for themselves).
pub(crate) fn suite() -> Result<u64> {
    let notes = root().join("target/second-tries.txt");
    // It may not be there, and should not be.
    drop(fs::remove_file(&notes));
    let passed = all_tests(&[(SECOND_TRIES, &notes.display().to_string())])?;
    let tried_again = fs::read_to_string(&notes).unwrap_or_default();
    if !tried_again.is_empty() {
        println!(
            "\n{} runs of experiments were disturbed by this machine, and made again:",
            tried_again.lines().count()
        );
        tried_again.lines().for_each(|line| println!("  {line}"));
    }
    Ok(passed)
}

fn all_tests(env: &[(&str, &str)]) -> Result<u64> {
    if run::run("cargo", &["nextest", "--version"], &[]).is_err() {
        let first = run::run_and_read("cargo", &["test", "--workspace", "--all-targets", "--no-fail-fast"], env)?;
        return Ok(count_cargo(&first));
    }
    let all = ["--workspace", "--no-fail-fast", "--status-level", "fail", "--color", "never"];
    let ((text, succeeded), stall) =
        watching(|| run::attempt("cargo", &[&["nextest", "run"][..], &all].concat(), env))?;
    let passed = count_nextest(&text);
    let disturbed = failed(&text);
    if succeeded {
        return Ok(passed);
    }
    if disturbed.is_empty() || disturbed.len() > MOST_DISTURBED || stall < STALL {
        bail!("{} tests failed; the machine stood still for at most {stall:?}", disturbed.len());
    }
    let names: Vec<String> = disturbed.iter().map(|(binary, test)| format!("{binary} {test}")).collect();
    println!(
        "\n{} tests failed while this machine stood still for up to {stall:?}; once more, one at a time:\n  {}",
        names.len(),
        names.join("\n  ")
    );
    let these: Vec<String> =
        disturbed.iter().map(|(binary, test)| format!("(binary_id(={binary}) & test(={test}))")).collect();
    let again = ["nextest", "run", "--test-threads", "1", "-E", &these.join(" | ")];
    let again = run::run_and_read("cargo", &[&again[..], &all].concat(), env)?;
    let passed_again = count_nextest(&again);
    println!("\n{passed_again} tests passed only when run by themselves:\n  {}", names.join("\n  "));
    Ok(passed + passed_again)
}

/// Does something, and says for how long at most a thread that only sleeps was kept from waking up meanwhile.
fn watching<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !enough.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(BEAT);
                longest = longest.max(begun.elapsed().saturating_sub(BEAT));
            }
            longest
        });
        let done = work();
        enough.store(true, Ordering::Relaxed);
        Ok((done?, sleeper.join().unwrap_or_default()))
    })
}

/// The tests that failed, in whatever way, by binary and name.
///
/// `        FAIL [   7.990s] ( 157/1305) shaketable-cli::e2e catalogue::cpu_throttle`
fn failed(text: &str) -> BTreeSet<(String, String)> {
    let one = |line: &str| {
        let (status, rest) = line.trim_start().split_once(" [")?;
        let (_, rest) = rest.split_once("] (")?;
        let (_, rest) = rest.split_once(") ")?;
        let (binary, test) = rest.trim().split_once(' ')?;
        let ended_badly = matches!(status, "FAIL" | "TIMEOUT" | "ABORT") || status.starts_with("SIG");
        (ended_badly && !test.contains(' ')).then(|| (binary.to_owned(), test.to_owned()))
    };
    text.lines().filter_map(one).collect()
}

/// The sum over `Summary [  12.3s] 345 tests run: 345 passed, 2 skipped`.
fn count_nextest(text: &str) -> u64 {
    text.lines()
        .filter(|line| line.trim_start().starts_with("Summary ["))
        .filter_map(|line| number_before(line, " passed"))
        .sum()
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
        let summary = "     Summary [  12.3s] 345 tests run: 343 passed (2 slow), 2 skipped";
        assert_eq!(count_nextest(summary), 343);
        assert_eq!(count_cargo("test result: ok. 12 passed; 0 failed\nx\ntest result: ok. 3 passed; 0 failed"), 15);
        assert_eq!(number_before("nothing here", " passed"), None);
    }

    #[test]
    fn tests_that_ended_badly_are_known_by_binary_and_name() {
        let text = "\
        FAIL [   7.990s] ( 157/1305) shaketable-cli::e2e catalogue::cpu_throttle
        PASS [   0.990s] ( 158/1305) shaketable-cli::e2e catalogue::other
     TIMEOUT [ 600.000s] (  13/1305) shaketable-model period::tests::round
     SIGSEGV [   0.100s] (1300/1305) xtask docs::x
     Summary [  12.3s] 345 tests run: 343 passed (2 slow), 2 skipped
        FAIL [   7.990s] ( 157/1305) shaketable-cli::e2e catalogue::cpu_throttle
        ";
        let one = |binary: &str, test: &str| (binary.to_owned(), test.to_owned());
        let wanted = [
            one("shaketable-cli::e2e", "catalogue::cpu_throttle"),
            one("shaketable-model", "period::tests::round"),
            one("xtask", "docs::x"),
        ];
        assert_eq!(failed(text), BTreeSet::from(wanted));
    }
}
