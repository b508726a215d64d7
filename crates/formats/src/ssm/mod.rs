//! Documents of AWS Systems Manager: runbooks and response plans.

mod automation;
mod form;
mod response_plan;

pub(crate) use automation::check as automation;
pub(crate) use response_plan::{check as response_plan, input as response_plan_input};
