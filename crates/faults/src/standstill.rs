//! A process whose threads all stand still for a moment, so that code they run can be changed.
//!
//! To be used in a process [apart](crate::sys::apart), whose end lets them run on.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use crate::{
    process::Process,
    sys::{
        memory::Memory,
        ptrace::{self, Halt},
    },
};

/// All threads of a process, stopped. Dropping it lets them run on.
#[derive(Debug)]
pub(crate) struct Standstill {
    /// By thread: a signal that was on its way to it.
    held: BTreeMap<i32, Option<i32>>,
}

/// Between two looks whether a thread has stopped, or has left the code in which it stood.
const MOMENT: Duration = Duration::from_micros(200);

impl Standstill {
    /// Stops all threads of a process, at places where none is in the middle of this code, or will come back into it from a
    /// signal. Tries until `end`.
    pub(crate) fn outside(
        process: Process,
        memory: &Memory,
        code: &[Range<u64>],
        end: Instant,
    ) -> Result<Self, String> {
        let mut standstill = Self { held: BTreeMap::new() };
        standstill.stop(process, end)?;
        let within = |address: u64| code.iter().any(|range| range.contains(&address));
        let threads: Vec<i32> = standstill.held.keys().copied().collect();
        for thread in threads {
            standstill.lead_out(thread, memory, within, end)?;
        }
        // What is traced keeps its number: whoever has it now has it until we let go.
        if process.is_alive() { Ok(standstill) } else { Err("it has ended".to_owned()) }
    }

    fn stop(&mut self, process: Process, end: Instant) -> Result<(), String> {
        // A thread that is not stopped yet may make others; when a look finds no new one, all are stopped.
        loop {
            let mut fresh = process.threads();
            fresh.retain(|thread| !self.held.contains_key(thread));
            if fresh.is_empty() {
                return Ok(());
            }
            let mut stopping = Vec::new();
            for thread in fresh {
                match ptrace::seize(thread).and_then(|()| ptrace::interrupt(thread)) {
                    Ok(()) => stopping.push(thread),
                    Err(why) if is_gone(&why) => {}
                    Err(why) => return Err(format!("cannot stop thread {thread}: {why}{}", tracer(process))),
                }
            }
            for thread in stopping {
                self.take(thread, end)?;
            }
        }
    }

    /// Waits until a thread has stopped.
    fn take(&mut self, thread: i32, end: Instant) -> Result<(), String> {
        loop {
            match ptrace::look(thread) {
                Ok(Halt::Running) if Instant::now() < end => thread::sleep(MOMENT),
                Ok(Halt::Running) => return Err(format!("thread {thread} does not stop: it waits for the kernel")),
                found => return self.note(thread, found),
            }
        }
    }

    fn note(&mut self, thread: i32, found: io::Result<Halt>) -> Result<(), String> {
        match found {
            Ok(Halt::Stopped(signal)) => drop(self.held.insert(thread, signal)),
            Ok(Halt::Ended | Halt::Running) => drop(self.held.remove(&thread)),
            Err(why) if is_gone(&why) => drop(self.held.remove(&thread)),
            Err(why) => return Err(format!("cannot wait for thread {thread}: {why}")),
        }
        Ok(())
    }

    /// Lets a stopped thread go on until it is outside: step by step, because one that does nothing but read the clock would
    /// be found inside again and again.
    fn lead_out(
        &mut self,
        thread: i32,
        memory: &Memory,
        within: impl Fn(u64) -> bool,
        end: Instant,
    ) -> Result<(), String> {
        while let Some(signal) = self.held.get(&thread).copied() {
            let moved = match ptrace::place(thread) {
                Ok((next, _)) if within(next) => ptrace::step(thread, signal),
                // A handler takes its time.
                Ok((_, stack)) if returns(&memory.read_up_to(stack, DEPTH), &within) => ptrace::resume(thread, signal)
                    .and_then(|()| {
                        thread::sleep(MOMENT);
                        ptrace::interrupt(thread)?;
                        self.take(thread, end).map_err(io::Error::other)?;
                        Ok(self.held.get(&thread).map_or(Halt::Ended, |signal| Halt::Stopped(*signal)))
                    }),
                Ok(_) => return Ok(()),
                Err(why) => Err(why),
            };
            self.note(thread, moved)?;
            if Instant::now() >= end {
                return Err(format!("thread {thread} does not leave the code that is to be changed"));
            }
        }
        Ok(())
    }
}

/// Whether a thread has ended.
fn is_gone(why: &io::Error) -> bool {
    matches!(why.raw_os_error(), Some(libc::ESRCH | libc::ECHILD))
}

impl Drop for Standstill {
    fn drop(&mut self) {
        for (thread, signal) in &self.held {
            // If it has been killed meanwhile, there is nothing to let go.
            ptrace::detach_with(*thread, *signal).ok();
        }
    }
}

/// How far up the stack of a thread the frame of a signal that it handles is looked for: frames with all vector registers take
/// 11 KiB, and handlers of signals are not deep.
const DEPTH: usize = 64 << 10;

/// Whether a stack has the frame of a signal that came while the thread was at such an address. In it the address is followed
/// by the flags, and by the code segment: 0x33 for all code of 64 bits.
fn returns(stack: &[u8], within: impl Fn(u64) -> bool) -> bool {
    let words: Vec<u64> = stack.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    words.windows(3).any(|frame| within(frame[0]) && frame[2] & 0xffff == 0x33)
}

/// Who traces it, if that is why we may not.
fn tracer(process: Process) -> String {
    traced_by(process).map_or_else(String::new, |tracer| format!(" (process {tracer} traces it)"))
}

/// The process that traces a process.
pub(crate) fn traced_by(process: Process) -> Option<i32> {
    status(process, "TracerPid").filter(|tracer| *tracer != 0)
}

/// A number from what `/proc/PID/status` says.
pub(crate) fn status(process: Process, field: &str) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_a_signal_is_told_from_a_pointer_on_the_stack() {
        let within = |address| (0x7000..0x7100).contains(&address);
        let stack = |words: &[u64]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        assert!(returns(&stack(&[1, 0x7010, 0x246, 0x002b_0000_0000_0033, 4]), within));
        assert!(!returns(&stack(&[1, 0x7010, 0x246, 0, 4]), within), "a pointer");
        assert!(!returns(&stack(&[1, 0x7100, 0x246, 0x33, 4]), within), "another place");
        assert!(!returns(&stack(&[0x7010]), within));
    }
}
