//! Observing over real sockets, and CloudWatch's published tables.

#[cfg(test)]
mod alarm_tables;
#[cfg(test)]
mod load;
#[cfg(test)]
mod watching;
