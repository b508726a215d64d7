//! The helper: a process of ours that does what must die with us, or must not be done by a process with children.
//!
//! It is this very program, started with [`SUBCOMMAND`]. Its job comes through standard input, as one line; what it has to say
//! goes to standard output; and it lives exactly as long as its standard input is open, so that the kernel ends it with us,
//! however we end. That it is also killed when the thread that started it ends covers the case that it is stopped and cannot
//! read.

use std::{
    convert::Infallible,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    process::{ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Signal,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use serde::{Deserialize, Serialize};

use crate::{
    disk::{fill, probe, stress},
    doctor,
    fault::{Failed, Tools},
    intercept, load, pause,
    process::{self, Process},
};

/// The hidden argument by which a program is told to be the helper.
pub const SUBCOMMAND: &str = "__stress";

/// The variable in a helper's environment that names the injection it works for.
const VARIABLE: &str = "SHAKETABLE_INJECTION";
/// Begins the lines that are meant for us; a test binary that is the helper writes others too.
const MARK: &str = "@helper ";
/// How long a helper may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a helper is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Use CPU time.
    Cpu(load::Cpu),
    /// Hold memory.
    Memory(load::Memory),
    /// Take memory until the kernel ends somebody for it.
    Exhaust(load::Exhaust),
    /// Hold disk space.
    Fill(fill::Fill),
    /// Read and write on a disk.
    Traffic(stress::Traffic),
    /// Intercept what processes do to files.
    Intercept(Box<intercept::Intercept>),
    /// Measure what operations on files take or give.
    Probe(probe::Probe),
    /// Hold processes still.
    Pause(pause::Hold),
    /// Try what this machine and user can do.
    Examine,
}

/// What a helper answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The job has begun.
    Ready,
    /// It cannot be done.
    Cannot(String),
    /// What was found.
    Found(Vec<doctor::Finding>),
    /// What was measured.
    Measured(probe::Measured),
    /// What has become of the files' operations, in the end.
    Intercepted(intercept::Report),
}

/// The helper's whole life: reads its job from standard input, does it until standard input ends, and ends.
#[must_use]
pub fn main() -> ExitCode {
    // The pipe says it too, but only to somebody who can read.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
    let mut line = String::new();
    let job = BufReader::with_capacity(1, io::stdin()).read_line(&mut line).map_err(|why| why.to_string());
    let done = job.and_then(|_| serde_json::from_str(&line).map_err(|why| why.to_string())).and_then(|job| match job {
        Job::Cpu(cpu) => cpu.run(),
        Job::Memory(memory) => memory.run(),
        Job::Exhaust(exhaust) => exhaust.run(),
        Job::Fill(fill) => fill.run(),
        Job::Traffic(traffic) => traffic.run(),
        Job::Intercept(intercept) => intercept.run(),
        Job::Probe(probe) => probe.run(),
        Job::Pause(hold) => hold.run(),
        Job::Examine => say(&Answer::Found(doctor::examine())),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // When nobody listens any more, nobody wants to know.
            say(&Answer::Cannot(why)).ok();
            ExitCode::FAILURE
        }
    }
}

/// Says something to the process that started the helper.
pub(crate) fn say(answer: &Answer) -> Result<(), String> {
    let line = serde_json::to_string(answer).map_err(|why| why.to_string())?;
    let mut out = io::stdout().lock();
    // On a line of its own, whatever was written before.
    write!(out, "\n{MARK}{line}\n").and_then(|()| out.flush()).map_err(|why| why.to_string())
}

/// Waits until the process that started the helper lets go, or has died; or until `time` has passed: then it is `false`.
pub(crate) fn released(time: Option<Duration>) -> bool {
    let input = io::stdin();
    let mut watched = [PollFd::new(&input, PollFlags::IN)];
    let time = time.map(|time| Timespec::try_from(time).expect("shorter than an age"));
    match rustix::io::retry_on_intr(|| poll(&mut watched, time.as_ref())) {
        // Nothing follows the job, so what can be read is the end.
        Ok(0) => false,
        Ok(_) => io::stdin().lock().read(&mut [0]).is_ok_and(|length| length == 0),
        Err(_) => true,
    }
}

/// A running helper. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Helper {
    input: Option<ChildStdin>,
    /// It, as others see it.
    pub(crate) process: Process,
    /// Closed when it has ended and nothing is left of it.
    ended: mpsc::Receiver<Infallible>,
}

impl Helper {
    /// Starts a helper on a job, inside the pid namespace of `inside` if that has one of its own, and waits until it says that
    /// it has begun.
    pub(crate) fn start(tools: &Tools, job: &Job, token: u64, inside: Option<Process>) -> Result<Self, Failed> {
        Self::start_to_hear(tools, job, token, inside).map(|(helper, _)| helper)
    }

    /// Like [`start`](Self::start), for a job that has more to say afterwards.
    pub(crate) fn start_to_hear(
        tools: &Tools,
        job: &Job,
        token: u64,
        inside: Option<Process>,
    ) -> Result<(Self, Ear<ChildStdout>), Failed> {
        let (mut helper, output) = Self::spawn(command(tools, token), inside)?;
        let input = helper.input.as_mut().ok_or_else(|| Failed("the helper has no input".to_owned()))?;
        give(input, job)?;
        let mut ear = Ear::new(output);
        match ear.first()? {
            Answer::Cannot(why) => Err(Failed(why)),
            _ => Ok((helper, ear)),
        }
    }

    /// Tells it that its job is over; it may say more, and ends.
    pub(crate) fn release(&mut self) {
        drop(self.input.take());
    }

    /// Starts the process from a thread that lives as long as it does. Because the kernel is told to kill it with that thread;
    /// because a thread cannot come back from another pid namespace; and because somebody must take note of its end at once:
    /// the init of a pid namespace cannot end before that has been done for everything in it.
    fn spawn(mut command: Command, inside: Option<Process>) -> Result<(Self, ChildStdout), Failed> {
        let (alive, ended) = mpsc::channel::<Infallible>();
        let (send, receive) = mpsc::sync_channel(1);
        let keep = move || {
            let started = inside.map_or(Ok(()), enter_pid_namespace).and_then(|()| {
                let mut child = command.spawn()?;
                let pipes = (child.stdin.take(), child.stdout.take());
                // It cannot have gone yet, for nobody has taken note of its end.
                let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
                let process = Process { pid, started: process::stat(pid)?.started };
                Ok((child, pipes, process))
            });
            match started {
                Ok((mut child, pipes, process)) => {
                    send.send(Ok((pipes, process))).ok();
                    child.wait().ok();
                }
                Err(why) => drop(send.send(Err(why))),
            }
            drop(alive);
        };
        thread::Builder::new().name("keeper".to_owned()).spawn(keep).map_err(Failed::to("start a thread"))?;
        let started = receive.recv().map_err(Failed::to("start the helper"))?;
        let ((input, output), process) = started.map_err(Failed::to("start the helper"))?;
        let helper = Self { input, process, ended };
        Ok((helper, output.ok_or_else(|| Failed("the helper has no output".to_owned()))?))
    }

    /// Ends it and waits until it has ended.
    pub(crate) fn end(&mut self) {
        drop(self.input.take());
        // It cannot be asked nicely: it may be stopped, or have no CPU time. Whether it is gone is looked at afterwards.
        self.process.signal(Signal::KILL).ok();
        // The other side says nothing, ever: this returns when it is gone.
        self.ended.recv_timeout(PATIENCE).ok();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

/// A command that becomes a helper.
pub(crate) fn command(tools: &Tools, token: u64) -> Command {
    let mut command = Command::new(&tools.program.path);
    command
        .args(&tools.program.helper)
        .env(VARIABLE, mark(token))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Gives a helper its job.
pub(crate) fn give(input: &mut ChildStdin, job: &Job) -> Result<(), Failed> {
    let mut line = serde_json::to_vec(job).map_err(Failed::to("write the helper's job"))?;
    line.push(b'\n');
    input.write_all(&line).map_err(Failed::to("give the helper its job"))
}

/// Kills all helpers of an injection whose process has died, should there be any. Whether there were.
pub(crate) fn kill_all(token: u64) -> io::Result<bool> {
    let helpers = process::with_environment(&format!("{VARIABLE}={}", mark(token)));
    for helper in &helpers {
        helper.signal(Signal::KILL)?;
    }
    let end = Instant::now() + PATIENCE;
    while helpers.iter().any(|helper| helper.is_alive()) {
        if Instant::now() > end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not end"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(!helpers.is_empty())
}

fn mark(token: u64) -> String {
    format!("{token:016x}")
}

/// Whether a process is a helper, or is about to become one.
///
/// Nothing that is done to a target may be done to it: one that is stopped before it runs its program keeps the thread that
/// starts it from going on, and with it who would let it go.
pub(crate) fn is_one(process: Process) -> bool {
    let marked = fs::read(format!("/proc/{}/environ", process.pid)).is_ok_and(|environment| {
        environment.split(|byte| *byte == 0).any(|line| line.starts_with(VARIABLE.as_bytes()))
    });
    // In this order: what is not marked yet because it does not run its program yet is found by the second look, then or later.
    marked || is_ours_inside(process)
}

/// Whether a process was born into its pid namespace by one outside that runs the same program, as a helper is; before it runs
/// its own program, it has nothing else that tells it. The first process of a namespace is a target's.
fn is_ours_inside(process: Process) -> bool {
    let Some(parent) = process.stat().map(|stat| stat.parent) else { return false };
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let program = |pid: i32| fs::metadata(format!("/proc/{pid}/exe")).ok().map(|file| (file.dev(), file.ino()));
    let own = namespace(process.pid);
    own.is_some()
        && own != namespace(parent)
        && program(process.pid).is_some_and(|own| program(parent) == Some(own))
        && !process.is_first_of_its_namespace()
}

/// Makes the children of the calling thread be born in the pid namespace of a process, so that they end with it.
fn enter_pid_namespace(of: Process) -> io::Result<()> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid"));
    if namespace(&of.pid.to_string())? == namespace("self")? {
        return Ok(());
    }
    let namespace = fs::File::open(format!("/proc/{}/ns/pid", of.pid))?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::ProcessID))?)
}

/// Waits for the helper's first words.
pub(crate) fn hear(output: &mut ChildStdout) -> Result<Answer, Failed> {
    Ear::new(output).first()
}

/// Hears what a helper says, one answer after the other.
#[derive(Debug)]
pub(crate) struct Ear<T> {
    output: T,
    heard: Vec<u8>,
}

impl<T: AsFd + Read> Ear<T> {
    pub(crate) const fn new(output: T) -> Self {
        Self { output, heard: Vec::new() }
    }

    /// Its first words, for which it has some time.
    pub(crate) fn first(&mut self) -> Result<Answer, Failed> {
        let silent = || Failed(format!("the helper said nothing within {} s", PATIENCE.as_secs()));
        self.next(PATIENCE)?.ok_or_else(silent)
    }

    /// What it says next. `None`: nothing within that time.
    ///
    /// # Errors
    ///
    /// When it has ended, or is not understood.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Option<Answer>, Failed> {
        let end = Instant::now() + patience;
        loop {
            if let Some(answer) = self.understand() {
                return answer.map(Some);
            }
            let left = end.saturating_duration_since(Instant::now());
            let mut watched = [PollFd::new(&self.output, PollFlags::IN)];
            let time = Timespec::try_from(left).map_err(Failed::to("wait for the helper"))?;
            let ready = rustix::io::retry_on_intr(|| poll(&mut watched, Some(&time)))
                .map_err(Failed::to("wait for the helper"))?;
            if ready == 0 {
                return Ok(None);
            }
            let mut buffer = [0; 4096];
            let length = self.output.read(&mut buffer).map_err(Failed::to("hear the helper"))?;
            if length == 0 {
                return Err(Failed("the helper has ended".to_owned()));
            }
            self.heard.extend_from_slice(&buffer[..length]);
        }
    }

    /// The first answer among what was heard, which is forgotten up to there.
    fn understand(&mut self) -> Option<Result<Answer, Failed>> {
        while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.heard.drain(..=end).collect();
            if let Some(said) = line.strip_prefix(MARK.as_bytes()) {
                return Some(serde_json::from_slice(said).map_err(Failed::to("understand the helper")));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_heard_one_by_one_whatever_is_between() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut ear = Ear::new(reader);
        assert!(ear.next(Duration::ZERO).unwrap().is_none());
        writer.write_all(b"\nrunning 1 test\n@helper \"Ready\"\n\n@helper {\"Cannot\":\"why\"}\n@help").unwrap();
        assert!(matches!(ear.first().unwrap(), Answer::Ready));
        assert!(matches!(ear.first().unwrap(), Answer::Cannot(why) if why == "why"));
        assert!(ear.next(Duration::ZERO).unwrap().is_none());
        writer.write_all(b"er what?\n").unwrap();
        drop(writer);
        assert!(ear.next(Duration::ZERO).is_err());
        assert!(ear.next(Duration::ZERO).unwrap_err().0.contains("has ended"));
    }
}
