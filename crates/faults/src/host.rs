//! The host: injects faults by the book (plan, journal, inject, prove), and undoes every one of them.

use std::{
    collections::BTreeMap,
    env, fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use model::{
    catalogue::Entry,
    event::{Cleanliness, InjectionId, Proof},
    nearest::nearest,
};

use crate::{
    FAULTS,
    fault::{self, Abort, Failed, Fault, InjectError, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper,
    journal::{Journal, OpenError, Record, Replayed},
    object::Object,
    parameters::{Checked, Parameters},
};

/// Everything injected on this host by this process.
///
/// All methods block and may be called from any thread at once; undoing one injection waits for no other. Dropping the host
/// undoes what is still there.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    leftovers: Vec<Leftover>,
}

/// What a predecessor that died left behind, and what became of it.
#[derive(Debug)]
pub struct Leftover {
    /// What it had planned.
    pub undo: Undo,
    /// What undoing it found.
    pub outcome: Result<Cleanliness, UndoError>,
}

impl Leftover {
    /// Whether nothing is left of it.
    fn is_undone(&self) -> bool {
        self.outcome.as_ref().is_ok_and(is_undone)
    }
}

struct Shared {
    journal: Journal,
    tools: Tools,
    slots: Mutex<BTreeMap<InjectionId, Arc<Slot>>>,
    /// Wakes the watchdog: a lease was given or renewed, or it shall end.
    watch: Condvar,
    ending: AtomicBool,
}

/// One injection, from the moment it is planned until after it is undone.
struct Slot {
    undo: Undo,
    lease: Duration,
    expires: Mutex<Instant>,
    abort: Abort,
    state: Mutex<State>,
}

enum State {
    /// Planned, maybe journaled; whoever holds the lock is injecting.
    Planned,
    Live(Box<dyn Injection>),
    Undone(Undone),
}

impl Host {
    /// Opens the journal, undoes what a dead predecessor left, and stands ready. The helper is this very program.
    ///
    /// # Errors
    ///
    /// When a living process holds the journal, or the file system refuses it.
    pub fn open(journal: &Path) -> Result<Self, OpenError> {
        let program = env::current_exe().map_err(|source| OpenError::Io { path: journal.to_owned(), source })?;
        Self::with_helper(journal, program, vec![helper::SUBCOMMAND.to_owned()])
    }

    /// Like [`open`](Self::open), with a program that calls [`helper::main`] when started with these arguments.
    ///
    /// # Errors
    ///
    /// When a living process holds the journal, or the file system refuses it.
    pub fn with_helper(journal: &Path, program: PathBuf, arguments: Vec<String>) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: journal.to_owned(), source };
        let (open, Replayed { open: left, damaged }) = Journal::open(journal)?;
        if damaged > 0 {
            tracing::warn!(journal = %journal.display(), damaged, "parts of the journal cannot be read; undoing what can");
        }
        let leftovers = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for (id, undo) in left {
                let leftovers = &leftovers;
                scope.spawn(move || {
                    let outcome = undo_record(&undo);
                    tracing::info!(injection = %id, fault = undo.fault, object = undo.object.name, ?outcome, "undid a leftover");
                    lock(leftovers).push(Leftover { undo, outcome });
                });
            }
        });
        let leftovers = leftovers.into_inner().unwrap_or_else(PoisonError::into_inner);
        // What could not be undone stays on record for the next start.
        if leftovers.iter().all(Leftover::is_undone) {
            open.clear().map_err(io_error)?;
        }
        let shared = Arc::new(Shared {
            journal: open,
            tools: Tools { helper: (program, arguments) },
            slots: Mutex::default(),
            watch: Condvar::new(),
            ending: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&shared);
        thread::Builder::new().name("leases".to_owned()).spawn(move || watch_leases(&weak)).map_err(io_error)?;
        Ok(Self { shared, leftovers })
    }

    /// What a predecessor left behind, and what became of it.
    #[must_use]
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// The faults this host can inject.
    #[must_use]
    pub fn entries(&self) -> &'static [&'static Entry] {
        crate::catalogue()
    }

    /// Injects a fault: checks, plans, journals, injects, and measures that the effect is there. `lease` is how long it may
    /// live when nobody [renews](Self::renew) it. A proof that does not hold says that the fault was not achieved and that
    /// undoing it left something, which [`undo`](Self::undo) names.
    ///
    /// # Errors
    ///
    /// When the order is refused, or the fault takes no hold; nothing is left of it then.
    pub fn inject(
        &self,
        id: InjectionId,
        fault: &str,
        parameters: &Parameters,
        object: &Object,
        lease: Duration,
    ) -> Result<Proof, InjectError> {
        let fault = find(fault)?;
        // Its process is told from others from here on: between any two steps it may end, and its number be given away.
        let object = object.identified();
        let plan = fault.plan(&object, Checked::new(fault.entry(), parameters)?)?;
        let undo = Undo { fault: fault.entry().id.to_owned(), token: fault::seed(), object, plan };
        let slot = Arc::new(Slot {
            undo,
            lease,
            expires: Mutex::new(Instant::now() + lease),
            abort: Abort::default(),
            state: Mutex::new(State::Planned),
        });
        // Locked before it can be found: an undo that comes meanwhile waits until there is something to undo.
        let mut state = lock(&slot.state);
        {
            let mut slots = lock(&self.shared.slots);
            if slots.get(&id).is_some_and(|old| old.is_live()) {
                return Err(Refused(format!("injection {id} exists already")).into());
            }
            slots.insert(id, Arc::clone(&slot));
        }
        self.shared.watch.notify_all();
        let mut proof = self.shared.inject(id, fault, &slot, &mut state)?;
        drop(state);
        if proof.holds {
            return Ok(proof);
        }
        let left = match self.undo(id) {
            Ok(Undone { cleanliness: Cleanliness::Clean | Cleanliness::Gone, .. }) => {
                return Err(Failed(format!("{} was not achieved: {}", proof.configured, proof.achieved)).into());
            }
            Ok(Undone { cleanliness: Cleanliness::Dirty { residue, repair }, .. }) => {
                format!("; left behind: {residue}; by hand: {repair}")
            }
            Err(why) => format!("; and it could not be undone: {why}"),
        };
        // Not an error, which would say that nothing is left: the caller undoes what it believes to be there, and hears of it.
        proof.achieved.push_str(&left);
        Ok(proof)
    }

    /// Undoes an injection and looks whether anything is left of it. May be called twice and for injections that never were.
    ///
    /// # Errors
    ///
    /// When the fault is still there, with the command that repairs it. May be tried again.
    pub fn undo(&self, id: InjectionId) -> Result<Undone, UndoError> {
        self.shared.undo(id)
    }

    /// Extends the leases of these injections by their full length from now.
    pub fn renew(&self, ids: &[InjectionId]) {
        let slots = lock(&self.shared.slots);
        for slot in ids.iter().filter_map(|id| slots.get(id)) {
            *lock(&slot.expires) = Instant::now() + slot.lease;
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        self.shared.watch.notify_all();
        let ids: Vec<InjectionId> = lock(&self.shared.slots).keys().copied().collect();
        let failed = AtomicBool::new(false);
        thread::scope(|scope| {
            for id in ids {
                let (shared, failed) = (&self.shared, &failed);
                scope.spawn(move || {
                    let undone = shared.undo(id).is_ok_and(|undone| is_undone(&undone.cleanliness));
                    failed.fetch_or(!undone, Ordering::Relaxed)
                });
            }
        });
        // Whatever is still there stays on record for the next start.
        if !failed.into_inner()
            && self.leftovers.iter().all(Leftover::is_undone)
            && self.shared.journal.remove().is_err()
        {
            tracing::warn!("the journal could not be removed; it is empty of work, and the next start will clear it");
        }
    }
}

impl Shared {
    /// Journals and injects what `slot` plans, and proves it. On an error nothing is left.
    fn inject(
        &self,
        id: InjectionId,
        fault: &'static dyn Fault,
        slot: &Slot,
        state: &mut State,
    ) -> Result<Proof, InjectError> {
        let planned = Record::Planned { id, undo: Box::new(slot.undo.clone()), lease: slot.lease };
        let injected = self.journal.append(&planned).map_err(Failed::to("write the journal")).and_then(|()| {
            let injection = fault.inject(&slot.undo, &self.tools)?;
            self.journal
                .append(&Record::Injected { id, token: slot.undo.token })
                .map_err(Failed::to("write the journal"))?;
            Ok(injection)
        });
        match injected {
            Ok(mut injection) => {
                let proof = injection.prove(&slot.abort);
                *state = State::Live(injection);
                Ok(proof)
            }
            Err(why) => {
                *state = State::Undone(Undone::CLEAN);
                // If even this cannot be written, the next start undoes what is not there, which does no harm.
                let clean = Record::Undone { id, token: slot.undo.token, fingerprint: Cleanliness::Clean };
                let undone = self.journal.append(&clean);
                undone.unwrap_or_else(|why| tracing::warn!(injection = %id, %why, "cannot write the journal"));
                Err(why.into())
            }
        }
    }

    fn undo(&self, id: InjectionId) -> Result<Undone, UndoError> {
        let Some(slot) = lock(&self.slots).get(&id).cloned() else { return Ok(Undone::CLEAN) };
        slot.abort.abort();
        let mut state = lock(&slot.state);
        let undone = match std::mem::replace(&mut *state, State::Planned) {
            State::Undone(undone) => {
                *state = State::Undone(undone.clone());
                return Ok(undone);
            }
            State::Live(injection) => injection.end()?,
            // An earlier undo failed, or injecting panicked: what is known is the record.
            State::Planned => Undone { cleanliness: undo_record(&slot.undo)?, proof: None },
        };
        let record = Record::Undone { id, token: slot.undo.token, fingerprint: undone.cleanliness.clone() };
        if let Err(why) = self.journal.append(&record) {
            tracing::warn!(injection = %id, %why, "undone, but the journal cannot be written; the next start will look again");
        }
        *state = State::Undone(undone.clone());
        Ok(undone)
    }

    /// What is live and past its lease, and when the next lease ends. What is past it is so again after [`RETRY`].
    fn expired(&self, now: Instant) -> (Vec<InjectionId>, Option<Instant>) {
        let slots = lock(&self.slots);
        let (mut expired, mut next) = (Vec::new(), None::<Instant>);
        for (id, slot) in slots.iter().filter(|(_, slot)| slot.is_live()) {
            let mut expires = lock(&slot.expires);
            if *expires <= now {
                expired.push(*id);
                *expires = now + RETRY;
            }
            next = Some(next.map_or(*expires, |next| next.min(*expires)));
        }
        (expired, next)
    }
}

impl Slot {
    /// Whether there is, or may soon be, something to undo.
    fn is_live(&self) -> bool {
        match self.state.try_lock() {
            Ok(state) => !matches!(*state, State::Undone(_)),
            // Whoever panicked says nothing about what is there.
            Err(TryLockError::Poisoned(state)) => !matches!(*state.into_inner(), State::Undone(_)),
            // Somebody who holds the lock injects or undoes.
            Err(TryLockError::WouldBlock) => true,
        }
    }
}

/// After which time the undo of what outlived its lease is tried again: long enough that a repair by hand may come between.
const RETRY: Duration = Duration::from_secs(5);

/// Undoes what nobody renewed in time, until the host goes. Each on a thread of its own, for which nobody waits: an undo that
/// hangs or panics is no reason for the others to live on.
fn watch_leases(host: &Weak<Shared>) {
    // Upper limit of a sleep, so that the thread notices when the host is gone.
    let nap = Duration::from_millis(500);
    let mut under_way = BTreeMap::<InjectionId, JoinHandle<()>>::new();
    while let Some(shared) = host.upgrade().filter(|shared| !shared.ending.load(Ordering::Acquire)) {
        let (expired, next) = shared.expired(Instant::now());
        under_way.retain(|_, attempt| !attempt.is_finished());
        for id in expired {
            if under_way.contains_key(&id) {
                tracing::error!(injection = %id, "its lease has ended, and undoing it still goes on");
                continue;
            }
            tracing::warn!(injection = %id, "its lease ended without renewal; undoing it");
            match undo_expired(&shared, id) {
                Ok(attempt) => drop(under_way.insert(id, attempt)),
                Err(why) => tracing::error!(injection = %id, %why, "cannot start a thread that undoes"),
            }
        }
        let wait = next.map_or(nap, |at| at.saturating_duration_since(Instant::now()).min(nap));
        let slots = lock(&shared.slots);
        drop(shared.watch.wait_timeout(slots, wait).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether nothing is left that a later start should look at.
fn is_undone(cleanliness: &Cleanliness) -> bool {
    matches!(cleanliness, Cleanliness::Clean | Cleanliness::Gone)
}

fn undo_expired(shared: &Arc<Shared>, id: InjectionId) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name(format!("undo {id}")).spawn(move || {
        if let Err(why) = shared.undo(id) {
            tracing::error!(injection = %id, %why, "cannot undo");
        }
    })
}

fn undo_record(undo: &Undo) -> Result<Cleanliness, UndoError> {
    let fault = find(&undo.fault).map_err(|Refused(why)| UndoError {
        why: format!("{why}: it was injected by another version of this program"),
        repair: "start the version that injected it".to_owned(),
    })?;
    fault.undo(undo)
}

fn find(id: &str) -> Result<&'static dyn Fault, Refused> {
    FAULTS.iter().find(|fault| fault.entry().id == id).copied().ok_or_else(|| {
        let near = nearest(id, FAULTS.iter().map(|fault| fault.entry().id));
        Refused(format!(
            "no fault is named `{id}`{}",
            near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
        ))
    })
}

/// Locks; a panic elsewhere does not keep anybody from undoing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("journal", &self.journal)
            .field("slots", &lock(&self.slots).keys())
            .finish_non_exhaustive()
    }
}

/// `io::Error` of a `fdatasync` and the like, for callers that want to know why a host does not open.
impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// An injection whose end does what the test says.
    struct Ends<F>(F);

    impl<F: FnOnce() + Send> Injection for Ends<F> {
        fn prove(&mut self, _: &Abort) -> Proof {
            Proof { configured: String::new(), achieved: String::new(), holds: true }
        }

        fn end(self: Box<Self>) -> Result<Undone, UndoError> {
            (self.0)();
            Ok(Undone::CLEAN)
        }
    }

    /// Puts a live injection into the host whose lease has ended.
    fn expired(host: &Host, id: u32, end: impl FnOnce() + Send + 'static) {
        // The record of a kill: undoing it from the record does nothing.
        let undo = Undo {
            fault: "process:kill".to_owned(),
            token: 0,
            object: Object::default(),
            plan: serde_json::Value::Null,
        };
        let slot = Slot {
            undo,
            lease: Duration::ZERO,
            expires: Mutex::new(Instant::now()),
            abort: Abort::default(),
            state: Mutex::new(State::Live(Box::new(Ends(end)))),
        };
        lock(&host.shared.slots).insert(InjectionId(id), Arc::new(slot));
        host.shared.watch.notify_all();
    }

    #[test]
    fn an_undo_that_hangs_or_panics_keeps_no_other_lease_from_ending() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::open(&folder.path().join("journal")).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let began = tell.clone();
        expired(&host, 1, move || {
            began.send(1).unwrap();
            let _sender_gone = released.recv();
        });
        assert_eq!(told.recv(), Ok(1));
        let panics = tell.clone();
        expired(&host, 2, move || {
            panics.send(2).unwrap();
            panic!("as the test wants it");
        });
        assert_eq!(told.recv(), Ok(2));
        expired(&host, 3, move || tell.send(3).unwrap());
        assert_eq!(told.recv(), Ok(3));
        drop(release);
        assert_eq!(host.undo(InjectionId(1)), Ok(Undone::CLEAN));
        // What panicked is undone from its record.
        assert_eq!(host.undo(InjectionId(2)).unwrap().cleanliness, Cleanliness::Gone);
        assert!(!lock(&host.shared.slots)[&InjectionId(2)].is_live());
    }
}
