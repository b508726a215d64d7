//! A data centre in a box: regions, zones, groups, load balancers on one machine.
