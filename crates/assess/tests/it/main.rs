//! The mathematics against programs of others, and against the numbers of the guides.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod numbers;
#[cfg(test)]
mod open_psa;
#[cfg(test)]
mod scram;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod size;
