//! Records and health checks of a sheet.

use std::collections::{HashMap, HashSet};

use super::{field, plain, quantity, text};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node},
    route53::LONGEST_CHAIN,
};

/// Whether a key is a host name of a record.
fn is_host(key: &str) -> bool {
    key.contains('.')
        && !key.contains(' ')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '*' | '_'))
        && key.parse::<f64>().is_err()
}

/// The name that a health check asks.
fn asked(node: &Node) -> Option<&Entry> {
    ["fqdn", "fully qualified domain name", "fullyqualifieddomainname", "domain name"]
        .iter()
        .find_map(|key| field(node, key))
}

/// Looks at all records and health checks.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node, mappings: &[(&Entry, &Node)]) {
    let records: HashMap<&str, &Node> = mappings
        .iter()
        .filter(|(entry, node)| is_host(&entry.key) && field(node, "type").is_some())
        .map(|(entry, node)| (entry.key.as_str(), *node))
        .collect();
    // In the order of the document, so that findings are.
    for (_, node) in mappings.iter().filter(|(entry, _)| records.contains_key(entry.key.as_str())) {
        alias(reader, node);
        shared_check(reader, node);
    }
    if records.is_empty() {
        return;
    }
    let zone = root
        .as_mapping()
        .unwrap_or_default()
        .iter()
        .find(|entry| plain(&entry.key).ends_with("hosted zone"))
        .and_then(|entry| entry.value.as_text());
    for (entry, node) in mappings {
        if let Some(fqdn) = asked(node) {
            protected(reader, &entry.key, fqdn, &records);
            unresolved(reader, fqdn, &records, zone);
        }
    }
}

/// A record and the ones in it: `Primary Record`, `Secondary Record`.
fn variants(record: &Node) -> impl Iterator<Item = &Node> {
    let inner = record
        .as_mapping()
        .unwrap_or_default()
        .iter()
        .map(|entry| &entry.value)
        .filter(|node| node.as_mapping().is_some());
    std::iter::once(record).chain(inner)
}

fn alias(reader: &mut Reader<'_>, record: &Node) {
    if !text(record, "type").is_some_and(|kind| kind.to_lowercase().contains("alias")) {
        return;
    }
    for ttl in variants(record).filter_map(|node| field(node, "ttl")) {
        let message = "an alias record has no TTL of its own; it has the one of what it points to";
        reader.report(
            Finding::new(&codes::ALIAS_TTL, ttl.key_span, message)
                .help("remove it; for a load balancer 60 seconds are used"),
        );
    }
}

fn shared_check(reader: &mut Reader<'_>, record: &Node) {
    let of = |kind: &str| {
        variants(record)
            .find(|node| {
                text(node, "failover type")
                    .or_else(|| text(node, "failover"))
                    .is_some_and(|text| text.eq_ignore_ascii_case(kind))
            })
            .and_then(|node| field(node, "health check"))
    };
    if let (Some(primary), Some(secondary)) = (of("PRIMARY"), of("SECONDARY"))
        && primary.value.as_text() == secondary.value.as_text()
    {
        let message = "the secondary has the health check of the primary: when that fails both are unhealthy, and Route 53 answers with the primary";
        reader.report(
            Finding::new(&codes::SECONDARY_SHARES_CHECK, secondary.value.span, message)
                .help("give it a check of its own, or none"),
        );
    }
}

/// A check that asks a name whose records depend on the check, along CNAMEs.
fn protected(reader: &mut Reader<'_>, check: &str, fqdn: &Entry, records: &HashMap<&str, &Node>) {
    let Some(mut name) = fqdn.value.as_text() else { return };
    let mut seen = HashSet::new();
    while seen.len() < LONGEST_CHAIN && seen.insert(name) {
        let Some(record) = records.get(name) else { return };
        let decides = variants(record).filter_map(|node| text(node, "health check")).any(|used| used == check);
        if decides {
            let via = if seen.len() > 1 { format!(", which leads to `{name}`") } else { String::new() };
            let message = format!(
                "the check asks `{}`{via}, and it is this check that decides where that name leads",
                fqdn.value.as_text().unwrap_or_default()
            );
            reader.report(
                Finding::new(&codes::CHECK_PROBES_PROTECTED, fqdn.value.span, message)
                    .help("ask the endpoint of the region, such as the load balancer's own name"),
            );
            return;
        }
        match (text(record, "type"), text(record, "target")) {
            (Some(kind), Some(target)) if kind.to_uppercase().contains("CNAME") => name = target,
            _ => return,
        }
    }
}

/// A name in the document's own zone that no record defines.
fn unresolved(reader: &mut Reader<'_>, fqdn: &Entry, records: &HashMap<&str, &Node>, zone: Option<&str>) {
    let (Some(name), Some(zone)) = (fqdn.value.as_text(), zone) else { return };
    if name.ends_with(&format!(".{}", zone.trim_end_matches('.'))) && !records.contains_key(name) {
        let message = format!("no record of this document defines `{name}`");
        reader.report(
            Finding::new(&codes::UNRESOLVED_NAME, fqdn.value.span, message).help("define it, or ask a name that is"),
        );
    }
}

/// Settings of a health check that Route 53 does not have.
pub(super) fn settings(reader: &mut Reader<'_>, node: &Node) {
    if asked(node).is_none() || field(node, "failure threshold").is_none() && field(node, "request interval").is_none()
    {
        return;
    }
    for (key, why) in [
        ("success threshold", "one FailureThreshold serves both directions"),
        ("timeout", "timeouts are fixed: 4 s to connect and 2 s to answer"),
    ] {
        if let Some(entry) = field(node, key) {
            let message = format!("a health check of Route 53 has no `{}`: {why}", entry.key);
            reader.report(
                Finding::new(&codes::NO_SUCH_CHECK_SETTING, entry.key_span, message)
                    .help("remove it, and compute with what there is"),
            );
        }
    }
    if let Some(entry) = field(node, "regions")
        && let Some((count, _)) = entry.value.as_text().and_then(quantity::number)
        && count <= 3.0
    {
        let message = "with three checkers, one that reaches the endpoint keeps it healthy: more than 18 % must say so";
        reader.report(
            Finding::new(&codes::FEW_CHECKERS, entry.value.span, message)
                .help("use all eight regions, or judge by a quorum of your own"),
        );
    }
}
