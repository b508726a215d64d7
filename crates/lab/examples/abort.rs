//! How long an abort takes, for `cargo xtask bench`: brings up a lab once, and then again and again injects latency into every
//! instance of it, lets a sample breach the stop condition, and measures from that sample to the last undo.
//!
//! `abort INSTANCES ROUNDS`; prints one line of JSON. Its instances run the example `stage`, which lies beside it.

mod support;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use engine::{
    Record, Recorder,
    experiment::{Preparation, Setup, prepare, run},
    provider::Provider,
    record::Document,
    stop::stop_channel,
};
use lab::{Lab, LabOptions};
use model::{
    Period,
    alarm::{Alarm, Statistic, TreatMissingData},
    catalogue::Catalogue,
    event::{Cleanliness, What},
    experiment::{Action, Experiment, StopCondition, StopSource, Windows},
    lab::Network,
    metric::{Comparison, Metric},
    target::Target,
};
use observe::{Clock, Measurements};
use serde_json::json;

const ALARM: &str = "too-many-5xx";
/// How many rounds may be repeated, because not every fault took hold.
const TRIES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [instances, rounds] = arguments.as_slice() else { return Err("usage: abort INSTANCES ROUNDS".into()) };
    let (instances, rounds) = (instances.parse()?, rounds.parse::<u32>()?);
    // First thing: an ordinary user needs it done while there is one thread.
    let prepared = lab::prepare(Network::Netns)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (millis, repeated) = runtime.block_on(async {
        let books = Books { clock: Clock::start(), measurements: Measurements::new() };
        let options = LabOptions {
            seed: 1,
            recorder: Recorder::new(books.clock),
            measurements: books.measurements.clone(),
            program: Some(env::current_exe()?.with_file_name("stage")),
        };
        let lab = Lab::up(&spec(instances), &prepared, options).await?;
        let (mut millis, mut repeated) = (Vec::new(), Vec::new());
        while millis.len() < usize::try_from(rounds)? {
            // Of this round alone, because an alarm looks back.
            let metric = Metric::of("http.errors.5xx", format!("round-{}", millis.len() + repeated.len()));
            match Box::pin(abort(lab.provider(), &books, metric, usize::try_from(instances)?)).await {
                Ok(took) => millis.push(took.as_secs_f64() * 1e3),
                // On a busy machine a proof may fail: then there is nothing to abort.
                Err(Spoilt::NotInjected(why)) if repeated.len() < TRIES => repeated.push(why),
                Err(why) => return Err(why.into()),
            }
        }
        lab.down().await;
        Ok::<_, Box<dyn Error>>((millis, repeated))
    })?;
    writeln!(io::stdout(), "{}", json!({ "faults": instances, "abortMillis": millis, "repeated": repeated }))?;
    Ok(())
}

/// What lab and runs write into: one clock, and the measurements that the lab's own figures go to as well.
struct Books {
    clock: Clock,
    measurements: Measurements,
}

/// Why a round gave no figure.
#[derive(Debug)]
enum Spoilt {
    /// Not every fault took hold.
    NotInjected(String),
    /// It was not as it must be.
    Wrong(String),
}

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInjected(why) => write!(f, "not every fault took hold: {why}"),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

impl Error for Spoilt {}

/// One run that is aborted: from the sample that breaches to the last undo.
async fn abort(provider: Arc<dyn Provider>, books: &Books, metric: Metric, faults: usize) -> Result<Duration, Spoilt> {
    let experiment = experiment(&metric);
    let providers = vec![provider];
    let natives = faults::catalogue().iter().chain(lab::catalogue()).chain(engine::catalogue()).copied();
    let plan = prepare(&Preparation {
        experiment: &experiment,
        providers: &providers,
        catalogue: &Catalogue::new(natives),
        alarms: &BTreeMap::new(),
        seed: 1,
        rules: engine::plan::Rules::default(),
    })
    .await
    .map_err(|problems| Spoilt::Wrong(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let recorder = Recorder::new(books.clock);
    let (measurements, record) = (books.measurements.clone(), recorder.clone());
    let breach = tokio::spawn(async move {
        until_injected(&record, faults).await;
        let at = record.clock().now();
        measurements.count(&metric, at, 100);
        at
    });
    let (_stop, signal) = stop_channel();
    let outcome = Box::pin(run(Setup {
        experiment,
        document: Document::new("abort.yaml", b""),
        started: String::new(),
        plan,
        providers,
        alarms: BTreeMap::new(),
        measurements: books.measurements.clone(),
        recorder,
        stop: signal,
        progress: None,
    }))
    .await;
    breach.abort();
    let breach = breach.await.map_err(|_| Spoilt::NotInjected(outcome.record.reason.clone()))?;
    let last = last_undo(&outcome.record, faults).map_err(Spoilt::Wrong)?;
    last.checked_sub(breach.since_start())
        .ok_or_else(|| Spoilt::Wrong("a fault was undone before the sample that breached".to_owned()))
}

async fn until_injected(recorder: &Recorder, faults: usize) {
    let mut length = recorder.watch();
    let injected = || recorder.since(0).iter().filter(|event| matches!(event.what, What::Injected { .. })).count();
    while injected() < faults {
        // It lives as long as we do: we hold it.
        let _grown = length.changed().await;
    }
}

/// When the last of so many faults was undone, all of them cleanly.
fn last_undo(record: &Record, faults: usize) -> Result<Duration, String> {
    let clean = record.events.iter().filter_map(|event| match &event.what {
        What::Undone { cleanliness: Cleanliness::Clean, .. } => Some(event.at.since_start()),
        _ => None,
    });
    let clean: Vec<Duration> = clean.collect();
    match clean.iter().max() {
        Some(last) if clean.len() == faults => Ok(*last),
        _ => Err(format!("{} of {faults} faults were undone cleanly: {:?}", clean.len(), record.residue)),
    }
}

/// Latency on every instance, for much longer than it takes until too much of this metric stops it.
fn experiment(metric: &Metric) -> Experiment {
    let target = Target {
        resource_type: "lab:instance".to_owned(),
        resource_tags: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        ..Target::default()
    };
    let action = Action {
        action_id: "network:latency".to_owned(),
        parameters: [("duration", "PT60S"), ("delayMilliseconds", "20")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        targets: BTreeMap::from([("Instances".to_owned(), "web".to_owned())]),
        ..Action::default()
    };
    let alarm = Alarm {
        metric: metric.clone(),
        statistic: Statistic::Sum,
        period: Period::from_secs(1),
        evaluation_periods: 1,
        datapoints_to_alarm: 1,
        threshold: 5.0,
        comparison: Comparison::Greater,
        treat_missing_data: TreatMissingData::NotBreaching,
        cloudwatch: None,
    };
    let stop = StopCondition { source: StopSource::Alarm, value: Some(ALARM.to_owned()), why: None };
    Experiment {
        description: "Abort".to_owned(),
        targets: BTreeMap::from([("web".to_owned(), target)]),
        actions: BTreeMap::from([("Delay".to_owned(), action)]),
        stop_conditions: vec![stop],
        alarms: BTreeMap::from([(ALARM.to_owned(), alarm)]),
        windows: Windows {
            baseline: Period::from_millis(100),
            fault: Period::from_millis(100),
            recovery: Period::from_millis(100),
            settle: Period::ZERO,
        },
        ..Experiment::default()
    }
}

/// Web servers without a balancer: nobody asks them anything.
fn spec(instances: u32) -> model::lab::Lab {
    model::lab::Lab { balancers: BTreeMap::new(), ..support::web("abort", instances) }
}
