//! A provider whose faults are entries of a set, and the stage around it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use engine::{
    Recorder,
    experiment::{Outcome, Preparation, Setup, prepare, run},
    plan::{Plan, Problem, Rules},
    provider::{Boxed, InjectError, Order, Provider, UndoError, Undone},
    record::Document,
    stop::{StopHandle, stop_channel},
};
use model::{
    alarm::{Alarm, Statistic, TreatMissingData},
    catalogue::{Catalogue, Entry, Reversibility, TargetKind},
    event::{Cleanliness, InjectionId, Proof, What},
    experiment::{Action, Experiment, StopCondition, StopSource, Windows},
    hypothesis::Clause,
    metric::{Comparison, Metric},
    period::Period,
    resource::{Resource, ResourceId},
    target::{SelectionMode, Target},
};
use observe::{Clock, Measurements};

const INSTANCES: &[TargetKind] =
    &[TargetKind { key: "Instances", resource_types: &["lab:instance", "aws:ec2:instance"] }];

const fn entry(id: &'static str, reversibility: Reversibility) -> Entry {
    Entry {
        id,
        about: "For tests.",
        targets: INSTANCES,
        parameters: &[],
        reversibility,
        undone_by: "It is taken out of the set.",
        proven_by: "It is in the set.",
        needs: &[],
        exclusive: &[],
        fis: &[],
        chaos_mesh: None,
    }
}

pub(crate) static LATENCY: Entry = entry("network:latency", Reversibility::SelfEnding);
pub(crate) static TERMINATE: Entry = entry("instance:terminate", Reversibility::Irreversible);

/// What happens to the resources by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    #[default]
    Stay,
    /// All fall ill when the run has been planned and has found out who owns them.
    FallIll,
    /// The last one comes only after the run has been planned.
    LastComesLate,
}

/// What the provider does when it is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// How long an inject takes.
    pub(crate) inject: Duration,
    /// How long an undo takes.
    pub(crate) undo: Duration,
    /// Why no inject works, if none does.
    pub(crate) refuses: Option<String>,
    /// Whether injecting panics.
    pub(crate) breaks_down: bool,
    /// Whether the effect can be measured.
    pub(crate) unproven: bool,
    /// How many undos of each injection fail before one works.
    pub(crate) failing_undos: u32,
    /// Whether something is left behind.
    pub(crate) dirty: bool,
    /// What happens to the resources by themselves.
    pub(crate) fate: Fate,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) in_effect: BTreeSet<InjectionId>,
    pub(crate) injected: u32,
    pub(crate) most_in_effect: usize,
    pub(crate) undos: BTreeMap<InjectionId, u32>,
    pub(crate) renewals: u32,
    /// How often somebody has asked what there is.
    pub(crate) looks: u32,
}

/// Faults are entries of a set.
pub(crate) struct Simulated {
    pub(crate) resources: Vec<Resource>,
    pub(crate) behaviour: Behaviour,
    pub(crate) state: Mutex<State>,
}

impl Simulated {
    pub(crate) fn new(instances: u32, behaviour: Behaviour) -> Arc<Self> {
        let resources = (0..instances).map(instance).collect();
        Arc::new(Self { resources, behaviour, state: Mutex::default() })
    }
}

impl Provider for Simulated {
    fn resources(&self) -> Boxed<'_, Vec<Resource>> {
        Box::pin(async {
            let mut state = self.state.lock().unwrap();
            state.looks += 1;
            let healthy = !(self.behaviour.fate == Fate::FallIll && state.looks > 2);
            let late = self.behaviour.fate == Fate::LastComesLate && state.looks < 2;
            let there = self.resources.iter().take(self.resources.len() - usize::from(late));
            there.map(|one| Resource { healthy: Some(healthy), ..one.clone() }).collect()
        })
    }

    fn inject(&self, order: Order) -> Boxed<'_, Result<Proof, InjectError>> {
        Box::pin(async move {
            tokio::time::sleep(self.behaviour.inject).await;
            assert!(!self.behaviour.breaks_down, "the injector breaks down, as the test wants it");
            if let Some(why) = &self.behaviour.refuses {
                return Err(InjectError::Refused(why.clone()));
            }
            let mut state = self.state.lock().unwrap();
            state.in_effect.insert(order.injection);
            state.injected += 1;
            state.most_in_effect = state.most_in_effect.max(state.in_effect.len());
            let holds = !self.behaviour.unproven;
            Ok(Proof { configured: "latency 100 ms".to_owned(), achieved: "measured".to_owned(), holds })
        })
    }

    fn undo(&self, injection: InjectionId) -> Boxed<'_, Result<Undone, UndoError>> {
        Box::pin(async move {
            tokio::time::sleep(self.behaviour.undo).await;
            let mut state = self.state.lock().unwrap();
            let tries = state.undos.entry(injection).or_default();
            *tries += 1;
            if *tries <= self.behaviour.failing_undos {
                return Err(UndoError { why: "no permission".to_owned(), repair: "ask root".to_owned() });
            }
            state.in_effect.remove(&injection);
            let cleanliness = if self.behaviour.dirty {
                Cleanliness::Dirty { residue: "a rule".to_owned(), repair: "delete it".to_owned() }
            } else {
                Cleanliness::Clean
            };
            Ok(Undone { cleanliness, proof: None })
        })
    }

    fn renew(&self, injections: &[InjectionId]) {
        self.state.lock().unwrap().renewals += u32::try_from(injections.len()).unwrap();
    }
}

fn instance(number: u32) -> Resource {
    let zone = if number.is_multiple_of(2) { "a" } else { "b" };
    Resource {
        id: ResourceId(format!("i-{number}")),
        types: vec!["lab:instance".to_owned(), "aws:ec2:instance".to_owned()],
        arn: format!("arn:aws:ec2:local-1:000000000000:instance/i-{number}"),
        tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        zone: Some(zone.to_owned()),
        group: Some("web".to_owned()),
        disposable: true,
        ..Resource::default()
    }
}

/// A clause from text: `http.errors`, `== 0`.
pub(crate) fn clause(metric: &str, is: &str) -> Clause {
    Clause { metric: Metric::new(metric), is: is.parse().unwrap(), every: None, within: None }
}

/// An experiment that injects into all of `web` for ten seconds, guarded by `too-many-errors` (more than five in 10 s).
pub(crate) fn latency_on_all() -> Experiment {
    let target = Target {
        resource_type: "aws:ec2:instance".to_owned(),
        resource_tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        selection_mode: SelectionMode::All,
        ..Target::default()
    };
    let action = Action {
        action_id: "network:latency".to_owned(),
        parameters: BTreeMap::from([
            ("duration".to_owned(), "PT10S".to_owned()),
            ("delayMilliseconds".to_owned(), "100".to_owned()),
        ]),
        targets: BTreeMap::from([("Instances".to_owned(), "web".to_owned())]),
        ..Action::default()
    };
    let alarm = Alarm {
        metric: Metric::new("http.errors"),
        statistic: Statistic::Sum,
        period: Period::from_secs(10),
        evaluation_periods: 1,
        datapoints_to_alarm: 1,
        threshold: 5.0,
        comparison: Comparison::Greater,
        treat_missing_data: TreatMissingData::NotBreaching,
        cloudwatch: None,
    };
    let mut experiment = Experiment {
        description: "Latency-On-All".to_owned(),
        targets: BTreeMap::from([("web".to_owned(), target)]),
        actions: BTreeMap::from([("Delay".to_owned(), action)]),
        stop_conditions: vec![StopCondition {
            source: StopSource::Alarm,
            value: Some("too-many-errors".to_owned()),
            why: None,
        }],
        alarms: BTreeMap::from([("too-many-errors".to_owned(), alarm)]),
        windows: Windows {
            baseline: Period::from_secs(10),
            fault: Period::from_secs(10),
            recovery: Period::from_secs(30),
            settle: Period::from_secs(3),
        },
        ..Experiment::default()
    };
    experiment.hypothesis.steady_state = vec![clause("http.errors", "== 0")];
    experiment.hypothesis.during = vec![clause("http.errors", "== 0")];
    experiment
}

/// Everything around one run.
pub(crate) struct Stage {
    pub(crate) provider: Arc<Simulated>,
    pub(crate) measurements: Measurements,
    pub(crate) recorder: Recorder,
    pub(crate) stop: StopHandle,
    experiment: Experiment,
    signal: engine::stop::StopSignal,
}

impl Stage {
    pub(crate) fn new(experiment: Experiment, provider: Arc<Simulated>) -> Self {
        let (stop, signal) = stop_channel();
        let recorder = Recorder::new(Clock::start());
        Self { provider, measurements: Measurements::new(), recorder, stop, experiment, signal }
    }

    fn providers(&self) -> Vec<Arc<dyn Provider>> {
        vec![Arc::clone(&self.provider) as Arc<dyn Provider>]
    }

    pub(crate) async fn plan(&self) -> Result<Plan, Vec<Problem>> {
        prepare(&Preparation {
            experiment: &self.experiment,
            providers: &self.providers(),
            catalogue: &Catalogue::new([&LATENCY, &TERMINATE]),
            alarms: &BTreeMap::new(),
            seed: 42,
            rules: Rules::default(),
        })
        .await
    }

    /// Runs the experiment under a load of 100 requests per second, of which each second `errors(second)` fail.
    pub(crate) async fn run(&self, errors: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Outcome {
        let plan = self.plan().await.expect("the plan is right");
        let (measurements, clock) = (self.measurements.clone(), self.recorder.clock());
        let load = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            for tenth in 0_u64.. {
                tick.tick().await;
                let failed = if tenth % 10 == 0 { errors(tenth / 10) } else { 0 };
                measurements.count(&Metric::new("http.success"), clock.now(), 10);
                measurements.count(&Metric::new("http.errors.5xx"), clock.now(), failed);
                measurements.latency("http.latency", None, clock.now(), Duration::from_millis(10));
            }
        });
        let outcome = run(Setup {
            experiment: self.experiment.clone(),
            document: Document::new("latency.yaml", b"latency"),
            started: "2026-01-01T00:00:00Z".to_owned(),
            plan,
            providers: self.providers(),
            alarms: BTreeMap::new(),
            measurements: self.measurements.clone(),
            recorder: self.recorder.clone(),
            stop: self.signal.clone(),
            progress: None,
        })
        .await;
        load.abort();
        outcome
    }

    /// Waits until the record has an event that a test looks for.
    pub(crate) async fn until(recorder: Recorder, wanted: impl Fn(&What) -> bool) {
        let mut length = recorder.watch();
        while !recorder.since(0).iter().any(|event| wanted(&event.what)) {
            length.changed().await.expect("the recorder lives");
        }
    }
}
