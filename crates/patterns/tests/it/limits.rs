//! Hedges, rate limit, load shedding and chaos.

use std::{cell::Cell, future::ready};

use patterns::{
    Attempt, Breaker, Bulkhead, Chaos, Clock as _, Context, Error, ErrorsAreTransient, Hedge, Moment, Pipeline,
    Priority, RateLimit, Rejected, Retry, Shed, VirtualClock,
    chaos::Fault,
    event::{Kind, Outcome},
    retry::Budget,
};

use crate::{
    script::{Dependency, Heard, Step, millis},
    strategies::run_all,
};

static IDEMPOTENT: Context = Context::idempotent();

#[test]
fn a_hedge_wins_over_a_late_answer_and_the_loser_is_dropped() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Ok(500), Step::Ok(20)]);
    let builder = Pipeline::builder("hedge").clock(clock.clone()).hedge(Hedge::after(millis(100)));
    let pipeline = heard.listen(builder).build().unwrap();
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    assert_eq!((clock.now(), dependency.at_once()), (Moment::from_millis(120), (0, 2)));
    assert_eq!(heard.names(), ["hedge", "attempt", "attempt", "call"]);
    assert!(matches!(heard.all()[2], Kind::Attempt { hedge: 0, outcome: Outcome::Cancelled, .. }));
    assert_eq!(clock.sleepers(), 0);
}

#[test]
fn an_answer_in_time_needs_no_hedge_and_a_call_that_is_not_idempotent_gets_none() {
    let clock = VirtualClock::new();
    let pipeline = Pipeline::builder("hedge").clock(clock.clone()).hedge(Hedge::after(millis(100))).build().unwrap();
    let fast = Dependency::new(&clock, &[Step::Ok(99)]);
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| fast.call(attempt))), Ok("fine"));
    let slow = Dependency::new(&clock, &[Step::Ok(500)]);
    let once = Context::not_idempotent();
    assert_eq!(clock.run(pipeline.call(&once, |attempt| slow.call(attempt))), Ok("fine"));
    assert_eq!((fast.calls(), slow.calls()), (1, 1));
}

#[test]
fn a_failure_sends_the_next_hedge_at_once_and_when_all_failed_so_has_the_call() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Fail(10)]);
    let hedge = Hedge::after(millis(100)).max_hedges(2);
    let pipeline = Pipeline::builder("hedge").clock(clock.clone()).hedge(hedge).build().unwrap();
    let failed = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    assert_eq!((failed, dependency.calls()), (Err(Error::Failed("broken")), 3));
    assert_eq!(clock.now(), Moment::from_millis(30));
}

#[test]
fn hedges_keep_to_their_budget_and_to_what_the_breaker_says() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(150)]);
    let budget = Budget { ratio_permille: 0, min_per_second: 0, burst: 2 };
    let hedge = Hedge::after(millis(100)).budget(budget);
    let builder =
        Pipeline::builder("hedge").clock(clock.clone()).hedge(hedge).breaker(Breaker::consecutive_failures(1));
    let pipeline = builder.build().unwrap();
    for _ in 0..5 {
        assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    }
    assert_eq!((dependency.calls(), pipeline.status().hedge_tokens), (7, Some(0)));
    pipeline.force_open();
    let before = clock.now();
    let refused = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    assert_eq!(refused, Err(Error::Rejected(Rejected::BreakerOpen { retry_after: None })));
    assert_eq!(clock.now(), before, "nobody waits for a hedge of what was refused");
}

#[test]
fn the_hedge_delay_follows_what_answers_take() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(20)]);
    let hedge = Hedge::at_percentile(0.95, millis(500));
    let pipeline = Pipeline::builder("hedge").clock(clock.clone()).hedge(hedge).build().unwrap();
    assert_eq!(pipeline.status().hedge_delay, Some(millis(500)));
    for _ in 0..40 {
        assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    }
    let delay = pipeline.status().hedge_delay.unwrap();
    assert!(delay >= millis(20) && delay < millis(24), "{delay:?}");
}

#[test]
fn attempts_over_the_rate_wait_for_their_turn_or_are_told_when_to_come() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(0)]);
    let limit = RateLimit::per_second(10).max_wait(millis(150));
    let pipeline = Pipeline::builder("rate").clock(clock.clone()).rate_limit(limit).build().unwrap();
    let results = run_all(&clock, (0..3).map(|_| pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))));
    let refused = Err(Error::Rejected(Rejected::RateLimited { retry_after: millis(50) }));
    assert_eq!(results, [Ok("fine"), Ok("fine"), refused]);
    assert_eq!(clock.now(), Moment::from_millis(100));
}

#[test]
fn a_turn_of_the_rate_limit_comes_back_when_the_bulkhead_has_no_place() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(10)]);
    let builder = Pipeline::builder("both").clock(clock.clone()).rate_limit(RateLimit::per_second(1).burst(2));
    let pipeline = builder.bulkhead(Bulkhead::of(1)).build().unwrap();
    let results = run_all(&clock, (0..3).map(|_| pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))));
    let full = Err(Error::Rejected(Rejected::BulkheadFull));
    assert_eq!(results, [Ok("fine"), full.clone(), full]);
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
}

#[test]
fn load_is_shed_by_priority_and_counts_calls_that_pause() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Fail(0), Step::Fail(0), Step::Ok(10)]);
    let pipeline = Pipeline::builder("shed")
        .clock(clock.clone())
        .shed(Shed::at(3).normal(0.7).sheddable(0.4))
        .retry(Retry::constant(millis(100)))
        .build()
        .unwrap();
    let contexts = [Priority::Normal, Priority::Normal, Priority::Sheddable, Priority::Normal, Priority::Critical]
        .map(|priority| Context::idempotent().priority(priority));
    let calls = contexts.iter().map(|context| pipeline.call(context, |attempt| dependency.call(attempt)));
    let shed = Err(Error::Rejected(Rejected::Shed));
    assert_eq!(run_all(&clock, calls), [Ok("fine"), Ok("fine"), shed.clone(), shed, Ok("fine")]);
    assert_eq!(pipeline.status().in_flight, Some(0));
}

#[test]
fn a_queue_that_stands_makes_calls_impatient() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Hang]);
    let bulkhead = Bulkhead::of(1).queue(100, millis(100)).controlled_delay(millis(5));
    let pipeline = Pipeline::builder("codel").clock(clock.clone()).bulkhead(bulkhead).build().unwrap();
    // One call every 50 ms before a dependency that never answers, so that somebody always waits.
    let waited = Cell::new(Vec::new());
    let calls = (0..8_u64).map(|number| {
        let (clock, dependency, pipeline, waited) = (&clock, &dependency, &pipeline, &waited);
        async move {
            clock.sleep_until(Moment::from_millis(number * 50)).await;
            let deadline = Context::idempotent().deadline(Moment::from_millis(1000));
            let result = pipeline.call(&deadline, |attempt| dependency.call(attempt)).await;
            if let Err(Error::Rejected(Rejected::QueueTimeout { waited: time })) = result {
                let mut all = waited.take();
                all.push(time.as_millis());
                waited.set(all);
            }
        }
    });
    run_all(&clock, calls);
    let waited = waited.take();
    assert!(waited.contains(&100) && waited.contains(&5), "{waited:?}");
}

#[test]
fn chaos_hits_whom_the_callback_names_and_looks_like_the_dependency() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Ok(10)]);
    let late = Chaos::none().latency(1.0, millis(200), millis(200));
    let builder = Pipeline::builder("chaos")
        .clock(clock.clone())
        .attempt_timeout(millis(100))
        .breaker(Breaker::consecutive_failures(2))
        .chaos_when(move |context| match context.get_tenant() {
            Some("late") => Some(late),
            Some("broken") => Some(Chaos::none().errors(1.0)),
            _ => None,
        });
    let pipeline = heard.listen(builder).build().unwrap();
    let call = |tenant| {
        let context = Context::idempotent().tenant(tenant);
        clock.run(pipeline.call(&context, |attempt| dependency.call(attempt)))
    };
    assert_eq!(call("other"), Ok("fine"));
    assert!(matches!(call("late"), Err(Error::TimedOut(_))));
    assert_eq!(call("broken"), Err(Error::Injected));
    assert!(matches!(call("other"), Err(Error::Rejected(_))), "two failures opened the breaker");
    assert_eq!(dependency.calls(), 1);
    let faults = heard.all().into_iter().filter_map(|kind| match kind {
        Kind::Chaos { fault, .. } => Some(fault),
        _ => None,
    });
    assert_eq!(faults.collect::<Vec<_>>(), [Fault::Latency(millis(200)), Fault::Error]);
}

#[test]
fn chaos_makes_up_results_where_it_was_told_how() {
    let clock = VirtualClock::new();
    let chaos = Chaos::none().outcomes(1.0);
    let pipeline = Pipeline::builder("outcome").clock(clock.clone()).chaos(chaos).build().unwrap();
    let operation = |_: Attempt<'_>| ready(Ok::<u16, ()>(200));
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, operation)), Err(Error::Injected));
    let policy = pipeline.classify(ErrorsAreTransient).made_up(|_: &Context| Ok::<u16, ()>(503));
    assert_eq!(clock.run(policy.call(&IDEMPOTENT, operation)), Ok(503));
    let mut options = pipeline.options();
    options.chaos = None;
    pipeline.reconfigure(options).unwrap();
    assert_eq!(clock.run(policy.call(&IDEMPOTENT, operation)), Ok(200), "switched off at work");
}
