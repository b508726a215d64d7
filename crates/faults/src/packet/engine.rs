//! The thread that drives a schedule: reads queues, keeps the time, hands verdicts back.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
    time::{
        ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    },
};

use super::{
    flow::Flow,
    histogram::Histogram,
    schedule::{Fate, Impairment, Nanos, Schedule},
};
use crate::sys::{
    nfqueue::{Queue, Verdict},
    realtime,
};

/// A running engine: one thread over one or more queues. Dropping it releases all packets that it holds.
#[derive(Debug)]
pub(crate) struct Engine {
    bell: Arc<Bell>,
    report: mpsc::Receiver<Report>,
}

/// What an engine did in its life.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// Packets that went on at once.
    pub(crate) passed: u64,
    /// Packets that were lost.
    pub(crate) dropped: u64,
    /// Packets that were held for their time.
    pub(crate) held: u64,
    /// How much later than due packets were handed back.
    pub(crate) lateness: Histogram,
    /// Whether all queues were given back.
    pub(crate) closed: bool,
}

impl Report {
    /// How punctual it was, for people.
    pub(crate) fn punctuality(&self) -> String {
        let micros = |share| self.lateness.quantile(share).unwrap_or_default().as_micros();
        if self.lateness.count() == 0 {
            return "none was due".to_owned();
        }
        format!("handed back late by {} us at the median, {} us at the 99th percentile", micros(0.5), micros(0.99))
    }
}

/// The thread sleeps until this long before the next packet is due, and then watches the clock: with real-time priority it wakes
/// 40 to 70 us after its timer, some 120 us when the processor had gone to sleep.
const WATCH: Nanos = 120_000;
/// Datagrams read from a queue before due packets are looked after again.
const BURST: usize = 64;

impl Engine {
    /// Starts a thread that does this to the packets of these queues.
    pub(crate) fn start(queues: Vec<Queue>, impairment: Impairment) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let bell = Arc::new(Bell { stop: AtomicBool::new(false), wake });
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let (send, report) = mpsc::sync_channel(1);
        // Each direction draws its own lots; which flows are concerned is the same for both.
        let seeds = impairment.seed..;
        let lane = |(queue, seed)| Lane { queue, schedule: Schedule::new(Impairment { seed, ..impairment }) };
        let lanes = queues.into_iter().zip(seeds).map(lane).collect();
        let mut driver =
            Driver { lanes, bell: Arc::clone(&bell), timer, seed: impairment.seed, report: Report::default() };
        let (ready, started) = mpsc::sync_channel(1);
        thread::Builder::new().name("packets".to_owned()).spawn(move || {
            realtime::be_punctual();
            ready.send(()).ok();
            if let Err(why) = driver.run() {
                // The queues are bypassed once they close, so traffic flows; the undo will tell that the fault ended early.
                tracing::error!(%why, "the packet engine stopped");
            }
            // Nobody listens when the engine was dropped, and then nobody wants to know.
            send.send(driver.finish()).ok();
        })?;
        // A new thread has ordinary priority at first, and on a busy machine waits for its turn: no packet shall wait for that.
        started.recv().map_err(io::Error::other)?;
        Ok(Self { bell, report })
    }

    /// Ends it: all packets that it holds go on, and the queues are given back. The rules that fill the queues must be gone.
    pub(crate) fn stop(self) -> Report {
        self.bell.ring();
        // A thread that panicked reports nothing: its queues are closed, but what it did is not known.
        self.report.recv().unwrap_or_default()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.bell.ring();
    }
}

/// Tells the thread to stop: the flag while it is busy, the descriptor while it sleeps.
#[derive(Debug)]
struct Bell {
    stop: AtomicBool,
    wake: OwnedFd,
}

impl Bell {
    fn ring(&self) {
        self.stop.store(true, Ordering::Release);
        // The counter cannot overflow by two rings, and nothing else can go wrong.
        rustix::io::write(&self.wake, &1u64.to_ne_bytes()).ok();
    }

    fn has_rung(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

struct Driver {
    lanes: Vec<Lane>,
    bell: Arc<Bell>,
    timer: OwnedFd,
    seed: u64,
    report: Report,
}

struct Lane {
    queue: Queue,
    schedule: Schedule,
}

impl Driver {
    /// Works until it is told to stop.
    fn run(&mut self) -> Result<(), Errno> {
        while !self.bell.has_rung() {
            let more = self.take_in()?;
            self.let_out(now())?;
            let next = self.lanes.iter().filter_map(|lane| lane.schedule.next()).min();
            match next {
                // Packets are waiting to be read. Other engines of our priority get no time unless we give it.
                _ if more => rustix::thread::sched_yield(),
                // One is due within the next moment: watch the clock.
                Some(next) if next <= now() + WATCH => std::hint::spin_loop(),
                next => self.sleep(next.map(|next| next - WATCH))?,
            }
        }
        Ok(())
    }

    /// Reads what has arrived, up to a burst. Whether there may be more.
    fn take_in(&mut self) -> Result<bool, Errno> {
        let mut more = false;
        for Lane { queue, schedule } in &mut self.lanes {
            let mut fates = Vec::new();
            let mut burst = 0;
            while burst < BURST
                && queue.receive(|packet| {
                    let place = Flow::of(packet.head).map_or(0.0, |flow| flow.place(self.seed));
                    fates.push((packet.id, schedule.arrive(packet.id, place, now())));
                })?
            {
                burst += 1;
            }
            more |= burst == BURST;
            for (id, fate) in fates {
                match fate {
                    Fate::Pass => queue.decide(id, Verdict::Accept)?,
                    Fate::Drop => queue.decide(id, Verdict::Drop)?,
                    Fate::Hold => {}
                }
            }
            queue.flush()?;
        }
        Ok(more)
    }

    /// Hands back what is due.
    fn let_out(&mut self, now: Nanos) -> Result<(), Errno> {
        for Lane { queue, schedule } in &mut self.lanes {
            while let Some((id, due)) = schedule.due(now) {
                queue.decide(id, Verdict::Accept)?;
                self.report.lateness.record(now - due);
            }
            queue.flush()?;
        }
        Ok(())
    }

    /// Sleeps until a packet arrives, the time has come, or it shall stop.
    fn sleep(&self, until: Option<Nanos>) -> Result<(), Errno> {
        // A zero disarms the timer; a time in the past fires at once.
        let at = Duration::from_nanos(until.unwrap_or(0));
        let value = Timespec::try_from(at).map_err(|_| Errno::INVAL)?;
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: never, it_value: value })?;
        let mut watched = vec![PollFd::new(&self.bell.wake, PollFlags::IN), PollFd::new(&self.timer, PollFlags::IN)];
        watched.extend(self.lanes.iter().map(|lane| PollFd::new(&lane.queue, PollFlags::IN)));
        rustix::io::retry_on_intr(|| poll(&mut watched, None)).map(drop)
    }

    /// Lets everything go and gives the queues back.
    fn finish(mut self) -> Report {
        self.report.closed = true;
        for Lane { mut queue, mut schedule } in self.lanes {
            let mut waiting: Vec<u32> = std::iter::from_fn(|| schedule.release()).map(|(id, _)| id).collect();
            // What arrived meanwhile was never ours to hold.
            while queue.receive(|packet| waiting.push(packet.id)).unwrap_or(false) {}
            let released =
                waiting.iter().try_for_each(|id| queue.decide(*id, Verdict::Accept)).and_then(|()| queue.flush());
            let closed = queue.close();
            self.report.closed &= released.is_ok() && closed.is_ok();
            self.report.passed += schedule.counts.passed;
            self.report.dropped += schedule.counts.dropped;
            self.report.held += schedule.counts.held;
        }
        self.report
    }
}

fn now() -> Nanos {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = Nanos::try_from(now.tv_sec).expect("the monotonic clock counts from boot");
    seconds * 1_000_000_000 + Nanos::try_from(now.tv_nsec).expect("from 0 to 999,999,999")
}
