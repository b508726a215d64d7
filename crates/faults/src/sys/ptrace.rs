//! Tracing: holding other processes' threads without a trace once the tracer is gone.

use std::io;

/// Makes the calling thread the tracer of this thread, without stopping it. It runs on when the calling thread ends.
///
/// # Errors
///
/// `EPERM` when it may not be traced or has a tracer; `ESRCH` when it has ended.
pub fn seize(thread: i32) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, thread)
}

/// Stops a thread whose tracer the calling thread is.
///
/// # Errors
///
/// `ESRCH` when it has ended.
pub fn interrupt(thread: i32) -> io::Result<()> {
    request(libc::PTRACE_INTERRUPT, thread)
}

/// Lets a stopped thread go whose tracer the calling thread is: it runs on, untraced.
///
/// # Errors
///
/// `ESRCH` when it has ended, or is not stopped.
pub fn detach(thread: i32) -> io::Result<()> {
    request(libc::PTRACE_DETACH, thread)
}

/// What has become of a tracee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has stopped.
    Stopped(i32),
    /// It has ended.
    Ended(i32),
}

/// Waits until this tracee has stopped or ended.
///
/// # Errors
///
/// `ECHILD` when it is not ours to wait for.
pub fn wait(thread: i32) -> io::Result<Change> {
    loop {
        if let Some(change) = wait_for(thread, 0)? {
            return Ok(change);
        }
    }
}

/// Takes note of any tracee that has stopped or ended, so that those who are its real parents learn of it. `None`: none has.
///
/// # Errors
///
/// `ECHILD` when there are none.
pub fn reap() -> io::Result<Option<Change>> {
    wait_for(-1, libc::WNOHANG)
}

fn wait_for(thread: i32, options: libc::c_int) -> io::Result<Option<Change>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`.
    let id = unsafe { libc::waitpid(thread, &raw mut status, options | libc::__WALL) };
    match id {
        0 => Ok(None),
        id if id < 0 => {
            let why = io::Error::last_os_error();
            if why.kind() == io::ErrorKind::Interrupted { Ok(None) } else { Err(why) }
        }
        id if libc::WIFSTOPPED(status) => Ok(Some(Change::Stopped(id))),
        id => Ok(Some(Change::Ended(id))),
    }
}

fn request(request: libc::c_uint, thread: i32) -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take no address and, as data, options of which we want none: the kernel touches no memory of ours.
    let result = unsafe { libc::ptrace(request, thread, nothing, nothing) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
