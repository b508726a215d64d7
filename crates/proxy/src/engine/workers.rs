//! The pool of workers that relays share.

use std::{
    io,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use super::{
    mailbox::{Mailbox, Message},
    worker::Worker,
};

/// The threads that carry connections. Relays share them; a clone is another handle to the same. They end with the last handle
/// and the last relay.
#[derive(Debug, Clone)]
pub struct Workers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    mailboxes: Arc<[Mailbox]>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    /// Starts one thread for each core that this process may use.
    ///
    /// # Errors
    ///
    /// When the system refuses threads or descriptors.
    pub fn start() -> io::Result<Self> {
        Self::with(thread::available_parallelism()?)
    }

    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// When the system refuses threads or descriptors.
    pub fn with(count: NonZero<usize>) -> io::Result<Self> {
        let mailboxes = (0..count.get()).map(|_| Mailbox::new()).collect::<io::Result<Arc<[_]>>>()?;
        // Those that have been started are stopped if the next cannot be.
        let pool = Pool { mailboxes, threads: Mutex::default() };
        for index in 0..count.get() {
            let worker = Worker::new(index, Arc::clone(&pool.mailboxes))?;
            let thread = thread::Builder::new().name(format!("relay-{index}")).spawn(move || worker.run())?;
            pool.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(Self(Arc::new(pool)))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.mailboxes.len()
    }

    /// Tells every worker something.
    pub(crate) fn tell(&self, message: impl Fn() -> Message) {
        self.0.mailboxes.iter().for_each(|mailbox| mailbox.post(message()));
    }

    /// Tells one of the workers something; which is up to the number.
    pub(crate) fn tell_one(&self, number: u64, message: Message) {
        let count = self.0.mailboxes.len() as u64;
        if let Some(mailbox) = usize::try_from(number % count).ok().and_then(|place| self.0.mailboxes.get(place)) {
            mailbox.post(message);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(Message::Stop));
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A worker that panicked has said so already.
            let _panicked = thread.join();
        }
    }
}
