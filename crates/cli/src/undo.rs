//! `shaketable undo`: ends what injects, and undoes what is left behind.

use std::{
    fmt::Write,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use faults::{
    Leftover,
    journal::{OpenError, is_held},
    process::Process,
    state::{self, Seen, State},
};
use model::event::Cleanliness;
use rustix::process::Signal;

use crate::{args::Undo, terminal};

/// How long a guardian may take when its runner has been ended: it gives up after half a minute.
const GUARDIAN: Duration = Duration::from_secs(45);
/// Between two looks whether a journal is free.
const LOOK: Duration = Duration::from_millis(50);

/// Undoes; the exit code is 1 when something is left.
pub(crate) fn undo(call: &Undo) -> Result<ExitCode> {
    let journals = chosen(State::of_user()?.look()?, call)?;
    if journals.is_empty() {
        terminal::out("Nothing is injected, and nothing is left behind.\n");
    }
    // At once: who is asked to stop needs some time, and one that hangs is no reason for the others to wait.
    let patience = call.patience.get();
    let done: Vec<Done> = thread::scope(|scope| {
        #[expect(clippy::needless_collect, reason = "all are asked before the first is waited for")]
        let threads: Vec<_> = journals.iter().map(|seen| scope.spawn(move || end(seen, patience))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for Done { text, .. } in &done {
        terminal::out(text);
    }
    Ok(ExitCode::from(u8::from(done.iter().any(|done| !done.clean))))
}

fn chosen(journals: Vec<Seen>, call: &Undo) -> Result<Vec<Seen>> {
    if call.all {
        return Ok(journals);
    }
    let known: Vec<String> = journals.iter().map(|seen| seen.name.clone()).collect();
    if let Some(unknown) = call.journals.iter().find(|name| !known.contains(name)) {
        let there =
            if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
        bail!("no journal is called `{unknown}`; {there}");
    }
    Ok(journals.into_iter().filter(|seen| call.journals.contains(&seen.name)).collect())
}

/// What was done about a journal.
struct Done {
    text: String,
    clean: bool,
}

fn end(seen: &Seen, patience: Duration) -> Done {
    let mut done = Done { text: format!("{}\n", seen.name), clean: true };
    if seen.held {
        let freed = stop(seen, patience, &mut done);
        if !freed {
            done.problem(&format!("still in use: see `fuser {}`", seen.path.display()));
            return done;
        }
    }
    match state::recover(&seen.path) {
        // Whoever had it has undone everything and removed it.
        Ok(None) => done.line(&undone_by_others(seen)),
        Ok(Some(leftovers)) if leftovers.is_empty() => done.line("nothing was left"),
        Ok(Some(leftovers)) => leftovers.iter().for_each(|leftover| done.leftover(leftover)),
        Err(OpenError::Busy { .. }) => done.problem("somebody else is undoing it"),
        Err(why) => done.problem(&why.to_string()),
    }
    done
}

fn undone_by_others(seen: &Seen) -> String {
    match seen.says.as_ref().map_or(0, |says| says.open.len()) {
        0 => "nothing was left".to_owned(),
        1 => "1 fault is undone".to_owned(),
        faults => format!("{faults} faults are undone"),
    }
}

/// Asks the process that has the journal to stop, and ends it when it does not. Whether the journal is free.
fn stop(seen: &Seen, patience: Duration, done: &mut Done) -> bool {
    let runner = seen.says.as_ref().ok().and_then(|says| Some(says.begun.as_ref()?.runner));
    let runner = runner.filter(|runner| runner.is_alive());
    if let Some(runner) = runner {
        // The second time it is in a hurry, and does without a report.
        for _ in 0..2 {
            ask(runner, Signal::TERM, done);
            if free(seen, patience / 2) {
                done.line(&format!("process {} has stopped", runner.pid));
                return true;
            }
        }
        done.line(&format!("process {} does not stop; ended it", runner.pid));
        ask(runner, Signal::KILL, done);
    }
    free(seen, GUARDIAN)
}

fn ask(runner: Process, signal: Signal, done: &mut Done) {
    if let Err(why) = runner.signal(signal) {
        done.line(&format!("process {} cannot be signalled: {why}", runner.pid));
    }
}

/// Waits until nobody has the journal.
fn free(seen: &Seen, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        // One that cannot be opened has gone.
        if !is_held(&seen.path).unwrap_or(false) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK);
    }
}

impl Done {
    fn line(&mut self, words: &str) {
        writeln!(self.text, "  {words}").expect("a String takes all text");
    }

    fn problem(&mut self, words: &str) {
        self.clean = false;
        self.line(words);
    }

    fn leftover(&mut self, leftover: &Leftover) {
        let Leftover { undo, outcome, .. } = leftover;
        let what = format!("{} on {}", undo.fault, undo.object.name);
        match (leftover.residue(), outcome) {
            (Some((residue, repair)), _) => self.problem(&format!("{what}: DIRTY: {residue}; by hand: {repair}")),
            (None, Ok(Cleanliness::Gone)) => self.line(&format!("{what}: gone with what it hit")),
            (None, _) => self.line(&format!("{what}: clean")),
        }
    }
}
