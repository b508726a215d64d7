//! The verdict: one word and one sentence. The rules are tried in order; the first that applies decides.

use model::{
    alarm::{AlarmState, TreatMissingData},
    event::{Cleanliness, What},
    metric::{Comparison, Concern, Condition, Quantity, Unit},
    moment::Moment,
    status::ActionStatus,
    verdict::{Verdict, Window},
};

use super::{Evidence, lateness};
use crate::{
    plan::{Guard, Work},
    record::{Claim, ClauseResult, Held},
};

/// A rule either decides or leaves it to the next.
type Rule = fn(&Evidence<'_>, &[ClauseResult]) -> Option<(Verdict, String)>;

/// In order of what outweighs what. What was not run properly cannot be judged (2 to 4), except that harm which was done
/// is harm (0, 1).
const OF_THE_RUN: &[Rule] = &[left_dirty, guard_fired, nothing_injected, not_achieved, interrupted];

/// Then what rests on the clauses: what broke outweighs what was merely slow, and that what nobody can tell.
const OF_THE_CLAUSES: &[Rule] =
    &[outage, not_recovered, degraded, own_delay, load_ended, too_few_samples, blind_guard, nothing_claimed];

/// The verdict on a run, and why.
pub(crate) fn verdict(evidence: &Evidence<'_>, clauses: &[ClauseResult]) -> (Verdict, String) {
    let first = |rules: &[Rule]| rules.iter().find_map(|rule| rule(evidence, clauses));
    if let Some(decided) = first(OF_THE_RUN) {
        return decided;
    }
    let (verdict, reason) =
        first(OF_THE_CLAUSES).unwrap_or_else(|| (Verdict::Green, format!("every clause held ({})", clauses.len())));
    // Only what the load measures can be its generator's fault.
    let of_the_load = clauses.iter().any(|one| one.metric.name.starts_with("http."));
    match lateness::remark(evidence).filter(|_| of_the_load) {
        Some(remark) => (verdict, format!("{reason}; {remark}")),
        None => (verdict, reason),
    }
}

fn left_dirty(evidence: &Evidence<'_>, _: &[ClauseResult]) -> Option<(Verdict, String)> {
    let first = evidence.timeline.residue.first()?;
    let count = evidence.timeline.residue.len();
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    Some((Verdict::Red, format!("it is not clean: {} on {}{more}", first.what, first.resource)))
}

fn guard_fired(evidence: &Evidence<'_>, _: &[ClauseResult]) -> Option<(Verdict, String)> {
    let injected = evidence.timeline.first_injection()?;
    let (_, alarm, reason) = evidence.timeline.guards_fired.iter().find(|(at, ..)| *at >= injected)?;
    Some((Verdict::Red, format!("stop condition {alarm} was met: {reason}")))
}

/// The run ended before anything was injected.
fn nothing_injected(evidence: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    if evidence.timeline.first_injection().is_some() {
        return None;
    }
    if let Some((_, alarm, reason)) = evidence.timeline.guards_fired.first() {
        return Some((
            Verdict::Invalid,
            format!("nothing was injected: stop condition {alarm} was met before: {reason}"),
        ));
    }
    if let Some((false, reason)) = &evidence.timeline.steady_state {
        let broken = clauses.iter().any(|one| one.claim == Claim::SteadyState && one.held == Some(Held::No));
        let verdict = if broken { Verdict::Invalid } else { Verdict::Inconclusive };
        return Some((verdict, format!("nothing was injected: the steady state was not there: {reason}")));
    }
    if evidence.interrupted {
        return interrupted(evidence, clauses);
    }
    let skipped = evidence.plan.actions.iter().find_map(|action| match &action.work {
        Work::Skip { reason } => Some(reason),
        Work::Fault(_) | Work::Wait { .. } | Work::AssertAlarms { .. } => None,
    });
    let meant = skipped.is_some() || evidence.plan.injections().next().is_some();
    meant.then(|| {
        let why = skipped.cloned().or_else(|| evidence.timeline.status.as_ref().map(|(_, reason)| reason.clone()));
        (Verdict::Invalid, format!("nothing was injected: {}", why.unwrap_or_default()))
    })
}

/// A fault did not take hold, or an action could not be carried out.
fn not_achieved(evidence: &Evidence<'_>, _: &[ClauseResult]) -> Option<(Verdict, String)> {
    let timeline = evidence.timeline;
    let missed = timeline.injections.iter().find_map(|one| {
        let at = |proof: &model::event::Proof| {
            format!("{} on {}: wanted {}, measured {}", one.fault, one.resource, proof.configured, proof.achieved)
        };
        // What went away under its fault, because the system replaced it, had been hit: the proof at the injection says so.
        let life = one.life_proof.as_ref().filter(|_| one.cleanliness != Some(Cleanliness::Gone));
        let unproven = one.proof.as_ref().into_iter().chain(life).find(|proof| !proof.holds).map(at);
        unproven.or_else(|| one.failure.as_ref().map(|why| format!("{} on {}: {why}", one.fault, one.resource)))
    });
    if let Some(missed) = missed {
        return Some((Verdict::Invalid, format!("a fault was not achieved: {missed}")));
    }
    let failed = timeline.actions.iter().find(|action| action.status == ActionStatus::Failed);
    if let Some(failed) = failed {
        return Some((Verdict::Invalid, format!("{} could not be carried out: {}", failed.name, failed.reason)));
    }
    let (status, reason) = timeline.status.as_ref()?;
    (*status == model::status::ExperimentStatus::Failed)
        .then(|| (Verdict::Invalid, format!("it could not be carried out: {reason}")))
}

fn interrupted(evidence: &Evidence<'_>, _: &[ClauseResult]) -> Option<(Verdict, String)> {
    let by = evidence.timeline.stops.first();
    if !evidence.interrupted {
        // Not by a person: its guards were lost.
        return by.map(|by| (Verdict::Inconclusive, format!("stopped by {by}; everything is undone")));
    }
    let by = by.map_or("somebody", String::as_str);
    Some((Verdict::Inconclusive, format!("interrupted by {by}; everything is undone")))
}

fn outage(_: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    broken(clauses, Concern::Availability).map(|why| (Verdict::Red, why))
}

/// The first clause of a concern that for certain did not hold while it should have, and how many more.
fn broken(clauses: &[ClauseResult], concern: Concern) -> Option<String> {
    let broken: Vec<&ClauseResult> = clauses
        .iter()
        .filter(|one| {
            one.claim == Claim::During && one.concern == concern && one.held == Some(Held::No) && !one.doubtful
        })
        .collect();
    let first = broken.first()?;
    let more = if broken.len() > 1 { format!("; and {} more", broken.len() - 1) } else { String::new() };
    Some(format!("{}: {}{more}", first.clause, first.why))
}

fn not_recovered(evidence: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    if evidence.timeline.recovered.is_some() {
        return None;
    }
    let window = evidence.timeline.window(Window::Recovery)?;
    let recovery = || clauses.iter().filter(|one| one.claim == Claim::Recovery);
    let length = super::clauses::seconds(window.to.since(window.from).as_secs_f64());
    let first = recovery().find(|one| one.held == Some(Held::No) && !one.doubtful);
    let hanging = super::hanging(evidence.experiment, evidence.measurements, window.from, evidence.timeline.ended);
    let why = match (first, hanging) {
        (Some(one), _) => format!("{}: {}", one.clause, one.why),
        (None, Some(place)) => format!("requests of load {place} that were due before it had no answer yet"),
        // What nobody can tell is not the same as not recovered: the rules about that follow.
        (None, None) if recovery().any(|one| one.held == Some(Held::NotEnough) || one.doubtful) => return None,
        (None, None) if evidence.held_throughout(window) => {
            let why = format!(
                "recovery was not seen: its clauses held throughout the {length} of its window, but nothing shows that for the {} \
                 that `settle` asks",
                evidence.experiment.windows.settle
            );
            return Some((Verdict::Inconclusive, why));
        }
        (None, None) => "its clauses did not hold together".to_owned(),
    };
    Some((Verdict::Red, format!("it did not recover within {length} of the last undo: {why}")))
}

fn degraded(_: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    let slow = broken(clauses, Concern::Performance);
    let late = clauses.iter().find(|one| one.claim == Claim::Recovery && one.held == Some(Held::Late));
    let why = slow.or_else(|| late.map(|one| format!("{}: {}", one.clause, one.why)))?;
    Some((Verdict::Yellow, format!("no outage, and it recovered, but {why}")))
}

/// What may be our own delay proves nothing against the system, and nothing for it.
fn own_delay(_: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    let first = clauses.iter().find(|one| one.doubtful)?;
    Some((Verdict::Inconclusive, format!("{}: {}", first.clause, first.why)))
}

/// What nobody asks any more breaks no promise: from there on, nothing is shown.
fn load_ended(evidence: &Evidence<'_>, _: &[ClauseResult]) -> Option<(Verdict, String)> {
    let ended = Condition { comparison: Comparison::Equal, quantity: Quantity { value: 0.0, unit: Unit::Count } };
    let (place, at) = (1..=evidence.experiment.load.len()).find_map(|place| {
        let since =
            evidence.measurements.held_since(&observe::load::running(place), &ended, evidence.timeline.ended)?;
        Some((place, since))
    })?;
    let why = format!("load {place} ended by itself before the run did: it asked nothing after {at}");
    Some((Verdict::Inconclusive, why))
}

fn too_few_samples(_: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    // A clause that was never judged has not held either.
    let first = clauses.iter().find(|one| matches!(one.held, None | Some(Held::NotEnough)))?;
    Some((Verdict::Inconclusive, format!("{}: {}", first.clause, first.why)))
}

/// A stop condition that never had data watched nothing, and a run that nothing watched over proves less than it says.
fn blind_guard(evidence: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    if clauses.is_empty() {
        return None;
    }
    let blind = evidence.plan.guards.iter().find(|guard| {
        // Where silence counts as good, the alarm is OK without any data: only the samples tell.
        let silent = || {
            let all = evidence.measurements.read(&guard.alarm.metric, Moment::ZERO, evidence.timeline.ended);
            guard.alarm.treat_missing_data == TreatMissingData::NotBreaching && all.samples() == 0
        };
        never_ok(evidence, guard) || silent()
    })?;
    Some((Verdict::Inconclusive, format!("stop condition {} never had data", blind.name)))
}

/// Whether a guard's alarm was never seen in the state OK.
fn never_ok(evidence: &Evidence<'_>, guard: &Guard) -> bool {
    !evidence
        .events
        .iter()
        .any(|event| matches!(&event.what, What::Alarm { alarm, to: AlarmState::Ok, .. } if *alarm == guard.name))
}

fn nothing_claimed(evidence: &Evidence<'_>, clauses: &[ClauseResult]) -> Option<(Verdict, String)> {
    if !clauses.is_empty() {
        return None;
    }
    let guards = &evidence.plan.guards;
    if guards.is_empty() {
        let why = "it has no hypothesis, and no stop condition was watched: nothing was claimed, nothing is shown";
        return Some((Verdict::Inconclusive, why.to_owned()));
    }
    // An alarm that never had data watched nothing.
    let blind = guards.iter().find(|guard| never_ok(evidence, guard));
    Some(match blind {
        Some(guard) => {
            (Verdict::Inconclusive, format!("it has no hypothesis, and stop condition {} never had data", guard.name))
        }
        None => (Verdict::Green, "its stop conditions held; it has no hypothesis".to_owned()),
    })
}
