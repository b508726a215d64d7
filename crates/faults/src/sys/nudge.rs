//! Ending another thread's waiting in the kernel.

use std::{io, mem, process, ptr};

/// The signal that says so: nobody else has a use for it in a helper.
const SIGNAL: libc::c_int = libc::SIGURG;

/// Interrupts one thread's waiting.
#[derive(Debug, Clone, Copy)]
pub struct Nudge {
    thread: libc::c_long,
}

impl Nudge {
    /// What interrupts the calling thread. For the whole process, the signal for it means nothing else from here on.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn for_this_thread() -> io::Result<Self> {
        extern "C" fn nothing(_: libc::c_int) {}
        // SAFETY: a struct of integers and pointers, for which zero is a value.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // Without SA_RESTART: what waits returns.
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler does nothing, which may be done at any time; the kernel reads one struct.
        if unsafe { libc::sigaction(SIGNAL, &raw const action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: takes nothing, and always succeeds.
        Ok(Self { thread: unsafe { libc::syscall(libc::SYS_gettid) } })
    }

    /// Interrupts what the thread is waiting for. It may just be about to wait: say it again until it has heard.
    pub fn now(self) {
        // SAFETY: takes three integers. A thread that has ended is not found.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::c_long::from(process::id()), self.thread, SIGNAL) };
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, pipe},
        sync::mpsc,
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_thread_that_waits_is_interrupted() {
        let (mut reader, writer) = pipe().unwrap();
        let (tell, told) = mpsc::channel();
        let (done, over) = mpsc::channel();
        let waiting = thread::spawn(move || {
            tell.send(Nudge::for_this_thread().unwrap()).unwrap();
            let outcome = reader.read(&mut [0]);
            done.send(()).unwrap();
            outcome
        });
        let nudge = told.recv().unwrap();
        while over.recv_timeout(Duration::from_millis(1)).is_err() {
            nudge.now();
        }
        assert_eq!(waiting.join().unwrap().unwrap_err().kind(), io::ErrorKind::Interrupted);
        drop(writer);
    }
}
