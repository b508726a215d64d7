//! The host: injects faults by the book (plan, journal, inject, prove), and undoes every one of them.

mod guard;

use std::{
    collections::BTreeMap,
    fmt, io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use model::{
    catalogue::Entry,
    event::{Cleanliness, InjectionId, Proof},
    term::Term,
};

use self::guard::Guard;
use crate::{
    book::Keeper,
    boot,
    fault::{self, Abort, Failed, Fault, InjectError, Injection, Program, Refused, Tools, Undo, UndoError, Undone},
    grant::Grant,
    guardian::link::Link,
    journal::{Begun, Journal, OpenError, Record},
    lock::lock,
    object::Object,
    parameters::{Checked, Parameters},
    recovery::{self, Leftover, is_undone, undo_record},
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

struct Shared {
    journal: Arc<Journal>,
    tools: Tools,
    guard: Mutex<Guard>,
    slots: Mutex<BTreeMap<InjectionId, Arc<Slot>>>,
    book: Mutex<Keeper>,
    /// Wakes the watchdog: a lease was given or renewed, or it shall end.
    watch: Condvar,
    ending: AtomicBool,
}

/// One injection, from the moment it is planned until after it is undone.
struct Slot {
    undo: Undo,
    entry: &'static Entry,
    parameters: Parameters,
    term: Term,
    grant: Mutex<Grant>,
    /// When the watchdog looks at it again after it has begun to undo it, since boot.
    again: Mutex<Duration>,
    abort: Abort,
    /// When it was ordered, and when it was in effect, both since boot.
    ordered: Duration,
    effective: OnceLock<Duration>,
    state: Mutex<State>,
}

enum State {
    /// Planned, maybe journaled; whoever holds the lock is injecting.
    Planned,
    Live(Box<dyn Injection>),
    Undone(Undone),
}

impl Host {
    /// Opens the journal, undoes what a dead predecessor left, and stands ready. `document` says for people what is going to be
    /// injected: the name of an experiment, or a lab. The program of which helpers and the guardian are made is this one.
    ///
    /// # Errors
    ///
    /// When a living process holds the journal, or the file system refuses it.
    pub fn open(journal: &Path, document: &str) -> Result<Self, OpenError> {
        let program = Program::this().map_err(|source| OpenError::Io { path: journal.to_owned(), source })?;
        Self::with_program(journal, document, program)
    }

    /// Like [`open`](Self::open), with another program.
    ///
    /// # Errors
    ///
    /// When a living process holds the journal, or the file system refuses it.
    pub fn with_program(journal: &Path, document: &str, program: Program) -> Result<Self, OpenError> {
        let io_error = |source| OpenError::Io { path: journal.to_owned(), source };
        let (open, replayed) = Journal::open(journal)?;
        let open = Arc::new(open);
        let leftovers = recovery::recover(&open, replayed).map_err(io_error)?;
        open.append(&Record::Begun(Begun::now(document).map_err(io_error)?)).map_err(io_error)?;
        let book = Keeper::of(open.path());
        let shared = Arc::new(Shared {
            journal: open,
            tools: Tools { program },
            guard: Mutex::default(),
            slots: Mutex::default(),
            book: Mutex::new(book),
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

    /// Whether a fault would be refused on an object as it is now: looks and decides as for an injection, and touches nothing.
    ///
    /// # Errors
    ///
    /// When it would.
    pub fn foresee(&self, fault: &str, parameters: &Parameters, object: &Object) -> Result<(), Refused> {
        let fault = fault::find(fault)?;
        let checked = Checked::new(fault.entry(), parameters)?;
        // Processes come and go: one of that name may be there when its turn has come.
        let absent = |name: &String| object.process().is_ok() && object.processes_named(name).is_err();
        if parameters.get("process").is_some_and(absent) {
            return Ok(());
        }
        fault.plan(&object.identified(), checked).map(drop)
    }

    /// Injects a fault: checks, plans, journals, injects, and measures that the effect is there. `term` says how long it may
    /// live, and above all how long when nobody [renews](Self::renew) it. A proof that does not hold says that the fault was not achieved and that
    /// undoing it left something, which [`undo`](Self::undo) names.
    ///
    /// # Errors
    ///
    /// When the order is refused, also because something that is in effect bears it not; or when the fault takes no hold. Nothing
    /// is left of it then.
    pub fn inject(
        &self,
        id: InjectionId,
        fault: &str,
        parameters: &Parameters,
        object: &Object,
        term: impl Into<Term>,
    ) -> Result<Proof, InjectError> {
        let (ordered, term) = (boot::now(), term.into());
        let fault = fault::find(fault)?;
        // Its process is told from others from here on: between any two steps it may end, and its number be given away.
        let object = object.identified();
        let entry = fault.entry();
        // Before the fault looks at an object that another has changed, and again when nobody can come between.
        refuse_clash(&lock(&self.shared.slots), entry, parameters, &object)?;
        let plan = fault.plan(&object, Checked::new(entry, parameters)?)?;
        let undo = Undo { fault: fault.entry().id.to_owned(), token: fault::seed(), object, plan };
        let slot = Arc::new(Slot {
            undo,
            entry,
            parameters: parameters.clone(),
            term,
            grant: Mutex::new(Grant::new(term, ordered, None, boot::now())),
            again: Mutex::default(),
            abort: Abort::default(),
            ordered,
            effective: OnceLock::new(),
            state: Mutex::new(State::Planned),
        });
        // Locked before it can be found: an undo that comes meanwhile waits until there is something to undo.
        let mut state = lock(&slot.state);
        {
            let mut slots = lock(&self.shared.slots);
            if slots.get(&id).is_some_and(|old| old.is_live()) {
                return Err(Refused(format!("injection {id} exists already")).into());
            }
            refuse_clash(&slots, entry, parameters, &slot.undo.object)?;
            slots.insert(id, Arc::clone(&slot));
        }
        self.shared.watch.notify_all();
        let mut proof = self.shared.inject(id, fault, &slot, &mut state)?;
        drop(state);
        self.shared.publish();
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

    /// How long after it was ordered an injection was in effect: before it was proven, which takes as long as it takes to measure.
    #[must_use]
    pub fn took_effect_after(&self, id: InjectionId) -> Option<Duration> {
        let slot = lock(&self.shared.slots).get(&id).cloned()?;
        slot.effective.get().map(|effective| effective.saturating_sub(slot.ordered))
    }

    /// Extends the leases of these injections by their full length from now.
    pub fn renew(&self, ids: &[InjectionId]) {
        let slots = lock(&self.shared.slots);
        let mut renewed = Vec::new();
        // What is being undone is renewed no more: an undo that hangs shall not live on leases.
        for slot in ids.iter().filter_map(|id| slots.get(id)) {
            let mut grant = lock(&slot.grant);
            if !slot.abort.is_aborted() {
                grant.until = boot::now() + slot.term.lease;
                renewed.push((slot.undo.token, grant.until));
            }
        }
        drop(slots);
        self.shared.tell_guardian(|guardian| guardian.renewed(&renewed));
        if !renewed.is_empty() {
            self.shared.journal.touch();
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
        self.shared.dismiss_guardian();
    }
}

impl Shared {
    /// Journals and injects what `slot` plans, and proves it. On an error nothing is left.
    fn inject(
        self: &Arc<Self>,
        id: InjectionId,
        fault: &'static dyn Fault,
        slot: &Slot,
        state: &mut State,
    ) -> Result<Proof, InjectError> {
        if let Err(why) = self.guarded() {
            *state = State::Undone(Undone::CLEAN);
            return Err(why.into());
        }
        self.grant(slot, |_| {});
        // From here on whoever looks knows who watches.
        self.publish();
        let undo = Box::new(slot.undo.clone());
        let planned = Record::Planned { id, undo, lease: slot.term.lease, at: SystemTime::now() };
        let injected = self.journal.append(&planned).map_err(Failed::to("write the journal")).and_then(|()| {
            let injection = fault.inject(&slot.undo, &self.tools)?;
            slot.effective.get_or_init(boot::now);
            self.journal
                .append(&Record::Injected { id, token: slot.undo.token })
                .map_err(Failed::to("write the journal"))?;
            Ok(injection)
        });
        match injected {
            Ok(mut injection) => {
                let proof = injection.prove(&slot.abort);
                let now = boot::now();
                self.grant(slot, |grant| grant.end = Grant::new(slot.term, slot.ordered, Some(now), now).end);
                *state = State::Live(injection);
                Ok(proof)
            }
            Err(why) => {
                *state = State::Undone(Undone::CLEAN);
                // If even this cannot be written, the next start undoes what is not there, which does no harm.
                let clean = Record::Undone { id, token: slot.undo.token, fingerprint: Cleanliness::Clean };
                let undone = self.journal.append(&clean);
                undone.unwrap_or_else(|why| tracing::warn!(injection = %id, %why, "cannot write the journal"));
                self.tell_guardian(|guardian| guardian.released(slot.undo.token));
                Err(why.into())
            }
        }
    }

    fn undo(&self, id: InjectionId) -> Result<Undone, UndoError> {
        let Some(slot) = lock(&self.slots).get(&id).cloned() else { return Ok(Undone::CLEAN) };
        slot.abort.abort();
        if let Some(undone) = slot.undone() {
            return Ok(undone);
        }
        // That this is under way is news enough of the runner, until it hangs.
        let undoing = Grant { until: boot::now() + UNDO_HANGS, end: None };
        self.tell_while(&slot, |_, guardian| guardian.leased(&[(slot.undo.token, undoing)]));
        let outcome = self.undo_slot(id, &slot);
        // What failed is on record; the guardian could do no better beside the living runner.
        self.tell_guardian(|guardian| guardian.released(slot.undo.token));
        outcome
    }

    fn undo_slot(&self, id: InjectionId, slot: &Slot) -> Result<Undone, UndoError> {
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

    /// Changes until when an injection may live, and tells the guardian; unless it is being undone, which has a time of its own.
    fn grant(&self, slot: &Slot, change: impl FnOnce(&mut Grant)) {
        self.tell_while(slot, |grant, guardian| {
            if !slot.abort.is_aborted() {
                change(grant);
                guardian.leased(&[(slot.undo.token, *grant)]);
            }
        });
    }

    /// Tells the guardian of an injection while nobody else can, so that what it hears last is true.
    fn tell_while(&self, slot: &Slot, tell: impl FnOnce(&mut Grant, &Link)) {
        // Before the grant is locked: who puts another guardian in the place of this one locks in that order.
        if let Some(guardian) = self.guardian() {
            tell(&mut lock(&slot.grant), &guardian);
        }
    }

    fn tell_guardian(&self, tell: impl FnOnce(&Link)) {
        if let Some(guardian) = self.guardian() {
            tell(&guardian);
        }
    }

    /// Whether anything was ever to be injected: what cannot be undone stays on record after it is nobody's any more.
    fn has_injected(&self) -> bool {
        !lock(&self.slots).is_empty()
    }

    /// What is live and due, and when the next will be. What is due is so again after [`RETRY`].
    fn expired(&self, now: Duration) -> (Vec<InjectionId>, Option<Duration>) {
        let slots = lock(&self.slots);
        let (mut expired, mut next) = (Vec::new(), None::<Duration>);
        for (id, slot) in slots.iter().filter(|(_, slot)| slot.is_live()) {
            let mut again = lock(&slot.again);
            let mut due = lock(&slot.grant).due().max(*again);
            if due <= now {
                expired.push(*id);
                *again = now + RETRY;
                due = *again;
            }
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        (expired, next)
    }
}

/// Refuses what another fault in effect on the same object bears not.
fn refuse_clash(
    slots: &BTreeMap<InjectionId, Arc<Slot>>,
    entry: &Entry,
    parameters: &Parameters,
    object: &Object,
) -> Result<(), Refused> {
    let clash = |(id, slot): (&InjectionId, &Arc<Slot>)| {
        let what = entry.clash(parameters, slot.entry, &slot.parameters)?;
        (slot.undo.object.is(object) && slot.is_live()).then(|| {
            Refused(format!(
                "{what} is {}'s: `{}` ({id}) is in effect on {}; end that first",
                slot.entry.id, slot.entry.id, object.name
            ))
        })
    };
    slots.iter().find_map(clash).map_or(Ok(()), Err)
}

impl Slot {
    /// What its undo found, if that is over.
    fn undone(&self) -> Option<Undone> {
        match self.state.try_lock().as_deref() {
            Ok(State::Undone(undone)) => Some(undone.clone()),
            _ => None,
        }
    }

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

/// An undo that takes longer hangs, and the guardian ends this process for it: the slowest waits ten seconds for a process to end.
const UNDO_HANGS: Duration = Duration::from_secs(30);

/// Undoes what nobody renewed in time, or ended in time, until the host goes; and shows that this process lives. Each on a thread of its own, for which nobody waits: an undo that
/// hangs or panics is no reason for the others to live on.
fn watch_leases(host: &Weak<Shared>) {
    // Upper limit of a sleep, so that the thread notices when the host is gone.
    let nap = Duration::from_millis(500);
    let mut under_way = BTreeMap::<InjectionId, JoinHandle<()>>::new();
    while let Some(shared) = host.upgrade().filter(|shared| !shared.ending.load(Ordering::Acquire)) {
        let (expired, next) = shared.expired(boot::now());
        under_way.retain(|_, attempt| !attempt.is_finished());
        for id in expired {
            if under_way.contains_key(&id) {
                tracing::error!(injection = %id, "it should have ended, and undoing it still goes on");
                continue;
            }
            tracing::warn!(injection = %id, "its lease ended without renewal, or its end is past and nobody undid it; undoing it");
            match undo_expired(&shared, id) {
                Ok(attempt) => drop(under_way.insert(id, attempt)),
                Err(why) => tracing::error!(injection = %id, %why, "cannot start a thread that undoes"),
            }
        }
        if let (Some(_), Some(guardian)) = (next, shared.guardian()) {
            guardian.beat();
        }
        if shared.has_injected() {
            shared.publish();
        }
        let wait = next.map_or(nap, |at| at.saturating_sub(boot::now()).min(nap));
        let slots = lock(&shared.slots);
        drop(shared.watch.wait_timeout(slots, wait).unwrap_or_else(PoisonError::into_inner));
    }
}

fn undo_expired(shared: &Arc<Shared>, id: InjectionId) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name(format!("undo {id}")).spawn(move || {
        if let Err(why) = shared.undo(id) {
            tracing::error!(injection = %id, %why, "cannot undo");
        }
    })
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
    use crate::grant::OVERTIME;

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
        granted(host, id, Grant { until: boot::now(), end: None }, end);
    }

    fn granted(host: &Host, id: u32, grant: Grant, end: impl FnOnce() + Send + 'static) {
        // The record of a kill: undoing it from the record does nothing.
        let undo = Undo {
            fault: "process:kill".to_owned(),
            token: 0,
            object: Object::default(),
            plan: serde_json::Value::Null,
        };
        let slot = Slot {
            undo,
            entry: &crate::process::kill::ENTRY,
            parameters: Parameters::new(),
            term: Duration::ZERO.into(),
            grant: Mutex::new(grant),
            again: Mutex::default(),
            abort: Abort::default(),
            ordered: boot::now(),
            effective: OnceLock::new(),
            state: Mutex::new(State::Live(Box::new(Ends(end)))),
        };
        lock(&host.shared.slots).insert(InjectionId(id), Arc::new(slot));
        host.shared.watch.notify_all();
    }

    #[test]
    fn an_undo_that_hangs_or_panics_keeps_no_other_lease_from_ending() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::open(&folder.path().join("journal"), "a test").unwrap();
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

    #[test]
    fn what_is_renewed_for_ever_ends_when_its_end_is_past() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::open(&folder.path().join("journal"), "a test").unwrap();
        let (tell, told) = mpsc::channel();
        let end = boot::now().checked_sub(OVERTIME).unwrap();
        let grant = Grant { until: boot::now() + Duration::from_secs(3600), end: Some(end) };
        granted(&host, 1, grant, move || tell.send(()).unwrap());
        host.renew(&[InjectionId(1)]);
        told.recv().unwrap();
    }

    #[test]
    fn what_another_fault_has_to_itself_is_refused_on_the_same_object_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::open(&folder.path().join("journal"), "a test").unwrap();
        granted(&host, 1, Grant { until: boot::now() + Duration::from_secs(3600), end: None }, || {});
        let object = Object::default();
        let clash = |object: &Object| {
            let slots = lock(&host.shared.slots);
            refuse_clash(&slots, &crate::process::pause::ENTRY, &Parameters::new(), object)
        };
        assert_eq!(clash(&object), Ok(()), "a kill has nothing to itself");
        let slot = Arc::clone(&lock(&host.shared.slots)[&InjectionId(1)]);
        let paused = Slot {
            undo: slot.undo.clone(),
            entry: &crate::disk::latency::ENTRY,
            parameters: Parameters::new(),
            term: slot.term,
            grant: Mutex::new(*lock(&slot.grant)),
            again: Mutex::default(),
            abort: Abort::default(),
            ordered: slot.ordered,
            effective: OnceLock::new(),
            state: Mutex::new(State::Live(Box::new(Ends(|| {})))),
        };
        lock(&host.shared.slots).insert(InjectionId(2), Arc::new(paused));
        let Refused(why) = clash(&object).unwrap_err();
        assert!(why.contains("tracer") && why.contains("disk:latency") && why.contains("end that first"), "{why}");
        assert_eq!(clash(&Object { name: "another".to_owned(), ..Object::default() }), Ok(()));
        host.undo(InjectionId(2)).unwrap();
        assert_eq!(clash(&object), Ok(()), "it has ended");
    }
}
