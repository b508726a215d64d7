//! What is seen: load, probes, scrapes, measurements, alarms.

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
pub mod url;

pub use clock::Clock;
pub use measurements::Measurements;
pub use reading::{Judgement, Reading};
