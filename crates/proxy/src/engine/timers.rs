//! When a worker is to look at which of its connections.
//!
//! One timerfd per worker, set to the earliest moment of all: a kernel high-resolution timer, which wakes a worker 0.04 to
//! 0.1 ms after its time, where the timeout of `epoll_wait` takes 0.14 ms and tokio's timers more than one.

use std::{collections::BTreeSet, io, os::fd::OwnedFd};

use model::Moment;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Moments, each with what is due then.
#[derive(Debug)]
pub(super) struct Timers<T> {
    fd: OwnedFd,
    waiting: BTreeSet<(Moment, T)>,
    /// What the timerfd is set to.
    set: Option<Moment>,
}

impl<T: Ord + Copy> Timers<T> {
    pub(super) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { fd, waiting: BTreeSet::new(), set: None })
    }

    /// What becomes readable when something is due: to be watched for edges, never read.
    pub(super) const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Something that was due at one moment, if it was, now is at another, if it is.
    pub(super) fn change(&mut self, what: T, from: Option<Moment>, to: Option<Moment>) {
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.waiting.remove(&(from, what));
        }
        if let Some(to) = to {
            self.waiting.insert((to, what));
        }
    }

    /// Takes out something that is due.
    pub(super) fn take_due(&mut self, now: impl FnOnce() -> Moment) -> Option<(Moment, T)> {
        let first = *self.waiting.first()?;
        if first.0 > now() {
            return None;
        }
        self.waiting.remove(&first);
        Some(first)
    }

    /// Sets the timerfd to the earliest moment; to be called before waiting.
    pub(super) fn arm(&mut self) -> io::Result<()> {
        let earliest = self.waiting.first().map(|(moment, _)| *moment);
        if self.set == earliest {
            return Ok(());
        }
        self.set = earliest;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero switches the timer off.
        let it_value = earliest.map_or(Ok(zero), |moment| Timespec::try_from(moment.since_start()));
        let to = Itimerspec { it_interval: zero, it_value: it_value.map_err(io::Error::other)? };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &to)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_its_order_and_what_has_been_changed_only_once() {
        let at = Moment::from_millis;
        let mut timers = Timers::new().unwrap();
        timers.change('a', None, Some(at(30)));
        timers.change('b', None, Some(at(10)));
        timers.change('c', None, Some(at(20)));
        timers.change('a', Some(at(30)), Some(at(5)));
        timers.change('c', Some(at(20)), None);
        assert_eq!(timers.take_due(|| at(4)), None);
        assert_eq!(timers.take_due(|| at(10)), Some((at(5), 'a')));
        assert_eq!(timers.take_due(|| at(10)), Some((at(10), 'b')));
        assert_eq!(timers.take_due(|| at(1000)), None);
    }
}
