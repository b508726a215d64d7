//! Work in a process apart: one that is made for it, and ends with it.
//!
//! Tracing is work of that kind. The kernel tells a tracer of its tracees' stops in the same way as a parent of its children's
//! ends, so that in a process that traces its own children whoever waits for a child takes its stop for its end. And a tracer
//! that dies lets its tracees run on, whoever kills it.

use std::{
    io::{self, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_parent_process_death_signal, waitpid},
};

/// Does something in a copy of this process, and says what came of it. The copy has one thread, the calling one, and dies with
/// it; what it changes in memory, nobody else sees. It must take no lock that another thread may hold just now (standard
/// output, a logger): nobody is there to release it.
///
/// # Errors
///
/// When no process can be made; when the copy has said nothing within `patience` (it is killed then), or died.
pub fn apart(patience: Duration, work: impl FnOnce() -> Vec<u8>) -> io::Result<Vec<u8>> {
    let (input, output) = pipe_with(PipeFlags::CLOEXEC)?;
    let parent = getpid();
    // SAFETY: the copy calls nothing but `work` and what is below, and ends in `_exit`: no destructor of this process runs in
    // it. Both glibc and musl put their allocators in order in the copy; other locks `work` keeps away from, as demanded above.
    let child = match unsafe { libc::fork() } {
        0 => {
            drop(input);
            set_parent_process_death_signal(Some(Signal::KILL)).ok();
            // If the parent died before it was asked for, nobody would end us.
            if getppid() == Some(parent) {
                let said = catch_unwind(AssertUnwindSafe(work)).unwrap_or_default();
                std::fs::File::from(output).write_all(&said).ok();
            }
            // SAFETY: ends this process, at once.
            unsafe { libc::_exit(0) }
        }
        id => Pid::from_raw(id).filter(|_| id > 0).ok_or_else(io::Error::last_os_error)?,
    };
    drop(output);
    let heard = hear(std::fs::File::from(input), patience);
    if heard.is_err() {
        kill_process(child, Signal::KILL).ok();
    }
    // When somebody else has taken note of its end already, that is as well.
    rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty())).ok();
    match heard {
        Ok(said) if said.is_empty() => Err(io::Error::other("the process that was to do it died")),
        heard => heard,
    }
}

fn hear(mut pipe: std::fs::File, patience: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = Timespec::try_from(end.saturating_duration_since(Instant::now())).map_err(io::Error::other)?;
        let ready = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&left)))?;
        if ready == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it took more than {} s", patience.as_secs())));
        }
        match pipe.read(&mut buffer)? {
            0 => return Ok(heard),
            length => heard.extend_from_slice(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_done_apart_changes_nothing_here() {
        let mut number = 1u32;
        let there = apart(LONG, || {
            number += 1;
            let mut said = std::process::id().to_ne_bytes().to_vec();
            said.extend(number.to_ne_bytes());
            said
        })
        .unwrap();
        assert_ne!(there[..4], std::process::id().to_ne_bytes());
        assert_eq!(there[4..], 2u32.to_ne_bytes());
        assert_eq!(number, 1);
    }

    #[test]
    fn what_dies_or_hangs_apart_is_an_error_here() {
        let died = apart(LONG, || std::process::abort()).unwrap_err();
        assert!(died.to_string().contains("died"), "{died}");
        let hung = apart(Duration::from_millis(1), || {
            std::thread::sleep(LONG);
            Vec::new()
        })
        .unwrap_err();
        assert_eq!(hung.kind(), io::ErrorKind::TimedOut);
    }
}
