//! What a pipeline promises, whatever its dependency does: many calls at once, with options and answers of all kinds.

use std::{cell::RefCell, rc::Rc, time::Duration};

use patterns::{
    Breaker, Bulkhead, Clock, Context, Moment, Pipeline, Retry, VirtualClock,
    breaker::Mode,
    event::Kind,
    retry::Budget,
    testing::{Recorder, Tasks},
};
use proptest::prelude::*;

use crate::script::millis;

static IDEMPOTENT: Context = Context::idempotent();

/// What a dependency answers, and after how many milliseconds.
#[derive(Clone, Copy, Debug)]
struct Answer {
    after: u64,
    fails: bool,
}

#[derive(Clone, Debug)]
struct Promised {
    overall: u64,
    attempt: u64,
    attempts: u32,
    budget: Budget,
    failures: u32,
    places: u32,
    queue: u32,
}

/// What the dependency, and those who call it, have seen.
#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    under_way: u32,
    most_under_way: u32,
    /// Requests that came in while the breaker was open.
    while_open: u32,
    longest: Duration,
}

struct UnderWay(Rc<RefCell<Seen>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.borrow_mut().under_way -= 1;
    }
}

type Users = Pipeline<VirtualClock>;

/// One request: it is under way until it is answered, or dropped.
async fn request(users: &Users, seen: &Rc<RefCell<Seen>>, answers: &[Answer]) -> Result<(), ()> {
    let open = users.status().breaker.is_some_and(|breaker| breaker.mode == Mode::Open);
    let answer = {
        let mut seen = seen.borrow_mut();
        seen.requests += 1;
        seen.under_way += 1;
        seen.most_under_way = seen.most_under_way.max(seen.under_way);
        seen.while_open += u32::from(open);
        answers[seen.requests % answers.len()]
    };
    let _under_way = UnderWay(Rc::clone(seen));
    users.clock().sleep_until(users.clock().now() + millis(answer.after)).await;
    if answer.fails { Err(()) } else { Ok(()) }
}

/// Makes a call at each of the moments, and waits for the end of all.
fn run(promised: &Promised, answers: &[Answer], calls: &[u64]) -> (Seen, Recorder) {
    let (clock, recorder) = (VirtualClock::new(), Recorder::new());
    let users = Pipeline::builder("users")
        .clock(clock.clone())
        .seed(1)
        .overall_timeout(millis(promised.overall))
        .attempt_timeout(millis(promised.attempt))
        .retry(Retry::exponential(millis(10)).max_attempts(promised.attempts).budget(promised.budget))
        .breaker(Breaker::consecutive_failures(promised.failures).open_for(millis(150)))
        .bulkhead(Bulkhead::of(promised.places).queue(promised.queue, millis(50)))
        .listener(recorder.clone())
        .build()
        .unwrap();
    let (tasks, seen, answers) = (Tasks::new(&clock), Rc::<RefCell<Seen>>::default(), Rc::<[Answer]>::from(answers));
    for at in calls {
        let (users, seen, answers, at) =
            (users.clone(), Rc::clone(&seen), Rc::clone(&answers), Moment::from_millis(*at));
        tasks.spawn(async move {
            users.clock().sleep_until(at).await;
            let _result = users.call(&IDEMPOTENT, |_| request(&users, &seen, &answers)).await;
            let took = users.clock().now().since(at);
            let mut seen = seen.borrow_mut();
            seen.longest = seen.longest.max(took);
        });
    }
    tasks.run_until(Moment::from_millis(60_000));
    assert_eq!(tasks.live(), 0, "every call has ended");
    drop(tasks);
    let bulkhead = users.status().bulkhead.unwrap();
    assert_eq!((bulkhead.taken, bulkhead.waiting), (0, 0), "every place has come back");
    (Rc::into_inner(seen).unwrap().into_inner(), recorder)
}

fn any_answer() -> impl Strategy<Value = Answer> {
    // Some never come: an hour is longer than anybody waits.
    let after = prop_oneof![4 => 0_u64..100, 1 => Just(3_600_000)];
    (after, any::<bool>()).prop_map(|(after, fails)| Answer { after, fails })
}

fn any_promise() -> impl Strategy<Value = Promised> {
    let budget = (0_u32..300, 0_u32..3, 1_u32..6).prop_map(|(ratio_permille, min_per_second, burst)| Budget {
        ratio_permille,
        min_per_second,
        burst,
    });
    (1_u64..600, 1_u64..150, 1_u32..6, budget, 1_u32..6, 1_u32..5, 0_u32..4).prop_map(
        |(overall, attempt, attempts, budget, failures, places, queue)| Promised {
            overall,
            attempt,
            attempts,
            budget,
            failures,
            places,
            queue,
        },
    )
}

proptest! {
    #[test]
    fn places_attempts_budget_deadline_and_an_open_breaker_hold(
        promised in any_promise(),
        answers in prop::collection::vec(any_answer(), 1..12),
        calls in prop::collection::vec(0_u64..2_000, 1..60),
    ) {
        let (seen, recorder) = run(&promised, &answers, &calls);
        prop_assert!(seen.most_under_way <= promised.places, "{seen:?}");
        prop_assert!(seen.longest <= millis(promised.overall), "{seen:?}");
        // Who was let through and then waited for a place may find the breaker open by now.
        prop_assert!(promised.queue > 0 || seen.while_open == 0, "{seen:?}");

        let kinds = recorder.kinds();
        let most = kinds.iter().map(|kind| if let Kind::Call { attempts, .. } = kind { *attempts } else { 0 }).max();
        prop_assert!(most.is_some_and(|most| most <= promised.attempts), "{most:?}");
        let retries = kinds.iter().filter(|kind| matches!(kind, Kind::Retry { .. })).count() as u64;
        let Budget { ratio_permille, min_per_second, burst } = promised.budget;
        // No call ends later than the last that comes and its deadline.
        let millis = 2_000 + promised.overall;
        let thousandths = 1000 * u64::from(burst)
            + u64::from(ratio_permille) * calls.len() as u64
            + u64::from(min_per_second) * millis;
        prop_assert!(1000 * retries <= thousandths, "{retries} retries with {:?}", promised.budget);
    }
}
