//! What strategies do to one another, and exchanging them at work.

use patterns::{
    Breaker, Bulkhead, Context, Error, InvalidOption, Jitter, Pipeline, Rejected, Retry, VirtualClock, breaker::Mode,
    pipeline::Options,
};

use crate::{
    script::{Dependency, Heard, Step, millis},
    strategies::run_all,
};

static IDEMPOTENT: Context = Context::idempotent();

#[test]
fn no_place_of_the_bulkhead_is_held_during_a_pause() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Fail(10), Step::Ok(10)]);
    let pipeline = Pipeline::builder("pause")
        .clock(clock.clone())
        .retry(Retry::exponential(millis(100)).jitter(Jitter::None))
        .bulkhead(Bulkhead::of(1).queue(1, millis(20)))
        .build()
        .unwrap();
    // The second waits 10 ms for the first's place, gets it, and succeeds while the first pauses.
    let results = run_all(&clock, (0..2).map(|_| pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))));
    assert_eq!(results, [Ok("fine"), Ok("fine")]);
}

#[test]
fn waiting_for_a_place_is_not_held_against_the_dependency() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(60)]);
    let pipeline = Pipeline::builder("queue")
        .clock(clock.clone())
        .breaker(Breaker::consecutive_failures(1))
        .bulkhead(Bulkhead::of(1).queue(1, millis(30)))
        .attempt_timeout(millis(70))
        .build()
        .unwrap();
    let results = run_all(&clock, (0..2).map(|_| pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))));
    assert_eq!(results[1], Err(Error::Rejected(Rejected::QueueTimeout { waited: millis(30) })));
    assert_eq!(pipeline.status().breaker.unwrap().mode, Mode::Closed);
}

#[test]
fn options_are_exchanged_without_closing_an_open_breaker_or_freeing_places() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Fail(0)]);
    let builder = Pipeline::builder("live").clock(clock.clone()).breaker(Breaker::consecutive_failures(1));
    let pipeline = heard.listen(builder).build().unwrap();
    let _fails = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    let mut options = pipeline.options();
    options.breaker = Some(Breaker::consecutive_failures(10));
    options.bulkhead = Some(Bulkhead::of(3));
    pipeline.reconfigure(options.clone()).unwrap();
    assert_eq!(pipeline.options(), options);
    assert_eq!(pipeline.status().breaker.unwrap().mode, Mode::Open);
    assert_eq!(pipeline.status().bulkhead.unwrap().limit, 3);
    assert_eq!(heard.names().last(), Some(&"reconfigured"));
    let wrong = Options { attempt_timeout: Some(millis(0)), ..options.clone() };
    assert!(matches!(pipeline.reconfigure(wrong), Err(InvalidOption { option: "attempt_timeout", .. })));
    assert_eq!(pipeline.options(), options, "what is wrong changes nothing");
}

#[test]
fn a_breaker_is_forced_and_reset_by_hand_and_it_is_told() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Ok(0)]);
    let builder = Pipeline::builder("forced").clock(clock.clone()).breaker(Breaker::consecutive_failures(1));
    let pipeline = heard.listen(builder).build().unwrap();
    assert!(pipeline.force_open());
    let refused = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    assert_eq!(refused, Err(Error::Rejected(Rejected::BreakerOpen { retry_after: None })));
    assert!(pipeline.reset_breaker());
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    assert_eq!(heard.names(), ["breaker", "attempt", "call", "breaker", "attempt", "call"]);
    let without = Pipeline::builder("without").clock(clock.clone()).build().unwrap();
    assert!(!without.force_open());
}

#[test]
fn clones_are_the_same_pipeline() {
    let clock = VirtualClock::new();
    let pipeline = Pipeline::builder("one").clock(clock).breaker(Breaker::consecutive_failures(1)).build().unwrap();
    let clone = pipeline.clone();
    pipeline.force_open();
    assert_eq!(clone.status().breaker.unwrap().mode, Mode::ForcedOpen);
}
