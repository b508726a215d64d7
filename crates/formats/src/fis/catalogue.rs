//! The 50 actions of AWS FIS, the resource types they hit, and the parameters of both.
//!
//! Source: the FIS user guide's actions reference. Which of them can be carried out here is
//! [`translate`](super::translate::translate)'s business.

use ParameterKind::{Addresses, Arn, Integer, Json, ListOf, OneOf, Text};
use Reversibility::{Harmless, Irreversible, Undoable};
use model::catalogue::{Entry, Parameter, ParameterKind, Reversibility, TargetKind};

/// All actions, ordered by id.
#[must_use]
pub const fn catalogue() -> &'static [Entry] {
    ACTIONS
}

/// The action with this id, old names included.
#[must_use]
pub fn action(id: &str) -> Option<&'static Entry> {
    let id = OLD_IDS.iter().find(|(old, _)| *old == id).map_or(id, |(_, new)| new);
    ACTIONS.iter().find(|entry| entry.id == id)
}

/// Ids that FIS has renamed: old and new.
pub const OLD_IDS: &[(&str, &str)] = &[
    ("aws:dynamodb:encrypted-global-table-pause-replication", "aws:dynamodb:global-table-pause-replication"),
    ("aws:elasticache:interrupt-cluster-az-power", "aws:elasticache:replicationgroup-interrupt-az-power"),
];

/// Resource types that FIS has renamed: old and new.
pub const OLD_RESOURCE_TYPES: &[(&str, &str)] = &[
    ("aws:dynamodb:encrypted-global-table", "aws:dynamodb:global-table"),
    ("aws:elasticache:redis-replicationgroup", "aws:elasticache:replicationgroup"),
];

/// A resource type and the parameters a target of it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceType {
    /// For example `aws:ec2:subnet`.
    pub name: &'static str,
    /// Parameters: name, and whether it must be given.
    pub parameters: &'static [(&'static str, bool)],
}

const fn kind(name: &'static str, parameters: &'static [(&'static str, bool)]) -> ResourceType {
    ResourceType { name, parameters }
}

/// All resource types, ordered by name.
pub const RESOURCE_TYPES: &[ResourceType] = &[
    kind("aws:arc:zonal-shift-managed-resource", &[]),
    kind("aws:directconnect:virtual-interface", &[]),
    kind("aws:dsql:cluster", &[]),
    kind("aws:dynamodb:global-table", &[]),
    kind("aws:ec2:autoscaling-group", &[]),
    kind("aws:ec2:ebs-volume", &[("availabilityZoneIdentifier", false)]),
    kind("aws:ec2:instance", &[]),
    kind("aws:ec2:spot-instance", &[]),
    kind("aws:ec2:subnet", &[("availabilityZoneIdentifier", false), ("vpc", false)]),
    kind("aws:ec2:transit-gateway", &[]),
    kind("aws:ec2:vpc-endpoint", &[]),
    kind("aws:ecs:cluster", &[]),
    kind("aws:ecs:task", &[("cluster", false), ("service", false)]),
    kind("aws:eks:cluster", &[]),
    kind("aws:eks:nodegroup", &[]),
    kind(
        "aws:eks:pod",
        &[
            ("availabilityZoneIdentifier", false),
            ("clusterIdentifier", true),
            ("namespace", true),
            ("selectorType", true),
            ("selectorValue", true),
            ("targetContainerName", false),
        ],
    ),
    kind("aws:elasticache:replicationgroup", &[("availabilityZoneIdentifier", true)]),
    kind("aws:iam:role", &[]),
    kind("aws:kinesis:stream", &[]),
    kind("aws:lambda:function", &[("functionQualifier", false)]),
    kind("aws:memorydb:multi-region-cluster", &[]),
    kind("aws:rds:cluster", &[("writerAvailabilityZoneIdentifiers", false)]),
    kind("aws:rds:db", &[("availabilityZoneIdentifiers", false)]),
    kind("aws:s3:bucket", &[]),
];

/// The resource type with this name, old names included.
#[must_use]
pub fn resource_type(name: &str) -> Option<&'static ResourceType> {
    let name = OLD_RESOURCE_TYPES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
    RESOURCE_TYPES.iter().find(|row| row.name == name)
}

const fn needed(name: &'static str, kind: ParameterKind, about: &'static str) -> Parameter {
    Parameter { name, kind, required: true, default: None, about }
}

const fn or(name: &'static str, kind: ParameterKind, default: &'static str, about: &'static str) -> Parameter {
    Parameter { name, kind, required: false, default: Some(default), about }
}

const fn may(name: &'static str, kind: ParameterKind, about: &'static str) -> Parameter {
    Parameter { name, kind, required: false, default: None, about }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

const fn time(min_seconds: u64, max_seconds: u64) -> ParameterKind {
    ParameterKind::Duration { min_seconds, max_seconds }
}

/// FIS's usual range: one minute to twelve hours.
const USUAL: ParameterKind = time(MINUTE, 12 * HOUR);
const PERCENTAGE: ParameterKind = Integer { min: 1, max: 100 };
const SHARE: ParameterKind = Integer { min: 0, max: 100 };
const MILLISECONDS: ParameterKind = Integer { min: 0, max: 3_600_000 };
const PORT: ParameterKind = Integer { min: 1, max: 65_535 };
const PROTOCOL: ParameterKind = OneOf { values: &["tcp", "udp"] };
const DIRECTION: ParameterKind = OneOf { values: &["ingress", "egress"] };
const WORKERS: ParameterKind = Integer { min: 0, max: 4096 };
/// FIS and its documents write `True` and `False` as well.
const FLAG: ParameterKind = OneOf { values: &["true", "false", "True", "False"] };

const DURATION: Parameter = needed("duration", USUAL, "How long it lasts.");
const IO_DURATION: Parameter = needed("duration", time(1, 12 * HOUR), "How long it lasts.");
const MAX_DURATION: Parameter = needed("maxDuration", USUAL, "How long it may take.");
const REGION: Parameter = needed("region", Text, "The region to cut off.");
const SERVICE: Parameter = needed("service", OneOf { values: &["ec2", "kinesis"] }, "The API that fails.");
const OPERATIONS: Parameter = needed("operations", Text, "Bare names of API operations, separated by commas.");
const CALLS: Parameter = needed("percentage", PERCENTAGE, "Share of calls that fail.");
const ZONES: Parameter = needed("availabilityZoneIdentifiers", Text, "Zones, separated by commas.");
const DEPENDENCIES: Parameter = or("installDependencies", FLAG, "True", "Whether missing tools are installed.");
const ECS_ENDPOINTS: Parameter =
    or("useEcsFaultInjectionEndpoints", FLAG, "false", "Whether the agent's own endpoints inject.");
const INVOCATIONS: Parameter = or("invocationPercentage", PERCENTAGE, "100", "Share of invocations.");
const PREVENT: Parameter = needed("preventExecution", FLAG, "Whether the function does not run at all.");
const DOCUMENT: Parameter = needed("documentArn", Arn, "The Systems Manager document.");
const DOCUMENT_VERSION: Parameter = may("documentVersion", Text, "Its version.");
const DOCUMENT_PARAMETERS: Parameter = may("documentParameters", Json, "Its parameters: a JSON object as text.");
const DELAY: Parameter = or("delayMilliseconds", MILLISECONDS, "200", "Delay.");
const JITTER: Parameter = or("jitterMilliseconds", MILLISECONDS, "10", "Jitter.");
const FLOWS: Parameter = or("flowsPercent", SHARE, "100", "Share of flows.");
const SOURCES: Parameter = or("sources", Addresses, "ALL", "Whose traffic: addresses, CIDR blocks, names, ALL.");
const LOSS: Parameter = or("lossPercent", SHARE, "7", "Share of packets lost.");
const INTERFACE: Parameter = or("interface", Text, "DEFAULT", "Network interfaces.");
const ACCOUNT: Parameter = needed("kubernetesServiceAccount", Text, "The service account to run as.");
const POD_IMAGE: Parameter = may("fisPodContainerImage", Text, "Image of the fault's pod.");
const POD_ERRORS: Parameter = or("maxErrorsPercent", SHARE, "0", "Share of targets that may fail.");
const POD_LABELS: Parameter = may("fisPodLabels", Text, "Labels of the fault's pod.");
const POD_ANNOTATIONS: Parameter = may("fisPodAnnotations", Text, "Annotations of the fault's pod.");
const POD_POLICY: Parameter = may("fisPodSecurityPolicy", Text, "Security policy of the fault's pod.");

const fn on(key: &'static str, resource_types: &'static [&'static str]) -> TargetKind {
    TargetKind { key, resource_types }
}

const ROLES: &[TargetKind] = &[on("Roles", &["aws:iam:role"])];
const INSTANCES: &[TargetKind] = &[on("Instances", &["aws:ec2:instance"])];
const SUBNETS: &[TargetKind] = &[on("Subnets", &["aws:ec2:subnet"])];
const VOLUMES: &[TargetKind] = &[on("Volumes", &["aws:ec2:ebs-volume"])];
const TASKS: &[TargetKind] = &[on("Tasks", &["aws:ecs:task"])];
const PODS: &[TargetKind] = &[on("Pods", &["aws:eks:pod"])];
const FUNCTIONS: &[TargetKind] = &[on("Functions", &["aws:lambda:function"])];
const STREAMS: &[TargetKind] = &[on("KinesisStreams", &["aws:kinesis:stream"])];

const fn fis(
    id: &'static str,
    about: &'static str,
    targets: &'static [TargetKind],
    parameters: &'static [Parameter],
    reversibility: Reversibility,
) -> Entry {
    let undone_by = match reversibility {
        Harmless => "There is nothing to undo.",
        Irreversible => "It cannot be; the system must recover by itself.",
        Undoable | Reversibility::SelfEnding => {
            "Whoever carries it out, at the end of its duration or when the experiment stops."
        }
    };
    Entry {
        id,
        about,
        targets,
        parameters,
        reversibility,
        undone_by,
        proven_by: "The state of the action, and what the hypothesis measures.",
        needs: &[],
        exclusive: &[],
        fis: &[],
        chaos_mesh: None,
    }
}

const ACTIONS: &[Entry] = &[
    fis(
        "aws:arc:start-zonal-autoshift",
        "Shifts the traffic of resources away from a zone.",
        &[on("ManagedResources", &["aws:arc:zonal-shift-managed-resource"])],
        &[
            DURATION,
            needed("availabilityZoneIdentifier", Text, "The zone to leave."),
            may("managedResourceTypes", ListOf { values: &["ASG", "ALB", "NLB", "EKS"] }, "Which kinds are shifted."),
            or(
                "zonalAutoshiftStatus",
                OneOf { values: &["ENABLED", "DISABLED", "ANY"] },
                "ENABLED",
                "Which resources, by their autoshift status.",
            ),
        ],
        Undoable,
    ),
    fis(
        "aws:cloudwatch:assert-alarm-state",
        "Fails unless alarms are in one of the given states.",
        &[],
        &[
            needed("alarmArns", Text, "Up to five alarm ARNs, separated by commas."),
            needed(
                "alarmStates",
                ListOf { values: &["OK", "ALARM", "INSUFFICIENT_DATA"] },
                "States, separated by commas.",
            ),
        ],
        Harmless,
    ),
    fis(
        "aws:directconnect:virtual-interface-disconnect",
        "Disconnects Direct Connect virtual interfaces.",
        &[on("VirtualInterfaces", &["aws:directconnect:virtual-interface"])],
        &[needed("duration", time(10 * MINUTE, 12 * HOUR), "How long it lasts.")],
        Undoable,
    ),
    fis(
        "aws:dsql:cluster-connection-failure",
        "Makes connections to Aurora DSQL clusters fail.",
        &[on("Clusters", &["aws:dsql:cluster"])],
        &[DURATION, needed("percentage", PERCENTAGE, "Share of connections.")],
        Undoable,
    ),
    fis(
        "aws:dynamodb:global-table-pause-replication",
        "Pauses the replication of DynamoDB global tables.",
        &[on("Tables", &["aws:dynamodb:global-table"])],
        &[DURATION],
        Undoable,
    ),
    fis("aws:ebs:pause-volume-io", "Pauses the I/O of EBS volumes.", VOLUMES, &[IO_DURATION], Undoable),
    fis(
        "aws:ebs:volume-io-latency",
        "Delays the I/O of EBS volumes.",
        VOLUMES,
        &[
            IO_DURATION,
            or("readIOPercentage", SHARE, "100", "Share of reads."),
            or("readIOLatencyMilliseconds", Integer { min: 1, max: 60_000 }, "100", "Delay of reads."),
            or("writeIOPercentage", SHARE, "100", "Share of writes."),
            or("writeIOLatencyMilliseconds", Integer { min: 1, max: 60_000 }, "100", "Delay of writes."),
        ],
        Undoable,
    ),
    fis(
        "aws:ec2:api-insufficient-instance-capacity-error",
        "Answers launches by a role with InsufficientInstanceCapacity.",
        ROLES,
        &[DURATION, ZONES, CALLS],
        Undoable,
    ),
    fis(
        "aws:ec2:asg-insufficient-instance-capacity-error",
        "Answers launches by an Auto Scaling group with InsufficientInstanceCapacity.",
        &[on("AutoScalingGroups", &["aws:ec2:autoscaling-group"])],
        &[DURATION, ZONES, or("percentage", PERCENTAGE, "100", "Share of launches.")],
        Undoable,
    ),
    fis("aws:ec2:reboot-instances", "Reboots instances.", INSTANCES, &[], Irreversible),
    fis(
        "aws:ec2:send-spot-instance-interruptions",
        "Announces the interruption of spot instances, and interrupts them.",
        &[on("SpotInstances", &["aws:ec2:spot-instance"])],
        &[needed("durationBeforeInterruption", time(2 * MINUTE, 15 * MINUTE), "Time between notice and interruption.")],
        Irreversible,
    ),
    fis(
        "aws:ec2:stop-instances",
        "Stops instances, and starts them again where a duration is given.",
        INSTANCES,
        &[
            may("startInstancesAfterDuration", USUAL, "After how long they are started again."),
            or(
                "completeIfInstancesTerminated",
                FLAG,
                "false",
                "Whether an instance that was terminated meanwhile counts as done.",
            ),
        ],
        Undoable,
    ),
    fis("aws:ec2:terminate-instances", "Terminates instances.", INSTANCES, &[], Irreversible),
    fis(
        "aws:ecs:drain-container-instances",
        "Drains a share of an ECS cluster's container instances.",
        &[on("Clusters", &["aws:ecs:cluster"])],
        &[needed("drainagePercentage", PERCENTAGE, "Share of instances."), DURATION],
        Undoable,
    ),
    fis("aws:ecs:stop-task", "Stops ECS tasks.", TASKS, &[], Irreversible),
    fis(
        "aws:ecs:task-cpu-stress",
        "Loads the CPUs of ECS tasks.",
        TASKS,
        &[
            DURATION,
            or("percent", SHARE, "100", "Load."),
            or("workers", WORKERS, "0", "Workers; 0: one per CPU."),
            DEPENDENCIES,
        ],
        Undoable,
    ),
    fis(
        "aws:ecs:task-io-stress",
        "Loads the disks of ECS tasks.",
        TASKS,
        &[
            DURATION,
            or("percent", SHARE, "80", "Share of free space."),
            or("workers", WORKERS, "1", "Workers."),
            DEPENDENCIES,
        ],
        Undoable,
    ),
    fis(
        "aws:ecs:task-kill-process",
        "Kills a process in ECS tasks.",
        TASKS,
        &[needed("processName", Text, "The process."), or("signal", Text, "SIGTERM", "The signal."), DEPENDENCIES],
        Irreversible,
    ),
    fis(
        "aws:ecs:task-network-blackhole-port",
        "Drops traffic of ECS tasks by port.",
        TASKS,
        &[
            DURATION,
            needed("port", PORT, "The port."),
            needed("trafficType", DIRECTION, "The direction."),
            or("protocol", PROTOCOL, "tcp", "The protocol."),
            DEPENDENCIES,
            ECS_ENDPOINTS,
        ],
        Undoable,
    ),
    fis(
        "aws:ecs:task-network-latency",
        "Delays traffic of ECS tasks.",
        TASKS,
        &[DURATION, DELAY, JITTER, FLOWS, SOURCES, DEPENDENCIES, ECS_ENDPOINTS],
        Undoable,
    ),
    fis(
        "aws:ecs:task-network-packet-loss",
        "Loses packets of ECS tasks.",
        TASKS,
        &[DURATION, LOSS, FLOWS, SOURCES, DEPENDENCIES, ECS_ENDPOINTS],
        Undoable,
    ),
    fis(
        "aws:eks:inject-kubernetes-custom-resource",
        "Runs a Chaos Mesh or Litmus experiment on an EKS cluster.",
        &[on("Cluster", &["aws:eks:cluster"])],
        &[
            needed("kubernetesApiVersion", Text, "chaos-mesh.org/v1alpha1 or litmuschaos.io/v1alpha1."),
            needed("kubernetesKind", Text, "The kind of the custom resource."),
            needed("kubernetesNamespace", Text, "Its namespace."),
            needed("kubernetesSpec", Json, "Its spec: a JSON object as text."),
            MAX_DURATION,
        ],
        Undoable,
    ),
    fis(
        "aws:eks:pod-cpu-stress",
        "Loads the CPUs of pods.",
        PODS,
        &[
            DURATION,
            or("percent", SHARE, "100", "Load."),
            or("workers", WORKERS, "0", "Workers; 0: one per CPU."),
            ACCOUNT,
            POD_IMAGE,
            POD_ERRORS,
            POD_LABELS,
            POD_ANNOTATIONS,
            POD_POLICY,
        ],
        Undoable,
    ),
    fis(
        "aws:eks:pod-delete",
        "Deletes pods.",
        PODS,
        &[
            or("gracePeriodSeconds", Integer { min: 0, max: 3600 }, "0", "Time to end in good order."),
            ACCOUNT,
            POD_IMAGE,
            POD_ERRORS,
            POD_LABELS,
            POD_ANNOTATIONS,
            POD_POLICY,
        ],
        Irreversible,
    ),
    fis(
        "aws:eks:pod-io-stress",
        "Loads the disks of pods.",
        PODS,
        &[
            DURATION,
            or("workers", WORKERS, "1", "Workers."),
            or("percent", SHARE, "80", "Share of free space."),
            ACCOUNT,
            POD_IMAGE,
            POD_ERRORS,
            POD_LABELS,
            POD_ANNOTATIONS,
            POD_POLICY,
        ],
        Undoable,
    ),
    fis(
        "aws:eks:pod-memory-stress",
        "Fills the memory of pods.",
        PODS,
        &[
            DURATION,
            or("workers", WORKERS, "1", "Workers."),
            or("percent", SHARE, "80", "Share of memory."),
            ACCOUNT,
            POD_IMAGE,
            POD_ERRORS,
            POD_LABELS,
            POD_ANNOTATIONS,
            POD_POLICY,
        ],
        Undoable,
    ),
    fis(
        "aws:eks:pod-network-blackhole-port",
        "Drops traffic of pods by port.",
        PODS,
        &[
            DURATION,
            needed("protocol", PROTOCOL, "The protocol."),
            needed("trafficType", DIRECTION, "The direction."),
            needed("port", PORT, "The port."),
            ACCOUNT,
            POD_IMAGE,
            POD_ERRORS,
            POD_LABELS,
            POD_ANNOTATIONS,
        ],
        Undoable,
    ),
    fis(
        "aws:eks:pod-network-latency",
        "Delays traffic of pods.",
        PODS,
        &[
            DURATION,
            INTERFACE,
            DELAY,
            JITTER,
            FLOWS,
            SOURCES,
            ACCOUNT,
            POD_IMAGE,
            POD_ERRORS,
            POD_LABELS,
            POD_ANNOTATIONS,
        ],
        Undoable,
    ),
    fis(
        "aws:eks:pod-network-packet-loss",
        "Loses packets of pods.",
        PODS,
        &[DURATION, INTERFACE, LOSS, FLOWS, SOURCES, ACCOUNT, POD_IMAGE, POD_ERRORS, POD_LABELS, POD_ANNOTATIONS],
        Undoable,
    ),
    fis(
        "aws:eks:terminate-nodegroup-instances",
        "Terminates a share of a node group's instances.",
        &[on("Nodegroups", &["aws:eks:nodegroup"])],
        &[needed("instanceTerminationPercentage", PERCENTAGE, "Share of instances.")],
        Irreversible,
    ),
    fis(
        "aws:elasticache:replicationgroup-interrupt-az-power",
        "Cuts the power of ElastiCache nodes in a zone.",
        &[on("ReplicationGroups", &["aws:elasticache:replicationgroup"])],
        &[DURATION],
        Undoable,
    ),
    fis(
        "aws:fis:inject-api-internal-error",
        "Answers API calls of a role with internal errors.",
        ROLES,
        &[DURATION, SERVICE, CALLS, OPERATIONS],
        Undoable,
    ),
    fis(
        "aws:fis:inject-api-throttle-error",
        "Answers API calls of a role with throttling errors.",
        ROLES,
        &[DURATION, SERVICE, CALLS, OPERATIONS],
        Undoable,
    ),
    fis(
        "aws:fis:inject-api-unavailable-error",
        "Answers API calls of a role with unavailable errors.",
        ROLES,
        &[DURATION, SERVICE, CALLS, OPERATIONS],
        Undoable,
    ),
    fis("aws:fis:wait", "Waits.", &[], &[DURATION], Harmless),
    fis(
        "aws:kinesis:stream-expired-iterator-exception",
        "Answers reads of Kinesis streams with ExpiredIteratorException.",
        STREAMS,
        &[DURATION, CALLS],
        Undoable,
    ),
    fis(
        "aws:kinesis:stream-provisioned-throughput-exception",
        "Answers calls to Kinesis streams with ProvisionedThroughputExceededException.",
        STREAMS,
        &[DURATION, CALLS],
        Undoable,
    ),
    fis(
        "aws:lambda:invocation-add-delay",
        "Delays the start of functions.",
        FUNCTIONS,
        &[DURATION, INVOCATIONS, or("startupDelayMilliseconds", Integer { min: 0, max: 900_000 }, "1000", "Delay.")],
        Undoable,
    ),
    fis(
        "aws:lambda:invocation-error",
        "Fails invocations of functions.",
        FUNCTIONS,
        &[DURATION, INVOCATIONS, PREVENT],
        Undoable,
    ),
    fis(
        "aws:lambda:invocation-http-integration-response",
        "Changes the HTTP responses of functions.",
        FUNCTIONS,
        &[
            needed("contentTypeHeader", Text, "Content type of the response."),
            DURATION,
            INVOCATIONS,
            PREVENT,
            needed("statusCode", Integer { min: 0, max: 999 }, "Status of the response."),
        ],
        Undoable,
    ),
    fis(
        "aws:memorydb:multi-region-cluster-pause-replication",
        "Pauses the replication of MemoryDB multi-region clusters.",
        &[on("MultiRegionClusters", &["aws:memorydb:multi-region-cluster"])],
        &[DURATION, may("region", Text, "The region whose replication pauses.")],
        Undoable,
    ),
    fis(
        "aws:network:disrupt-connectivity",
        "Denies traffic of subnets.",
        SUBNETS,
        &[
            DURATION,
            needed(
                "scope",
                OneOf { values: &["all", "availability-zone", "dynamodb", "prefix-list", "s3", "s3express", "vpc"] },
                "Which traffic.",
            ),
            may("prefixListIdentifier", Text, "The prefix list, where the scope is prefix-list."),
        ],
        Undoable,
    ),
    fis(
        "aws:network:disrupt-vpc-endpoint",
        "Denies traffic of VPC endpoints.",
        &[on("VPCEndpoints", &["aws:ec2:vpc-endpoint"])],
        &[DURATION],
        Undoable,
    ),
    fis(
        "aws:network:route-table-disrupt-cross-region-connectivity",
        "Cuts subnets off from another region.",
        SUBNETS,
        &[DURATION, REGION],
        Undoable,
    ),
    fis(
        "aws:network:transit-gateway-disrupt-cross-region-connectivity",
        "Cuts transit gateways off from another region.",
        &[on("TransitGateways", &["aws:ec2:transit-gateway"])],
        &[DURATION, REGION],
        Undoable,
    ),
    fis(
        "aws:rds:failover-db-cluster",
        "Fails Aurora clusters over to a replica.",
        &[on("Clusters", &["aws:rds:cluster"])],
        &[],
        Irreversible,
    ),
    fis(
        "aws:rds:reboot-db-instances",
        "Reboots database instances.",
        &[on("DBInstances", &["aws:rds:db"])],
        &[or("forceFailover", FLAG, "false", "Whether a Multi-AZ instance fails over.")],
        Irreversible,
    ),
    fis(
        "aws:s3:bucket-pause-replication",
        "Pauses the replication of buckets.",
        &[on("Buckets", &["aws:s3:bucket"])],
        &[
            DURATION,
            REGION,
            may("destinationBuckets", Text, "Destination buckets, separated by commas."),
            may("prefixes", Text, "Key prefixes, separated by commas."),
        ],
        Undoable,
    ),
    fis(
        "aws:ssm:send-command",
        "Runs a Systems Manager command document on instances.",
        INSTANCES,
        &[DOCUMENT, DOCUMENT_VERSION, DOCUMENT_PARAMETERS, DURATION],
        Undoable,
    ),
    fis(
        "aws:ssm:start-automation-execution",
        "Runs a Systems Manager automation.",
        &[],
        &[DOCUMENT, DOCUMENT_VERSION, DOCUMENT_PARAMETERS, MAX_DURATION],
        Irreversible,
    ),
];

/// A command document that AWS offers for `aws:ssm:send-command`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Document {
    /// For example `AWSFIS-Run-CPU-Stress`.
    pub name: &'static str,
    /// What `documentParameters` may hold.
    pub parameters: &'static [Parameter],
}

/// The document with this name.
#[must_use]
pub fn document(name: &str) -> Option<&'static Document> {
    DOCUMENTS.iter().find(|document| document.name == name)
}

/// The name at the end of a document ARN.
#[must_use]
pub fn document_name(arn: &str) -> &str {
    arn.rsplit_once("document/").map_or(arn, |(_, name)| name)
}

/// A fault of a document lasts 1 second to 12 hours.
const SECONDS: Parameter = needed("DurationSeconds", Integer { min: 1, max: 43_200 }, "How long the fault lasts.");
const INSTALL: Parameter = or("InstallDependencies", FLAG, "True", "Whether missing tools are installed.");
const DOC_DELAY: Parameter = or("DelayMilliseconds", MILLISECONDS, "200", "Delay.");
const DOC_LOSS: Parameter = or("LossPercent", SHARE, "7", "Share of packets lost.");
const DOC_FLOWS: Parameter = or("FlowsPercent", SHARE, "100", "Share of flows.");
const DOC_SOURCES: Parameter =
    needed("Sources", Addresses, "Whose traffic: addresses, CIDR blocks, names, ALL, DYNAMODB, S3.");
const DOC_DIRECTION: Parameter = or("TrafficType", DIRECTION, "ingress", "The direction.");
const DOC_INTERFACE: Parameter = or("Interface", Text, "eth0", "The network interface.");

/// The command documents of FIS.
pub const DOCUMENTS: &[Document] = &[
    Document {
        name: "AWSFIS-Run-CPU-Stress",
        parameters: &[
            SECONDS,
            or("CPU", WORKERS, "0", "Workers; 0: one per CPU."),
            or("LoadPercent", SHARE, "100", "Load."),
            INSTALL,
        ],
    },
    Document {
        name: "AWSFIS-Run-Disk-Fill",
        parameters: &[SECONDS, or("Percent", SHARE, "95", "Share of the disk."), INSTALL],
    },
    Document {
        name: "AWSFIS-Run-IO-Stress",
        parameters: &[
            SECONDS,
            or("Workers", WORKERS, "1", "Workers."),
            or("Percent", SHARE, "80", "Share of free space."),
            INSTALL,
        ],
    },
    Document {
        name: "AWSFIS-Run-Kill-Process",
        parameters: &[
            needed("ProcessName", Text, "The process."),
            or("Signal", OneOf { values: &["SIGTERM", "SIGKILL"] }, "SIGTERM", "The signal."),
            // Kill-Process has no duration; templates made by the console carry one all the same.
            may("DurationSeconds", Integer { min: 1, max: 43_200 }, "Not used."),
            INSTALL,
        ],
    },
    Document {
        name: "AWSFIS-Run-Memory-Stress",
        parameters: &[
            SECONDS,
            or("Workers", WORKERS, "1", "Workers."),
            needed("Percent", PERCENTAGE, "Share of the memory."),
            INSTALL,
        ],
    },
    Document {
        name: "AWSFIS-Run-Network-Blackhole-Port",
        parameters: &[
            needed("Protocol", PROTOCOL, "The protocol."),
            needed("Port", PORT, "The port."),
            DOC_DIRECTION,
            SECONDS,
            INSTALL,
        ],
    },
    Document { name: "AWSFIS-Run-Network-Latency", parameters: &[DOC_INTERFACE, DOC_DELAY, SECONDS, INSTALL] },
    Document {
        name: "AWSFIS-Run-Network-Latency-Sources",
        parameters: &[
            or("Interface", Text, "DEFAULT", "Network interfaces."),
            DOC_DELAY,
            or("JitterMilliseconds", MILLISECONDS, "10", "Jitter."),
            DOC_FLOWS,
            DOC_SOURCES,
            DOC_DIRECTION,
            SECONDS,
            INSTALL,
        ],
    },
    Document { name: "AWSFIS-Run-Network-Packet-Loss", parameters: &[DOC_INTERFACE, DOC_LOSS, SECONDS, INSTALL] },
    Document {
        name: "AWSFIS-Run-Network-Packet-Loss-Sources",
        parameters: &[
            or("Interface", Text, "DEFAULT", "Network interfaces."),
            DOC_LOSS,
            DOC_FLOWS,
            DOC_SOURCES,
            DOC_DIRECTION,
            SECONDS,
            INSTALL,
        ],
    },
];

/// Ids that people write and that do not exist: the id, the real one to check against where there is exactly one, and
/// what to say.
pub(crate) const WRONG_IDS: &[(&str, Option<&str>, &str)] = &[
    (
        "aws:ec2:inject-api-throttle-error",
        Some("aws:fis:inject-api-throttle-error"),
        "the id is aws:fis:inject-api-throttle-error; it answers API calls with throttling errors and adds no latency",
    ),
    (
        "aws:ec2:inject-api-internal-error",
        Some("aws:fis:inject-api-internal-error"),
        "the id is aws:fis:inject-api-internal-error",
    ),
    (
        "aws:ec2:inject-api-unavailable-error",
        Some("aws:fis:inject-api-unavailable-error"),
        "the id is aws:fis:inject-api-unavailable-error",
    ),
    (
        "aws:rds:stop-db-cluster",
        None,
        "FIS does not stop clusters; use aws:rds:failover-db-cluster (target key Clusters, no parameters), or aws:rds:reboot-db-instances (target key DBInstances of type aws:rds:db, parameter forceFailover)",
    ),
    (
        "aws:network:add-latency",
        None,
        "use network:latency here; on AWS, aws:ssm:send-command with the document AWSFIS-Run-Network-Latency, aws:ecs:task-network-latency or aws:eks:pod-network-latency",
    ),
];

/// Parameters that people write and that do not exist: action, wrong name, right name.
pub(crate) const WRONG_PARAMETERS: &[(&str, &str, &str)] = &[
    ("aws:ec2:send-spot-instance-interruptions", "durationMinutes", "durationBeforeInterruption"),
    ("aws:ec2:send-spot-instance-interruptions", "duration", "durationBeforeInterruption"),
    ("aws:ssm:start-automation-execution", "duration", "maxDuration"),
    ("aws:eks:inject-kubernetes-custom-resource", "duration", "maxDuration"),
    ("aws:ec2:stop-instances", "duration", "startInstancesAfterDuration"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifty_actions_in_order_on_known_resource_types() {
        assert_eq!(ACTIONS.len(), 50);
        assert!(ACTIONS.windows(2).all(|pair| pair[0].id < pair[1].id));
        for entry in ACTIONS {
            assert!(entry.about.ends_with('.'), "{}", entry.id);
            for target in entry.targets {
                assert!(target.resource_types.iter().all(|name| resource_type(name).is_some()), "{}", entry.id);
            }
            for parameter in entry.parameters {
                assert!(!(parameter.required && parameter.default.is_some()), "{} {}", entry.id, parameter.name);
            }
        }
        assert_eq!(RESOURCE_TYPES.len(), 24);
        assert!(RESOURCE_TYPES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn old_names_still_lead_to_the_action() {
        assert_eq!(
            action("aws:elasticache:interrupt-cluster-az-power").map(|entry| entry.id),
            Some("aws:elasticache:replicationgroup-interrupt-az-power")
        );
        assert!(action("aws:ec2:inject-api-throttle-error").is_none());
    }

    #[test]
    fn what_people_confuse_is_corrected_to_what_exists() {
        for (wrong, right, _) in WRONG_IDS {
            assert!(action(wrong).is_none(), "{wrong}");
            assert!(right.is_none_or(|id| action(id).is_some()), "{wrong}");
        }
        for (id, wrong, right) in WRONG_PARAMETERS {
            let entry = action(id).unwrap();
            assert!(entry.parameters.iter().any(|parameter| parameter.name == *right), "{id}");
            assert!(entry.parameters.iter().all(|parameter| parameter.name != *wrong), "{id}");
        }
    }
}
