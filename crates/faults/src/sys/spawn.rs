//! Making processes in ways that `std::process` does not offer.

use std::{fs, io};

use rustix::process::Pid;

/// Which of the two a process is after [`fork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The new process.
    Child,
    /// The old one; this is the new one's id.
    Parent(Pid),
}

/// Duplicates the calling process.
///
/// # Errors
///
/// Refused when the process has more than one thread: the others do not exist in the child, but the locks that they hold
/// (the allocator's, for one) do.
pub fn fork() -> io::Result<Fork> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!(
            "the process has {threads} threads; it can be duplicated while it has one"
        )));
    }
    // SAFETY: there is no other thread that could be in the middle of something, so the child is a complete copy, free to do
    // whatever its parent may.
    let id = unsafe { libc::fork() };
    if id < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Pid::from_raw(id).map_or(Fork::Child, Fork::Parent))
}

/// Ends the calling process at once: nothing is flushed or dropped, as befits a child that is a copy of its parent.
pub fn leave(code: u8) -> ! {
    // SAFETY: `_exit` may be called anywhere, and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_duplicated() {
        // The test harness runs a test on a thread beside the main one.
        let other = std::thread::spawn(fork);
        assert!(other.join().unwrap().unwrap_err().to_string().contains("threads"));
    }
}
