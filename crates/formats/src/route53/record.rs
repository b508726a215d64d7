//! What a record set says on its own: its values, its routing, and how long resolvers keep it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Placed;
use crate::{codes, decode::Reader, finding::Finding, node::Node, semantics::placeholder, source::Span};

/// A record set, as far as failover goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// What a message about the whole points at.
    pub(crate) place: Span,
    /// In lower case, without the last dot; nothing where it is computed.
    pub(crate) name: Option<String>,
    /// `A`, `CNAME`; nothing where it is computed.
    pub(crate) kind: Option<Placed>,
    /// `PRIMARY` or `SECONDARY`.
    pub(crate) failover: Option<Placed>,
    /// The key by which one of several records of the name is chosen.
    pub(crate) routing: Option<Placed>,
    /// Where its `SetIdentifier` stands.
    pub(crate) identifier: Option<Span>,
    /// Whether it is there only on a condition, so that another one may stand in its place.
    pub(crate) conditional: bool,
    /// The health check, by id or by what refers to it.
    pub(crate) check: Option<Placed>,
    pub(crate) alias: bool,
    /// Nothing where it is computed.
    pub(crate) evaluates_target: Option<bool>,
    /// Where the key stands.
    pub(crate) ttl: Option<Span>,
    /// The time to live, where it stands there as it is.
    pub(crate) seconds: Option<Placed>,
    /// Whether it has values, be they computed.
    pub(crate) has_values: bool,
    /// The values that stand there as they are.
    pub(crate) values: Vec<Placed>,
}

/// Longest time to live of a record that fails over. The service advises 60 s or less for records with health checks;
/// beyond five minutes the wait for resolvers is longer than any detection.
const LONGEST: f64 = 300.0;

impl Record {
    /// Routing by anything but the name alone.
    pub(crate) fn routing(set: &Node) -> Option<Placed> {
        const KEYS: &[&str] = &[
            "Failover",
            "Weight",
            "Region",
            "GeoLocation",
            "GeoProximityLocation",
            "MultiValueAnswer",
            "CidrRoutingConfig",
        ];
        let entry = KEYS.iter().find_map(|key| set.entry(key))?;
        Some(Placed { text: entry.key.clone(), span: entry.key_span })
    }

    /// Whether it is one of these types.
    fn is(&self, kinds: &[&str]) -> bool {
        self.kind.as_ref().is_some_and(|kind| kinds.contains(&kind.text.as_str()))
    }

    /// What a CNAME leads to.
    pub(super) fn target(&self) -> Option<&str> {
        self.values.first().filter(|_| self.is(&["CNAME"])).map(|value| value.text.as_str())
    }
}

/// Looks at a record alone.
pub(super) fn check(reader: &mut Reader<'_>, record: &Record) {
    content(reader, record);
    values(reader, record);
    if let (Some(routing), None) = (&record.routing, record.identifier) {
        let message =
            format!("a record with {} needs a SetIdentifier that tells it from the others of its name", routing.text);
        reader.report(
            Finding::new(&codes::MISSING_KEY, routing.span, message).help("add SetIdentifier: primary, or the like"),
        );
    }
    if let (Some(_), Some(ttl)) = (&record.failover, &record.seconds)
        && ttl.text.parse::<f64>().is_ok_and(|seconds| seconds > LONGEST)
    {
        let message = format!("this record fails over, and resolvers keep its answer for {} s", ttl.text);
        reader.report(Finding::new(&codes::TTL_OF_FAILOVER, ttl.span, message).help("write a TTL of 60 or less"));
    }
}

/// A record leads somewhere, in one way.
fn content(reader: &mut Reader<'_>, record: &Record) {
    if record.alias && record.has_values {
        let message = "a record is either an alias or has values; this one is both";
        reader.report(
            Finding::new(&codes::WRONG_VALUE, record.place, message).help("remove ResourceRecords, or AliasTarget"),
        );
    } else if !record.alias && !record.has_values {
        let message = "a record without values leads nowhere";
        reader.report(
            Finding::new(&codes::MISSING_KEY, record.place, message)
                .help("add ResourceRecords with TTL, or AliasTarget"),
        );
    } else if record.has_values && record.ttl.is_none() {
        let message = "a record with values needs a TTL";
        reader.report(Finding::new(&codes::MISSING_KEY, record.place, message).help("add TTL: 60"));
    }
}

/// Values that are none of the record's type.
fn values(reader: &mut Reader<'_>, record: &Record) {
    for value in record.values.iter().filter(|value| !placeholder(&value.text) && !value.text.is_empty()) {
        let (right, wanted) = match record.kind.as_ref().map_or("", |kind| kind.text.as_str()) {
            "A" => (value.text.parse::<Ipv4Addr>().is_ok(), "an IPv4 address such as 192.0.2.1"),
            "AAAA" => (value.text.parse::<Ipv6Addr>().is_ok(), "an IPv6 address such as 2001:db8::1"),
            "TXT" | "SPF" => {
                (value.text.trim_start().starts_with('"'), "a text in double quotes of its own: \"\\\"text\\\"\"")
            }
            _ => continue,
        };
        if !right {
            let kind = record.kind.as_ref().map_or("", |kind| kind.text.as_str());
            let message = format!("`{}` is not a value of a record of type {kind}", value.text);
            let finding = Finding::new(&codes::WRONG_VALUE, value.span, message);
            let is_name = value.text.contains('.') && value.text.contains(|c: char| c.is_ascii_alphabetic());
            reader.report(finding.help(if is_name && kind == "A" {
                "write an address, make the record a CNAME, or an alias".to_owned()
            } else {
                format!("write {wanted}")
            }));
        }
    }
    if let (true, [_, second, ..]) = (record.is(&["CNAME"]), record.values.as_slice()) {
        let message = "a CNAME leads to one name; this one has several values";
        reader.report(
            Finding::new(&codes::WRONG_VALUE, second.span, message).help("make records of their own, with routing"),
        );
    }
}
