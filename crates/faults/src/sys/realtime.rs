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

/// Low among real-time priorities: the kernel's own threads, and audio, go first.
const PRIORITY: libc::c_int = 10;

fn set_realtime_priority() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // The children of this thread, should it have any, do not inherit it.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: process 0 is the calling thread, and the kernel reads one `sched_param` from a valid pointer.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
