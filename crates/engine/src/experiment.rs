//! The life of one experiment: plan, run, judge, record.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{
    alarm::Alarm,
    catalogue::Catalogue,
    event::What,
    experiment::Experiment,
    resource::{Resource, ResourceId},
    status::ExperimentStatus,
    target::Target,
};
use observe::Measurements;
use tokio::{sync::mpsc, sync::watch, task::JoinSet};

use crate::{
    Record, Recorder,
    driver::Driver,
    follow, foresee,
    guards::{self, States, Watched},
    judge::{self, Evidence},
    plan::{self, Plan, Problem, Request, Rules},
    progress::{self, Progress},
    provider::Provider,
    record::{self, Document},
    stop::{StopSignal, Urgency},
    timeline::Timeline,
};

/// What a plan is prepared from.
#[expect(missing_debug_implementations, reason = "providers have nothing to print")]
pub struct Preparation<'a> {
    /// The document.
    pub experiment: &'a Experiment,
    /// Where resources come from.
    pub providers: &'a [Arc<dyn Provider>],
    /// The native actions that can be carried out.
    pub catalogue: &'a Catalogue,
    /// Alarms that the environment has, besides those of the document.
    pub alarms: &'a BTreeMap<String, Alarm>,
    /// The seed of the random choices.
    pub seed: u64,
    /// What the run is held to.
    pub rules: Rules<'a>,
}

/// Asks the providers for their resources and plans a run. Nothing is touched: `--dry-run` ends here.
///
/// # Errors
///
/// Every reason why the run could not be carried out exactly as the document says.
pub async fn prepare(from: &Preparation<'_>) -> Result<Plan, Vec<Problem>> {
    let owned = resources(from.providers).await?;
    let resources: Vec<Resource> = owned.iter().map(|(resource, _)| resource.clone()).collect();
    let plan = plan::plan(&Request {
        experiment: from.experiment,
        resources: &resources,
        catalogue: from.catalogue,
        alarms: from.alarms,
        seed: from.seed,
        rules: from.rules,
    })?;
    let refusals = foresee::problems(&plan, &owned).await;
    if refusals.is_empty() { Ok(plan) } else { Err(refusals) }
}

/// All resources with their providers; an id that two of them offer is a problem, because an order names only the id.
async fn resources(providers: &[Arc<dyn Provider>]) -> Result<Vec<(Resource, Arc<dyn Provider>)>, Vec<Problem>> {
    let mut all: Vec<(Resource, Arc<dyn Provider>)> = Vec::new();
    let mut known: HashMap<ResourceId, usize> = HashMap::new();
    let mut problems = Vec::new();
    for (at, provider) in providers.iter().enumerate() {
        for resource in provider.resources().await {
            if let Some(other) = known.insert(resource.id.clone(), at)
                && other != at
            {
                let what = format!("two providers offer a resource {}", resource.id);
                problems.push(Problem::new("targets".to_owned(), what).fix("run against one of them"));
            }
            all.push((resource, Arc::clone(provider)));
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

/// What a run needs.
#[expect(missing_debug_implementations, reason = "providers have nothing to print")]
pub struct Setup {
    /// The document.
    pub experiment: Experiment,
    /// Its name and hash.
    pub document: Document,
    /// Wall time of the start of the recorder's clock, RFC 3339.
    pub started: String,
    /// What was planned, by [`prepare`].
    pub plan: Plan,
    /// Where the plan's resources come from.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Alarms that the environment has; they and those of the document are watched and recorded.
    pub alarms: BTreeMap<String, Alarm>,
    /// The samples of load, probes and lab, on the recorder's clock.
    pub measurements: Measurements,
    /// The record; the lab writes its events into the same one.
    pub recorder: Recorder,
    /// Where Ctrl-C is heard.
    pub stop: StopSignal,
    /// Where progress is told.
    pub progress: Option<watch::Sender<Option<Progress>>>,
}

/// How a run came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Everything that is known about it.
    pub record: Record,
    /// Whether somebody asked to stop twice, and waits for no report.
    pub hurry: bool,
}

/// Runs a plan to its end, whatever happens, and judges it. When this returns, everything is undone or listed as residue.
pub async fn run(setup: Setup) -> Outcome {
    run_guarded(setup, guards::watch).await
}

/// As [`run`], with who watches the alarms given.
async fn run_guarded<F>(setup: Setup, watch: impl FnOnce(Watched) -> F) -> Outcome
where
    F: Future<Output = ()> + Send + 'static,
{
    let plan = Arc::new(setup.plan.clone());
    let owners = Owners::find(&setup.providers).await;
    let (tell, told) = mpsc::unbounded_channel();
    let standing = watch::Sender::new(None);
    let alarms = States::default();
    // Guards and progress have tasks of their own, so that neither waits for the other or for the driver.
    let mut beside = JoinSet::new();
    let all_alarms = setup.alarms.iter().chain(&setup.experiment.alarms);
    let watched = Watched {
        alarms: all_alarms.map(|(name, alarm)| (name.clone(), alarm.clone())).collect(),
        guards: plan.guards.iter().map(|guard| guard.name.clone()).collect(),
        measurements: setup.measurements.clone(),
        recorder: setup.recorder.clone(),
        states: alarms.clone(),
        tell: tell.clone(),
    };
    beside.spawn(guards::keep(watch(watched), tell.clone()));
    let follows = |(name, target): (&String, &Target)| target.follow.then(|| (name.clone(), target.clone()));
    let followed: Vec<_> = setup.experiment.targets.iter().filter_map(follows).collect();
    if !followed.is_empty() {
        beside.spawn(follow::watch(followed, setup.providers.clone(), owners.clone(), tell.clone()));
    }
    if let Some(to) = &setup.progress {
        beside.spawn(progress::publish(
            Arc::clone(&plan),
            standing.subscribe(),
            setup.measurements.clone(),
            setup.recorder.clone(),
            to.clone(),
        ));
    }
    let mut driver = Driver {
        experiment: &setup.experiment,
        plan: Arc::clone(&plan),
        providers: HashMap::new(),
        owners,
        measurements: &setup.measurements,
        recorder: &setup.recorder,
        alarms,
        standing,
        tell,
        recovery_began: None,
    };
    let ended = driver.drive(told, setup.stop.clone()).await;
    beside.shutdown().await;
    let urgency = setup.stop.urgency();
    let record = finish(setup, ended.status(), urgency > Urgency::None);
    Outcome { record, hurry: urgency == Urgency::Hurry }
}

/// Whose the resources are. Clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Owners {
    known: Arc<Mutex<HashMap<ResourceId, Arc<dyn Provider>>>>,
    /// Where there is only one: a resource that has gone since it was planned is its, and it knows best what to say about it.
    only: Option<Arc<dyn Provider>>,
}

impl Owners {
    async fn find(providers: &[Arc<dyn Provider>]) -> Self {
        let only = if let [one] = providers { Some(Arc::clone(one)) } else { None };
        let owners = Self { known: Arc::default(), only };
        for provider in providers {
            for resource in provider.resources().await {
                owners.note(&resource.id, provider);
            }
        }
        owners
    }

    /// Notes whose a resource is; the first who offered it keeps it.
    pub(crate) fn note(&self, resource: &ResourceId, of: &Arc<dyn Provider>) {
        self.known().entry(resource.clone()).or_insert_with(|| Arc::clone(of));
    }

    /// Whose a resource is.
    pub(crate) fn of(&self, resource: &ResourceId) -> Option<Arc<dyn Provider>> {
        self.known().get(resource).or(self.only.as_ref()).map(Arc::clone)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ResourceId, Arc<dyn Provider>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Judges a run that has ended and closes its record.
fn finish(setup: Setup, status: ExperimentStatus, interrupted: bool) -> Record {
    let Setup { experiment, document, started, plan, measurements, recorder, .. } = setup;
    let ended = recorder.clock().now();
    let events = recorder.since(0);
    let timeline = Timeline::read(&plan, &events, ended);
    let evidence = Evidence {
        experiment: &experiment,
        plan: &plan,
        events: &events,
        timeline: &timeline,
        measurements: &measurements,
        interrupted,
    };
    let clauses = judge::clauses(&evidence);
    let (verdict, reason) = judge::verdict(&evidence, &clauses);
    let times = judge::times(&evidence);
    let suggestions = judge::suggest(&evidence, &clauses, &times, verdict, &reason);
    let series = record::series(&experiment, &plan, &measurements, ended);
    recorder.record(What::Verdict { verdict, reason: reason.clone() });
    let status_reason = timeline.status.as_ref().map(|(_, reason)| reason.clone()).unwrap_or_default();
    Record {
        format: record::FORMAT,
        document,
        seed: plan.seed,
        started,
        ended,
        status,
        status_reason,
        interrupted,
        verdict,
        reason,
        windows: timeline.windows,
        clauses,
        times,
        actions: timeline.actions,
        injections: timeline.injections,
        residue: timeline.residue,
        suggestions,
        previous: None,
        series,
        events: recorder.since(0),
        experiment,
        plan,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use model::{
        catalogue::Reversibility,
        event::{Cleanliness, InjectionId, Proof},
        period::Period,
        verdict::Verdict,
    };
    use observe::Clock;

    use super::*;
    use crate::{
        provider::{Boxed, InjectError, Order, UndoError, Undone},
        stop::stop_channel,
        testing,
    };

    /// One instance, on which a fault is in effect or not.
    #[derive(Debug, Default)]
    struct OneInstance(Mutex<bool>);

    impl Provider for OneInstance {
        fn resources(&self) -> Boxed<'_, Vec<Resource>> {
            Box::pin(async { vec![testing::instance("r1", "a")] })
        }

        fn inject(&self, _: Order) -> Boxed<'_, Result<Proof, InjectError>> {
            *self.0.lock().unwrap() = true;
            Box::pin(async { Ok(testing::proof(true)) })
        }

        fn undo(&self, _: InjectionId) -> Boxed<'_, Result<Undone, UndoError>> {
            *self.0.lock().unwrap() = false;
            Box::pin(async { Ok(Undone { cleanliness: Cleanliness::Clean, proof: None }) })
        }

        fn renew(&self, _: &[InjectionId]) {}
    }

    /// A run of a fault of an hour, in which the alarms are watched by `watch`.
    async fn watched_by<F>(watch: impl FnOnce(Watched) -> F) -> Record
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let provider = Arc::new(OneInstance::default());
        let delay = testing::fault("Delay", &[], [1], Some(Period::from_secs(3_600)), Reversibility::Undoable);
        let (_stop, stopped) = stop_channel();
        let setup = Setup {
            experiment: Experiment::default(),
            document: Document::new("delay.yaml", b"delay"),
            started: "2026-01-01T00:00:00Z".to_owned(),
            plan: Plan { deadline: Period::from_secs(7_200), ..testing::plan(vec![delay]) },
            providers: vec![Arc::clone(&provider) as Arc<dyn Provider>],
            alarms: BTreeMap::new(),
            measurements: Measurements::new(),
            recorder: Recorder::new(Clock::start()),
            stop: stopped,
            progress: None,
        };
        let record = run_guarded(setup, watch).await.record;
        assert!(!*provider.0.lock().unwrap(), "the fault is still in effect");
        record
    }

    async fn injected(recorder: &Recorder) {
        let mut length = recorder.watch();
        while !recorder.since(0).iter().any(|event| matches!(event.what, What::Injected { .. })) {
            length.changed().await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_whose_guards_nobody_watches_any_more_is_undone_at_once() {
        let panicked = watched_by(|watched| async move {
            injected(&watched.recorder).await;
            panic!("as the test wants it");
        });
        let ended = watched_by(|watched| async move { injected(&watched.recorder).await });
        for (record, why) in [(panicked.await, "as the test wants it"), (ended.await, "it came to an end by itself")] {
            let Record { verdict, reason, status, .. } = &record;
            assert_eq!((*verdict, *status), (Verdict::Inconclusive, ExperimentStatus::Stopped), "{reason}");
            assert!(reason.contains("stopped by the end of the guard task: ") && reason.contains(why), "{reason}");
            assert_eq!(record.exit_code(), Verdict::Inconclusive.exit_code(), "nobody interrupted it");
            let [injection] = record.injections.as_slice() else { panic!("{:?}", record.injections) };
            assert_eq!(injection.undone, injection.injected, "on a paused clock: without any delay");
            assert_eq!(record.residue, []);
        }
    }
}
