//! A process held by a descriptor: whom signals reach whatever becomes of its number, and how it ended.

use std::{fmt, fs, io, os::fd::OwnedFd};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{Process, stat};
use crate::sys::ending;

/// A living process, held.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) process: Process,
    descriptor: OwnedFd,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// By this signal.
    Signal(i32),
    /// By itself, with this status.
    Status(i32),
    /// Only its parent knows: the kernel tells others from Linux 6.15 on.
    Untold,
}

impl Ending {
    /// From a status of wait(2).
    const fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Status(libc::WEXITSTATUS(status))
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(number) => match super::signals::SIGNALS.iter().find(|one| one.signal.as_raw() == *number) {
                Some(known) => write!(f, "ended by {}", known.name),
                None => write!(f, "ended by signal {number}"),
            },
            Self::Status(status) => write!(f, "ended with status {status}"),
            Self::Untold => f.write_str("ended"),
        }
    }
}

impl Handle {
    /// Takes hold of a process; `None` when it has ended.
    ///
    /// # Errors
    ///
    /// When the kernel gives no descriptor.
    pub(crate) fn of(process: Process) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(process.pid) else { return Ok(None) };
        let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::SRCH) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        // The descriptor holds a process; if the one we mean lives now, that is the one it holds.
        Ok(process.is_alive().then_some(Self { process, descriptor }))
    }

    /// Sends it a signal. That it has ended is no error: `false`.
    ///
    /// # Errors
    ///
    /// When it may not be signalled.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(&self.descriptor, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    /// How it has ended; `None`: it lives.
    pub(crate) fn ending(&self) -> Option<Ending> {
        if self.process.is_alive() {
            return None;
        }
        // Of one that its parent has not heard of yet, `/proc` tells; of one that it has heard of, the descriptor.
        let status = self.zombie().or_else(|| ending::status(&self.descriptor).ok().flatten());
        Some(status.map_or(Ending::Untold, Ending::of))
    }

    fn zombie(&self) -> Option<i32> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.process.pid)).ok()?;
        let ours = stat(self.process.pid).ok()?.started == self.process.started;
        // The last field: proc_pid_stat(5). To who may not trace it, it says 0, which is one of two truths.
        let status = text.split_whitespace().last()?.parse().ok().filter(|status| *status != 0);
        status.filter(|_| ours)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn how_a_process_ended_is_known_before_its_parent_has_heard() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        let handle = Handle::of(process).unwrap().unwrap();
        assert_eq!(handle.ending(), None);
        assert!(handle.signal(Signal::USR1).unwrap());
        while handle.ending().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(handle.ending(), Some(Ending::Signal(10)));
        assert_eq!(handle.ending().unwrap().to_string(), "ended by SIGUSR1");
        child.wait().unwrap();
        assert!(matches!(handle.ending(), Some(Ending::Signal(10) | Ending::Untold)));
        assert!(!handle.signal(Signal::TERM).unwrap());
        assert!(Handle::of(process).unwrap().is_none());
    }
}
