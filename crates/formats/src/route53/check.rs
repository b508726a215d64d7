//! Health checks in files of their own, as `create-health-check` takes them.

use crate::{
    cloudformation,
    decode::Reader,
    node::{Entry, Node, Value},
    shape::{
        self, Keys, Notation,
        Shape::{Any, Flag, Keys as Mapping, List, Text, Whole, Word},
        may, need,
    },
};

/// Types of health checks; a `Type` alone may be anybody's.
const TYPES: &[&str] = &[
    "HTTP",
    "HTTPS",
    "HTTP_STR_MATCH",
    "HTTPS_STR_MATCH",
    "TCP",
    "CALCULATED",
    "CLOUDWATCH_METRIC",
    "RECOVERY_CONTROL",
];

/// Keys that only a health check has.
const KEYS: &[&str] = &[
    "FullyQualifiedDomainName",
    "ResourcePath",
    "FailureThreshold",
    "RequestInterval",
    "ChildHealthChecks",
    "InsufficientDataHealthStatus",
    "RoutingControlArn",
];

/// Whether a tree is a health check, or the input that makes one.
pub(crate) fn is_one(root: &Node) -> bool {
    let own = root.get("Type").and_then(Node::as_text).is_some_and(|kind| TYPES.contains(&kind));
    let near = KEYS.iter().filter(|key| root.entry(key).is_some()).count();
    root.get("HealthCheckConfig").is_some_and(|config| config.as_mapping().is_some())
        || own && near > 0
        || near > 1 && root.entry("Type").is_some()
}

const INPUT: Keys = Keys {
    what: "the input",
    keys: &[
        need("HealthCheckConfig", Mapping(&CONFIG)),
        may("CallerReference", Text),
        // An answer has them.
        may("Id", Text),
        may("HealthCheckVersion", Any),
    ],
};

const CONFIG: Keys = Keys {
    what: "a health check",
    keys: &[
        need("Type", Word(TYPES)),
        may("FullyQualifiedDomainName", Text),
        may("IPAddress", Text),
        may("Port", Whole(1, 65_535)),
        may("ResourcePath", Text),
        may("SearchString", Text),
        may("RequestInterval", Whole(10, 30)),
        may("FailureThreshold", Whole(1, 10)),
        may("MeasureLatency", Flag),
        may("Inverted", Flag),
        may("Disabled", Flag),
        may("EnableSNI", Flag),
        may("Regions", List(&Text)),
        may("HealthThreshold", Whole(0, 256)),
        may("ChildHealthChecks", List(&Text)),
        may(
            "AlarmIdentifier",
            Mapping(&Keys { what: "an alarm's identifier", keys: &[need("Region", Text), need("Name", Text)] }),
        ),
        may("InsufficientDataHealthStatus", Word(&["Healthy", "Unhealthy", "LastKnownStatus"])),
        may("RoutingControlArn", Text),
    ],
};

/// Looks at a health check.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    let entry = root.entry("HealthCheckConfig");
    let keys = if entry.is_some() { &INPUT } else { &CONFIG };
    shape::check(reader, Notation::Strict, root, Mapping(keys), "a health check");
    let (config, key_span) = entry.map_or((root, root.head), |entry| (&entry.value, entry.key_span));
    let entry = Entry { key: "HealthCheckConfig".to_owned(), key_span, value: config.clone() };
    let properties = Node { value: Value::Mapping(vec![entry]), head: key_span, ..root.clone() };
    cloudformation::rules_of(reader, &properties, "AWS::Route53::HealthCheck", "the health check");
}
