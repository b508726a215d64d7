//! The helper: a process of ours that does what must die with us, or must not be done by a process with children.
//!
//! It is this very program, started with [`SUBCOMMAND`]. Its job comes through standard input, as one line; what it has to say
//! goes to standard output; and it lives exactly as long as its standard input is open, so that the kernel ends it with us,
//! however we end. That it is also killed when the thread that started it ends covers the case that it is stopped and cannot
//! read.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::fd::AsFd,
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
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
    doctor,
    fault::{Failed, Tools},
    load, pause,
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
    child: Child,
    input: Option<ChildStdin>,
    /// It, as others see it.
    pub(crate) process: Process,
    /// The thread that started it sleeps on the other end.
    _keeper: mpsc::Sender<()>,
}

impl Helper {
    /// Starts a helper on a job, inside the pid namespace of `inside` if that has one of its own, and waits until it says that
    /// it has begun.
    pub(crate) fn start(tools: &Tools, job: &Job, token: u64, inside: Option<Process>) -> Result<Self, Failed> {
        let mut command = command(tools, token);
        let mut child = spawn(&mut command, inside)?;
        let begun =
            child.1.stdin.take().ok_or_else(|| Failed("the helper has no input".to_owned())).and_then(|mut input| {
                give(&mut input, job)?;
                Ok(input)
            });
        let process = i32::try_from(child.1.id())
            .map_err(Failed::to("name the helper"))
            .and_then(|pid| Process::find(pid).map_err(Failed::to("find the helper")));
        let (keeper, child) = child;
        let mut helper = match (begun, process) {
            (Ok(input), Ok(process)) => Self { child, input: Some(input), process, _keeper: keeper },
            (Err(why), _) | (_, Err(why)) => {
                end(child);
                return Err(why);
            }
        };
        match hear(&mut helper.child)? {
            Answer::Ready | Answer::Found(_) => Ok(helper),
            Answer::Cannot(why) => Err(Failed(why)),
        }
    }

    /// Ends it and waits until it has ended.
    pub(crate) fn end(&mut self) {
        drop(self.input.take());
        // It cannot be asked nicely: it may be stopped, or have no CPU time.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end();
    }
}

/// A command that becomes a helper.
pub(crate) fn command(tools: &Tools, token: u64) -> Command {
    let (program, arguments) = &tools.helper;
    let mut command = Command::new(program);
    command
        .args(arguments)
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

/// Whether a process is a helper.
pub(crate) fn is_one(process: Process) -> bool {
    fs::read(format!("/proc/{}/environ", process.pid))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|line| line.starts_with(VARIABLE.as_bytes())))
}

/// Starts a helper from a thread that lives as long as the sender: the kernel kills it with that thread. A thread of its own
/// also because it cannot come back from another pid namespace.
fn spawn(command: &mut Command, inside: Option<Process>) -> Result<(mpsc::Sender<()>, Child), Failed> {
    let mut moved = std::mem::replace(command, Command::new(""));
    let (keeper, ended) = mpsc::channel();
    let (send, receive) = mpsc::sync_channel(1);
    let start = move || {
        let child = inside.map_or(Ok(()), enter_pid_namespace).and_then(|()| moved.spawn());
        send.send(child).ok();
        // Nothing is ever sent: this ends when the sender is dropped.
        ended.recv().ok();
    };
    thread::Builder::new().name("keeper".to_owned()).spawn(start).map_err(Failed::to("start a thread"))?;
    let child = receive.recv().map_err(Failed::to("start the helper"))?.map_err(Failed::to("start the helper"))?;
    Ok((keeper, child))
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
pub(crate) fn hear(child: &mut Child) -> Result<Answer, Failed> {
    let silent = || Failed(format!("the helper said nothing within {} s", PATIENCE.as_secs()));
    let output = child.stdout.as_mut().ok_or_else(silent)?;
    let end = Instant::now() + PATIENCE;
    let mut heard = Vec::new();
    loop {
        if let Some(answer) = understand(&heard) {
            return answer;
        }
        let left = end.saturating_duration_since(Instant::now());
        let mut watched = [PollFd::new(output, PollFlags::IN)];
        let time = Timespec::try_from(left).map_err(Failed::to("wait for the helper"))?;
        let ready =
            rustix::io::retry_on_intr(|| poll(&mut watched, Some(&time))).map_err(Failed::to("wait for the helper"))?;
        let mut buffer = [0; 4096];
        let length = if ready == 0 { 0 } else { output.read(&mut buffer).map_err(Failed::to("hear the helper"))? };
        if length == 0 {
            let why = if ready == 0 { silent() } else { Failed("the helper ended at once".to_owned()) };
            return Err(why);
        }
        heard.extend_from_slice(&buffer[..length]);
    }
}

fn understand(heard: &[u8]) -> Option<Result<Answer, Failed>> {
    let heard = String::from_utf8_lossy(heard);
    let (whole, _) = heard.rsplit_once('\n')?;
    let said = whole.lines().find_map(|line| line.strip_prefix(MARK))?;
    Some(serde_json::from_str(said).map_err(Failed::to("understand the helper")))
}

/// Ends a helper that never became one.
fn end(mut child: Child) {
    child.kill().ok();
    child.wait().ok();
}
