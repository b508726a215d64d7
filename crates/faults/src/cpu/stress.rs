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
    TARGETS,
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{Helper, Job},
    load::Cpu,
    network::DURATION,
    object::Object,
    parameters::Checked,
    stress,
    sys::cpu_clock,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "cpu:stress",
    about: "Uses a share of the CPUs, beside the processes of an instance.",
    targets: TARGETS,
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
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "The process that uses the CPUs ends; it does so by itself when this one or the instance dies.",
    proven_by: "The CPU time of the process, as the kernel counts it, over half a second.",
    needs: &[],
    exclusive: &[],
    fis: &["aws:ssm:send-command AWSFIS-Run-CPU-Stress"],
    chaos_mesh: Some("StressChaos cpu"),
};

pub(crate) struct CpuStress;

struct Live {
    helper: Helper,
    plan: Cpu,
    begun: (Instant, Duration),
    object: Object,
}

impl Fault for CpuStress {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        object.process()?;
        let workers = match parameters.read("workers")? {
            0 => thread::available_parallelism().map_or(1, std::num::NonZero::get),
            workers => workers,
        };
        let plan = Cpu { workers, share: parameters.read::<f64>("percent")? / 100.0 };
        fault::written(&plan)
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Cpu = undo.plan()?;
        let inside = undo.object.process().map_err(|Refused(why)| Failed(why))?;
        let helper = Helper::start(tools, &Job::Cpu(plan), undo.token, Some(inside))?;
        let begun = (Instant::now(), used(&helper)?);
        Ok(Box::new(Live { helper, plan, begun, object: undo.object.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        stress::undo_record(undo)
    }
}

/// Long enough that the kernel's slices of some milliseconds even out.
const WINDOW: Duration = Duration::from_millis(500);
/// How far the measured share may be from the configured one, in points, over so short a window.
const TOLERANCE: f64 = 5.0;
/// Below this share of idle CPU time, in percent, the machine has no more to give.
const EXHAUSTED: f64 = 10.0;

fn used(helper: &Helper) -> Result<Duration, Failed> {
    cpu_clock::of_process(helper.process.pid).map_err(Failed::to("read the CPU time of the load"))
}

impl Live {
    /// The share of each worker's CPU that was used since then, in percent.
    fn share(&self, (since, before): (Instant, Duration)) -> Option<f64> {
        let used = used(&self.helper).ok()?.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "at most 1,024 workers")]
        let available = since.elapsed().as_secs_f64() * self.plan.workers as f64;
        Some(used.as_secs_f64() / available * 100.0)
    }

    fn configured(&self) -> String {
        format!(
            "{:.0} % of {} CPU{}",
            self.plan.share * 100.0,
            self.plan.workers,
            if self.plan.workers == 1 { "" } else { "s" }
        )
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let idle_before = idle();
        let start = used(&self.helper).ok().map(|used| (Instant::now(), used));
        abort.until(WINDOW, || None::<()>);
        let share = start.and_then(|start| self.share(start));
        // The kernel's idle times may go backwards a little.
        let idle = idle().zip(idle_before).and_then(|((idle, all), (idle_before, all_before))| {
            share_of(idle.saturating_sub(idle_before), all.saturating_sub(all_before))
        });
        let exhausted = idle.is_some_and(|idle| idle < EXHAUSTED);
        let wanted = self.plan.share * 100.0;
        let holds = share.is_some_and(|share| {
            (share - wanted).abs() <= TOLERANCE || (exhausted && share < wanted && share >= wanted / 4.0)
        });
        let note = if exhausted { ", and the machine has no more to give" } else { "" };
        let achieved = share.map_or_else(
            || "the load has ended".to_owned(),
            |share| format!("{share:.1} % over {:.1} s{note}", WINDOW.as_secs_f64()),
        );
        Proof { configured: self.configured(), achieved, holds }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let share = self.share(self.begun);
        let proof = share.map(|share| Proof {
            configured: self.configured(),
            achieved: format!("{share:.1} % over {:.1} s", self.begun.0.elapsed().as_secs_f64()),
            holds: (share - self.plan.share * 100.0).abs() <= TOLERANCE,
        });
        Ok(Undone { cleanliness: stress::end(&mut self.helper, &self.object), proof })
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
    #[expect(clippy::cast_precision_loss, reason = "ticks of half a second")]
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}
