//! The built binary, real processes, real packets: what a user would do, and what must be left when it is over (nothing).

#[cfg(test)]
mod assessments;
#[cfg(test)]
mod calm;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod checker;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod host;
#[cfg(test)]
mod laptop;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod links;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod managed;
#[cfg(test)]
mod patterns;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod residue;
#[cfg(test)]
mod review;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod undo;
#[cfg(test)]
mod users;
#[cfg(test)]
mod well_formed;
