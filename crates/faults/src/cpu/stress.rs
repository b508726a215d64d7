//! `cpu:stress`: somebody else uses the CPUs.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use model::{
    catalogue::{Entry, Parameter, ParameterKind, Reversibility},
    event::{Cleanliness, Proof},
};

use crate::{
    TARGETS_AND_MACHINES,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::Job,
    load::Cpu,
    measure,
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
    ramp::{RAMP, Ramp, STEPS, Watch},
    stress::{self, Load},
    sys::cpu_clock,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "cpu:stress",
    about: "Uses a share of the CPUs, beside the processes of a target.",
    targets: TARGETS_AND_MACHINES,
    parameters: &[
        DURATION,
        Parameter {
            name: "workers",
            kind: ParameterKind::Integer { min: 0, max: 1024 },
            required: false,
            default: Some("0"),
            about: "How many CPUs are used; 0 for all.",
        },
        Parameter {
            name: "percent",
            kind: ParameterKind::Number { min: 1.0, max: 100.0 },
            required: false,
            default: Some("100"),
            about: "The share of each CPU that is used.",
        },
        RAMP,
        STEPS,
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The process that uses the CPUs ends; it does so by itself when this one or the instance dies.",
    proven_by: "The CPU time of the process, as the kernel counts it: over half a second at the beginning (some seconds, where the machine is busy), part by part while it rises, and over all of its life.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-CPU-Stress"],
    chaos_mesh: Some("StressChaos cpu"),
};

pub(crate) struct CpuStress;

struct Live {
    load: Load,
    plan: Cpu,
    begun: Seen,
    rise: Option<Watch<Seen>>,
}

impl Fault for CpuStress {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        object.company()?;
        let workers = match parameters.read("workers")? {
            0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let share = parameters.read::<f64>("percent")? / 100.0;
        fault::written(&Cpu { workers, share, ramp: Ramp::plan(parameters)? })
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Cpu = undo.plan()?;
        let load = Load::start(undo, tools, &Job::Cpu(plan))?;
        let process = load.process();
        let begun = Seen::now(process).ok_or_else(|| Failed("the load ended at once".to_owned()))?;
        let rise = Watch::start(plan.ramp, begun.at, move || Seen::now(process))?;
        Ok(Box::new(Live { load, plan, begun, rise }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        stress::undo_record(undo)
    }
}

/// Long enough that the kernel's slices of some milliseconds even out. What the load owes after a pause of the machine, it makes
/// up for, and so evens out over a longer window.
const WINDOW: Duration = Duration::from_millis(500);
/// How far the measured share may be from the configured one, in points, over so short a window.
const TOLERANCE: f64 = 5.0;
/// Below this share of idle CPU time, in percent, the machine has no more to give.
const EXHAUSTED: f64 = 10.0;

/// What was seen at a moment.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    /// The CPU time that the load has used.
    used: Duration,
    /// That of the machine which nobody has used, and all, in clock ticks.
    idle: Option<(u64, u64)>,
}

impl Seen {
    fn now(load: Process) -> Option<Self> {
        let (at, used) = measure::at_a_moment(|| cpu_clock::of_process(load.pid));
        // Looked at last: if it lives now, it was the one with this id all the while.
        load.is_alive().then_some(Self { at, used: used.ok()?, idle: idle() })
    }
}

/// The shares of each worker's CPU between two moments, in percent.
struct Shares {
    used: f64,
    wanted: f64,
    exhausted: bool,
}

impl Shares {
    fn holds(&self) -> bool {
        (self.used - self.wanted).abs() <= TOLERANCE
            || (self.exhausted && self.used < self.wanted && self.used >= self.wanted / 4.0)
    }

    const fn note(&self) -> &'static str {
        if self.exhausted && self.used < self.wanted - TOLERANCE { ", and the machine has no more to give" } else { "" }
    }
}

impl Live {
    fn shares(&self, from: Seen, to: Seen) -> Shares {
        let time = (to.at - from.at).max(Duration::from_micros(1));
        #[expect(clippy::cast_precision_loss, reason = "at most 1,024 workers")]
        let available = time.mul_f64(self.plan.workers as f64);
        let worth = |seen: Seen| self.plan.ramp.worth(seen.at.saturating_duration_since(self.begun.at));
        // The kernel's idle times may go backwards a little.
        let idle = to.idle.zip(from.idle).and_then(|((idle, all), (idle_before, all_before))| {
            share_of(idle.saturating_sub(idle_before), all.saturating_sub(all_before))
        });
        Shares {
            used: to.used.saturating_sub(from.used).div_duration_f64(available) * 100.0,
            wanted: worth(to).saturating_sub(worth(from)).div_duration_f64(time) * self.plan.share * 100.0,
            exhausted: idle.is_some_and(|idle| idle < EXHAUSTED),
        }
    }

    fn configured(&self) -> String {
        let Cpu { workers, share, ramp } = self.plan;
        format!("{:.0} % of {workers} CPU{}{ramp}", share * 100.0, if workers == 1 { "" } else { "s" })
    }

    /// What was used while it rose, and since: `rose by 10.1, 29.8, 50.0 % and held 50.1 %`, or just `50.1 %`.
    fn course(&self, rise: &[Seen], last: Seen, whole: &Shares) -> String {
        if !self.plan.ramp.is_there() {
            return format!("{:.1} %", whole.used);
        }
        let from = [self.begun].into_iter().chain(rise.iter().copied());
        let parts: Vec<String> =
            from.zip(rise).map(|(from, to)| format!("{:.1}", self.shares(from, *to).used)).collect();
        let held = rise.last().map_or(whole.used, |top| self.shares(*top, last).used);
        format!("rose by {} % and held {held:.1} %", parts.join(", "))
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let process = self.load.process();
        let rising = if self.plan.ramp.is_there() { " at its beginning" } else { "" };
        let (achieved, holds) = measure::longer_and_longer(abort, WINDOW, |window| {
            let ended = || Failed("the load has ended".to_owned());
            let from = Seen::now(process).ok_or_else(ended)?;
            abort.until(window, || None::<()>);
            let to = Seen::now(process).ok_or_else(ended)?;
            let shares = self.shares(from, to);
            let time = (to.at - from.at).as_secs_f64();
            Ok((format!("{:.1} % over {time:.1} s{rising}{}", shares.used, shares.note()), shares.holds()))
        });
        Proof { configured: self.configured(), achieved, holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let last = Seen::now(self.load.process());
        let rise = self.rise.take().map(Watch::end).unwrap_or_default();
        let proof = last.map(|last| {
            let whole = self.shares(self.begun, last);
            let course = self.course(&rise, last, &whole);
            Proof {
                configured: self.configured(),
                achieved: format!("{course} over {:.1} s{}", (last.at - self.begun.at).as_secs_f64(), whole.note()),
                holds: whole.holds(),
            }
        });
        Ok(Undone { cleanliness: self.load.end(), proof })
    }
}

/// Idle and total CPU time of the machine, in clock ticks: proc_stat(5).
fn idle() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).take(8).filter_map(|ticks| ticks.parse().ok()).collect();
    Some((times.get(3)? + times.get(4)?, times.iter().sum()))
}

fn share_of(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "ticks, of which a day has some millions")]
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}
