//! What the faults share that intercept what a target does to the files of a folder: whose calls, which, and the proof.

use std::{
    path::Path,
    process::ChildStdout,
    time::{Duration, Instant},
};

use model::{
    catalogue::{Parameter, ParameterKind},
    event::{Cleanliness, Proof},
};

use crate::{
    disk::{
        file_call::{OPERATIONS, Operation},
        folder::Folder,
        probe::{Expected, Measured, Probe},
    },
    fault::{self, Abort, Failed, Injection, Refused, Tools, Undo, UndoError, Undone},
    helper::{Answer, Ear, Helper, Job},
    intercept::{Effect, Intercept, Report, tracer_of},
    object::Object,
    parameters::Checked,
    pause::Hold,
    process::{self, Process},
    stress,
};

pub(crate) const PATH: Parameter = Parameter {
    name: "path",
    kind: ParameterKind::Folder,
    required: true,
    default: None,
    about: "The folder, with all below it, as the target sees it.",
};
pub(crate) const AFFECTED: Parameter = Parameter {
    name: "operations",
    kind: ParameterKind::ListOf { values: OPERATIONS },
    required: false,
    default: Some("read,write,sync"),
    about: "What is hit: reading and writing content, waiting until the disk has it (sync), opening, looking up (lookup), making, removing, renaming and changing attributes (change).",
};
pub(crate) const PERCENT: Parameter = Parameter {
    name: "percent",
    kind: ParameterKind::Number { min: 0.1, max: 100.0 },
    required: false,
    default: Some("100"),
    about: "The share of these operations that is hit.",
};
pub(crate) const PROCESS: Parameter = Parameter {
    name: "process",
    kind: ParameterKind::Text,
    required: false,
    default: None,
    about: "Name of the processes that are hit; without it, all of the target.",
};
/// How all of them end.
pub(crate) const UNDONE_BY: &str = "The tracer that intercepts the target's system calls ends, and the kernel lets the target run on; it does so too when this process dies.";

/// What an interception does, before it is known to whom.
pub(crate) struct Order {
    pub(crate) operations: Vec<Operation>,
    pub(crate) only_to_write: bool,
    pub(crate) share: f64,
    pub(crate) effect: Effect,
}

/// The operations that the parameters name.
pub(crate) fn operations(parameters: Checked<'_>) -> Result<Vec<Operation>, Refused> {
    let text: String = parameters.read("operations")?;
    let parse = |name: &str| name.trim().parse().map_err(|()| Refused(format!("`operations`: `{name}` is none")));
    text.split(',').map(parse).collect()
}

/// Reads whom it hits, and decides how it is proven.
pub(crate) fn plan(object: &Object, parameters: Checked<'_>, order: Order) -> Result<serde_json::Value, Refused> {
    let folder = Folder::plan(object, parameters)?;
    if folder.path == Path::new("/") {
        return Err(Refused("`path`: `/` is everything, devices included; name the folder that is meant".to_owned()));
    }
    let hold = match parameters.text("process") {
        None => Hold::AllOf(object.process()?),
        Some(name) => Hold::These(object.processes_named(name)?),
    };
    for process in hold.processes() {
        traceable(process, object)?;
    }
    let Order { operations, only_to_write, share, effect } = order;
    let operation = *operations.first().ok_or_else(|| Refused("`operations` is empty".to_owned()))?;
    let (hits, expected, longest) = match effect {
        Effect::Error(errno) => (ENOUGH, Expected::Error(errno), None),
        Effect::Delay { delay, jitter } => {
            (enough(delay), Expected::Time(least(delay, jitter)), Some(longest(delay, jitter)))
        }
    };
    let probe = Probe { folder: folder.clone(), operation, expected, hits, most: most(hits, share), longest };
    fault::written(&Intercept { hold, folder, operations, only_to_write, share, effect, probe })
}

/// Refuses who must not be traced, or is already.
fn traceable(process: Process, object: &Object) -> Result<(), Refused> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let ancestors = std::iter::successors(Some(own), |pid| process::stat(*pid).ok().map(|stat| stat.parent));
    // Whoever waits for the tracer while it is stopped by it waits for ever.
    if ancestors.take_while(|pid| *pid > 0).any(|pid| pid == process.pid) {
        return Err(Refused(format!(
            "{} has this very process among its processes, or one that it was started by: its files are left alone",
            object.name
        )));
    }
    if let Some(tracer) = tracer_of(process.pid) {
        return Err(Refused(format!(
            "process {} of {} is traced by process {tracer} already: of debuggers and of faults that trace (process:pause, \
             disk:latency, disk:error, disk:read-only) a process bears one at a time",
            process.pid, object.name
        )));
    }
    Ok(())
}

/// So many hits show an error beyond doubt.
const ENOUGH: u32 = 20;
/// What all hits of the probe take together, for delays.
const PROBED: Duration = Duration::from_secs(1);

/// How many hits are enough when each takes so long.
fn enough(delay: Duration) -> u32 {
    let fits = PROBED.as_micros() / delay.as_micros().max(1);
    u32::try_from(fits).unwrap_or(ENOUGH).clamp(1, ENOUGH)
}

/// From when on an operation counts as delayed: half of the shortest delay, but longer than a busy machine mostly takes for one.
fn least(delay: Duration, jitter: Duration) -> Duration {
    (delay.saturating_sub(jitter) / 2).max(Duration::from_micros(500))
}

/// What a delayed operation takes at the median at most.
fn longest(delay: Duration, jitter: Duration) -> Duration {
    delay + jitter + delay / 10 + SLACK
}

/// In how many operations chance gives so many hits: all but certainly (for one hit, in all but one of 500 million cases).
fn most(hits: u32, share: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 20 / 0.001 * 20")]
    let most = (f64::from(hits) / share * 20.0) as u32;
    most
}

/// An interception in effect.
struct Live {
    helper: Helper,
    ear: Ear<ChildStdout>,
    plan: Intercept,
    object: Object,
    /// What the probe saw, once it is known.
    measured: Option<Measured>,
}

/// Begins it.
pub(crate) fn inject(undo: &Undo, tools: &Tools) -> Result<Box<dyn Injection>, Failed> {
    let plan: Intercept = undo.plan()?;
    // Outside of the target's pid namespace: it must see what this process sees.
    let job = Job::Intercept(Box::new(plan.clone()));
    let (helper, ear) = Helper::start_to_hear(tools, &job, undo.token, None)?;
    Ok(Box::new(Live { helper, ear, plan, object: undo.object.clone(), measured: None }))
}

/// Ends what a dead process began.
pub(crate) fn undo(undo: &Undo) -> Result<Cleanliness, UndoError> {
    stress::undo_record(undo)
}

/// Beyond what the probe's operations take by themselves: a disk may be slow, and the machine busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// For threads that were waiting for a disk themselves to come back from it.
const RETURN: Duration = Duration::from_secs(5);
/// For the last words of a helper that has been told to end.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much later than meant a delayed operation may be done, beside a tenth of the delay: what the operation itself takes, and
/// the machine until it sees to it.
pub(crate) const SLACK: Duration = Duration::from_millis(10);

impl Live {
    fn configured(&self) -> String {
        let Intercept { folder, operations, only_to_write, share, effect, .. } = &self.plan;
        let names: Vec<String> = operations.iter().map(ToString::to_string).collect();
        let share = if *share < 1.0 { format!("{} % of ", share * 100.0) } else { String::new() };
        match effect {
            Effect::Error(_) if *only_to_write => format!("{folder} read-only"),
            Effect::Error(errno) => format!("{} for {share}{} in {folder}", name_of(*errno), names.join(", ")),
            Effect::Delay { delay, jitter } => {
                let jitter = if jitter.is_zero() { String::new() } else { format!(" ± {}", millis(*jitter)) };
                format!("{share}{} in {folder} delayed by {}{jitter}", names.join(", "), millis(*delay))
            }
        }
    }

    /// How many threads of the target there are, and of how many each call is seen.
    fn seized(&self) -> (usize, usize) {
        let threads: Vec<i32> = self
            .plan
            .hold
            .processes()
            .into_iter()
            .filter(|process| process.is_alive())
            .flat_map(Process::threads)
            .collect();
        let tracers = self.helper.process.threads();
        let ours = threads.iter().filter(|thread| tracer_of(**thread).is_some_and(|tracer| tracers.contains(&tracer)));
        (ours.count(), threads.len())
    }

    fn judge(&self, measured: Measured) -> (String, bool) {
        let Measured { tried, hits, median } = measured;
        let operation = self.plan.probe.operation;
        let enough = hits >= self.plan.probe.hits && by_chance(hits, tried, self.plan.share);
        match self.plan.effect {
            Effect::Error(errno) => (format!("{hits} of {tried} probes ({operation}) got {}", name_of(errno)), enough),
            Effect::Delay { delay, jitter } => {
                let in_time = median + jitter >= delay && median <= longest(delay, jitter);
                let words = format!("{hits} of {tried} probes ({operation}) delayed, at the median {}", millis(median));
                (words, enough && in_time)
            }
        }
    }

    fn farewell(&mut self) -> Option<Report> {
        self.helper.release();
        let end = Instant::now() + FAREWELL;
        loop {
            match self.ear.next(end.saturating_duration_since(Instant::now())) {
                Ok(Some(Answer::Intercepted(report))) => return Some(report),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Injection for Live {
    fn prove(&mut self, abort: &Abort) -> Proof {
        let heard = abort.until(PATIENCE, || match self.ear.next(Duration::ZERO) {
            Ok(Some(Answer::Measured(measured))) => Some(Ok(measured)),
            Ok(Some(Answer::Cannot(why))) => Some(Err(why)),
            Ok(_) => None,
            Err(Failed(why)) => Some(Err(why)),
        });
        let configured = self.configured();
        let measured = match heard {
            Some(Ok(measured)) => measured,
            Some(Err(why)) => return Proof { configured, achieved: why, holds: false },
            None => return Proof { configured, achieved: "nothing was measured in time".to_owned(), holds: false },
        };
        self.measured = Some(measured);
        let all = abort.until(RETURN, || {
            let (ours, all) = self.seized();
            (all > 0 && ours == all).then_some(all)
        });
        let (words, holds) = self.judge(measured);
        let (ours, threads) = self.seized();
        let achieved = format!("{words}; {ours} of {threads} threads of the target intercepted");
        Proof { configured, achieved, holds: holds && all.is_some() }
    }

    fn end(mut self: Box<Self>) -> Result<Undone, UndoError> {
        let configured = self.configured();
        let report = self.farewell();
        let (pid, tracers) = (self.helper.process.pid, self.helper.process.threads());
        let clean = stress::end(&mut self.helper, &self.object);
        let held = || {
            let threads = self.plan.hold.processes().into_iter().flat_map(Process::threads);
            threads.into_iter().find(|thread| tracer_of(*thread).is_some_and(|tracer| tracers.contains(&tracer)))
        };
        let cleanliness = match held() {
            None => clean,
            Some(thread) => Cleanliness::Dirty {
                residue: format!("thread {thread} of {} is held by a tracer", self.object.name),
                repair: format!("kill -9 {pid}"),
            },
        };
        let (achieved, holds) = match (report, self.plan.effect) {
            (None, _) => ("what intercepted them had ended before".to_owned(), false),
            (Some(Report { concerned: 0, .. }), _) => ("the target did nothing of the kind".to_owned(), true),
            (Some(report), Effect::Error(_)) => {
                (format!("{} of {} operations of the target failed", report.hits, report.concerned), true)
            }
            (Some(report), Effect::Delay { .. }) => delayed(&report),
        };
        Ok(Undone { cleanliness, proof: Some(Proof { configured, achieved, holds }) })
    }
}

/// What delays came to, and whether they were what was meant: at least three of four, for a machine may be busy now and then, and
/// of few all but one, for it stands still in one moment that others have not. Those that were still held in the end had only
/// begun theirs.
fn delayed(report: &Report) -> (String, bool) {
    let Report { concerned, delays, late, delayed, .. } = report;
    let each = delayed.checked_div(*delays).unwrap_or_default();
    let late_ones = if *late > 0 { format!("; {late} of them longer than meant") } else { String::new() };
    let words =
        format!("{delays} of {concerned} operations of the target delayed, by {} on average{late_ones}", millis(each));
    let most_late = if *delays > 2 { (delays / 4).max(1) } else { 0 };
    (words, *late <= most_late)
}

/// Whether chance gives that many hits, within four standard deviations (it does not in one of 16,000 cases) and one, for where
/// it was stopped at a hit.
fn by_chance(hits: u32, tried: u32, share: f64) -> bool {
    let (hits, tried) = (f64::from(hits), f64::from(tried));
    (hits - tried * share).abs() <= 4.0 * (tried * share * (1.0 - share)).sqrt() + 1.0
}

fn millis(time: Duration) -> String {
    format!("{} ms", (time.as_secs_f64() * 1e4).round() / 10.0)
}

/// Errors by name: those that disks and file systems give.
pub(crate) const ERRORS: &[(&str, i32)] = &[
    ("EIO", libc::EIO),
    ("ENOSPC", libc::ENOSPC),
    ("EDQUOT", libc::EDQUOT),
    ("EROFS", libc::EROFS),
    ("EACCES", libc::EACCES),
    ("EPERM", libc::EPERM),
    ("ENOENT", libc::ENOENT),
    ("EBUSY", libc::EBUSY),
    ("ESTALE", libc::ESTALE),
    ("ETIMEDOUT", libc::ETIMEDOUT),
];

fn name_of(errno: i32) -> &'static str {
    ERRORS.iter().find(|(_, number)| *number == errno).map_or("an error", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_takes_about_a_second_and_sees_at_least_one_hit() {
        assert_eq!(enough(Duration::from_millis(1)), ENOUGH);
        assert_eq!(enough(Duration::from_millis(100)), 10);
        assert_eq!(enough(Duration::from_secs(5)), 1);
        assert_eq!(most(20, 1.0), 400);
        assert_eq!(most(1, 0.001), 20_000);
    }

    #[test]
    fn chance_is_allowed_for_and_no_more() {
        assert!(by_chance(20, 20, 1.0));
        assert!(!by_chance(20, 22, 1.0));
        assert!(by_chance(20, 67, 0.3));
        assert!(by_chance(1, 900, 0.001));
        assert!(!by_chance(20, 20, 0.1));
    }

    #[test]
    fn delays_that_grow_on_the_way_are_told() {
        let report = |delays: &[(u64, u64)]| {
            let mut report = Report { concerned: 10, hits: 5, ..Report::default() };
            for (meant, took) in delays {
                report.count(Duration::from_millis(*meant), Duration::from_millis(*took));
            }
            delayed(&report)
        };
        assert!(report(&[(100, 100), (100, 101), (50, 64)]).1);
        // The machine stood still once.
        let (words, holds) = report(&[(100, 100), (100, 2000), (50, 60)]);
        assert!(holds && words.contains("3 of 10") && words.contains("1 of them longer"), "{words}");
        assert!(!report(&[(100, 140), (100, 140), (50, 50)]).1);
        assert!(!report(&[(100, 140), (50, 50)]).1);
        let among = |late: usize, all: usize| {
            let delays: Vec<_> = (0..all).map(|at| (100, if at < late { 140 } else { 100 })).collect();
            report(&delays).1
        };
        assert!(among(3, 12) && !among(4, 12));
    }

    #[test]
    fn this_process_and_who_started_it_are_left_alone() {
        let process = |pid: u32| Process::find(i32::try_from(pid).unwrap()).unwrap();
        let object = Object { name: "i-1".to_owned(), ..Object::default() };
        for pid in [std::process::id(), std::os::unix::process::parent_id()] {
            assert!(traceable(process(pid), &object).unwrap_err().0.contains("left alone"));
        }
    }
}
