//! Each strategy in a pipeline of its own.

use std::{future::ready, time::Duration};

use patterns::{
    Breaker, Bulkhead, Class, Clock as _, Context, Error, Jitter, Moment, Pipeline, Rejected, Retry, Scope, TimedOut,
    VirtualClock,
    breaker::Mode,
    event::{GaveUp, Kind, Outcome},
    fallback::{Call, StaleCache, Value},
};

use crate::script::{Dependency, Heard, Step, millis};

static IDEMPOTENT: Context = Context::idempotent();

fn steady(base: u64) -> Retry {
    Retry::exponential(millis(base)).jitter(Jitter::None)
}

#[test]
fn a_pipeline_without_strategies_is_the_bare_call() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(5), Step::Fail(5)]);
    let pipeline = Pipeline::builder("bare").clock(clock.clone()).build().unwrap();
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    let failed = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    assert_eq!(failed, Err(Error::Failed("broken")));
}

#[test]
fn retries_pause_and_then_succeed_and_every_step_is_told() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Fail(10), Step::Fail(10), Step::Ok(10)]);
    let builder = Pipeline::builder("retry").clock(clock.clone()).retry(steady(100));
    let pipeline = heard.listen(builder).build().unwrap();
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    // 10 + 100 + 10 + 200 + 10
    assert_eq!(clock.now(), Moment::from_millis(330));
    let attempt = |number, class| {
        let (outcome, duration) = (Outcome::Done(class), millis(10));
        Kind::Attempt { number, hedge: 0, outcome, duration }
    };
    assert_eq!(
        heard.all(),
        [
            attempt(1, Class::transient()),
            Kind::Retry { after: 1, delay: millis(100) },
            attempt(2, Class::transient()),
            Kind::Retry { after: 2, delay: millis(200) },
            attempt(3, Class::Success),
            Kind::Call { attempts: 3, outcome: Outcome::Done(Class::Success), duration: millis(330) },
        ]
    );
}

#[test]
fn a_call_that_is_not_idempotent_is_repeated_only_if_it_was_never_executed() {
    let clock = VirtualClock::new();
    let pipeline = Pipeline::builder("pay").clock(clock.clone()).retry(steady(1)).build().unwrap();
    let judged = pipeline.classify(|result: Result<&(), &bool>| match result {
        Err(true) => Class::not_executed(),
        Err(false) => Class::transient(),
        Ok(()) => Class::Success,
    });
    let attempts = |never_executed: bool| {
        let made = std::cell::Cell::new(0);
        let context = Context::not_idempotent();
        let _failed = clock.run(judged.call(&context, |_| {
            made.set(made.get() + 1);
            ready(Err::<(), _>(never_executed))
        }));
        made.get()
    };
    assert_eq!((attempts(false), attempts(true)), (1, 3));
}

#[test]
fn what_the_server_asked_for_is_waited_for() {
    let clock = VirtualClock::new();
    let pipeline = Pipeline::builder("busy").clock(clock.clone()).retry(steady(100)).build().unwrap();
    let judged = pipeline.classify(|result: Result<&u32, &u16>| match result {
        Ok(_) => Class::Success,
        Err(status) => Class::of_http_status(*status, Some(Duration::from_secs(7))),
    });
    let answer = |attempt: patterns::Attempt<'_>| ready(if attempt.number() == 1 { Err(429) } else { Ok(1) });
    assert_eq!(clock.run(judged.call(&IDEMPOTENT, answer)), Ok(1));
    assert_eq!(clock.now(), Moment::from_millis(7_100));
}

#[test]
fn an_attempt_that_hangs_is_cut_off_and_repeated() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Hang, Step::Ok(1)]);
    let pipeline =
        Pipeline::builder("slow").clock(clock.clone()).retry(steady(10)).attempt_timeout(millis(50)).build().unwrap();
    assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
    assert_eq!(clock.now(), Moment::from_millis(61));
    assert_eq!(dependency.at_once(), (0, 1), "the hanging attempt was dropped before the next began");
}

#[test]
fn the_overall_timeout_holds_over_attempts_and_pauses() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Hang]);
    let builder = Pipeline::builder("overall")
        .clock(clock.clone())
        .retry(steady(10).max_attempts(100))
        .attempt_timeout(millis(50))
        .overall_timeout(millis(140));
    let pipeline = heard.listen(builder).build().unwrap();
    let failed = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    // 50, pause 10, 50, pause 20, and 10 of the third attempt.
    assert_eq!(failed, Err(Error::TimedOut(TimedOut { scope: Scope::Overall, after: millis(140) })));
    assert_eq!((clock.now(), dependency.calls()), (Moment::from_millis(140), 3));
    assert!(heard.all().contains(&Kind::GaveUp { after: 3, reason: GaveUp::Deadline }));
}

#[test]
fn a_deadline_travels_through_nested_pipelines() {
    let clock = VirtualClock::new();
    let outer = Pipeline::builder("outer").clock(clock.clone()).overall_timeout(millis(100)).build().unwrap();
    let inner = Pipeline::builder("inner").clock(clock.clone()).overall_timeout(millis(500)).build().unwrap();
    let dependency = Dependency::new(&clock, &[Step::Hang]);
    let failed = clock.run(outer.call(&IDEMPOTENT, |attempt| {
        let (inner, dependency, context) = (&inner, &dependency, attempt.context());
        async move { inner.call(&context, |attempt| dependency.call(attempt)).await }
    }));
    assert_eq!(clock.now(), Moment::from_millis(100));
    assert!(matches!(failed, Err(Error::Failed(Error::TimedOut(_)) | Error::TimedOut(_))), "{failed:?}");
    let late = Context::idempotent().deadline(Moment::from_millis(100));
    let refused = clock.run(inner.call(&late, |attempt| dependency.call(attempt)));
    assert_eq!((refused, dependency.calls()), (Err(Error::Rejected(Rejected::DeadlinePassed)), 1));
}

#[test]
fn an_open_breaker_ends_the_retries_and_spares_the_dependency() {
    let (clock, heard) = (VirtualClock::new(), Heard::default());
    let dependency = Dependency::new(&clock, &[Step::Fail(0)]);
    let builder = Pipeline::builder("breaker")
        .clock(clock.clone())
        .retry(steady(10).max_attempts(10))
        .breaker(Breaker::consecutive_failures(2).open_for(millis(1000)));
    let pipeline = heard.listen(builder).build().unwrap();
    let failed = clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
    let left = millis(1000 - 20);
    assert_eq!(failed, Err(Error::Rejected(Rejected::BreakerOpen { retry_after: Some(left) })));
    assert_eq!(dependency.calls(), 2);
    assert_eq!(
        heard.names(),
        ["attempt", "retry", "breaker", "attempt", "retry", "attempt", "gave_up", "call"],
        "{:?}",
        heard.all()
    );
    heard.clear();
    clock.advance(left);
    let _trial_fails = clock.run(pipeline.call(&Context::not_idempotent(), |attempt| dependency.call(attempt)));
    let changes = heard.all().into_iter().filter_map(|kind| match kind {
        Kind::Breaker { from, to } => Some((from, to)),
        _ => None,
    });
    assert_eq!(changes.collect::<Vec<_>>(), [(Mode::Open, Mode::HalfOpen), (Mode::HalfOpen, Mode::Open)]);
}

#[test]
fn a_bulkhead_lets_in_so_many_queues_so_many_and_refuses_the_rest() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(100)]);
    let bulkhead = Bulkhead::of(2).queue(2, millis(150));
    let pipeline = Pipeline::builder("bulkhead").clock(clock.clone()).bulkhead(bulkhead).build().unwrap();
    let results = run_all(&clock, (0..6).map(|_| pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))));
    let refused = results.iter().filter(|result| **result == Err(Error::Rejected(Rejected::BulkheadFull))).count();
    assert_eq!((refused, dependency.calls(), dependency.at_once()), (2, 4, (0, 2)));
    assert_eq!(clock.now(), Moment::from_millis(200));
    assert_eq!(pipeline.status().bulkhead.unwrap().taken, 0);
}

#[test]
fn who_waits_too_long_in_the_queue_is_told_so() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(100)]);
    let bulkhead = Bulkhead::of(1).queue(1, millis(30));
    let pipeline = Pipeline::builder("queue").clock(clock.clone()).bulkhead(bulkhead).build().unwrap();
    let results = run_all(&clock, (0..2).map(|_| pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))));
    assert_eq!(results, [Ok("fine"), Err(Error::Rejected(Rejected::QueueTimeout { waited: millis(30) }))]);
}

#[test]
fn fallbacks_give_a_value_another_call_or_the_last_good_answer() {
    let clock = VirtualClock::new();
    let dependency = Dependency::new(&clock, &[Step::Ok(0), Step::Fail(0)]);
    let pipeline = Pipeline::builder("fallback").clock(clock.clone()).build().unwrap();
    let judge = patterns::ErrorsAreTransient;
    let context = Context::idempotent().key("greeting");
    let cached = pipeline.classify(judge).fallback(StaleCache::new(10, millis(1000)));
    let call = || clock.run(cached.call(&context, |attempt| dependency.call(attempt)));
    assert_eq!((call(), call()), (Ok("fine"), Ok("fine")));
    assert_eq!(dependency.calls(), 2);
    clock.advance(millis(1001));
    assert_eq!(call(), Err(Error::Failed("broken")), "too stale");
    let value = pipeline.classify(judge).fallback(Value("default"));
    assert_eq!(clock.run(value.call(&context, |attempt| dependency.call(attempt))), Ok("default"));
    let other = pipeline.classify(judge).fallback(Call(|_: &Context| ready(Some("elsewhere"))));
    assert_eq!(clock.run(other.call(&context, |attempt| dependency.call(attempt))), Ok("elsewhere"));
}

#[test]
fn an_answer_that_the_call_was_wrong_is_an_answer() {
    let clock = VirtualClock::new();
    let pipeline = Pipeline::builder("invalid")
        .clock(clock.clone())
        .retry(steady(10))
        .breaker(Breaker::consecutive_failures(1))
        .build()
        .unwrap();
    let judged = pipeline
        .classify(|result: Result<&u16, &()>| {
            result.map_or(Class::transient(), |status| Class::of_http_status(*status, None))
        })
        .fallback(Value(200));
    let answer = clock.run(judged.call(&IDEMPOTENT, |_| ready(Ok(404))));
    assert_eq!(answer, Ok(404));
    assert_eq!(pipeline.status().breaker.unwrap().mode, Mode::Closed);
    let failed = clock.run(judged.call(&IDEMPOTENT, |_| ready(Ok(501))));
    assert_eq!(failed, Ok(200), "a value that is a failure has a fallback too");
    assert_eq!(pipeline.status().breaker.unwrap().mode, Mode::Open);
}

/// Drives all futures at once.
pub(crate) fn run_all<F: Future>(clock: &VirtualClock, futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    clock.run(std::future::poll_fn(|context| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    }));
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
