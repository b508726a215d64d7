//! Somebody else's load generator, such as k6, run beside the experiment.
//!
//! One thread enters the network namespace, starts the command (a child inherits the namespace of the *thread* that starts it),
//! reads its output, and ends it. It waits for three things at once: the end of the command, output, and being told to stop.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, PipeReader},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use model::load::CommandLoad;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal as UnixSignal, kill_process_group, pidfd_open},
};

use super::{
    Enter,
    signal::{Level, Signal},
    worker::Worker,
};

/// How long a command may take to end after SIGTERM: k6 lets its iterations end and prints a summary.
pub const GRACE: Duration = Duration::from_secs(10);
/// How much of the output is kept, in bytes: a summary fits, and a command that prints each request does no harm.
const KEPT: usize = 64 * 1024;

/// Why a command cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no program to run.
    #[error("the load's command is empty; give a program and its arguments, such as [k6, run, script.js]")]
    Empty,
    /// The program cannot be run.
    #[error("cannot run the load's command `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The end of what it printed, standard output and error together: at most 64 KiB.
    pub output: String,
    /// Whether it ended by itself, before it was asked to.
    pub by_itself: bool,
}

impl fmt::Display for Ended {
    /// `ended by itself with exit status 1` or `was ended by signal 9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.by_itself { "ended by itself" } else { "was ended" };
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "{how} with exit status {code}"),
            (None, Some(signal)) => write!(f, "{how} by signal {signal}"),
            (None, None) => f.write_str(how),
        }
    }
}

/// A command that runs. Dropping it kills it.
#[derive(Debug)]
pub struct RunningCommand(Worker<Ended>);

impl RunningCommand {
    /// Starts a command in a process group of its own.
    ///
    /// `tie` is put before it: a program that sees to it that the command does not outlive us even if we are killed, and
    /// then becomes the command (see [`become_tied`]).
    ///
    /// # Errors
    ///
    /// When the command is empty or cannot be run, or the thread cannot enter its surroundings.
    pub fn start(load: &CommandLoad, tie: &[String], enter: Option<Enter>) -> Result<Self, CommandError> {
        let program = load.command.first().ok_or(CommandError::Empty)?;
        let failed = |source| CommandError::Spawn { program: program.clone(), source };
        let words: Vec<String> = tie.iter().chain(&load.command).cloned().collect();
        let env = load.env.clone();
        let prepare = move |_: &Arc<Signal>| {
            let (output, input) = io::pipe()?;
            rustix::io::ioctl_fionbio(&output, true)?;
            let child = Command::new(&words[0])
                .args(&words[1..])
                .envs(&env)
                .stdin(Stdio::null())
                .stdout(input.try_clone()?)
                .stderr(input)
                .process_group(0)
                .spawn()?;
            Ok((child, output))
        };
        let attend = |(child, output), signal: &Signal| attend(child, &output, signal);
        Worker::start("load-command", enter, prepare, attend).map(Self).map_err(failed)
    }

    /// Asks it to end: SIGTERM to its whole process group, and SIGKILL after [`GRACE`].
    pub fn drain(&self) {
        self.0.drain();
    }

    /// Kills its whole process group.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Whether it has ended, by itself or because it was told to.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }

    /// Waits until it has ended, by itself or because it was asked to.
    ///
    /// # Errors
    ///
    /// When the command could not be waited for.
    pub async fn finished(self) -> io::Result<Ended> {
        self.0.finished().await
    }
}

/// Ties this process to the life of the thread that started it, then becomes another program: what `tie` of
/// [`RunningCommand::start`] runs. Returns only when that is not possible.
#[must_use]
pub fn become_tied(words: &[String], parent: Option<u32>) -> io::Error {
    let Some((program, arguments)) = words.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "there is no program to run");
    };
    if let Err(errno) = rustix::process::set_parent_process_death_signal(Some(UnixSignal::KILL)) {
        return errno.into();
    }
    // It may have died before we asked to be told.
    let now = rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    if parent.is_some() && now != parent {
        return io::Error::other("whoever started this has died already");
    }
    Command::new(program).args(arguments).exec()
}

/// Reads the command's output until it ends, ends it when told to, and leaves nothing of it behind.
fn attend(mut child: Child, output: &PipeReader, signal: &Signal) -> io::Result<Ended> {
    let pid = Pid::from_child(&child);
    let mut tail = Tail::default();
    let level = accompany(pid, output, &mut tail, signal);
    // Whatever it has started goes with it. It is not reaped yet, so that the group's number is still its own. A group
    // that has ended meanwhile cannot be signalled; that is what is wanted.
    let _ = kill_process_group(pid, UnixSignal::KILL);
    let status = child.wait()?;
    tail.read(output)?;
    Ok(Ended { status, output: tail.text(), by_itself: level? == Level::Run })
}

/// Reads and signals until the command has ended; what it was told last.
fn accompany(pid: Pid, output: &PipeReader, tail: &mut Tail, signal: &Signal) -> io::Result<Level> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut level = Level::Run;
    let mut kill_at = None;
    let mut readable = true;
    loop {
        let asked = signal.level();
        if asked > level {
            level = asked;
            // As above: a group that has ended is what is wanted.
            let _ = kill_process_group(pid, if level == Level::Stop { UnixSignal::KILL } else { UnixSignal::TERM });
            kill_at = (level == Level::Drain).then(|| Instant::now() + GRACE);
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            let _ = kill_process_group(pid, UnixSignal::KILL);
            kill_at = None;
        }
        if wait(&pidfd, signal, output, readable, kill_at)? {
            return Ok(level);
        }
        readable = readable && tail.read(output)?;
    }
}

/// Waits for something to do; whether the command has ended.
fn wait(
    pidfd: &OwnedFd,
    signal: &Signal,
    output: &PipeReader,
    readable: bool,
    until: Option<Instant>,
) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(pidfd, PollFlags::IN), PollFd::new(signal, PollFlags::IN)];
    if readable {
        fds.push(PollFd::new(output, PollFlags::IN));
    }
    let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
    let timeout = timeout.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    if !fds[1].revents().is_empty() {
        signal.acknowledge();
    }
    Ok(!fds[0].revents().is_empty())
}

/// The end of what was printed.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    /// Reads what is there; whether more may come.
    fn read(&mut self, output: &PipeReader) -> io::Result<bool> {
        let mut buffer = [0_u8; 8 * 1024];
        loop {
            match rustix::io::read(output.as_fd(), &mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.0.extend(&buffer[..length]);
                    self.0.drain(..self.0.len().saturating_sub(KEPT));
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&Vec::from(self.0)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(script: &str) -> CommandLoad {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        CommandLoad { command, env: BTreeMap::from([("ANSWER".to_owned(), "42".to_owned())]) }
    }

    #[tokio::test]
    async fn the_end_and_the_output_of_a_command_are_reported() {
        let running = RunningCommand::start(&load("echo out $ANSWER; echo err >&2; exit 3"), &[], None).unwrap();
        let ended = running.finished().await.unwrap();
        assert_eq!((ended.status.code(), ended.output.as_str(), ended.by_itself), (Some(3), "out 42\nerr\n", true));
        assert_eq!(ended.to_string(), "ended by itself with exit status 3");
    }

    #[tokio::test]
    async fn a_command_is_asked_to_end_and_says_its_last_words() {
        let folder = tempdir();
        let fifo = folder.join("ready");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // The trap is set before `ready` is said, so that the signal cannot come too early.
        let script = "trap 'echo summary; exit 0' TERM; echo ready > FIFO; while :; do sleep 0.01; done";
        let script = script.replace("FIFO", &fifo.display().to_string());
        let running = RunningCommand::start(&load(&script), &[], None).unwrap();
        // Opening waits for the writer, and reading for the word.
        assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "ready\n");
        running.drain();
        let ended = running.finished().await.unwrap();
        assert_eq!((ended.status.code(), ended.by_itself), (Some(0), false));
        assert!(ended.output.contains("summary"), "{}", ended.output);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn whether_a_command_still_runs_is_known_without_waiting() {
        let endless = RunningCommand::start(&load("sleep 1000"), &[], None).unwrap();
        let short = RunningCommand::start(&load("exit 0"), &[], None).unwrap();
        while !short.has_ended() {
            tokio::task::yield_now().await;
        }
        assert!(!endless.has_ended());
    }

    #[tokio::test]
    async fn whatever_it_started_goes_with_it() {
        let running = RunningCommand::start(&load("sleep 1000 & echo $!"), &[], None).unwrap();
        let ended = running.finished().await.unwrap();
        let child = Pid::from_raw(ended.output.trim().parse().unwrap()).unwrap();
        // An orphan is reaped by init, soon after it was killed: until then it is a zombie.
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let patience = Instant::now() + Duration::from_secs(10);
        while !gone() {
            assert!(Instant::now() < patience, "the command's child is still there");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn stopping_kills() {
        let running = RunningCommand::start(&load("trap '' TERM; sleep 1000"), &[], None).unwrap();
        running.stop();
        let ended = running.finished().await.unwrap();
        assert_eq!((ended.status.signal(), ended.to_string().as_str()), (Some(9), "was ended by signal 9"));
    }

    #[test]
    fn a_command_that_cannot_be_run_says_so_and_a_tie_goes_before_it() {
        let command = |words: &[&str]| CommandLoad {
            command: words.iter().map(|&word| word.to_owned()).collect(),
            env: BTreeMap::new(),
        };
        assert!(matches!(RunningCommand::start(&command(&[]), &[], None), Err(CommandError::Empty)));
        let error = RunningCommand::start(&command(&["/no/such/program"]), &[], None).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
        assert!(RunningCommand::start(&command(&["no such program either"]), &["true".to_owned()], None).is_ok());
    }

    #[test]
    fn only_the_end_of_a_long_output_is_kept() {
        let (output, mut input) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&output, true).unwrap();
        let mut tail = Tail::default();
        for n in 0..KEPT / 1_000 + 10 {
            io::Write::write_all(&mut input, &[b'0' + u8::try_from(n % 10).unwrap(); 1_000]).unwrap();
            assert!(tail.read(&output).unwrap());
        }
        drop(input);
        assert!(!tail.read(&output).unwrap());
        assert_eq!(tail.text().len(), KEPT);
    }

    fn tempdir() -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("shaketable-load-command-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}
