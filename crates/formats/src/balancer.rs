//! Settings of load balancers and of their target groups, as the command line and CloudFormation take them.

use crate::{
    codes,
    decode::Reader,
    finding::Finding,
    node::Node,
    semantics::placeholder,
    shape::{
        self, Keys, Notation,
        Shape::{Any, Flag, Keys as Mapping, List, Text, Whole, Word},
        may, need,
    },
};

/// What an attribute takes.
enum Value {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A whole number within bounds (inclusive).
    Number(u64, u64),
    /// A whole number within bounds, or this word.
    NumberOr(u64, u64, &'static str),
    /// Any text.
    Free,
}

const SWITCH: Value = Value::Words(&["true", "false"]);

/// A week in seconds, the longest that a session sticks.
const WEEK: u64 = 604_800;

/// Attributes of target groups and of load balancers, from the reference of the API.
const ATTRIBUTES: &[(&str, Value)] = &[
    ("deregistration_delay.timeout_seconds", Value::Number(0, 3_600)),
    ("deregistration_delay.connection_termination.enabled", SWITCH),
    ("stickiness.enabled", SWITCH),
    (
        "stickiness.type",
        Value::Words(&["lb_cookie", "app_cookie", "source_ip", "source_ip_dest_ip", "source_ip_dest_ip_proto"]),
    ),
    ("stickiness.app_cookie.cookie_name", Value::Free),
    ("stickiness.app_cookie.duration_seconds", Value::Number(1, WEEK)),
    ("stickiness.lb_cookie.duration_seconds", Value::Number(1, WEEK)),
    ("load_balancing.cross_zone.enabled", Value::Words(&["true", "false", "use_load_balancer_configuration"])),
    ("load_balancing.algorithm.type", Value::Words(&["round_robin", "least_outstanding_requests", "weighted_random"])),
    ("load_balancing.algorithm.anomaly_mitigation", Value::Words(&["on", "off"])),
    ("slow_start.duration_seconds", Value::Number(0, 900)),
    ("lambda.multi_value_headers.enabled", SWITCH),
    ("preserve_client_ip.enabled", SWITCH),
    ("proxy_protocol_v2.enabled", SWITCH),
    ("target_failover.on_deregistration", Value::Words(&["rebalance", "no_rebalance"])),
    ("target_failover.on_unhealthy", Value::Words(&["rebalance", "no_rebalance"])),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", Value::NumberOr(1, u64::MAX, "off")),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", Value::NumberOr(1, 100, "off")),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", Value::Number(1, u64::MAX)),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", Value::NumberOr(1, 100, "off")),
    ("target_health_state.unhealthy.connection_termination.enabled", SWITCH),
    ("target_health_state.unhealthy.draining_interval_seconds", Value::Number(0, 360_000)),
    ("access_logs.s3.bucket", Value::Free),
    ("access_logs.s3.enabled", SWITCH),
    ("access_logs.s3.prefix", Value::Free),
    ("client_keep_alive.seconds", Value::Number(60, WEEK)),
    ("connection_logs.s3.bucket", Value::Free),
    ("connection_logs.s3.enabled", SWITCH),
    ("connection_logs.s3.prefix", Value::Free),
    ("deletion_protection.enabled", SWITCH),
    ("dns_record.client_routing_policy", Value::Free),
    ("health_check_logs.s3.bucket", Value::Free),
    ("health_check_logs.s3.enabled", SWITCH),
    ("health_check_logs.s3.prefix", Value::Free),
    ("idle_timeout.timeout_seconds", Value::Number(1, 4_000)),
    ("ipv6.deny_all_igw_traffic", SWITCH),
    ("routing.http.desync_mitigation_mode", Value::Words(&["monitor", "defensive", "strictest"])),
    ("routing.http.drop_invalid_header_fields.enabled", SWITCH),
    ("routing.http.preserve_host_header.enabled", SWITCH),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", SWITCH),
    ("routing.http.xff_client_port.enabled", SWITCH),
    ("routing.http.xff_header_processing.mode", Value::Words(&["append", "preserve", "remove"])),
    ("routing.http2.enabled", SWITCH),
    ("secondary_ips.auto_assigned.per_subnet", Value::Number(0, 7)),
    ("waf.fail_open.enabled", SWITCH),
    ("zonal_shift.config.enabled", SWITCH),
];

const PAIR: Keys = Keys { what: "an attribute", keys: &[need("Key", Text), need("Value", Text)] };

/// Input of the calls that set attributes.
const SETTING: Keys = Keys {
    what: "the input",
    keys: &[need("Attributes", List(&Mapping(&PAIR))), may("TargetGroupArn", Text), may("LoadBalancerArn", Text)],
};

/// Input of the calls that make or change a target group.
const GROUP: Keys = Keys {
    what: "a target group",
    keys: &[
        may("Name", Text),
        may("TargetGroupArn", Text),
        may("Protocol", Text),
        may("ProtocolVersion", Text),
        may("Port", Whole(1, 65_535)),
        may("VpcId", Text),
        may("HealthCheckProtocol", Word(&["HTTP", "HTTPS", "TCP"])),
        may("HealthCheckPort", Text),
        may("HealthCheckEnabled", Flag),
        may("HealthCheckPath", Text),
        may("HealthCheckIntervalSeconds", Whole(5, 300)),
        may("HealthCheckTimeoutSeconds", Whole(2, 120)),
        may("HealthyThresholdCount", Whole(2, 10)),
        may("UnhealthyThresholdCount", Whole(2, 10)),
        may("Matcher", Mapping(&Keys { what: "a matcher", keys: &[may("HttpCode", Text), may("GrpcCode", Text)] })),
        may("TargetType", Word(&["instance", "ip", "lambda", "alb"])),
        may("IpAddressType", Word(&["ipv4", "ipv6"])),
        may("TargetControlPort", Whole(1, 65_535)),
        may("Tags", Any),
    ],
};

/// The attributes of a document, by whichever call it is for: a mapping with `Attributes`, or the list alone.
fn attributes(root: &Node) -> Option<&[Node]> {
    let list = root.as_sequence().or_else(|| root.get("Attributes")?.as_sequence())?;
    let known = |item: &Node| {
        let key = item.get("Key").and_then(Node::as_text)?;
        Some(item.entry("Value").is_some() && key.contains('.'))
    };
    let addressed = root.entry("TargetGroupArn").is_some() || root.entry("LoadBalancerArn").is_some();
    (!list.is_empty() && (addressed || list.iter().all(|item| known(item) == Some(true)))).then_some(list)
}

/// Whether a tree is one of these documents.
pub(crate) fn is_one(root: &Node) -> bool {
    attributes(root).is_some()
        || root.entry("HealthCheckPath").is_some()
            && (root.entry("TargetGroupArn").is_some() || root.entry("Name").is_some())
}

/// Looks at a document of the command line.
pub(crate) fn check(reader: &mut Reader<'_>, root: &Node) {
    if let Some(list) = attributes(root) {
        let shape = if root.as_sequence().is_some() { List(&Mapping(&PAIR)) } else { Mapping(&SETTING) };
        shape::check(reader, Notation::Strict, root, shape, "the input");
        each(reader, list);
    } else {
        shape::check(reader, Notation::Strict, root, Mapping(&GROUP), "the input");
        group(reader, root);
    }
}

/// Looks at the properties of a target group, whose keys have been looked at.
pub(crate) fn group(reader: &mut Reader<'_>, properties: &Node) {
    let number = |key: &str| {
        properties.get(key).filter(|node| node.tag.is_none()).and_then(|node| node.as_text()?.parse::<f64>().ok())
    };
    if let Some(path) = properties.get("HealthCheckPath").filter(|path| path.as_text() == Some("/actuator/health")) {
        let message = "this path asks all health indicators, shared dependencies among them";
        let finding = Finding::new(&codes::HEALTH_PATH, path.span, message);
        reader.report(finding.help("ask the readiness path, such as /actuator/health/readiness"));
    }
    if let (Some(timeout), Some(interval), Some(node)) = (
        number("HealthCheckTimeoutSeconds"),
        number("HealthCheckIntervalSeconds"),
        properties.get("HealthCheckTimeoutSeconds"),
    ) && timeout >= interval
    {
        let message =
            format!("a check waits {timeout} s and is made every {interval} s: a slow answer delays the next one");
        let finding = Finding::new(&codes::PROBE_BUDGET, node.span, message);
        reader.report(finding.help("keep HealthCheckTimeoutSeconds below HealthCheckIntervalSeconds"));
    }
    if let Some(list) = properties.get("TargetGroupAttributes").and_then(Node::as_sequence) {
        each(reader, list);
    }
}

/// Looks at attributes one by one, and at what they mean together.
fn each(reader: &mut Reader<'_>, list: &[Node]) {
    for item in list {
        if let (Some(key), Some(value)) = (item.get("Key"), item.get("Value")) {
            attribute(reader, key, value);
        }
    }
    sticky(reader, list);
}

fn attribute(reader: &mut Reader<'_>, key: &Node, value: &Node) {
    let Some(name) = key.as_text().filter(|_| key.tag.is_none()) else { return };
    let Some((_, takes)) = ATTRIBUTES.iter().find(|(known, _)| *known == name) else {
        let finding = Finding::new(&codes::WRONG_VALUE, key.span, format!("there is no attribute `{name}`"));
        reader.report(match reader.near(name, ATTRIBUTES.iter().map(|(name, _)| *name)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("look at the attributes of target groups and load balancers"),
        });
        return;
    };
    let Some(text) = value.as_text().filter(|text| value.tag.is_none() && !placeholder(text)) else { return };
    let within = |least: u64, most: u64| text.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number));
    let span = |least: u64, most: u64| {
        if most == u64::MAX {
            format!("a whole number of at least {least}")
        } else {
            format!("a whole number from {least} to {most}")
        }
    };
    let (right, wanted) = match takes {
        Value::Free => (true, String::new()),
        Value::Words(words) => (words.contains(&text), words.join(", ")),
        Value::Number(least, most) => (within(*least, *most), span(*least, *most)),
        Value::NumberOr(least, most, word) => {
            (text == *word || within(*least, *most), format!("{word}, or {}", span(*least, *most)))
        }
    };
    if !right {
        let message = format!("`{text}` is not a value of {name}");
        reader.report(Finding::new(&codes::WRONG_VALUE, value.span, message).help(format!("write {wanted}")));
    }
}

/// Seconds from which sessions that stick are worth a word: longer than a rolling replacement of a few targets takes.
const LONG: f64 = 600.0;

/// The default duration of a sticky session: a day.
const DAY: f64 = 86_400.0;

/// Sessions that are lost with the target that they stick to.
fn sticky(reader: &mut Reader<'_>, list: &[Node]) {
    let find = |name: &str| {
        let item = list.iter().find(|item| item.get("Key").and_then(Node::as_text) == Some(name))?;
        item.get("Value").filter(|value| value.tag.is_none())
    };
    let Some(enabled) = find("stickiness.enabled").filter(|value| value.as_text() == Some("true")) else { return };
    // By address nothing of a session is kept.
    if find("stickiness.type").and_then(Node::as_text).is_some_and(|kind| kind.starts_with("source_ip")) {
        return;
    }
    let duration = ["stickiness.lb_cookie.duration_seconds", "stickiness.app_cookie.duration_seconds"];
    let duration = duration.iter().find_map(|name| find(name));
    let seconds = duration.map_or(Some(DAY), |node| node.as_text()?.parse().ok());
    if seconds.is_some_and(|seconds: f64| seconds >= LONG) {
        let message = "sessions that stick to a target are lost with it, and all of them when the region is left";
        reader.report(
            Finding::new(&codes::STICKY_SESSIONS, duration.unwrap_or(enabled).span, message)
                .help("keep sessions outside of the targets, where the other region finds them"),
        );
    }
}
