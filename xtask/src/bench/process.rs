//! Processes that are measured: started, stopped, weighed.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long something may take to start, or to end when it was asked to.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// What the kernel counts CPU time in for `/proc`: hundredths of a second on every Linux (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A program built beside this one with `--release`: the binary, or an example.
pub(super) fn built(name: &str) -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.parent().and_then(|folder| folder.parent()).context("this program lies in no target folder")?;
    Ok(target.join("release").join(name))
}

/// Where a program is found, if it is.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A running program that is ended when it is dropped.
pub(super) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
    input: Option<ChildStdin>,
    program: String,
}

impl Running {
    /// Starts it; what it prints can be read, what it complains about is shown.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let lines = BufReader::new(child.stdout.take().context("its output was piped")?);
        let input = child.stdin.take();
        Ok(Self { child, lines, input, program })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line it prints.
    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            bail!("{} ended early: {}", self.program, self.child.wait()?);
        }
        Ok(line)
    }

    /// The next line it prints, as JSON.
    pub(super) fn json(&mut self) -> Result<Value> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("{} printed {line:?}", self.program))
    }

    /// Ends its input, which it may wait for.
    pub(super) fn end_input(&mut self) {
        drop(self.input.take());
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?).context("a process has a number")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.program))
    }

    /// Waits for its end; what it still prints is given back.
    pub(super) fn finish(mut self) -> Result<String> {
        self.end_input();
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{} failed: {status}\n{rest}", self.program);
        }
        Ok(rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a program to its end: what it printed, and the CPU time that it and its children used.
pub(super) fn run_and_weigh(command: &mut Command) -> Result<(String, Duration)> {
    let before = cpu_of_children()?;
    let printed = Running::start(command)?.finish()?;
    Ok((printed, cpu_of_children()?.saturating_sub(before)))
}

/// The CPU time of all our children that have ended: what wait4(2) reported of them, in hundredths of a second.
fn cpu_of_children() -> Result<Duration> {
    let stat = stat("self").context("cannot read /proc/self/stat")?;
    Ok(TICK * (stat.child_ticks))
}

/// The CPU time that a living process has used so far.
pub(super) fn cpu_of(pid: u32) -> Option<Duration> {
    stat(&pid.to_string()).map(|stat| TICK * stat.ticks)
}

struct Stat {
    parent: u32,
    ticks: u32,
    child_ticks: u32,
}

/// Parts of `/proc/PID/stat` (proc(5)); `None` when there is no such process.
fn stat(pid: &str) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the name in brackets, which may contain anything. The third is the state.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
    Some(Stat { parent: number(4)?, ticks: number(14)? + number(15)?, child_ticks: number(16)? + number(17)? })
}

/// All processes below this one.
pub(super) fn descendants(of: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended meanwhile.
        if let Some(stat) = stat(&pid.to_string()) {
            parents.push((pid, stat.parent));
        }
    }
    let mut found = vec![of];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, its)| *its == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.remove(0);
    Ok(found)
}

/// What a process holds in memory, in bytes: all that it has mapped and present, and its proportional share of that.
pub(super) fn memory_of(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kibibytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some((kibibytes("Rss:")? * 1024, kibibytes("Pss:")? * 1024))
}

/// A server that answers every request alike, as cheaply as can be.
pub(super) struct Server {
    pub(super) process: Running,
    pub(super) url: String,
}

impl Server {
    pub(super) fn start() -> Result<Self> {
        let address = free_address()?;
        let process = Running::start(Command::new(built("examples/epoll_server")?).arg(address.to_string()))?;
        until_it_listens(address)?;
        Ok(Self { process, url: format!("http://{address}/") })
    }
}

/// Waits until somebody listens there.
pub(super) fn until_it_listens(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > PATIENCE {
            bail!("nobody listens on {address}");
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// An address that nobody listens on at the moment.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A number in what a driver printed.
pub(super) fn number(json: &Value, key: &str) -> Result<f64> {
    json.get(key).and_then(Value::as_f64).with_context(|| format!("no `{key}` in {json}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_any_name() {
        let stat = parse_stat("7 (a) b (c)) S 3 7 7 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 5 6 7").unwrap();
        assert_eq!((stat.parent, stat.ticks, stat.child_ticks), (3, 33, 77));
    }

    #[test]
    fn children_are_found_and_have_memory() {
        let child = Running::start(Command::new("sleep").arg("100")).unwrap();
        assert!(descendants(std::process::id()).unwrap().contains(&child.pid()));
        assert!(cpu_of(child.pid()).is_some());
        let (resident, proportional) = memory_of(child.pid()).unwrap();
        assert!(0 < proportional && proportional <= resident);
    }
}
