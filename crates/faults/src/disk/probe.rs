//! What an operation on a folder takes or gives: what a helper of its own measures, for those who intercept its calls.

use std::{
    fs, io,
    io::Read,
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, OpenOptionsExt, PermissionsExt},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    disk::{file_call::Operation, fill::nameless_failed, folder::Folder},
    helper::{self, Answer},
};
use rustix::fs::OFlags;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) folder: Folder,
    pub(crate) operation: Operation,
    pub(crate) expected: Expected,
    /// Enough, when it has been seen so often.
    pub(crate) hits: u32,
    /// In at most so many operations.
    pub(crate) most: u32,
    /// What a hit takes at the median at most, where that is told: measured again, if it took longer.
    pub(crate) longest: Option<Duration>,
}

/// How often is measured at most. The machine may be busy; what takes too long each time does so by itself.
const TRIES: u32 = 4;

/// What tells a hit from a miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expected {
    /// It takes at least as long.
    Time(Duration),
    /// It returns this error.
    Error(i32),
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Operations.
    pub(crate) tried: u32,
    /// Those that were hit.
    pub(crate) hits: u32,
    /// What one of those took, at the median.
    pub(crate) median: Duration,
}

impl Probe {
    /// Gets ready, says so, and waits for a byte; then measures.
    pub(crate) fn run(&self) -> Result<(), String> {
        let file = self.folder.nameless(OFlags::empty()).map_err(|why| nameless_failed(&self.folder, &why))?;
        file.write_all_at(b"shaketable", 0).map_err(|why| format!("cannot write to {}: {why}", self.folder))?;
        let folder = self.folder.open().map_err(|why| format!("cannot open {}: {why}", self.folder))?;
        let folder = format!("/proc/self/fd/{}", folder.as_raw_fd());
        helper::say(&Answer::Ready)?;
        if !io::stdin().lock().read(&mut [0]).is_ok_and(|length| length == 1) {
            return Ok(());
        }
        let measured = self.measure_patiently(|| match self.operation {
            Operation::Read => file.read_at(&mut [0; 16], 0).map(drop),
            Operation::Write => file.write_at(b"shaketable", 0).map(drop),
            Operation::Sync => file.sync_all(),
            Operation::Open => {
                fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(&folder).map(drop)
            }
            Operation::Lookup => fs::metadata(&folder).map(drop),
            Operation::Change => file.set_permissions(fs::Permissions::from_mode(0o600)),
        });
        helper::say(&Answer::Measured(measured))
    }

    /// Measures, and again while it takes too long: a measurement that was not disturbed is enough to show what it takes.
    fn measure_patiently(&self, mut operate: impl FnMut() -> io::Result<()>) -> Measured {
        let is_late = |measured: &Measured| self.longest.is_some_and(|longest| measured.median > longest);
        let mut measured = self.measure(&mut operate);
        for _ in 1..TRIES {
            if !is_late(&measured) {
                break;
            }
            measured = self.measure(&mut operate);
        }
        measured
    }

    fn measure(&self, mut operate: impl FnMut() -> io::Result<()>) -> Measured {
        let mut tried = 0;
        let mut times = Vec::new();
        while tried < self.most && times.len() < self.hits as usize {
            tried += 1;
            let start = Instant::now();
            let outcome = operate();
            let took = start.elapsed();
            let hit = match self.expected {
                Expected::Time(least) => took >= least,
                Expected::Error(errno) => outcome.is_err_and(|why| why.raw_os_error() == Some(errno)),
            };
            if hit {
                times.push(took);
            }
        }
        times.sort_unstable();
        let hits = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Measured { tried, hits, median: times.get(times.len() / 2).copied().unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;

    fn probe(expected: Expected) -> Probe {
        let own = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let folder = Folder { of: own, path: "/".into() };
        Probe { folder, operation: Operation::Read, expected, hits: 3, most: 10, longest: None }
    }

    #[test]
    fn it_ends_when_enough_was_seen_or_enough_was_tried() {
        let mut number = 0;
        let mut every_other = || {
            number += 1;
            if number % 2 == 0 { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
        };
        let measured = probe(Expected::Error(libc::EIO)).measure(&mut every_other);
        assert_eq!((measured.tried, measured.hits), (6, 3));
        let measured = probe(Expected::Error(libc::ENOSPC)).measure(every_other);
        assert_eq!((measured.tried, measured.hits), (10, 0));
        let measured = probe(Expected::Time(Duration::ZERO)).measure(|| Ok(()));
        assert_eq!((measured.tried, measured.hits), (3, 3));
    }
    #[test]
    fn what_took_too_long_is_measured_again_and_what_always_does_is_told() {
        let calls = std::cell::Cell::new(0);
        let slow_until = |call: u32| {
            calls.set(0);
            let longest = Some(Duration::from_millis(20));
            let probe = Probe { hits: 1, longest, ..probe(Expected::Time(Duration::ZERO)) };
            probe.measure_patiently(|| {
                calls.set(calls.get() + 1);
                if calls.get() < call {
                    std::thread::sleep(Duration::from_millis(30));
                }
                Ok(())
            })
        };
        assert!(slow_until(2).median < Duration::from_millis(20));
        assert!(slow_until(u32::MAX).median > Duration::from_millis(20));
        assert_eq!(calls.get(), TRIES);
    }
}
