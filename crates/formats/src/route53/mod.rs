//! Records and health checks of Route 53, from whatever format they come.

mod change_batch;
mod check;
mod record;

use std::collections::HashSet;

use crate::{codes, decode::Reader, finding::Finding, source::Span};
pub(crate) use change_batch::check as change_batch;
pub(crate) use check::{check, is_one as is_check};
pub(crate) use record::Record;

/// A text with its place. References are kept as what they refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// A health check, as far as names go.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    /// By what records refer to it.
    pub(crate) id: String,
    pub(crate) asks: Option<Placed>,
}

/// A name as records compare: in lower case, without the last dot.
pub(crate) fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

/// Looks at records together with the checks they use.
pub(crate) fn rules(reader: &mut Reader<'_>, records: &[Record], checks: &[Check]) {
    for record in records {
        record::check(reader, record);
        alone(reader, record);
        if record.failover.as_ref().is_some_and(|failover| failover.text == "SECONDARY") {
            shares(reader, record, records);
        }
    }
    for check in checks {
        protected(reader, check, records);
    }
    pairs(reader, records);
}

/// Two primaries, or two secondaries, of one name.
fn pairs(reader: &mut Reader<'_>, records: &[Record]) {
    let mut seen = HashSet::new();
    for record in records.iter().filter(|record| !record.conditional) {
        let (Some(name), Some(failover), Some(kind)) = (&record.name, &record.failover, &record.kind) else { continue };
        if !seen.insert((name, &failover.text, &kind.text)) {
            let message = format!("`{name}` has two {} records of type {}", failover.text, kind.text);
            reader.report(
                Finding::new(&codes::WRONG_VALUE, failover.span, message)
                    .help("a name has one PRIMARY and one SECONDARY; Route 53 refuses the second"),
            );
        }
    }
}

fn alone(reader: &mut Reader<'_>, record: &Record) {
    if let (true, Some(ttl)) = (record.alias, record.ttl) {
        let message = "an alias record has no TTL of its own; it has the one of what it points to";
        reader.report(Finding::new(&codes::ALIAS_TTL, ttl, message).help("remove it"));
    }
    let Some(failover) =
        record.failover.as_ref().filter(|failover| failover.text == "PRIMARY" && record.check.is_none())
    else {
        return;
    };
    if !record.alias {
        let message = "a primary record that is no alias needs a health check; Route 53 refuses it";
        reader.report(
            Finding::new(&codes::PRIMARY_WITHOUT_CHECK, failover.span, message)
                .help("add HealthCheckId with a check of the endpoint it leads to"),
        );
    } else if record.evaluates_target == Some(false) {
        let message =
            "nothing says when this primary is unhealthy: it has no health check, and its target is not evaluated";
        reader.report(
            Finding::new(&codes::ALIAS_IGNORES_TARGET, failover.span, message).help("set EvaluateTargetHealth to true"),
        );
    }
}

/// A secondary whose check is that of the primary, or is called so.
fn shares(reader: &mut Reader<'_>, record: &Record, records: &[Record]) {
    let Some(check) = &record.check else { return };
    let same = records.iter().any(|other| {
        let primary = other.failover.as_ref().is_some_and(|failover| failover.text == "PRIMARY");
        primary && other.name == record.name && other.check.as_ref().is_some_and(|other| other.text == check.text)
    });
    let named = check.text.to_lowercase().contains("primary");
    if same || named {
        let message = format!(
            "the secondary depends on `{}`: when the primary fails both are unhealthy, and Route 53 answers with the primary",
            check.text
        );
        reader.report(
            Finding::new(&codes::SECONDARY_SHARES_CHECK, check.span, message)
                .help("give it a check of its own, or none with EvaluateTargetHealth"),
        );
    }
}

/// A check that asks a name whose records depend on it, along CNAMEs.
fn protected(reader: &mut Reader<'_>, check: &Check, records: &[Record]) {
    let Some(asks) = &check.asks else { return };
    let mut name = canonical(&asks.text);
    let mut seen = HashSet::new();
    while seen.insert(name.clone()) {
        let mut here = records.iter().filter(|record| record.name.as_ref() == Some(&name));
        if here.clone().any(|record| record.check.as_ref().is_some_and(|used| used.text == check.id)) {
            let message =
                format!("the check asks `{}`, and it is this check that decides where that name leads", asks.text);
            reader.report(
                Finding::new(&codes::CHECK_PROBES_PROTECTED, asks.span, message)
                    .help("ask the endpoint of the region, such as the load balancer's own name"),
            );
            return;
        }
        match here.find_map(Record::target) {
            Some(target) => name = canonical(target),
            None => return,
        }
    }
}
