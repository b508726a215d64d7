//! The runner's side: starting a guardian, telling it of leases, and noticing when it is gone.

use std::{
    io,
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, getpid, pidfd_open},
};

use super::{
    channel::{Channel, Received},
    message::{MOST, Message, Says},
    serve,
};
use crate::{boot, fault::Program, grant::Grant, journal::Journal, lock::lock, process::Process, sys::daemon};

/// A guardian that lives, or did.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Channel,
    child: Mutex<Child>,
    talk: Mutex<Talk>,
    started: Duration,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Talk {
    /// The number of the last message.
    said: u64,
    /// When it was sent.
    at: Duration,
    /// Since when the guardian has not shown that it hears; `None`: it has heard everything.
    waiting: Option<Duration>,
}

/// How long a guardian may take to start on a busy machine.
const START: Duration = Duration::from_secs(10);
/// How long it may be silent while it should answer: it does within a millisecond, unless it is stopped. Shorter than the leases
/// of experiments, so that there is another in time.
const SILENT: Duration = Duration::from_secs(5);
/// Between two signs of life while something is injected.
const BEAT: Duration = Duration::from_secs(1);
/// How long it may take to go when told to.
const FAREWELL: Duration = Duration::from_secs(5);

impl Link {
    /// Starts a guardian, and returns when it has answered.
    pub(crate) fn start(program: &Program, journal: &Journal) -> io::Result<Self> {
        let (channel, theirs) = Channel::pair()?;
        let mut command = Command::new(&program.path);
        command.args(&program.guardian).stdin(Stdio::from(theirs)).stdout(Stdio::null());
        daemon::detach(&mut command);
        let child = command.spawn()?;
        // The command holds their end: it must be theirs alone.
        drop(command);
        let link = Self {
            channel,
            child: Mutex::new(child),
            talk: Mutex::new(Talk { said: 0, at: boot::now(), waiting: None }),
            started: boot::now(),
            ended: AtomicBool::new(false),
        };
        match link.introduce(journal) {
            Ok(()) => Ok(link),
            Err(why) => {
                link.end();
                Err(why)
            }
        }
    }

    fn introduce(&self, journal: &Journal) -> io::Result<()> {
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        let shared = journal.share()?;
        self.channel.send(&serve::hello(journal.path().to_owned()), &[shared.as_fd(), own.as_fd()])?;
        let refused = |what: &str| io::Error::other(format!("the guardian {what}"));
        if !readable(&self.channel, START)? {
            return Err(refused(&format!("said nothing within {} s", START.as_secs())));
        }
        match self.channel.take()? {
            Received::Message(Message { says: Says::Heard, .. }, _) => Ok(()),
            Received::Message(..) | Received::Nonsense => Err(refused("is of another version")),
            Received::Nothing | Received::End => Err(refused("ended at once")),
        }
    }

    /// How long it has been there.
    pub(crate) fn age(&self) -> Duration {
        boot::now().saturating_sub(self.started)
    }

    /// The guardian's process; `None` when it has ended.
    pub(crate) fn process(&self) -> Option<Process> {
        Process::find(i32::try_from(lock(&self.child).id()).ok()?).ok()
    }

    /// Tells that injections may live until then. That it has died meanwhile is noticed by who [listens](Self::listen).
    pub(crate) fn leased(&self, leases: &[(u64, Grant)]) {
        for some in leases.chunks(MOST) {
            self.say(Says::Leased(some.to_vec()));
        }
    }

    /// Tells that their leases last until then.
    pub(crate) fn renewed(&self, leases: &[(u64, Duration)]) {
        for some in leases.chunks(MOST) {
            self.say(Says::Renewed(some.to_vec()));
        }
    }

    /// Tells that an injection needs no watching any more.
    pub(crate) fn released(&self, token: u64) {
        self.say(Says::Released(vec![token]));
    }

    /// Shows that the runner lives, if nothing was said for long enough, and sees to it that the guardian does: one that has
    /// not answered for too long is ended, so that there can be another.
    pub(crate) fn beat(&self) {
        let (now, talk) = (boot::now(), lock(&self.talk));
        let (silent, due) = (talk.waiting.is_some_and(|since| since + SILENT <= now), talk.at + BEAT <= now);
        drop(talk);
        if silent {
            tracing::warn!("the guardian does not answer; ending it");
            lock(&self.child).kill().ok();
        } else if due {
            self.say(Says::Renewed(Vec::new()));
        }
    }

    fn say(&self, says: Says) {
        let mut talk = lock(&self.talk);
        talk.said += 1;
        talk.at = boot::now();
        let now = talk.at;
        talk.waiting.get_or_insert(now);
        let message = Message { number: talk.said, says };
        // Sent under the lock, so that numbers go up. No room in the socket, or nobody at its other end: both are noticed soon.
        if let Err(why) = self.channel.send(&message, &[]) {
            tracing::debug!(%why, "the guardian cannot be told");
        }
    }

    /// Hears the guardian's answers until it has ended, and takes note of its end.
    pub(crate) fn listen(&self) {
        loop {
            match self.channel.wait() {
                Ok(Received::Message(Message { number, says: Says::Heard }, _)) => {
                    let mut talk = lock(&self.talk);
                    // It is some messages behind: it lives.
                    talk.waiting = (number < talk.said).then(boot::now);
                }
                Ok(Received::Message(..) | Received::Nonsense | Received::Nothing) => {}
                Ok(Received::End) | Err(_) => break,
            }
        }
        self.end();
    }

    /// Tells it to go, and waits until it has gone.
    pub(crate) fn farewell(&self) {
        self.say(Says::Farewell);
        let pid = i32::try_from(lock(&self.child).id()).ok().and_then(Pid::from_raw);
        // It is still ours to wait for, so that the number is its own.
        let handle =
            pid.filter(|_| !self.ended.load(Ordering::Acquire)).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        if let Some(Ok(handle)) = handle
            && !readable(&handle, FAREWELL).is_ok_and(|gone| gone)
        {
            tracing::warn!("the guardian does not go; ending it");
        }
        self.end();
    }

    /// Ends it, if it has not, and takes note of that.
    fn end(&self) {
        let mut child = lock(&self.child);
        child.kill().ok();
        child.wait().ok();
        self.ended.store(true, Ordering::Release);
    }
}

fn readable(what: &impl AsFd, time: Duration) -> io::Result<bool> {
    let time = Timespec::try_from(time).map_err(io::Error::other)?;
    let mut watched = [PollFd::new(what, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut watched, Some(&time)))? > 0)
}
