//! Holding processes still: what the helper of `process:pause` does.
//!
//! By tracing, and not by `SIGSTOP`: threads that a tracer has stopped run on by themselves when it ends, however it ends, while
//! a stopped process stays stopped. In a helper, because the kernel tells a tracer of its tracees' changes through the same
//! channel as a parent of its children's; a parent that traced its own children would take their stops for exits.

use std::{collections::BTreeSet, io, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    helper::{self, Answer},
    process::Process,
    sys::ptrace,
};

/// Which processes to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Hold {
    /// These.
    These(Vec<Process>),
    /// All that belong to this one, also those that are born while it happens.
    AllOf(Process),
}

impl Hold {
    /// Whom that is now.
    pub(crate) fn processes(&self) -> Vec<Process> {
        match self {
            Self::These(processes) => processes.clone(),
            Self::AllOf(first) => first.members().into_iter().filter(|member| !helper::is_one(*member)).collect(),
        }
    }

    pub(crate) fn run(&self) -> Result<(), String> {
        let mut held = BTreeSet::new();
        // A thread that is not stopped yet may make others; when a look finds no new one, all are stopped.
        loop {
            let fresh = self.seize_new(&mut held)?;
            if fresh.is_empty() {
                break;
            }
            for thread in &fresh {
                gone_is_fine(ptrace::interrupt(*thread))
                    .map_err(|why| format!("cannot stop thread {thread}: {why}"))?;
            }
            for thread in &fresh {
                gone_is_fine(ptrace::wait(*thread).map(drop))
                    .map_err(|why| format!("cannot wait for thread {thread}: {why}"))?;
            }
        }
        helper::say(&Answer::Ready)?;
        // Their ends go through us to their parents, who must not wait long for it.
        while !helper::released(Some(Duration::from_millis(5))) {
            while let Ok(Some(_)) = ptrace::reap() {}
        }
        Ok(())
    }

    fn seize_new(&self, held: &mut BTreeSet<i32>) -> Result<Vec<i32>, String> {
        let mut fresh = Vec::new();
        for process in self.processes().into_iter().filter(|process| process.is_alive()) {
            for thread in process.threads() {
                if held.contains(&thread) {
                    continue;
                }
                match ptrace::seize(thread) {
                    Ok(()) if process.is_alive() => {
                        held.insert(thread);
                        fresh.push(thread);
                    }
                    // It ended since we looked, and its number may be somebody else's: whom we got by it, we let go.
                    Ok(()) => {
                        gone_is_fine(let_go(thread)).map_err(|why| format!("cannot let go of {thread}: {why}"))?;
                    }
                    Err(why) if why.raw_os_error() == Some(libc::ESRCH) => {}
                    Err(why) => {
                        return Err(format!(
                            "cannot trace process {} ({}): {why}",
                            process.pid,
                            process.names().first().map_or("", String::as_str)
                        ));
                    }
                }
            }
        }
        Ok(fresh)
    }
}

fn let_go(thread: i32) -> io::Result<()> {
    ptrace::interrupt(thread)?;
    match ptrace::wait(thread)? {
        ptrace::Change::Stopped(_) => ptrace::detach(thread),
        ptrace::Change::Ended(_) => Ok(()),
    }
}

fn gone_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(why) if matches!(why.raw_os_error(), Some(libc::ESRCH | libc::ECHILD)) => Ok(()),
        other => other,
    }
}
