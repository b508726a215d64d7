//! What a FIS action is here: the native fault that does the same.

use std::collections::BTreeMap;

use model::{Period, experiment::Action};
use serde_json::Value;

use super::catalogue::{self, document_name};

/// An action in native terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// The native action: `instance:terminate`, `network:latency` ...
    pub fault: String,
    /// Its parameters. Defaults of the *FIS* side are filled in where they differ from the native ones.
    pub parameters: BTreeMap<String, String>,
    /// How long it lasts; none where it is over at once.
    pub duration: Option<Period>,
    /// The key under the action's `targets` that names what it hits; none where it hits nothing.
    pub target_key: Option<String>,
}

/// Why an action has no native equivalent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// An action on something that is not here.
    #[error("`{action}` {reason}")]
    Elsewhere {
        /// The action's id.
        action: String,
        /// A sentence that begins with the action.
        reason: String,
    },
    /// A document of `aws:ssm:send-command` that is not one of FIS's, or whose fault is not here.
    #[error("the document `{document}` is not one that can be carried out here; known are {known}")]
    Document {
        /// The document's name.
        document: String,
        /// Names of those that can.
        known: String,
    },
    /// A parameter is missing or cannot be read; `check` says so with its place.
    #[error("`{action}` needs a readable `{parameter}`")]
    Parameter {
        /// The action's id.
        action: String,
        /// The parameter.
        parameter: String,
    },
}

/// What an action is in native terms. Native actions pass through; their `duration` is read and left where it is.
pub fn translate(action: &Action) -> Result<Native, Untranslatable> {
    let id = action.action_id.as_str();
    let target = |key: &str| Some(key.to_owned());
    match id {
        "aws:ec2:terminate-instances" => Ok(native("instance:terminate", [], None, target("Instances"))),
        "aws:ec2:reboot-instances" => Ok(native("instance:reboot", [], None, target("Instances"))),
        "aws:ec2:stop-instances" => stop(action),
        "aws:ssm:send-command" => send_command(action),
        "aws:network:disrupt-connectivity" => disrupt(action),
        "aws:ec2:asg-insufficient-instance-capacity-error" => no_capacity(action),
        "aws:fis:wait" => {
            let duration = period(action, "duration")?;
            Ok(native("wait", [("duration", duration.to_string())], Some(duration), None))
        }
        "aws:cloudwatch:assert-alarm-state" => assert_alarms(action),
        _ if id.starts_with("aws:") => Err(elsewhere(id)),
        _ => {
            let duration = action.parameters.get("duration").map(|_| period(action, "duration")).transpose()?;
            Ok(Native {
                fault: id.to_owned(),
                parameters: action.parameters.clone(),
                duration,
                target_key: action.targets.keys().next().cloned(),
            })
        }
    }
}

fn native<const N: usize>(
    fault: &str,
    parameters: [(&str, String); N],
    duration: Option<Period>,
    target_key: Option<String>,
) -> Native {
    let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Native { fault: fault.to_owned(), parameters, duration, target_key }
}

fn elsewhere(id: &str) -> Untranslatable {
    let reason = match catalogue::action(id) {
        Some(entry) => match entry.targets.first().and_then(|target| target.resource_types.first()) {
            Some(resource_type) => {
                format!("acts on {resource_type}, of which this build has none; it can be checked, not run")
            }
            None => "runs in AWS only; it can be checked, not run".to_owned(),
        },
        None => "is not an action of AWS FIS".to_owned(),
    };
    Untranslatable::Elsewhere { action: id.to_owned(), reason }
}

fn parameter<'a>(action: &'a Action, name: &str) -> Result<&'a str, Untranslatable> {
    let missing = || Untranslatable::Parameter { action: action.action_id.clone(), parameter: name.to_owned() };
    action.parameters.get(name).map(String::as_str).ok_or_else(missing)
}

fn period(action: &Action, name: &str) -> Result<Period, Untranslatable> {
    let unreadable = |_| Untranslatable::Parameter { action: action.action_id.clone(), parameter: name.to_owned() };
    parameter(action, name)?.parse().map_err(unreadable)
}

fn stop(action: &Action) -> Result<Native, Untranslatable> {
    let mut stop = native("instance:stop", [], None, Some("Instances".to_owned()));
    if action.parameters.contains_key("startInstancesAfterDuration") {
        let after = period(action, "startInstancesAfterDuration")?;
        stop.parameters.insert("startAfter".to_owned(), after.to_string());
        stop.duration = Some(after);
    }
    if let Some(complete) = action.parameters.get("completeIfInstancesTerminated") {
        stop.parameters.insert("completeIfTerminated".to_owned(), complete.to_lowercase());
    }
    Ok(stop)
}

fn disrupt(action: &Action) -> Result<Native, Untranslatable> {
    let duration = period(action, "duration")?;
    let scope = parameter(action, "scope")?;
    if !matches!(scope, "all" | "availability-zone") {
        let reason = format!(
            "with the scope `{scope}` cuts off something of AWS that is not here; scopes here are all and availability-zone"
        );
        return Err(Untranslatable::Elsewhere { action: action.action_id.clone(), reason });
    }
    let parameters = [("duration", duration.to_string()), ("scope", scope.to_owned())];
    Ok(native("network:disrupt", parameters, Some(duration), Some("Subnets".to_owned())))
}

fn no_capacity(action: &Action) -> Result<Native, Untranslatable> {
    let duration = period(action, "duration")?;
    let zones = parameter(action, "availabilityZoneIdentifiers")?.to_owned();
    let parameters = [("duration", duration.to_string()), ("zones", zones)];
    let mut native = native("group:no-capacity", parameters, Some(duration), Some("AutoScalingGroups".to_owned()));
    if let Some(percentage) = action.parameters.get("percentage") {
        native.parameters.insert("percentage".to_owned(), percentage.clone());
    }
    Ok(native)
}

fn assert_alarms(action: &Action) -> Result<Native, Untranslatable> {
    let names = parameter(action, "alarmArns")?.split(',').map(|arn| {
        let arn = arn.trim();
        arn.split_once(":alarm:").map_or(arn, |(_, name)| name)
    });
    let names: Vec<&str> = names.collect();
    let states = parameter(action, "alarmStates")?.to_owned();
    Ok(native("assert-alarm-state", [("alarms", names.join(",")), ("states", states)], None, None))
}

/// What a document of `aws:ssm:send-command` is here.
struct Command {
    document: &'static str,
    fault: &'static str,
    /// Its parameters by their names here. Of the others, [`LENGTH`] is the fault's duration; [`INTERFACE`] means nothing here, nor
    /// does `InstallDependencies`: nothing has to be installed.
    renames: &'static [(&'static str, &'static str)],
    /// Defaults of the document that are not the fault's.
    defaults: &'static [(&'static str, &'static str)],
}

/// How long a document's fault lasts; a signal takes no time, and its document does not use it either.
const LENGTH: &str = "DurationSeconds";
/// Which of an instance's network interfaces is hit. Those are all of it.
const INTERFACE: (&str, &[&str]) = ("Interface", &["DEFAULT", "ALL", "eth0"]);
/// Services of AWS that a document takes for sources.
const SERVICES: &[&str] = &["DYNAMODB", "S3"];

const COMMANDS: &[Command] = &[
    Command {
        document: "AWSFIS-Run-CPU-Stress",
        fault: "cpu:stress",
        renames: &[("CPU", "workers"), ("LoadPercent", "percent")],
        defaults: &[],
    },
    // The disk that is meant is the instance's own: no folder is named.
    Command { document: "AWSFIS-Run-Disk-Fill", fault: "disk:fill", renames: &[("Percent", "size")], defaults: &[] },
    Command {
        document: "AWSFIS-Run-IO-Stress",
        fault: "disk:stress",
        renames: &[("Workers", "workers"), ("Percent", "size")],
        defaults: &[("size", "80%")],
    },
    Command {
        document: "AWSFIS-Run-Memory-Stress",
        fault: "memory:stress",
        renames: &[("Workers", "workers"), ("Percent", "size")],
        defaults: &[],
    },
    Command {
        document: "AWSFIS-Run-Kill-Process",
        fault: "process:kill",
        renames: &[("ProcessName", "process"), ("Signal", "signal")],
        defaults: &[("signal", "SIGTERM")],
    },
    Command {
        document: "AWSFIS-Run-Network-Latency",
        fault: "network:latency",
        renames: &[("DelayMilliseconds", "delayMilliseconds")],
        // The document delays what the interface sends.
        defaults: &[("direction", "egress"), ("delayMilliseconds", "200")],
    },
    Command {
        document: "AWSFIS-Run-Network-Latency-Sources",
        fault: "network:latency",
        renames: &[
            ("DelayMilliseconds", "delayMilliseconds"),
            ("JitterMilliseconds", "jitterMilliseconds"),
            ("FlowsPercent", "flowsPercent"),
            ("Sources", "sources"),
            ("TrafficType", "direction"),
        ],
        defaults: &[("direction", "ingress"), ("jitterMilliseconds", "10"), ("delayMilliseconds", "200")],
    },
    Command {
        document: "AWSFIS-Run-Network-Packet-Loss",
        fault: "network:loss",
        renames: &[("LossPercent", "lossPercent")],
        defaults: &[("direction", "egress"), ("lossPercent", "7")],
    },
    Command {
        document: "AWSFIS-Run-Network-Packet-Loss-Sources",
        fault: "network:loss",
        renames: &[
            ("LossPercent", "lossPercent"),
            ("FlowsPercent", "flowsPercent"),
            ("Sources", "sources"),
            ("TrafficType", "direction"),
        ],
        defaults: &[("direction", "ingress"), ("lossPercent", "7")],
    },
    Command {
        document: "AWSFIS-Run-Network-Blackhole-Port",
        fault: "network:blackhole",
        renames: &[("Protocol", "protocol"), ("Port", "port"), ("TrafficType", "direction")],
        defaults: &[("direction", "ingress")],
    },
];

fn send_command(action: &Action) -> Result<Native, Untranslatable> {
    let name = document_name(parameter(action, "documentArn")?);
    let Some(command) = COMMANDS.iter().find(|command| command.document == name) else {
        let known: Vec<&str> = COMMANDS.iter().map(|command| command.document).collect();
        return Err(Untranslatable::Document { document: name.to_owned(), known: known.join(", ") });
    };
    let unreadable = |parameter: &str| Untranslatable::Parameter {
        action: action.action_id.clone(),
        parameter: parameter.to_owned(),
    };
    let text = action.parameters.get("documentParameters").map_or("{}", String::as_str);
    let written: serde_json::Map<String, Value> =
        serde_json::from_str(text).map_err(|_| unreadable("documentParameters"))?;
    let mut native = native(command.fault, [], None, Some("Instances".to_owned()));
    for (name, value) in command.defaults {
        native.parameters.insert((*name).to_owned(), (*value).to_owned());
    }
    for (theirs, ours) in command.renames {
        if let Some(value) = written.get(*theirs) {
            let value = document_value(value).ok_or_else(|| unreadable(theirs))?;
            native.parameters.insert((*ours).to_owned(), spelt(ours, value));
        }
    }
    if command.fault != "process:kill" {
        let seconds = written.get(LENGTH).and_then(document_value).and_then(|text| text.parse().ok());
        let fault = Period::from_secs(seconds.ok_or_else(|| unreadable(LENGTH))?);
        // The document's length is the fault's; the action's is how long it may take, and ends the fault, too.
        let duration = match action.parameters.get("duration") {
            Some(_) => fault.min(period(action, "duration")?),
            None => fault,
        };
        native.parameters.insert("duration".to_owned(), duration.to_string());
        native.duration = Some(duration);
    }
    Ok(native)
}

/// A value as it is written here: a share of memory or of a disk is a size.
fn spelt(parameter: &str, value: String) -> String {
    if parameter == "size" { format!("{value}%") } else { value }
}

/// What becomes of a parameter of a document here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is a parameter of a native fault, with this value.
    Becomes { fault: &'static str, parameter: &'static str, value: String },
    /// It means nothing here, for this reason; the fault is injected all the same.
    Nothing(&'static str),
    /// It asks for something that is not here, for this reason; the fault is refused.
    Refused(&'static str),
}

/// What becomes of a parameter with this value; `None`: just what it says.
pub(crate) fn fate(document: &str, parameter: &str, value: &str) -> Option<Fate> {
    let command = COMMANDS.iter().find(|command| command.document == document)?;
    let (interface, usual) = INTERFACE;
    if parameter == interface && !usual.contains(&value) {
        return Some(Fate::Nothing("all that an instance sends and receives is hit, over whichever interface"));
    }
    if parameter == "Sources" && value.split(',').any(|source| SERVICES.contains(&source.trim())) {
        return Some(Fate::Refused("that service of AWS is not here"));
    }
    let (_, ours) = command.renames.iter().find(|(theirs, _)| *theirs == parameter)?;
    Some(Fate::Becomes { fault: command.fault, parameter: ours, value: spelt(ours, value.to_owned()) })
}

/// A value of `documentParameters`: a text, a list of texts (joined by commas), or what should have been in quotes.
fn document_value(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            items.iter().map(document_value).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(id: &str, parameters: &[(&str, &str)]) -> Action {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Action { action_id: id.to_owned(), parameters, ..Action::default() }
    }

    fn document(name: &str, parameters: &str, duration: &str) -> Action {
        let arn = format!("arn:aws:ssm:us-east-1::document/{name}");
        action(
            "aws:ssm:send-command",
            &[("documentArn", &arn), ("documentParameters", parameters), ("duration", duration)],
        )
    }

    /// `fault {parameters}` for `duration`
    fn said(native: &Native) -> String {
        let parameters: Vec<String> = native.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {} for {:?}", native.fault, parameters.join(" "), native.duration.map(|period| period.to_string()))
    }

    #[test]
    fn fis_actions_have_native_equivalents() {
        for (action, expected) in [
            (action("aws:ec2:terminate-instances", &[]), "instance:terminate  for None"),
            (
                action(
                    "aws:ec2:stop-instances",
                    &[("startInstancesAfterDuration", "PT5M"), ("completeIfInstancesTerminated", "True")],
                ),
                "instance:stop completeIfTerminated=true startAfter=PT5M for Some(\"PT5M\")",
            ),
            (
                document("AWSFIS-Run-CPU-Stress", r#"{"DurationSeconds":"60","LoadPercent":"50"}"#, "PT2M"),
                "cpu:stress duration=PT1M percent=50 for Some(\"PT1M\")",
            ),
            (
                document(
                    "AWSFIS-Run-Memory-Stress",
                    r#"{"DurationSeconds":"300","Workers":"4","Percent":"80"}"#,
                    "PT5M",
                ),
                "memory:stress duration=PT5M size=80% workers=4 for Some(\"PT5M\")",
            ),
            (
                document("AWSFIS-Run-Disk-Fill", r#"{"DurationSeconds":"60","Percent":"90"}"#, "PT1M"),
                "disk:fill duration=PT1M size=90% for Some(\"PT1M\")",
            ),
            (
                document("AWSFIS-Run-IO-Stress", r#"{"DurationSeconds":"60","Workers":"2"}"#, "PT1M"),
                "disk:stress duration=PT1M size=80% workers=2 for Some(\"PT1M\")",
            ),
            (
                document("AWSFIS-Run-Network-Latency", r#"{"DurationSeconds":"60"}"#, "PT30S"),
                "network:latency delayMilliseconds=200 direction=egress duration=PT30S for Some(\"PT30S\")",
            ),
            (
                document(
                    "AWSFIS-Run-Network-Latency-Sources",
                    r#"{"DurationSeconds":"60","DelayMilliseconds":"300","Sources":["10.0.0.0/8","ALL"],"TrafficType":"egress"}"#,
                    "PT1M",
                ),
                "network:latency delayMilliseconds=300 direction=egress duration=PT1M jitterMilliseconds=10 sources=10.0.0.0/8,ALL for Some(\"PT1M\")",
            ),
            (
                document(
                    "AWSFIS-Run-Network-Blackhole-Port",
                    r#"{"DurationSeconds":"60","Protocol":"tcp","Port":"8080"}"#,
                    "PT1M",
                ),
                "network:blackhole direction=ingress duration=PT1M port=8080 protocol=tcp for Some(\"PT1M\")",
            ),
            (
                document("AWSFIS-Run-Kill-Process", r#"{"ProcessName":"web","Signal":"SIGKILL"}"#, "PT1M"),
                "process:kill process=web signal=SIGKILL for None",
            ),
            (
                action("aws:network:disrupt-connectivity", &[("duration", "PT1M"), ("scope", "all")]),
                "network:disrupt duration=PT1M scope=all for Some(\"PT1M\")",
            ),
            (
                action(
                    "aws:ec2:asg-insufficient-instance-capacity-error",
                    &[("duration", "PT5M"), ("availabilityZoneIdentifiers", "local-1a"), ("percentage", "50")],
                ),
                "group:no-capacity duration=PT5M percentage=50 zones=local-1a for Some(\"PT5M\")",
            ),
            (action("aws:fis:wait", &[("duration", "PT3M")]), "wait duration=PT3M for Some(\"PT3M\")"),
            (
                action(
                    "aws:cloudwatch:assert-alarm-state",
                    &[
                        ("alarmArns", "arn:aws:cloudwatch:us-east-1:1:alarm:a,arn:aws:cloudwatch:us-east-1:1:alarm:b"),
                        ("alarmStates", "OK"),
                    ],
                ),
                "assert-alarm-state alarms=a,b states=OK for None",
            ),
            (
                action("network:latency", &[("duration", "PT1S"), ("delayMilliseconds", "5")]),
                "network:latency delayMilliseconds=5 duration=PT1S for Some(\"PT1S\")",
            ),
        ] {
            assert_eq!(said(&translate(&action).unwrap()), expected);
        }
    }

    #[test]
    fn what_has_no_equivalent_says_why() {
        for (action, expected) in [
            (
                action("aws:rds:failover-db-cluster", &[]),
                "`aws:rds:failover-db-cluster` acts on aws:rds:cluster, of which this build has none; it can be checked, not run",
            ),
            (
                action("aws:ssm:start-automation-execution", &[]),
                "`aws:ssm:start-automation-execution` runs in AWS only; it can be checked, not run",
            ),
            (action("aws:fis:wait", &[]), "`aws:fis:wait` needs a readable `duration`"),
            (
                document("AWSFIS-Run-CPU-Stress", "{}", "PT1M"),
                "`aws:ssm:send-command` needs a readable `DurationSeconds`",
            ),
        ] {
            assert_eq!(translate(&action).unwrap_err().to_string(), expected);
        }
        assert!(matches!(translate(&document("my-own", "{}", "PT1M")), Err(Untranslatable::Document { .. })));
    }

    #[test]
    fn every_document_is_carried_out_and_none_of_its_parameters_is_forgotten() {
        for document in catalogue::DOCUMENTS {
            let command = COMMANDS.iter().find(|command| command.document == document.name).unwrap();
            let meant =
                command.renames.iter().map(|(theirs, _)| *theirs).chain([LENGTH, "InstallDependencies", INTERFACE.0]);
            let meant: Vec<&str> = meant.collect();
            for parameter in document.parameters {
                assert!(meant.contains(&parameter.name), "{} {}", document.name, parameter.name);
            }
            for (theirs, _) in command.renames {
                let known = document.parameters.iter().any(|parameter| parameter.name == *theirs);
                assert!(known, "{} {theirs}", command.document);
            }
        }
        assert_eq!(catalogue::DOCUMENTS.len(), COMMANDS.len());
    }
}
