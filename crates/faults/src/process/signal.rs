//! `process:signal`: any signal, and what became of it.

use std::{collections::BTreeMap, fmt, io, time::Duration};

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::{
    Process,
    handle::{Ending, Handle},
    signals::{self, ByDefault, Known, NAMES, Stance},
    victims,
};
use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    object::Object,
    parameters::Checked,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "process:signal",
    about: "Sends processes of a target any signal, be it one that ends them or one that they handle.",
    targets: TARGETS,
    parameters: &[
        Parameter {
            name: "process",
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Name of the processes that get it, as `ps` or the file they run calls them; without it, the target's first process.",
        },
        Parameter {
            name: "signal",
            kind: ParameterKind::OneOf { values: &NAMES },
            required: true,
            default: None,
            about: "The signal. Those that stop processes (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU) are not among them, because what they stop stays stopped whoever dies: use process:pause.",
        },
    ],
    reversibility: Reversibility::Irreversible,
    undone_by: "Nothing: what a process does with a signal is its own business, and one that has ended has to be replaced.",
    proven_by: "Each process has ended, by that signal where the kernel tells (Linux 6.15) and it had no handler for it; or one of its threads has taken the signal, which is pending no more, into its handler, sigwait or signalfd. What the handler then did is not seen. One that ignores it or survives it has not been hit.",
    needs: &[Need::Signal],
    exclusive: &[],
    fis: &[],
    chaos_mesh: Some("PhysicalMachineChaos process"),
};

/// How long a process may take to end or to take the signal: as for `process:kill`.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct SendSignal;

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    signal: String,
    victims: Vec<Process>,
}

impl Fault for SendSignal {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let victims = victims(object, parameters.text("process"))?;
        fault::written(&Plan { signal: parameters.read("signal")?, victims })
    }

    fn inject(&self, undo: &Undo, _: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        let known =
            signals::named(&plan.signal).ok_or_else(|| Failed(format!("no signal is named {}", plan.signal)))?;
        let mut sent = Sent { known, victims: Vec::new() };
        for victim in plan.victims {
            let hit = Victim::hit(victim, known.signal);
            sent.victims
                .extend(hit.map_err(Failed::to(format_args!("send {} to process {}", known.name, victim.pid)))?);
        }
        if sent.victims.is_empty() {
            return Err(Failed(format!("what was to get {} had ended before", known.name)));
        }
        Ok(Box::new(sent))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let alive = undo.plan::<Plan>().is_ok_and(|plan| plan.victims.iter().all(|victim| victim.is_alive()));
        Ok(if alive { Cleanliness::Clean } else { Cleanliness::Gone })
    }
}

/// The signal is on its way.
struct Sent {
    known: Known,
    victims: Vec<Victim>,
}

struct Victim {
    handle: Handle,
    /// How it stood to the signal just before it was sent.
    before: Stance,
}

impl Victim {
    /// Looks at a process and sends it the signal; `None` when it has ended.
    fn hit(process: Process, signal: Signal) -> io::Result<Option<Self>> {
        let Some(handle) = Handle::of(process)? else { return Ok(None) };
        let Some(before) = Stance::of(process, signal)? else { return Ok(None) };
        Ok(handle.signal(signal)?.then_some(Self { handle, before }))
    }
}

/// What became of the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Fate {
    /// It ended the process.
    Deadly(Ending),
    /// The process ended, though not by it.
    Beaten(Ending),
    /// A handler has it.
    Handled,
    /// A thread that blocks it has asked for it, or has unblocked it.
    Taken,
    /// It has let the process run on.
    Continued,
    /// No thread has taken it yet.
    Pending,
    /// The process has told the kernel to throw it away.
    Ignored,
    /// It does nothing by default, and the process has no handler for it.
    Meaningless,
    /// It should have ended the process: the first process of a pid namespace survives what it has no handler for.
    Survived,
}

impl Fate {
    /// From how a process stood to the signal before it was sent, how it stands now, and how it has ended.
    fn of(known: Known, before: Stance, now: Option<Stance>, ending: Option<Ending>) -> Self {
        if let Some(ending) = ending {
            // One with a handler ends as it likes.
            let own_way = before.caught || before.blocked;
            let by_signal = matches!(ending, Ending::Signal(by) if by == known.signal.as_raw());
            return if by_signal || own_way || ending == Ending::Untold {
                Self::Deadly(ending)
            } else {
                Self::Beaten(ending)
            };
        }
        // It is about to end, or `/proc` has failed us: no judgement yet.
        let Some(now) = now else { return Self::Pending };
        match known.by_default {
            _ if now.pending => Self::Pending,
            _ if before.caught => Self::Handled,
            ByDefault::Continues if before.stopped && !now.stopped => Self::Continued,
            _ if before.ignored => Self::Ignored,
            _ if before.blocked => Self::Taken,
            ByDefault::Nothing | ByDefault::Continues => Self::Meaningless,
            ByDefault::Ends => Self::Survived,
        }
    }

    const fn is_achieved(self) -> bool {
        matches!(self, Self::Deadly(_) | Self::Handled | Self::Taken | Self::Continued)
    }

    /// Whether waiting longer might change it.
    const fn may_change(self) -> bool {
        matches!(self, Self::Pending | Self::Survived)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadly(ending) => ending.fmt(f),
            Self::Beaten(ending) => write!(f, "{ending}, and not by it"),
            Self::Handled => f.write_str("took it into a handler"),
            Self::Taken => f.write_str("took it, though it blocks it"),
            Self::Continued => f.write_str("was stopped and runs on"),
            Self::Pending => write!(f, "had not taken it after {} s", PATIENCE.as_secs()),
            Self::Ignored => f.write_str("ignores it"),
            Self::Meaningless => f.write_str("has no handler for it, and by default it does nothing"),
            Self::Survived => f.write_str("has no handler for it and lives: the first process of a pid namespace does"),
        }
    }
}

impl Sent {
    fn fates(&self) -> Vec<Fate> {
        let fate = |victim: &Victim| {
            let now = Stance::of(victim.handle.process, self.known.signal).ok().flatten();
            // Asked after that: one that has ended meanwhile has ended.
            Fate::of(self.known, victim.before, now, victim.handle.ending())
        };
        self.victims.iter().map(fate).collect()
    }
}

impl Injection for Sent {
    fn prove(&mut self, abort: &Abort) -> Proof {
        abort.until(PATIENCE, || self.fates().into_iter().all(|fate| !fate.may_change()).then_some(()));
        let fates = self.fates();
        let mut counted: BTreeMap<Fate, usize> = BTreeMap::new();
        for fate in &fates {
            *counted.entry(*fate).or_default() += 1;
        }
        let words: Vec<String> = counted.into_iter().map(|(fate, count)| format!("{count} {fate}")).collect();
        Proof {
            configured: format!("{} to {}", self.known.name, super::count(fates.len())),
            achieved: words.join("; "),
            holds: fates.iter().all(|fate| fate.is_achieved()),
        }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        let alive = self.victims.iter().all(|victim| victim.handle.process.is_alive());
        Ok(Undone { cleanliness: if alive { Cleanliness::Clean } else { Cleanliness::Gone }, proof: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDIFFERENT: Stance =
        Stance { caught: false, ignored: false, blocked: false, pending: false, stopped: false };

    #[test]
    fn what_became_of_a_signal() {
        let term = signals::named("SIGTERM").unwrap();
        let child = signals::named("SIGCHLD").unwrap();
        let go_on = signals::named("SIGCONT").unwrap();
        let catches = Stance { caught: true, ..INDIFFERENT };
        let ignores = Stance { ignored: true, ..INDIFFERENT };
        let blocks = Stance { blocked: true, ..INDIFFERENT };
        let stopped = Stance { stopped: true, ..INDIFFERENT };
        let pending = |stance| Stance { pending: true, ..stance };
        let by_it = Ending::Signal(15);
        for (known, before, now, ending, fate) in [
            (term, INDIFFERENT, None, Some(by_it), Fate::Deadly(by_it)),
            (term, INDIFFERENT, None, Some(Ending::Untold), Fate::Deadly(Ending::Untold)),
            (term, INDIFFERENT, None, Some(Ending::Status(0)), Fate::Beaten(Ending::Status(0))),
            (term, INDIFFERENT, None, Some(Ending::Signal(9)), Fate::Beaten(Ending::Signal(9))),
            (term, catches, None, Some(Ending::Status(0)), Fate::Deadly(Ending::Status(0))),
            (term, catches, Some(catches), None, Fate::Handled),
            (term, catches, Some(pending(catches)), None, Fate::Pending),
            (term, INDIFFERENT, None, None, Fate::Pending),
            (term, INDIFFERENT, Some(INDIFFERENT), None, Fate::Survived),
            (term, ignores, Some(ignores), None, Fate::Ignored),
            (term, blocks, Some(pending(blocks)), None, Fate::Pending),
            (term, blocks, Some(blocks), None, Fate::Taken),
            (child, INDIFFERENT, Some(INDIFFERENT), None, Fate::Meaningless),
            (child, catches, Some(catches), None, Fate::Handled),
            (go_on, stopped, Some(INDIFFERENT), None, Fate::Continued),
            (go_on, INDIFFERENT, Some(INDIFFERENT), None, Fate::Meaningless),
        ] {
            assert_eq!(Fate::of(known, before, now, ending), fate, "{} {before:?} {now:?} {ending:?}", known.name);
        }
    }

    #[test]
    fn what_stops_processes_is_refused_with_what_to_use_instead() {
        let given = [("signal".to_owned(), "SIGSTOP".to_owned())].into();
        let Refused(why) = Checked::new(&ENTRY, &given).unwrap_err();
        assert!(why.contains("use process:pause"), "{why}");
    }
}
