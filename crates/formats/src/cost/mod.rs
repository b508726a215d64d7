//! Calculations of costs, as YAML or JSON.

use model::{
    cost::{CostModel, HaOption, HourOfDowntime, Item, Outage, Programme, StatedCosts, Weakness},
    stated::Stated,
};

use crate::{
    codes,
    decode::{Fields, Reader},
    finding::Finding,
    incidents::words,
    node::{Entry, Node},
    read::{Done, open},
    source::Source,
};

/// The keys of a calculation.
pub(crate) const KEYS: &[&str] = &["name", "currency", "hour", "outage", "programme", "options", "found"];

const WEAKNESS_KEYS: &[&str] =
    &["name", "outagesPerYear", "duration", "lost", "experimentHours", "repairHours", "years"];

/// Keys that people put at the wrong level, and where they belong.
pub(crate) const MISPLACED: &[(&str, &str)] = &[
    ("revenue", "`hour`"),
    ("people", "`hour`"),
    ("personHour", "`hour`"),
    ("perYear", "`programme`"),
    ("avoids", "`programme`"),
    ("monthly", "an option under `options`"),
];

/// A calculation that was read, or why not.
#[derive(Debug, Clone)]
pub struct ReadCosts {
    /// The calculation; none where a finding is an error.
    pub costs: Option<CostModel>,
    /// Everything that was found, ordered by place.
    pub findings: Vec<Finding>,
    /// The text, for rendering.
    pub source: Source,
}

/// Reads a calculation of costs. `path` is used in messages, and its stem is the name unless the file gives one.
#[must_use]
pub fn read_costs(path: &str, bytes: &[u8]) -> ReadCosts {
    let Done { value: costs, findings, source } = open(path, bytes).read(MISPLACED, document);
    ReadCosts { costs, findings, source }
}

/// Whether a document is a calculation of costs: what an hour costs, what a programme avoids, or options with their prices.
pub(crate) fn is_costs(root: &Node) -> bool {
    let within = |key: &str, keys: &[&str]| {
        root.get(key).is_some_and(|node| keys.iter().any(|inner| node.entry(inner).is_some()))
    };
    let options = root.get("options").and_then(Node::as_mapping).unwrap_or_default();
    within("hour", &["revenue", "people", "personHour"])
        || within("programme", &["perYear", "avoids"])
        || options.iter().any(|entry| ["availability", "monthly"].iter().all(|key| entry.value.entry(key).is_some()))
}

/// Reads a calculation.
pub(crate) fn document(reader: &mut Reader<'_>, root: &Node) -> Option<CostModel> {
    reader.native_scalars = true;
    let fields = reader.fields(root, "a calculation of costs", KEYS)?;
    let name = fields.get("name").and_then(|node| reader.text(node, "name"));
    let currency = fields.get("currency").and_then(|node| reader.text(node, "currency"));
    let hour = fields.required("hour", reader).and_then(|node| hour(reader, node));
    let outage = fields.get("outage").map(|node| outage(reader, node));
    let programme = fields.get("programme").map(|node| programme(reader, node));
    if let Some(node) = fields.get("programme").filter(|_| fields.get("outage").is_none()) {
        let finding = Finding::new(&codes::MISSING_KEY, node.head, "it is not said what outage the programme avoids");
        reader.report(finding.help("add outage: { duration: 2 hours }"));
    }
    let options = fields.get("options").map(|node| options(reader, node)).unwrap_or_default();
    let found = fields.get("found").map(|node| weaknesses(reader, node)).unwrap_or_default();
    if outage.is_none() && options.is_empty() && found.is_empty() {
        let finding = Finding::new(&codes::MISSING_KEY, root.head, "the calculation asks nothing");
        reader.report(finding.help("add `outage`, `options` or `found`"));
    }
    Some(CostModel {
        name: name.unwrap_or_else(|| reader.source.stem().to_owned()),
        currency: currency.unwrap_or_else(|| "$".to_owned()),
        hour: hour?,
        outage: outage.flatten(),
        programme: programme.flatten(),
        options,
        findings: found,
    })
}

/// An amount, a count or a number of hours: never negative.
fn amount(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<f64> {
    let number = reader.number(node, what)?;
    if number < 0.0 {
        reader.wrong_value(node.span, format!("{what} cannot be negative"));
        return None;
    }
    Some(number)
}

fn some_amount(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &'static str, default: f64) -> Option<f64> {
    fields.get(key).map_or(Some(default), |node| amount(reader, node, key))
}

fn needed(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &'static str) -> Option<f64> {
    fields.required(key, reader).and_then(|node| amount(reader, node, key))
}

fn hour(reader: &mut Reader<'_>, node: &Node) -> Option<HourOfDowntime> {
    let fields = reader.fields(node, "`hour`", &["revenue", "people", "personHour"])?;
    let revenue = needed(reader, &fields, "revenue");
    let people = some_amount(reader, &fields, "people", 0.0);
    let person_hour = some_amount(reader, &fields, "personHour", 0.0);
    Some(HourOfDowntime { revenue: revenue?, people: people?, person_hour: person_hour? })
}

fn outage(reader: &mut Reader<'_>, node: &Node) -> Option<Outage> {
    let fields = reader.fields(node, "`outage`", &["duration"])?;
    let duration = fields.required("duration", reader).and_then(|node| words::length(reader, node, "duration"));
    Some(Outage { duration: duration? })
}

fn programme(reader: &mut Reader<'_>, node: &Node) -> Option<Programme> {
    let fields = reader.fields(node, "`programme`", &["perYear", "avoids"])?;
    let (per_year, avoids) = (needed(reader, &fields, "perYear"), needed(reader, &fields, "avoids"));
    Some(Programme { per_year: per_year?, avoids: avoids? })
}

fn options(reader: &mut Reader<'_>, node: &Node) -> Vec<HaOption> {
    let entries = reader.entries(node, "options").unwrap_or_default();
    entries.iter().filter_map(|entry| option(reader, entry)).collect()
}

fn option(reader: &mut Reader<'_>, entry: &Entry) -> Option<HaOption> {
    let fields = reader.fields(&entry.value, "an option", &["availability", "monthly", "once", "stated"])?;
    let availability = fields.required("availability", reader);
    let availability = availability.and_then(|node| words::share(reader, node, "availability"));
    let monthly = fields.required("monthly", reader).map(|node| items(reader, node)).unwrap_or_default();
    let once = some_amount(reader, &fields, "once", 0.0);
    let stated = fields.get("stated").and_then(|node| stated(reader, node)).unwrap_or_default();
    Some(HaOption { name: entry.key.clone(), availability: availability?.value, monthly, once: once?, stated })
}

fn items(reader: &mut Reader<'_>, node: &Node) -> Vec<Item> {
    // A sum alone has no items.
    if node.as_scalar().is_some() {
        let what = "all of it".to_owned();
        return amount(reader, node, "monthly").map(|amount| Item { what, amount }).into_iter().collect();
    }
    let entries = reader.entries(node, "monthly").unwrap_or_default();
    let item = |entry: &Entry| {
        let amount = amount(reader, &entry.value, &format!("`{}`", entry.key))?;
        Some(Item { what: entry.key.clone(), amount })
    };
    entries.iter().filter_map(item).collect()
}

fn stated(reader: &mut Reader<'_>, node: &Node) -> Option<StatedCosts> {
    let fields = reader.fields(node, "`stated`", &["monthly", "savedHours", "savedPerYear", "roi"])?;
    let mut figure = |key: &str| -> Option<Stated> { words::figure(reader, fields.get(key)?, key) };
    Some(StatedCosts {
        monthly: figure("monthly"),
        saved_hours: figure("savedHours"),
        saved_per_year: figure("savedPerYear"),
        roi: figure("roi"),
    })
}

fn weaknesses(reader: &mut Reader<'_>, node: &Node) -> Vec<Weakness> {
    let items = reader.items(node, "found").unwrap_or_default();
    items.iter().filter_map(|item| weakness(reader, item)).collect()
}

fn weakness(reader: &mut Reader<'_>, node: &Node) -> Option<Weakness> {
    let fields = reader.fields(node, "a weakness", WEAKNESS_KEYS)?;
    let name = fields.required("name", reader).and_then(|node| reader.text(node, "name"));
    let outages_per_year = needed(reader, &fields, "outagesPerYear");
    let duration = fields.required("duration", reader).and_then(|node| words::length(reader, node, "duration"));
    let lost = fields.get("lost").map_or(Some(1.0), |node| Some(words::share(reader, node, "lost")?.value));
    let experiment_hours = needed(reader, &fields, "experimentHours");
    let repair_hours = some_amount(reader, &fields, "repairHours", 0.0);
    let years = some_amount(reader, &fields, "years", 1.0);
    Some(Weakness {
        name: name?,
        outages_per_year: outages_per_year?,
        duration: duration?,
        lost: lost?,
        experiment_hours: experiment_hours?,
        repair_hours: repair_hours?,
        years: years?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "
hour: { revenue: 100000, people: 20, personHour: 100 }
outage: { duration: 2 hours }
programme: { perYear: 60000, avoids: 1 }
options:
  now: { availability: 99.85%, monthly: { database: 200, instances: 400 } }
  more: { availability: 99.95%, monthly: 1150, once: 5000, stated: { monthly: 1125, roi: 1963% } }
found:
  - { name: no failover, outagesPerYear: 0.5, duration: 2h, experimentHours: 12, lost: 40% }
";

    #[test]
    fn a_calculation_is_read_with_its_defaults() {
        let read = read_costs("shop.yaml", SHOP.as_bytes());
        assert_eq!(read.findings, []);
        let costs = read.costs.unwrap();
        assert_eq!((costs.name.as_str(), costs.currency.as_str()), ("shop", "$"));
        assert_eq!(costs.outage.unwrap().duration.as_secs(), 7200);
        let [now, more] = costs.options.as_slice() else { panic!("two options") };
        assert_eq!(now.monthly.iter().map(|item| item.amount).collect::<Vec<_>>(), [200.0, 400.0]);
        assert_eq!((more.once, more.monthly[0].what.as_str()), (5000.0, "all of it"));
        let stated = more.stated;
        assert_eq!(stated.monthly, Some(Stated { value: 1125.0, rounding: 0.5 }));
        assert_eq!((stated.roi.map(|roi| (roi.value * 100.0).round()), stated.saved_hours), (Some(1963.0), None));
        let weakness = &costs.findings[0];
        assert_eq!((weakness.lost, weakness.years, weakness.repair_hours), (0.4, 1.0, 0.0));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (from, to, code, line) in [
            ("revenue: 100000, ", "", "F011", 2),
            ("revenue: 100000", "revenue: -1", "F013", 2),
            ("outage: { duration: 2 hours }\n", "", "F011", 3),
            ("2 hours", "two hours", "F013", 3),
            ("perYear: 60000", "perYear: much", "F012", 4),
            ("availability: 99.85%", "availability: 99.85", "F013", 6),
            ("lost: 40%", "lots: 40%", "F010", 9),
            ("hour: {", "revenue: 5\nhour: {", "F014", 2),
        ] {
            let read = read_costs("shop.yaml", SHOP.replacen(from, to, 1).as_bytes());
            let found: Vec<_> = read.findings.iter().map(|finding| (finding.code.id, finding.line)).collect();
            assert_eq!(found, [(code, line)], "{to}: {:?}", read.findings);
            assert!(read.costs.is_none());
        }
        let nothing = read_costs("shop.yaml", b"hour: { revenue: 1 }");
        assert!(nothing.findings[0].help.as_deref().unwrap().contains("`options`"));
    }
}
