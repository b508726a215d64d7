//! Waking on time.

use std::{io, num::NonZeroU64};

/// Asks the kernel to wake the calling thread as punctually as it can: a timer slack of a nanosecond, and before all threads of
/// ordinary priority. Whether it got the priority; ordinary users mostly do not, and are some 50 us less punctual.
pub fn be_punctual() -> bool {
    be_exact();
    set_realtime_priority().is_ok()
}

/// Asks the kernel not to wake the calling thread late on purpose: by default it does so by up to 50 us, to wake several at once.
pub fn be_exact() {
    // Nothing but a kernel older than 2.6.28 refuses, and is less exact.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).ok();
}

/// Measures something before all threads of ordinary priority, but behind those that are [punctual](be_punctual), where that is
/// allowed; the calling thread is afterwards what it was. So a hundred measurements at once wait for each other alone, and not for
/// whatever else a hundred injections do.
pub fn measure<T>(what: impl FnOnce() -> T) -> T {
    /// Puts the thread back, also when it panics.
    struct Back(libc::c_int, libc::c_int);
    impl Drop for Back {
        fn drop(&mut self) {
            // Down is always allowed, and up it was before.
            set(self.0, self.1).ok();
        }
    }
    let _back = current().ok().map(|(policy, priority)| Back(policy, priority));
    set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, PRIORITY - 1).ok();
    what()
}

/// Low among real-time priorities: the kernel's own threads, and audio, go first.
const PRIORITY: libc::c_int = 10;

fn set_realtime_priority() -> io::Result<()> {
    // The children of this thread, should it have any, do not inherit it.
    set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, PRIORITY)
}

/// The policy and priority of the calling thread.
fn current() -> io::Result<(libc::c_int, libc::c_int)> {
    let mut parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: process 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    // SAFETY: the same, and the kernel writes one `sched_param` to a valid pointer.
    let result = unsafe { libc::sched_getparam(0, &raw mut parameters) };
    if policy < 0 || result != 0 { Err(io::Error::last_os_error()) } else { Ok((policy, parameters.sched_priority)) }
}

fn set(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: process 0 is the calling thread, and the kernel reads one `sched_param` from a valid pointer.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_what_it_was_after_a_measurement_even_one_that_panics() {
        let before = current().unwrap();
        let inside = measure(|| current().unwrap());
        assert!(inside == before || inside.1 == PRIORITY - 1);
        assert_eq!(current().unwrap(), before);
        std::thread::spawn(move || {
            let broke = std::panic::catch_unwind(|| measure(|| panic!("as the test wants it")));
            assert!(broke.is_err());
            assert_eq!(current().unwrap(), before);
        })
        .join()
        .unwrap();
    }
}
