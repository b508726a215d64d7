//! The faults and what they take.

use super::{Kind, LABELS, MODE, SELECTOR, machine::MACHINE};
use crate::shape::{
    Form, Key, Keys,
    Shape::{self, Any, Flag, Form as Of, Keys as Mapping, List, Text, Whole, Word},
    forms::{GO_DURATION, GO_LENGTH, MEMORY, ONE_DURATION, PERCENTAGE, RATE},
    may, need,
};

/// Whole numbers of 32 and 64 bits.
pub(super) const INT32: Shape = Whole(i32::MIN as i64, i32::MAX as i64);
pub(super) const INT64: Shape = Whole(i64::MIN, i64::MAX);
pub(super) const PORT: Shape = Whole(1, 65_535);
/// A process id; 0 stands for none.
pub(super) const PID: Shape = Whole(0, i32::MAX as i64);

/// How many stress-ng starts at most.
const MOST_WORKERS: i64 = 8_192;

pub(super) const DURATION: Key = may("duration", Of(&GO_LENGTH));
pub(super) const REMOTE: Key = may("remoteCluster", Text);
const CONTAINERS: Key = may("containerNames", List(&Text));
/// Of version 1; nobody reads it any more.
pub(super) const SCHEDULER: Key = may("scheduler", Any);

/// Keys of a fault that chooses pods.
macro_rules! pods {
    ($what:literal, $($key:expr),+ $(,)?) => {
        &Keys {
            what: $what,
            keys: &[
                $($key,)+
                need("mode", MODE),
                may("value", Text),
                may("selector", Mapping(&SELECTOR)),
                DURATION,
                REMOTE,
                CONTAINERS,
                SCHEDULER,
            ],
        }
    };
}

/// Keys of a fault of a cloud, which names what it hits.
macro_rules! cloud {
    ($what:literal, $($key:expr),+ $(,)?) => {
        &Keys { what: $what, keys: &[$($key,)+ DURATION, REMOTE, SCHEDULER] }
    };
}

const CORRELATION: Key = may("correlation", Of(&PERCENTAGE));

const DELAY: Keys = Keys {
    what: "a delay",
    keys: &[
        need("latency", Of(&ONE_DURATION)),
        may("jitter", Of(&ONE_DURATION)),
        CORRELATION,
        may(
            "reorder",
            Mapping(&Keys {
                what: "a reordering",
                keys: &[need("reorder", Of(&PERCENTAGE)), need("gap", INT64), CORRELATION],
            }),
        ),
    ],
};

const NETWORK: Kind = Kind {
    name: "NetworkChaos",
    key: "networkChaos",
    spec: pods![
        "a NetworkChaos",
        need("action", Word(&["netem", "delay", "loss", "duplicate", "corrupt", "partition", "bandwidth"])),
        may("delay", Mapping(&DELAY)),
        may("loss", Mapping(&Keys { what: "a loss", keys: &[need("loss", Of(&PERCENTAGE)), CORRELATION] })),
        may(
            "duplicate",
            Mapping(&Keys { what: "a duplication", keys: &[need("duplicate", Of(&PERCENTAGE)), CORRELATION] })
        ),
        may("corrupt", Mapping(&Keys { what: "a corruption", keys: &[need("corrupt", Of(&PERCENTAGE)), CORRELATION] })),
        may(
            "bandwidth",
            Mapping(&Keys {
                what: "a bandwidth",
                keys: &[
                    need("rate", Of(&RATE)),
                    need("limit", Whole(1, i32::MAX as i64)),
                    need("buffer", Whole(1, i32::MAX as i64)),
                    may("peakrate", Whole(0, i64::MAX)),
                    may("minburst", Whole(0, i32::MAX as i64)),
                ],
            })
        ),
        may("rate", Mapping(&Keys { what: "a rate", keys: &[need("rate", Of(&RATE))] })),
        may("direction", Word(&["to", "from", "both"])),
        may(
            "target",
            Mapping(&Keys {
                what: "a target",
                keys: &[need("mode", MODE), may("value", Text), need("selector", Mapping(&SELECTOR))],
            })
        ),
        may("externalTargets", List(&Text)),
        may("device", Text),
        may("targetDevice", Text),
    ],
    selects: true,
    needs: &[
        ("delay", &["delay"]),
        ("loss", &["loss"]),
        ("duplicate", &["duplicate"]),
        ("corrupt", &["corrupt"]),
        ("bandwidth", &["bandwidth"]),
        ("netem", &["delay", "loss", "duplicate", "corrupt", "rate"]),
    ],
};

const POD: Kind = Kind {
    name: "PodChaos",
    key: "podChaos",
    spec: pods![
        "a PodChaos",
        need("action", Word(&["pod-kill", "pod-failure", "container-kill"])),
        may("gracePeriod", Whole(0, i64::MAX)),
    ],
    selects: true,
    needs: &[("container-kill", &["containerNames"])],
};

const STRESS: Kind = Kind {
    name: "StressChaos",
    key: "stressChaos",
    spec: pods![
        "a StressChaos",
        may("stressngStressors", Text),
        may(
            "stressors",
            Mapping(&Keys {
                what: "the stressors",
                keys: &[
                    may(
                        "cpu",
                        Mapping(&Keys {
                            what: "a CPU stressor",
                            keys: &[
                                need("workers", Whole(0, MOST_WORKERS)),
                                may("load", Whole(0, 100)),
                                may("options", List(&Text)),
                            ],
                        })
                    ),
                    may(
                        "memory",
                        Mapping(&Keys {
                            what: "a memory stressor",
                            keys: &[
                                need("workers", Whole(0, MOST_WORKERS)),
                                may("size", Of(&MEMORY)),
                                may("oomScoreAdj", Whole(-1_000, 1_000)),
                                may("options", List(&Text)),
                            ],
                        })
                    ),
                ],
            })
        ),
    ],
    selects: true,
    needs: &[("", &["stressors", "stressngStressors"])],
};

/// Seconds and nanoseconds of a file's time.
const FILE_TIME: Keys = Keys { what: "a time of a file", keys: &[need("sec", INT64), need("nsec", INT64)] };

/// Operations of a file system that can be delayed or refused.
const METHODS: &[&str] = &[
    "lookup",
    "forget",
    "getattr",
    "setattr",
    "readlink",
    "mknod",
    "mkdir",
    "unlink",
    "rmdir",
    "symlink",
    "rename",
    "link",
    "open",
    "read",
    "write",
    "flush",
    "release",
    "fsync",
    "opendir",
    "readdir",
    "releasedir",
    "fsyncdir",
    "statfs",
    "setxattr",
    "getxattr",
    "listxattr",
    "removexattr",
    "access",
    "create",
    "getlk",
    "setlk",
    "bmap",
];

const IO: Kind = Kind {
    name: "IOChaos",
    key: "ioChaos",
    spec: pods![
        "an IOChaos",
        need("action", Word(&["latency", "fault", "attrOverride", "mistake"])),
        need("volumePath", Text),
        may("path", Text),
        may("percent", Whole(0, 100)),
        may("methods", List(&Word(METHODS))),
        may("delay", Of(&GO_LENGTH)),
        may("errno", INT32),
        may(
            "attr",
            Mapping(&Keys {
                what: "the attributes",
                keys: &[
                    may("ino", INT64),
                    may("size", INT64),
                    may("blocks", INT64),
                    may("atime", Mapping(&FILE_TIME)),
                    may("mtime", Mapping(&FILE_TIME)),
                    may("ctime", Mapping(&FILE_TIME)),
                    may("kind", Text),
                    may("perm", INT64),
                    may("nlink", INT32),
                    may("uid", INT32),
                    may("gid", INT32),
                    may("rdev", INT32),
                ],
            })
        ),
        may(
            "mistake",
            Mapping(&Keys {
                what: "a mistake",
                keys: &[
                    may("filling", Word(&["zero", "random"])),
                    may("maxOccurrences", Whole(1, i64::MAX)),
                    may("maxLength", Whole(1, i64::MAX)),
                ],
            })
        ),
    ],
    selects: true,
    needs: &[("latency", &["delay"]), ("fault", &["errno"]), ("attrOverride", &["attr"]), ("mistake", &["mistake"])],
};

const TIME: Kind = Kind {
    name: "TimeChaos",
    key: "timeChaos",
    spec: pods![
        "a TimeChaos",
        need("timeOffset", Of(&GO_DURATION)),
        may(
            "clockIds",
            List(&Word(&[
                "CLOCK_REALTIME",
                "CLOCK_MONOTONIC",
                "CLOCK_PROCESS_CPUTIME_ID",
                "CLOCK_THREAD_CPUTIME_ID",
                "CLOCK_MONOTONIC_RAW",
                "CLOCK_REALTIME_COARSE",
                "CLOCK_MONOTONIC_COARSE",
                "CLOCK_BOOTTIME",
                "CLOCK_REALTIME_ALARM",
                "CLOCK_BOOTTIME_ALARM",
            ]))
        ),
    ],
    selects: true,
    needs: &[],
};

/// Names of DNS, with `?` anywhere and `*` at the end only.
const NAME_PATTERN: Form = Form {
    what: "a name, in which ? may stand anywhere and * at the end only",
    near: &[],
    holds: |text| !text.strip_suffix('*').unwrap_or(text).contains('*'),
};

const DNS: Kind = Kind {
    name: "DNSChaos",
    key: "dnsChaos",
    spec: pods!["a DNSChaos", need("action", Word(&["error", "random"])), may("patterns", List(&Of(&NAME_PATTERN))),],
    selects: true,
    needs: &[],
};

/// A name and its value, where order counts.
const PAIRS: Shape = List(&List(&Text));

const HTTP: Kind = Kind {
    name: "HTTPChaos",
    key: "httpChaos",
    spec: pods![
        "an HTTPChaos",
        need("target", Word(&["Request", "Response"])),
        may("abort", Flag),
        may("delay", Of(&GO_LENGTH)),
        may(
            "replace",
            Mapping(&Keys {
                what: "a replacement",
                keys: &[
                    may("body", Text),
                    may("code", INT32),
                    may("headers", LABELS),
                    may("method", Text),
                    may("path", Text),
                    may("queries", LABELS),
                ],
            })
        ),
        may(
            "patch",
            Mapping(&Keys {
                what: "a patch",
                keys: &[
                    may(
                        "body",
                        Mapping(&Keys {
                            what: "the patch of a body",
                            keys: &[need("type", Word(&["JSON"])), need("value", Text)],
                        })
                    ),
                    may("headers", PAIRS),
                    may("queries", PAIRS),
                ],
            })
        ),
        may("port", PORT),
        may("path", Text),
        may("method", Text),
        may("code", INT32),
        may("request_headers", LABELS),
        may("response_headers", LABELS),
        may(
            "tls",
            Mapping(&Keys {
                what: "the TLS settings",
                keys: &[
                    need("secretName", Text),
                    need("secretNamespace", Text),
                    need("certName", Text),
                    need("keyName", Text),
                    may("caName", Text),
                ],
            })
        ),
    ],
    selects: true,
    needs: &[("", &["abort", "delay", "replace", "patch"])],
};

const KERNEL: Kind = Kind {
    name: "KernelChaos",
    key: "kernelChaos",
    spec: pods![
        "a KernelChaos",
        need(
            "failKernRequest",
            Mapping(&Keys {
                what: "the request that fails",
                keys: &[
                    // 0 fails slab allocations, 1 pages, 2 block devices.
                    need("failtype", Whole(0, 2)),
                    may("headers", List(&Text)),
                    may(
                        "callchain",
                        List(&Mapping(&Keys {
                            what: "a call",
                            keys: &[may("funcname", Text), may("parameters", Text), may("predicate", Text)],
                        }))
                    ),
                    may("probability", Whole(0, 100)),
                    may("times", Whole(0, i32::MAX as i64)),
                ],
            })
        ),
    ],
    selects: true,
    needs: &[],
};

const JVM: Kind = Kind {
    name: "JVMChaos",
    key: "jvmChaos",
    spec: pods![
        "a JVMChaos",
        need("action", Word(&["latency", "return", "exception", "stress", "gc", "ruleData", "mysql"])),
        may("class", Text),
        may("method", Text),
        may("returnValue", Text),
        may("exception", Text),
        may("latency", Whole(0, i64::MAX)),
        may("cpuCount", Whole(0, MOST_WORKERS)),
        may("memType", Word(&["stack", "heap"])),
        may("ruleData", Text),
        may("database", Text),
        may("table", Text),
        may("sqlType", Word(&["select", "insert", "update", "delete", "replace", "all"])),
        may("mysqlConnectorVersion", Word(&["5", "8"])),
        may("name", Text),
        may("pid", PID),
        may("port", PORT),
    ],
    selects: true,
    needs: &[
        ("latency", &["class"]),
        ("latency", &["method"]),
        ("latency", &["latency"]),
        ("return", &["class"]),
        ("return", &["method"]),
        // The project's own examples write `value`.
        ("return", &["returnValue", "value"]),
        ("exception", &["class"]),
        ("exception", &["method"]),
        ("exception", &["exception"]),
        ("stress", &["cpuCount", "memType"]),
        ("ruleData", &["ruleData"]),
        ("mysql", &["mysqlConnectorVersion"]),
        ("mysql", &["exception", "latency"]),
    ],
};

const BLOCK: Kind = Kind {
    name: "BlockChaos",
    key: "blockChaos",
    spec: pods![
        "a BlockChaos",
        need("action", Word(&["delay"])),
        need("volumeName", Text),
        may(
            "delay",
            Mapping(&Keys {
                what: "a delay",
                keys: &[may("latency", Of(&GO_LENGTH)), may("jitter", Of(&GO_LENGTH)), CORRELATION],
            })
        ),
    ],
    selects: true,
    needs: &[("delay", &["delay"])],
};

const AWS: Kind = Kind {
    name: "AWSChaos",
    key: "awsChaos",
    spec: cloud![
        "an AWSChaos",
        need("action", Word(&["ec2-stop", "ec2-restart", "detach-volume"])),
        need("awsRegion", Text),
        need("ec2Instance", Text),
        may("deviceName", Text),
        may("volumeID", Text),
        may("secretName", Text),
        may("endpoint", Text),
    ],
    selects: false,
    needs: &[("detach-volume", &["volumeID"]), ("detach-volume", &["deviceName"])],
};

const GCP: Kind = Kind {
    name: "GCPChaos",
    key: "gcpChaos",
    spec: cloud![
        "a GCPChaos",
        need("action", Word(&["node-stop", "node-reset", "disk-loss"])),
        need("project", Text),
        need("zone", Text),
        need("instance", Text),
        may("deviceNames", List(&Text)),
        may("secretName", Text),
    ],
    selects: false,
    needs: &[("disk-loss", &["deviceNames"])],
};

const AZURE: Kind = Kind {
    name: "AzureChaos",
    key: "azureChaos",
    spec: cloud![
        "an AzureChaos",
        need("action", Word(&["vm-stop", "vm-restart", "disk-detach"])),
        need("subscriptionID", Text),
        need("resourceGroupName", Text),
        need("vmName", Text),
        may("diskName", Text),
        may("lun", INT64),
        may("secretName", Text),
    ],
    selects: false,
    needs: &[("disk-detach", &["diskName"]), ("disk-detach", &["lun"])],
};

/// Every kind of fault.
pub(in crate::chaos_mesh) const KINDS: &[Kind] =
    &[NETWORK, POD, STRESS, IO, TIME, DNS, HTTP, KERNEL, MACHINE, JVM, BLOCK, AWS, GCP, AZURE];
