//! `process:restart` of an instance's first process: it is asked to end, and the lab starts it again.

use std::time::Duration;

use engine::provider::{InjectError, Order as Injection};
use faults::process::restart::ENTRY;
use model::{Period, event::Proof};
use tokio::time::timeout;

use super::{dispatch::order_error, instance_reboot};
use crate::{lab::Lab, plane::Order};

/// Whether an order is about an instance as such: a process with a name has its own supervisor in there.
pub(super) fn is_meant(order: &Injection) -> bool {
    order.fault == ENTRY.id && !order.parameters.contains_key("process")
}

pub(super) async fn inject(lab: &Lab, order: &Injection) -> Result<Proof, InjectError> {
    let within = time(order, "within")?;
    let grace = match text(order, "signal") {
        Some("SIGKILL") => Duration::ZERO,
        _ => time(order, "grace")?,
    };
    let (lab, instance) = (lab.clone(), order.resource.clone());
    // On a thread of the lab's, because whoever asks may have a runtime without a clock.
    let handle = lab.handle();
    let again = async move { timeout(grace + within, lab.order(&instance, Order::Restart(grace))).await };
    match handle.spawn(again).await {
        Ok(Ok(carried)) => Ok(instance_reboot::proof("restarted", carried.map_err(order_error)?)),
        Ok(Err(_late)) => Ok(Proof {
            configured: "restarted".to_owned(),
            achieved: format!("after {} s it does not run again", (grace + within).as_secs()),
            holds: false,
        }),
        Err(broke) => Err(InjectError::Failed(format!("restarting it broke off: {broke}"))),
    }
}

/// A parameter's text, or its default.
fn text<'a>(order: &'a Injection, name: &str) -> Option<&'a str> {
    let default = || ENTRY.parameters.iter().find(|parameter| parameter.name == name)?.default;
    order.parameters.get(name).map(String::as_str).or_else(default)
}

fn time(order: &Injection, name: &str) -> Result<Duration, InjectError> {
    let period = text(order, name).and_then(|text| text.parse::<Period>().ok());
    period.map(Period::get).ok_or_else(|| InjectError::Refused(format!("{}: `{name}` is not a duration", ENTRY.id)))
}
