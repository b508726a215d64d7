//! Every situation meets every event; the drawing in the module's documentation comes from the same table.

use std::{collections::BTreeSet, time::Duration};

use model::{
    catalogue::Reversibility,
    event::{Cleanliness, InjectionId},
    period::Period,
};

use super::super::*;
use crate::testing::{fault, plan, proof};

const ID: InjectionId = InjectionId(1);

/// Situations in which a run of one fault of ten seconds can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Pending,
    Baseline,
    Judging,
    Injecting,
    InEffect,
    LastUndo,
    StoppingForGuard,
    StoppingOnRequest,
    StoppingInFlight,
    Recovering,
    Ended,
}

use Situation::{
    Baseline, Ended, InEffect, Injecting, Judging, LastUndo, Pending, Recovering, StoppingForGuard, StoppingInFlight,
    StoppingOnRequest,
};

const SITUATIONS: [Situation; 11] = [
    Pending,
    Baseline,
    Judging,
    Injecting,
    InEffect,
    LastUndo,
    StoppingForGuard,
    StoppingOnRequest,
    StoppingInFlight,
    Recovering,
    Ended,
];

const EVENTS: [&str; 15] = [
    "start",
    "steady state held",
    "steady state broken",
    "baseline disturbed",
    "injected",
    "fault not achieved",
    "inject failed",
    "inject lost",
    "undone",
    "undo failed",
    "guard fired",
    "guards lost",
    "stop requested",
    "recovered",
    "time passes",
];

/// The pairs that change the phase, and to what. Every other pair changes nothing.
const TABLE: [(Situation, &str, Phase); 37] = [
    (Pending, "start", Phase::Baseline),
    (Pending, "guard fired", Phase::Ended),
    (Pending, "guards lost", Phase::Ended),
    (Pending, "stop requested", Phase::Ended),
    (Baseline, "time passes", Phase::Judging),
    (Baseline, "guard fired", Phase::Ended),
    (Baseline, "guards lost", Phase::Ended),
    (Baseline, "stop requested", Phase::Ended),
    (Judging, "steady state held", Phase::Running),
    (Judging, "steady state broken", Phase::Ended),
    (Judging, "baseline disturbed", Phase::Baseline),
    (Judging, "guard fired", Phase::Ended),
    (Judging, "guards lost", Phase::Ended),
    (Judging, "stop requested", Phase::Ended),
    (Injecting, "fault not achieved", Phase::Stopping),
    // Nothing else is in effect: the stop is over as soon as it begins.
    (Injecting, "inject failed", Phase::Ended),
    (Injecting, "inject lost", Phase::Stopping),
    (Injecting, "guard fired", Phase::Stopping),
    (Injecting, "guards lost", Phase::Stopping),
    (Injecting, "stop requested", Phase::Stopping),
    (InEffect, "guard fired", Phase::Stopping),
    (InEffect, "guards lost", Phase::Stopping),
    (InEffect, "stop requested", Phase::Stopping),
    (LastUndo, "undone", Phase::Recovering),
    (LastUndo, "guard fired", Phase::Stopping),
    (LastUndo, "guards lost", Phase::Stopping),
    (LastUndo, "stop requested", Phase::Stopping),
    (StoppingForGuard, "undone", Phase::Recovering),
    (StoppingOnRequest, "undone", Phase::Ended),
    (StoppingInFlight, "inject failed", Phase::Recovering),
    (Recovering, "stop requested", Phase::Ended),
    (Recovering, "guards lost", Phase::Ended),
    (Recovering, "recovered", Phase::Ended),
    (Recovering, "time passes", Phase::Ended),
    // Until nothing is left to be tried, an undo that fails is no change of phase; the sixth time below is.
    (LastUndo, "undo failed for good", Phase::Ended),
    (StoppingForGuard, "undo failed for good", Phase::Recovering),
    (StoppingOnRequest, "undo failed for good", Phase::Ended),
];

fn undone() -> Undone {
    Undone { cleanliness: Cleanliness::Clean, proof: None }
}

fn undo_error() -> UndoError {
    UndoError { why: "no permission".to_owned(), repair: "ask root".to_owned() }
}

fn guard() -> Event {
    Event::GuardFired { alarm: "errors".to_owned(), reason: "6 > 5".to_owned() }
}

fn stop() -> Event {
    Event::Stop { by: "Ctrl-C".to_owned() }
}

/// A run in a situation, and the time it is then.
fn at(situation: Situation) -> (Run, Moment) {
    let fault = fault("delay", &[], [1], Some(Period::from_secs(10)), Reversibility::Undoable);
    let mut run = Run::new(Arc::new(plan(vec![fault])));
    let mut now = Moment::ZERO;
    let held = || Event::SteadyState { found: Steady::Held, reason: String::new() };
    let injected = || Event::Injected { injection: ID, proof: proof(true) };
    let script: Vec<(u64, Event)> = match situation {
        Pending => vec![],
        Baseline => vec![(0, Event::Start)],
        Judging => vec![(0, Event::Start), (10, Event::Tick)],
        Injecting => vec![(0, Event::Start), (10, Event::Tick), (0, held())],
        InEffect => vec![(0, Event::Start), (10, Event::Tick), (0, held()), (1, injected())],
        LastUndo => vec![(0, Event::Start), (10, Event::Tick), (0, held()), (1, injected()), (10, Event::Tick)],
        StoppingForGuard => vec![(0, Event::Start), (10, Event::Tick), (0, held()), (1, injected()), (1, guard())],
        StoppingOnRequest => vec![(0, Event::Start), (10, Event::Tick), (0, held()), (1, injected()), (1, stop())],
        StoppingInFlight => vec![(0, Event::Start), (10, Event::Tick), (0, held()), (1, guard())],
        Recovering => {
            let undone = Event::Undone { injection: ID, undone: undone() };
            vec![(0, Event::Start), (10, Event::Tick), (0, held()), (1, injected()), (10, Event::Tick), (0, undone)]
        }
        Ended => vec![(0, Event::Start), (1, stop())],
    };
    for (wait, event) in script {
        now = now + Duration::from_secs(wait);
        run.step(event, now);
    }
    (run, now)
}

fn phase_of(situation: Situation) -> Phase {
    match situation {
        Pending => Phase::Pending,
        Baseline => Phase::Baseline,
        Judging => Phase::Judging,
        Injecting | InEffect | LastUndo => Phase::Running,
        StoppingForGuard | StoppingOnRequest | StoppingInFlight => Phase::Stopping,
        Recovering => Phase::Recovering,
        Ended => Phase::Ended,
    }
}

fn apply(run: &mut Run, event: &str, now: Moment) {
    let why = || "why".to_owned();
    let event = match event {
        "start" => Event::Start,
        "steady state held" => Event::SteadyState { found: Steady::Held, reason: why() },
        "baseline disturbed" => Event::SteadyState { found: Steady::Disturbed, reason: why() },
        "steady state broken" => Event::SteadyState { found: Steady::Broken, reason: why() },
        "injected" => Event::Injected { injection: ID, proof: proof(true) },
        "fault not achieved" => Event::Injected { injection: ID, proof: proof(false) },
        "inject failed" => Event::InjectFailed { injection: ID, why: why() },
        "inject lost" => Event::InjectLost { injection: ID, why: why() },
        "undone" => Event::Undone { injection: ID, undone: undone() },
        "undo failed" => Event::UndoFailed { injection: ID, error: undo_error() },
        "undo failed for good" => {
            let mut now = now;
            for _ in 1..UNDO_TRIES {
                run.step(Event::UndoFailed { injection: ID, error: undo_error() }, now);
                now = run.next_due().unwrap();
                run.step(Event::Tick, now);
            }
            Event::UndoFailed { injection: ID, error: undo_error() }
        }
        "guard fired" => guard(),
        "guards lost" => Event::GuardsLost { why: why() },
        "stop requested" => stop(),
        "recovered" => Event::Recovered { reason: why() },
        "time passes" => {
            if let Some(due) = run.next_due() {
                run.step(Event::Tick, due);
            }
            return;
        }
        other => panic!("{other} is no event"),
    };
    run.step(event, now);
}

#[test]
fn every_pair_of_situation_and_event_goes_where_the_table_says() {
    for situation in SITUATIONS {
        assert_eq!(at(situation).0.phase(), phase_of(situation), "{situation:?} is set up wrongly");
        for event in EVENTS.into_iter().chain(["undo failed for good"]) {
            let undoing = matches!(situation, LastUndo | StoppingForGuard | StoppingOnRequest);
            if event == "undo failed for good" && !undoing {
                continue;
            }
            let (mut run, now) = at(situation);
            apply(&mut run, event, now);
            let wanted = TABLE
                .iter()
                .find(|(from, on, _)| *from == situation && *on == event)
                .map_or_else(|| phase_of(situation), |(.., to)| *to);
            assert_eq!(run.phase(), wanted, "{situation:?} on {event}");
        }
    }
}

#[test]
fn the_drawing_in_the_documentation_is_the_table() {
    let mut edges = BTreeSet::new();
    for (from, on, to) in TABLE {
        edges.insert((phase_of(from), to, on));
    }
    let mut drawing = "//! ```mermaid\n//! stateDiagram-v2\n//!     [*] --> Pending\n".to_owned();
    for (from, to, on) in edges {
        use std::fmt::Write as _;
        writeln!(drawing, "//!     {from:?} --> {to:?}: {on}").unwrap();
    }
    drawing.push_str("//!     Ended --> [*]\n//! ```\n");
    let source = include_str!("../../run.rs");
    assert!(source.contains(&drawing), "the module's documentation should have this drawing:\n{drawing}");
}

#[test]
fn a_tick_at_any_time_changes_nothing_that_is_not_due() {
    for situation in SITUATIONS {
        let (mut run, now) = at(situation);
        let phase = run.phase();
        assert_eq!(run.step(Event::Tick, now), [], "{situation:?}");
        assert_eq!(run.phase(), phase);
    }
}

#[test]
fn an_ended_run_does_nothing_any_more() {
    for event in EVENTS {
        let (mut run, now) = at(Ended);
        apply(&mut run, event, now);
        assert_eq!(run.phase(), Phase::Ended, "{event}");
        assert_eq!(run.next_due(), None, "{event}");
    }
}

#[test]
fn a_run_that_nobody_watches_any_more_stops_wherever_it_is() {
    for (situation, status) in [(InEffect, ExperimentStatus::Stopped), (Recovering, ExperimentStatus::Completed)] {
        let (mut run, now) = at(situation);
        let effects = run.step(Event::GuardsLost { why: "it panicked".to_owned() }, now);
        if situation == InEffect {
            assert!(effects.contains(&Effect::Undo(ID)), "{effects:?}");
            run.step(Event::Undone { injection: ID, undone: undone() }, now);
        }
        let by = "the end of the guard task: it panicked".to_owned();
        assert_eq!(effects[0], Effect::Record(What::StopRequested { by }), "the verdict rests on it");
        assert_eq!((run.phase(), run.status()), (Phase::Ended, status), "{situation:?}");
    }
}

#[test]
fn a_fault_in_flight_at_the_stop_is_undone_as_soon_as_it_reports() {
    let (mut run, now) = at(StoppingInFlight);
    let effects = run.step(Event::Injected { injection: ID, proof: proof(true) }, now);
    assert!(effects.contains(&Effect::Undo(ID)), "{effects:?}");
    run.step(Event::Undone { injection: ID, undone: undone() }, now);
    assert_eq!(run.phase(), Phase::Recovering);
}

#[test]
fn a_fault_in_flight_that_does_not_report_is_undone_after_a_while() {
    let (mut run, now) = at(StoppingInFlight);
    assert_eq!(run.next_due(), Some(now + STOP_PATIENCE));
    let effects = run.step(Event::Tick, now + STOP_PATIENCE);
    assert!(effects.contains(&Effect::Undo(ID)), "{effects:?}");
}

#[test]
fn leases_are_renewed_every_third_of_them() {
    let (mut run, now) = at(InEffect);
    let due = run.next_due().unwrap();
    assert_eq!(due, now + Duration::from_secs(4), "5 s after the fault window began, 1 s before now");
    assert_eq!(run.step(Event::Tick, due), [Effect::Renew(vec![ID])]);
}

#[test]
fn what_is_over_at_once_is_undone_at_once_and_its_window_stays_open() {
    let fault = fault("kill", &[], [1], None, Reversibility::Irreversible);
    let mut run = Run::new(Arc::new(plan(vec![fault])));
    run.step(Event::Start, Moment::ZERO);
    let now = Moment::from_secs(10);
    run.step(Event::Tick, now);
    run.step(Event::SteadyState { found: Steady::Held, reason: String::new() }, now);
    let effects = run.step(Event::Injected { injection: ID, proof: proof(true) }, now);
    assert!(effects.contains(&Effect::Undo(ID)));
    run.step(Event::Undone { injection: ID, undone: undone() }, now);
    assert_eq!(run.phase(), Phase::Running, "the window is held open");
    assert_eq!(run.next_due(), Some(now + Duration::from_secs(10)));
    run.step(Event::Tick, now + Duration::from_secs(10));
    assert_eq!(run.phase(), Phase::Recovering);
}

#[test]
fn what_has_no_end_of_its_own_lasts_until_the_fault_window_ends() {
    let fault = fault("stop", &[], [1], None, Reversibility::Undoable);
    let mut run = Run::new(Arc::new(plan(vec![fault])));
    run.step(Event::Start, Moment::ZERO);
    let now = Moment::from_secs(10);
    run.step(Event::Tick, now);
    run.step(Event::SteadyState { found: Steady::Held, reason: String::new() }, now);
    let effects = run.step(Event::Injected { injection: ID, proof: proof(true) }, now);
    assert!(!effects.contains(&Effect::Undo(ID)));
    let effects = run.step(Event::Tick, now + Duration::from_secs(10));
    assert!(effects.contains(&Effect::Undo(ID)), "{effects:?}");
}

#[test]
fn a_disturbed_baseline_is_measured_again_and_in_the_end_given_up() {
    let mut run = Run::new(Arc::new(plan(vec![fault("stop", &[], [1], None, Reversibility::Undoable)])));
    let disturbed = || Event::SteadyState { found: Steady::Disturbed, reason: "late".to_owned() };
    let mut now = Moment::ZERO;
    let mut recorded = run.step(Event::Start, now);
    for baseline in 1..=MOST_BASELINES {
        assert_eq!(run.phase(), Phase::Baseline, "baseline {baseline}");
        now = run.next_due().unwrap();
        assert_eq!(now, Moment::from_secs(10 * u64::from(baseline)), "each is as long as the document says");
        recorded.extend(run.step(Event::Tick, now));
        recorded.extend(run.step(disturbed(), now));
    }
    assert_eq!((run.phase(), run.status()), (Phase::Ended, ExperimentStatus::Cancelled));
    let count = |wanted: &What| recorded.iter().filter(|one| **one == Effect::Record(wanted.clone())).count();
    assert_eq!(count(&What::WindowBegan { window: Window::Baseline }), 6);
    assert_eq!(count(&What::BaselineDisturbed { reason: "late".to_owned() }), 5);
    assert_eq!(count(&What::SteadyState { held: false, reason: "late".to_owned() }), 1);
}

#[test]
fn a_run_that_does_not_finish_is_undone_at_its_deadline() {
    let wait = crate::plan::PlannedAction {
        name: "wait".to_owned(),
        action_id: "aws:fis:wait".to_owned(),
        start_after: vec![],
        work: Work::Wait { duration: Period::from_secs(10_000) },
    };
    let fault = fault("stop", &[], [1], None, Reversibility::Undoable);
    let mut run = Run::new(Arc::new(plan(vec![fault, wait])));
    run.step(Event::Start, Moment::ZERO);
    run.step(Event::Tick, Moment::from_secs(10));
    run.step(Event::SteadyState { found: Steady::Held, reason: String::new() }, Moment::from_secs(10));
    run.step(Event::Injected { injection: ID, proof: proof(true) }, Moment::from_secs(10));
    let effects = run.step(Event::Tick, Moment::from_secs(600));
    assert!(effects.contains(&Effect::Undo(ID)), "{effects:?}");
    run.step(Event::Undone { injection: ID, undone: undone() }, Moment::from_secs(600));
    assert_eq!((run.phase(), run.status()), (Phase::Ended, ExperimentStatus::Failed));
}
