//! Keeping a guardian: there is one before the first injection, and another when it has gone.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Weak, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use model::event::InjectionId;

use super::{Shared, undo_expired};
use crate::{book::Book, fault::Failed, grant::Grant, guardian::link::Link, lock::lock};

/// The guardian of a host.
#[derive(Debug, Default)]
pub(super) enum Guard {
    /// Nothing was injected yet.
    #[default]
    None,
    /// It watches; the thread hears it.
    Watching(Arc<Link>, JoinHandle<()>),
    /// It has gone, and there was no other to be had: why.
    Lost(String),
}

/// A guardian that lives shorter than this was not just unlucky.
const SHORT: Duration = Duration::from_secs(1);
/// So many in a row of which each lived but for a short time: something here ends guardians, and there is no use in more.
const MOST_SHORT: u32 = 5;

impl Shared {
    /// Sees to it that there is a guardian, which knows nothing yet.
    pub(super) fn guarded(self: &Arc<Self>) -> Result<(), Failed> {
        let mut guard = lock(&self.guard);
        match &*guard {
            Guard::Watching(..) => Ok(()),
            Guard::Lost(why) => Err(Failed(format!("nothing more is injected, because the guardian is lost: {why}"))),
            Guard::None => {
                *guard = self.watched_by_another(0).map_err(Failed::to("start the guardian"))?;
                Ok(())
            }
        }
    }

    /// Starts a guardian, after so many that went soon.
    fn watched_by_another(self: &Arc<Self>, short_lives: u32) -> std::io::Result<Guard> {
        let link = Arc::new(Link::start(&self.tools.program, &self.journal)?);
        let (heard, host) = (Arc::clone(&link), Arc::downgrade(self));
        let hear = move || {
            heard.listen();
            succeed(&host, &heard, short_lives);
        };
        let thread = thread::Builder::new().name("guardian".to_owned()).spawn(hear)?;
        Ok(Guard::Watching(link, thread))
    }

    /// The guardian, if there is one.
    pub(super) fn guardian(&self) -> Option<Arc<Link>> {
        match &*lock(&self.guard) {
            Guard::Watching(link, _) => Some(Arc::clone(link)),
            Guard::None | Guard::Lost(_) => None,
        }
    }

    /// Lets the guardian go, and waits until it has gone.
    pub(super) fn dismiss_guardian(&self) {
        let guard = mem::take(&mut *lock(&self.guard));
        if let Guard::Watching(link, thread) = guard {
            link.farewell();
            // Its panic, if any, was said already.
            thread.join().ok();
        }
    }

    /// What lives, and until when: what a new guardian must know.
    pub(super) fn grants(&self) -> BTreeMap<u64, Grant> {
        let slots = lock(&self.slots);
        slots.values().filter(|slot| slot.is_live()).map(|slot| (slot.undo.token, *lock(&slot.grant))).collect()
    }

    /// Writes the book: who watches, and what lives until when. Where it cannot be written, the journal's time is a sign as well.
    pub(super) fn publish(&self) {
        let guardian = self.guardian().and_then(|link| link.process());
        let book = Book::now(guardian, self.grants());
        if lock(&self.book).write(&book).is_err() {
            self.journal.touch();
        }
    }
}

/// Puts another guardian in the place of one that has gone; where that cannot be done, undoes everything.
fn succeed(host: &Weak<Shared>, gone: &Arc<Link>, short_lives: u32) {
    let Some(shared) = host.upgrade().filter(|shared| !shared.ending.load(Ordering::Acquire)) else { return };
    let short_lives = if gone.age() < SHORT { short_lives + 1 } else { 0 };
    let mut guard = lock(&shared.guard);
    if !matches!(&*guard, Guard::Watching(current, _) if Arc::ptr_eq(current, gone)) {
        return;
    }
    let next = if short_lives > MOST_SHORT {
        Err(format!("{short_lives} in a row ended soon after their start"))
    } else {
        tracing::warn!("the guardian has ended; starting another");
        shared.watched_by_another(short_lives).map_err(|why| why.to_string())
    };
    match next {
        Ok(next) => {
            *guard = next;
            if let Guard::Watching(link, _) = &*guard {
                // Before anybody else tells it anything: under the lock.
                let grants: Vec<(u64, Grant)> = shared.grants().into_iter().collect();
                link.leased(&grants);
            }
            drop(guard);
            shared.publish();
        }
        Err(why) => {
            tracing::error!(%why, "there is no guardian any more; undoing everything");
            *guard = Guard::Lost(why);
            drop(guard);
            undo_everything(&shared);
        }
    }
}

fn undo_everything(shared: &Arc<Shared>) {
    let live: Vec<InjectionId> =
        lock(&shared.slots).iter().filter(|(_, slot)| slot.is_live()).map(|(id, _)| *id).collect();
    for id in live {
        if let Err(why) = undo_expired(shared, id) {
            tracing::error!(injection = %id, %why, "cannot start a thread that undoes");
        }
    }
}
