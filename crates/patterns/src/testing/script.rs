//! A dependency that does what a script says.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::window::{Disturbance, Window};
use crate::{
    clock::{Clock, VirtualClock},
    random::{Random as _, SplitMix64},
};

/// What a dependency does: call by call, and from time to time.
///
/// ```
/// use std::time::Duration;
/// use patterns::testing::Script;
///
/// // Three failures, then answers that take 20 ms; a black hole in the second minute.
/// let script = Script::fail(3).then_ok().taking(Duration::from_millis(20)).during("from 1m to 2m: hang")?;
/// # Ok::<(), patterns::testing::NoWindow>(())
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    /// The last is repeated.
    steps: Vec<(u32, Step)>,
    latency: Duration,
    windows: Vec<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Ok,
    Fail,
    Hang,
}

/// The error of a scripted dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure;

impl Script {
    /// Answers every call.
    #[must_use]
    pub const fn ok() -> Self {
        Self { steps: Vec::new(), latency: Duration::ZERO, windows: Vec::new() }
    }

    /// Fails so many calls, and then goes on failing unless told otherwise.
    #[must_use]
    pub fn fail(calls: u32) -> Self {
        Self::ok().then_fail(calls)
    }

    /// After what was said before, answers all calls.
    #[must_use]
    pub fn then_ok(self) -> Self {
        self.then(u32::MAX, Step::Ok)
    }

    /// After what was said before, answers so many calls.
    #[must_use]
    pub fn then_answer(self, calls: u32) -> Self {
        self.then(calls, Step::Ok)
    }

    /// After what was said before, fails so many calls.
    #[must_use]
    pub fn then_fail(self, calls: u32) -> Self {
        self.then(calls, Step::Fail)
    }

    /// After what was said before, never answers so many calls.
    #[must_use]
    pub fn then_hang(self, calls: u32) -> Self {
        self.then(calls, Step::Hang)
    }

    fn then(mut self, calls: u32, step: Step) -> Self {
        self.steps.push((calls, step));
        self
    }

    /// Answers and failures take so long.
    #[must_use]
    pub const fn taking(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Something happens from time to time, whatever the number of the call: `from 10s to 30s: error 50%`, see
    /// [`Window::parse`]. How many calls it works on at a time it does not know: `capacity` is for the simulator.
    ///
    /// # Errors
    ///
    /// When the text says nothing of the kind.
    pub fn during(mut self, window: &str) -> Result<Self, super::NoWindow> {
        self.windows.push(Window::parse(window)?);
        Ok(self)
    }

    fn step(&self, mut call: u32) -> Step {
        for (calls, step) in &self.steps {
            match call.checked_sub(*calls) {
                Some(later) => call = later,
                None => return *step,
            }
        }
        self.steps.last().map_or(Step::Ok, |(_, step)| *step)
    }
}

/// A dependency that does what a [`Script`] says. Clones are the same.
#[derive(Debug)]
pub struct ScriptedDependency<C: Clock = VirtualClock> {
    clock: C,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    calls: AtomicU32,
    random: SplitMix64,
}

impl<C: Clock> ScriptedDependency<C> {
    /// A dependency that has seen no call yet. Which calls a part such as `error 50%` hits is the same each time.
    #[must_use]
    pub fn new(clock: &C, script: Script) -> Self {
        let shared = Shared { script, calls: AtomicU32::new(0), random: SplitMix64::seeded(0) };
        Self { clock: clock.clone(), shared: Arc::new(shared) }
    }

    /// How many calls it has seen.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// A call; answered with its number, from 1.
    ///
    /// # Errors
    ///
    /// When the script says so.
    pub async fn call(&self) -> Result<u32, Failure> {
        let call = self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now();
        let mut step = self.shared.script.step(call);
        let mut latency = self.shared.script.latency;
        for window in self.shared.script.windows.iter().filter(|window| window.contains(now)) {
            match window.disturbance {
                Disturbance::Error { part } if (&self.shared.random).unit() < part => step = Step::Fail,
                Disturbance::Hang { part } if (&self.shared.random).unit() < part => step = Step::Hang,
                Disturbance::Latency { added } => latency = latency.saturating_add(added),
                Disturbance::Error { .. } | Disturbance::Hang { .. } | Disturbance::Capacity { .. } => {}
            }
        }
        if step == Step::Hang {
            std::future::pending::<()>().await;
        }
        if !latency.is_zero() {
            self.clock.sleep_until(now + latency).await;
        }
        if step == Step::Ok { Ok(call.saturating_add(1)) } else { Err(Failure) }
    }
}

impl<C: Clock> Clone for ScriptedDependency<C> {
    fn clone(&self) -> Self {
        Self { clock: self.clock.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the script says that this call fails")
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    #[test]
    fn steps_follow_one_another_and_the_last_is_repeated() {
        let script = Script::fail(2).then_answer(1).then_fail(1);
        let steps: Vec<Step> = (0..6).map(|call| script.step(call)).collect();
        assert_eq!(steps, [Step::Fail, Step::Fail, Step::Ok, Step::Fail, Step::Fail, Step::Fail]);
        assert_eq!(Script::ok().step(9), Step::Ok);
        assert_eq!(Script::fail(1).then_ok().step(u32::MAX), Step::Ok);
    }

    #[test]
    fn windows_of_time_overrule_the_steps() {
        let clock = VirtualClock::new();
        let script = Script::ok().during("from 10s to 20s: error").unwrap().during("from 0s: latency 1s").unwrap();
        let dependency = ScriptedDependency::new(&clock, script);
        assert_eq!(clock.run(dependency.call()), Ok(1));
        assert_eq!(clock.now(), Moment::from_millis(1000));
        clock.advance_to(Moment::from_millis(10_000));
        assert_eq!(clock.run(dependency.call()), Err(Failure));
        clock.advance_to(Moment::from_millis(20_000));
        assert_eq!((clock.run(dependency.call()), dependency.calls()), (Ok(3), 3));
    }

    #[test]
    fn a_part_of_the_calls_is_about_that_part_and_always_the_same() {
        let failed = || {
            let clock = VirtualClock::new();
            let script = Script::ok().during("from 0s: error 25%").unwrap();
            let dependency = ScriptedDependency::new(&clock, script);
            (0..1000).map(|_| clock.run(dependency.call()).is_err()).collect::<Vec<bool>>()
        };
        let share = failed().iter().filter(|failed| **failed).count();
        assert!((200..300).contains(&share), "{share}");
        assert_eq!(failed(), failed());
    }
}
