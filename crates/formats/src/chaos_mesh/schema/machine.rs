//! Faults on machines that are no pods: every action has a mapping of its own name.

use super::{
    Kind, MODE, SELECTOR,
    faults::{DURATION, INT32, INT64, PID, PORT, REMOTE, SCHEDULER},
};
use crate::shape::{
    Keys,
    Shape::{Flag, Form as Of, Keys as Mapping, List, OneOrMore, Text, Whole, Word},
    forms::{GO_LENGTH, PERCENTAGE, RATE},
    may, need,
};

/// A kind whose actions are mappings of the same name.
macro_rules! actions {
    ($($action:literal: [$($key:expr),+ $(,)?],)+) => {
        /// The fault on machines.
        pub(super) const MACHINE: Kind = Kind {
            name: "PhysicalMachineChaos",
            key: "physicalmachineChaos",
            spec: &Keys {
                what: "a PhysicalMachineChaos",
                keys: &[
                    need("action", Word(&[$($action),+])),
                    need("mode", MODE),
                    may("value", Text),
                    may("selector", Mapping(&SELECTOR)),
                    may("address", OneOrMore(&Text)),
                    may("uid", Text),
                    DURATION,
                    REMOTE,
                    SCHEDULER,
                    $(may($action, Mapping(&Keys { what: concat!("`", $action, "`"), keys: &[$($key),+] })),)+
                ],
            },
            selects: true,
            needs: &[$(($action, &[$action])),+],
        };
    };
}

actions! {
    "stress-cpu": [may("load", Whole(0, 100)), may("options", List(&Text)), may("workers", INT64)],
    "stress-mem": [may("options", List(&Text)), may("size", Text)],
    "disk-read-payload": [may("path", Text), may("payload-process-num", Whole(1, 255)), may("size", Text)],
    "disk-write-payload": [may("path", Text), may("payload-process-num", Whole(1, 255)), may("size", Text)],
    "disk-fill": [may("fill-by-fallocate", Flag), may("path", Text), may("size", Text)],
    "network-corrupt": [may("correlation", Of(&PERCENTAGE)), may("device", Text), may("egress-port", Text), may("hostname", Text), may("ip-address", Text), may("ip-protocol", Text), may("percent", Of(&PERCENTAGE)), may("source-port", Text)],
    "network-duplicate": [may("correlation", Of(&PERCENTAGE)), may("device", Text), may("egress-port", Text), may("hostname", Text), may("ip-address", Text), may("ip-protocol", Text), may("percent", Of(&PERCENTAGE)), may("source-port", Text)],
    "network-loss": [may("correlation", Of(&PERCENTAGE)), may("device", Text), may("egress-port", Text), may("hostname", Text), may("ip-address", Text), may("ip-protocol", Text), may("percent", Of(&PERCENTAGE)), may("source-port", Text)],
    "network-delay": [may("accept-tcp-flags", Text), may("correlation", Of(&PERCENTAGE)), may("device", Text), may("egress-port", Text), may("hostname", Text), may("ip-address", Text), may("ip-protocol", Text), may("jitter", Of(&GO_LENGTH)), may("latency", Of(&GO_LENGTH)), may("source-port", Text)],
    "network-partition": [may("accept-tcp-flags", Text), may("device", Text), may("direction", Word(&["to", "from", "both"])), may("hostname", Text), may("ip-address", Text), may("ip-protocol", Text)],
    "network-dns": [may("dns-domain-name", Text), may("dns-ip", Text), may("dns-server", Text)],
    "network-bandwidth": [need("buffer", Whole(1, i32::MAX as i64)), may("device", Text), may("hostname", Text), may("ip-address", Text), need("limit", Whole(1, i32::MAX as i64)), may("minburst", INT32), may("peakrate", INT64), need("rate", Of(&RATE))],
    "network-flood": [need("duration", Text), may("ip-address", Text), may("parallel", INT32), may("port", Text), need("rate", Of(&RATE))],
    "network-down": [may("device", Text), may("duration", Text)],
    "process": [may("process", Text), may("recoverCmd", Text), may("signal", INT64)],
    "jvm-exception": [may("class", Text), may("exception", Text), may("method", Text), may("pid", PID), may("port", PORT)],
    "jvm-gc": [may("pid", PID), may("port", PORT)],
    "jvm-latency": [may("class", Text), may("latency", INT64), may("method", Text), may("pid", PID), may("port", PORT)],
    "jvm-return": [may("class", Text), may("method", Text), may("pid", PID), may("port", PORT), may("value", Text)],
    "jvm-stress": [may("cpu-count", INT64), may("mem-type", Word(&["stack", "heap"])), may("pid", PID), may("port", PORT)],
    "jvm-rule-data": [may("pid", PID), may("port", PORT), may("rule-data", Text)],
    "jvm-mysql": [may("database", Text), may("exception", Text), may("latency", INT64), may("mysqlConnectorVersion", Text), may("pid", PID), may("port", PORT), may("sqlType", Text), may("table", Text)],
    "clock": [may("clock-ids-slice", Text), may("pid", PID), may("time-offset", Text)],
    "redis-expiration": [may("addr", Text), may("expiration", Text), may("key", Text), may("option", Text), may("password", Text)],
    "redis-penetration": [may("addr", Text), may("password", Text), may("requestNum", INT64)],
    "redis-cacheLimit": [may("addr", Text), may("cacheSize", Text), may("password", Text), may("percent", Text)],
    "redis-restart": [may("addr", Text), may("conf", Text), may("flushConfig", Flag), may("password", Text), may("redisPath", Flag)],
    "redis-stop": [may("addr", Text), may("conf", Text), may("flushConfig", Flag), may("password", Text), may("redisPath", Flag)],
    "kafka-fill": [may("host", Text), may("maxBytes", INT64), may("messageSize", INT64), may("password", Text), may("port", PORT), may("reloadCommand", Text), may("topic", Text), may("username", Text)],
    "kafka-flood": [may("host", Text), may("messageSize", INT64), may("password", Text), may("port", PORT), may("threads", INT64), may("topic", Text), may("username", Text)],
    "kafka-io": [may("configFile", Text), may("nonReadable", Flag), may("nonWritable", Flag), may("topic", Text)],
    "file-create": [may("dir-name", Text), may("file-name", Text)],
    "file-modify": [may("file-name", Text), may("privilege", INT32)],
    "file-delete": [may("dir-name", Text), may("file-name", Text)],
    "file-rename": [may("dest-file", Text), may("source-file", Text)],
    "file-append": [may("count", INT64), may("data", Text), may("file-name", Text)],
    "file-replace": [may("dest-string", Text), may("file-name", Text), may("line", INT64), may("origin-string", Text)],
    "vm": [may("vm-name", Text)],
    "user_defined": [may("attackCmd", Text), may("recoverCmd", Text)],
    "http-abort": [may("code", Text), may("method", Text), may("path", Text), may("port", PORT), need("proxy_ports", List(&PORT)), need("target", Word(&["Request", "Response"]))],
    "http-config": [may("file_path", Text)],
    "http-delay": [may("code", Text), need("delay", Text), may("method", Text), may("path", Text), may("port", PORT), need("proxy_ports", List(&PORT)), need("target", Word(&["Request", "Response"]))],
    "http-request": [may("count", INT64), may("enable-conn-pool", Flag), may("url", Text)],
}
