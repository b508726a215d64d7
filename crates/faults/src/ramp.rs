//! How a load rises: evenly or in steps, over a time; and what it was seen to do meanwhile.

use std::{
    convert::Infallible,
    fmt,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use model::{
    Period,
    catalogue::{Parameter, ParameterKind},
};
use serde::{Deserialize, Serialize};

use crate::{
    fault::{Failed, Refused},
    parameters::Checked,
};

/// Over how long a load rises.
pub(crate) const RAMP: Parameter = Parameter {
    name: "ramp",
    kind: ParameterKind::Duration { min_seconds: 1, max_seconds: 43_200 },
    required: false,
    default: None,
    about: "Over how long the load rises from nothing, as a part of `duration`; without it, all of it is there at once.",
};
/// In how many steps it rises.
pub(crate) const STEPS: Parameter = Parameter {
    name: "steps",
    kind: ParameterKind::Integer { min: 0, max: 1000 },
    required: false,
    default: Some("0"),
    about: "In how many equal steps the load rises over `ramp`, the first at its beginning; 0: evenly.",
};

/// How a load rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ramp {
    /// Until all of it is there.
    over: Duration,
    /// In how many steps; 0: evenly.
    steps: u32,
}

/// How often it is looked at that rises evenly, or in more steps than this: so many figures are read at a glance.
const LOOKS: u32 = 5;

impl Ramp {
    /// What the parameters say.
    ///
    /// # Errors
    ///
    /// When there are steps of nothing, or nothing is left of the fault's duration in which all of the load is there.
    pub(crate) fn plan(parameters: Checked<'_>) -> Result<Self, Refused> {
        let steps = parameters.read("steps")?;
        let Some(over) = parameters.maybe::<Period>("ramp")? else {
            return if steps == 0 {
                Ok(Self::default())
            } else {
                Err(Refused("`steps` says how the load rises over `ramp`, which is missing".to_owned()))
            };
        };
        match parameters.maybe::<Period>("duration")? {
            Some(duration) if duration <= over => Err(Refused(format!(
                "`ramp` takes {over} of a fault that lasts {duration}: what is asked for would never be held; give a shorter `ramp`"
            ))),
            _ => Ok(Self { over: over.get(), steps }),
        }
    }

    /// Whether there is one.
    pub(crate) const fn is_there(self) -> bool {
        !self.over.is_zero()
    }

    /// The share of the load that is there at a time after its beginning, from 0 to 1.
    pub(crate) fn level(self, at: Duration) -> f64 {
        if at >= self.over {
            return 1.0;
        }
        let (share, steps) = (at.div_duration_f64(self.over), f64::from(self.steps));
        if self.steps == 0 { share } else { ((share * steps).floor() + 1.0) / steps }
    }

    /// How long all of the load would have to be there for as much of it as there was until then.
    pub(crate) fn worth(self, until: Duration) -> Duration {
        let rising = until.min(self.over);
        if rising.is_zero() {
            return until;
        }
        let (share, steps) = (rising.div_duration_f64(self.over), f64::from(self.steps));
        let sum = if self.steps == 0 {
            share * share / 2.0
        } else {
            let full = (share * steps).floor();
            // Steps of the heights 1, 2, 3 ... that are over, and what there was of the present one.
            (full * (full + 1.0) / 2.0 / steps + (share - full / steps) * (full + 1.0)) / steps
        };
        self.over.mul_f64(sum) + (until - rising)
    }

    /// The times at which it is looked at: the ends of its steps, or so many parts.
    fn looks(self) -> impl Iterator<Item = Duration> {
        let parts = if (1..=LOOKS).contains(&self.steps) { self.steps } else { LOOKS };
        (1..=parts).map(move |part| self.over * part / parts)
    }
}

impl fmt::Display for Ramp {
    /// ` after a rise of 60.0 s in 5 steps`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.steps {
            _ if !self.is_there() => Ok(()),
            0 => write!(f, " after a rise of {:.1} s", self.over.as_secs_f64()),
            steps => write!(f, " after a rise of {:.1} s in {steps} steps", self.over.as_secs_f64()),
        }
    }
}

/// Looks at a load while it rises, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Watch<T> {
    /// Nothing is sent: its end says that nobody wants to know any more.
    _stop: Sender<Infallible>,
    seen: JoinHandle<Vec<T>>,
}

impl<T: Send + 'static> Watch<T> {
    /// Begins, for a load that began at `begun`; one that does not rise needs none. Ends early when there is nothing to see.
    pub(crate) fn start(
        ramp: Ramp,
        begun: Instant,
        mut look: impl FnMut() -> Option<T> + Send + 'static,
    ) -> Result<Option<Self>, Failed> {
        if !ramp.is_there() {
            return Ok(None);
        }
        let (stop, stopped) = mpsc::channel::<Infallible>();
        let watch = move || {
            let mut seen = Vec::new();
            for at in ramp.looks() {
                let left = at.saturating_sub(begun.elapsed());
                let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(left) else { break };
                let Some(now) = look() else { break };
                seen.push(now);
            }
            seen
        };
        let seen = thread::Builder::new().name("ramp".to_owned()).spawn(watch).map_err(Failed::to("start a thread"))?;
        Ok(Some(Self { _stop: stop, seen }))
    }

    /// What was seen until now, in order.
    pub(crate) fn end(self) -> Vec<T> {
        let Self { _stop, seen } = self;
        drop(_stop);
        seen.join().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{cpu::stress::ENTRY, parameters::Parameters};

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn a_load_rises_evenly_or_in_steps_and_then_stays() {
        let even = Ramp { over: seconds(10.0), steps: 0 };
        for (at, level, worth) in [(0.0, 0.0, 0.0), (5.0, 0.5, 1.25), (10.0, 1.0, 5.0), (12.0, 1.0, 7.0)] {
            assert!(near(even.level(seconds(at)), level), "{at}");
            assert!(near(even.worth(seconds(at)).as_secs_f64(), worth), "{at}");
        }
        let stairs = Ramp { steps: 4, ..even };
        for (at, level, worth) in [(0.0, 0.25, 0.0), (3.0, 0.5, 0.875), (9.0, 1.0, 5.25), (12.0, 1.0, 8.25)] {
            assert!(near(stairs.level(seconds(at)), level), "{at}");
            assert!(near(stairs.worth(seconds(at)).as_secs_f64(), worth), "{at}");
        }
        let none = Ramp::default();
        assert!(!none.is_there() && near(none.level(Duration::ZERO), 1.0));
        assert_eq!(none.worth(seconds(3.0)), seconds(3.0));
        assert_eq!(none.to_string(), "");
        assert_eq!(stairs.to_string(), " after a rise of 10.0 s in 4 steps");
        assert_eq!(stairs.looks().last(), Some(seconds(10.0)));
    }

    #[test]
    fn a_ramp_that_leaves_nothing_of_the_fault_is_refused() {
        let plan = |given: &[(&str, &str)]| {
            let given: Parameters = given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
            Ramp::plan(Checked::new(&ENTRY, &given).unwrap()).map_err(|Refused(why)| why)
        };
        assert_eq!(plan(&[]), Ok(Ramp::default()));
        assert_eq!(plan(&[("ramp", "PT4S"), ("steps", "2")]), Ok(Ramp { over: seconds(4.0), steps: 2 }));
        assert!(plan(&[("steps", "2")]).unwrap_err().contains("missing"));
        assert!(plan(&[("ramp", "PT1M"), ("duration", "PT1M")]).unwrap_err().contains("never be held"));
    }

    #[test]
    fn a_watch_sees_each_part_once_and_ends_when_it_is_told_to() {
        let mut count = 0;
        let look = move || {
            count += 1;
            Some(count)
        };
        let past = Instant::now().checked_sub(seconds(60.0)).unwrap();
        let watch = Watch::start(Ramp { over: seconds(60.0), steps: 3 }, past, look).unwrap().unwrap();
        while !watch.seen.is_finished() {
            thread::yield_now();
        }
        assert_eq!(watch.end(), [1, 2, 3]);
        let early = Watch::start(Ramp { over: seconds(6000.0), steps: 0 }, Instant::now(), look).unwrap().unwrap();
        assert!(early.end().is_empty());
        assert!(Watch::start(Ramp::default(), past, look).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn what_a_load_is_worth_grows_by_its_level(over in 1u32..600, steps in 0u32..20, at in 0u32..1200) {
            let ramp = Ramp { over: Duration::from_secs(over.into()), steps };
            let (at, slice) = (Duration::from_millis(u64::from(at) * 500), Duration::from_millis(1));
            let grown = (ramp.worth(at + slice) - ramp.worth(at)).div_duration_f64(slice);
            let (least, most) = (ramp.level(at), ramp.level(at + slice));
            prop_assert!(grown >= least - 1e-3 && grown <= most + 1e-3, "{grown} is not from {least} to {most}");
        }
    }
}
