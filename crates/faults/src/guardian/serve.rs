//! The guardian's process: waits, and does what [`Watch`] says.

use std::{
    env, fmt,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Signal, pidfd_send_signal},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime},
};

use super::{
    channel::{Channel, Received},
    message::{Message, Says},
    watch::{Effect, Event, Watch, Why},
};
use crate::{
    boot,
    journal::{Journal, Replayed},
    recovery::{self, Leftover},
};

/// How long the guardian tries to undo what cannot be undone at once: whoever is in the way (a process that does not die, a
/// file system that is full) has had its time then, and it is left to a person.
const PATIENCE: Duration = Duration::from_secs(30);

/// The guardian's whole life: hears from its standard input whom to watch, watches, and ends with it, or cleans up after it.
#[must_use]
pub fn main() -> ExitCode {
    match serve() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            say(&format_args!("the guardian cannot do its work: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing is left.
fn serve() -> io::Result<bool> {
    // What tools show; where it cannot be changed they show the program's name.
    rustix::thread::set_name(c"guardian").ok();
    // The file system of whatever folder the runner was started in may be unmounted meanwhile.
    env::set_current_dir("/").ok();
    let channel = Channel::of(io::stdin().as_fd().try_clone_to_owned()?);
    let runner = Runner::meet(&channel)?;
    let mut watch = Watch::default();
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
    let mut deaf = false;
    loop {
        let (events, told) = wait(&channel, &runner, &timer, watch.wake(), &mut deaf)?;
        let effect = events.into_iter().find_map(|event| watch.step(event, boot::now()));
        if let Some(number) = told {
            // When nobody hears it any more, the socket says so next.
            channel.send(&Message { number, says: Says::Heard }, &[]).ok();
        }
        match effect {
            None => {}
            Some(Effect::End) => return Ok(true),
            Some(Effect::Kill(why)) => runner.kill(why),
            Some(Effect::Undo) => return Ok(runner.clean_up_after()),
        }
    }
}

/// Waits until something happens, and says all that has; and the number of the last message.
fn wait(
    channel: &Channel,
    runner: &Runner,
    timer: &OwnedFd,
    wake: Option<Duration>,
    deaf: &mut bool,
) -> io::Result<(Vec<Event>, Option<u64>)> {
    set(timer, wake)?;
    // A socket whose other end is closed would wake us for ever.
    let listen = if *deaf { PollFlags::empty() } else { PollFlags::IN };
    let mut watched =
        [PollFd::new(&runner.process, PollFlags::IN), PollFd::new(timer, PollFlags::IN), PollFd::new(channel, listen)];
    let watched = if *deaf { &mut watched[..2] } else { &mut watched[..] };
    rustix::io::retry_on_intr(|| poll(watched, None))?;
    let died = !watched[0].revents().is_empty();
    let (mut events, mut told) = (Vec::new(), None);
    // All that was said comes before any judgement, whenever it was said: this process may have been stopped for long.
    while !*deaf {
        match channel.take()? {
            Received::Nothing => break,
            Received::Message(Message { number, says }, _) => {
                told = Some(number);
                events.extend(meaning(says));
            }
            Received::Nonsense => say(&"the guardian was told something that it does not understand"),
            Received::End => {
                *deaf = true;
                events.push(Event::HungUp);
            }
        }
    }
    events.push(if died { Event::Died } else { Event::Tick });
    Ok((events, told))
}

fn meaning(says: Says) -> Option<Event> {
    Some(match says {
        Says::Leased(leases) => Event::Leased(leases),
        Says::Renewed(leases) => Event::Renewed(leases),
        Says::Released(tokens) => Event::Released(tokens),
        Says::Farewell => Event::Farewell,
        Says::Hello(_) | Says::Heard => return None,
    })
}

/// Sets the timer to a time since boot.
fn set(timer: &OwnedFd, wake: Option<Duration>) -> io::Result<()> {
    // Zero would switch it off.
    let wake = wake.map_or(Duration::ZERO, |wake| wake.max(Duration::from_nanos(1)));
    let never = Timespec { tv_sec: 0, tv_nsec: 0 };
    let at = Timespec::try_from(wake).unwrap_or(never);
    let once = Itimerspec { it_interval: never, it_value: at };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &once)?;
    Ok(())
}

/// Whom the guardian watches.
struct Runner {
    process: OwnedFd,
    journal: Arc<Journal>,
}

impl Runner {
    /// Waits for the runner's first words, and answers.
    fn meet(channel: &Channel) -> io::Result<Self> {
        let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let Received::Message(Message { number, says: Says::Hello(path) }, descriptors) = channel.wait()? else {
            return Err(wrong("this subcommand is for processes that inject faults, of this very version"));
        };
        let Ok([journal, process]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            return Err(wrong("it was not given what it needs"));
        };
        let journal = Arc::new(Journal::adopt(path, journal));
        channel.send(&Message { number, says: Says::Heard }, &[])?;
        Ok(Self { process, journal })
    }

    fn kill(&self, why: Why) {
        match why {
            Why::HungUp => {}
            Why::Overdue => {
                say(&"the run does not answer and a lease of its faults has ended; ending it, and undoing them");
            }
            Why::Overtime => {
                say(&"the run goes on with a fault that should have ended; ending it, and undoing all its faults");
            }
        }
        // Dead already is as well.
        pidfd_send_signal(&self.process, Signal::KILL).ok();
    }

    /// Undoes all that is on record, and removes the journal if nothing is left. Whether that is so.
    fn clean_up_after(&self) -> bool {
        let Replayed { open, .. } = match self.journal.replay() {
            Ok(replayed) => replayed,
            Err(why) => {
                say(&format_args!("{why}; undo what is left with `shaketable undo --all`"));
                return false;
            }
        };
        let leftovers = recovery::settle(&self.journal, open, PATIENCE);
        report(&leftovers, self.journal.path());
        let clean = leftovers.iter().all(Leftover::is_undone);
        if clean && let Err(why) = self.journal.remove() {
            say(&format_args!("cannot remove {}: {why}", self.journal.path().display()));
        }
        clean
    }
}

fn report(leftovers: &[Leftover], journal: &Path) {
    let undone = leftovers.iter().filter(|leftover| leftover.is_undone()).count();
    if undone > 0 {
        say(&format_args!("the process that injected them has died; undid {undone} faults of it"));
    }
    for leftover in leftovers {
        if let Some((residue, repair)) = leftover.residue() {
            let Leftover { undo, .. } = leftover;
            say(&format_args!(
                "{} on {} is not undone: {residue}; by hand: {repair} (on record in {})",
                undo.fault,
                undo.object.name,
                journal.display()
            ));
        }
    }
}

/// Says something to whoever still listens on the runner's standard error.
fn say(what: &dyn fmt::Display) {
    writeln!(io::stderr(), "shaketable: {what}").ok();
}

/// The journal's path, as a guardian is told it.
pub(super) fn hello(path: PathBuf) -> Message {
    Message { number: 0, says: Says::Hello(path) }
}
