//! Observing over real sockets, and CloudWatch's published tables.

mod alarm_tables;
