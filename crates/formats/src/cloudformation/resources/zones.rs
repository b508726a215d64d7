//! Subnets that are meant to keep something in several zones, and lie in one.

use super::{Resource, reference};
use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// Types, and the property under which they name the subnets they are spread over.
const SPREAD: &[(&str, &str)] = &[
    ("AWS::RDS::DBSubnetGroup", "SubnetIds"),
    ("AWS::ElastiCache::SubnetGroup", "SubnetIds"),
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Subnets"),
    ("AWS::AutoScaling::AutoScalingGroup", "VPCZoneIdentifier"),
];

/// Reports what names several subnets of this template that all lie in the same zone.
pub(super) fn check(reader: &mut Reader<'_>, resources: &[Resource<'_>]) {
    for (resource, property) in resources.iter().filter_map(|resource| Some((resource, property_of(resource)?))) {
        let names = resource.properties.get(property).and_then(Node::as_sequence).unwrap_or_default();
        let zones: Option<Vec<String>> = names.iter().map(|name| zone(reader, resources, &reference(name)?)).collect();
        let Some([first, others @ ..]) = zones.as_deref() else { continue };
        if others.is_empty() || others.iter().any(|other| other != first) {
            continue;
        }
        let place = resource.properties.entry(property).map_or(resource.entry.key_span, |entry| entry.key_span);
        let message = format!("all subnets of `{}` lie in the same zone, {first}", resource.entry.key);
        reader.report(Finding::new(&codes::ONE_ZONE, place, message).help("name subnets of at least two zones"));
    }
}

fn property_of(resource: &Resource<'_>) -> Option<&'static str> {
    SPREAD.iter().find(|(kind, _)| *kind == resource.kind).map(|(_, property)| *property)
}

/// The zone of a subnet of this template, as it is written there.
fn zone(reader: &Reader<'_>, resources: &[Resource<'_>], id: &str) -> Option<String> {
    let subnet = resources.iter().find(|resource| resource.entry.key == id)?;
    if subnet.kind != "AWS::EC2::Subnet" {
        return None;
    }
    let zone = subnet.properties.get("AvailabilityZone")?;
    let written: Vec<&str> = reader.source.slice(zone.span).split_whitespace().collect();
    Some(written.join(" "))
}
