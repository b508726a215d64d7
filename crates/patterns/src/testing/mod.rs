//! A test kit: many calls on a virtual clock without a runtime, dependencies that do what a script says, and assertions
//! on attempts that can be read when they fail.
//!
//! ```
//! use std::time::Duration;
//! use patterns::{
//!     Context, Jitter, Pipeline, Retry, VirtualClock,
//!     testing::{Recorder, Script, ScriptedDependency, assert_attempts},
//! };
//!
//! let (clock, recorder) = (VirtualClock::new(), Recorder::new());
//! let dependency = ScriptedDependency::new(&clock, Script::fail(2).then_ok().taking(Duration::from_millis(10)));
//! let users = Pipeline::builder("users")
//!     .clock(clock.clone())
//!     .retry(Retry::exponential(Duration::from_millis(100)).jitter(Jitter::None))
//!     .listener(recorder.clone())
//!     .build()?;
//!
//! let answer = clock.run(users.call(&Context::idempotent(), |_| dependency.call()));
//! assert!(answer.is_ok());
//! assert_attempts(&recorder, &["0s transient 10ms", "110ms transient 10ms", "320ms success 10ms"]);
//! # Ok::<(), patterns::InvalidOption>(())
//! ```

mod recorder;
mod script;
mod tasks;
mod window;

pub use self::{
    recorder::{Recorder, assert_attempts},
    script::{Failure, Script, ScriptedDependency},
    tasks::Tasks,
    window::{Disturbance, NoWindow, Window},
};
