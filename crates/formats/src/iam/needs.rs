//! What actions of FIS need of their role, from the service's reference of its actions, and what its own policies allow.

/// Actions of FIS, and what a role must allow for them at least: the call that does it.
pub(crate) const NEEDS: &[(&str, &[&str])] = &[
    ("aws:cloudwatch:assert-alarm-state", &["cloudwatch:DescribeAlarms"]),
    ("aws:ebs:pause-volume-io", &["ec2:PauseVolumeIO"]),
    ("aws:ec2:api-insufficient-instance-capacity-error", &["ec2:InjectApiError"]),
    ("aws:ec2:asg-insufficient-instance-capacity-error", &["ec2:InjectApiError"]),
    ("aws:ec2:reboot-instances", &["ec2:RebootInstances"]),
    ("aws:ec2:send-spot-instance-interruptions", &["ec2:SendSpotInstanceInterruptions"]),
    ("aws:ec2:stop-instances", &["ec2:StopInstances"]),
    ("aws:ec2:terminate-instances", &["ec2:TerminateInstances"]),
    ("aws:ecs:drain-container-instances", &["ecs:UpdateContainerInstancesState"]),
    ("aws:ecs:stop-task", &["ecs:StopTask"]),
    ("aws:eks:terminate-nodegroup-instances", &["ec2:TerminateInstances"]),
    ("aws:fis:inject-api-internal-error", &["fis:InjectApiInternalError"]),
    ("aws:fis:inject-api-throttle-error", &["fis:InjectApiThrottleError"]),
    ("aws:fis:inject-api-unavailable-error", &["fis:InjectApiUnavailableError"]),
    ("aws:network:disrupt-connectivity", &["ec2:CreateNetworkAcl", "ec2:ReplaceNetworkAclAssociation"]),
    (
        "aws:network:route-table-disrupt-cross-region-connectivity",
        &["ec2:CreateRouteTable", "ec2:ReplaceRouteTableAssociation"],
    ),
    ("aws:rds:failover-db-cluster", &["rds:FailoverDBCluster"]),
    ("aws:rds:reboot-db-instances", &["rds:RebootDBInstance"]),
    ("aws:s3:bucket-pause-replication", &["s3:PutReplicationConfiguration"]),
    ("aws:ssm:send-command", &["ssm:SendCommand"]),
    ("aws:ssm:start-automation-execution", &["ssm:StartAutomationExecution"]),
];

/// Policies that AWS keeps, by the end of their ARN, with what of [`NEEDS`] they allow.
pub(crate) const MANAGED: &[(&str, &[&str])] = &[
    ("/CloudWatchReadOnlyAccess", &["cloudwatch:DescribeAlarms"]),
    (
        "/AWSFaultInjectionSimulatorEC2Access",
        &[
            "ec2:RebootInstances",
            "ec2:SendSpotInstanceInterruptions",
            "ec2:StopInstances",
            "ec2:TerminateInstances",
            "ssm:SendCommand",
        ],
    ),
    ("/AWSFaultInjectionSimulatorECSAccess", &["ecs:StopTask", "ecs:UpdateContainerInstancesState", "ssm:SendCommand"]),
    ("/AWSFaultInjectionSimulatorEKSAccess", &["ec2:TerminateInstances"]),
    (
        "/AWSFaultInjectionSimulatorNetworkAccess",
        &[
            "ec2:CreateNetworkAcl",
            "ec2:CreateRouteTable",
            "ec2:ReplaceNetworkAclAssociation",
            "ec2:ReplaceRouteTableAssociation",
        ],
    ),
    ("/AWSFaultInjectionSimulatorRDSAccess", &["rds:FailoverDBCluster", "rds:RebootDBInstance"]),
    ("/AWSFaultInjectionSimulatorSSMAccess", &["ssm:SendCommand", "ssm:StartAutomationExecution"]),
];
