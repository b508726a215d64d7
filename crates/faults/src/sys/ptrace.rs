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

/// How a tracee stands that was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// It runs still.
    Running,
    /// It has stopped; if a signal was on its way to it just then, that waits with it, and must be passed on.
    Stopped(Option<i32>),
    /// It has ended.
    Ended,
}

/// Looks whether this tracee has stopped or ended, without waiting for it.
///
/// # Errors
///
/// `ECHILD` when it is not ours to wait for.
pub fn look(thread: i32) -> io::Result<Halt> {
    halt(thread, libc::WNOHANG)
}

/// Lets a stopped tracee do one instruction, after it has been given a signal, and waits for it.
///
/// # Errors
///
/// `ESRCH` when it has ended, or is not stopped.
pub fn step(thread: i32, signal: Option<i32>) -> io::Result<Halt> {
    request_with(libc::PTRACE_SINGLESTEP, thread, signal)?;
    match halt(thread, 0)? {
        Halt::Stopped(Some(libc::SIGTRAP)) => Ok(Halt::Stopped(None)),
        other => Ok(other),
    }
}

/// Lets a stopped tracee run on until it is [interrupted](interrupt), after it has been given a signal.
///
/// # Errors
///
/// `ESRCH` when it has ended, or is not stopped.
pub fn resume(thread: i32, signal: Option<i32>) -> io::Result<()> {
    request_with(libc::PTRACE_CONT, thread, signal)
}

fn halt(thread: i32, options: libc::c_int) -> io::Result<Halt> {
    /// `PTRACE_EVENT_STOP`, in the third byte: the stop that was asked for, or that of a process which stands still anyway.
    const ASKED_FOR: i32 = 128;
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`.
    match unsafe { libc::waitpid(thread, &raw mut status, options | libc::__WALL) } {
        0 => Ok(Halt::Running),
        id if id < 0 => Err(io::Error::last_os_error()),
        _ if !libc::WIFSTOPPED(status) => Ok(Halt::Ended),
        _ if status >> 16 == ASKED_FOR => Ok(Halt::Stopped(None)),
        _ => Ok(Halt::Stopped(Some(libc::WSTOPSIG(status)))),
    }
}

/// Like [`detach`], and passes on a signal that waited with the thread.
///
/// # Errors
///
/// `ESRCH` when it has ended, or is not stopped.
pub fn detach_with(thread: i32, signal: Option<i32>) -> io::Result<()> {
    request_with(libc::PTRACE_DETACH, thread, signal)
}

/// Where a stopped tracee will go on: the address of its next instruction, and of the top of its stack.
///
/// # Errors
///
/// `ESRCH` when it has ended, or is not stopped.
#[cfg(target_arch = "x86_64")]
pub fn place(thread: i32) -> io::Result<(u64, u64)> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::zeroed();
    // SAFETY: the kernel writes one `user_regs_struct` to `registers`, which has room for exactly one.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, nothing, registers.as_mut_ptr()) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is a struct of integers, zeroed before the kernel filled it.
    let registers = unsafe { registers.assume_init() };
    Ok((registers.rip, registers.rsp))
}

/// The same on other processors, whose registers have other names: not known.
///
/// # Errors
///
/// Always.
#[cfg(not(target_arch = "x86_64"))]
pub fn place(_: i32) -> io::Result<(u64, u64)> {
    Err(io::ErrorKind::Unsupported.into())
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

/// A request after which a tracee runs on, and finds this signal.
fn request_with(request: libc::c_uint, thread: i32, signal: Option<i32>) -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    let signal = libc::c_long::from(signal.unwrap_or(0));
    // SAFETY: these requests take no address and, as data, a number: the kernel touches no memory of ours.
    let result = unsafe { libc::ptrace(request, thread, nothing, signal) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
