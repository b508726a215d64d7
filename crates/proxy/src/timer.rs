//! A timer that is right to a fraction of a millisecond.
//!
//! tokio's own timers tick in milliseconds and are up to two late; a timerfd is a kernel high-resolution timer that wakes
//! the runtime like any socket, 0.05 to 0.1 ms after its time.

use std::{io, os::fd::OwnedFd, time::Duration};

use model::Moment;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A timer.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
    set: Option<Moment>,
}

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "deprecated for types that could close or swap their descriptor, which OwnedFd cannot; the new \
                      constructor is unsafe"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd, set: None })
    }

    /// Waits until `due`; `now` is the present moment of the same clock. May be given up and called again.
    pub(crate) async fn until(&mut self, due: Moment, now: Moment) -> io::Result<()> {
        if self.set != Some(due) {
            // Zero would switch the timer off.
            let left = due.since(now).max(Duration::from_nanos(1));
            let it_value = Timespec::try_from(left).map_err(io::Error::other)?;
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value })?;
            self.set = Some(due);
        }
        loop {
            let mut ready = self.fd.readable().await?;
            let mut expirations = [0; 8];
            // Not ready after all: it was set anew after it had gone off.
            if let Ok(read) = ready.try_io(|fd| rustix::io::read(fd, &mut expirations).map_err(io::Error::from)) {
                self.set = None;
                return read.map(|_count| ());
            }
        }
    }
}
