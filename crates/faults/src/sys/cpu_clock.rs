//! How much CPU time a process has used, to the nanosecond; `/proc/PID/stat` counts in hundredths of a second.

use std::{io, time::Duration};

/// The CPU time, user and system, of all threads of a process, ended ones too. Of threads that run just now, as of the kernel's last
/// tick (some milliseconds).
///
/// # Errors
///
/// When there is no such process.
pub fn of_process(pid: i32) -> io::Result<Duration> {
    // What clock_getcpuclockid(3) computes: the complement of the id, and CPUCLOCK_SCHED.
    read((!pid << 3) | 2)
}

/// The CPU time of the calling thread.
///
/// # Errors
///
/// Never on Linux.
pub fn of_this_thread() -> io::Result<Duration> {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec to `time`; an unknown clock is an error.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    Ok(Duration::new(seconds, u32::try_from(time.tv_nsec).map_err(io::Error::other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_of_thread_and_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = (of_this_thread().unwrap(), of_process(pid).unwrap());
        while of_this_thread().unwrap() < before.0 + Duration::from_millis(2) {}
        while of_process(pid).unwrap() < before.1 + Duration::from_millis(2) {}
        assert!(of_process(i32::MAX - 1).is_err());
    }
}
