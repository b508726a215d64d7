//! Runs the built binary with a limit on its time, and reads what it leaves.

use std::{
    fs,
    io::Read,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longest time a run may take before the test gives up on it: the longest example ends after about six minutes.
const LIMIT: Duration = Duration::from_secs(480);

/// The user that tests run as when they want to be nobody in particular.
pub(crate) const NOBODY: u32 = 65534;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A path in `examples/`.
pub(crate) fn example(path: &str) -> PathBuf {
    root().join("examples").join(path)
}

/// Where `.ci/run` puts clients: beside what cargo builds.
pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_shaketable")).ancestors().nth(2).unwrap().join("clients")
}

/// Whether we are root: some tests need it, to become somebody else.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test cannot be carried out here. In continuous integration that is a failure, not an excuse.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "skipped in CI: {why}");
    eprintln!("skipped: {why}");
}

/// What a finished run left.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    report: TempDir,
}

impl Finished {
    /// The exit code; a run that was killed has none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// `report.json`.
    pub(crate) fn report(&self) -> Value {
        let text = fs::read_to_string(self.report.path().join("report.json"))
            .unwrap_or_else(|error| panic!("no report.json: {error}\n{}", self.output()));
        serde_json::from_str(&text).unwrap()
    }

    /// All events of a kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let report = self.report();
        report["events"].as_array().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
    }

    /// Everything it printed, for messages.
    pub(crate) fn output(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }

    /// Whether it ended with this exit code and this verdict; otherwise everything it printed.
    pub(crate) fn ended_with(&self, code: i32, verdict: &str) -> Result<(), String> {
        if self.code() != Some(code) {
            return Err(format!("it ended with {:?} and not {code} ({verdict})\n{}", self.code(), self.output()));
        }
        let found = &self.report()["verdict"];
        if found == verdict {
            Ok(())
        } else {
            Err(format!("the verdict is {found} and not {verdict}\n{}", self.output()))
        }
    }
}

/// Somebody who runs `shaketable`.
pub(crate) struct User {
    binary: PathBuf,
    uid: Option<u32>,
    _home: Option<TempDir>,
}

impl User {
    /// Whoever runs the tests.
    pub(crate) fn me() -> Self {
        Self { binary: PathBuf::from(env!("CARGO_BIN_EXE_shaketable")), uid: None, _home: None }
    }

    /// Nobody in particular, with a copy of the binary where nobody can read it. Needs root.
    pub(crate) fn nobody() -> Self {
        let home = tempfile::tempdir().unwrap();
        open_to_all(home.path());
        let binary = home.path().join("shaketable");
        fs::copy(env!("CARGO_BIN_EXE_shaketable"), &binary).unwrap();
        copy_tree(&root().join("examples"), &home.path().join("examples"));
        Self { binary, uid: Some(NOBODY), _home: Some(home) }
    }

    /// An example, where this user can read it.
    pub(crate) fn example(&self, path: &str) -> PathBuf {
        match self.uid {
            Some(_) => self.binary.with_file_name("examples").join(path),
            None => example(path),
        }
    }

    /// `shaketable ARGUMENTS`, not yet started; in a process group of its own, so that a signal to it reaches only it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.current_dir("/").env("NO_COLOR", "1").env_remove("XDG_RUNTIME_DIR").env_remove("XDG_STATE_HOME");
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid).env("HOME", self.binary.parent().unwrap());
        }
        command
    }

    /// Runs an experiment to its end.
    pub(crate) fn run(&self, file: &Path, more: &[&str]) -> Finished {
        self.start(file, more).finish()
    }

    /// Starts an experiment.
    pub(crate) fn start(&self, file: &Path, more: &[&str]) -> Running {
        let report = tempfile::tempdir().unwrap();
        open_to_all(report.path());
        let mut arguments = vec!["run", file.to_str().unwrap(), "--report", report.path().to_str().unwrap()];
        arguments.extend(more);
        Running::new(self.command(&arguments).spawn().unwrap(), report)
    }

    /// Runs any other command to its end.
    pub(crate) fn call(&self, arguments: &[&str]) -> Finished {
        Running::new(self.command(arguments).spawn().unwrap(), tempfile::tempdir().unwrap()).finish()
    }
}

/// A run that is under way. It is killed when dropped, so that a failing test leaves nothing behind.
pub(crate) struct Running {
    child: Child,
    stdout: Option<std::thread::JoinHandle<String>>,
    stderr: Option<std::thread::JoinHandle<String>>,
    lines: std::sync::mpsc::Receiver<String>,
    report: Option<TempDir>,
}

impl Running {
    fn new(mut child: Child, report: TempDir) -> Self {
        let (tell, lines) = std::sync::mpsc::channel();
        let stdout = reader(child.stdout.take().unwrap(), tell.clone());
        let stderr = reader(child.stderr.take().unwrap(), tell);
        Self { child, stdout: Some(stdout), stderr: Some(stderr), lines, report: Some(report) }
    }

    /// Starts a command that [`User::command`] made.
    pub(crate) fn from_command(command: &mut Command) -> Self {
        Self::new(command.spawn().unwrap(), tempfile::tempdir().unwrap())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Waits until it prints a line that contains `text`, and gives it back.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("it never said `{text}`"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end within {LIMIT:?}");
            // Waiting for a process with a limit has no better way in std than asking now and then.
            drop(self.lines.recv_timeout(Duration::from_millis(50)));
        };
        Finished {
            status,
            stdout: self.stdout.take().unwrap().join().unwrap(),
            stderr: self.stderr.take().unwrap().join().unwrap(),
            report: self.report.take().unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reader(
    mut from: impl Read + Send + 'static,
    tell: std::sync::mpsc::Sender<String>,
) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut all, mut line, mut buffer) = (String::new(), String::new(), [0; 4096]);
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            all.push_str(&text);
            line.push_str(&text);
            while let Some(end) = line.find('\n') {
                let rest = line.split_off(end + 1);
                drop(tell.send(std::mem::replace(&mut line, rest)));
            }
        }
        all
    })
}

pub(crate) fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}
