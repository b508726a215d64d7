//! One instance: what it is, and the process it is when it runs.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr},
    os::{
        fd::OwnedFd,
        unix::{fs::FileExt, net::UnixStream as StdUnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use faults::sys::namespace::NetworkNamespace;
use model::resource::ResourceId;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::UnixStream,
    time::timeout,
};

use crate::{
    group::Ordinal,
    shim::{self, Report, Wanted},
    spawner::Spawner,
};

/// How long a shim may take to say whether its command runs: it does little more than two forks.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How much of an instance's log is shown when it dies at its start.
const LOG_TAIL: u64 = 2048;

/// What does not change over an instance's life.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: ResourceId,
    pub(crate) group: String,
    pub(crate) ordinal: Ordinal,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    /// Where it lives, when it has a network of its own.
    pub(crate) home: Option<Home>,
    /// The program that runs the shim.
    pub(crate) program: PathBuf,
    /// The command, and the environment besides what the lab itself has.
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// What it writes on standard output and error: a file without a name.
    pub(crate) log: File,
    pub(crate) process: Mutex<Option<Process>>,
}

/// An instance's own network.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) network: Arc<NetworkNamespace>,
    pub(crate) fabric: Arc<NetworkNamespace>,
    /// The name of its interface in the fabric.
    pub(crate) interface: String,
}

/// The process of a running instance.
#[derive(Debug)]
pub(crate) struct Process {
    /// The command's process, as the host sees it.
    pub(crate) app: i32,
    /// Closed, it has the shim end everything.
    lifeline: StdUnixStream,
}

/// A shim that has just been started.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    reports: BufReader<UnixStream>,
}

impl Instance {
    /// Where it listens.
    pub(crate) fn socket(&self) -> SocketAddr {
        (self.address, self.port).into()
    }

    /// Starts its process.
    pub(crate) async fn start(self: &Arc<Self>, spawner: &Spawner) -> io::Result<Started> {
        let instance = Arc::clone(self);
        let (child, socket) = spawner.run(move || instance.spawn()).await?;
        let lifeline = socket.try_clone()?;
        socket.set_nonblocking(true)?;
        let mut started = Started { child, reports: BufReader::new(UnixStream::from_std(socket)?) };
        let report = timeout(START_LIMIT, started.report()).await;
        let why = match report {
            Ok(Some(Report::Running(app))) => {
                *self.process() = Some(Process { app, lifeline });
                return Ok(started);
            }
            Ok(Some(Report::Failed(why) | Report::Exited(why))) => why,
            Ok(None) => {
                format!("`{} {}` ended without a word{}", self.program.display(), shim::SUBCOMMAND, self.log_tail())
            }
            Err(_) => format!("nothing was heard of it for {} s", START_LIMIT.as_secs()),
        };
        drop(lifeline);
        started.until_gone().await;
        Err(io::Error::other(why))
    }

    /// To be called on the spawner's thread.
    fn spawn(&self) -> io::Result<(Child, StdUnixStream)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let wanted = Wanted { contained: self.home.is_some(), command: self.command.iter().map(Into::into).collect() };
        let mut command = Command::new(&self.program);
        command
            .arg(shim::SUBCOMMAND)
            .args(wanted.to_args())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(OwnedFd::from(theirs))
            .stdout(self.log.try_clone()?)
            .stderr(self.log.try_clone()?)
            // Ctrl-C at the terminal is for the lab, which undoes and then ends its instances.
            .process_group(0);
        let child = match &self.home {
            Some(home) => {
                home.network.enter()?;
                let child = command.spawn();
                home.fabric.enter()?;
                child
            }
            None => command.spawn(),
        };
        // The shim's end of the socket is in `command`, too, and must not outlive this.
        drop(command);
        Ok((child?, ours))
    }

    /// The process, if it runs.
    pub(crate) fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the process and all that belongs to it. Whoever watches it will learn that it has ended.
    pub(crate) fn kill(&self) {
        if let Some(process) = &*self.process() {
            // The shim may have ended already: then there is nobody to tell.
            let _gone = process.lifeline.shutdown(Shutdown::Write);
        }
    }

    /// The last lines of its log, for an error message; nothing where there are none.
    pub(crate) fn log_tail(&self) -> String {
        let length = self.log.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = vec![0; usize::try_from(length.min(LOG_TAIL)).unwrap_or_default()];
        let read = self.log.read_exact_at(&mut bytes, length.saturating_sub(LOG_TAIL));
        let text = String::from_utf8_lossy(&bytes);
        match (read, text.trim()) {
            (Err(_), _) | (_, "") => String::new(),
            (Ok(()), text) => format!("; its last words:\n{text}"),
        }
    }
}

impl Started {
    async fn report(&mut self) -> Option<Report> {
        let mut line = String::new();
        self.reports.read_line(&mut line).await.ok()?;
        Report::parse(&line)
    }

    /// Waits until the command has ended and nothing is left of it, and says how it ended, where that is known: an instance
    /// that was killed by the lab does not know it.
    pub(crate) async fn until_ended(mut self) -> Option<String> {
        let how = match self.report().await {
            Some(Report::Exited(how) | Report::Failed(how)) => Some(how),
            Some(Report::Running(_)) | None => None,
        };
        self.until_gone().await;
        how
    }

    async fn until_gone(mut self) {
        // The socket closes with the shim's end, so this takes no time; but it could block, and must not do so here.
        let mut end = String::new();
        while self.reports.read_line(&mut end).await.is_ok_and(|read| read > 0) {
            end.clear();
        }
        let reaped = tokio::task::spawn_blocking(move || self.child.wait()).await;
        if !matches!(reaped, Ok(Ok(_))) {
            tracing::warn!(?reaped, "a shim could not be waited for");
        }
    }
}
