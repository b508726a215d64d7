//! The driver against a simulated provider, on a paused clock: no test here waits for real time.

#[cfg(test)]
mod abort;
#[cfg(test)]
mod experiments;
#[cfg(test)]
mod simulated;
