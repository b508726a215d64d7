//! What this machine and user allow a lab, found out before anything is started.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
};

use faults::sys::{
    link::{Links, forward_packets},
    namespace::{NetworkNamespace, enter_user_namespace, new_pid_namespace_for_children},
    spawn::{Fork, fork, leave},
};
use model::lab::Network;
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{WaitOptions, waitpid},
};

/// What a lab will stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// Every instance has a network namespace.
    Networks {
        /// Whether the process lives in a user namespace of its own from now on, because it is not root outside.
        user_namespace: bool,
    },
    /// Instances share the loopback interface.
    Loopback {
        /// Why not the other: because it was asked for, or what the kernel said.
        because: String,
    },
}

/// Network namespaces were asked for and are not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine does not let us make network namespaces: {why}; `--network loopback` does without, with fewer faults"
)]
pub struct Unavailable {
    /// What the kernel said.
    pub why: String,
}

/// Finds out what a lab can stand on, and moves the process into a user namespace where that is needed.
///
/// To be called first thing in `main`: an ordinary user can enter a user namespace only while the process has one thread.
///
/// # Errors
///
/// When `netns` is wanted and cannot be had. `auto` falls back to loopback addresses.
pub fn prepare(wanted: Network) -> Result<Prepared, Unavailable> {
    if wanted == Network::Loopback {
        return Ok(Prepared::Loopback { because: "loopback addresses were asked for".to_owned() });
    }
    match networks() {
        Ok(user_namespace) => Ok(Prepared::Networks { user_namespace }),
        Err(why) if wanted == Network::Netns => Err(Unavailable { why }),
        Err(why) => Ok(Prepared::Loopback { because: format!("network namespaces are refused: {why}") }),
    }
}

/// Whether a user namespace had to be entered; or why there can be no networks.
fn networks() -> Result<bool, String> {
    let Err(as_we_are) = probe() else { return Ok(false) };
    // In a copy of this process first, so that a refusal half-way does not leave the process half-way.
    in_a_copy(|| {
        enter_user_namespace().map_err(|error| format!("entering a user namespace: {error}{}", hint()))?;
        probe()
    })
    .map_err(|in_user_namespace| {
        if in_user_namespace == as_we_are {
            as_we_are
        } else {
            format!("{as_we_are}; as an ordinary user: {in_user_namespace}")
        }
    })?;
    enter_user_namespace().map_err(|error| format!("entering a user namespace: {error}"))?;
    Ok(true)
}

/// Makes for a moment what a lab is made of.
fn probe() -> Result<(), String> {
    let say = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let fabric = NetworkNamespace::create().map_err(say("making a network namespace"))?;
    let instance = NetworkNamespace::create().map_err(say("making a network namespace"))?;
    fabric.run(forward_packets).map_err(say("letting a namespace route"))?;
    fabric
        .run(|| Ok(Links::open()?.add_pair("probe", "eth0", &instance)?))
        .map_err(say("connecting two namespaces (veth)"))?;
    // On that thread, which ends, the new pid namespace has no consequence.
    instance.run(new_pid_namespace_for_children).map_err(say("making a pid namespace"))
}

/// Runs something in a copy of the process, which ends thereafter.
fn in_a_copy(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let say = |error: io::Error| format!("trying it out: {error}");
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| say(error.into()))?;
    match fork().map_err(say)? {
        Fork::Child => {
            let outcome = work();
            let told = outcome.as_ref().err().map_or(Ok(()), |why| File::from(theirs).write_all(why.as_bytes()));
            leave(u8::from(outcome.is_err() || told.is_err()))
        }
        Fork::Parent(child) => {
            drop(theirs);
            let mut why = String::new();
            File::from(ours).read_to_string(&mut why).map_err(say)?;
            let status = waitpid(Some(child), WaitOptions::empty()).map_err(|error| say(error.into()))?;
            match status.and_then(|(_, status)| status.exit_status()) {
                Some(0) => Ok(()),
                _ if why.is_empty() => Err("the process that tried it out died".to_owned()),
                _ => Err(why),
            }
        }
    }
}

/// The settings by which distributions refuse user namespaces, where one of them does.
fn hint() -> &'static str {
    let is = |file: &str, value: &str| fs::read_to_string(file).is_ok_and(|content| content.trim() == value);
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        " (sysctl kernel.unprivileged_userns_clone is 0)"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        " (sysctl user.max_user_namespaces is 0)"
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        " (sysctl kernel.apparmor_restrict_unprivileged_userns is 1)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_always_to_be_had() {
        assert!(matches!(prepare(Network::Loopback), Ok(Prepared::Loopback { .. })));
    }

    #[test]
    fn root_needs_no_user_namespace() {
        if rustix::process::geteuid().is_root() {
            assert_eq!(prepare(Network::Auto), Ok(Prepared::Networks { user_namespace: false }));
        }
    }
}
