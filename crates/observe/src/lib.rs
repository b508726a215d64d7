//! What is seen: load, probes, scrapes, measurements, alarms.

pub mod clock;

pub use clock::Clock;
