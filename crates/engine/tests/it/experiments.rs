//! Whole runs, one per way in which they can come out.

use std::time::Duration;

use engine::record::Held;
use model::{
    Moment,
    event::What,
    experiment::Action,
    limits::Limits,
    status::{ActionStatus, ExperimentStatus},
    verdict::{Verdict, Window},
};

use crate::simulated::{Behaviour, Fate, Simulated, Stage, clause, latency_on_all};

fn stage(behaviour: Behaviour) -> Stage {
    Stage::new(latency_on_all(), Simulated::new(4, behaviour))
}

#[tokio::test(start_paused = true)]
async fn what_holds_is_green_and_everything_is_undone() {
    let stage = stage(Behaviour { inject: Duration::from_millis(300), ..Behaviour::default() });
    let record = stage.run(|_| 0).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Green, ExperimentStatus::Completed), "{}", record.reason);
    let state = stage.provider.state.lock().unwrap();
    assert_eq!((state.injected, state.most_in_effect, state.in_effect.len()), (4, 4, 0));
    assert!(state.renewals > 0, "the leases were renewed");
    assert_eq!(record.actions[0].status, ActionStatus::Completed);
    for window in [Window::Baseline, Window::Fault, Window::Recovery] {
        assert!(record.window(window).is_some(), "{window}");
    }
    let fault = record.window(Window::Fault).unwrap();
    assert!(fault.to.since(fault.from) >= Duration::from_millis(10_300), "{fault:?}");
    // The document has no recovery clauses: the steady state must come back.
    assert_eq!(record.clauses.len(), 3);
    assert!(record.clauses.iter().all(|clause| clause.held == Some(Held::Yes)), "{:#?}", record.clauses);
    assert!(record.residue.is_empty());
    assert!(record.series.iter().any(|series| series.metric.name == "http.errors"));
    assert!(matches!(record.events.last().unwrap().what, What::Verdict { verdict: Verdict::Green, .. }));
}

#[tokio::test(start_paused = true)]
async fn errors_below_the_stop_condition_refute_the_hypothesis_without_stopping() {
    let record = stage(Behaviour::default()).run(|second| u64::from(second == 15)).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Red, ExperimentStatus::Completed), "{}", record.reason);
}

#[tokio::test(start_paused = true)]
async fn a_stop_condition_ends_everything_and_recovery_is_still_observed() {
    let stage = stage(Behaviour::default());
    let record = stage.run(|second| if (13..15).contains(&second) { 20 } else { 0 }).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Red, ExperimentStatus::Stopped), "{}", record.reason);
    assert_eq!(record.actions[0].status, ActionStatus::Stopped);
    assert!(stage.provider.state.lock().unwrap().in_effect.is_empty());
    assert!(record.times.recover.is_some(), "{:?}", record.times);
    assert!(record.times.abort.is_some() && record.times.detect_by_alarm.is_some());
    assert_eq!(record.exit_code(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_its_steady_state_nothing_is_injected() {
    let stage = stage(Behaviour::default());
    let record = stage.run(|second| u64::from(second == 5)).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Invalid, ExperimentStatus::Cancelled), "{}", record.reason);
    assert_eq!(stage.provider.state.lock().unwrap().injected, 0);
    assert_eq!(record.exit_code(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_cannot_be_injected_is_invalid() {
    let behaviour = Behaviour { refuses: Some("no such process".to_owned()), ..Behaviour::default() };
    let record = stage(behaviour).run(|_| 0).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Invalid, ExperimentStatus::Failed), "{}", record.reason);
    assert!(record.reason.contains("no such process"), "{}", record.reason);
    assert!(record.residue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fault_whose_effect_is_not_measured_is_undone_and_invalid() {
    let stage = stage(Behaviour { unproven: true, ..Behaviour::default() });
    let record = stage.run(|_| 0).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Invalid, ExperimentStatus::Failed), "{}", record.reason);
    assert!(stage.provider.state.lock().unwrap().in_effect.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_injector_that_breaks_down_is_undone_as_if_it_had_worked() {
    let stage = stage(Behaviour { breaks_down: true, ..Behaviour::default() });
    let record = stage.run(|_| 0).await.record;
    assert_eq!(record.verdict, Verdict::Invalid, "{}", record.reason);
    assert_eq!(stage.provider.state.lock().unwrap().undos.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_is_tried_again() {
    let stage = stage(Behaviour { failing_undos: 2, ..Behaviour::default() });
    let record = stage.run(|_| 0).await.record;
    assert_eq!(record.verdict, Verdict::Green, "{}", record.reason);
    assert!(stage.provider.state.lock().unwrap().in_effect.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_never_works_is_red_with_its_residue() {
    let record = stage(Behaviour { failing_undos: u32::MAX, ..Behaviour::default() }).run(|_| 0).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Red, ExperimentStatus::Failed), "{}", record.reason);
    assert_eq!(record.residue.len(), 4);
    assert!(record.residue[0].what.contains("ask root"), "{:?}", record.residue[0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_behind_is_red_with_its_residue() {
    let record = stage(Behaviour { dirty: true, ..Behaviour::default() }).run(|_| 0).await.record;
    assert_eq!(record.verdict, Verdict::Red, "{}", record.reason);
    assert_eq!((record.residue[0].what.as_str(), record.residue[0].repair.as_str()), ("a rule", "delete it"));
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_undoes_and_does_not_wait_for_recovery() {
    let stage = stage(Behaviour::default());
    let (stop, recorder) = (stage.stop.clone(), stage.recorder.clone());
    tokio::spawn(async move {
        Stage::until(recorder, |what| matches!(what, What::Injected { .. })).await;
        stop.request("Ctrl-C");
    });
    let outcome = stage.run(|_| 0).await;
    assert_eq!((outcome.record.exit_code(), outcome.hurry), (130, false));
    assert_eq!(outcome.record.status, ExperimentStatus::Stopped);
    assert!(outcome.record.window(Window::Recovery).is_none());
    assert!(stage.provider.state.lock().unwrap().in_effect.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_ctrl_c_is_undone_as_well_and_asks_for_no_report() {
    let stage = stage(Behaviour { undo: Duration::from_secs(1), ..Behaviour::default() });
    let (stop, recorder) = (stage.stop.clone(), stage.recorder.clone());
    tokio::spawn(async move {
        Stage::until(recorder, |what| matches!(what, What::Injected { .. })).await;
        stop.request("Ctrl-C");
        stop.request("Ctrl-C");
    });
    let outcome = stage.run(|_| 0).await;
    assert!(outcome.hurry);
    assert!(stage.provider.state.lock().unwrap().in_effect.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plain_template_whose_stop_conditions_held_is_green() {
    let mut experiment = latency_on_all();
    experiment.hypothesis = model::hypothesis::Hypothesis::default();
    let record = Stage::new(experiment, Simulated::new(4, Behaviour::default())).run(|_| 0).await.record;
    assert_eq!(record.verdict, Verdict::Green);
    assert_eq!(record.reason, "its stop conditions held; it has no hypothesis");
}

#[tokio::test(start_paused = true)]
async fn alarms_are_compared_with_what_an_action_demands() {
    for (states, verdict) in [("OK", Verdict::Green), ("ALARM,INSUFFICIENT_DATA", Verdict::Invalid)] {
        let mut experiment = latency_on_all();
        let parameters = [("alarmArns", "too-many-errors"), ("alarmStates", states)];
        let assert = Action {
            action_id: "aws:cloudwatch:assert-alarm-state".to_owned(),
            parameters: parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            start_after: vec!["Delay".to_owned()],
            ..Action::default()
        };
        experiment.actions.insert("Assert".to_owned(), assert);
        let stage = Stage::new(experiment, Simulated::new(4, Behaviour::default()));
        let record = stage.run(|_| 0).await.record;
        assert_eq!(record.verdict, verdict, "{states}: {}", record.reason);
        assert!(stage.provider.state.lock().unwrap().in_effect.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn actions_start_after_those_they_wait_for() {
    let mut experiment = latency_on_all();
    let wait = Action {
        action_id: "aws:fis:wait".to_owned(),
        parameters: [("duration".to_owned(), "PT3M".to_owned())].into(),
        ..Action::default()
    };
    experiment.actions.insert("A-While".to_owned(), wait);
    experiment.actions.get_mut("Delay").unwrap().start_after = vec!["A-While".to_owned()];
    let record = Stage::new(experiment, Simulated::new(1, Behaviour::default())).run(|_| 0).await.record;
    assert_eq!(record.verdict, Verdict::Green, "{}", record.reason);
    // Ten seconds of baseline, then three minutes.
    assert_eq!(record.times.first_injection, Some(Moment::from_secs(190)));
    assert_eq!(record.window(Window::Fault).unwrap().from, Moment::from_secs(190));
    assert_eq!(record.window(Window::Baseline).unwrap().to, Moment::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_system_that_does_not_come_back_is_red() {
    let mut experiment = latency_on_all();
    experiment.hypothesis.during.clear();
    experiment.hypothesis.recovery = vec![clause("http.errors", "== 0")];
    let stage = Stage::new(experiment, Simulated::new(4, Behaviour::default()));
    let record = stage.run(|second| u64::from(second > 12 && second % 2 == 0)).await.record;
    assert_eq!(record.verdict, Verdict::Red, "{}", record.reason);
    assert!(record.reason.starts_with("it did not recover"), "{}", record.reason);
}

#[tokio::test(start_paused = true)]
async fn limits_are_looked_at_again_at_each_injection() {
    let mut experiment = latency_on_all();
    experiment.limits = Limits { max_percent_of_group: Some(100.0), min_healthy: Some(0), ..Limits::default() };
    let record = Stage::new(experiment.clone(), Simulated::new(4, Behaviour::default())).run(|_| 0).await.record;
    assert_eq!(record.verdict, Verdict::Green, "{}", record.reason);

    // One of four is hit, and three are well, until something else happens to them.
    experiment.limits = Limits { min_healthy: Some(3), ..Limits::default() };
    experiment.targets.get_mut("web").unwrap().selection_mode = "COUNT(1)".parse().unwrap();
    let ill = Simulated::new(4, Behaviour { fate: Fate::FallIll, ..Behaviour::default() });
    let stage = Stage::new(experiment, ill);
    let record = stage.run(|_| 0).await.record;
    assert_eq!((record.verdict, record.status), (Verdict::Invalid, ExperimentStatus::Failed), "{}", record.reason);
    assert!(record.reason.contains("would keep 0 healthy members; the document wants 3"), "{}", record.reason);
    let state = stage.provider.state.lock().unwrap();
    assert_eq!((state.injected, state.in_effect.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_fault_is_in_effect_is_hit_where_the_target_follows() {
    for (follow, hit) in [(true, 4), (false, 3)] {
        let mut experiment = latency_on_all();
        experiment.targets.get_mut("web").unwrap().follow = follow;
        let late = Simulated::new(4, Behaviour { fate: Fate::LastComesLate, ..Behaviour::default() });
        let stage = Stage::new(experiment, late);
        let record = stage.run(|_| 0).await.record;
        assert_eq!(record.verdict, Verdict::Green, "{}", record.reason);
        assert_eq!(record.injections.len(), hit);
        let state = stage.provider.state.lock().unwrap();
        assert_eq!((state.injected as usize, state.in_effect.len()), (hit, 0));
    }
}
