//! Change batches, as `change-resource-record-sets` takes them.

use super::{Placed, Record, canonical, rules};
use crate::{
    decode::Reader,
    node::Node,
    shape::{
        self, Keys, Notation,
        Shape::{self, Any, Flag, Keys as Mapping, List, Text, Whole, Word},
        may, need,
    },
};

/// The options of the call, of which a file of `--cli-input-json` has more than the batch.
const INPUT: Keys =
    Keys { what: "the input", keys: &[need("ChangeBatch", Mapping(&BATCH)), may("HostedZoneId", Text)] };

const BATCH: Keys =
    Keys { what: "a change batch", keys: &[need("Changes", List(&Mapping(&CHANGE))), may("Comment", Text)] };

const CHANGE: Keys = Keys {
    what: "a change",
    keys: &[need("Action", Word(&["CREATE", "DELETE", "UPSERT"])), need("ResourceRecordSet", Mapping(&RECORD))],
};

/// Types of records.
const TYPES: Shape = Word(&[
    "A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV", "SSHFP", "SVCB",
    "TLSA", "TXT",
]);

const RECORD: Keys = Keys {
    what: "a record set",
    keys: &[
        need("Name", Text),
        need("Type", TYPES),
        may("SetIdentifier", Text),
        may("Weight", Whole(0, 255)),
        may("Region", Text),
        may(
            "GeoLocation",
            Mapping(&Keys {
                what: "a place",
                keys: &[may("ContinentCode", Text), may("CountryCode", Text), may("SubdivisionCode", Text)],
            }),
        ),
        may("GeoProximityLocation", Any),
        may("CidrRoutingConfig", Any),
        may("Failover", Word(&["PRIMARY", "SECONDARY"])),
        may("MultiValueAnswer", Flag),
        may("TTL", Whole(0, i32::MAX as i64)),
        may("ResourceRecords", List(&Mapping(&Keys { what: "a record", keys: &[need("Value", Text)] }))),
        may(
            "AliasTarget",
            Mapping(&Keys {
                what: "the target of an alias",
                keys: &[need("HostedZoneId", Text), need("DNSName", Text), need("EvaluateTargetHealth", Flag)],
            }),
        ),
        may("HealthCheckId", Text),
        may("TrafficPolicyInstanceId", Text),
    ],
};

/// Looks at a change batch.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let whole = root.entry("ChangeBatch").is_some();
    shape::check(reader, Notation::Strict, root, Mapping(if whole { &INPUT } else { &BATCH }), "a change batch");
    let batch = root.get("ChangeBatch").unwrap_or(root);
    let changes = batch.get("Changes").and_then(Node::as_sequence).unwrap_or_default();
    let kept = changes.iter().filter(|change| change.get("Action").and_then(Node::as_text) != Some("DELETE"));
    let records: Vec<Record> = kept.filter_map(|change| Some(record(change.get("ResourceRecordSet")?))).collect();
    rules(reader, &records, &[]);
}

fn record(set: &Node) -> Record {
    let placed =
        |key: &str| set.get(key).and_then(|node| Some(Placed { text: node.as_text()?.to_owned(), span: node.span }));
    let values = set.get("ResourceRecords").and_then(Node::as_sequence).unwrap_or_default();
    let values = values.iter().filter_map(|value| {
        let value = value.get("Value")?;
        Some(Placed { text: value.as_text()?.to_owned(), span: value.span })
    });
    Record {
        place: set.head,
        name: set.get("Name").and_then(Node::as_text).map(canonical),
        kind: placed("Type"),
        failover: placed("Failover"),
        routing: Record::routing(set),
        identifier: set.entry("SetIdentifier").map(|entry| entry.key_span),
        conditional: false,
        check: placed("HealthCheckId"),
        alias: set.entry("AliasTarget").is_some(),
        evaluates_target: set
            .get("AliasTarget")
            .map(|alias| alias.get("EvaluateTargetHealth").and_then(Node::as_text) == Some("true")),
        ttl: set.entry("TTL").or_else(|| set.entry("TrafficPolicyInstanceId")).map(|entry| entry.key_span),
        seconds: placed("TTL"),
        has_values: set.entry("ResourceRecords").is_some() || set.entry("TrafficPolicyInstanceId").is_some(),
        values: values.collect(),
    }
}
