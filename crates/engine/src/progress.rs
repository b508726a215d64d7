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
