//! Journals whose processes hang, and nobody ends them: found, and taken over by who comes next.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use rustix::process::Signal;

use crate::{
    book::Book,
    boot,
    guardian::watch::DEATH,
    journal::{self, is_held},
    ourselves,
    process::Process,
    vigil::{Judgement, Look, Sign, Vigil},
};

/// Between two looks: a runner shows itself twice a second.
const LOOK: Duration = Duration::from_millis(100);

/// Of these journals, which somebody has, those that are free now because whoever had them was hanging, and is ended.
pub(crate) fn take_over(journals: Vec<PathBuf>) -> Vec<PathBuf> {
    // Watched all at once, and not one after the other: somebody waits for it.
    let mut watched: Vec<(PathBuf, Vigil)> = journals.into_iter().map(|path| (path, Vigil::default())).collect();
    let mut free = Vec::new();
    loop {
        watched.retain_mut(|(path, vigil)| {
            let Some((look, runner)) = look(path) else { return false };
            match vigil.step(&look, boot::now()) {
                Judgement::Leave => false,
                Judgement::Watch(_) => true,
                Judgement::End => {
                    if end(path, runner) {
                        free.push(path.clone());
                    }
                    false
                }
            }
        });
        if watched.is_empty() {
            return free;
        }
        thread::sleep(LOOK);
    }
}

/// Looks at a journal and at who has it; `None`: there is nobody that could be ended.
fn look(journal: &Path) -> Option<(Look, Process)> {
    let said = journal::read(journal).ok()?;
    // This process has journals of its own, perhaps.
    let runner = said.begun.map(|begun| begun.runner).filter(|runner| !ourselves::is_among(*runner))?;
    let book = Book::of(journal);
    let at_work = |process: Process| process.stat().is_some_and(|stat| !matches!(stat.state, 'T' | 't'));
    let sign = book.as_ref().map_or_else(|| Sign::Unknown(last_change(journal)), |book| Sign::At(book.pulse));
    let look = Look {
        lease: said.open.iter().map(|one| one.lease).max(),
        runner_lives: runner.is_alive(),
        guarded: book.and_then(|book| book.guardian).is_some_and(at_work),
        sign,
    };
    Some((look, runner))
}

/// When the file was changed last, by the wall clock, as a number to compare with.
fn last_change(journal: &Path) -> u128 {
    let modified = fs::metadata(journal).and_then(|known| known.modified());
    modified.map_or(0, |at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos())
}

/// Ends a runner that hangs, and before that its guardian, if it has one that hangs as well. Whether its journal is free.
fn end(journal: &Path, runner: Process) -> bool {
    let guardian = Book::of(journal).and_then(|book| book.guardian);
    tracing::warn!(pid = runner.pid, journal = %journal.display(), "a process that injects hangs, and nobody watches it; ending it");
    for process in guardian.into_iter().chain([runner]) {
        if let Err(why) = process.signal(Signal::KILL) {
            return give_up(runner, &why);
        }
    }
    let turns = DEATH.as_millis() / LOOK.as_millis();
    for _ in 0..turns {
        // Its lock ends with the last descriptor: when both are dead, and not before.
        if !is_held(journal).unwrap_or(false) {
            return true;
        }
        thread::sleep(LOOK);
    }
    give_up(runner, &io::Error::other("it does not die, or another guardian has taken over"))
}

fn give_up(runner: Process, why: &io::Error) -> bool {
    tracing::warn!(pid = runner.pid, %why, "a process that injects hangs, and cannot be ended");
    false
}
