//! Writing down attempts, and comparing them with what was expected.

use std::{fmt::Write as _, sync::Arc};

use super::window::duration_text;
use crate::{
    event::{Event, Kind, Listener},
    sync::{Mutex, lock},
};

/// A listener that writes down what it hears. Clones write on the same sheet.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Sheet>>);

#[derive(Debug, Default)]
struct Sheet {
    kinds: Vec<Kind>,
    attempts: Vec<String>,
}

impl Recorder {
    /// Nothing heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything that was heard, in order.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        lock(&self.0).kinds.clone()
    }

    /// Each attempt as a line: when it began, what came of it, how long it took. `100ms transient 10ms`.
    #[must_use]
    pub fn attempts(&self) -> Vec<String> {
        lock(&self.0).attempts.clone()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *lock(&self.0) = Sheet::default();
    }
}

impl Listener for Recorder {
    fn event(&self, event: &Event<'_>) {
        let mut sheet = lock(&self.0);
        sheet.kinds.push(event.kind);
        if let Kind::Attempt { hedge, outcome, duration, .. } = event.kind {
            let began = duration_text(std::time::Duration::from_nanos((event.at - duration).as_nanos()));
            let hedge = if hedge > 0 { format!(" (hedge {hedge})") } else { String::new() };
            sheet.attempts.push(format!("{began} {} {}{hedge}", outcome.as_str(), duration_text(duration)));
        }
    }
}

/// Checks that exactly these attempts were made, as [`Recorder::attempts`] writes them.
///
/// # Panics
///
/// When it was otherwise; the message shows what was and was not expected, line by line.
#[track_caller]
#[expect(clippy::panic, reason = "it is an assertion")]
pub fn assert_attempts(recorder: &Recorder, expected: &[&str]) {
    let made = recorder.attempts();
    if made != expected {
        panic!("{}", difference(expected, &made));
    }
}

/// Lines that are in both, only expected (`-`), or only made (`+`), by the longest common subsequence.
fn difference(expected: &[&str], made: &[String]) -> String {
    // A test makes tens of attempts; the table is the product of both numbers.
    let mut common = vec![vec![0_usize; made.len() + 1]; expected.len() + 1];
    for i in (0..expected.len()).rev() {
        for j in (0..made.len()).rev() {
            common[i][j] =
                if expected[i] == made[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut text = "the attempts are not those expected (- expected, + made):\n".to_owned();
    let (mut i, mut j) = (0, 0);
    while i < expected.len() || j < made.len() {
        let line = if i < expected.len() && j < made.len() && expected[i] == made[j] {
            (i, j) = (i + 1, j + 1);
            (' ', expected[i - 1])
        } else if j == made.len() || (i < expected.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', expected[i - 1])
        } else {
            j += 1;
            ('+', made[j - 1].as_str())
        };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "  {} {}", line.0, line.1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_is_missing_and_what_is_too_much() {
        let made = ["0s transient 10ms", "30ms success 10ms"].map(str::to_owned);
        let text = difference(&["0s transient 10ms", "20ms transient 10ms", "30ms success 10ms"], &made);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines, ["    0s transient 10ms", "  - 20ms transient 10ms", "    30ms success 10ms"]);
        let text = difference(&[], &made[..1]);
        assert!(text.ends_with("  + 0s transient 10ms\n"), "{text}");
    }

    #[test]
    #[should_panic(expected = "- 1s success 1ms")]
    fn attempts_that_were_not_made_fail_the_assertion() {
        assert_attempts(&Recorder::new(), &["1s success 1ms"]);
    }
}
