//! Times to detect, replace, recover and abort, computed from events, never typed in.

use model::{
    alarm::AlarmState,
    event::{Event, InstanceChange, What},
    moment::Moment,
};

use super::{Evidence, recovery_clauses, settled_since};
use crate::record::{Times, Took};

/// All times of a run.
pub(crate) fn times(evidence: &Evidence<'_>) -> Times {
    let timeline = evidence.timeline;
    let Some(start) = timeline.first_injection() else { return Times::default() };
    let after: Vec<&Event> = evidence.events.iter().filter(|event| event.at >= start).collect();
    Times {
        first_injection: Some(start),
        last_undo: timeline.last_undo(),
        detect_by_balancer: after.iter().find_map(|event| match &event.what {
            What::Target { balancer, instance, healthy: false, .. } => Some(Took::between(
                start,
                event.at,
                format!("from the first injection until balancer {balancer} stopped sending to {instance}"),
            )),
            _ => None,
        }),
        detect_by_alarm: after.iter().find_map(|event| match &event.what {
            What::Alarm { alarm, to: AlarmState::Alarm, .. } => {
                Some(Took::between(start, event.at, format!("from the first injection until alarm {alarm}")))
            }
            _ => None,
        }),
        replace: replace(&after),
        recover: recover(evidence, start),
        abort: timeline.guards_fired.iter().find(|(at, ..)| *at >= start).and_then(|(fired, alarm, _)| {
            let last = timeline.last_undo().filter(|last| last >= fired)?;
            Some(Took::between(*fired, last, format!("from stop condition {alarm} until the last undo")))
        }),
    }
}

/// From the loss of an instance until one that was launched afterwards in its group is ready.
fn replace(events: &[&Event]) -> Option<Took> {
    let mut instances = events.iter().filter_map(|event| match &event.what {
        What::Instance { instance, group, change, .. } => Some((event.at, instance, group, *change)),
        _ => None,
    });
    let lost = |change| matches!(change, InstanceChange::Exited | InstanceChange::Terminated | InstanceChange::Stopped);
    let (gone, old, group, _) = instances.find(|(.., change)| lost(*change))?;
    let mut launched = Vec::new();
    for (at, instance, its_group, change) in instances.filter(|(_, _, its_group, _)| *its_group == group) {
        match change {
            InstanceChange::Launched => launched.push(instance),
            InstanceChange::Ready if launched.contains(&instance) => {
                let what = format!("from the loss of {old} until {instance} was ready in group {its_group}");
                return Some(Took::between(gone, at, what));
            }
            _ => {}
        }
    }
    None
}

/// From the first injection until every recovery clause held again; none where nothing is claimed or it never recovered.
fn recover(evidence: &Evidence<'_>, start: Moment) -> Option<Took> {
    let recovered = evidence.timeline.recovered?;
    let settle = evidence.experiment.windows.settle.get();
    let since = recovery_clauses(evidence.experiment)
        .iter()
        .map(|clause| settled_since(clause, evidence.measurements, recovered, settle))
        .collect::<Option<Vec<Moment>>>()?
        .into_iter()
        .max()?;
    Some(Took::between(start, since.max(start), "from the first injection until the recovery clauses held again"))
}
