//! `cpu:throttle`: a target gets only so much CPU time.

use std::time::Duration;

use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    claim::{Claim, Exclusive},
    event::{Cleanliness, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{
    TARGETS,
    cgroup::{Group, Version},
    fault::{self, Abort, Failed, Fault, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{self, Helper, Job},
    limit,
    load::Cpu,
    measure,
    network::DURATION,
    object::Object,
    parameters::Checked,
    process::Process,
    ramp::Ramp,
    sys::cpu_clock,
};

/// The fault's entry in the catalogue.
pub const ENTRY: Entry = Entry {
    id: "cpu:throttle",
    about: "Gives all processes of a target together no more than a share of CPU time, however much is idle.",
    targets: TARGETS,
    parameters: &[
        DURATION,
        Parameter {
            name: "percent",
            kind: ParameterKind::Number { min: 1.0, max: 10_000.0 },
            required: true,
            default: None,
            about: "How much, in percent of one CPU: 50 is half of one, 200 two.",
        },
    ],
    reversibility: Reversibility::Undoable,
    undone_by: limit::UNDONE_BY,
    proven_by: "With a load beside them in their control group, its processes use so much CPU time over half a second and no more, or over some seconds where the machine is busy.",
    needs: &[Need::CpuController],
    exclusive: &[Claim::on(Exclusive::CpuLimit)],
    fis: &[],
    chaos_mesh: None,
};

pub(crate) struct CpuThrottle;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    group: Group,
    percent: f64,
}

/// The kernel's own, in microseconds: how often CPU time is given out.
const PERIOD: f64 = 100_000.0;

impl Fault for CpuThrottle {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn plan(&self, object: &Object, parameters: Checked<'_>) -> Result<serde_json::Value, Refused> {
        let percent: f64 = parameters.read("percent")?;
        let mut group = Group::plan(object, "cpu")?;
        // 1 % is a millisecond, the least that the kernel takes.
        let quota = format!("{:.0}", PERIOD * percent / 100.0);
        match group.version {
            Version::One => {
                group.limit("cpu.cfs_period_us", format!("{PERIOD:.0}"))?;
                group.limit("cpu.cfs_quota_us", quota)?;
            }
            Version::Two => group.limit("cpu.max", format!("{quota} {PERIOD:.0}"))?,
        }
        fault::written(&Plan { group, percent })
    }

    fn inject(&self, undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
        let plan: Plan = undo.plan()?;
        plan.group.enter(&undo.object)?;
        Ok(Box::new(Live { plan, undo: undo.clone(), tools: tools.clone() }))
    }

    fn undo(&self, undo: &Undo) -> Result<Cleanliness, UndoError> {
        // A load of a measurement that was broken off.
        crate::stress::undo_record(undo)?;
        limit::undo::<Plan>(undo, |plan| &plan.group)
    }
}

struct Live {
    plan: Plan,
    undo: Undo,
    tools: Tools,
}

/// Five of the kernel's periods. What a group uses beyond its share, because the machine stood still while it ran, the kernel
/// takes from it in the periods after: over a longer window it is nothing.
const WINDOW: Duration = Duration::from_millis(500);
/// How much more than configured may be measured, in percent of it: a slice that began before the window ended counts whole.
const OVER: f64 = 15.0;
/// How much less: the machine has other things to do.
const UNDER: f64 = 75.0;

impl Live {
    /// A load of our own beside the group's processes that fills its share.
    fn fill(&self, abort: &Abort) -> Result<Helper, Failed> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 100")]
        let workers = (self.plan.percent / 100.0).ceil() as usize;
        let job = Job::Cpu(Cpu { workers, share: 1.0, ramp: Ramp::default() });
        let helper = Helper::start(&self.tools, &job, self.undo.token, None)?;
        self.plan.group.admit(helper.process)?;
        // From a fresh period on: what was used before the helper was moved was not limited.
        abort.until(WINDOW / 5, || None::<()>);
        Ok(helper)
    }

    /// What the group's processes and the load have used so far, each.
    fn used(&self, load: Process) -> Vec<(Process, Duration)> {
        let members = self.undo.object.process().map(Process::members).unwrap_or_default();
        let own = members.into_iter().filter(|member| !helper::is_one(*member));
        own.chain([load]).filter_map(|process| Some((process, cpu_clock::of_process(process.pid).ok()?))).collect()
    }

    /// What all of them use over a window.
    fn measure(&self, load: Process, window: Duration, abort: &Abort) -> Result<(String, bool), Failed> {
        let (from, before) = measure::at_a_moment(|| self.used(load));
        abort.until(window, || None::<()>);
        let (to, after) = measure::at_a_moment(|| self.used(load));
        if !load.is_alive() {
            return Err(Failed("the load beside it has ended".to_owned()));
        }
        let earlier = |process| before.iter().find(|(other, _)| *other == process).map(|(_, used)| *used);
        let spent: Duration =
            after.into_iter().map(|(process, used)| used.saturating_sub(earlier(process).unwrap_or_default())).sum();
        let time = to - from;
        let used = spent.div_duration_f64(time) * 100.0;
        let most = self.plan.percent * (1.0 + OVER / 100.0) + 1.0;
        let least = self.plan.percent * (1.0 - UNDER / 100.0);
        let words = format!("{used:.1} % used with a load beside it, over {:.1} s", time.as_secs_f64());
        Ok((words, (least..=most).contains(&used)))
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let (achieved, holds) = match self.fill(abort) {
            Ok(load) => measure::longer_and_longer(abort, WINDOW, |window| self.measure(load.process, window, abort)),
            Err(Failed(why)) => (why, false),
        };
        let configured = format!("at most {} % of a CPU", self.plan.percent);
        Proof { configured, achieved, holds: holds && self.plan.group.is_limited() }
    }

    fn end(self: Box<Self>) -> Result<Undone, UndoError> {
        limit::end(&self.plan.group, &self.undo.object)
    }
}
