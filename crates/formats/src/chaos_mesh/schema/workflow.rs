//! Schedules, workflows, checks of a status, machines and clusters.

use super::{Kind, LABELS, faults::KINDS};
use crate::shape::{
    Form, Key, Keys,
    Shape::{self, Any, Flag, Form as Of, Keys as Mapping, List, Names, Text, Whole, Word},
    forms::GO_LENGTH,
    may, need,
};

/// An expression of cron as Chaos Mesh reads it: five fields, six with seconds, or a word such as `@hourly`.
const CRON: Form = Form {
    what: "five fields of cron, such as \"*/5 * * * *\", or @every 1h",
    near: &[],
    holds: |text| {
        let text = text
            .strip_prefix("TZ=")
            .or_else(|| text.strip_prefix("CRON_TZ="))
            .map_or(text, |rest| rest.split_once(' ').map_or("", |(_, cron)| cron));
        if let Some(length) = text.strip_prefix("@every ") {
            return (GO_LENGTH.holds)(length.trim());
        }
        if text.starts_with('@') {
            return ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"].contains(&text);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '/' | ',' | '-' | '?');
        (5..=6).contains(&fields.len()) && fields.iter().all(|field| field.chars().all(allowed))
    },
};

const POLICY: Shape = Word(&["Forbid", "Allow", ""]);

/// A kind's spec under its own key, for tables that list them all; what is in it is looked at as a fault.
macro_rules! with_faults {
    ($what:literal, $($key:expr),+ $(,)?) => {
        Keys {
            what: $what,
            keys: &[
                $($key,)+
                may("awsChaos", Any), may("azureChaos", Any), may("blockChaos", Any), may("dnsChaos", Any),
                may("gcpChaos", Any), may("httpChaos", Any), may("ioChaos", Any), may("jvmChaos", Any),
                may("kernelChaos", Any), may("networkChaos", Any), may("physicalmachineChaos", Any),
                may("podChaos", Any), may("stressChaos", Any), may("timeChaos", Any),
            ],
        }
    };
}

/// Names of everything that a schedule or a workflow can start.
macro_rules! types {
    ($($more:literal),+) => {
        Word(&[
            $($more,)+ "AWSChaos", "AzureChaos", "BlockChaos", "DNSChaos", "GCPChaos", "HTTPChaos", "IOChaos", "JVMChaos",
            "KernelChaos", "NetworkChaos", "PhysicalMachineChaos", "PodChaos", "StressChaos", "TimeChaos",
        ])
    };
}

const STARTING: Key = may("startingDeadlineSeconds", Whole(0, i64::MAX));
const HISTORY: Key = may("historyLimit", Whole(1, i64::MAX));

/// A schedule, alone or in a workflow.
pub(in crate::chaos_mesh) const SCHEDULE: Keys = with_faults![
    "a schedule",
    need("schedule", Of(&CRON)),
    need("type", types!["Workflow"]),
    may("concurrencyPolicy", POLICY),
    STARTING,
    HISTORY,
    may("workflow", Any),
];

/// A check of a status.
pub(in crate::chaos_mesh) const STATUS_CHECK: Keys = Keys {
    what: "a status check",
    keys: &[
        need("type", Word(&["HTTP"])),
        may("mode", Word(&["Synchronous", "Continuous"])),
        may("duration", Of(&GO_LENGTH)),
        may("timeoutSeconds", Whole(1, i64::MAX)),
        may("intervalSeconds", Whole(1, i64::MAX)),
        may("failureThreshold", Whole(1, i64::MAX)),
        may("successThreshold", Whole(1, i64::MAX)),
        may("recordsHistoryLimit", Whole(1, 1_000)),
        may(
            "http",
            Mapping(&Keys {
                what: "the request of a status check",
                keys: &[
                    need("url", Text),
                    need(
                        "criteria",
                        Mapping(&Keys { what: "the criteria", keys: &[need("statusCode", Of(&STATUS_CODES))] }),
                    ),
                    may("method", Word(&["GET", "POST"])),
                    may("headers", Names(&List(&Text))),
                    may("body", Text),
                ],
            }),
        ),
    ],
};

/// One status code of HTTP, or the first and the last of a range.
const STATUS_CODES: Form = Form {
    what: "a status such as \"200\", or a range such as \"200-399\"",
    near: &[],
    holds: |text| {
        let code = |text: &str| text.parse::<u16>().is_ok_and(|code| (100..600).contains(&code));
        text.split_once('-').map_or_else(|| code(text), |(first, last)| code(first) && code(last))
    },
};

/// A template of a workflow.
const TEMPLATE: Keys = with_faults![
    "a template",
    need("name", Text),
    need("templateType", types!["Task", "Serial", "Parallel", "Suspend", "StatusCheck", "Schedule"]),
    may("deadline", Of(&GO_LENGTH)),
    may("children", List(&Text)),
    may(
        "conditionalBranches",
        List(&Mapping(&Keys { what: "a branch", keys: &[need("target", Text), may("expression", Text)] })),
    ),
    may(
        "task",
        Mapping(&Keys {
            what: "a task",
            keys: &[may("container", Any), may("volumes", List(&Any)), may("labels", LABELS)],
        }),
    ),
    may("statusCheck", Mapping(&STATUS_CHECK)),
    may("abortWithStatusCheck", Flag),
    may("schedule", Mapping(&SCHEDULE)),
];

/// A workflow.
pub(in crate::chaos_mesh) const WORKFLOW: Keys =
    Keys { what: "a workflow", keys: &[need("entry", Text), need("templates", List(&Mapping(&TEMPLATE)))] };

/// A machine that runs the agent.
pub(in crate::chaos_mesh) const PHYSICAL_MACHINE: Keys =
    Keys { what: "a physical machine", keys: &[need("address", Text)] };

/// Another cluster.
pub(in crate::chaos_mesh) const REMOTE_CLUSTER: Keys = Keys {
    what: "a remote cluster",
    keys: &[
        need("namespace", Text),
        // The definition wants a version; the project's own examples, which are taken, have none.
        may("version", Text),
        need(
            "kubeConfig",
            Mapping(&Keys {
                what: "the access to a cluster",
                keys: &[need(
                    "secretRef",
                    Mapping(&Keys {
                        what: "the reference to a secret",
                        keys: &[need("name", Text), need("namespace", Text), need("key", Text)],
                    }),
                )],
            }),
        ),
        may("configOverride", Any),
    ],
};

impl Kind {
    /// The kind of this name. `IoChaos` is how files from before version 2 spell it.
    pub(in crate::chaos_mesh) fn find(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name || kind.name == "IOChaos" && name == "IoChaos")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_scheduled_and_stand_in_a_workflow() {
        for kind in KINDS {
            assert!(SCHEDULE.find(kind.key).is_some() && TEMPLATE.find(kind.key).is_some(), "{}", kind.key);
        }
    }

    #[test]
    fn cron_has_five_fields_or_a_word() {
        for right in ["*/5 * * * *", "0 0 3 * * MON-FRI", "@every 1h30m", "@hourly", "TZ=Asia/Tokyo 0 3 * * *"] {
            assert!((CRON.holds)(right), "{right}");
        }
        for wrong in ["* * *", "@sometimes", "@every day", "every.5 * * * *", ""] {
            assert!(!(CRON.holds)(wrong), "{wrong}");
        }
    }
}
