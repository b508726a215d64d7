//! A call dropped at any of its polls gives back whatever it held, and counts as nothing.

use std::{
    pin::pin,
    task::{Context as Task, Waker},
};

use patterns::{
    Breaker, Bulkhead, Chaos, Context, Hedge, Jitter, Pipeline, RateLimit, Retry, Shed, VirtualClock,
    breaker::{Mode, Tally},
    event::{Kind, Outcome},
};
use proptest::prelude::*;

use crate::script::{Dependency, Heard, Step, millis};

static IDEMPOTENT: Context = Context::idempotent();

fn full(clock: &VirtualClock, heard: &Heard) -> Pipeline<VirtualClock> {
    let builder = Pipeline::builder("full")
        .clock(clock.clone())
        .shed(Shed::at(4))
        .overall_timeout(millis(500))
        .retry(Retry::exponential(millis(20)).jitter(Jitter::None).max_attempts(4))
        .hedge(Hedge::after(millis(15)).max_hedges(2))
        .breaker(Breaker::consecutive_failures(3).open_for(millis(200)))
        .rate_limit(RateLimit::per_second(100).burst(2).max_wait(millis(50)))
        .bulkhead(Bulkhead::of(2).queue(2, millis(60)))
        .chaos(Chaos::none().latency(0.2, millis(5), millis(20)).errors(0.1))
        .seed(5)
        .attempt_timeout(millis(40));
    heard.listen(builder).build().unwrap()
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![(0_u64..60).prop_map(Step::Ok), (0_u64..60).prop_map(Step::Fail), Just(Step::Hang)]
}

proptest! {
    /// Several calls share one pipeline; each is dropped after a number of polls of its own, or runs to its end.
    #[test]
    fn dropped_calls_leave_nothing_behind(
        steps in prop::collection::vec(any_step(), 1..8),
        lives in prop::collection::vec(prop::option::weighted(0.7, 0_usize..6), 1..6),
    ) {
        let (clock, heard) = (VirtualClock::new(), Heard::default());
        let dependency = Dependency::new(&clock, &steps);
        let pipeline = full(&clock, &heard);
        let mut calls: Vec<_> = lives
            .iter()
            .map(|life| (Some(Box::pin(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)))), *life))
            .collect();
        let (mut ended, mut dropped) = (0, 0);
        loop {
            for (call, life) in &mut calls {
                let Some(future) = call else { continue };
                if *life == Some(0) {
                    *call = None;
                    dropped += 1;
                    continue;
                }
                if future.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_ready() {
                    *call = None;
                    ended += 1;
                } else if let Some(life) = life {
                    *life -= 1;
                }
            }
            let status = pipeline.status();
            prop_assert!(dependency.at_once().1 <= 2, "more at once than the bulkhead has places");
            if calls.iter().all(|(call, _)| call.is_none()) {
                let bulkhead = status.bulkhead.unwrap();
                prop_assert_eq!((bulkhead.taken, bulkhead.waiting, status.in_flight), (0, 0, Some(0)));
                break;
            }
            clock.advance_to_next();
        }
        prop_assert_eq!(clock.sleepers(), 0);
        prop_assert_eq!(dependency.at_once().0, 0);
        let told = heard.all();
        let count = |cancelled: bool| told.iter().filter(|kind| matches!(kind, Kind::Call { outcome, .. }
            if (*outcome == Outcome::Cancelled) == cancelled)).count();
        prop_assert_eq!(count(false), ended, "{:?}", told);
        prop_assert!(count(true) <= dropped, "a call that was never polled never began");
    }

    /// The one trial of a half-open breaker is dropped at any poll; the next call can be the trial.
    #[test]
    fn the_trial_of_a_dropped_call_comes_back(polls in 0_usize..4) {
        let (clock, heard) = (VirtualClock::new(), Heard::default());
        let dependency = Dependency::new(&clock, &[Step::Fail(0), Step::Hang, Step::Ok(0)]);
        let builder = Pipeline::builder("trial").clock(clock.clone());
        let builder = builder.breaker(Breaker::consecutive_failures(1).open_for(millis(200)));
        let pipeline = heard.listen(builder).build().unwrap();
        prop_assert!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))).is_err());
        clock.advance(millis(200));
        {
            let mut trial = pin!(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt)));
            for _ in 0..polls {
                prop_assert!(trial.as_mut().poll(&mut Task::from_waker(Waker::noop())).is_pending());
            }
            if polls > 0 {
                prop_assert!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))).is_err());
            }
        }
        let status = pipeline.status().breaker.unwrap();
        let expected = if polls > 0 { Mode::HalfOpen } else { Mode::Open };
        prop_assert_eq!((status.mode, status.tally), (expected, Tally::default()));
        if polls > 0 {
            prop_assert_eq!(clock.run(pipeline.call(&IDEMPOTENT, |attempt| dependency.call(attempt))), Ok("fine"));
            prop_assert_eq!(pipeline.status().breaker.unwrap().mode, Mode::Closed);
        }
    }
}
