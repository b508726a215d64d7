//! `network:disrupt`: a zone's network is cut off.

use std::collections::BTreeMap;

use engine::provider::{InjectError, Order};
use model::{
    catalogue::{Entry, Need, Parameter, ParameterKind, Reversibility},
    event::InjectionId,
    resource::ResourceId,
};

use super::SUBNETS;
use crate::{lab::Lab, status::InstanceState};

/// The action's entry in the catalogue.
pub(crate) const ENTRY: Entry = Entry {
    id: "network:disrupt",
    about: "Drops the packets between a zone's instances and the rest: everything, or only other zones of the region.",
    targets: SUBNETS,
    parameters: &[
        Parameter {
            name: "duration",
            // FIS: one minute to twelve hours.
            kind: ParameterKind::Duration { min_seconds: 60, max_seconds: 43_200 },
            required: false,
            default: None,
            about: "How long the fault lasts.",
        },
        Parameter {
            name: "scope",
            kind: ParameterKind::OneOf { values: &["all", "availability-zone"] },
            required: false,
            default: Some("all"),
            about: "Which traffic: all that leaves or enters the zone's subnet, load balancers included; or only that of other \
                    zones in the region.",
        },
    ],
    reversibility: Reversibility::SelfEnding,
    undone_by: "As network:blackhole is, for every instance of the zone.",
    proven_by: "As network:blackhole is, for every instance of the zone.",
    needs: &[Need::NetworkNamespace, Need::NftablesOwner],
    fis: &["aws:network:disrupt-connectivity"],
    chaos_mesh: Some("NetworkChaos partition"),
};

/// Numbers for the blackholes that a disruption is made of, far from those that a run gives its own injections.
const PARTS: u32 = 1 << 31;

/// The blackholes that make it, one per running instance of the zone.
pub(super) async fn parts(lab: &Lab, order: &Order) -> Result<Vec<Order>, InjectError> {
    let inner = &lab.inner;
    let zone = zone_of(lab, &order.resource)
        .ok_or_else(|| InjectError::Refused(format!("the lab has no subnet {}", order.resource)))?;
    let sources = cut_off(lab, &zone, order.parameters.get("scope").map_or("all", String::as_str))?;
    let parameters =
        BTreeMap::from([("direction".to_owned(), "both".to_owned()), ("sources".to_owned(), sources.join(","))]);
    let running = |seen: &crate::plane::Seen| seen.status.zone == zone && seen.status.state == InstanceState::Running;
    let instances: Vec<_> = lab.look().await.into_iter().filter(running).collect();
    if instances.is_empty() {
        return Err(InjectError::Refused(format!("no instance runs in zone `{zone}` of lab `{}`", inner.spec.name)));
    }
    // 4,096 instances per disruption are more than a lab's zones have addresses.
    let first = PARTS | (order.injection.0 << 12);
    let parts = instances.into_iter().zip(first..).map(|(seen, number)| Order {
        injection: InjectionId(number),
        fault: "network:blackhole".to_owned(),
        parameters: parameters.clone(),
        resource: seen.status.id,
        lease: order.lease,
    });
    Ok(parts.collect())
}

/// The addresses that a zone is cut off from. Never its own: within a subnet an access control list does not count.
fn cut_off(lab: &Lab, zone: &str, scope: &str) -> Result<Vec<String>, InjectError> {
    let inner = &lab.inner;
    let region = inner.spec.regions.iter().find(|region| region.zones.iter().any(|name| name == zone));
    let same_region = |name: &str| region.is_some_and(|region| region.zones.iter().any(|zone| zone == name));
    let others = inner.subnets.iter().filter(|(name, _)| *name != zone);
    let blocks = |name: &&String| scope == "all" || same_region(name);
    let mut sources: Vec<_> = others.filter(|(name, _)| blocks(name)).map(|(_, block)| format!("{block}/24")).collect();
    if scope == "all" {
        let [a, b, c, _] = inner.fabric_address.octets();
        sources.push(format!("{a}.{b}.{c}.0/24"));
    }
    if sources.is_empty() {
        return Err(InjectError::Refused(format!(
            "zone `{zone}` is the only one of its region, so the scope `{scope}` cuts nothing off; `all` would"
        )));
    }
    Ok(sources)
}

fn zone_of(lab: &Lab, subnet: &ResourceId) -> Option<String> {
    lab.inner.subnets.keys().find(|zone| lab.inner.identity.subnet(zone) == *subnet).cloned()
}
