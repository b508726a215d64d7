//! Intercepting what processes do to the files of a folder: what the helper of `disk:latency` and `disk:error` does.
//!
//! By tracing their system calls. The kernel lets them run on as if nothing had been when the tracer ends, however it ends;
//! nothing is mounted, files that are open already are reached, too, and nobody but the target notices. The price is that each
//! system call of the target stops twice for the tracer, some microseconds each.

use std::{
    collections::BTreeSet,
    env, fs, io,
    io::Write,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde::{Deserialize, Serialize};

use crate::{
    disk::{
        calls::SLACK,
        file_call::{Filter, Operation},
        folder::Folder,
        probe::{Measured, Probe},
    },
    fault,
    helper::{self, Answer, Ear, Job},
    pause::Hold,
    process::{self, Process},
    sys::{
        calls::{self, Call, Stop},
        nudge::Nudge,
        ptrace, realtime,
    },
};

/// Whose operations, on what, and what becomes of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Intercept {
    pub(crate) hold: Hold,
    pub(crate) folder: Folder,
    pub(crate) operations: Vec<Operation>,
    /// Of opening files, only what may change them.
    pub(crate) only_to_write: bool,
    /// The share of operations that are hit, from 0 to 1.
    pub(crate) share: f64,
    pub(crate) effect: Effect,
    /// What proves it.
    pub(crate) probe: Probe,
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Effect {
    /// It begins later, by so much, and evenly up to `jitter` more or less.
    Delay { delay: Duration, jitter: Duration },
    /// It does nothing and returns this error.
    Error(i32),
}

/// What an interception has come to: for the target, and not for the probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Operations of the kinds looked for, on the folder.
    pub(crate) concerned: u64,
    /// Those that were hit.
    pub(crate) hits: u64,
    /// Those of them whose delay is over, how many of these were delayed longer than meant, and all of them by how much,
    /// together.
    pub(crate) delays: u32,
    pub(crate) late: u32,
    pub(crate) delayed: Duration,
}

impl Report {
    /// Counts a delay that is over.
    pub(crate) fn count(&mut self, meant: Duration, took: Duration) {
        self.delays = self.delays.saturating_add(1);
        self.late = self.late.saturating_add(u32::from(took > meant + meant / 10 + SLACK));
        self.delayed += took;
    }
}

/// For threads to come to their first stop: those that wait for a disk themselves do not in time, and are hit from then on.
const PATIENCE: Duration = Duration::from_secs(1);

impl Intercept {
    pub(crate) fn run(&self) -> Result<(), String> {
        let folder = self.folder.open().map_err(|why| format!("cannot open {}: {why}", self.folder))?;
        let filter = Filter::new(&self.operations, &folder, self.only_to_write);
        let filter = filter.map_err(|why| format!("cannot tell where {} is: {why}", self.folder))?;
        let alarm = Alarm::start().map_err(|why| format!("cannot wait for time: {why}"))?;
        let mut probing = Probing::start(&self.probe)?;
        let mut tracer = Tracer::new(self, filter, alarm);
        tracer.seize_all(&self.hold)?;
        tracer.probe = probing.process.threads().into_iter().collect();
        tracer.seize(probing.process)?;
        tracer.settle()?;
        helper::say(&Answer::Ready)?;
        // Its calls go the way of the target's.
        probing.begin()?;
        tracer.awaited = Some(probing.process.pid);
        tracer.follow(|tracer| tracer.awaited.is_none())?;
        let measured = probing.measured(tracer.alarm.is_released())?;
        if let Some(measured) = measured {
            helper::say(&Answer::Measured(measured))?;
        }
        tracer.follow(|_| false)?;
        helper::say(&Answer::Intercepted(tracer.report))
    }
}

/// Follows tracees from stop to stop.
struct Tracer<'a> {
    order: &'a Intercept,
    filter: Filter,
    alarm: Arc<Alarm>,
    chance: SmallRng,
    /// Threads that are ours.
    held: BTreeSet<i32>,
    /// Of those, the ones that have not stopped since they are.
    running: BTreeSet<i32>,
    /// Threads whose operation is delayed: until when, and since when.
    delayed: BTreeSet<(Instant, i32, Instant)>,
    /// The threads of the probe, which do not count.
    probe: BTreeSet<i32>,
    /// Whose end is waited for.
    awaited: Option<i32>,
    /// When waiting for something else than stops ends.
    deadline: Option<Instant>,
    report: Report,
}

impl<'a> Tracer<'a> {
    fn new(order: &'a Intercept, filter: Filter, alarm: Arc<Alarm>) -> Self {
        Self {
            order,
            filter,
            alarm,
            chance: SmallRng::seed_from_u64(fault::seed()),
            held: BTreeSet::new(),
            running: BTreeSet::new(),
            delayed: BTreeSet::new(),
            probe: BTreeSet::new(),
            awaited: None,
            deadline: None,
            report: Report::default(),
        }
    }

    /// Seizes all threads of these processes; one that is not seized yet may make others until it is.
    fn seize_all(&mut self, hold: &Hold) -> Result<(), String> {
        loop {
            let before = self.held.len();
            for process in hold.processes() {
                self.seize(process)?;
            }
            if self.held.len() == before {
                return Ok(());
            }
        }
    }

    fn seize(&mut self, process: Process) -> Result<(), String> {
        for thread in process.threads() {
            if self.held.contains(&thread) {
                continue;
            }
            if self.seize_thread(thread).map_err(|why| {
                let name = process.names().into_iter().next().unwrap_or_default();
                format!("cannot trace process {} ({name}): {why}", process.pid)
            })? {
                self.running.insert(thread);
            }
            // A process whose number was given away meanwhile is not the one that was meant.
            if !process.is_alive() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether it is to be stopped for the first time. One that has been made by another of ours is ours already, and one that
    /// is about to end cannot be had.
    fn seize_thread(&mut self, thread: i32) -> io::Result<bool> {
        let end = Instant::now() + PATIENCE;
        loop {
            match calls::seize(thread).and_then(|()| ptrace::interrupt(thread)) {
                Ok(()) => return Ok(self.held.insert(thread)),
                Err(why) if why.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
                Err(_) if tracer_of(thread) == Some(rustix::thread::gettid().as_raw_nonzero().get()) => {
                    self.held.insert(thread);
                    return Ok(false);
                }
                Err(_) if process::stat(thread).map_or(true, |stat| stat.has_ended()) => return Ok(false),
                Err(why) if Instant::now() >= end => return Err(why),
                Err(_) => thread::sleep(AGAIN),
            }
        }
    }

    /// Until every thread has been stopped once: from then on none of its calls passes unseen.
    fn settle(&mut self) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        self.deadline = Some(end);
        let settled = self.follow(|tracer| tracer.running.is_empty() || Instant::now() >= end);
        self.deadline = None;
        settled
    }

    /// Follows them until that is so, or nobody wants it any more.
    fn follow(&mut self, enough: impl Fn(&Self) -> bool) -> Result<(), String> {
        while !self.alarm.is_released() && !enough(self) {
            self.resume_due();
            match calls::next() {
                Ok(Some((thread, stop))) => gone_is_fine(self.handle(thread, stop))
                    .map_err(|why| format!("cannot follow thread {thread}: {why}"))?,
                Ok(None) => {}
                Err(why) if why.raw_os_error() == Some(libc::ECHILD) => {
                    self.alarm.wait_until_released();
                    return Ok(());
                }
                Err(why) => return Err(format!("cannot wait for the threads: {why}")),
            }
        }
        Ok(())
    }

    fn handle(&mut self, thread: i32, stop: Stop) -> io::Result<()> {
        self.running.remove(&thread);
        match stop {
            Stop::Ended => {
                self.held.remove(&thread);
                self.delayed.retain(|(_, other, _)| *other != thread);
                self.awaited = self.awaited.filter(|awaited| *awaited != thread);
                Ok(())
            }
            Stop::Group => calls::listen(thread),
            Stop::Signal(signal) => calls::resume(thread, signal),
            Stop::Event => {
                self.held.insert(thread);
                calls::resume(thread, 0)
            }
            Stop::Call => match calls::begun(thread)? {
                Some(call) if self.hits(thread, &call) => self.strike(thread),
                _ => calls::resume(thread, 0),
            },
        }
    }

    fn hits(&mut self, thread: i32, call: &Call) -> bool {
        if !self.filter.concerns(thread, call) {
            return false;
        }
        let hit = self.chance.random::<f64>() < self.order.share;
        if !self.probe.contains(&thread) {
            self.report.concerned += 1;
            self.report.hits += u64::from(hit);
        }
        hit
    }

    fn strike(&mut self, thread: i32) -> io::Result<()> {
        match self.order.effect {
            Effect::Error(errno) => {
                calls::fail(thread, errno)?;
                calls::resume(thread, 0)
            }
            Effect::Delay { delay, jitter } => {
                let now = Instant::now();
                let span = jitter.as_secs_f64();
                let more = if span > 0.0 { self.chance.random_range(0.0..2.0 * span) } else { 0.0 };
                let delay = (delay + Duration::from_secs_f64(more)).saturating_sub(jitter);
                self.delayed.insert((now + delay, thread, now));
                Ok(())
            }
        }
    }

    /// Resumes whose delay is over, and has the alarm ring for the next.
    fn resume_due(&mut self) {
        let now = Instant::now();
        while let Some(&(due, thread, since)) = self.delayed.first().filter(|(due, ..)| *due <= now) {
            self.delayed.remove(&(due, thread, since));
            if !self.probe.contains(&thread) {
                self.report.count(due - since, now - since);
            }
            // One that was killed meanwhile reports its end.
            calls::resume(thread, 0).ok();
        }
        self.alarm.ring_at(self.delayed.first().map(|(due, ..)| *due).into_iter().chain(self.deadline).min());
    }
}

fn gone_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(why) if why.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other,
    }
}

/// The thread that traces a thread.
pub(crate) fn tracer_of(thread: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim().parse().ok().filter(|pid| *pid != 0)
}

/// Wakes the tracer, which waits for its tracees, when it is time for something else: an operation has been delayed enough, or
/// nobody wants any of this any more.
struct Alarm {
    wanted: Mutex<Wanted>,
    changed: Condvar,
    nudge: Nudge,
}

#[derive(Default)]
struct Wanted {
    /// When to ring next.
    next: Option<Instant>,
    released: bool,
}

/// Between two nudges that have not been heard: the tracer was just about to wait.
const AGAIN: Duration = Duration::from_millis(1);

impl Alarm {
    fn start() -> io::Result<Arc<Self>> {
        let alarm = Self { wanted: Mutex::default(), changed: Condvar::new(), nudge: Nudge::for_this_thread()? };
        let alarm = Arc::new(alarm);
        let clock = Arc::clone(&alarm);
        thread::Builder::new().name("alarm".to_owned()).spawn(move || clock.tick())?;
        let listener = Arc::clone(&alarm);
        thread::Builder::new().name("release".to_owned()).spawn(move || {
            while !helper::released(None) {}
            listener.change(|wanted| wanted.released = true);
        })?;
        Ok(alarm)
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, how: impl FnOnce(&mut Wanted)) {
        how(&mut self.wanted());
        self.changed.notify_all();
    }

    fn ring_at(&self, next: Option<Instant>) {
        if self.wanted().next != next {
            self.change(|wanted| wanted.next = next);
        }
    }

    fn is_released(&self) -> bool {
        self.wanted().released
    }

    fn wait_until_released(&self) {
        let wanted = self.wanted();
        drop(self.changed.wait_while(wanted, |wanted| !wanted.released));
    }

    /// Rings when it is time, and until it has been heard; for ever.
    fn tick(&self) -> ! {
        realtime::be_punctual();
        let mut wanted = self.wanted();
        loop {
            let now = Instant::now();
            let wait = match wanted.next {
                _ if wanted.released => AGAIN,
                Some(next) if next <= now => AGAIN,
                Some(next) => next - now,
                None => Duration::from_secs(60),
            };
            if wait == AGAIN {
                self.nudge.now();
            }
            let (after, _) = self.changed.wait_timeout(wanted, wait).unwrap_or_else(PoisonError::into_inner);
            wanted = after;
        }
    }
}

/// The probe, a helper of the helper.
struct Probing {
    child: Child,
    ear: Ear<ChildStdout>,
    process: Process,
}

impl Probing {
    /// Starts it, and waits until it is ready to begin.
    fn start(probe: &Probe) -> Result<Self, String> {
        let program = env::current_exe().map_err(|why| why.to_string())?;
        let mut command = Command::new(program);
        command.args(env::args_os().skip(1)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|why| format!("cannot start a probe: {why}"))?;
        let pipes = child.stdin.as_mut().zip(child.stdout.take());
        let (input, output) = pipes.ok_or("the probe has no pipes")?;
        helper::give(input, &Job::Probe(probe.clone())).map_err(|why| why.0)?;
        let mut ear = Ear::new(output);
        match ear.first().map_err(|why| why.0)? {
            Answer::Ready => {}
            Answer::Cannot(why) => return Err(why),
            _ => return Err("the probe is of another version".to_owned()),
        }
        let pid = i32::try_from(child.id()).map_err(|why| why.to_string())?;
        let process = Process::find(pid).map_err(|why| format!("the probe has ended: {why}"))?;
        Ok(Self { child, ear, process })
    }

    fn begin(&mut self) -> Result<(), String> {
        let input = self.child.stdin.as_mut().ok_or("the probe has no input")?;
        input.write_all(b"!").map_err(|why| format!("cannot begin the probe: {why}"))
    }

    /// What it has measured, when it has ended by itself.
    fn measured(&mut self, released: bool) -> Result<Option<Measured>, String> {
        if released {
            // Its end is that of the thread that made it.
            return Ok(None);
        }
        match self.ear.first().map_err(|why| why.0)? {
            Answer::Measured(measured) => Ok(Some(measured)),
            Answer::Cannot(why) => Err(why),
            _ => Err("the probe is of another version".to_owned()),
        }
    }
}
