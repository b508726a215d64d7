//! System calls of other processes, stopped at their beginning: which they are, and what becomes of them.
//!
//! A tracee that is let run [until its next call](resume) stops at the beginning of each and at its end. At the beginning it can
//! be told to do nothing and return an error. All of it ends with the tracer: a thread that is stopped then runs on, and does
//! its call as if nobody had looked.

use std::{io, mem, ptr};

/// Makes the calling thread the tracer of this thread, without stopping it, and of all threads and processes that it and they
/// will make.
///
/// # Errors
///
/// `EPERM` when it may not be traced or has a tracer; `ESRCH` when it has ended.
pub fn seize(thread: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC;
    let options: *mut libc::c_void = ptr::without_provenance_mut(usize::try_from(options).unwrap_or_default());
    // SAFETY: the request takes options as its data, and no address: the kernel touches no memory of ours.
    done(unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, ptr::null_mut::<libc::c_void>(), options) })
}

/// Why a tracee has stopped, or that it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the beginning or the end of a system call.
    Call,
    /// This signal is about to be delivered to it: it is, when the thread is resumed with it.
    Signal(i32),
    /// By a signal that stops processes (`SIGSTOP`): it is to stay so until it is continued.
    Group,
    /// For the tracer alone: it was asked to, is new, or has made another.
    Event,
    /// It has ended.
    Ended,
}

/// Waits for the next stop of any tracee of the calling thread. `None`: a signal has interrupted the waiting.
///
/// # Errors
///
/// `ECHILD` when there is none any more.
pub fn next() -> io::Result<Option<(i32, Stop)>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`.
    let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    if thread < 0 {
        let why = io::Error::last_os_error();
        return if why.kind() == io::ErrorKind::Interrupted { Ok(None) } else { Err(why) };
    }
    Ok(Some((thread, meaning(status))))
}

fn meaning(status: i32) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Ended;
    }
    let signal = libc::WSTOPSIG(status);
    let stops = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
    // The event is in the bits above the signal: ptrace(2).
    match status >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
        0 => Stop::Signal(signal),
        libc::PTRACE_EVENT_STOP if stops => Stop::Group,
        _ => Stop::Event,
    }
}

/// Lets a stopped tracee run to the next beginning or end of a system call, with this signal delivered, if there is one.
///
/// # Errors
///
/// `ESRCH` when it has ended.
pub fn resume(thread: i32, signal: i32) -> io::Result<()> {
    let signal: *mut libc::c_void = ptr::without_provenance_mut(usize::try_from(signal).unwrap_or_default());
    // SAFETY: the request takes a signal as its data, and no address: the kernel touches no memory of ours.
    done(unsafe { libc::ptrace(libc::PTRACE_SYSCALL, thread, ptr::null_mut::<libc::c_void>(), signal) })
}

/// Leaves a tracee stopped that a signal has stopped; it reports when it is continued.
///
/// # Errors
///
/// `ESRCH` when it has ended.
pub fn listen(thread: i32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes neither address nor data: the kernel touches no memory of ours.
    done(unsafe { libc::ptrace(libc::PTRACE_LISTEN, thread, nothing, nothing) })
}

/// A system call at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub number: i64,
    /// What it was given.
    pub arguments: [u64; 6],
}

/// `struct ptrace_syscall_info` of `linux/ptrace.h`, at the beginning of a call.
#[repr(C)]
#[derive(Default)]
struct Info {
    operation: u8,
    padding: [u8; 3],
    architecture: u32,
    instruction: u64,
    stack: u64,
    number: u64,
    arguments: [u64; 6],
    more: [u64; 2],
}

/// `PTRACE_GET_SYSCALL_INFO`, since Linux 5.3.
const GET_SYSCALL_INFO: libc::c_uint = 0x420e;
/// `PTRACE_SYSCALL_INFO_ENTRY`.
const ENTRY: u8 = 1;
/// `AUDIT_ARCH_X86_64`: the machine's number, 64 bits, lowest byte first.
const X86_64: u32 = 62 | 0x8000_0000 | 0x4000_0000;
/// Set in the numbers of calls with 32-bit pointers in 64-bit processes, which are others.
const X32: u64 = 0x4000_0000;

/// The call at whose beginning a tracee is stopped. `None`: it is at an end, or is one of another architecture (of a 32-bit
/// process).
///
/// # Errors
///
/// `ESRCH` when it has ended; `EIO` on kernels before 5.3.
pub fn begun(thread: i32) -> io::Result<Option<Call>> {
    let mut info = Info::default();
    let size: *mut libc::c_void = ptr::without_provenance_mut(size_of::<Info>());
    // SAFETY: the kernel writes at most as many bytes as the address says to the struct that the data points to.
    done(unsafe { libc::ptrace(GET_SYSCALL_INFO, thread, size, &raw mut info) })?;
    let ours = info.operation == ENTRY && info.architecture == X86_64 && info.number & X32 == 0;
    Ok(ours.then(|| Call { number: info.number.cast_signed(), arguments: info.arguments }))
}

/// Has a call at whose beginning a tracee is stopped do nothing, and return this error.
///
/// # Errors
///
/// `ESRCH` when it has ended; `ENOSYS` on machines other than x86-64.
#[cfg(target_arch = "x86_64")]
pub fn fail(thread: i32, errno: i32) -> io::Result<()> {
    // SAFETY: a struct of integers, for which zero is a value.
    let mut registers: libc::user_regs_struct = unsafe { mem::zeroed() };
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the kernel writes the registers to a struct that is made for them.
    done(unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, nothing, &raw mut registers) })?;
    // There is no call -1; the kernel leaves the result as it is then, also when nobody traces any more.
    registers.orig_rax = u64::MAX;
    registers.rax = i64::from(-errno).cast_unsigned();
    // SAFETY: the kernel reads the registers, which it wrote but for two numbers.
    done(unsafe { libc::ptrace(libc::PTRACE_SETREGS, thread, nothing, &raw mut registers) })
}

/// Has a call at whose beginning a tracee is stopped do nothing, and return this error.
///
/// # Errors
///
/// Always: this is written for x86-64.
#[cfg(not(target_arch = "x86_64"))]
pub fn fail(_: i32, _: i32) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        let stopped = |signal: i32, event: i32| meaning(event << 16 | signal << 8 | 0x7f);
        assert_eq!(stopped(libc::SIGTRAP | 0x80, 0), Stop::Call);
        assert_eq!(stopped(libc::SIGTERM, 0), Stop::Signal(libc::SIGTERM));
        assert_eq!(stopped(libc::SIGTRAP, 0), Stop::Signal(libc::SIGTRAP));
        assert_eq!(stopped(libc::SIGSTOP, libc::PTRACE_EVENT_STOP), Stop::Group);
        assert_eq!(stopped(libc::SIGTRAP, libc::PTRACE_EVENT_STOP), Stop::Event);
        assert_eq!(stopped(libc::SIGTRAP, libc::PTRACE_EVENT_CLONE), Stop::Event);
        assert_eq!(meaning(0), Stop::Ended);
        assert_eq!(meaning(libc::SIGKILL), Stop::Ended);
    }
}
