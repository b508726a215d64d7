//! A data centre in a box: regions, zones, groups, load balancers on one machine.

pub mod balancer;
pub mod demo_app;

mod upstream;
