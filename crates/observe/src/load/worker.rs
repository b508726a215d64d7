//! The thread of a load, and what it amounts to.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{Builder, JoinHandle},
};

use tokio::sync::oneshot;

use super::{
    Enter,
    signal::{Level, Signal},
};

/// A thread that works until it is done or is told to end, and then says what its work amounted to. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Worker<T> {
    signal: Arc<Signal>,
    done: Option<oneshot::Receiver<io::Result<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts a thread, which enters where it is to run, prepares there, and works.
    ///
    /// # Errors
    ///
    /// When the thread cannot be made, cannot enter, or cannot prepare.
    pub(super) fn start<P>(
        name: &str,
        enter: Option<Enter>,
        prepare: impl FnOnce(&Arc<Signal>) -> io::Result<P> + Send + 'static,
        work: impl FnOnce(P, &Signal) -> io::Result<T> + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Signal::new()?;
        let its_signal = Arc::clone(&signal);
        let (prepared_tell, prepared) = mpsc::sync_channel(1);
        let (done_tell, done) = oneshot::channel();
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            // Whoever started this may be gone already; then the signal says so as well.
            match enter.map_or(Ok(()), |enter| enter()).and_then(|()| prepare(&its_signal)) {
                Ok(ready) => {
                    drop(prepared_tell.send(Ok(())));
                    drop(done_tell.send(work(ready, &its_signal)));
                }
                Err(error) => drop(prepared_tell.send(Err(error))),
            }
        })?;
        prepared.recv().unwrap_or_else(|_| Err(died()))?;
        Ok(Self { signal, done: Some(done), thread: Some(thread) })
    }

    /// Tells it to begin nothing new and come to an end.
    pub(super) fn drain(&self) {
        self.signal.raise(Level::Drain);
    }

    /// Tells it to end now.
    pub(super) fn stop(&self) {
        self.signal.raise(Level::Stop);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it has ended, by itself or because it was told to.
    pub(super) async fn finished(mut self) -> io::Result<T> {
        match self.done.take() {
            Some(done) => done.await.unwrap_or_else(|_| Err(died())),
            None => Err(died()),
        }
    }

    /// The same, for callers outside of a runtime.
    pub(super) fn wait(mut self) -> io::Result<T> {
        match self.done.take() {
            Some(done) => done.blocking_recv().unwrap_or_else(|_| Err(died())),
            None => Err(died()),
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.signal.raise(Level::Stop);
        if let Some(thread) = self.thread.take() {
            // Its panic is told by what it did not say.
            drop(thread.join());
        }
    }
}

fn died() -> io::Error {
    io::Error::other("the load's thread died")
}
