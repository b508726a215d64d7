//! A dependency that does what a script says, and a listener that writes down what it hears.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use patterns::{Attempt, Clock as _, Event, VirtualClock, event::Kind, pipeline::Builder};

/// What the dependency does with one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Answers after so many milliseconds.
    Ok(u64),
    /// Fails after so many milliseconds.
    Fail(u64),
    /// Never answers.
    Hang,
}

/// A dependency that does one step per call, and the last for all that follow.
#[derive(Clone)]
pub(crate) struct Dependency {
    clock: VirtualClock,
    steps: Arc<[Step]>,
    calls: Arc<AtomicU32>,
    at_once: Arc<Mutex<(u32, u32)>>,
}

impl Dependency {
    pub(crate) fn new(clock: &VirtualClock, steps: &[Step]) -> Self {
        Self { clock: clock.clone(), steps: steps.into(), calls: Arc::default(), at_once: Arc::default() }
    }

    /// How many calls it has seen.
    pub(crate) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many it is working on, and the most it ever was.
    pub(crate) fn at_once(&self) -> (u32, u32) {
        *self.at_once.lock().unwrap()
    }

    pub(crate) async fn call(&self, _: Attempt<'_>) -> Result<&'static str, &'static str> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) as usize;
        let _working = Working::new(&self.at_once);
        let millis = |millis| self.clock.sleep_until(self.clock.now() + Duration::from_millis(millis));
        match self.steps[number.min(self.steps.len() - 1)] {
            Step::Ok(after) => {
                millis(after).await;
                Ok("fine")
            }
            Step::Fail(after) => {
                millis(after).await;
                Err("broken")
            }
            Step::Hang => std::future::pending().await,
        }
    }
}

struct Working<'a>(&'a Mutex<(u32, u32)>);

impl<'a> Working<'a> {
    fn new(at_once: &'a Mutex<(u32, u32)>) -> Self {
        let mut numbers = at_once.lock().unwrap();
        numbers.0 += 1;
        numbers.1 = numbers.1.max(numbers.0);
        Self(at_once)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

/// What a pipeline told, in order.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Kind>>>);

impl Heard {
    pub(crate) fn listen(&self, builder: Builder<VirtualClock>) -> Builder<VirtualClock> {
        let heard = Arc::clone(&self.0);
        builder.listener(move |event: &Event<'_>| heard.lock().unwrap().push(event.kind))
    }

    pub(crate) fn all(&self) -> Vec<Kind> {
        self.0.lock().unwrap().clone()
    }

    /// The names of the events.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.all().iter().map(Kind::as_str).collect()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
