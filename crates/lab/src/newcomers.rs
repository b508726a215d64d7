//! Instances that come to run, and who wants to know of them before they serve: a fault on a zone goes on to whatever is launched
//! there while it lasts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::{event::InjectionId, resource::ResourceId};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// How long an instance waits for faults to reach it. To inject and prove one takes a fraction of a second, on a machine whose
/// neighbours take its time away some seconds; and an instance that serves while its zone is cut off would belie the fault. A real
/// one takes longer to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who wants to know, by injection. Clones share everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newcomers(Arc<Mutex<BTreeMap<InjectionId, mpsc::UnboundedSender<Newcomer>>>>);

/// An instance that has just come to run. Its balancers hear of it when this is dropped, or in ten seconds.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) id: ResourceId,
    /// Never sent to: that it is gone says that it may serve.
    _may_serve: oneshot::Sender<()>,
}

impl Newcomers {
    /// From now on this injection wants to know of them.
    pub(crate) fn follow(&self, injection: InjectionId) -> mpsc::UnboundedReceiver<Newcomer> {
        // Unbounded: launches are few, and none of them may be missed.
        let (tell, hear) = mpsc::unbounded_channel();
        self.lock().insert(injection, tell);
        hear
    }

    /// It does not any more: it hears of those that it was told of already, and then of the end.
    pub(crate) fn forget(&self, injection: InjectionId) {
        self.lock().remove(&injection);
    }

    /// Tells of an instance, and waits until all who wanted to know are done with it; but not for ever.
    pub(crate) async fn welcome(&self, id: &ResourceId) {
        let tell = |to: &mpsc::UnboundedSender<Newcomer>| {
            let (may_serve, done) = oneshot::channel();
            to.send(Newcomer { id: id.clone(), _may_serve: may_serve }).ok().map(|()| done)
        };
        let told: Vec<_> = self.lock().values().filter_map(tell).collect();
        let all_done = async {
            for done in told {
                // Dropped, never sent.
                let _done = done.await;
            }
        };
        if timeout(PATIENCE, all_done).await.is_err() {
            tracing::warn!(instance = %id, "serves before all faults on its zone have reached it");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<InjectionId, mpsc::UnboundedSender<Newcomer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_serves_when_all_who_want_to_know_are_done() {
        let (newcomers, id) = (Newcomers::default(), ResourceId("i-1".to_owned()));
        newcomers.welcome(&id).await;
        let (mut first, mut second) = (newcomers.follow(InjectionId(1)), newcomers.follow(InjectionId(2)));
        let welcome = tokio::spawn({
            let (newcomers, id) = (newcomers.clone(), id.clone());
            async move { newcomers.welcome(&id).await }
        });
        let (one, other) = (first.recv().await.unwrap(), second.recv().await.unwrap());
        assert_eq!((&one.id, &other.id), (&id, &id));
        drop(one);
        assert!(!welcome.is_finished());
        drop(other);
        welcome.await.unwrap();
        newcomers.forget(InjectionId(1));
        assert!(first.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_serves_all_the_same() {
        let newcomers = Newcomers::default();
        let _never_answers = newcomers.follow(InjectionId(1));
        newcomers.welcome(&ResourceId("i-1".to_owned())).await;
    }
}
