//! From the breaching sample to the last undo.

use std::time::Duration;

use model::{event::What, metric::Metric};

use crate::simulated::{Behaviour, Simulated, Stage, latency_on_all};

#[tokio::test(start_paused = true)]
async fn twenty_faults_are_undone_in_parallel() {
    let stage = Stage::new(
        latency_on_all(),
        Simulated::new(20, Behaviour { undo: Duration::from_millis(200), ..Behaviour::default() }),
    );
    let record = stage.run(|second| if second == 15 { 20 } else { 0 }).await.record;
    assert_eq!(stage.provider.state.lock().unwrap().most_in_effect, 20);
    // One after the other they would take four seconds. The sample is seen the moment it comes, so nothing is added.
    let abort = record.times.abort.unwrap();
    assert!((0.2..0.21).contains(&abort.seconds), "{abort:?}");
    let breach = 15.0;
    assert!(abort.from.as_secs_f64() - breach < 0.01, "{abort:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_in_the_way_of_an_abort_waits() {
    // On a paused clock time passes only where something sleeps: between the breaching sample and the last undo nothing
    // does, so that no time passes at all.
    let stage = Stage::new(latency_on_all(), Simulated::new(20, Behaviour::default()));
    let (recorder, measurements) = (stage.recorder.clone(), stage.measurements.clone());
    let breach = tokio::spawn(async move {
        Stage::until(recorder.clone(), |what| matches!(what, What::Injected { .. })).await;
        // Off the beat of every timer: 100 ms ticks would be seen.
        tokio::time::sleep(Duration::from_millis(1_037)).await;
        let at = recorder.clock().now();
        measurements.count(&Metric::new("http.errors.5xx"), at, 100);
        at
    });
    let record = stage.run(|_| 0).await.record;
    let breach = breach.await.unwrap();
    assert_eq!(record.injections.len(), 20);
    for injection in &record.injections {
        assert_eq!(injection.undone, Some(breach), "{injection:?}");
    }
}
