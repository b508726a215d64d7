//! Operations sheets: records, health checks, alarms, probes and escalations as people write them down in YAML, with keys
//! in their own words (`Failure Threshold: 3 consecutive failures`).
//!
//! Keys are compared without case and punctuation; a rule needs the keys that make its meaning sure, and keeps quiet
//! otherwise.

mod alarms;
mod names;
mod probes;

use std::collections::HashSet;

use model::figures::span;

use super::{Goals, quantity};
use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::{Entry, Node, Value},
    source::{Source, Span},
};

/// Keys by which such a sheet is known; two different ones make it sure.
const KEYS: &[&str] = &[
    "health check",
    "health checks",
    "routing policy",
    "failure threshold",
    "request interval",
    "set identifier",
    "failover type",
    "consecutive failures",
    "check interval",
    "total detection time",
    "failure types",
    "data sync",
    "automatic actions",
    "liveness probe",
    "readiness probe",
    "unhealthy threshold",
    "healthy threshold",
    "session affinity",
    "deregistration delay",
    "evaluation",
    "threshold",
    "metric",
    "response time",
    "conditions",
    "success threshold",
    "fqdn",
];

/// Deepest mapping in which keys are looked for.
const DEEPEST: usize = 4;

/// Whether this is an operations sheet.
pub(super) fn is_one(root: &Node) -> bool {
    let mut found: HashSet<&str> = HashSet::new();
    let mut named = false;
    visit(root, 0, &mut |entry| {
        let key = plain(&entry.key);
        // Keys of several words, with capitals or spaces, are people's.
        named |= entry.key.contains(' ');
        found.extend(KEYS.iter().filter(|known| **known == key));
    });
    named && found.len() >= 2
}

fn visit<'n>(node: &'n Node, depth: usize, each: &mut impl FnMut(&'n Entry)) {
    if depth > DEEPEST {
        return;
    }
    for entry in node.as_mapping().unwrap_or_default() {
        each(entry);
        visit(&entry.value, depth + 1, each);
    }
    for item in node.as_sequence().unwrap_or_default() {
        visit(item, depth + 1, each);
    }
}

/// A key in lower case, words parted by one space.
fn plain(key: &str) -> String {
    key.replace(['_', '-'], " ").split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The entry of a mapping whose key is this in plain words.
fn field<'n>(node: &'n Node, key: &str) -> Option<&'n Entry> {
    node.as_mapping()?.iter().find(|entry| plain(&entry.key) == key)
}

/// The text under a key.
fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    field(node, key)?.value.as_text()
}

/// A value as it stands in the file: a sign that a repair has replaced is there.
fn written<'s>(source: &'s Source, node: &Node) -> &'s str {
    source.slice(node.span)
}

/// Looks at a sheet.
pub(super) fn check(reader: &mut Reader<'_>, source: &Source, root: &Node, goals: &Goals) {
    let mut mappings: Vec<(&Entry, &Node)> = Vec::new();
    visit(root, 0, &mut |entry| {
        if entry.value.as_mapping().is_some() {
            mappings.push((entry, &entry.value));
        }
    });
    names::check(reader, root, &mappings);
    let balancers_own_errors = source.slice(root.span).contains("HTTPCode_ELB_5XX");
    for (entry, node) in &mappings {
        names::settings(reader, node);
        detection(reader, node, goals);
        gate(reader, source, node, goals);
        alarms::check(reader, source, node, balancers_own_errors);
        alarms::response(reader, entry, node, goals);
        probes::balancer(reader, entry, node);
        probes::zones(reader, entry, node);
    }
    probes::check(reader, &mappings);
    actions(reader, source, root, &mappings, goals);
    steps(reader, source, root);
}

/// `Total Detection Time: 90 s` that is threshold times interval, and what is expected to be a failure.
fn detection(reader: &mut Reader<'_>, node: &Node, goals: &Goals) {
    let number = |key: &str| quantity::number(text(node, key)?).map(|(number, _)| number);
    let seconds = |key: &str| quantity::seconds(text(node, key)?);
    let (count, interval) = (
        number("consecutive failures").or_else(|| number("failure threshold")),
        seconds("check interval").or_else(|| seconds("request interval")),
    );
    if let (Some(count), Some(interval), Some(total)) = (count, interval, seconds("total detection time"))
        && (count * interval - total).abs() < 0.5
        && let Some(entry) = field(node, "total detection time")
    {
        let message = format!(
            "{count} checks every {} find a failure after {} to more than {}",
            span(interval),
            span((count - 1.0) * interval),
            span(total)
        );
        reader.report(Finding::new(&codes::DETECTION_TIME, entry.value.span, message).help("a failure just before a check is found one interval earlier; each check that runs into its timeout adds that"));
    }
    let Some(types) = field(node, "failure types") else { return };
    if !goals.dns {
        return;
    }
    let items = types.value.as_sequence().unwrap_or_default();
    let named = items.iter().filter_map(Node::as_mapping).flatten().chain(types.value.as_mapping().unwrap_or_default());
    for entry in named {
        let key = plain(&entry.key);
        if key.contains("certificate") {
            let message = "HTTPS checks of Route 53 do not look at certificates; an expired one stays green";
            reader.report(
                Finding::new(&codes::CERTIFICATE_NOT_CHECKED, entry.key_span, message)
                    .help("watch expiry with an alarm of its own, such as DaysToExpiry of the certificate manager"),
            );
        }
        if key.contains("content") && !goals.reads_content {
            let message =
                "the content of an answer is read only by checks of the types HTTP_STR_MATCH and HTTPS_STR_MATCH";
            reader.report(
                Finding::new(&codes::CONTENT_NOT_CHECKED, entry.key_span, message)
                    .help("use one of them with a SearchString in the first 5,120 bytes"),
            );
        }
    }
}

/// A lag that is accepted, against the recovery point objective.
fn gate(reader: &mut Reader<'_>, source: &Source, node: &Node, goals: &Goals) {
    let own = text(node, "rpo").and_then(quantity::seconds);
    let Some(rpo) = own.or(goals.rpo) else { return };
    for entry in node.as_mapping().unwrap_or_default() {
        let key = plain(&entry.key);
        let about_lag = ["data sync", "replication lag", "max lag", "lag", "replica lag"].contains(&key.as_str());
        let Some(lag) = quantity::seconds(written(source, &entry.value)).filter(|_| about_lag) else { continue };
        if lag > rpo {
            let message =
                format!("a lag of {} is accepted, but the objective allows a loss of {}", span(lag), span(rpo));
            reader.report(
                Finding::new(&codes::LAG_LOOSER_THAN_RPO, entry.value.span, message)
                    .help("make the gate at most the RPO; let a person override it and record the loss"),
            );
        }
    }
}

/// What a failover does by itself: TTLs, data, and how long it takes together.
fn actions(reader: &mut Reader<'_>, source: &Source, root: &Node, mappings: &[(&Entry, &Node)], goals: &Goals) {
    let mut lists = Vec::new();
    visit(root, 0, &mut |entry| {
        if matches!(plain(&entry.key).as_str(), "automatic actions" | "failover actions" | "actions on failover") {
            lists.push(entry);
        }
    });
    if lists.is_empty() {
        return;
    }
    let detect = mappings.iter().find_map(|(_, node)| quantity::seconds(text(node, "total detection time")?));
    for entry in lists {
        let written = written(source, &entry.value);
        let lower = written.to_lowercase();
        if let Some(at) = lower.find("ttl") {
            let start = entry.value.span.start + at;
            let message = "resolvers keep the answer they have for its old TTL; lowering it now makes nothing faster";
            reader.report(
                Finding::new(&codes::TTL_AT_FAILOVER, Span::new(start, start + 3), message)
                    .help("lower it before planned switches, and plan with the old one"),
            );
        }
        let moves = lower.contains("dns");
        let data = ["promot", "database", "writer", "fenc", "aurora", "資料庫", "データベース", "昇格"]
            .iter()
            .any(|word| lower.contains(word));
        if moves && !data {
            let message =
                "names and capacity are moved, and nothing promotes the data: the region that takes over is read-only";
            reader.report(
                Finding::new(&codes::FAILOVER_WITHOUT_DATA, entry.key_span, message)
                    .help("promote the replica, with the old writer fenced off, before traffic arrives"),
            );
        }
        let longest = written.lines().filter_map(|line| range_end(line.rsplit_once('(')?.1)).fold(0.0, f64::max);
        if let (Some(rto), Some(detect)) = (goals.rto, detect)
            && longest > 0.0
            && detect + longest >= 0.9 * rto
        {
            let message = format!(
                "{} to notice and {} for the longest step are {} of {}",
                span(detect),
                span(longest),
                span(detect + longest),
                span(rto)
            );
            reader.report(Finding::new(&codes::SLOW_DETECTION, entry.key_span, message).help("timeouts of the checks, cached answers and the promotion of data come on top; shorten the steps, or have the capacity ready"));
        }
    }
}

/// The upper end of `60-180 秒)`.
fn range_end(text: &str) -> Option<f64> {
    let (low, high) = text.split_once('-')?;
    low.trim().parse::<f64>().ok()?;
    quantity::seconds(high)
}

/// Numbered steps that YAML joins into one line of text.
pub(super) fn steps(reader: &mut Reader<'_>, source: &Source, node: &Node) {
    match &node.value {
        Value::Mapping(entries) => entries.iter().for_each(|entry| steps(reader, source, &entry.value)),
        Value::Sequence(items) => items.iter().for_each(|item| steps(reader, source, item)),
        Value::Scalar(scalar) if scalar.plain => {
            let numbered = |line: &&str| {
                let line = line.trim_start();
                let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                digits > 0 && line[digits..].starts_with(". ")
            };
            let written = written(source, node);
            let count = written.lines().filter(numbered).count();
            if count >= 2 && written.lines().next().is_some_and(|line| numbered(&line)) {
                let message = format!("{count} numbered steps are one text to YAML: their lines are joined");
                let span = Span::new(node.span.start, node.span.start + written.lines().next().map_or(0, str::len));
                reader.report(
                    Finding::new(&codes::STEPS_AS_TEXT, span, message)
                        .help("write a list with a dash before each step, and commands in a block of their own: |"),
                );
            }
        }
        Value::Scalar(_) => {}
    }
}

/// The text with bare signs that begin a folded text, `> 10 s`, replaced by one that does not, of the same length; nothing
/// where there is none.
pub(super) fn without_bare_signs(text: &str) -> Option<String> {
    let mut changed = false;
    let mut repaired = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let sign = line
            .find(": >")
            .filter(|at| line[at + 3..].trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '='));
        if let Some(at) = sign {
            changed = true;
            repaired.push_str(&line[..at + 2]);
            repaired.push('=');
            repaired.push_str(&line[at + 3..]);
        } else {
            repaired.push_str(line);
        }
    }
    changed.then_some(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_signs_are_replaced_by_ones_of_the_same_length() {
        assert_eq!(
            without_bare_signs("a: > 10 秒\nb: >\n  x\nc: >= 2").as_deref(),
            Some("a: = 10 秒\nb: >\n  x\nc: == 2")
        );
        assert_eq!(without_bare_signs("a: >\n  folded"), None);
    }

    #[test]
    fn keys_are_compared_without_case_and_punctuation() {
        assert_eq!(plain("Failure_Threshold"), "failure threshold");
        assert_eq!(plain(" TTL "), "ttl");
        assert_eq!(range_end("60-180 秒)"), Some(180.0));
        assert_eq!(range_end("at once)"), None);
    }
}
