//! A zone or a region as a target: what is in it, and what is around it.

use std::collections::{BTreeMap, BTreeSet};

use engine::provider::{InjectError, Order};
use model::{
    catalogue::{Parameter, ParameterKind},
    resource::ResourceId,
};

use super::parts;
use crate::{lab::Lab, status::InstanceState};

/// How long it lasts.
pub(super) const DURATION: Parameter = Parameter {
    name: "duration",
    // FIS: one minute to twelve hours.
    kind: ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 },
    required: false,
    default: None,
    about: "How long the fault lasts.",
};

/// Which of a place's traffic is concerned.
pub(super) const SCOPE: Parameter = Parameter {
    name: "scope",
    kind: ParameterKind::OneOf { values: &["all", "other-zones", "other-regions"] },
    required: false,
    default: Some("all"),
    about: "Which traffic: all that leaves or enters it, load balancers included, which belong to no zone; only that with other             zones of its region; or only that with other regions.",
};

/// A zone or a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `zone local-1a`.
    pub(super) name: String,
    /// The zones it consists of.
    pub(super) zones: BTreeSet<String>,
    region: String,
}

impl Place {
    /// The zone or region that is behind a subnet or region.
    pub(super) fn of(lab: &Lab, id: &ResourceId) -> Result<Self, InjectError> {
        let identity = lab.inner.identity;
        for region in &lab.inner.spec.regions {
            let place = |name: String, zones: &[String]| Self {
                name,
                zones: zones.iter().cloned().collect(),
                region: region.name.clone(),
            };
            if identity.region(&region.name) == *id {
                return Ok(place(format!("region {}", region.name), &region.zones));
            }
            if let Some(zone) = region.zones.iter().find(|zone| identity.subnet(zone) == *id) {
                return Ok(place(format!("zone {zone}"), std::slice::from_ref(zone)));
            }
        }
        Err(InjectError::Refused(format!("the lab has no subnet or region {id}")))
    }

    /// Its running instances, in the order of their launch.
    pub(super) async fn running(&self, lab: &Lab) -> Vec<ResourceId> {
        let mut seen = lab.look().await;
        seen.retain(|seen| seen.status.state == InstanceState::Running && self.zones.contains(&seen.status.zone));
        seen.into_iter().map(|seen| seen.status.id).collect()
    }

    /// The networks around it. Never its own: within a subnet an access control list does not count.
    pub(super) fn around(&self, lab: &Lab, scope: &str) -> Result<Vec<String>, InjectError> {
        let inner = &lab.inner;
        let same_region = |zone: &str| {
            let own = inner.spec.regions.iter().find(|region| region.name == self.region);
            own.is_some_and(|region| region.zones.iter().any(|name| name == zone))
        };
        let concerned = |zone: &str| match scope {
            "other-zones" => same_region(zone),
            "other-regions" => !same_region(zone),
            _ => true,
        };
        let others = inner.subnets.iter().filter(|(zone, _)| !self.zones.contains(*zone) && concerned(zone));
        let mut networks: Vec<_> = others.map(|(_, block)| format!("{block}/24")).collect();
        if scope == "all" {
            let [a, b, c, _] = inner.fabric_address.octets();
            networks.push(format!("{a}.{b}.{c}.0/24"));
        }
        if networks.is_empty() {
            let what = if scope == "other-zones" { "no other zone of its region" } else { "no other region" };
            return Err(InjectError::Refused(format!(
                "around {} there is {what}, so that the scope `{scope}` concerns nothing; `all` would",
                self.name
            )));
        }
        Ok(networks)
    }
}

/// A fault of the network on each instance of a place, on its traffic with what is around it: on those that run, and on those that
/// will.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    place: Place,
    fault: &'static str,
    parameters: BTreeMap<String, String>,
}

impl Spread {
    /// Reads what it is of an order, and which traffic of the place that the order is for.
    pub(super) fn plan(
        lab: &Lab,
        whole: &Order,
        scope: &str,
        fault: &'static str,
        parameters: &[(&str, Option<&str>)],
    ) -> Result<Self, InjectError> {
        let place = Place::of(lab, &whole.resource)?;
        let mut given = BTreeMap::from([("sources".to_owned(), place.around(lab, scope)?.join(","))]);
        let written = parameters.iter().filter_map(|(name, text)| Some(((*name).to_owned(), (*text)?.to_owned())));
        given.extend(written);
        Ok(Self { place, fault, parameters: given })
    }

    /// The faults on those that run.
    pub(super) async fn running(&self, lab: &Lab, whole: &Order) -> Result<Vec<Order>, InjectError> {
        let running = self.place.running(lab).await;
        if running.is_empty() {
            let lab = &lab.inner.spec.name;
            return Err(InjectError::Refused(format!("no instance runs in {} of lab `{lab}`", self.place.name)));
        }
        parts::orders(whole, self.fault, &self.parameters, running)
    }

    /// The fault on one more, if it is in the place; the part of this number.
    pub(super) async fn on(&self, lab: &Lab, whole: &Order, part: usize, instance: &ResourceId) -> Option<Order> {
        self.place.running(lab).await.contains(instance).then(|| Order {
            injection: parts::number(whole, part),
            fault: self.fault.to_owned(),
            parameters: self.parameters.clone(),
            resource: instance.clone(),
            term: whole.term,
        })
    }
}

/// The scope that an order names.
pub(super) fn scope(order: &Order) -> &str {
    text(order, SCOPE.name).unwrap_or("all")
}

/// A parameter of an order, if it is given.
pub(super) fn text<'a>(order: &'a Order, name: &str) -> Option<&'a str> {
    order.parameters.get(name).map(String::as_str)
}
