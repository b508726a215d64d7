//! The driver against a simulated provider, on a paused clock: no test here waits for real time but that of a real load.

#[cfg(test)]
mod abort;
#[cfg(test)]
mod experiments;
#[cfg(test)]
mod hanging;
#[cfg(test)]
mod simulated;
