//! From a document and what there is to a plan, or to all reasons why there is none.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use formats::fis::{Native, translate};
use model::{
    alarm::{Alarm, AlarmState},
    catalogue::{Catalogue, Entry, Reversibility},
    event::InjectionId,
    experiment::{Action, Experiment, StopSource},
    limits::Policy,
    nearest::nearest,
    period::Period,
    resource::Resource,
};

use super::{Fault, Guard, Injection, Plan, PlannedAction, Problem, ResolvedTarget, Work, clash, targets};
use crate::{
    radius::{self, Bound},
    vocabulary,
};

/// How long an injection lives when nobody renews it. Renewed every third of it, it survives two lost renewals; and a
/// fault outlives a runner that was killed by no more than this.
pub const LEASE: Period = Period::from_secs(15);

/// What a run may take beyond its plan: injecting, measuring and undoing take seconds each, not minutes.
const MARGIN: Duration = Duration::from_secs(60);

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The document.
    pub experiment: &'a Experiment,
    /// Everything that could be hit, in the order its provider lists it.
    pub resources: &'a [Resource],
    /// The native actions that can be carried out.
    pub catalogue: &'a Catalogue,
    /// Alarms that the environment has, besides those of the document.
    pub alarms: &'a BTreeMap<String, Alarm>,
    /// The seed of the random choices.
    pub seed: u64,
    /// What the run is held to.
    pub rules: Rules<'a>,
}

/// What a run is held to, besides its document.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    /// Policies; each must be kept.
    pub policies: &'a [Bound],
    /// Whether somebody has said that what cannot be taken back may be done to what is not disposable.
    pub allow_irreversible: bool,
    /// The present, for policies with hours.
    pub now: jiff::Timestamp,
}

/// Plans a run: resolves targets, translates actions, binds stop conditions. Reports every problem there is.
///
/// # Errors
///
/// Everything for which the run could not be carried out exactly as the document says.
pub fn plan(request: &Request<'_>) -> Result<Plan, Vec<Problem>> {
    let experiment = request.experiment;
    let mut problems = Vec::new();
    let targets = targets::resolve(experiment, request.resources, request.seed).unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    });
    let targets_known = problems.is_empty();
    let order = in_order(experiment, &mut problems);
    let alarms: BTreeMap<&str, &Alarm> =
        request.alarms.iter().chain(&experiment.alarms).map(|(name, alarm)| (name.as_str(), alarm)).collect();

    let mut next_injection = 0;
    let mut actions = Vec::new();
    for name in order {
        let Some(action) = experiment.actions.get(name) else { continue };
        let mut work =
            Builder { request, targets: &targets, targets_known, alarms: &alarms, next: &mut next_injection };
        match work.build(name, action) {
            Ok(work) => actions.push(PlannedAction {
                name: name.to_owned(),
                action_id: action.action_id.clone(),
                start_after: action.start_after.clone(),
                work,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    let (guards, unguarded) = guards(experiment, &actions, &alarms, &mut problems);
    let deadline = experiment.windows.baseline.get() + longest_path(&actions) + experiment.windows.fault.get() + MARGIN;
    let bounds = bounds(request);
    problems.extend(radius::at_plan(&bounds, &actions, request.resources));
    problems.extend(irreversible(request, &actions));
    problems.extend(clash::clashes(&actions, request.catalogue));
    problems.extend(
        bounds
            .iter()
            .filter_map(|bound| bound.closed(request.rules.now, deadline))
            .map(|why| Problem::new("hours".to_owned(), why).fix("run it at another time")),
    );
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    problems.dedup();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Plan {
        seed: request.seed,
        targets,
        actions,
        guards,
        bounds,
        unguarded,
        windows: experiment.windows,
        lease: LEASE,
        deadline: Period::new(deadline),
    })
}

/// The policies, and the document's own limits.
fn bounds(request: &Request<'_>) -> Vec<Bound> {
    let limits = request.experiment.limits;
    let own = (!limits.is_empty())
        .then(|| Bound { source: "the document".to_owned(), policy: Policy { limits, ..Policy::default() } });
    own.into_iter().chain(request.rules.policies.iter().cloned()).collect()
}

/// Actions that would do to something of value what cannot be taken back, and nobody has allowed it.
fn irreversible(request: &Request<'_>, actions: &[PlannedAction]) -> Vec<Problem> {
    let forbidden = request.rules.policies.iter().find(|bound| bound.policy.forbid_irreversible);
    if request.rules.allow_irreversible && forbidden.is_none() {
        return Vec::new();
    }
    let for_good = actions.iter().filter_map(|action| match &action.work {
        Work::Fault(fault) if fault.reversibility == Reversibility::Irreversible => {
            let mut lost = fault.injections.iter().filter(|one| !one.resource.disposable);
            let first = lost.next()?;
            let more = match lost.count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let what = format!(
                "what `{}` does to {}{more} cannot be taken back: {}",
                fault.fault,
                first.resource.id,
                fault.aftermath().trim_end_matches('.')
            );
            Some(Problem::new(format!("actions.{}", action.name), what))
        }
        Work::Fault(_) | Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => None,
    });
    for_good
        .map(|problem| match forbidden {
            Some(bound) => problem.fix(format!("{} forbids it", bound.source)),
            None => problem.fix("say --allow-irreversible if that is meant"),
        })
        .collect()
}

/// The actions so that each follows those of its `startAfter`; by name where the order is free.
fn in_order<'a>(experiment: &'a Experiment, problems: &mut Vec<Problem>) -> Vec<&'a str> {
    let known = || experiment.actions.keys().map(String::as_str);
    for (name, action) in &experiment.actions {
        for before in &action.start_after {
            if !experiment.actions.contains_key(before) {
                let fix = nearest(before, known()).map_or_else(
                    || format!("the actions are {}", known().collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let place = format!("actions.{name}.startAfter");
                problems.push(Problem::new(place, format!("`{before}` is not an action")).fix(fix));
            }
        }
    }
    let mut order: Vec<&str> = Vec::new();
    let mut left: BTreeSet<&str> = known().collect();
    loop {
        let ready: Vec<&str> = left
            .iter()
            .copied()
            .filter(|name| {
                experiment
                    .actions
                    .get(*name)
                    .is_some_and(|action| action.start_after.iter().all(|before| !left.contains(before.as_str())))
            })
            .collect();
        if ready.is_empty() {
            break;
        }
        left.retain(|name| !ready.contains(name));
        order.extend(ready);
    }
    if let Some(first) = left.first() {
        let what = format!("these wait for each other: {}", left.iter().copied().collect::<Vec<_>>().join(", "));
        problems.push(Problem::new(format!("actions.{first}.startAfter"), what).fix("let one of them start first"));
    }
    order
}

/// Builds the work of one action after the other.
struct Builder<'a> {
    request: &'a Request<'a>,
    targets: &'a [ResolvedTarget],
    targets_known: bool,
    alarms: &'a BTreeMap<&'a str, &'a Alarm>,
    next: &'a mut u32,
}

impl Builder<'_> {
    fn build(&mut self, name: &str, action: &Action) -> Result<Work, Problem> {
        let place = format!("actions.{name}");
        let native = translate(action).map_err(|why| Problem::new(place.clone(), why.to_string()))?;
        match native.fault.as_str() {
            vocabulary::WAIT_ID => native.duration.map(|duration| Work::Wait { duration }).ok_or_else(|| {
                Problem::new(format!("{place}.parameters.duration"), "it is missing").fix("say how long, such as PT3M")
            }),
            vocabulary::ASSERT_ALARM_STATE_ID => self.assert_alarms(&place, &native),
            _ => self.fault(&place, action, native),
        }
    }

    fn assert_alarms(&self, place: &str, native: &Native) -> Result<Work, Problem> {
        let list = |key: &str| -> Result<Vec<String>, Problem> {
            let text = native.parameters.get(key).map(String::as_str).unwrap_or_default();
            let items: Vec<String> =
                text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
            if items.is_empty() {
                return Err(Problem::new(format!("{place}.parameters"), format!("it names no {key}"))
                    .fix("give a comma-separated list"));
            }
            Ok(items)
        };
        let alarms = list("alarms")?;
        if let Some(unknown) = alarms.iter().find(|alarm| !self.alarms.contains_key(alarm.as_str())) {
            return Err(no_alarm(format!("{place}.parameters"), unknown, self.alarms));
        }
        let states = list("states")?
            .iter()
            .map(|state| match state.as_str() {
                "OK" => Ok(AlarmState::Ok),
                "ALARM" => Ok(AlarmState::Alarm),
                "INSUFFICIENT_DATA" => Ok(AlarmState::InsufficientData),
                other => {
                    Err(Problem::new(format!("{place}.parameters"), format!("`{other}` is not a state of an alarm"))
                        .fix("the states are OK, ALARM and INSUFFICIENT_DATA"))
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Work::AssertAlarms { alarms, states })
    }

    fn fault(&mut self, place: &str, action: &Action, native: Native) -> Result<Work, Problem> {
        let Some(entry) = self.request.catalogue.get(&native.fault) else {
            let known = self.request.catalogue.iter().map(|entry| entry.id);
            let fix = nearest(&native.fault, known).map_or_else(
                || "`shaketable actions` lists what can be carried out".to_owned(),
                |near| format!("the nearest that can be carried out is `{near}`"),
            );
            let what = format!("`{}` needs `{}`, which nothing here carries out", action.action_id, native.fault);
            return Err(Problem::new(format!("{place}.actionId"), what).fix(fix));
        };
        let Some(target) = native.target_key.as_ref().and_then(|key| action.targets.get(key)) else {
            let key = native.target_key.as_deref().unwrap_or("Targets");
            let what = format!("`{}` hits something, and the action names no target under `{key}`", action.action_id);
            return Err(Problem::new(format!("{place}.targets"), what).fix("name a target under that key"));
        };
        let Some(resolved) = self.targets.iter().find(|one| one.name == *target) else {
            // When targets have problems of their own, those are reported; one that is not in the document is another.
            return if self.targets_known || !self.request.experiment.targets.contains_key(target) {
                let known = self.request.experiment.targets.keys().map(String::as_str);
                let fix = nearest(target, known).map(|near| format!("did you mean `{near}`?"));
                Err(Problem::new(format!("{place}.targets"), format!("`{target}` is not a target"))
                    .fix(fix.unwrap_or_else(|| "name one of the document's targets".to_owned())))
            } else {
                Ok(Work::Skip { reason: "its target is not resolved".to_owned() })
            };
        };
        if resolved.chosen.is_empty() {
            return Ok(Work::Skip { reason: format!("target {target} resolved to nothing: {}", resolved.how) });
        }
        takes(place, entry, resolved)?;
        let injections = resolved
            .chosen
            .iter()
            .map(|resource| {
                *self.next += 1;
                Injection { id: InjectionId(*self.next), resource: resource.clone() }
            })
            .collect();
        Ok(Work::Fault(Fault {
            fault: native.fault,
            parameters: native.parameters,
            target: target.clone(),
            follow: self.request.experiment.targets.get(target).is_some_and(|target| target.follow),
            injections,
            duration: native.duration,
            reversibility: entry.reversibility,
            undone_by: entry.undone_by.to_owned(),
        }))
    }
}

/// Whether the native action can hit every resource of a target.
fn takes(place: &str, entry: &Entry, target: &ResolvedTarget) -> Result<(), Problem> {
    let takes: BTreeSet<&str> = entry.targets.iter().flat_map(|kind| kind.resource_types).copied().collect();
    let cannot = target.chosen.iter().find(|resource| !resource.types.iter().any(|one| takes.contains(one.as_str())));
    cannot.map_or(Ok(()), |resource| {
        let what = format!("`{}` cannot hit {} ({})", entry.id, resource.id, resource.types.join(", "));
        let takes: Vec<&str> = takes.into_iter().collect();
        Err(Problem::new(format!("{place}.targets"), what).fix(format!("it hits {}", takes.join(", "))))
    })
}

/// Binds the stop conditions to alarms.
fn guards(
    experiment: &Experiment,
    actions: &[PlannedAction],
    alarms: &BTreeMap<&str, &Alarm>,
    problems: &mut Vec<Problem>,
) -> (Vec<Guard>, Option<String>) {
    let mut guards: Vec<Guard> = Vec::new();
    for (at, condition) in experiment.stop_conditions.iter().enumerate() {
        if condition.source == StopSource::None {
            continue;
        }
        let place = format!("stopConditions[{at}]");
        let Some(name) = condition.alarm_name() else {
            problems.push(Problem::new(place, "it names no alarm").fix("give its name or ARN as `value`"));
            continue;
        };
        match alarms.get(name) {
            Some(&alarm) if guards.iter().all(|guard| guard.name != name) => {
                guards.push(Guard { name: name.to_owned(), alarm: alarm.clone() });
            }
            Some(_) => {}
            None => problems.push(no_alarm(place, name, alarms)),
        }
    }
    let harms = actions
        .iter()
        .any(|action| matches!(&action.work, Work::Fault(fault) if fault.reversibility != Reversibility::Harmless));
    let none = experiment.stop_conditions.iter().find(|condition| condition.source == StopSource::None);
    let unguarded = none.map(|condition| {
        condition.why.clone().unwrap_or_else(|| "the document says `source: none` and gives no reason".to_owned())
    });
    if harms && experiment.stop_conditions.is_empty() {
        problems.push(
            Problem::new("stopConditions".to_owned(), "the experiment harms, and nothing would stop it")
                .fix("name an alarm; or say `source: none` and `why`"),
        );
    }
    let unguarded = if guards.is_empty() { unguarded } else { None };
    (guards, unguarded)
}

fn no_alarm(place: String, name: &str, alarms: &BTreeMap<&str, &Alarm>) -> Problem {
    let known: Vec<&str> = alarms.keys().copied().collect();
    let fix = match (nearest(name, known.iter().copied()), known.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`? There is {}", known.join(", ")),
        (None, false) => format!("there is {}", known.join(", ")),
        (None, true) => "there is none; add it under `alarms`".to_owned(),
    };
    Problem::new(place, format!("no alarm `{name}` is available")).fix(fix)
}

/// How long the actions take, one after the other as `startAfter` says, without what injecting and undoing take.
pub(super) fn longest_path(actions: &[PlannedAction]) -> Duration {
    starts(actions).into_iter().zip(actions).map(|(start, action)| start + action.length()).max().unwrap_or_default()
}

/// When each action starts, counted from the start of the first, without what injecting and undoing take.
pub(super) fn starts(actions: &[PlannedAction]) -> Vec<Duration> {
    starts_with(actions, PlannedAction::length)
}

/// When each action starts, if each takes so long: the plan's order makes one pass enough.
pub(super) fn starts_with(actions: &[PlannedAction], length: impl Fn(&PlannedAction) -> Duration) -> Vec<Duration> {
    let mut ends: BTreeMap<&str, Duration> = BTreeMap::new();
    actions
        .iter()
        .map(|action| {
            let start = action
                .start_after
                .iter()
                .filter_map(|before| ends.get(before.as_str()))
                .max()
                .copied()
                .unwrap_or_default();
            ends.insert(&action.name, start + length(action));
            start
        })
        .collect()
}
