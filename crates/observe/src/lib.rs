//! What is seen: load, probes, scrapes, measurements, alarms.
//!
//! ```text
//!   load::http ───┐
//!   load::command │  beside the system              ┌──▶ Reading ──judge──▶ Judgement    clauses
//!   probe ────────┼──▶ Measurements ────────────────┼──▶ alarm::Watch ──▶ Transition     guards
//!   scrape ───────┤    one clock, all samples       └──▶ series                          plots
//!   (the lab) ────┘
//! ```
//!
//! Everything that is measured meets in [`Measurements`], stamped by one [`Clock`]. What it amounts to is decided by pure
//! functions: [`Reading::judge`] for clauses, [`alarm::evaluate`] for alarms. Both refuse to answer from too little: where
//! nothing was asked, nothing holds.
//!
//! ```
//! use model::{Moment, metric::{Condition, Metric}};
//! use observe::{Judgement, Measurements};
//!
//! let measurements = Measurements::new();
//! let none: Condition = "== 0".parse()?;
//! let errors = |from, to| {
//!     measurements.read(&Metric::new("http.errors"), Moment::from_secs(from), Moment::from_secs(to)).judge(&none)
//! };
//! assert_eq!(errors(0, 10), Judgement::NotEnough { have: 0, need: 1 });
//! measurements.count(&Metric::new("http.success"), Moment::from_secs(5), 200);
//! assert_eq!(errors(0, 10), Judgement::Holds);
//! measurements.count(&Metric::new("http.errors.5xx"), Moment::from_secs(15), 1);
//! assert_eq!(errors(10, 20), Judgement::Broken);
//! # Ok::<(), model::metric::QuantityError>(())
//! ```
//!
//! It draws no conclusions about an experiment and knows nothing of faults, and it keeps no history beyond one run.

pub mod alarm;
pub mod clock;
pub mod exposition;
pub mod get;
pub mod load;
pub mod measurements;
pub mod probe;
pub mod reading;
mod response;
pub mod scrape;
mod shelf;
pub mod url;

pub use clock::Clock;
pub use measurements::Measurements;
pub use reading::{Judgement, Reading};
