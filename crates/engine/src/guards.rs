//! Watches all alarms of a run, every sample, in a task of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::{
    alarm::{Alarm, AlarmState},
    event::What,
};
use observe::{Measurements, alarm::Watch};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{Recorder, run::Event};

/// How often alarms are judged without a new sample: a period that ends, or silence, can change them as well.
const TICK: Duration = Duration::from_millis(100);

/// The present states of the alarms. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct States(Arc<Mutex<BTreeMap<String, AlarmState>>>);

impl States {
    fn set(&self, alarm: &str, state: AlarmState) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(alarm.to_owned(), state);
    }

    /// Whether all these alarms are in one of these states, and in words.
    pub(crate) fn check(&self, alarms: &[String], states: &[AlarmState]) -> Result<String, String> {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |alarm: &String| now.get(alarm).copied().unwrap_or_default();
        let wrong: Vec<String> = alarms
            .iter()
            .filter(|alarm| !states.contains(&state(alarm)))
            .map(|alarm| format!("{alarm} is {}", state(alarm)))
            .collect();
        let wanted: Vec<String> = states.iter().map(ToString::to_string).collect();
        if wrong.is_empty() {
            Ok(format!("{} as demanded: {}", alarms.join(", "), wanted.join(" or ")))
        } else {
            Err(format!("{}, not {}", wrong.join(", "), wanted.join(" or ")))
        }
    }
}

/// What is watched, and who is told.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// All alarms by name.
    pub(crate) alarms: BTreeMap<String, Alarm>,
    /// Those that are stop conditions.
    pub(crate) guards: Vec<String>,
    pub(crate) measurements: Measurements,
    pub(crate) recorder: Recorder,
    pub(crate) states: States,
    pub(crate) tell: mpsc::UnboundedSender<Event>,
}

/// Keeps a watch, usually [`watch`], until it is dropped. Should the watch end before, the runner is told at once: what
/// nobody watches over must not go on.
pub(crate) async fn keep(watch: impl Future<Output = ()> + Send + 'static, tell: mpsc::UnboundedSender<Event>) {
    // A task of its own, so that a watch that panics is reported; it ends with the set.
    let mut task = JoinSet::new();
    task.spawn(watch);
    let why = match task.join_next().await {
        Some(Err(error)) => error.to_string(),
        Some(Ok(())) | None => "it came to an end by itself".to_owned(),
    };
    // Where nobody hears it, the run is over.
    let _sent = tell.send(Event::GuardsLost { why });
}

/// Watches alarms until it is dropped. Every change is recorded; that of a guard into ALARM goes to the runner.
pub(crate) async fn watch(watched: Watched) {
    let Watched { alarms, guards, measurements, recorder, states, tell } = watched;
    let mut changed = measurements.changed();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What the system went through while it was started is no matter of the run.
    let begin = recorder.clock().now();
    let mut watches: Vec<Watch> =
        alarms.into_iter().map(|(name, alarm)| Watch::new(name, alarm).beginning(begin)).collect();
    // Guards first: whatever else is watched, it does not delay them.
    watches.sort_by_key(|watch| !guards.iter().any(|guard| guard == watch.name()));
    while !tell.is_closed() {
        for watch in &mut watches {
            let Some(change) = watch.step(&measurements, recorder.clock().now()) else { continue };
            states.set(&change.alarm, change.to);
            let (alarm, reason) = (change.alarm.clone(), change.reason.clone());
            recorder.record(What::Alarm {
                alarm: change.alarm,
                from: change.from,
                to: change.to,
                reason: change.reason,
            });
            let fired = change.to == AlarmState::Alarm && guards.contains(&alarm);
            if fired && tell.send(Event::GuardFired { alarm, reason }).is_err() {
                return;
            }
        }
        tokio::select! {
            // The measurements live as long as we do: we hold them.
            _ = changed.changed() => {}
            _ = tick.tick() => {}
        }
    }
}
