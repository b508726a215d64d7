//! A simulator: many clients, each with a pipeline of its own, call a dependency that suffers what a script says.
//!
//! It answers what no unit test can: what a policy does to the *load on the dependency*. Pipelines are the real ones, on
//! a [`VirtualClock`](crate::VirtualClock): the same code and state machines as in production, one minute in some
//! milliseconds, and the same seed gives the same figures.
//!
//! ```
//! use patterns::simulate::{Simulation, text};
//!
//! let simulation = Simulation::from_yaml("
//! pipelines:
//!   naive: { attempt_timeout: 200ms, retry: { max_attempts: 4, jitter: none, budget: none } }
//!   budgeted: { attempt_timeout: 200ms, retry: { max_attempts: 4 } }
//! scenario:
//!   duration: 30s
//!   rate: 80
//!   dependency: { capacity: 5, latency: 50ms }
//!   script: [ from 5s to 10s: hang ]
//! ")?;
//! let report = simulation.run()?;
//! let load: Vec<f64> = report.runs.iter().map(|run| run.totals.amplification).collect();
//! assert!(load[0] > 3.0 && load[1] < 1.5, "a budget keeps retries from multiplying load: {load:?}");
//! println!("{}", text::render(&report, 80));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The dependency works on a number of calls at a time, queues others, and refuses what its queue does not hold. By
//! default it also works on calls whose callers have gone, as most servers do: that is what turns an overload that
//! retries sustain into one that does not end, see Bronson et al., [*Metastable Failures in Distributed Systems*][hotos],
//! HotOS 2021.
//!
//! [hotos]: https://sigops.org/s/conferences/hotos/2021/papers/hotos21-s11-bronson.pdf

mod chart;
mod file;
mod report;
mod run;
mod server;
pub mod svg;
pub mod text;

pub use self::{
    file::{Arrivals, Dependency, Scenario, Simulation, Spread},
    report::{Report, Run, Step, Totals},
    run::TooManyAttempts,
};
