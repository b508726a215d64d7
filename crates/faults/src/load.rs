//! The loads that helpers put on a machine.

use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::{
    helper::{self, Answer},
    memory,
    ramp::Ramp,
    sys::{cpu_clock, realtime},
};

/// Threads that each use a share of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cpu {
    /// How many.
    pub(crate) workers: usize,
    /// The share, from 0 to 1.
    pub(crate) share: f64,
    /// How it rises to that.
    #[serde(default)]
    pub(crate) ramp: Ramp,
}

/// Work and rest alternate in this rhythm: below what people and load balancers notice as a pause, above the scheduler's slice.
const PERIOD: Duration = Duration::from_millis(20);
/// A worker that did not get its CPU time makes up for at most this much of it later.
const DEBT: Duration = Duration::from_secs(1);

impl Cpu {
    pub(crate) fn run(self) -> Result<(), String> {
        work_until_released(&vec![(); self.workers], |(), stop| self.work(stop))
    }

    /// Works until told to stop: in each period, until the CPU time used since the start is the share of the time passed.
    fn work(self, stop: &AtomicBool) {
        realtime::be_exact();
        let used = || cpu_clock::of_this_thread().unwrap_or_default();
        let start = Instant::now();
        let mut account = Account { forgotten: Duration::ZERO, begun: used() };
        let mut period = 0;
        while !stop.load(Ordering::Relaxed) {
            period += 1;
            let due = self.ramp.worth(PERIOD * period).mul_f64(self.share);
            account.forget(due, used());
            while account.owes(due, used()) && !stop.load(Ordering::Relaxed) {
                // A thousand steps of arithmetic between two looks at the clock: some microseconds.
                std::hint::black_box((0u32..1_000).fold(1u32, |value, step| value.wrapping_mul(31).wrapping_add(step)));
            }
            let next = start + PERIOD * period;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// What a worker has used of the CPU time that was due since it began.
struct Account {
    begun: Duration,
    /// Of what was due, what it need not make up for.
    forgotten: Duration,
}

impl Account {
    fn done(&self, used: Duration) -> Duration {
        used.saturating_sub(self.begun) + self.forgotten
    }

    /// Forgets what is owed beyond the limit: the machine had no more to give.
    fn forget(&mut self, due: Duration, used: Duration) {
        self.forgotten += due.saturating_sub(self.done(used) + DEBT);
    }

    fn owes(&self, due: Duration, used: Duration) -> bool {
        self.done(used) < due
    }
}

/// Memory that is really there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// How much, in bytes.
    pub(crate) bytes: u64,
    /// How many threads fill and keep it.
    pub(crate) workers: usize,
    /// How it grows to that.
    #[serde(default)]
    pub(crate) ramp: Ramp,
    /// What stays available on the machine, in bytes: others may take memory, too, while it grows.
    #[serde(default)]
    pub(crate) reserve: u64,
}

/// Linux's smallest page: one byte in each makes it resident.
const PAGE: usize = 4096;
/// Filled between two looks whether to go on.
pub(crate) const CHUNK: usize = 16 << 20;
/// Written between two looks whether to go on.
const BLOCK: usize = 1 << 20;

impl Memory {
    pub(crate) fn run(self) -> Result<(), String> {
        // If memory runs out, this is what the kernel shall end first, and nothing else.
        std::fs::write("/proc/self/oom_score_adj", "1000")
            .map_err(|why| format!("cannot become the first victim of the kernel: {why}"))?;
        let share = usize::try_from(self.bytes).map_err(|why| why.to_string())?.div_ceil(self.workers.max(1));
        work_until_released(&vec![(); self.workers], |(), stop| self.hold(share, stop))
    }

    /// Takes a worker's share as it is due, and keeps it until told to stop.
    fn hold(self, share: usize, stop: &AtomicBool) {
        let (start, mut held, mut length) = (Instant::now(), Vec::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            let next = self.due(share, start.elapsed()).saturating_sub(length).min(CHUNK);
            // Little by little, but not page by page.
            if next == 0 || (next < CHUNK / 16 && length + next < share) || !self.leaves_the_reserve(next) {
                thread::park_timeout(if length == share { Duration::from_secs(1) } else { PERIOD });
            } else {
                held.push(chunk(next));
                length += next;
            }
            if length == share {
                // Used memory is touched now and then; what is not would be the first to be swapped out.
                held.iter_mut().for_each(|chunk| touch(chunk));
            }
        }
    }

    /// How much of its share a worker is to have after a time, in bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of a size, and a rounding of one part in 2^52 is below a page"
    )]
    fn due(self, share: usize, at: Duration) -> usize {
        let level = self.ramp.level(at);
        if level < 1.0 { (share as f64 * level) as usize } else { share }
    }

    fn leaves_the_reserve(self, next: usize) -> bool {
        memory::available().is_none_or(|available| available.saturating_sub(next as u64) >= self.reserve)
    }
}

/// Memory that is taken within a control group until the kernel ends somebody in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exhaust {
    /// The folder of the group.
    pub(crate) group: PathBuf,
    /// How much is taken at the most, in bytes: should the limit not be one.
    pub(crate) most: u64,
}

impl Exhaust {
    /// Goes into the group, says so, and writes to a file in memory: that counts in the group, but in no process of it, so that
    /// the kernel sees no reason to choose this one.
    pub(crate) fn run(&self) -> Result<(), String> {
        let own = "/proc/self/oom_score_adj";
        let score: i32 =
            std::fs::read_to_string(own).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default();
        if score > 0 {
            let why = "the kernel would end our own process first, and does not let it say otherwise";
            std::fs::write(own, "0").map_err(|error| format!("{why}: {error}"))?;
        }
        let mut file: File = memfd_create("shaketable", MemfdFlags::CLOEXEC).map_err(|why| why.to_string())?.into();
        let door = self.group.join("cgroup.procs");
        std::fs::write(&door, "0").map_err(|why| format!("cannot enter {}: {why}", self.group.display()))?;
        helper::say(&Answer::Ready)?;
        let block = vec![0; BLOCK];
        let mut taken = 0;
        while !helper::released((taken < self.most).then_some(Duration::ZERO)) {
            file.write_all(&block).map_err(|why| format!("cannot take memory: {why}"))?;
            taken += BLOCK as u64;
        }
        // Whoever reads this knows that the kernel ended another.
        helper::say(&Answer::Ready)
    }
}

/// Runs a worker for each of these until the helper is released; says that it is ready when all are started.
pub(crate) fn work_until_released<T: Sync>(each: &[T], work: impl Fn(&T, &AtomicBool) + Sync) -> Result<(), String> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> =
            each.iter().map(|one| thread::Builder::new().spawn_scoped(scope, || work(one, &stop))).collect();
        let failed =
            workers.iter().find_map(|worker| worker.as_ref().err().map(|why| format!("cannot start a worker: {why}")));
        let outcome = failed.map_or_else(|| helper::say(&Answer::Ready), Err);
        if outcome.is_ok() {
            while !helper::released(None) {}
        }
        stop.store(true, Ordering::Relaxed);
        workers.iter().flatten().for_each(|worker| worker.thread().unpark());
        outcome
    })
}

fn chunk(length: usize) -> Vec<u8> {
    let mut chunk = vec![0; length];
    touch(&mut chunk);
    chunk
}

/// Writes a different byte to each page, so that none is shared or compressed to nothing.
fn touch(chunk: &mut [u8]) {
    for (number, byte) in chunk.iter_mut().step_by(PAGE).enumerate() {
        let [low, ..] = number.to_le_bytes();
        *byte = std::hint::black_box(byte.wrapping_add(low | 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_would_leave_less_than_the_reserve_is_not_taken() {
        let memory = Memory { bytes: 1 << 30, workers: 1, ramp: Ramp::default(), reserve: u64::MAX };
        assert!(!memory.leaves_the_reserve(1));
        assert!(Memory { reserve: 0, ..memory }.leaves_the_reserve(1));
        assert_eq!(memory.due(100, Duration::ZERO), 100);
    }

    #[test]
    fn a_starved_worker_makes_up_for_a_second_and_no_more() {
        let seconds = Duration::from_secs;
        let mut account = Account { begun: Duration::from_micros(50), forgotten: Duration::ZERO };
        let mut used = account.begun;
        account.forget(seconds(10), used);
        assert!(account.owes(seconds(10), used));
        used += DEBT;
        assert!(!account.owes(seconds(10), used));
        // From there on it owes what comes due.
        assert!(account.owes(seconds(11), used));
        assert!(!account.owes(seconds(11), used + seconds(1)));
    }
}
