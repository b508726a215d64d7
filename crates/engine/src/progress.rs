//! What a person who looks on wants to know: phase, health, rate, latency, errors, active faults, time left.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use model::{event::InjectionId, metric::Metric, moment::Moment, status::ExperimentStatus};
use observe::Measurements;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

pub use crate::run::Phase;
use crate::{Recorder, driver::Standing, plan::Plan};

/// How often it is renewed: often enough to look alive, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(250);

/// The stretch that the figures are about: long enough to be steady, short enough to be news.
const STRETCH: Duration = Duration::from_secs(2);

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The phase.
    pub phase: Phase,
    /// The experiment's status.
    pub status: ExperimentStatus,
    /// Since when it is in this phase.
    pub since: Moment,
    /// Now.
    pub now: Moment,
    /// When the phase ends: at the earliest (baseline, fault window), at the latest (recovery); none where nobody knows.
    pub until: Option<Moment>,
    /// Healthy instances by group, for the groups that are hit.
    pub healthy: Vec<(String, f64)>,
    /// Successful responses per second, lately.
    pub rate: Option<f64>,
    /// 99th percentile of latency in seconds, lately.
    pub p99: Option<f64>,
    /// Failed requests since the start.
    pub errors: Option<f64>,
    /// The faults that are in effect, in words.
    pub active: Vec<String>,
    /// How long it will still take at most, if that is known.
    pub left: Option<Duration>,
}

/// Publishes the progress of a run until nobody listens or it is dropped.
pub(crate) async fn publish(
    plan: Arc<Plan>,
    standing: watch::Receiver<Option<Standing>>,
    measurements: Measurements,
    recorder: Recorder,
    to: watch::Sender<Option<Progress>>,
) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !to.is_closed() {
        tick.tick().await;
        let now = standing.borrow().clone();
        if let Some(standing) = now {
            to.send_replace(Some(look(&plan, &standing, &measurements, recorder.clock().now())));
        }
    }
}

fn look(plan: &Plan, standing: &Standing, measurements: &Measurements, now: Moment) -> Progress {
    let lately = |metric: &Metric| measurements.read(metric, now.before(STRETCH), now).value();
    let groups: BTreeSet<&String> =
        plan.targets.iter().flat_map(|target| &target.chosen).filter_map(|one| one.group.as_ref()).collect();
    Progress {
        phase: standing.phase,
        status: standing.status,
        since: standing.since,
        now,
        until: standing.window_ends,
        healthy: groups
            .into_iter()
            .filter_map(|group| Some((group.clone(), lately(&Metric::of("group.healthy", group))?)))
            .collect(),
        rate: lately(&Metric::new("http.rate")),
        p99: lately(&Metric::new("http.latency.p99")),
        errors: measurements.read(&Metric::new("http.errors"), Moment::ZERO, now).value(),
        active: active(plan, &standing.open),
        left: left(plan, standing, now),
    }
}

/// The faults in effect, each once, with how many resources it is on.
fn active(plan: &Plan, open: &[InjectionId]) -> Vec<String> {
    plan.actions
        .iter()
        .filter_map(|action| {
            let crate::plan::Work::Fault(fault) = &action.work else { return None };
            let count = fault.injections.iter().filter(|one| open.contains(&one.id)).count();
            (count > 0).then(|| format!("{} on {count}", fault.fault))
        })
        .collect()
}

/// The time until the end of the run, if everything goes on as planned: an upper limit, as recovery may be quicker.
fn left(plan: &Plan, standing: &Standing, now: Moment) -> Option<Duration> {
    let recovery = plan.windows.recovery.get();
    let rest = standing.window_ends.map(|end| end.since(now));
    match standing.phase {
        Phase::Baseline => Some(rest? + plan.fault_length() + recovery),
        Phase::Running => {
            let ends = standing.since + plan.fault_length();
            Some(ends.since(now).max(rest.unwrap_or_default()) + recovery)
        }
        Phase::Recovering => rest,
        Phase::Pending | Phase::Judging | Phase::Stopping | Phase::Ended => None,
    }
}

#[cfg(test)]
mod tests {
    use model::{catalogue::Reversibility, period::Period};

    use super::*;
    use crate::testing::{fault, instance, plan};

    fn at(phase: Phase, since: u64, window_ends: Option<u64>, open: &[u32]) -> Standing {
        Standing {
            phase,
            status: ExperimentStatus::Running,
            since: Moment::from_secs(since),
            window_ends: window_ends.map(Moment::from_secs),
            open: open.iter().map(|&id| InjectionId(id)).collect(),
        }
    }

    #[test]
    fn the_time_left_counts_down_and_never_below_what_is_known() {
        let slow = fault("a", &[], [1, 2], Some(Period::from_secs(20)), Reversibility::SelfEnding);
        let plan = plan(vec![slow]);
        let left = |standing: &Standing, now| left(&plan, standing, Moment::from_secs(now)).map(|left| left.as_secs());
        // 10 s of baseline, 20 s of fault, at most 30 s of recovery.
        assert_eq!(left(&at(Phase::Baseline, 0, Some(10), &[]), 0), Some(60));
        assert_eq!(left(&at(Phase::Baseline, 0, Some(10), &[]), 8), Some(52));
        assert_eq!(left(&at(Phase::Running, 10, Some(20), &[1]), 15), Some(45));
        assert_eq!(left(&at(Phase::Running, 10, None, &[1]), 45), Some(30), "late, and still to recover");
        assert_eq!(left(&at(Phase::Recovering, 40, Some(70), &[]), 50), Some(20));
        assert_eq!(left(&at(Phase::Stopping, 20, None, &[1]), 21), None);
    }

    #[test]
    fn it_shows_the_health_of_the_groups_that_are_hit_and_the_faults_in_effect() {
        let slow = fault("a", &[], [1, 2, 3], Some(Period::from_secs(20)), Reversibility::SelfEnding);
        let mut plan = plan(vec![slow]);
        plan.targets = vec![crate::plan::ResolvedTarget {
            name: "some".to_owned(),
            resource_type: "lab:instance".to_owned(),
            matching: 3,
            chosen: vec![instance("r1", "a"), instance("r2", "b")],
            how: String::new(),
        }];
        let measurements = Measurements::new();
        measurements.gauge(&Metric::of("group.healthy", "web"), Moment::ZERO, 2.0);
        measurements.gauge(&Metric::of("group.healthy", "api"), Moment::ZERO, 5.0);
        measurements.count(&Metric::new("http.success"), Moment::from_secs(9), 20);
        measurements.count(&Metric::new("http.errors.timeout"), Moment::from_secs(1), 3);
        let standing = at(Phase::Running, 5, None, &[1, 3]);
        let seen = look(&plan, &standing, &measurements, Moment::from_secs(10));
        assert_eq!(seen.healthy, [("web".to_owned(), 2.0)]);
        assert_eq!((seen.rate, seen.errors), (Some(10.0), Some(3.0)));
        assert_eq!(seen.active, ["network:latency on 2"]);
    }
}
