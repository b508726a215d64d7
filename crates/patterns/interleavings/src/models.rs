//! The models: a few steps of a few threads, and what must hold in every order.

use std::time::Duration;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::{
    breaker::{
        Breaker, Circuit, Mode, Verdict,
        window::{LastCalls, LastTime, Sample, Streak},
    },
    budget::{Bank, Budget},
    bulkhead::{Entry, Gate},
    clock::Moment,
    context::Priority,
    rate_limit::{Meter, RateLimit},
    shed::{InFlight, Shed},
};

const NOW: Moment = Moment::from_millis(10_000);
const BAD: Sample = Sample { failed: true, slow: false };
const GOOD: Sample = Sample { failed: false, slow: false };

/// Runs the closure in two threads at once; what each brings.
fn twice<T: 'static>(closure: impl Fn() -> T + Clone + 'static) -> [T; 2] {
    let other = thread::spawn(closure.clone());
    let mine = closure();
    [mine, other.join().expect("a thread of a model does not panic")]
}

/// Two calls and one place: never both inside, whoever waits gets the place, and nothing is left.
pub fn one_place_is_never_taken_twice_nor_lost() {
    let gate = Arc::new(Gate::new(1));
    let inside = Arc::new(AtomicU32::new(0));
    let (shared, counted) = (Arc::clone(&gate), Arc::clone(&inside));
    let tickets = twice(move || match shared.enter(1) {
        Entry::Entered => {
            assert_eq!(counted.fetch_add(1, Ordering::Relaxed), 0, "two in one place");
            counted.fetch_sub(1, Ordering::Relaxed);
            shared.leave();
            None
        }
        Entry::Waiting(ticket) => Some(ticket),
        Entry::Full => unreachable!("one waits at most"),
    });
    for ticket in tickets.into_iter().flatten() {
        assert!(gate.claim(ticket), "the place was left, and who waits has not got it");
        gate.leave();
    }
    assert_eq!((gate.taken(), gate.waiting()), (0, 0));
}

/// One leaves while the one who waits goes away: the place is free in the end, whoever had it last.
pub fn a_place_given_to_one_who_goes_away_comes_back() {
    let gate = Arc::new(Gate::new(1));
    assert_eq!(gate.enter(1), Entry::Entered);
    let Entry::Waiting(ticket) = gate.enter(1) else { unreachable!("the place is taken") };
    let other = Arc::clone(&gate);
    let leaves = thread::spawn(move || other.leave());
    gate.abandon(ticket);
    leaves.join().expect("leaving does not panic");
    assert_eq!((gate.taken(), gate.waiting()), (0, 0));
    assert_eq!(gate.enter(0), Entry::Entered);
}

/// A place is added while one comes to wait: it is not overlooked.
pub fn a_place_that_is_added_is_seen_by_who_comes_to_wait() {
    let gate = Arc::new(Gate::new(1));
    assert_eq!(gate.enter(0), Entry::Entered);
    let other = Arc::clone(&gate);
    let adds = thread::spawn(move || other.set_limit(2));
    let entry = gate.enter(1);
    adds.join().expect("adding does not panic");
    match entry {
        Entry::Entered => {}
        Entry::Waiting(ticket) => assert!(gate.claim(ticket), "a place is free and somebody waits"),
        Entry::Full => unreachable!("nobody else waits"),
    }
    assert_eq!(gate.taken(), 2);
}

/// Two failures at once open a breaker for two, and exactly one of them is told so.
pub fn two_failures_open_a_breaker_once() {
    let circuit = Arc::new(circuit(Breaker::consecutive_failures(2)));
    let shared = Arc::clone(&circuit);
    let changes = twice(move || {
        let permit = shared.admit(NOW).expect("it is closed until both have failed").permit;
        shared.record(permit, Verdict::Failure, NOW, Duration::ZERO)
    });
    assert_eq!(changes.into_iter().flatten().count(), 1);
    assert_eq!(circuit.status(NOW).mode, Mode::Open);
}

/// An open breaker whose time is up lets one of two calls through, as its one trial.
pub fn one_trial_is_never_given_twice() {
    let circuit = Arc::new(circuit(Breaker::consecutive_failures(1).open_for(Duration::from_secs(1))));
    let permit = circuit.admit(NOW).expect("it is closed").permit;
    circuit.record(permit, Verdict::Failure, NOW, Duration::ZERO);
    let (shared, later) = (Arc::clone(&circuit), NOW + Duration::from_secs(1));
    let admitted = twice(move || shared.admit(later).ok());
    let [trial] = admitted.into_iter().flatten().collect::<Vec<_>>()[..] else { panic!("not one trial") };
    assert_eq!(
        circuit.record(trial.permit, Verdict::Success, later, Duration::ZERO).map(|change| change.to),
        Some(Mode::Closed)
    );
}

/// A trial is dropped while another call asks: either that is the trial now, or the next can be.
pub fn the_permit_of_a_dropped_trial_is_not_lost() {
    let circuit = Arc::new(circuit(Breaker::consecutive_failures(1).open_for(Duration::from_secs(1))));
    let permit = circuit.admit(NOW).expect("it is closed").permit;
    circuit.record(permit, Verdict::Failure, NOW, Duration::ZERO);
    let later = NOW + Duration::from_secs(1);
    let trial = circuit.admit(later).expect("its time is up").permit;
    let other = Arc::clone(&circuit);
    let drops = thread::spawn(move || other.cancel(trial));
    let second = circuit.admit(later);
    drops.join().expect("cancelling does not panic");
    if second.is_err() {
        assert!(circuit.admit(later).is_ok(), "the permit is lost");
    }
}

/// Two calls end in a window that holds one: it counts that one, whichever it is, and not a sum of both.
pub fn a_full_window_of_calls_counts_what_is_in_it() {
    let calls = Arc::new(LastCalls::new(1));
    let other = Arc::clone(&calls);
    let bad = thread::spawn(move || other.record(0, BAD));
    let seen = calls.record(0, GOOD);
    assert!(seen.calls <= 1 && seen.failures <= 1, "{seen:?} in a window of one");
    bad.join().expect("recording does not panic");
    let tally = calls.tally(0);
    assert!(tally.calls == 1 && tally.failures <= 1, "{tally:?}");
    // Whatever it held, one more success takes it out.
    assert_eq!(calls.record(0, GOOD).failures, 0);
}

/// Two failures end in a window with room for both: both are counted.
pub fn a_window_of_calls_loses_nothing() {
    let calls = Arc::new(LastCalls::new(2));
    let shared = Arc::clone(&calls);
    twice(move || shared.record(0, BAD));
    let tally = calls.tally(0);
    assert_eq!((tally.calls, tally.failures), (2, 2));
}

/// A failure ends in a window full of successes while a success does, which may find that it need not be written: the
/// failure is counted or has been replaced, and one more success takes it out.
pub fn a_success_that_is_not_written_leaves_the_window_whole() {
    let calls = Arc::new(LastCalls::new(1));
    calls.record(0, GOOD);
    let other = Arc::clone(&calls);
    let bad = thread::spawn(move || other.record(0, BAD));
    calls.record(0, GOOD);
    bad.join().expect("recording does not panic");
    let tally = calls.tally(0);
    assert!(tally.calls == 1 && tally.failures <= 1, "{tally:?}");
    assert_eq!(calls.record(0, GOOD).failures, 0);
}

/// A call of the last generation ends while one of this does: it is not counted, and spoils nothing.
pub fn an_old_call_spoils_no_window() {
    let (calls, streak) = (Arc::new(LastCalls::new(1)), Arc::new(Streak::default()));
    let (old_calls, old_streak) = (Arc::clone(&calls), Arc::clone(&streak));
    let old = thread::spawn(move || {
        old_calls.record(0, BAD);
        old_streak.record(0, BAD);
    });
    calls.record(1, GOOD);
    streak.record(1, BAD);
    old.join().expect("recording does not panic");
    assert_eq!((calls.tally(1).calls, calls.tally(1).failures), (1, 0));
    // The slot is still that of the call that was counted: the next one replaces it.
    assert_eq!(calls.record(1, GOOD).calls, 1);
    assert_eq!(streak.tally(1).failures, 1);
}

/// Two failures end in the same stretch of time, which another call has just begun to count anew.
pub fn a_window_of_time_loses_nothing() {
    let time = Arc::new(LastTime::new(Duration::from_secs(1)));
    // Ten buckets earlier: the same bucket.
    time.record(0, NOW - Duration::from_secs(1), BAD);
    let shared = Arc::clone(&time);
    twice(move || shared.record(0, NOW, BAD));
    let tally = time.tally(0, NOW);
    assert_eq!((tally.calls, tally.failures), (2, 2));
}

/// One token and two retries: one is made.
pub fn one_token_is_not_spent_twice() {
    let budget = Budget { ratio_permille: 0, min_per_second: 0, burst: 1 };
    let bank = Arc::new(Bank::full(&budget, NOW));
    let spent = twice(move || bank.withdraw(&budget, NOW));
    assert_eq!(spent.into_iter().filter(|spent| *spent).count(), 1);
}

/// A call pays in while a retry takes out: both are counted.
pub fn a_deposit_is_not_lost() {
    let budget = Budget { ratio_permille: 1000, min_per_second: 0, burst: 2 };
    let bank = Arc::new(Bank::full(&budget, NOW));
    assert!(bank.withdraw(&budget, NOW));
    let other = Arc::clone(&bank);
    let pays_in = thread::spawn(move || other.deposit(&budget, NOW));
    assert!(bank.withdraw(&budget, NOW));
    pays_in.join().expect("paying in does not panic");
    assert_eq!(bank.tokens(&budget, NOW), 1);
}

/// One turn and two calls: one is made; and the turn that is given back is there again.
pub fn one_turn_is_not_given_twice() {
    let limit = RateLimit::per_second(1);
    let meter = Arc::new(Meter::new());
    let (shared, same) = (Arc::clone(&meter), limit.clone());
    let turns = twice(move || shared.turn(&same, NOW).ok());
    let [turn] = turns.into_iter().flatten().collect::<Vec<_>>()[..] else { panic!("not one turn") };
    meter.cancel(turn);
    assert!(meter.turn(&limit, NOW).is_ok());
}

/// Room for one call and two that come: one is let in.
pub fn no_more_calls_are_let_in_than_there_is_room_for() {
    let (shed, calls) = (Shed::at(1), Arc::new(InFlight::new()));
    let shared = Arc::clone(&calls);
    let let_in = twice(move || shared.enter(&shed, Priority::Critical).is_ok());
    assert_eq!(let_in.into_iter().filter(|let_in| *let_in).count(), 1);
    calls.leave();
    assert_eq!(calls.count(), 0);
}

fn circuit(breaker: Breaker) -> Circuit {
    Circuit::new(breaker).expect("the options of a model make sense")
}
