//! Processes, as `/proc` shows them.

pub mod exhaust_descriptors;
pub mod exhaust_pids;
mod handle;
pub mod kill;
pub mod pause;
pub mod restart;
pub mod signal;
mod signals;

use std::{fs, io};

use rustix::process::{Signal, getpid};
use serde::{Deserialize, Serialize};

use self::handle::Handle;
use crate::{boot, fault::Refused, helper, object::Object, ourselves};

/// One process, for ever: its id, and when it was started, which tells it from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its id, in the pid namespace of this process.
    pub pid: i32,
    /// When it was started, in clock ticks since boot. On record it is of that boot; read in another, it is nobody's.
    #[serde(with = "boot::ticks")]
    pub started: u64,
}

/// What `/proc/PID/stat` says of a process or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `R`unning, `S`leeping, `D`isk sleep, s`T`opped, `t`raced, `Z`ombie, `X` dead.
    pub state: char,
    /// The parent's id.
    pub parent: i32,
    /// CPU time used, user and system, in clock ticks.
    pub cpu_ticks: u64,
    /// When it was started, in clock ticks since boot.
    pub started: u64,
}

impl Stat {
    /// Whether it has ended; a zombie only waits for its parent to hear of it.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

impl Process {
    /// The calling process.
    ///
    /// # Errors
    ///
    /// When `/proc` does not show it.
    pub fn own() -> io::Result<Self> {
        Self::find(getpid().as_raw_pid())
    }

    /// The process that has this id now.
    ///
    /// # Errors
    ///
    /// When there is none, or it has ended.
    pub fn find(pid: i32) -> io::Result<Self> {
        let stat = stat(pid)?;
        if stat.has_ended() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("process {pid} has ended")));
        }
        Ok(Self { pid, started: stat.started })
    }

    /// What it is doing, or `None` when it has ended (a zombie has ended too).
    #[must_use]
    pub fn stat(self) -> Option<Stat> {
        stat(self.pid).ok().filter(|stat| stat.started == self.started && !stat.has_ended())
    }

    /// Whether it lives. Not asked by signal 0, which a zombie answers.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self.stat().is_some()
    }

    /// The ids of its threads.
    #[must_use]
    pub fn threads(self) -> Vec<i32> {
        numbered(&format!("/proc/{}/task", self.pid))
    }

    /// Sends it a signal; nobody else can get it, whatever happens to the id meanwhile.
    ///
    /// # Errors
    ///
    /// When it may not be signalled. That it has ended is no error: `false`.
    pub fn signal(self, signal: Signal) -> io::Result<bool> {
        match Handle::of(self)? {
            Some(handle) => handle.signal(signal),
            None => Ok(false),
        }
    }

    /// All processes that this one can see.
    #[must_use]
    pub fn all() -> Vec<Self> {
        numbered("/proc").into_iter().filter_map(|pid| Self::find(pid).ok()).collect()
    }

    /// Everything that belongs to it, itself first: the processes of its pid namespace, if it has one apart from ours, else
    /// its descendants. Nothing when it has ended.
    #[must_use]
    pub fn members(self) -> Vec<Self> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = namespace(&self.pid.to_string());
        let all = numbered("/proc").into_iter();
        let others: Vec<Self> = if own.is_some() && own != namespace("self") {
            all.filter(|pid| *pid != self.pid && namespace(&pid.to_string()) == own)
                .filter_map(|pid| Self::find(pid).ok())
                .collect()
        } else {
            let alive: Vec<(Self, i32)> = all
                .filter_map(|pid| stat(pid).ok().filter(|stat| !stat.has_ended()).map(|stat| (pid, stat)))
                .map(|(pid, stat)| (Self { pid, started: stat.started }, stat.parent))
                .collect();
            descendants(self.pid, &alive)
        };
        // Looked at last: if it lives now, it was the one with this id all the while.
        if !self.is_alive() {
            return Vec::new();
        }
        let mut members = vec![self];
        members.extend(others);
        members
    }

    /// Whether it is the init of its pid namespace.
    pub(crate) fn is_first_of_its_namespace(self) -> bool {
        // `NSpid:\t4711\t1`: its id in each namespace that can see it, its own last.
        fs::read_to_string(format!("/proc/{}/status", self.pid)).is_ok_and(|status| {
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            ids.and_then(|ids| ids.split_whitespace().last()) == Some("1")
        })
    }

    /// The names it goes by: of its thread group, and of the file it runs.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        let short = fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok().map(|name| name.trim_end().to_owned());
        let program = fs::read(format!("/proc/{}/cmdline", self.pid)).ok().and_then(|line| {
            let first = line.split(|byte| *byte == 0).next()?.to_vec();
            String::from_utf8(first).ok()?.rsplit('/').next().map(str::to_owned)
        });
        short.into_iter().chain(program).filter(|name| !name.is_empty()).collect()
    }
}

/// Whom a signal is for: the processes of an object that go by a name, or its first one.
///
/// # Errors
///
/// When there is none; or when process 1, this process or one that it was started by is among them.
pub(crate) fn victims(object: &Object, name: Option<&str>) -> Result<Vec<Process>, Refused> {
    let mut victims = match name {
        None => vec![object.process()?],
        Some(name) => object.processes_named(name)?,
    };
    victims.retain(|victim| !helper::is_one(*victim));
    let spared = |victim: &&Process| victim.pid == 1 || ourselves::is_among(**victim);
    match victims.iter().find(spared) {
        Some(Process { pid: 1, .. }) => {
            Err(Refused(format!("{} has process 1 among what would be hit: the machine would go down", object.name)))
        }
        Some(victim) => Err(Refused(format!(
            "process {} of {} is this very process, or one that it was started by",
            victim.pid, object.name
        ))),
        None => Ok(victims),
    }
}

fn count(processes: usize) -> String {
    if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") }
}

/// All living processes whose environment has this line, such as `NAME=value`. Those of other users are passed over.
#[must_use]
pub fn with_environment(line: &str) -> Vec<Process> {
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == line.as_bytes()))
    };
    numbered("/proc").into_iter().filter(has).filter_map(|pid| Process::find(pid).ok()).collect()
}

fn descendants(root: i32, alive: &[(Process, i32)]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (child, _) in alive.iter().filter(|(_, of)| *of == parent) {
            // An id that was given away while we were reading must not lead us in a circle.
            if child.pid != root && !found.contains(child) {
                found.push(*child);
                parents.push(child.pid);
            }
        }
    }
    found
}

/// What `/proc/PID/stat` says.
///
/// # Errors
///
/// When there is no such process.
pub fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat: `{text}`")))
}

/// Like [`stat`], of one thread.
///
/// # Errors
///
/// When there is no such thread.
pub fn thread_stat(pid: i32, thread: i32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat"))?;
    parse_stat(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/task/{thread}/stat: `{text}`")))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name in parentheses may itself contain spaces and parentheses: what follows the last one is regular. Fields are
    // numbered from 1 in proc_pid_stat(5); the first behind the name is number 3.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        cpu_ticks: number(14)? + number(15)?,
        started: number(22)?,
    })
}

fn numbered(folder: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_confuses_nobody() {
        let text = "42 (a) R (b) S 7 1 1 0 -1 0 0 0 0 0 13 4 0 0 20 0 1 0 9876 0 0";
        assert_eq!(parse_stat(text), Some(Stat { state: 'S', parent: 7, cpu_ticks: 17, started: 9876 }));
        assert_eq!(parse_stat("42 (cut"), None);
    }

    #[test]
    fn a_killed_process_counts_as_gone_while_it_is_a_zombie() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let process = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.is_alive());
        let own = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.members().contains(&process));
        assert!(process.names().contains(&"sleep".to_owned()));
        assert!(process.signal(Signal::KILL).unwrap());
        while process.is_alive() {
            std::thread::yield_now();
        }
        assert_eq!(stat(process.pid).unwrap().state, 'Z');
        assert!(Process::find(process.pid).is_err());
        child.wait().unwrap();
        assert!(!process.signal(Signal::KILL).unwrap());
    }

    #[test]
    fn another_process_with_the_same_id_is_another_process() {
        let own = Process::find(i32::try_from(std::process::id()).unwrap()).unwrap();
        let earlier = Process { started: own.started - 1, ..own };
        assert!(own.is_alive() && !earlier.is_alive());
        assert!(!own.members().is_empty() && earlier.members().is_empty());
        assert!(!earlier.signal(Signal::TERM).unwrap());
    }
}
