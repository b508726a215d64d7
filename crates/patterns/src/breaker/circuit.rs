//! The breaker that threads share: the state machine in one atomic word, and the window beside it.

use std::{sync::Arc, time::Duration};

use super::{
    Breaker, Mode, Permit, Phase, State, Tally, Trip, Verdict, Window,
    window::{LastCalls, LastTime, Sample, Streak},
};
use crate::{
    clock::Moment,
    error::Rejected,
    sync::{AtomicU64, Ordering},
};

/// A breaker at work. Lock-free: a call that goes through a closed breaker reads the state once, and writes to the window
/// when it is over.
///
/// It works without any pipeline or runtime, one call at a time, with the moments it is given:
///
/// ```
/// use std::time::Duration;
/// use patterns::{Breaker, Moment, breaker::{Circuit, Verdict}};
///
/// let circuit = Circuit::new(Breaker::consecutive_failures(1).open_for(Duration::from_secs(30)))?;
/// let second = |second: u64| Moment::from_millis(second * 1000);
///
/// let call = circuit.admit(second(0)).expect("it is closed");
/// circuit.record(call.permit, Verdict::Failure, second(1), Duration::from_secs(1));
/// assert!(circuit.admit(second(2)).is_err());
///
/// let trial = circuit.admit(second(31)).expect("its time is up");
/// circuit.record(trial.permit, Verdict::Success, second(32), Duration::from_secs(1));
/// assert!(circuit.admit(second(33)).is_ok());
/// # Ok::<(), patterns::InvalidOption>(())
/// ```
#[derive(Debug)]
pub struct Circuit {
    breaker: Breaker,
    /// Shared with the circuits before and after an exchange of options.
    state: Arc<AtomicU64>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Counts {
    Streak(Streak),
    Calls(LastCalls),
    Time(LastTime),
}

/// Leave to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a permit is given back with `record` or `cancel`"]
pub struct Admitted {
    /// To be given back.
    pub permit: Permit,
    /// What asking has changed: the first call after the time is up half-opens the breaker.
    pub change: Option<Change>,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// From this.
    pub from: Mode,
    /// To this.
    pub to: Mode,
}

/// What a breaker looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// What it does with calls.
    pub mode: Mode,
    /// Until it lets a trial through, if it is open.
    pub retry_after: Option<Duration>,
    /// How many times it opened since it was last closed, up to 31.
    pub openings: u8,
    /// What its window counts; of the trials, when it is half-open.
    pub tally: Tally,
}

impl Circuit {
    /// A closed breaker.
    ///
    /// # Errors
    ///
    /// When the options make no sense.
    pub fn new(breaker: Breaker) -> Result<Self, crate::InvalidOption> {
        breaker.validate()?;
        let counts = Arc::new(Counts::new(&breaker.trip));
        Ok(Self { breaker, state: Arc::new(AtomicU64::new(State::new().pack())), counts })
    }

    /// The same breaker with other options: its state goes on, also for calls under way. Its counts do too if they are
    /// of the same kind and size, and otherwise begin anew.
    ///
    /// # Errors
    ///
    /// When the options make no sense.
    pub fn reconfigured(&self, breaker: Breaker) -> Result<Self, crate::InvalidOption> {
        breaker.validate()?;
        let counts = if same_window(&self.breaker.trip, &breaker.trip) {
            Arc::clone(&self.counts)
        } else {
            Arc::new(Counts::new(&breaker.trip))
        };
        Ok(Self { breaker, state: Arc::clone(&self.state), counts })
    }

    /// The same breaker once more.
    pub(crate) fn share(&self) -> Self {
        let Self { breaker, state, counts } = self;
        Self { breaker: breaker.clone(), state: Arc::clone(state), counts: Arc::clone(counts) }
    }

    /// The options.
    #[must_use]
    pub const fn options(&self) -> &Breaker {
        &self.breaker
    }

    /// Asks whether a call may be made.
    ///
    /// # Errors
    ///
    /// [`Rejected::BreakerOpen`].
    pub fn admit(&self, now: Moment) -> Result<Admitted, Rejected> {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let state = State::unpack(word);
            let (next, permit) =
                state.admit(now, &self.breaker).map_err(|retry_after| Rejected::BreakerOpen { retry_after })?;
            if next == state {
                return Ok(Admitted { permit, change: None });
            }
            match self.state.compare_exchange_weak(word, next.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(Admitted { permit, change: Change::between(state, next) }),
                Err(other) => word = other,
            }
        }
    }

    /// Takes what came of a call, and gives back what that has changed.
    pub fn record(&self, permit: Permit, verdict: Verdict, now: Moment, duration: Duration) -> Option<Change> {
        let slow = self.breaker.is_slow(duration);
        if permit.trial {
            return self.update(|state| state.trial_over(permit, verdict, slow, now, &self.breaker));
        }
        let state = State::unpack(self.state.load(Ordering::Acquire));
        if state.phase != Phase::Closed || state.generation != permit.generation {
            return None;
        }
        let sample = Sample { failed: verdict == Verdict::Failure, slow };
        let tally = self.counts.record(permit.generation, now, sample);
        if self.breaker.trips(tally) {
            return self.update(|state| state.tripped(permit, now, &self.breaker));
        }
        None
    }

    /// Takes back the permit of a call that was dropped, or never made: it counts as nothing.
    pub fn cancel(&self, permit: Permit) {
        if permit.trial {
            self.update(|state| state.cancelled(permit));
        }
    }

    /// Refuses all calls until told otherwise.
    pub fn force_open(&self) -> Option<Change> {
        self.update(|state| state.forced(true))
    }

    /// Lets all calls through, whatever comes of them, until told otherwise.
    pub fn force_closed(&self) -> Option<Change> {
        self.update(|state| state.forced(false))
    }

    /// Ends a forced state, or any other: closed, with nothing counted.
    pub fn reset(&self) -> Option<Change> {
        self.update(State::reset)
    }

    /// What it looks like now.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        let state = State::unpack(self.state.load(Ordering::Acquire));
        let (retry_after, tally) = match state.phase {
            Phase::Closed => (None, self.counts.tally(state.generation, now)),
            Phase::Open { until_millis } => (Some(Moment::from_millis(until_millis).since(now)), Tally::default()),
            Phase::HalfOpen { succeeded, failed, slow, .. } => {
                (None, Tally { calls: succeeded + failed, failures: failed, slow })
            }
            Phase::ForcedOpen | Phase::ForcedClosed => (None, Tally::default()),
        };
        Status { mode: state.mode(), retry_after, openings: state.openings, tally }
    }

    fn update(&self, change: impl Fn(State) -> State) -> Option<Change> {
        let mut word = self.state.load(Ordering::Acquire);
        loop {
            let state = State::unpack(word);
            let next = change(state);
            if next == state {
                return None;
            }
            match self.state.compare_exchange_weak(word, next.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Change::between(state, next),
                Err(other) => word = other,
            }
        }
    }
}

impl Change {
    /// Only a change of mode is one for the world; counting a trial is not.
    fn between(from: State, to: State) -> Option<Self> {
        let change = Self { from: from.mode(), to: to.mode() };
        (change.from != change.to).then_some(change)
    }
}

impl Counts {
    fn new(trip: &Trip) -> Self {
        match trip {
            Trip::Consecutive(_) => Self::Streak(Streak::default()),
            Trip::Rate(rate) => match rate.window {
                Window::Calls(calls) => Self::Calls(LastCalls::new(calls)),
                Window::Time(time) => Self::Time(LastTime::new(time)),
            },
        }
    }

    fn record(&self, generation: u16, now: Moment, sample: Sample) -> Tally {
        match self {
            Self::Streak(streak) => streak.record(generation, sample),
            Self::Calls(calls) => calls.record(generation, sample),
            Self::Time(time) => time.record(generation, now, sample),
        }
    }

    fn tally(&self, generation: u16, now: Moment) -> Tally {
        match self {
            Self::Streak(streak) => streak.tally(generation),
            Self::Calls(calls) => calls.tally(generation),
            Self::Time(time) => time.tally(generation, now),
        }
    }
}

fn same_window(a: &Trip, b: &Trip) -> bool {
    match (a, b) {
        (Trip::Consecutive(_), Trip::Consecutive(_)) => true,
        (Trip::Rate(a), Trip::Rate(b)) => a.window == b.window,
        (Trip::Consecutive(_), Trip::Rate(_)) | (Trip::Rate(_), Trip::Consecutive(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn second(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    fn circuit(breaker: Breaker) -> Circuit {
        Circuit::new(breaker).unwrap()
    }

    /// One call that is let through, at a moment; the change it makes when it ends.
    fn call(circuit: &Circuit, at: Moment, verdict: Verdict) -> Option<Change> {
        let admitted = circuit.admit(at).unwrap();
        circuit.record(admitted.permit, verdict, at, Duration::from_millis(1)).or(admitted.change)
    }

    fn mode(circuit: &Circuit, at: Moment) -> Mode {
        circuit.status(at).mode
    }

    #[test]
    fn it_opens_on_the_nth_failure_and_not_before() {
        let circuit = circuit(Breaker::consecutive_failures(5));
        for _ in 0..4 {
            assert_eq!(call(&circuit, second(0), Verdict::Failure), None);
        }
        let change = call(&circuit, second(0), Verdict::Failure);
        assert_eq!(change, Some(Change { from: Mode::Closed, to: Mode::Open }));
        let refused = circuit.admit(second(59)).unwrap_err();
        assert_eq!(refused, Rejected::BreakerOpen { retry_after: Some(SECOND) });
        assert!(circuit.admit(second(60)).is_ok());
    }

    #[test]
    fn three_failures_among_fifteen_successes_open_nothing() {
        let circuit = circuit(Breaker::consecutive_failures(3));
        for number in 0..18 {
            let verdict = if number % 6 == 0 { Verdict::Failure } else { Verdict::Success };
            assert_eq!(call(&circuit, second(0), verdict), None);
        }
    }

    #[test]
    fn one_success_closes_it_and_one_failure_opens_it_again() {
        let circuit = circuit(Breaker::consecutive_failures(1).open_for(SECOND));
        call(&circuit, second(0), Verdict::Failure);
        call(&circuit, second(1), Verdict::Failure);
        assert_eq!(mode(&circuit, second(1)), Mode::Open);
        call(&circuit, second(2), Verdict::Success);
        assert_eq!(
            circuit.status(second(2)),
            Status { mode: Mode::Closed, retry_after: None, openings: 0, tally: Tally::default() }
        );
    }

    #[test]
    fn half_open_lets_through_its_trials_and_no_more() {
        let circuit = circuit(Breaker::consecutive_failures(1).open_for(SECOND).trials(2));
        call(&circuit, second(0), Verdict::Failure);
        let first = circuit.admit(second(1)).unwrap();
        assert_eq!(first.change, Some(Change { from: Mode::Open, to: Mode::HalfOpen }));
        let _second = circuit.admit(second(1)).unwrap();
        assert_eq!(circuit.admit(second(1)).unwrap_err(), Rejected::BreakerOpen { retry_after: None });
        circuit.cancel(first.permit);
        assert!(circuit.admit(second(1)).is_ok(), "the permit of a cancelled trial comes back");
    }

    #[test]
    fn a_slow_call_from_before_the_outage_changes_nothing() {
        let circuit = circuit(Breaker::consecutive_failures(1).open_for(SECOND));
        let (old, older) = (circuit.admit(second(0)).unwrap(), circuit.admit(second(0)).unwrap());
        call(&circuit, second(0), Verdict::Failure);
        assert_eq!(circuit.record(old.permit, Verdict::Success, second(1), SECOND), None);
        let _trial = circuit.admit(second(1)).unwrap();
        assert_eq!(circuit.record(older.permit, Verdict::Success, second(1), SECOND), None);
        assert_eq!(mode(&circuit, second(1)), Mode::HalfOpen);
    }

    #[test]
    fn a_rate_opens_it_once_there_are_calls_enough() {
        let circuit = circuit(Breaker::failure_rate(0.5).last_calls(10).minimum_calls(4));
        for verdict in [Verdict::Failure, Verdict::Failure, Verdict::Success] {
            assert_eq!(call(&circuit, second(0), verdict), None);
        }
        // As in resilience4j, a success can be the call that was still missing.
        let change = call(&circuit, second(0), Verdict::Success);
        assert_eq!(change, Some(Change { from: Mode::Closed, to: Mode::Open }));
    }

    #[test]
    fn a_window_of_calls_never_waits_for_more_calls_than_it_holds() {
        let circuit = circuit(Breaker::failure_rate(1.0).last_calls(2));
        call(&circuit, second(0), Verdict::Failure);
        assert!(call(&circuit, second(0), Verdict::Failure).is_some());
    }

    #[test]
    fn slow_calls_open_it_though_they_succeed() {
        let breaker = Breaker::failure_rate(1.0).last_time(10 * SECOND).minimum_calls(2).slow_calls(SECOND, 1.0);
        let circuit = circuit(breaker);
        for _ in 0..2 {
            let admitted = circuit.admit(second(5)).unwrap();
            circuit.record(admitted.permit, Verdict::Success, second(5), SECOND);
        }
        assert_eq!(mode(&circuit, second(5)), Mode::Open);
    }

    #[test]
    fn failures_that_have_left_the_window_of_time_do_not_count() {
        let circuit = circuit(Breaker::failure_rate(0.5).last_time(10 * SECOND).minimum_calls(3));
        call(&circuit, second(0), Verdict::Failure);
        call(&circuit, second(9), Verdict::Failure);
        assert_eq!(call(&circuit, second(10), Verdict::Failure), None);
        assert!(call(&circuit, second(11), Verdict::Failure).is_some());
    }

    #[test]
    fn what_somebody_forced_stays_until_somebody_resets_it() {
        let circuit = circuit(Breaker::consecutive_failures(1));
        assert_eq!(circuit.force_open(), Some(Change { from: Mode::Closed, to: Mode::ForcedOpen }));
        assert_eq!(circuit.admit(second(1_000_000)).unwrap_err(), Rejected::BreakerOpen { retry_after: None });
        circuit.force_closed();
        assert_eq!(call(&circuit, second(0), Verdict::Failure), None);
        assert_eq!(circuit.reset(), Some(Change { from: Mode::ForcedClosed, to: Mode::Closed }));
        assert!(call(&circuit, second(0), Verdict::Failure).is_some());
    }

    #[test]
    fn an_open_breaker_stays_open_when_its_options_are_exchanged() {
        let before = circuit(Breaker::consecutive_failures(1));
        let call_under_way = before.admit(second(0)).unwrap();
        call(&before, second(0), Verdict::Failure);
        let after = before.reconfigured(Breaker::failure_rate(0.5).trials(1)).unwrap();
        assert!(after.admit(second(59)).is_err());
        let trial = after.admit(second(60)).unwrap();
        before.record(call_under_way.permit, Verdict::Failure, second(60), SECOND);
        after.record(trial.permit, Verdict::Success, second(61), SECOND);
        assert_eq!(mode(&after, second(61)), Mode::Closed);
        assert_eq!(mode(&before, second(61)), Mode::Closed, "both look at the same state");
    }

    #[test]
    fn counts_survive_an_exchange_that_keeps_the_window() {
        let before = circuit(Breaker::consecutive_failures(5));
        call(&before, second(0), Verdict::Failure);
        let after = before.reconfigured(Breaker::consecutive_failures(2)).unwrap();
        assert!(call(&after, second(0), Verdict::Failure).is_some());
    }
}
