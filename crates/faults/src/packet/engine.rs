//! The thread that drives a schedule: reads queues, keeps the time, hands verdicts back.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
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
    copier::Copier,
    flow::{self, Flow},
    histogram::Histogram,
    schedule::{Arrival, Counts, Fate, Impairment, Nanos, Schedule},
};
use crate::sys::{
    nfqueue::{Packet, Queue, Verdict},
    realtime,
};

/// Where packets come from: those of one direction.
#[derive(Debug)]
pub(crate) struct Source {
    /// The queue in which they wait.
    pub(crate) queue: Queue,
    /// What sends copies of them; for effects that make any.
    pub(crate) copier: Option<Copier>,
}

/// A running engine: one thread over one or more queues. Dropping it releases all packets that it holds.
#[derive(Debug)]
pub(crate) struct Engine {
    bell: Arc<Bell>,
    /// How many bytes of packets it has let go on, by direction.
    meters: Vec<Arc<AtomicU64>>,
    report: mpsc::Receiver<(Report, Vec<Queue>)>,
}

/// What an engine did in its life.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// How many packets went which way.
    pub(crate) counts: Counts,
    /// Copies that could not be sent.
    pub(crate) uncopied: u64,
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

/// The engines of this process that are at work.
static ENGINES: AtomicUsize = AtomicUsize::new(0);

/// How many of them may watch the clock: each takes a processor for that time, and at most every other one shall be. When there are
/// more, all sleep until their packets are due, and are those 40 to 70 us late; were a hundred of them to watch, each would take from
/// the others what it wants to win.
static WATCHERS: LazyLock<usize> =
    LazyLock::new(|| thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1)));

/// One engine at work, until it is dropped.
struct AtWork;

impl AtWork {
    fn begin() -> Self {
        ENGINES.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        ENGINES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long before a packet is due the thread shall be awake.
fn watch() -> Nanos {
    if ENGINES.load(Ordering::Relaxed) <= *WATCHERS { WATCH } else { 0 }
}

/// Datagrams read from a queue before due packets are looked after again.
const BURST: usize = 64;

impl Engine {
    /// Starts a thread that does this to the packets of these sources.
    pub(crate) fn start(sources: Vec<Source>, impairment: Impairment) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let bell = Arc::new(Bell { stop: AtomicBool::new(false), wake });
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let (send, report) = mpsc::sync_channel(1);
        // Each direction draws its own lots; which flows are concerned is the same for both.
        let seeds = impairment.seed..;
        let lane = |(source, seed)| Lane {
            source,
            schedule: Schedule::new(Impairment { seed, ..impairment }),
            meter: Arc::default(),
        };
        let lanes: Vec<Lane> = sources.into_iter().zip(seeds).map(lane).collect();
        let meters = lanes.iter().map(|lane| Arc::clone(&lane.meter)).collect();
        let mut driver =
            Driver { lanes, bell: Arc::clone(&bell), timer, seed: impairment.seed, report: Report::default() };
        let (ready, started) = mpsc::sync_channel(1);
        thread::Builder::new().name("packets".to_owned()).spawn(move || {
            realtime::be_punctual();
            let at_work = AtWork::begin();
            ready.send(()).ok();
            if let Err(why) = driver.run() {
                // The queues are bypassed once they close, so traffic flows; the undo will tell that the fault ended early.
                tracing::error!(%why, "the packet engine stopped");
            }
            drop(at_work);
            // Nobody listens when the engine was dropped, and then nobody wants to know.
            send.send(driver.finish()).ok();
        })?;
        // A new thread has ordinary priority at first, and on a busy machine waits for its turn: no packet shall wait for that.
        started.recv().map_err(io::Error::other)?;
        Ok(Self { bell, meters, report })
    }

    /// How many bytes of packets of this source it has let go on so far, network headers included.
    pub(crate) fn bytes(&self, source: usize) -> u64 {
        self.meters.get(source).map_or(0, |meter| meter.load(Ordering::Relaxed))
    }

    /// Ends it: all packets that it holds go on, and the queues are given back. The rules that fill the queues must be gone. What is
    /// left of the queues, in the order of the sources, is to be dropped [where it delays nobody](Queue::unbind).
    pub(crate) fn stop(self) -> (Report, Vec<Queue>) {
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
    source: Source,
    schedule: Schedule,
    meter: Arc<AtomicU64>,
}

impl Lane {
    /// Reads what has arrived, up to a burst, and decides about it. Whether there may be more.
    fn take_in(&mut self, seed: u64, report: &mut Report) -> Result<bool, Errno> {
        let Self { source: Source { queue, copier }, schedule, meter } = self;
        let mut fates = Vec::new();
        let mut burst = 0;
        while burst < BURST
            && queue.receive(|packet| {
                let place = Flow::of(packet.head).map_or(0.0, |flow| flow.place(seed));
                let fate = schedule.arrive(Arrival { id: packet.id, place, length: packet.length }, now());
                let damaged = match fate {
                    Fate::Damage(lot) => damaged(packet, lot),
                    _ => None,
                };
                if fate == Fate::Double && !copier.as_ref().is_some_and(|copier| copier.send(packet.head)) {
                    report.uncopied += 1;
                }
                fates.push((packet.id, packet.length, fate, damaged));
            })?
        {
            burst += 1;
        }
        for (id, length, fate, damaged) in fates {
            match (fate, damaged) {
                (Fate::Hold, _) => continue,
                (Fate::Drop, _) => queue.decide(id, Verdict::Drop)?,
                (Fate::Damage(_), Some(bytes)) => queue.decide(id, Verdict::Replace(&bytes))?,
                (Fate::Pass | Fate::Double | Fate::Damage(_), _) => queue.decide(id, Verdict::Accept)?,
            }
            if fate != Fate::Drop {
                meter.fetch_add(u64::from(length), Ordering::Relaxed);
            }
        }
        queue.flush()?;
        Ok(burst == BURST)
    }

    /// Hands back what is due.
    fn let_out(&mut self, now: Nanos, report: &mut Report) -> Result<(), Errno> {
        while let Some(due) = self.schedule.due(now) {
            self.source.queue.decide(due.id, Verdict::Accept)?;
            self.meter.fetch_add(u64::from(due.length), Ordering::Relaxed);
            report.lateness.record(now - due.at);
        }
        self.source.queue.flush()
    }
}

/// The packet with one bit flipped behind its network header, whose own checksum has been looked at already. `None` when there
/// is nothing behind it, or not all of it is here.
fn damaged(packet: Packet<'_>, lot: u32) -> Option<Vec<u8>> {
    let whole = u32::try_from(packet.head.len()).is_ok_and(|length| length == packet.length);
    let mut bytes = packet.head.to_vec();
    let behind = bytes.get_mut(flow::header_length(packet.head)?..).filter(|behind| whole && !behind.is_empty())?;
    let bit = usize::try_from(lot).ok()? % (behind.len() * 8);
    behind[bit / 8] ^= 1 << (bit % 8);
    Some(bytes)
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
                Some(next) if next <= now() + watch() => std::hint::spin_loop(),
                next => self.sleep(next.map(|next| next.saturating_sub(watch())))?,
            }
        }
        Ok(())
    }

    /// Reads what has arrived, up to a burst of each source. Whether there may be more.
    fn take_in(&mut self) -> Result<bool, Errno> {
        let mut more = false;
        for lane in &mut self.lanes {
            more |= lane.take_in(self.seed, &mut self.report)?;
        }
        Ok(more)
    }

    /// Hands back what is due.
    fn let_out(&mut self, now: Nanos) -> Result<(), Errno> {
        self.lanes.iter_mut().try_for_each(|lane| lane.let_out(now, &mut self.report))
    }

    /// Sleeps until a packet arrives, the time has come, or it shall stop.
    fn sleep(&self, until: Option<Nanos>) -> Result<(), Errno> {
        // A zero disarms the timer; a time in the past fires at once.
        let at = Duration::from_nanos(until.unwrap_or(0));
        let value = Timespec::try_from(at).map_err(|_| Errno::INVAL)?;
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval: never, it_value: value })?;
        let mut watched = vec![PollFd::new(&self.bell.wake, PollFlags::IN), PollFd::new(&self.timer, PollFlags::IN)];
        watched.extend(self.lanes.iter().map(|lane| PollFd::new(&lane.source.queue, PollFlags::IN)));
        rustix::io::retry_on_intr(|| poll(&mut watched, None)).map(drop)
    }

    /// Lets everything go and gives the queues back, and what is left of them to be dropped.
    fn finish(mut self) -> (Report, Vec<Queue>) {
        self.report.closed = true;
        let mut spent = Vec::new();
        for Lane { source: Source { mut queue, .. }, mut schedule, .. } in self.lanes {
            let mut waiting: Vec<u32> = std::iter::from_fn(|| schedule.release()).map(|due| due.id).collect();
            // What arrived meanwhile was never ours to hold.
            while queue.receive(|packet| waiting.push(packet.id)).unwrap_or(false) {}
            let released =
                waiting.iter().try_for_each(|id| queue.decide(*id, Verdict::Accept)).and_then(|()| queue.flush());
            let closed = queue.unbind();
            self.report.closed &= released.is_ok() && closed.is_ok();
            self.report.counts = self.report.counts.and(schedule.counts);
            spent.push(queue);
        }
        (self.report, spent)
    }
}

fn now() -> Nanos {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let seconds = Nanos::try_from(now.tv_sec).expect("the monotonic clock counts from boot");
    seconds * 1_000_000_000 + Nanos::try_from(now.tv_nsec).expect("from 0 to 999,999,999")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_packet_differs_in_one_bit_behind_its_header() {
        let head: Vec<u8> = [0x45].into_iter().chain(std::iter::repeat_n(0, 47)).collect();
        for lot in [0, 7, 8, 223, 224, u32::MAX] {
            let bytes = damaged(Packet { id: 1, head: &head, length: 48 }, lot).unwrap();
            let flipped: u32 = bytes.iter().zip(&head).map(|(one, other)| (one ^ other).count_ones()).sum();
            assert_eq!((flipped, &bytes[..20]), (1, &head[..20]), "{lot}");
        }
        assert_eq!(damaged(Packet { id: 1, head: &head, length: 49 }, 0), None, "cut off");
        assert_eq!(damaged(Packet { id: 1, head: &head[..20], length: 20 }, 0), None, "a header alone");
        assert_eq!(damaged(Packet { id: 1, head: &[0; 30], length: 30 }, 0), None, "no IP");
    }
}
