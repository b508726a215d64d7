//! The process around an instance, so that an instance ends completely, and never outlives its lab.
//!
//! The lab starts its own executable with a hidden subcommand; [`main`] is what that runs.
//!
//! ```text
//!   lab ── shim ── init ── the instance's command, and whatever that starts
//!                  └ pid 1 of a pid namespace: with it ends everything in there
//! ```
//!
//! The shim's standard input is a socket to the lab. It writes one line when the command runs or cannot, and one when it has
//! ended; that the lab has closed its end, or has died, is the sign to end everything. Where there is no pid namespace the
//! shim has no init: it adopts whatever the command leaves behind (as a subreaper) and kills it.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Write},
    net::IpAddr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use faults::sys::{
    namespace,
    spawn::{Fork, fork, leave},
};
use model::lab::DISK;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open, set_child_subreaper,
        set_parent_process_death_signal, setsid, wait, waitpid,
    },
};

use crate::demo_app::HOSTS_ENV;

/// The hidden subcommand under which an executable runs [`main`].
pub const SUBCOMMAND: &str = "__instance";

/// The environment variable that says how big a disk an instance has to itself, in bytes.
pub(crate) const DISK_ENV: &str = "SHAKETABLE_DISK";

const CONTAINED: &str = "contained";
const ADOPTING: &str = "adopting";

/// What the shim tells the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The command runs under this process id.
    Running(i32),
    /// The command cannot be run.
    Failed(String),
    /// The command has ended: `exit status 1`, `killed by signal 9`.
    Exited(String),
}

impl Report {
    fn line(&self) -> String {
        match self {
            Self::Running(app) => format!("running {app}\n"),
            Self::Failed(why) => format!("failed {}\n", why.replace('\n', " ")),
            Self::Exited(how) => format!("exited {how}\n"),
        }
    }

    /// Reads a line; none if no shim has written it.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "running" => rest.parse().ok().map(Self::Running),
            "failed" => Some(Self::Failed(rest.to_owned())),
            "exited" => Some(Self::Exited(rest.to_owned())),
            _ => None,
        }
    }
}

/// How the lab wants a command to be held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Whether in a pid namespace of its own.
    pub(crate) contained: bool,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
}

impl Wanted {
    /// As arguments after [`SUBCOMMAND`].
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let how = if self.contained { CONTAINED } else { ADOPTING };
        [OsString::from(how)].into_iter().chain(self.command.iter().cloned()).collect()
    }

    fn parse(mut args: impl Iterator<Item = OsString>) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "this subcommand is for the lab alone");
        // A word, no flag: the executable's own command line may stand before us, and would make something of a flag.
        let contained = match args.next().ok_or_else(wrong)?.to_str() {
            Some(CONTAINED) => true,
            Some(ADOPTING) => false,
            _ => return Err(wrong()),
        };
        let command: Vec<_> = args.collect();
        if command.is_empty() { Err(wrong()) } else { Ok(Self { contained, command }) }
    }
}

/// Runs an instance's command until it ends or the lab does. To be called with the arguments after [`SUBCOMMAND`], first
/// thing in `main`: the process must not have started any thread.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let outcome = Wanted::parse(args).and_then(|wanted| {
        let lab = standard_input()?;
        let told = hold(&wanted, &lab);
        if let Err(error) = &told {
            tell(&lab, &Report::Failed(error.to_string()));
        }
        told
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the instance's log.
            let _unwritable = writeln!(io::stderr(), "{SUBCOMMAND}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(wanted: &Wanted, lab: &UnixStream) -> io::Result<()> {
    if wanted.contained { contain(wanted, lab) } else { adopt(wanted, lab) }
}

/// Holds the command by a pid namespace: everything in it is killed, and reaped, with its init.
fn contain(wanted: &Wanted, lab: &UnixStream) -> io::Result<()> {
    // The lab's end must end a shim that is stopped, too; the socket could not.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A convenience: where it is not to be had, the names are still in the environment.
    let _unavailable = name_hosts();
    if let Some(bytes) = disk()? {
        let cannot = |why| io::Error::other(format!("it cannot have a disk of its own at {DISK}: {why}"));
        namespace::mount_disk_privately(Path::new(DISK), bytes).map_err(cannot)?;
    }
    namespace::new_pid_namespace_for_children()?;
    let (init, reports) = start_init(wanted)?;
    let mut reports = BufReader::new(File::from(reports));
    let first = read_report(&mut reports)?;
    let last = match first {
        // The init's own number for its child is 2, whatever the rest of the world calls it.
        Some(Report::Running(_)) => {
            let app = children_of(init)?.first().map_or(0, |app| app.as_raw_pid());
            tell(lab, &Report::Running(app));
            either(reports.get_ref().as_fd(), lab)?.then(|| read_report(&mut reports)).transpose()?.flatten()
        }
        other => other,
    };
    kill_process(init, Signal::KILL)?;
    waitpid(Some(init), WaitOptions::empty())?;
    if let Some(report) = last {
        tell(lab, &report);
    }
    Ok(())
}

/// Holds the command by adopting what it leaves behind.
fn adopt(wanted: &Wanted, lab: &UnixStream) -> io::Result<()> {
    if disk()?.is_some() {
        return Err(io::Error::other("it cannot have a disk of its own: that takes namespaces"));
    }
    set_child_subreaper(Some(getpid()))?;
    let app = start(wanted)?;
    tell(lab, &Report::Running(app.as_raw_pid()));
    let process = pidfd_open(app, PidfdFlags::empty())?;
    let how = if either(process.as_fd(), lab)? { waitpid(Some(app), WaitOptions::empty())? } else { None };
    kill_descendants()?;
    if let Some((_, how)) = how {
        tell(lab, &Report::Exited(describe(how)));
    }
    Ok(())
}

/// How big a disk the instance is to have to itself, if any.
fn disk() -> io::Result<Option<u64>> {
    let bytes = std::env::var(DISK_ENV).ok().map(|text| text.parse()).transpose();
    bytes.map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, format!("{DISK_ENV}: {why}")))
}

/// The socket at descriptor 0.
fn standard_input() -> io::Result<UnixStream> {
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// The lab may have died: then nobody needs to be told.
fn tell(lab: &UnixStream, report: &Report) {
    let mut lab = lab;
    let _nobody_listens = lab.write_all(report.line().as_bytes());
}

/// Adds the names of the lab, as [`HOSTS_ENV`] has them, to an `/etc/hosts` that only this process and its children see.
///
/// # Errors
///
/// When the process may not have mounts of its own, which takes root or a user namespace, or has several threads.
pub fn name_hosts() -> io::Result<()> {
    let names = std::env::var(HOSTS_ENV).unwrap_or_default();
    if names.is_empty() {
        return Ok(());
    }
    let place = Path::new("/etc/hosts");
    let mut content = std::fs::read_to_string(place)?;
    // A name with a port of its own cannot stand in the file.
    let pairs = names.split(',').filter_map(|pair| pair.split_once('='));
    for (name, address) in pairs.filter(|(_, address)| address.parse::<IpAddr>().is_ok()) {
        writeln!(content, "\n{address} {name}").map_err(io::Error::other)?;
    }
    namespace::replace_file_privately(place, content.as_bytes())
}

/// Starts the init of the pid namespace, which starts the command, and reaps. What it has to report comes through the
/// returned end of a pipe.
fn start_init(wanted: &Wanted) -> io::Result<(Pid, OwnedFd)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    match fork()? {
        Fork::Parent(init) => Ok((init, ours)),
        Fork::Child => {
            drop(ours);
            let mut reports = File::from(theirs);
            let last = be_init(wanted, &mut reports).unwrap_or_else(|error| Report::Failed(error.to_string()));
            let told = reports.write_all(last.line().as_bytes());
            leave(u8::from(told.is_err()))
        }
    }
}

fn be_init(wanted: &Wanted, reports: &mut File) -> io::Result<Report> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let app = start(wanted)?;
    // If the shim had died before the signal was set, there would be no reader, and this fails.
    reports.write_all(Report::Running(app.as_raw_pid()).line().as_bytes())?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, how))) if ended == app => return Ok(Report::Exited(describe(how))),
            // Somebody's orphan.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_report(from: &mut impl BufRead) -> io::Result<Option<Report>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(Report::parse(&line))
}

/// Starts the command, and returns when it runs.
fn start(wanted: &Wanted) -> io::Result<Pid> {
    let (program, args) = wanted.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // Closed by a successful exec; otherwise the reason why there was none comes through.
    let (outcome, mut reason) = pipe_with(PipeFlags::CLOEXEC).map(|(r, w)| (r, File::from(w)))?;
    match fork()? {
        Fork::Parent(app) => {
            drop(reason);
            let mut why = String::new();
            BufReader::new(File::from(outcome)).read_line(&mut why)?;
            if why.is_empty() {
                return Ok(app);
            }
            waitpid(Some(app), WaitOptions::empty())?;
            Err(io::Error::other(format!("cannot run {}: {why}", program.to_string_lossy())))
        }
        Fork::Child => {
            // Without an init, this is what ends it when somebody kills the shim.
            let death = set_parent_process_death_signal(Some(Signal::KILL));
            // A session of its own: Ctrl-C at the lab's terminal is for the lab.
            let session = setsid();
            let error = match death.and(session) {
                Ok(_) => Command::new(program).args(args).stdin(Stdio::null()).exec(),
                Err(error) => error.into(),
            };
            let _parent_is_gone = reason.write_all(error.to_string().as_bytes());
            // As a shell says of a command that it cannot run.
            leave(127)
        }
    }
}

/// Waits until a descriptor has something to say, or the lab has hung up; whether it was the former.
fn either(descriptor: BorrowedFd<'_>, lab: &UnixStream) -> io::Result<bool> {
    let mut both = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN), PollFd::new(lab, PollFlags::IN)];
    while let Err(error) = poll(&mut both, None) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    Ok(!both[0].revents().is_empty())
}

fn describe(how: WaitStatus) -> String {
    match (how.exit_status(), how.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "for an unknown reason".to_owned(),
    }
}

/// Kills children until there are none: those of a killed child become ours, because we are a subreaper.
fn kill_descendants() -> io::Result<()> {
    loop {
        for child in children_of(getpid())? {
            // It may have ended meanwhile.
            let _gone = kill_process(child, Signal::KILL);
        }
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn children_of(parent: Pid) -> io::Result<Vec<Pid>> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children", parent = parent.as_raw_pid()))?;
    Ok(list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_back_as_they_were_written() {
        for contained in [true, false] {
            let command = ["app", "--contained", "--", "adopting"].map(OsString::from).to_vec();
            let wanted = Wanted { contained, command };
            assert_eq!(Wanted::parse(wanted.to_args().into_iter()).unwrap(), wanted);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [&[][..], &["--"], &["app"], &["contained"], &["app", "contained"]] {
            assert!(Wanted::parse(args.iter().map(OsString::from)).is_err(), "{args:?}");
        }
    }

    #[test]
    fn reports_read_back_as_they_were_written() {
        for report in [
            Report::Running(17),
            Report::Failed("cannot run x: no such file".to_owned()),
            Report::Exited("exit status 1".to_owned()),
        ] {
            assert_eq!(Report::parse(&report.line()), Some(report));
        }
        assert_eq!(Report::parse("hello"), None);
    }
}
