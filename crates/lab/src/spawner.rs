//! The thread that starts all processes of a lab.
//!
//! It lives as long as the lab, because the kernel counts the death of the *thread* that forked a process as its parent's
//! death, and that is what ends the shims of a lab that has died.

use std::{io, sync::Arc, sync::mpsc, thread};

use faults::sys::namespace::NetworkNamespace;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The handle to that thread, which ends with the last clone of it.
#[derive(Debug, Clone)]
pub(crate) struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts the thread, in this network namespace if one is given.
    pub(crate) fn start(home: Option<Arc<NetworkNamespace>>) -> io::Result<Self> {
        // Unbounded: a job is a launch, of which there are no more than instances.
        let (jobs, queue) = mpsc::channel::<Job>();
        let (entered, outcome) = mpsc::channel();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let home = home.map_or(Ok(()), |home| home.enter());
            let ready = home.is_ok();
            if entered.send(home).is_ok() && ready {
                queue.into_iter().for_each(|job| job());
            }
        })?;
        outcome.recv().map_err(io::Error::other)??;
        Ok(Self(jobs))
    }

    /// Runs something on the thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("the thread that starts processes has ended");
        let (done, outcome) = oneshot::channel();
        let job: Job = Box::new(move || {
            let _nobody_waits = done.send(job());
        });
        self.0.send(job).map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}
