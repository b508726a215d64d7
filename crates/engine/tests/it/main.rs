//! The driver against a simulated provider, on a paused clock: no test here waits for real time.

mod abort;
mod experiments;
mod simulated;
