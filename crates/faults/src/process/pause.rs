//! `process:pause`: processes stand still, with all they hold.

use std::time::Duration;

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
};

use crate::{
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{Helper, Job},
    network::DURATION,
    object::Object,
    parameters::Checked,
    pause::Hold,
    process::{self, Process},
    stress,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "process:pause",
    about: "Stops all threads of a target's processes; their connections stay open and say nothing.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "process",
            kind: ParameterKind::Text,
            required: false,
            default: None,
            about: "Name of the processes to pause; without it, all of the target.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The tracer that holds them ends, and the kernel lets them run on; it does so too when this process dies.",
    proven_by: "Every thread is in a tracing stop, and none uses CPU time.",
    needs: &[Need::Ptrace],
    exclusive: &[Claim::on_part(Exclusive::Tracer, "process")],
    fis: &[],
    chaos_mesh: Some("PodChaos container-pause"),
};

pub(crate) struct Pause;

struct Live {
    helper: Helper,
    hold: Hold,
    object: Object,
}

impl Fault for Pause {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let hold = match parameters.text("process") {
            None => Hold::AllOf(object.process()?),
            Some(name) => Hold::These(object.processes_named(name)?),
        };
        for process in hold.processes() {
            if process.stat().is_some_and(|stat| matches!(stat.state, 'T' | 't')) {
                return Err(Refused(format!("process {} of {} is stopped already", process.pid, object.name)));
            }
        }
        fault::written(&hold)
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let hold: Hold = undo.plan()?;
        // Outside of the instance's pid namespace: it must see what this process sees.
        let helper = Helper::start(tools, &Job::Pause(hold.clone()), undo.token, None)?;
        Ok(Box::new(Live { helper, hold, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        let clean = stress::undo_record(undo)?;
        let hold: Hold = undo
            .plan()
            .map_err(|Failed(why)| UndoError { why, repair: "kill -CONT the processes of the instance".to_owned() })?;
        Ok(look(&hold, &undo.object, clean))
    }
}

/// Long enough for a thread that runs to use some CPU time: a few slices of the scheduler.
const WINDOW: Duration = Duration::from_millis(30);
/// Until threads that were let go have left their stop.
const PATIENCE: Duration = Duration::from_secs(1);

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let before = threads(&self.hold);
        abort.until(WINDOW, || None::<()>);
        let after = threads(&self.hold);
        let running = after.iter().filter(|(_, stat)| stat.state != 't').count();
        let worked = after
            .iter()
            .filter(|(id, stat)| before.iter().any(|(other, was)| other == id && was.cpu_ticks != stat.cpu_ticks))
            .count();
        let mut processes: Vec<i32> = after.iter().map(|((process, _), _)| *process).collect();
        processes.dedup();
        Proof {
            configured: "all threads paused".to_owned(),
            achieved: match running + worked {
                0 => format!(
                    "{} threads of {} processes stopped, none used CPU time over {} ms",
                    after.len(),
                    processes.len(),
                    WINDOW.as_millis()
                ),
                _ => format!("{running} of {} threads run, {worked} used CPU time", after.len()),
            },
            holds: running + worked == 0 && !after.is_empty(),
        }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let clean = stress::end(&mut self.helper, &self.object);
        Ok(Undone { cleanliness: look(&self.hold, &self.object, clean), proof: None })
    }
}

type Threads = Vec<((i32, i32), process::Stat)>;

fn threads(hold: &Hold) -> Threads {
    let of = |process: Process| {
        let stat =
            move |thread| process::thread_stat(process.pid, thread).ok().map(|stat| ((process.pid, thread), stat));
        process.threads().into_iter().filter_map(stat).filter(|(_, stat)| !stat.has_ended())
    };
    hold.processes().into_iter().filter(|process| process.is_alive()).flat_map(of).collect()
}

/// Looks whether the processes run again.
fn look(hold: &Hold, object: &Object, otherwise: Cleanliness) -> Cleanliness {
    let stopped =
        || threads(hold).into_iter().filter(|(_, stat)| stat.state == 't').map(|((process, _), _)| process).next();
    match Abort::default().until(PATIENCE, || stopped().is_none().then_some(())) {
        Some(()) => otherwise,
        None => Cleanliness::Dirty {
            residue: format!("a process of {} is held by a tracer", object.name),
            repair: stopped()
                .map_or_else(String::new, |pid| format!("end its tracer: grep TracerPid /proc/{pid}/status")),
        },
    }
}
