//! Documents that people keep already: an inventory of one workload, a classification of several services.
//!
//! Their keys are theirs, so an unknown one is passed over; what is known must be right.

use model::{
    Period,
    workload::{Calls, Component, Figures, Need, Objectives, Workload},
};

use super::{availability, time};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    source::Span,
};

/// The keys of an inventory that nothing else has.
pub(super) const KEYS: &[&str] = &["workload_name", "availability_requirement", "rto_requirement", "rpo_requirement"];

/// The objectives of a service.
const SERVICE_KEYS: &[&str] = &["availability_target", "rto", "rpo"];

/// An inventory: tiers of which no figures are known, and external dependencies of which they are.
pub(super) fn inventory(reader: &mut Reader<'_>, root: &Node) -> Option<Workload> {
    reader.entries(root, "an inventory")?;
    let stem = reader.source.path().rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
    let name = root.get("workload_name").and_then(|node| reader.text(node, "workload_name"));
    let mut workload = Workload {
        name: name.unwrap_or_else(|| stem.to_owned()),
        criticality: root.get("business_criticality").and_then(|node| reader.text(node, "business_criticality")),
        objectives: Objectives {
            availability: root
                .get("availability_requirement")
                .and_then(|node| availability(reader, node, "availability_requirement")),
            rto: root.get("rto_requirement").and_then(|node| time(reader, node, "rto_requirement")),
            rpo: root.get("rpo_requirement").and_then(|node| time(reader, node, "rpo_requirement")),
            lag_limit: None,
        },
        places: Vec::new(),
        components: Vec::new(),
        needs: Need::All(Vec::new()),
        improvements: Vec::new(),
    };
    if let Some(node) = root.get("components") {
        for named in named(reader, node, "components") {
            let component = tier(reader, &named.name, named.node);
            workload.components.extend(component);
        }
    }
    if let Some(node) = root.get("dependencies").and_then(|node| node.get("external_apis")) {
        for named in named(reader, node, "external_apis") {
            let component = external(reader, &named.name, named.node);
            workload.components.extend(component);
        }
    }
    workload.needs =
        Need::All(workload.components.iter().map(|component| Need::Component(component.name.clone())).collect());
    Some(workload)
}

/// Something with a name, and where the name stands.
struct Named<'n> {
    name: String,
    span: Span,
    node: &'n Node,
}

/// The things of a mapping, named by its keys, or of a list, named by their `name`: both are met.
fn named<'n>(reader: &mut Reader<'_>, node: &'n Node, what: &str) -> Vec<Named<'n>> {
    let Some(items) = node.as_sequence() else {
        let entries = reader.entries(node, what).unwrap_or_default();
        let of = |entry: &'n Entry| Named { name: entry.key.clone(), span: entry.key_span, node: &entry.value };
        return entries.iter().map(of).collect();
    };
    let mut all = Vec::new();
    for item in items {
        match item.get("name") {
            Some(name) => {
                let span = name.span;
                all.extend(reader.text(name, "name").map(|name| Named { name, span, node: item }));
            }
            None => {
                let finding =
                    Finding::new(&codes::MISSING_KEY, item.head, format!("in a list of {what} each has a `name`"));
                reader.report(finding.help("write name: web, or make it a mapping: web: { … }"));
            }
        }
    }
    all
}

/// A tier: one unit in each of its zones, of which one is enough. Zones are not made causes of their own: of a tier without
/// figures nothing would be gained by it, and which zones tiers share says nothing about what they can do without.
fn tier(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Component> {
    reader.entries(node, "a component")?;
    let zones = node.get("availability_zones").map_or_else(Vec::new, |node| reader.texts(node, "availability_zones"));
    let points = node.get("single_points_of_failure");
    Some(Component {
        about: node.get("service").and_then(|node| reader.text(node, "service")),
        figures: node.get("availability").and_then(|node| availability(reader, node, "availability")).map(Figures::of),
        count: u32::try_from(zones.len()).unwrap_or(u32::MAX).max(1),
        single_points: points.map_or_else(Vec::new, |node| reader.texts(node, "single_points_of_failure")),
        ..Component::named(name)
    })
}

/// An external dependency.
fn external(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Component> {
    reader.entries(node, "an external API")?;
    let figures = node.get("availability").and_then(|node| availability(reader, node, "availability"));
    let timeout = node.get("timeout").and_then(|node| time(reader, node, "timeout"));
    let policy = node.get("retry_policy").and_then(|node| reader.text(node, "retry_policy"));
    Some(Component {
        external: true,
        figures: figures.map(Figures::of),
        calls: timeout
            .map(|timeout: Period| Calls { timeout, retries: retries(policy.as_deref().unwrap_or_default()) }),
        ..Component::named(name)
    })
}

/// `3 retries with exponential backoff` is 3; a policy without a number is taken for none.
fn retries(policy: &str) -> u32 {
    policy.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0)
}

/// Whether a list of services has objectives of at least one of them.
pub(super) fn is_classification(root: &Node) -> bool {
    let Some(services) = root.get("services") else { return false };
    let promises = |service: &Node| SERVICE_KEYS.iter().any(|key| service.entry(key).is_some());
    services.as_mapping().unwrap_or_default().iter().any(|entry| promises(&entry.value))
        || services.as_sequence().unwrap_or_default().iter().any(promises)
}

/// A classification: services with their objectives, and nothing about what they are made of.
pub(super) fn services(reader: &mut Reader<'_>, root: &Node) -> Vec<Workload> {
    let Some(node) = root.get("services") else { return Vec::new() };
    let mut workloads = Vec::new();
    for Named { name, span, node: service } in named(reader, node, "services") {
        if reader.entries(service, "a service").is_none() {
            continue;
        }
        let objectives = Objectives {
            availability: service
                .get("availability_target")
                .and_then(|node| availability(reader, node, "availability_target")),
            rto: service.get("rto").and_then(|node| time(reader, node, "rto")),
            rpo: service.get("rpo").and_then(|node| time(reader, node, "rpo")),
            lag_limit: None,
        };
        if objectives == Objectives::default() {
            reader
                .wrong_value(span, format!("the service `{name}` has none of `availability_target`, `rto` and `rpo`"));
        }
        workloads.push(Workload {
            name,
            criticality: service.get("business_impact").and_then(|node| reader.text(node, "business_impact")),
            objectives,
            places: Vec::new(),
            components: Vec::new(),
            needs: Need::All(Vec::new()),
            improvements: Vec::new(),
        });
    }
    workloads
}
