//! Change batches, as `change-resource-record-sets` takes them.

use super::{Placed, Record, canonical, rules};
use crate::{codes, decode::Reader, finding::Finding, node::Node};

/// What can be done with a record.
const ACTIONS: &[&str] = &["CREATE", "DELETE", "UPSERT"];

/// Looks at a change batch.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let batch = root.get("ChangeBatch").unwrap_or(root);
    let changes = batch.get("Changes").and_then(Node::as_sequence).unwrap_or_default();
    let mut records = Vec::new();
    for change in changes {
        if let Some(action) = change.get("Action")
            && let Some(text) = action.as_text()
            && !ACTIONS.contains(&text)
        {
            reader.report(
                Finding::new(&codes::WRONG_VALUE, action.span, format!("`{text}` is not a value of Action"))
                    .help("write CREATE, DELETE or UPSERT"),
            );
        }
        if let Some(set) =
            change.get("ResourceRecordSet").filter(|_| change.get("Action").and_then(Node::as_text) != Some("DELETE"))
        {
            records.push(record(set));
        }
    }
    rules(reader, &records, &[]);
}

fn record(set: &Node) -> Record {
    let placed =
        |key: &str| set.get(key).and_then(|node| Some(Placed { text: node.as_text()?.to_owned(), span: node.span }));
    let values = set.get("ResourceRecords").and_then(Node::as_sequence).unwrap_or_default();
    let cname = set.get("Type").and_then(Node::as_text) == Some("CNAME");
    Record {
        name: set.get("Name").and_then(Node::as_text).map(canonical),
        failover: placed("Failover"),
        check: placed("HealthCheckId"),
        alias: set.entry("AliasTarget").is_some(),
        evaluates_target: set
            .get("AliasTarget")
            .map(|alias| alias.get("EvaluateTargetHealth").and_then(Node::as_text) == Some("true")),
        ttl: set.entry("TTL").map(|entry| entry.key_span),
        target: values.first().filter(|_| cname).and_then(|value| value.get("Value")?.as_text()).map(ToOwned::to_owned),
    }
}
