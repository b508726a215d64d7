//! The signals by name: what each does by default, and how a process stands to it.

use std::{collections::BTreeSet, fs, io};

use rustix::process::Signal;

use super::Process;

/// A signal that may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) signal: Signal,
    pub(crate) by_default: ByDefault,
}

/// What a signal does to a process that has said nothing about it: signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByDefault {
    /// Ends it.
    Ends,
    /// Nothing.
    Nothing,
    /// Lets it run on, if a signal had stopped it.
    Continues,
}

const fn known(name: &'static str, signal: Signal, by_default: ByDefault) -> Known {
    Known { name, signal, by_default }
}

/// All of signal(7) but those that stop: a process that one of them has stopped stays stopped whoever dies, and nothing would let
/// it run on.
pub(crate) const SIGNALS: [Known; 25] = [
    known("SIGABRT", Signal::ABORT, ByDefault::Ends),
    known("SIGALRM", Signal::ALARM, ByDefault::Ends),
    known("SIGBUS", Signal::BUS, ByDefault::Ends),
    known("SIGCHLD", Signal::CHILD, ByDefault::Nothing),
    known("SIGCONT", Signal::CONT, ByDefault::Continues),
    known("SIGFPE", Signal::FPE, ByDefault::Ends),
    known("SIGHUP", Signal::HUP, ByDefault::Ends),
    known("SIGILL", Signal::ILL, ByDefault::Ends),
    known("SIGINT", Signal::INT, ByDefault::Ends),
    known("SIGIO", Signal::IO, ByDefault::Ends),
    known("SIGKILL", Signal::KILL, ByDefault::Ends),
    known("SIGPIPE", Signal::PIPE, ByDefault::Ends),
    known("SIGPROF", Signal::PROF, ByDefault::Ends),
    known("SIGPWR", Signal::POWER, ByDefault::Ends),
    known("SIGQUIT", Signal::QUIT, ByDefault::Ends),
    known("SIGSEGV", Signal::SEGV, ByDefault::Ends),
    known("SIGSYS", Signal::SYS, ByDefault::Ends),
    known("SIGTERM", Signal::TERM, ByDefault::Ends),
    known("SIGTRAP", Signal::TRAP, ByDefault::Ends),
    known("SIGURG", Signal::URG, ByDefault::Nothing),
    known("SIGUSR1", Signal::USR1, ByDefault::Ends),
    known("SIGUSR2", Signal::USR2, ByDefault::Ends),
    known("SIGVTALRM", Signal::VTALARM, ByDefault::Ends),
    known("SIGWINCH", Signal::WINCH, ByDefault::Nothing),
    known("SIGXCPU", Signal::XCPU, ByDefault::Ends),
];

/// Their names.
pub(crate) const NAMES: [&str; SIGNALS.len()] = {
    let mut names = [""; SIGNALS.len()];
    let mut at = 0;
    while at < SIGNALS.len() {
        names[at] = SIGNALS[at].name;
        at += 1;
    }
    names
};

/// The signal of this name.
pub(crate) fn named(name: &str) -> Option<Known> {
    SIGNALS.into_iter().find(|known| known.name == name)
}

/// How a process stands to one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a bit of a mask each, and any of them goes with any other")]
pub(crate) struct Stance {
    /// It has a handler for it.
    pub(crate) caught: bool,
    /// It has said that the kernel shall throw it away.
    pub(crate) ignored: bool,
    /// All its threads block it: it stays pending until one of them unblocks it or asks for it (sigwait, signalfd).
    pub(crate) blocked: bool,
    /// It has been sent, and no thread has taken it.
    pub(crate) pending: bool,
    /// A signal has stopped the process.
    pub(crate) stopped: bool,
}

impl Stance {
    /// By what `/proc` says of a process and its threads; `None` when it has ended.
    pub(crate) fn of(process: Process, signal: Signal) -> io::Result<Option<Self>> {
        let of_whole = fs::read_to_string(format!("/proc/{}/status", process.pid));
        let of_threads: BTreeSet<String> = process
            .threads()
            .into_iter()
            .filter_map(|thread| fs::read_to_string(format!("/proc/{}/task/{thread}/status", process.pid)).ok())
            .collect();
        // Asked last: if it lives now, it was the one with this id all the while.
        let Some(stat) = process.stat() else { return Ok(None) };
        Self::read(&of_whole?, &of_threads, signal, stat.state == 'T')
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its signals cannot be read"))
    }

    fn read(of_whole: &str, of_threads: &BTreeSet<String>, signal: Signal, stopped: bool) -> Option<Self> {
        let bit = 1 << (signal.as_raw() - 1);
        let has = |status: &str, name: &str| {
            let mask = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(u64::from_str_radix(mask.trim(), 16).ok()? & bit != 0)
        };
        let of_thread = |name: &str| of_threads.iter().map(|status| has(status, name)).collect::<Option<Vec<_>>>();
        let blocks = of_thread("SigBlk")?;
        Some(Self {
            caught: has(of_whole, "SigCgt")?,
            ignored: has(of_whole, "SigIgn")?,
            blocked: !blocks.is_empty() && blocks.into_iter().all(|blocks| blocks),
            pending: has(of_whole, "ShdPnd")?,
            stopped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_none_of_them_stops() {
        assert!(NAMES.is_sorted());
        for stops in [Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU] {
            assert!(SIGNALS.iter().all(|known| known.signal != stops), "{stops:?}");
        }
        assert_eq!(named("SIGTERM").map(|known| known.signal), Some(Signal::TERM));
        assert_eq!(named("SIGSTOP"), None);
    }

    #[test]
    fn a_stance_is_read_from_the_masks() {
        // SIGHUP is 1, SIGTERM is 15: bits 0 and 14.
        let whole = "Name:\tx\nShdPnd:\t0000000000000001\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004001\n";
        let threads = |masks: &[&str]| masks.iter().map(|mask| format!("SigBlk:\t{mask}\n")).collect::<BTreeSet<_>>();
        let some_block = threads(&["0000000000004001", "0000000000000001"]);
        let read = |signal| Stance::read(whole, &some_block, signal, false).unwrap();
        let expected = Stance { caught: true, ignored: false, blocked: true, pending: true, stopped: false };
        assert_eq!(read(Signal::HUP), expected);
        assert_eq!(read(Signal::TERM), Stance { blocked: false, pending: false, ..expected });
        assert!(read(Signal::PIPE).ignored);
        assert_eq!(Stance::read("Name:\tx\n", &some_block, Signal::HUP, false), None);
    }
}
