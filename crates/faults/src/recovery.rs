//! Undoing what is on record, by whoever comes after the process that injected it: the guardian, or the next start.
//!
//! When each undo is tried, tried again, and given up is decided by a pure function, [`Recovery::step`]. Each undo is
//! carried out on a thread of its own, since one that hangs is no reason for the others to live on.

use std::{
    collections::BTreeMap,
    io,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use model::event::{Cleanliness, InjectionId};

use crate::{
    boot,
    fault::{self, Refused, Undo, UndoError},
    journal::{Journal, Open, Record, Replayed},
};

/// What a predecessor that died left behind, and what became of it.
#[derive(Debug, Clone)]
pub struct Leftover {
    /// Its number in the run that made it.
    pub id: InjectionId,
    /// What it had planned.
    pub undo: Undo,
    /// What undoing it found.
    pub outcome: Result<Cleanliness, UndoError>,
}

impl Leftover {
    /// Whether nothing is left of it that a later start should look at.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        self.outcome.as_ref().is_ok_and(is_undone)
    }

    /// What is left, and the command that repairs it; `None` when nothing is.
    #[must_use]
    pub fn residue(&self) -> Option<(&str, &str)> {
        match &self.outcome {
            Ok(Cleanliness::Clean | Cleanliness::Gone) => None,
            Ok(Cleanliness::Dirty { residue, repair }) => Some((residue, repair)),
            Err(UndoError { why, repair }) => Some((why, repair)),
        }
    }
}

/// Whether nothing is left that a later start should look at.
pub(crate) const fn is_undone(cleanliness: &Cleanliness) -> bool {
    matches!(cleanliness, Cleanliness::Clean | Cleanliness::Gone)
}

/// How an attempt to undo something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// With a finding: it is undone, or what is left of it is known.
    Found,
    /// With an error: it is still there.
    Failed,
}

/// What happens to a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// An attempt on the injection with this token has ended.
    Tried(u64, Attempt),
}

/// The decisions of undoing what is on record: which injection is to be tried when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recovery {
    jobs: BTreeMap<u64, Job>,
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Job {
    /// To be tried at this time, after so many attempts since `began` that failed.
    Due { at: Duration, began: Duration, failed: u32 },
    /// Being tried since.
    Trying { since: Duration, began: Duration, failed: u32 },
    /// Nothing more is done about it.
    Over,
}

/// The pause after the first attempt that failed; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts: short beside the patience of the guardian.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An attempt that takes longer hangs: the slowest undo waits ten seconds for a process to end.
const HANGS: Duration = Duration::from_secs(30);

impl Recovery {
    /// The recovery of these injections. What cannot be undone is tried again for as long as `patience`.
    pub fn new(tokens: impl IntoIterator<Item = u64>, patience: Duration, now: Duration) -> Self {
        let due = Job::Due { at: now, began: now, failed: 0 };
        Self { jobs: tokens.into_iter().map(|token| (token, due)).collect(), patience }
    }

    /// Takes note of what happened, and says whom to try now.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<u64> {
        if let Event::Tried(token, attempt) = event
            && let Some(job) = self.jobs.get_mut(&token)
            && let Job::Trying { began, failed, .. } = *job
        {
            let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(failed)).min(LONGEST_PAUSE);
            let give_up = attempt == Attempt::Found || now + pause > began + self.patience;
            *job = if give_up { Job::Over } else { Job::Due { at: now + pause, began, failed: failed + 1 } };
        }
        let mut try_now = Vec::new();
        for (token, job) in &mut self.jobs {
            match *job {
                Job::Due { at, began, failed } if at <= now => {
                    *job = Job::Trying { since: now, began, failed };
                    try_now.push(*token);
                }
                Job::Trying { since, .. } if since + HANGS <= now => *job = Job::Over,
                Job::Due { .. } | Job::Trying { .. } | Job::Over => {}
            }
        }
        try_now
    }

    /// When the next [`Tick`](Event::Tick) is due, if nothing else happens; `None` when all is over.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        let due = |job: &Job| match *job {
            Job::Due { at, .. } => Some(at),
            Job::Trying { since, .. } => Some(since + HANGS),
            Job::Over => None,
        };
        self.jobs.values().filter_map(due).min()
    }
}

/// How long a start waits for what cannot be undone at once: somebody waits for it, and it stays on record.
const SHORTLY: Duration = Duration::from_secs(1);

/// Undoes what a journal that was just opened has on record, and empties it if nothing is left of that.
pub(crate) fn recover(journal: &Arc<Journal>, Replayed { open, damaged, .. }: Replayed) -> io::Result<Vec<Leftover>> {
    if damaged > 0 {
        let path = journal.path().display();
        tracing::warn!(journal = %path, damaged, "parts of the journal cannot be read; undoing what can");
    }
    let leftovers = settle(journal, open, SHORTLY);
    // What could not be undone stays on record for the next start.
    if leftovers.iter().all(Leftover::is_undone) {
        journal.clear()?;
    }
    Ok(leftovers)
}

/// Undoes what is on record, writes down what is undone, and says what became of each. What cannot be undone is tried again for
/// as long as `patience`, and stays on record.
pub(crate) fn settle(journal: &Arc<Journal>, open: Vec<Open>, patience: Duration) -> Vec<Leftover> {
    let mut recovery = Recovery::new(open.iter().map(|one| one.undo.token), patience, boot::now());
    let mut outcomes = BTreeMap::new();
    let (tell, told) = mpsc::channel();
    let mut event = Event::Tick;
    loop {
        for token in recovery.step(event, boot::now()) {
            let Some(Open { id, undo, .. }) = open.iter().find(|one| one.undo.token == token) else { continue };
            attempt(Arc::clone(journal), *id, undo.clone(), tell.clone());
        }
        let Some(wake) = recovery.wake() else { break };
        event = match told.recv_timeout(wake.saturating_sub(boot::now())) {
            Ok((token, outcome)) => {
                let attempt = if Result::is_ok(&outcome) { Attempt::Found } else { Attempt::Failed };
                outcomes.insert(token, outcome);
                Event::Tried(token, attempt)
            }
            Err(_) => Event::Tick,
        };
    }
    let became = |Open { id, undo, .. }| {
        let outcome = outcomes.remove(&undo.token).unwrap_or_else(|| Err(hangs(&undo)));
        Leftover { id, undo, outcome }
    };
    open.into_iter().map(became).collect()
}

fn hangs(undo: &Undo) -> UndoError {
    UndoError {
        why: format!("undoing {} on {} hangs: no end after {} s", undo.fault, undo.object.name, HANGS.as_secs()),
        repair: "shaketable undo --all".to_owned(),
    }
}

type Told = mpsc::Sender<(u64, Result<Cleanliness, UndoError>)>;

/// Tries to undo on a thread of its own; where none can be had, on this one: maybe what is to be undone is what took them all.
fn attempt(journal: Arc<Journal>, id: InjectionId, undo: Undo, tell: Told) {
    let name = format!("undo {id}");
    let work = Arc::new(move || {
        let outcome = undo_and_note(&journal, id, &undo);
        // Whoever asked may have given up.
        tell.send((undo.token, outcome)).ok();
    });
    let on_thread = Arc::clone(&work);
    if thread::Builder::new().name(name).spawn(move || on_thread()).is_err() {
        work();
    }
}

fn undo_and_note(journal: &Journal, id: InjectionId, undo: &Undo) -> Result<Cleanliness, UndoError> {
    let outcome = undo_record(undo)?;
    tracing::info!(injection = %id, fault = undo.fault, object = undo.object.name, ?outcome, "undid a leftover");
    let record = Record::Undone { id, token: undo.token, fingerprint: outcome.clone() };
    if let Err(why) = journal.append(&record) {
        tracing::warn!(injection = %id, %why, "undone, but the journal cannot be written; the next start will look again");
    }
    Ok(outcome)
}

/// Undoes an injection with nothing but its record.
pub(crate) fn undo_record(undo: &Undo) -> Result<Cleanliness, UndoError> {
    let fault = fault::find(&undo.fault).map_err(|Refused(why)| UndoError {
        why: format!("{why}: it was injected by another version of this program"),
        repair: "start the version that injected it".to_owned(),
    })?;
    panic::catch_unwind(AssertUnwindSafe(|| fault.undo(undo))).unwrap_or_else(|_| {
        Err(UndoError {
            why: format!("undoing {} on {} broke off", undo.fault, undo.object.name),
            repair: "shaketable undo --all".to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(3);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn all_are_tried_at_once_and_it_is_over_with_the_last() {
        let mut recovery = Recovery::new([1, 2], PATIENCE, at(0));
        assert_eq!(recovery.step(Event::Tick, at(0)), [1, 2]);
        assert!(recovery.step(Event::Tried(1, Attempt::Found), at(5)).is_empty());
        assert!(recovery.wake().is_some());
        assert!(recovery.step(Event::Tried(2, Attempt::Found), at(9)).is_empty());
        assert_eq!(recovery.wake(), None);
        assert_eq!(Recovery::new([], PATIENCE, at(0)).wake(), None);
    }

    #[test]
    fn what_fails_is_tried_again_after_growing_pauses_until_patience_ends() {
        let mut recovery = Recovery::new([1], PATIENCE, at(0));
        let (mut now, mut tries) = (at(0), Vec::new());
        while let Some(wake) = recovery.wake() {
            now = now.max(wake);
            if recovery.step(Event::Tick, now) == [1] {
                tries.push(now.as_millis());
                recovery.step(Event::Tried(1, Attempt::Failed), now);
            }
        }
        assert_eq!(tries, [0, 100, 300, 700, 1500]);
    }

    #[test]
    fn what_hangs_is_given_up_and_its_late_answer_changes_nothing() {
        let mut recovery = Recovery::new([1], PATIENCE, at(0));
        recovery.step(Event::Tick, at(0));
        let wake = recovery.wake().unwrap();
        assert!(recovery.step(Event::Tick, wake).is_empty());
        assert_eq!(recovery.wake(), None);
        assert!(recovery.step(Event::Tried(1, Attempt::Failed), wake).is_empty());
        assert_eq!(recovery.wake(), None);
    }

    #[test]
    fn what_an_unknown_version_injected_stays_on_record() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&folder.path().join("journal")).unwrap();
        let undo = Undo {
            fault: "moon:phase".to_owned(),
            token: 7,
            object: crate::Object::default(),
            plan: serde_json::Value::Null,
        };
        let record = Record::Planned {
            id: InjectionId(1),
            undo: Box::new(undo),
            lease: Duration::from_secs(1),
            at: std::time::SystemTime::now(),
        };
        journal.append(&record).unwrap();
        let open = journal.replay().unwrap().open;
        let left = settle(&Arc::new(journal), open, Duration::ZERO);
        assert!(!left[0].is_undone());
        assert!(left[0].residue().is_some_and(|(why, _)| why.contains("another version")));
    }
}
