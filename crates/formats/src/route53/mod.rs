//! Records and health checks of Route 53, from whatever format they come.

mod change_batch;
mod check;
mod record;

use std::collections::{HashMap, HashSet};

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
    let is = |record: &Record, of: &str| record.failover.as_ref().is_some_and(|failover| failover.text == of);
    let primaries = records.iter().filter(|record| is(record, "PRIMARY"));
    let checked: HashSet<_> =
        primaries.filter_map(|record| Some((&record.name, &record.check.as_ref()?.text))).collect();
    for record in records {
        record::check(reader, record);
        alone(reader, record);
        if let Some(check) = record.check.as_ref().filter(|_| is(record, "SECONDARY")) {
            shares(reader, check, checked.contains(&(&record.name, &check.text)));
        }
    }
    let names = Names::of(records);
    for check in checks {
        protected(reader, check, &names);
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

/// A secondary whose check is the `same` as that of the primary, or is called so.
fn shares(reader: &mut Reader<'_>, check: &Placed, same: bool) {
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

/// What the records of every name depend on, and where they lead.
struct Names<'r> {
    /// A name with a check that one of its records has.
    checked: HashSet<(&'r str, &'r str)>,
    /// What the first CNAME of a name leads to.
    targets: HashMap<&'r str, String>,
}

impl<'r> Names<'r> {
    fn of(records: &'r [Record]) -> Self {
        let (mut checked, mut targets) = (HashSet::new(), HashMap::new());
        for record in records {
            let Some(name) = record.name.as_deref() else { continue };
            checked.extend(record.check.as_ref().map(|check| (name, check.text.as_str())));
            if let Some(target) = record.target() {
                targets.entry(name).or_insert_with(|| canonical(target));
            }
        }
        Self { checked, targets }
    }
}

/// Most CNAMEs that are followed from one name; resolvers give up after fewer.
pub(crate) const LONGEST_CHAIN: usize = 100;

/// A check that asks a name whose records depend on it, along CNAMEs.
fn protected(reader: &mut Reader<'_>, check: &Check, names: &Names<'_>) {
    let Some(asks) = &check.asks else { return };
    let first = canonical(&asks.text);
    let next = |name: &&str| names.targets.get(*name).map(String::as_str);
    let mut chain = std::iter::successors(Some(first.as_str()), next).take(LONGEST_CHAIN);
    if chain.any(|name| names.checked.contains(&(name, check.id.as_str()))) {
        let message =
            format!("the check asks `{}`, and it is this check that decides where that name leads", asks.text);
        reader.report(
            Finding::new(&codes::CHECK_PROBES_PROTECTED, asks.span, message)
                .help("ask the endpoint of the region, such as the load balancer's own name"),
        );
    }
}
