//! Faults that bear not each other: a plan in which two of them would certainly be in effect on one resource at once is refused.
//!
//! When actions start and end is known but for what injecting and undoing take, and they may not start at all. So there are
//! three cases: two that start together, or whose windows overlap however long everything takes, are an error here; two that
//! cannot overlap are none; and of the rest nobody knows before, so that they are refused when the second is injected, if the
//! first is in effect then.

use std::{collections::BTreeSet, time::Duration};

use model::{catalogue::Catalogue, claim::Exclusive, resource::ResourceId};

use super::{Fault, PlannedAction, Problem, Work, build::starts_with};
use crate::run::{INJECT_PATIENCE, UNDO_PATIENCE, UNDO_PAUSE, UNDO_TRIES};

/// What injecting and undoing may take beyond a fault's length. What takes longer has failed, and nothing starts after it.
const DELAY: Duration = INJECT_PATIENCE.saturating_add(
    // Each try, and between them pauses of one, two, three ... times the first.
    UNDO_PATIENCE
        .saturating_mul(UNDO_TRIES)
        .saturating_add(UNDO_PAUSE.saturating_mul(UNDO_TRIES * (UNDO_TRIES - 1) / 2)),
);

/// Pairs of actions that would certainly clash.
pub(super) fn clashes(actions: &[PlannedAction], catalogue: &Catalogue) -> Vec<Problem> {
    let windows = windows(actions);
    let faults: Vec<(&PlannedAction, &Fault, Window)> = actions
        .iter()
        .zip(windows)
        .filter_map(|(action, window)| match &action.work {
            Work::Fault(fault) => Some((action, fault, window?)),
            Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => None,
        })
        .collect();
    let mut problems = Vec::new();
    for (at, (later, later_fault, later_window)) in faults.iter().enumerate() {
        for (earlier, earlier_fault, earlier_window) in faults.iter().take(at) {
            let together = same_start(earlier, later) || earlier_window.surely_meets(later_window);
            if let Some(what) = together.then(|| claimed_by_both(earlier_fault, later_fault, catalogue)).flatten()
                && let Some(resource) = hit_by_both(earlier_fault, later_fault)
            {
                let (one, other) = (&earlier_fault.fault, &later_fault.fault);
                let what = format!(
                    "`{other}` and `{one}` of actions.{} would both be in effect on {resource}, and only one can have {what}",
                    earlier.name
                );
                problems.push(
                    Problem::new(format!("actions.{}", later.name), what)
                        .fix("let one start when the other has ended (`startAfter`), or choose other resources"),
                );
            }
        }
    }
    problems
}

/// When a fault is in effect.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// It is ordered no later, and has its claims from then on.
    begins: Duration,
    /// It ends no earlier.
    ends: Duration,
}

impl Window {
    fn surely_meets(&self, other: &Self) -> bool {
        self.begins < other.ends && other.begins < self.ends
    }
}

/// When each action has something in effect; `None`: never for longer than a moment.
fn windows(actions: &[PlannedAction]) -> Vec<Option<Window>> {
    let earliest = starts_with(actions, PlannedAction::length);
    let latest = starts_with(actions, |action| match &action.work {
        Work::Fault(_) => action.length() + DELAY,
        Work::Wait { .. } | Work::AssertAlarms { .. } | Work::Skip { .. } => action.length(),
    });
    let window = |((action, earliest), latest): ((&PlannedAction, Duration), Duration)| {
        let Work::Fault(fault) = &action.work else { return None };
        let ends = match fault.duration {
            Some(length) => earliest + length.get(),
            // Until all others have ended.
            None if fault.is_lasting() => Duration::MAX,
            None => return None,
        };
        Some(Window { begins: latest, ends })
    };
    actions.iter().zip(earliest).zip(latest).map(window).collect()
}

/// Whether both start at the same moment, whenever that is.
fn same_start(one: &PlannedAction, other: &PlannedAction) -> bool {
    let after = |action: &PlannedAction| action.start_after.iter().cloned().collect::<BTreeSet<_>>();
    after(one) == after(other)
}

fn claimed_by_both(one: &Fault, other: &Fault, catalogue: &Catalogue) -> Option<Exclusive> {
    let (first, second) = (catalogue.get(&one.fault)?, catalogue.get(&other.fault)?);
    first.clash(&one.parameters, second, &other.parameters)
}

/// A resource that both hit, by itself or as a part of another.
fn hit_by_both<'a>(one: &'a Fault, other: &'a Fault) -> Option<&'a ResourceId> {
    let hits = |fault: &'a Fault| {
        fault.injections.iter().flat_map(|one| std::iter::once(&one.resource.id).chain(&one.resource.contains))
    };
    let hit: BTreeSet<&ResourceId> = hits(one).collect();
    hits(other).find(|id| hit.contains(id))
}

#[cfg(test)]
mod tests {
    use model::{
        catalogue::{Entry, Reversibility},
        claim::Claim,
        period::Period,
    };

    use super::*;
    use crate::testing::fault;

    static PAUSE: Entry = entry("process:pause", &[Claim::on_part(Exclusive::Tracer, "process")]);
    static SLOW: Entry = entry("disk:latency", &[Claim::on_part(Exclusive::Tracer, "process")]);
    static LATENCY: Entry = entry("network:latency", &[]);

    const fn entry(id: &'static str, exclusive: &'static [Claim]) -> Entry {
        Entry {
            id,
            about: "For tests.",
            targets: &[],
            parameters: &[],
            reversibility: Reversibility::SelfEnding,
            undone_by: "It is taken away.",
            proven_by: "It is there.",
            needs: &[],
            exclusive,
            fis: &[],
            chaos_mesh: None,
        }
    }

    /// An action that traces `r1`, for so many seconds or until the fault window ends.
    fn traces(name: &str, fault_id: &str, after: &[&str], seconds: Option<u64>) -> PlannedAction {
        let mut action = fault(name, after, [1], seconds.map(Period::from_secs), Reversibility::SelfEnding);
        if let Work::Fault(fault) = &mut action.work {
            fault.fault = fault_id.to_owned();
            fault.parameters.clear();
        }
        action
    }

    fn waits(name: &str, after: &[&str], seconds: u64) -> PlannedAction {
        let work = Work::Wait { duration: Period::from_secs(seconds) };
        PlannedAction { work, ..traces(name, "", after, None) }
    }

    fn found(actions: &[PlannedAction]) -> Vec<String> {
        let catalogue = Catalogue::new([&PAUSE, &SLOW, &LATENCY]);
        clashes(actions, &catalogue).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_that_start_together_on_one_resource_are_refused_by_name() {
        let both = [traces("A", "disk:latency", &[], Some(60)), traces("B", "process:pause", &[], Some(60))];
        assert_eq!(
            found(&both),
            [
                "actions.B: `process:pause` and `disk:latency` of actions.A would both be in effect on r1, and only one can have \
              the tracer of its processes; let one start when the other has ended (`startAfter`), or choose other resources"
            ]
        );
    }

    #[test]
    fn what_claims_nothing_of_the_other_or_hits_others_goes_together() {
        let mut both = [traces("A", "disk:latency", &[], Some(60)), traces("B", "network:latency", &[], Some(60))];
        assert_eq!(found(&both), [""; 0]);
        both[1] = fault("B", &[], [2], Some(Period::from_secs(60)), Reversibility::SelfEnding);
        if let Work::Fault(fault) = &mut both[1].work {
            fault.fault = "process:pause".to_owned();
        }
        assert_eq!(found(&both), [""; 0], "on another resource");
        let parts = ["web", "log"].map(|part| {
            let mut action = traces(part, "process:pause", &[], Some(60));
            if let Work::Fault(fault) = &mut action.work {
                fault.parameters.insert("process".to_owned(), part.to_owned());
            }
            action
        });
        assert_eq!(found(&parts), [""; 0], "on other processes of it");
    }

    #[test]
    fn one_after_the_other_is_refused_only_where_the_first_does_not_end() {
        let after = |first: Option<u64>| {
            [traces("A", "disk:latency", &[], first), traces("B", "process:pause", &["A"], Some(60))]
        };
        assert_eq!(found(&after(Some(60))), [""; 0]);
        let lasting = found(&after(None));
        assert!(matches!(&lasting[..], [one] if one.starts_with("actions.B: ")), "{lasting:?}");
    }

    #[test]
    fn windows_that_surely_overlap_are_refused_and_those_that_may_are_left_to_the_injection() {
        let later = |first: u64| {
            [
                traces("A", "disk:latency", &[], Some(first)),
                waits("Pause", &[], 60),
                traces("B", "process:pause", &["Pause"], Some(60)),
            ]
        };
        assert_eq!(found(&later(600)).len(), 1, "a wait takes as long as it says");
        assert_eq!(found(&later(30)), [""; 0], "the first is over by then");
        let delayed = |first: u64| {
            [
                traces("A", "disk:latency", &[], Some(first)),
                traces("First", "network:latency", &[], Some(60)),
                traces("B", "process:pause", &["First"], Some(60)),
            ]
        };
        let surely = 60 + DELAY.as_secs();
        assert_eq!(found(&delayed(surely)), [""; 0], "it may take that long until the second begins");
        assert_eq!(found(&delayed(surely + 1)).len(), 1);
    }
}
