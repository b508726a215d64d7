//! Starting a process that nobody ends by accident, and that holds nothing by accident.

use std::{io, os::unix::process::CommandExt, process::Command};

use rustix::process::setsid;

/// Signals by which terminals and supervisors ask processes to end.
const ASKING: [libc::c_int; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP];

/// Makes a command start in a session of its own, so that no terminal's signals reach it, deaf to those by which processes are
/// asked to end, and without any descriptor but the standard ones: what this process was itself handed by accident, and whose
/// end somebody may wait for, is not handed on. Before the program begins, so that there is no moment in which it is not so.
pub fn detach(command: &mut Command) {
    let before_exec = || {
        setsid()?;
        for signal in ASKING {
            // SAFETY: ignoring a signal runs no code of ours in its handler; exec leaves ignored signals ignored.
            if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
                return Err(io::Error::last_os_error());
            }
        }
        // Where the call does not exist (before Linux 5.11) they stay open, which does no harm but to whoever waits for them.
        // SAFETY: the descriptors stay open until exec closes them; it closes ours too, as they are all opened that way.
        unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    // SAFETY: between fork and exec there are system calls alone: no allocation, no lock.
    unsafe { command.pre_exec(before_exec) };
}
