//! Reviews a design: computes what availability it promises, what its history shows, what outages cost, and where its
//! risks are. Pure functions over the model: no files, no clock, no network.

pub mod availability;
pub mod cost;
pub mod history;
pub mod maturity;
pub mod review;
