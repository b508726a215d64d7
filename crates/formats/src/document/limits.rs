//! Limits of the blast radius: of an experiment, and of the policy that all experiments are held to.

use model::limits::{Calendar, Environments, Limits, Policy, TagRule};

use crate::{
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    node::Node,
};

/// The keys of a policy file.
pub(crate) const POLICY_KEYS: &[&str] = &["limits", "protectedTags", "environments", "hours", "forbidIrreversible"];

/// Keys that people put at the wrong level of a policy, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("maxResources", "`limits`"),
    ("maxPercentOfGroup", "`limits`"),
    ("maxPercentOfZone", "`limits`"),
    ("minHealthy", "`limits`"),
    ("timeZone", "`hours`"),
];

/// `limits`
pub(crate) fn limits(reader: &mut Reader<'_>, node: &Node) -> Limits {
    let known = ["maxResources", "maxPercentOfGroup", "maxPercentOfZone", "minHealthy"];
    let Some(fields) = reader.fields(node, "`limits`", &known) else { return Limits::default() };
    let limits = Limits {
        max_resources: fields.get("maxResources").and_then(|node| reader.whole(node, "maxResources", 1..=1_000_000)),
        max_percent_of_group: percent(reader, &fields, "maxPercentOfGroup"),
        max_percent_of_zone: percent(reader, &fields, "maxPercentOfZone"),
        min_healthy: fields.get("minHealthy").and_then(|node| reader.whole(node, "minHealthy", 0..=1_000_000)),
    };
    if limits.is_empty() && node.as_mapping().is_some_and(<[_]>::is_empty) {
        reader.wrong_value(node.head, "`limits` limits nothing; name one, or leave it out");
    }
    limits
}

/// A share above nothing, with or without its sign.
fn percent(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<f64> {
    let node = fields.get(key)?;
    let text = reader.text(node, key)?;
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    let percent = number.ok().filter(|percent| *percent > 0.0 && *percent <= 100.0);
    if percent.is_none() {
        reader.wrong_value(node.span, format!("{key} must be above 0 and up to 100 percent, not `{text}`"));
    }
    percent
}

/// Reads a policy file.
pub(crate) fn policy(reader: &mut Reader<'_>, root: &Node) -> Option<Policy> {
    reader.native_scalars = true;
    let fields = reader.fields(root, "a policy", POLICY_KEYS)?;
    let mut policy = Policy::default();
    if let Some(node) = fields.get("limits") {
        policy.limits = limits(reader, node);
    }
    if let Some(node) = fields.get("protectedTags") {
        let items = reader.items(node, "protectedTags").unwrap_or_default();
        policy.protected_tags = items.iter().filter_map(|item| tag_rule(reader, item)).collect();
    }
    policy.environments = fields.get("environments").and_then(|node| environments(reader, node));
    policy.hours = fields.get("hours").and_then(|node| calendar(reader, node));
    if let Some(node) = fields.get("forbidIrreversible") {
        policy.forbid_irreversible = reader.boolean(node, "forbidIrreversible").unwrap_or_default();
    }
    Some(policy)
}

fn tag_rule(reader: &mut Reader<'_>, node: &Node) -> Option<TagRule> {
    // A key alone, in which an equals sign would be a slip.
    if let Some(text) = node.as_text() {
        if let Some((key, value)) = text.split_once('=') {
            let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{text}` is one text"));
            reader.report(finding.help(format!("write {{ key: {key}, value: {value} }}")));
            return None;
        }
        return Some(TagRule { key: text.to_owned(), value: None });
    }
    let fields = reader.fields(node, "a protected tag", &["key", "value"])?;
    let key = fields.required("key", reader).and_then(|node| reader.text(node, "key"))?;
    let value = fields.get("value").and_then(|node| reader.text(node, "value"));
    Some(TagRule { key, value })
}

fn environments(reader: &mut Reader<'_>, node: &Node) -> Option<Environments> {
    let fields = reader.fields(node, "`environments`", &["tag", "allowed"])?;
    let tag = fields.required("tag", reader).and_then(|node| reader.text(node, "tag"));
    let allowed = fields.required("allowed", reader).map(|node| reader.one_or_more(node, "allowed"));
    Some(Environments { tag: tag?, allowed: allowed? })
}

fn calendar(reader: &mut Reader<'_>, node: &Node) -> Option<Calendar> {
    let fields = reader.fields(node, "`hours`", &["timeZone", "allowed"])?;
    let zone = fields.required("timeZone", reader).and_then(|node| {
        let name = reader.text(node, "timeZone")?;
        if let Err(why) = jiff::tz::TimeZone::get(&name) {
            let finding = Finding::new(&codes::WRONG_VALUE, node.span, format!("`{name}` is not a time zone: {why}"));
            reader.report(finding.help("write an IANA name such as Europe/Berlin, or UTC"));
            return None;
        }
        Some(name)
    });
    let node = fields.required("allowed", reader)?;
    let alone = std::slice::from_ref(node);
    let items = if node.as_scalar().is_some() { alone } else { reader.items(node, "allowed").unwrap_or_default() };
    if items.is_empty() {
        reader.wrong_value(node.head, "`allowed` is empty: nothing could ever run");
        return None;
    }
    let allowed: Vec<_> = items.iter().filter_map(|item| reader.parsed(item, "allowed")).collect();
    (allowed.len() == items.len()).then_some(Calendar { time_zone: zone?, allowed })
}
